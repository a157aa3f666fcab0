"""What holds for the YAML of every recipe."""

import re
from pathlib import Path

import pytest
import torch

from antideepfake.model_folder.license import combine_licenses, find_license, find_spdx
from antideepfake.training.hparams import load_hparams
from antideepfake.training.settings import load_experiment

RECIPES = Path(__file__).parents[2] / "recipes"
FRONT_ENDS = Path(__file__).parents[2] / "hparams" / "front_ends"


@pytest.mark.parametrize(
    "path", sorted(RECIPES.glob("**/hparams/*.yaml")), ids=lambda path: str(path.relative_to(RECIPES))
)
def test_the_seed_reaches_the_first_weights(path, tmp_path, tiny_front_end):
    def weights(seed):
        torch.rand(seed)  # whatever was drawn before
        overrides = f"data_folder: {tmp_path}\noutput_folder: {tmp_path}\nseed: {seed}\nstart_from: null"
        if "weights_source" in path.read_text() or "nii-yamagishilab" in path.read_text():
            overrides += f"\nfront_end: !include:{tiny_front_end}"
        if "\nteacher: !PLACEHOLDER" in path.read_text():
            overrides += "\nteacher: elsewhere"
        hparams = load_experiment(path, overrides)
        return torch.cat([weight.flatten() for weight in torch.nn.ModuleDict(hparams["modules"]).parameters()])

    first, again, other = weights(1), weights(1), weights(2)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_no_yaml_of_a_recipe_writes_over_the_results_of_another():
    folders = [
        (path.parent, re.search(r"^output_folder: (.*)$", path.read_text(), re.M)[1])
        for path in RECIPES.glob("**/hparams/*.yaml")
    ]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("path", sorted(FRONT_ENDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_front_end_names_its_pre_trained_weights_and_size(path, tmp_path):
    if path.stem.endswith("filter_bank"):  # nothing to train
        return
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"front_end: !include:{path}\nsource: !ref <front_end[weights_source]>\nsize: !ref <front_end[hidden_size]>\n"
    )
    with torch.device("meta"):
        hparams = load_hparams(recipe)
    assert re.fullmatch(r"(facebook|microsoft|openai)/[\w.-]+", hparams["source"])
    assert hparams["size"] == hparams["front_end"].model.config.hidden_size


@pytest.mark.parametrize(
    ("recipe", "start", "expected"),
    [
        ("ASVspoof2019-LA/hparams/fine_tuning.yaml", "facebook/mms-300m", "CC-BY-NC-4.0"),
        ("ASVspoof5/hparams/fine_tuning.yaml", "facebook/mms-300m", "CC-BY-NC-4.0"),
        ("ASVspoof5/hparams/fine_tuning.yaml", "facebook/wav2vec2-xls-r-1b", "ODC-By-1.0"),
        *(
            (f"Deepfake-Eval-2024/FineTuning/hparams/{name}.yaml", start, "CC-BY-NC-SA-4.0")
            for name in ("fine_tuning", "grpo")
            for start in ("nii-yamagishilab/mms-300m-anti-deepfake", "facebook/mms-300m")
        ),
        ("AntiDeepfake/PostTraining/hparams/post_training.yaml", "facebook/mms-300m", "CC-BY-NC-SA-4.0"),
    ],
)
def test_the_license_of_a_recipe_and_its_start_is_the_strictest(recipe, start, expected):
    own = re.search(r"^license: (\S+)", (RECIPES / recipe).read_text(), re.MULTILINE)[1]
    assert combine_licenses({recipe: own, start: find_license(start)}) == expected


def test_every_recipe_states_an_spdx_id_or_that_it_is_unknown():
    stated = {
        path.parts[-3]: re.search(r"^license: (\S+) ", path.read_text(), re.MULTILINE)[1]
        for path in RECIPES.glob("**/hparams/*.yaml")
    }
    assert stated and all(name == "unknown" or find_spdx(name) == name for name in stated.values()), stated
