"""Every mistake in a YAML has its sentence."""

import pytest

from antideepfake.errors import InputError
from antideepfake.training.hparams import load_hparams

CROP = "crop: !new:antideepfake.dataio.RandomCrop\n    min_seconds: 3.0\n    max_seconds: 2.0\n"


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("data_folder: !PLACEHOLDER", "", "train.yaml:1: data_folder has no value; pass --data_folder VALUE"),
        ("a:\n    b: !PLACEHOLDER", "", "train.yaml:2: a[b] has no value; write it on this line"),
        ("a:\n    - 1\n    - b: !PLACEHOLDER", "", "train.yaml:3: a[1][b] has no value; write it on this line"),
        ("c: 1\na: !include:part.yaml", "", "train.yaml:2: a[b] has no value; set 'b' below this line"),
        ("a: 1", "epochs: 2", "--epochs: "),
        ("epoch: 1", "epochs: 2", "did you mean --epoch?"),
        ("a: [1\nb: 2", "", "train.yaml:2: not well-formed YAML"),
        ("a:\n\t- 1", "", "train.yaml:2: not well-formed YAML"),
        ("a: 1\na: 2", "", 'duplicate key "a"'),
        ("a: !include:other.yaml", "", "other.yaml: no such file; "),
        ("a: !ref <nothing>", "", "nothing"),
        ("a: !new:antideepfake.lobes.Nothing", "", "antideepfake.lobes.Nothing"),
        ("a: !new:nowhere.Nothing", "", "nowhere.Nothing"),
        ("a: !new:antideepfake.lobes.LogFilterBank\n    filters: 1", "", "filters"),
        (CROP, "", "train.yaml:1: crop: "),
        (f"n: 2\n{CROP}", "", "min_seconds <= max_seconds"),
        (f"# crop\n\nn:\n    - 2\n{CROP}", "", "train.yaml:5: crop: "),
        ("a: !new:torch.nn.Linear [2, 2]", "a: !new:torch.nn.Linear [x, 2]", "--a: Invalid argument to class"),
        ("a: !new:speechbrain.utils.epoch_loop.EpochCounter\n    limit: !ref <n>\nn: 3", "n: many", "many"),
        ("lr: 0.001", "lr: abc", "--lr is 'abc'; "),
        ("lr: 1e-3", "lr: nan", "--lr is 'nan'; "),
        ("steps: 10", "steps: [1, 2]", "--steps is '[...]'; "),
        ("steps: 10", "steps: true", "--steps is 'true'; "),
        ("- a\n- b", "", "train.yaml"),
        ("", "", "train.yaml"),
    ],
)
def test_every_fault_is_reported_in_one_line(tmp_path, text, overrides, said):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    (tmp_path / "part.yaml").write_text("b: !PLACEHOLDER\nc: 1\n")
    with pytest.raises(InputError) as told:
        load_hparams(path, overrides)
    message = str(told.value)
    assert said in message and ("train.yaml" in message or message.startswith("--a: "))
    assert "\n" not in message


def test_a_placeholder_of_an_included_file_can_be_set(tmp_path):
    (tmp_path / "part.yaml").write_text("b: !PLACEHOLDER\nc: 1\n")
    (tmp_path / "train.yaml").write_text("a: !include:part.yaml\n    b: 2\n")
    assert load_hparams(tmp_path / "train.yaml")["a"] == {"b": 2, "c": 1}


def test_an_unknown_override_is_named(tmp_path):
    (tmp_path / "train.yaml").write_text("lr: 1\nseed: 2")
    with pytest.raises(InputError) as told:
        load_hparams(tmp_path / "train.yaml", "learning_rate: 2")
    assert "Override" not in str(told.value) and "learning_rate" in str(told.value)


@pytest.mark.parametrize("name", ["missing.yaml", "folder"])
def test_missing_file_and_folder(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=name):
        load_hparams(tmp_path / name)


def test_other_encodings_are_reported(tmp_path):
    (tmp_path / "train.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InputError, match=r"train\.yaml"):
        load_hparams(tmp_path / "train.yaml")


def test_a_missing_key_is_reported_on_use(tmp_path):
    (tmp_path / "train.yaml").write_text("seed: 1")
    hparams = load_hparams(tmp_path / "train.yaml")
    with pytest.raises(InputError, match=r"train\.yaml: the key 'lr' is missing"):
        hparams["lr"]
    assert hparams.get("lr") is None and "lr" not in hparams


def test_the_seed_is_set_before_anything_is_built(tmp_path):
    (tmp_path / "train.yaml").write_text("layer: !new:torch.nn.Linear [2, 2]\nseed: 1")

    def weights(overrides=""):
        return load_hparams(tmp_path / "train.yaml", overrides)["layer"].weight

    assert weights().equal(weights()) and not weights().equal(weights("seed: 2"))


def test_a_value_is_located_in_the_yaml_or_on_the_command_line(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("# comment\nseed: 1\nlr: 2\n")
    hparams = load_hparams(path, "lr: 3")
    assert hparams.where("seed") == f"{path}:2: seed" and hparams.where("lr") == "--lr"


def test_settings_are_the_yaml_that_was_used(tmp_path):
    (tmp_path / "part.yaml").write_text("!new:antideepfake.lobes.LogFilterBank\nn_filters: 80\n")
    path = tmp_path / "train.yaml"
    path.write_text("size: 20\nfront: !include:part.yaml\n    n_filters: !ref <size>\nn: !ref <size> * 2\n")
    hparams = load_hparams(path, "size: 30")
    assert hparams["front"].filters.shape[1] == 30 and hparams["n"] == 60
    (tmp_path / "again.yaml").write_text(hparams.settings)
    again = load_hparams(tmp_path / "again.yaml")
    assert again.settings == hparams.settings
    assert again["front"].filters.shape[1] == 30 and again["n"] == 60


@pytest.mark.parametrize(("override", "expected"), [("1e-4", 1e-4), ("5", 5), ("null", None), ("!ref <n> * 2", 6)])
def test_numbers_may_be_overridden_by_numbers_references_and_null(tmp_path, override, expected):
    (tmp_path / "train.yaml").write_text("lr: 0.5\nn: 3")
    assert load_hparams(tmp_path / "train.yaml", f"lr: {override}")["lr"] == expected
