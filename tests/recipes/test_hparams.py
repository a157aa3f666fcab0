"""What holds for the YAML of every recipe."""

from pathlib import Path

import pytest
import torch

from antideepfake.training import load_hparams

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(
    "path", sorted(RECIPES.glob("**/hparams/*.yaml")), ids=lambda path: str(path.relative_to(RECIPES))
)
def test_the_seed_reaches_the_first_weights(path, tmp_path, tiny_front_end):
    """Runs with one seed would begin from different weights, and those with others from the same."""

    def weights(seed):
        torch.rand(seed)  # whatever was drawn before
        overrides = f"data_folder: {tmp_path}\noutput_folder: {tmp_path}\nseed: {seed}\nstart_from: null"
        if "pretrained" in path.read_text() or "nii-yamagishilab" in path.read_text():
            overrides += f"\nfront_end: !include:{tiny_front_end}"
        hparams = load_hparams(path, overrides)
        return torch.cat([weight.flatten() for weight in torch.nn.ModuleDict(hparams["modules"]).parameters()])

    first, again, other = weights(1), weights(1), weights(2)
    assert torch.equal(first, again) and not torch.equal(first, other)
