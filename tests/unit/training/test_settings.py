"""The YAML of an experiment: its keys are checked, and its detector is built."""

import re
import sys

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.training.hparams import HyperParameters
from antideepfake.training.settings import REMOVED_KEYS, bind_keys, load_experiment

YAML = """data_folder: data
output_folder: results
model_folder: !ref <output_folder>/model
corpora: [Tiny]
start_corpora: []
license: null
seed: 1
front_end: !new:antideepfake.lobes.Wav2Vec2
    hidden_size: 16
    num_hidden_layers: 2
    num_attention_heads: 2
    intermediate_size: 32
back_end: !new:antideepfake.lobes.MeanPooling
classifier: !new:torch.nn.Linear [16, 2]
start_from: null
brain_class: !name:antideepfake.training.DetectorBrain
loss: !new:torch.nn.CrossEntropyLoss
opt_class: !name:torch.optim.AdamW
lr_schedule: !name:speechbrain.nnet.schedulers.NoamScheduler
lr: 0.001
max_steps: 8
number_of_epochs: 1.5
valid_interval: 3
batch_seconds: 1.0
valid_batch_seconds: 2.0
num_buckets: 2
num_workers: 0
crop: null
augmentation: null
"""


@pytest.fixture
def load(tmp_path):
    """Load the YAML with text replaced or added."""

    def read(old="", new="", overrides=""):
        path = tmp_path / "train.yaml"
        path.write_text(YAML.replace(old, new) if old else YAML + new)
        return load_experiment(path, overrides)

    return read


def test_optional_keys_get_their_defaults(load):
    hparams = load()
    assert (hparams["patience"], hparams["layer_decay"], hparams["skip_limit"]) == (None, 1.0, 100)
    assert hparams["mask_padding"] and hparams["clean_validation"] and hparams["frozen_layers"] is None
    assert load(new="skip_limit: 3\nmine: 4")["skip_limit"] == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed: 1\n", "", "train.yaml: the key 'seed' is missing; add it"),
        ("seed: 1\n", "seed: 1.5\n", "train.yaml:7: seed is 1.5; it must be a whole number"),
        ("seed: 1\n", "seed: true\n", "train.yaml:7: seed is True; it must be a whole number"),
        ("lr: 0.001", "lr: fast", "train.yaml:20: lr is fast; it must be a number"),
        ("lr: 0.001", "lr: 0", "train.yaml:20: lr is 0; it must be above 0"),
        ("valid_interval: 3", "valid_interval: 0", "train.yaml:23: valid_interval is 0; it must be above 0"),
        ("[Tiny]", "Tiny", "train.yaml:4: corpora is Tiny; it must be a list of names"),
        ("license: null", "license: 3", "train.yaml:6: license is 3; it must be text or null"),
        ("crop: null", "crop: 3.0", "train.yaml:28: crop is 3.0; it must be a RandomCrop (!new:) or null"),
        (
            "!new:torch.nn.CrossEntropyLoss",
            "cross_entropy",
            "train.yaml:17: loss is cross_entropy; it must be a class (!name:) or an object (!new:) that can be called",
        ),
        (
            "!new:antideepfake.lobes.MeanPooling",
            "!name:antideepfake.lobes.MeanPooling",
            "it must be a torch module (!new:)",
        ),
    ],
)
def test_a_wrong_value_is_reported_with_its_line(load, old, new, said):
    with pytest.raises(InputError, match=re.escape(said)):
        load(old, new)


def test_a_wrong_value_from_the_command_line_is_reported_with_its_option(load):
    with pytest.raises(InputError, match=r"^--corpora is Tiny; it must be a list of names"):
        load(overrides="corpora: Tiny")


def test_the_detector_is_built_and_adapted(load):
    modules = load(new="frozen_layers: 1\nlora_rank: 2")["modules"]
    trained = [name for name, weight in modules["embedding_model"].named_parameters() if weight.requires_grad]
    assert trained and all("layers.1" in name and "lora" in name for name in trained)
    assert set(modules) == {"embedding_model", "classifier"}


def test_training_starts_from_the_given_weights(load, tmp_path):
    load()["front_end"].model.save_pretrained(tmp_path / "encoder")
    start = load(overrides=f"seed: 2\nstart_from: {tmp_path / 'encoder'}")["front_end"].model.state_dict()
    first, second = (load(overrides=f"seed: {seed}")["front_end"].model.state_dict() for seed in (1, 2))
    assert all(value.equal(first[name]) for name, value in start.items())
    assert not all(value.equal(second[name]) for name, value in start.items())


def test_modules_and_brains_may_be_in_the_folder_of_the_recipe(load, tmp_path, monkeypatch):
    (tmp_path / "my_recipe.py").write_text(
        "import torch\n"
        "from antideepfake.training import DetectorBrain\n"
        "class MyPooling(torch.nn.Module):\n"
        "    def forward(self, frames, lengths):\n"
        "        return frames.amax(1)\n"
        "class MyBrain(DetectorBrain):\n"
        "    def __init__(self, *args, temperature, **options):\n"
        "        super().__init__(*args, **options)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    hparams = load("antideepfake.lobes.MeanPooling", "my_recipe.MyPooling", "brain_class: !name:my_recipe.MyBrain")
    assert hparams["modules"]["embedding_model"](torch.randn(1, 8000), torch.ones(1)).shape == (1, 16)
    hparams["temperature"] = 2.0
    assert bind_keys(hparams["brain_class"], hparams).keywords == {"temperature": 2.0}
    sys.modules.pop("my_recipe")


def test_arguments_set_in_the_yaml_are_not_replaced_by_keys(load):
    hparams = load("!name:torch.optim.AdamW", "!name:torch.optim.AdamW\n    eps: 0.5")
    hparams |= {"eps": 0.1, "weight_decay": 0.2}
    optimizer = bind_keys(hparams["opt_class"], HyperParameters(hparams, "train.yaml"))([torch.zeros(1)])
    assert [optimizer.defaults[name] for name in ("eps", "weight_decay", "lr")] == [0.5, 0.2, 0.001]


REFERENCE = "start_from: !ref <front_end[weights_source]>"


def test_a_front_end_with_an_old_setting_is_refused_where_the_new_one_is_needed(load, tmp_path):
    with pytest.raises(InputError, match=r"train\.yaml:9: 'pretrained' is now called 'weights_source'; rename it"):
        load("    hidden_size: 16\n", "    pretrained: x\n    hidden_size: 16\n", overrides=REFERENCE)
    own = "# mine\n!new:antideepfake.lobes.LogFilterBank\npretrained: x\n"
    (tmp_path / "mine.yaml").write_text(own)
    lines = YAML.partition("front_end:")[2].partition("back_end:")[0]
    with pytest.raises(InputError, match=r"mine\.yaml:3: 'pretrained' is now called 'weights_source'; rename it"):
        load(f"{lines}back_end", f" !include:mine.yaml\n{REFERENCE}\nback_end".replace("start_from", "start"))


def test_a_front_end_may_have_an_old_setting(load):
    with pytest.warns(DeprecationWarning, match="weights_source"):
        hparams = load("    hidden_size: 16\n", "    pretrained: x\n    hidden_size: 16\n")
    assert hparams["front_end"].weights_source == "x"


def test_a_policy_with_an_old_setting_is_refused(load):
    with pytest.raises(InputError, match=r"train\.yaml:17: 'refresh' is now 'policy_refresh', a key of the YAML; "):
        load("training.DetectorBrain", "training.PolicyBrain\n    refresh: 3")


OLD_YAML = """data_folder: !PLACEHOLDER
output_folder: results/small
save_folder: !ref <output_folder>/checkpoints
seed: 1234
__set_seed: !apply:speechbrain.utils.seed.seed_everything [!ref <seed>]
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    back_end: !ref <back_end>
modules:
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
__start: !apply:antideepfake.checkpoints.start_from [!ref <embedding_model>, !ref <classifier>, !ref <start_from>]
__adapt: !apply:antideepfake.training.adapt
    front_end: !ref <front_end>
checkpointer: !new:antideepfake.training.AtomicCheckpointer
    checkpoints_dir: !ref <save_folder>
"""


def test_a_yaml_of_version_0_1_is_refused_with_the_lines_to_delete(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(OLD_YAML)
    with pytest.raises(InputError) as told:
        load_experiment(path)
    assert str(told.value).startswith(f"{path}:3: ")
    lines = dict(re.findall(r"(\w+) \(line (\d+)\)", str(told.value)))
    assert lines == {key: lines[key] for key in REMOVED_KEYS} and lines["modules"] == "9"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("license: null", "licence: MIT", "train.yaml:6: 'licence' is now called 'license'; rename it"),
        (
            "start_from: null",
            "start_from: !ref <front_end[pretrained]>",
            "train.yaml:15: 'pretrained' is now called 'weights_source'; rename it",
        ),
    ],
)
def test_renamed_keys_are_reported_with_their_line(load, old, new, said):
    with pytest.raises(InputError, match=re.escape(said)):
        load(old, new)
