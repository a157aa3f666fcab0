"""The model folder: all that a detector needs, and nothing that must be unpickled.

hyperparams.yaml    which modules, with which settings
model.safetensors   their weights
label_encoder.txt   which class has which index
metadata.json       threshold, classes, training corpora, provenance, licence
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from safetensors import SafetensorError
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.fetching import FetchConfig, LocalStrategy
from speechbrain.utils.parameter_transfer import Pretrainer

from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.protocol import LABELS

MODULES = ("compute_features", "mean_var_norm", "embedding_model", "classifier")
FILES = {"model": "model.safetensors", "label_encoder": "label_encoder.txt", "metadata": "metadata.json"}
# as SpeechBrain's CategoricalEncoder writes it
LABEL_ENCODER = "".join(f"'{label}' => {index}\n" for index, label in enumerate(LABELS))
LABEL_ENCODER += "================\n'starting_index' => 0\n"

# Follows the modules' own settings in the hyperparams.yaml of every model folder.
LOADING = """
modules:
  compute_features: !ref <compute_features>
  mean_var_norm: !ref <mean_var_norm>
  embedding_model: !ref <embedding_model>
  classifier: !ref <classifier>
model: !new:torch.nn.ModuleDict
  modules: !ref <modules>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
metadata: !new:antideepfake.checkpoints.ModelMetadata
audio_normalizer: !new:antideepfake.dataio.WaveformNormalizer
pretrainer: !new:antideepfake.checkpoints.ModelFolderPretrainer
  loadables:
    model: !ref <model>
    label_encoder: !ref <label_encoder>
    metadata: !ref <metadata>
"""


@dataclass
class ModelMetadata:
    """What a model folder knows about its detector.

    Arguments
    ---------
    threshold : float
        A score (logit of real minus logit of fake) above it means real.
    threshold_source : str
        How the threshold was chosen.
    training_corpora : list of str
        Corpora that the detector was trained on; it must not be tested on them.
    training_generators : list of str
        Generators of the spoofed speech among them.
    provenance : str
        What made the folder, of what.
    licence : str
        Of the weights.
    classes : list of str
        Names of the classes, by index.

    Example
    -------
    >>> ModelMetadata(threshold=0.5, training_corpora=["MiniCorpus"]).classes
    ['fake', 'real']
    """

    threshold: float = 0.0
    threshold_source: str = "not calibrated: equal probabilities"
    training_corpora: list[str] = field(default_factory=list)
    training_generators: list[str] = field(default_factory=list)
    provenance: str = ""
    licence: str = ""
    classes: list[str] = field(default_factory=lambda: list(LABELS))

    def load(self, path: str | os.PathLike) -> None:
        """Take the values of a ``metadata.json``."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            self.__init__(**values)  # type: ignore[misc]
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: not the metadata of a model folder ({error})") from None
        if not (isinstance(self.threshold, int | float) and math.isfinite(self.threshold)):
            raise InputError(f"{path}: the threshold is {self.threshold!r}; it must be a number")
        if self.classes != list(LABELS):
            raise InputError(f"{path}: the classes are {self.classes}; they must be {list(LABELS)}")


class ModelFolderPretrainer(Pretrainer):
    """SpeechBrain's pretrainer for the files of a model folder, under the names that they have there.

    Arguments
    ---------
    loadables : mapping
        ``model``, ``label_encoder`` and ``metadata``.
    """

    def __init__(self, loadables: Mapping[str, Any]) -> None:
        hooks = {"model": load_weights, "label_encoder": load_label_encoder, "metadata": ModelMetadata.load}
        super().__init__(loadables=loadables, custom_hooks=hooks)

    def collect_files(
        self,
        default_source: Any = None,
        local_strategy: LocalStrategy = LocalStrategy.SYMLINK,
        fetch_config: FetchConfig = FetchConfig(),  # noqa: B008  (as in SpeechBrain; it is immutable)
    ) -> dict[str, Path]:
        """Fetch the files from ``default_source``, a folder or a hub id."""
        self.add_paths({name: f"{default_source}/{file}" for name, file in FILES.items()})
        return super().collect_files(default_source, local_strategy, fetch_config)


def load_weights(module: torch.nn.Module, path: str | os.PathLike) -> None:
    """Load weights by name; every one must be there, of the right shape, and none left over.

    Arguments
    ---------
    module : torch.nn.Module
        Takes the weights.
    path : str or Path
        A safetensors file.

    Raises
    ------
    InputError
        When the file is damaged or does not fit; names the tensors.
    """
    try:
        state = safetensors.torch.load_file(path)
        module.load_state_dict(state)
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from None
    except RuntimeError as error:
        raise InputError(f"{path}: these weights are of another model. {error}") from None
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise InputError(f"{path}: holds weights that are not numbers, in {', '.join(broken)}")


def load_label_encoder(encoder: CategoricalEncoder, path: str | os.PathLike) -> None:
    """Load which class has which index; it must be 0 for fake and 1 for real.

    Arguments
    ---------
    encoder : CategoricalEncoder
        Takes the classes.
    path : str or Path
        As :func:`write_model_folder` writes it.

    Raises
    ------
    InputError
        When the file says otherwise.
    """
    if Path(path).read_text(encoding="utf-8") != LABEL_ENCODER:
        raise InputError(f"{path}: not the classes of a detector; 'fake' must be 0 and 'real' 1")
    encoder.load(path)
    encoder.expect_len(len(LABELS))


def write_model_folder(
    folder: str | os.PathLike, settings: str, modules: Mapping[str, torch.nn.Module], metadata: ModelMetadata
) -> None:
    """Write a model folder that ``EncoderClassifier.from_hparams(source=folder, savedir=...)`` loads.

    Arguments
    ---------
    folder : str or Path
        Where to. Its hyperparams.yaml comes last: a folder without one is not finished.
    settings : str
        The training YAML, references resolved (``hyperpyyaml.resolve_references``). Of its keys those of the four
        modules are taken: ``compute_features``, ``mean_var_norm``, ``embedding_model`` and ``classifier``.
    modules : mapping
        The trained modules, under the same names.
    metadata : ModelMetadata
        What the folder is to remember.

    Raises
    ------
    InputError
        When the YAML lacks one of the modules.
    """
    folder = Path(folder)
    root = yaml.compose(settings)  # nodes, not values: tags such as !new: stay as they are
    nodes = {key.value: (key, value) for key, value in root.value}
    missing = [name for name in MODULES if name not in nodes]
    if missing:
        raise InputError(f"the YAML names no {', '.join(missing)}; a detector has {', '.join(MODULES)}")
    detector = yaml.serialize(yaml.MappingNode(root.tag, [nodes[name] for name in MODULES]))

    (folder / "hyperparams.yaml").unlink(missing_ok=True)  # of an earlier model: until the end nothing here loads
    weights = torch.nn.ModuleDict({name: modules[name] for name in MODULES}).state_dict()
    with atomic_open(folder / FILES["model"], "wb") as file:
        file.write(safetensors.torch.save({name: value.cpu().contiguous() for name, value in weights.items()}))
    with atomic_open(folder / FILES["label_encoder"]) as file:
        file.write(LABEL_ENCODER)
    with atomic_open(folder / FILES["metadata"]) as file:
        json.dump(asdict(metadata), file, indent=1, ensure_ascii=False)
    with atomic_open(folder / "hyperparams.yaml") as file:
        file.write("# A detector of generated speech. Loads with SpeechBrain's EncoderClassifier.from_hparams.\n")
        file.write(detector + LOADING)
