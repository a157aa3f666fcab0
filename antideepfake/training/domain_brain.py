"""Domain-adversarial training: embeddings that do not tell the corpus."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.corpora.registry import find_corpora, read_corpora
from antideepfake.errors import InputError
from antideepfake.lobes.gradient_reversal import reverse_gradient
from antideepfake.resources import find_resource
from antideepfake.training.brain import DetectorBrain


class DomainAdversarialBrain(DetectorBrain):
    """Train a detector against a classifier of the corpus, whose gradient reaches the embeddings reversed.

    Ganin and Lempitsky (2015). The corpus of an utterance follows from its ID, as in the union of protocols. The weight
    of the reversed gradient rises from 0 to ``domain_weight`` as in equation 14 of the extended paper (Ganin et al.,
    2016). The logged loss is that of the detector. The classifier of the corpus is not exported.

    Arguments
    ---------
    modules : mapping
        As for :class:`DetectorBrain`.
    *args, **options
        As for :class:`DetectorBrain`.
    corpora : sequence of str
        Of all training utterances: two or more. The key of the YAML.
    domain_classifier : torch.nn.Module
        From embeddings [batch, size] to logits [batch, number of corpora].
    domain_weight : float
        Strength of the reversed gradient at the end.

    Raises
    ------
    InputError
        When there are fewer than two corpora, or the weight is negative.
    """

    can_shard = False

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module],
        *args: Any,
        corpora: Sequence[str],
        domain_classifier: torch.nn.Module,
        domain_weight: float = 0.1,
        **options: Any,
    ) -> None:
        if len(set(corpora)) < 2:
            raise InputError(f"corpora is {list(corpora)}; DomainAdversarialBrain needs the names of two or more")
        if not domain_weight >= 0:
            raise InputError(f"domain_weight is {domain_weight}; it must be 0 or more")
        super().__init__({**modules, "domain_classifier": domain_classifier}, *args, **options)
        self.corpora, self.domain_classifier, self.domain_weight = list(corpora), domain_classifier, domain_weight
        self.checkpointer.add_recoverable("domain_classifier", domain_classifier)
        self._registry = read_corpora(find_resource("recipes"))

    def init_optimizers(self) -> None:
        """Add the weights of the classifier of the corpus to the optimizer."""
        super().init_optimizers()
        parameters = list(self.domain_classifier.parameters())
        self.optimizer.add_param_group({"params": parameters, "lr": self.hparams.lr, "lr_scale": 1.0})

    def compute_forward(self, batch: PaddedBatch, stage: Stage) -> Any:
        """Turn a batch into logits; in training, also into those of the corpus."""
        if stage != Stage.TRAIN:
            return super().compute_forward(batch, stage)
        embeddings = self.modules["embedding_model"](*self.inputs(batch))
        progress = self.optimizer_step / self.last_step
        weight = self.domain_weight * (2 / (1 + math.exp(-10 * progress)) - 1)
        domains = self.modules["domain_classifier"](reverse_gradient(embeddings, weight))
        return self.modules["classifier"](embeddings).float(), domains.float()

    def compute_objectives(self, predictions: Any, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Compute the loss; in training, add the cross-entropy of the corpus."""
        if stage != Stage.TRAIN:
            return super().compute_objectives(predictions, batch, stage)
        logits, domains = predictions
        loss = super().compute_objectives(logits, batch, stage)
        return loss + torch.nn.functional.cross_entropy(domains, self.find_domains(batch.id).to(domains.device))

    def find_domains(self, identifiers: Sequence[str]) -> torch.Tensor:
        """Find the index of the corpus of each utterance.

        Raises
        ------
        InputError
            When a corpus is not in ``corpora``.
        """
        names = list(find_corpora(identifiers, self._registry))
        if unknown := sorted(set(names) - set(self.corpora)):
            raise InputError(f"training utterances are of {', '.join(unknown)}; add the name to corpora in the YAML")
        return torch.tensor([self.corpora.index(name) for name in names])
