"""The README and the pages of docs: code runs, commands are valid, links lead somewhere, and the site builds."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from antideepfake.cli.main import make_parser
from antideepfake.lobes.self_supervised import Wav2Vec2

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "recipes").rglob("*.md"),
]
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


def commands(page):
    """Give the command lines of a page: indented or in backticks, continued lines joined."""
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^    (.+)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)
    for line in lines:
        line = re.sub(r"^torchrun \S+ -m ", "", line.strip())
        if line.startswith("antideepfake ") and not re.search(r"VERB|CORPUS|\.\.\.|…", line):
            yield line.partition("  #")[0]


@pytest.fixture(scope="module")
def examples(tmp_path_factory, model_folder, write_audio):
    """A folder with what the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "models").mkdir()
    (folder / "models/mms-300m").symlink_to(model_folder)
    write_audio(folder / "a.wav")
    encoder = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    encoder.model.save_pretrained(folder / "facebook/mms-300m")
    return folder


@pytest.mark.parametrize("block", BLOCKS)
def test_python_example_runs(examples, monkeypatch, block):
    monkeypatch.chdir(examples)
    from antideepfake.inference import load_detector

    given = {
        "detector": load_detector("models/mms-300m"),
        "samples": np.random.default_rng(1).standard_normal(44100),
        "waveforms": torch.randn(2, 16000),
        "relative_lengths": torch.tensor([1.0, 0.5]),
        "__name__": "example",
    }
    exec(compile(block, "example", "exec"), given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_valid(page):
    parser = make_parser()
    for line in commands(page):
        words = shlex.split(line)[1:]
        if not all(re.fullmatch("[a-z-]+", word) for word in words):  # more than the name of a verb
            try:
                parser.parse_args(words)
            except SystemExit as left:
                assert not left.code, f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file(page):
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page}: {link}"


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        str(tmp_path / "doctrees"),
        "-D",  # without viewcode, whose pages of source code take as long as all others
        "extensions=myst_parser,sphinx.ext.autodoc,sphinx.ext.napoleon",
    ]
    done = subprocess.run([*command, str(ROOT / "docs"), str(tmp_path / "html")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "equal_error_rate" in (tmp_path / "html/api/metrics.html").read_text()
