"""The wheel, installed without its dependencies beside those of this environment, in a folder without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
PARITY = ROOT / "tests" / "fixtures" / "parity"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The scripts of an environment that has the wheel, and the packages of this one by a path file."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("antideepfake", "hparams", "recipes"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("results", "__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    offline = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, folder / "source"]
    subprocess.run(build, check=True)
    [wheel] = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True)
    python = folder / "environment" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", *offline, wheel], check=True)
    names = {"base": str(folder / "environment"), "platbase": str(folder / "environment")}
    packages = Path(sysconfig.get_path("purelib", vars=names))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    shutil.rmtree(folder / "source")
    return folder / "environment" / "bin"


@pytest.fixture
def run(installed, tmp_path):
    """Run the installed script from an empty folder; gives the finished process."""
    (tmp_path / "empty").mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}

    def run(*arguments, status=0):
        done = subprocess.run(
            [installed / "antideepfake", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path / "empty",
            env=environment,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@pytest.mark.slow
def test_the_package_is_typed_and_complete(installed, run):
    [package] = (installed.parent / "lib").glob("python*/site-packages/antideepfake")
    assert (package / "py.typed").exists()
    for folder, pattern in (
        ("hparams", "*.yaml"),
        ("hparams", "*/*.yaml"),
        ("recipes", "*/corpus.yaml"),
        ("recipes", "*/*_prepare.py"),
        ("recipes/MiniCorpus", "*.py"),
        ("antideepfake/page", "page.*"),
        ("antideepfake/page", "*.html"),
    ):
        source, inside = ROOT / folder, package / folder.removeprefix("antideepfake/")
        here = {path.relative_to(source) for path in source.glob(pattern)}
        assert here and here == {path.relative_to(inside) for path in inside.glob(pattern)}
    assert not (package / "tests").exists() and not (package / "cli" / "tests").exists()
    assert "score" in run("--help").stdout


@pytest.mark.slow
def test_from_a_corpus_and_a_released_detector_to_a_report(run, tmp_path):
    corpus = tmp_path / "data" / "In-the-Wild" / "release_in_the_wild"
    corpus.mkdir(parents=True)
    lines = ["file,speaker,label"]
    for number in range(6):
        soundfile.write(corpus / f"{number}.wav", 0.1 * np.random.default_rng(number).standard_normal(8000), 16000)
        lines.append(f"{number}.wav,ann,{'spoof' if number % 2 else 'bona-fide'}")
    (corpus / "meta.csv").write_text("\n".join(lines) + "\n")
    protocol = tmp_path / "data" / "In-the-Wild.csv"
    data = ("--data_folder", tmp_path / "data")
    run("prepare", "In-the-Wild", *data, "--output", protocol, "--quiet")

    shutil.copy(PARITY / "layernorm.ckpt", tmp_path / "mms_300m_anti_deepfake.ckpt")
    checkpoint = tmp_path / "mms_300m_anti_deepfake.ckpt"
    done = run("convert", checkpoint, "--output", "model", "--num_attention_heads", 4)
    assert "trained on 29 corpora" in done.stdout

    run("score", "model", protocol, *data, "--quiet")
    done = run("evaluate", "scores.csv", "--by", "Corpus", "--output", "report", "--quiet")
    assert "In-the-Wild" in done.stdout and "WARNING" not in done.stderr
    assert json.loads((tmp_path / "empty" / "report" / "metrics.json").read_text())["groups"]["Corpus"]

    empty = tmp_path / "empty"
    (empty / "seen.csv").write_text((empty / "scores.csv").read_text().replace("ItW-", "DFADD-"))
    shutil.copy(empty / "scores.csv.json", empty / "seen.csv.json")
    assert "SAME CORPUS: DFADD" in run("evaluate", "seen.csv", "--quiet").stderr

    (empty / "dfadd.csv").write_text(protocol.read_text().replace("ItW-", "DFADD-"))
    run("merge", protocol, "dfadd.csv", "--output", "union", "--quiet")
    assert sorted(os.listdir(empty / "union")) == ["merge.report.json", "test.csv", "train.csv"]
