"""Adapt a self-supervised front end to training: frozen layers, LoRA, gradient checkpointing, learning rates."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.self_supervised import ConvolutionalFrontEnd, SelfSupervisedFrontEnd

# The linear layers of attention, as transformers names them in wav2vec 2.0, HuBERT and WavLM, and in w2v-BERT.
ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj", "linear_q", "linear_k", "linear_v", "linear_out")


def adapt(
    front_end: SelfSupervisedFrontEnd,
    frozen_layers: int | None = None,
    lora_rank: int | None = None,
    gradient_checkpointing: bool = False,
) -> None:
    """Prepare a front end for training with less memory or fewer trained weights.

    Arguments
    ---------
    front_end : SelfSupervisedFrontEnd
        With the weights to start from; changed in place. With all defaults, any front end will do.
    frozen_layers : int, optional
        As for :func:`freeze_layers`; by default no layer is frozen.
    lora_rank : int, optional
        As for :func:`add_lora`, which freezes all other weights. Frozen layers get no LoRA.
    gradient_checkpointing : bool
        As for :func:`checkpoint_gradients`.

    Example
    -------
    >>> from antideepfake.lobes import Wav2Vec2
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> adapt(front_end, frozen_layers=1, gradient_checkpointing=True)
    """
    if lora_rank is not None:
        add_lora(front_end, lora_rank)
    if frozen_layers is not None:  # after LoRA, to freeze its matrices in these layers, too
        freeze_layers(front_end, frozen_layers)
    if gradient_checkpointing:
        checkpoint_gradients(front_end)


def freeze_layers(front_end: SelfSupervisedFrontEnd, n_layers: int) -> None:
    """Freeze the lower part of a front end: it gets no gradients and needs no memory for them.

    Dropout in frozen layers stays active.

    Arguments
    ---------
    front_end : SelfSupervisedFrontEnd
        Changed in place.
    n_layers : int
        Number of bottom layers of the transformer to freeze, together with everything below them: the convolutions,
        the projection and the positions. 0 freezes the convolutions and the projection only.

    Raises
    ------
    InputError
        When the front end has fewer layers.

    Example
    -------
    >>> from antideepfake.lobes import Wav2Vec2
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> freeze_layers(front_end, 1)
    >>> sorted({name[:16] for name, weight in front_end.model.named_parameters() if weight.requires_grad})
    ['encoder.layers.1']
    """
    stages = _stages(front_end)
    if not 0 <= n_layers <= len(stages) - 2:
        raise InputError(f"cannot freeze {n_layers} layers: {type(front_end).__name__} has {len(stages) - 2}")
    if n_layers == 0:
        frozen = [part for name, part in front_end.model.named_children() if name != "encoder"]
    else:
        frozen = stages[: n_layers + 1]
    for part in frozen:
        part.requires_grad_(False)


def checkpoint_gradients(front_end: SelfSupervisedFrontEnd) -> None:
    """Save memory in training: keep only the inputs of layers, and recompute activations for the gradients.

    The gradients are the same. A step takes about a third longer, since the front end is computed twice (Chen et al.,
    Training deep nets with sublinear memory cost, 2016). The convolutions are checkpointed by chunks of an utterance.

    Arguments
    ---------
    front_end : SelfSupervisedFrontEnd
        Changed in place; may have frozen layers or LoRA.

    Example
    -------
    >>> from antideepfake.lobes import Wav2Vec2
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> checkpoint_gradients(front_end)
    >>> front_end(torch.randn(1, 16000), torch.ones(1))[0].sum().backward()
    """
    require_layers(front_end)
    with warnings.catch_warnings():  # deprecated in later releases, but the name that all of 5.x know
        warnings.simplefilter("ignore", FutureWarning)
        front_end.model.gradient_checkpointing_enable({"use_reentrant": False})
    if isinstance(front_end, ConvolutionalFrontEnd):
        front_end.checkpoint_chunks = True


def add_lora(
    front_end: SelfSupervisedFrontEnd,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    target_modules: Sequence[str] = (),
) -> None:
    """Train low-rank matrices beside the linear layers of a front end instead of its weights (LoRA).

    A layer's output is increased by alpha / rank B A x, with matrices A of ``rank`` rows and B of ``rank`` columns: Hu
    et al., LoRA: Low-rank adaptation of large language models (2021). B starts at zero. All other weights of the front
    end are frozen. :func:`merge_lora` turns the result into a plain front end, as a model folder requires.

    Arguments
    ---------
    front_end : SelfSupervisedFrontEnd
        Changed in place. Load its weights before: A is sampled, and the names of weights change.
    rank : int
        Of the matrices, at least 1.
    alpha : float
        Scale of the added term, times ``rank``.
    dropout : float
        Of x, in training.
    target_modules : sequence of str
        Last parts of the names of linear layers, such as ``intermediate_dense``. By default those of attention:
        ``q_proj``, ``k_proj``, ``v_proj`` and ``out_proj``, in w2v-BERT ``linear_q``, ``linear_k``, ``linear_v`` and
        ``linear_out``.

    Raises
    ------
    InputError
        When there are no such layers, the rank is below 1, or the front end already has LoRA.

    Example
    -------
    >>> from antideepfake.lobes import Wav2Vec2
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> add_lora(front_end, rank=4)
    >>> sum(weight.numel() for weight in front_end.parameters() if weight.requires_grad)  # 2 layers x 4 x 2 x 4 x 16
    1024
    """
    import peft  # takes seconds to import, and most training does without

    require_layers(front_end)
    modules = dict(front_end.model.named_modules())
    if list_lora_layers(front_end):
        raise InputError("the front end already has LoRA; call add_lora once")
    names = {name.rpartition(".")[2] for name, module in modules.items() if isinstance(module, torch.nn.Linear)}
    missing = sorted(set(target_modules) - names)
    if missing:
        raise InputError(f"{type(front_end).__name__} has no linear layer {', '.join(missing)}; it has {sorted(names)}")
    if rank < 1:
        raise InputError(f"lora_rank is {rank}; it must be 1 or more")
    targets = list(target_modules) or [name for name in ATTENTION if name in names]
    settings: dict[str, Any] = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout, "target_modules": targets}
    peft.inject_adapter_in_model(peft.LoraConfig(**settings), front_end.model)
    del front_end.model.peft_config


def merge_lora(front_end: torch.nn.Module) -> None:
    """Merge the matrices of :func:`add_lora` into the weights: the result is a plain front end.

    Arguments
    ---------
    front_end : torch.nn.Module
        Changed in place; unchanged if it has no LoRA.

    Example
    -------
    >>> from antideepfake.lobes import Wav2Vec2
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> names = list(front_end.state_dict())
    >>> add_lora(front_end)
    >>> merge_lora(front_end)
    >>> list(front_end.state_dict()) == names
    True
    """
    for name, layer in list_lora_layers(front_end).items():
        layer.merge()
        front_end.set_submodule(name, layer.get_base_layer())


def list_lora_layers(module: torch.nn.Module) -> dict[str, Any]:
    """List the layers of PEFT that :func:`add_lora` put in place of linear layers, by name.

    Example
    -------
    >>> list_lora_layers(torch.nn.Linear(2, 2))
    {}
    """
    return {name: part for name, part in module.named_modules() if hasattr(part, "lora_A")}


def parameter_groups(
    modules: Mapping[str, torch.nn.Module], lr: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Group the trained parameters by learning rate: lower for lower layers of a front end.

    The k-th of N layers gets lr layer_decay^(N + 1 - k), so the top layer gets lr layer_decay; modules below the layers
    get lr layer_decay^(N + 1). Modules above them, the back end, the classifier, and front ends without layers get lr.
    Layer-wise decay is due to Clark et al., ELECTRA (2020); the exponents are those of Bao et al., BEiT (2022).

    Arguments
    ---------
    modules : mapping
        Of the detector.
    lr : float
        Of the classifier.
    layer_decay : float
        In (0, 1]. With 1, all have the same rate; with 24 layers and 0.9, modules below the layers have 0.07 of it.

    Returns
    -------
    list of dict
        For any torch optimizer: ``params``, ``lr`` and ``lr_scale``, the factor to apply to the rate of a schedule.

    Raises
    ------
    InputError
        When the decay is out of range.

    Example
    -------
    >>> from antideepfake.lobes import MeanPooling, UtteranceEncoder, Wav2Vec2
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> modules = {"embedding_model": UtteranceEncoder(front_end, MeanPooling()), "classifier": torch.nn.Linear(16, 2)}
    >>> [group["lr_scale"] for group in parameter_groups(modules, lr=0.001, layer_decay=0.5)]
    [0.125, 0.25, 0.5, 1.0]
    """
    if not 0 < layer_decay <= 1:
        raise InputError(f"layer_decay is {layer_decay}; it must be above 0 and at most 1")
    everything = torch.nn.ModuleDict(modules)
    scales: dict[torch.nn.Parameter, float] = {}
    for front_end in everything.modules():
        if isinstance(front_end, SelfSupervisedFrontEnd):
            for above, stage in enumerate(reversed(_stages(front_end))):
                scales |= dict.fromkeys(stage.parameters(), layer_decay**above)
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for parameter in everything.parameters():
        if parameter.requires_grad:
            groups.setdefault(scales.get(parameter, 1.0), []).append(parameter)
    return [{"params": groups[scale], "lr": lr * scale, "lr_scale": scale} for scale in sorted(groups)]


def _stages(front_end: SelfSupervisedFrontEnd) -> list[torch.nn.Module]:
    """Give the stages of a front end from the bottom up: modules below its layers, each layer, modules above them."""
    require_layers(front_end)
    model = front_end.model
    below = [part for name, part in model.named_children() if name != "encoder"]
    above = []
    for name, part in model.encoder.named_children():
        if name == "layer_norm" and getattr(model.config, "do_stable_layer_norm", True):
            above.append(part)  # in wav2vec 2.0 without stable layer norm it comes before the layers
        elif name != "layers":
            below.append(part)
    return [torch.nn.ModuleList(below), *model.encoder.layers, torch.nn.ModuleList(above)]


def require_layers(front_end: torch.nn.Module) -> None:
    """Raise an ``InputError`` for a front end that is not self-supervised."""
    if not isinstance(front_end, SelfSupervisedFrontEnd):
        raise InputError(f"{type(front_end).__name__} has no layers to adapt; use a self-supervised front end")
