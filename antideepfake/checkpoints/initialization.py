"""Initialize a detector with the weights of a trained detector or encoder."""

import os

import torch
from speechbrain.utils.logger import get_logger

from antideepfake.checkpoints.key_mapping import load_encoder, read_checkpoint
from antideepfake.checkpoints.loading import fetch_folder
from antideepfake.errors import InputError
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd
from antideepfake.model_folder.folder import load_weights
from antideepfake.model_folder.names import FILES

logger = get_logger(__name__)


def start_from(
    embedding_model: UtteranceEncoder, classifier: torch.nn.Module, source: str | os.PathLike | None
) -> None:
    """Load the weights that training starts from: of a detector, including its classifier, or of an encoder alone.

    Arguments
    ---------
    embedding_model, classifier :
        The modules of the detector; changed in place. They must have the architecture of the trained ones.
    source : str, Path or None
        A model folder, a detector of the released code, a self-supervised model of fairseq or transformers, or the id
        of one of these on the Hugging Face Hub. None keeps the random weights.

    Raises
    ------
    InputError
        When the source does not exist or has another architecture; names the differences.

    Example
    -------
    >>> from antideepfake.lobes import MeanPooling, Wav2Vec2
    >>> tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    >>> trained = Wav2Vec2(**tiny)
    >>> state = {f"wav2vec2.{name}": value for name, value in trained.model.state_dict().items()}
    >>> state |= {"classifier.weight": torch.ones(2, 16), "classifier.bias": torch.zeros(2)}
    >>> folder = getfixture("tmp_path")
    >>> torch.save(state, folder / "detector.pt")
    >>> trained.model.config.save_pretrained(folder)
    >>> classifier = torch.nn.Linear(16, 2)
    >>> start_from(UtteranceEncoder(Wav2Vec2(**tiny), MeanPooling()), classifier, folder)
    >>> classifier.weight.sum().item()
    32.0
    """
    if source is None:
        return
    folder = fetch_folder(source, (*FILES.values(), "config.json"))
    if (folder / FILES["label_encoder"]).is_file():
        modules = torch.nn.ModuleDict({"embedding_model": embedding_model, "classifier": classifier})
        load_weights(modules, folder / FILES["model"])
        return
    if not folder.exists():
        raise InputError(f"{source}: no such file or folder")
    front_end = embedding_model.front_end
    if not isinstance(front_end, SelfSupervisedFrontEnd):
        raise InputError(
            f"{source}: not a model folder; a {type(front_end).__name__} has no other weights to start from"
        )
    checkpoint = read_checkpoint(source, front_end.architecture["num_attention_heads"])
    load_encoder(front_end, checkpoint, source)
    if not checkpoint.classifier:
        logger.info(f"{source} is an encoder: back end and classifier start from random weights")
        return
    try:
        classifier.load_state_dict(checkpoint.classifier)
    except RuntimeError as error:
        raise InputError(
            f"{source}: its classifier has another architecture ({' '.join(str(error).split())})"
        ) from None
