"""antideepfake convert: from a released detector to scores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
import yaml
from huggingface_hub.utils import filter_repo_objects

from antideepfake.checkpoints.conversion import DETECTOR
from antideepfake.files import lock_output
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import MeanPooling, UtteranceEncoder, WavLM
from antideepfake.model_folder import ModelMetadata
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.scoring import read_provenance, read_scores
from antideepfake.scoring.embeddings import read_embeddings
from antideepfake.training.adaptation import add_lora, merge_lora
from antideepfake.training.adapter import write_adapter

ROOT = Path(__file__).parents[2]
PARITY = ROOT / "tests" / "fixtures" / "parity"


@pytest.fixture
def convert(command):
    """Run ``antideepfake convert SOURCE --output OUTPUT``."""

    def run(source, output, *options):
        return command("convert", source, "--output", output, *options)

    return run


def test_a_released_detector_becomes_a_model_folder(convert, tmp_path):
    source = tmp_path / "mms_300m_anti_deepfake.ckpt"
    source.write_bytes((PARITY / "layernorm.ckpt").read_bytes())
    status, out, err = convert(source, tmp_path / "model", "--num_attention_heads", 4)
    assert status == 0 and err == ""
    assert "95 tensors: 87 used, 8 left out" in out and "codebook" in out
    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert metadata["threshold"] == 0.0 and "as published" in metadata["threshold_source"]
    assert len(metadata["training_corpora"]) == 29 and metadata["license"] == "CC-BY-NC-SA-4.0"
    assert metadata["provenance"].startswith("nii-yamagishilab/mms-300m-anti-deepfake (Ge, Wang")
    assert "converted from mms_300m_anti_deepfake.ckpt (SHA-256 " in metadata["provenance"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["license"] == "cc-by-nc-sa-4.0"

    detector = load_detector(tmp_path / "model")
    waves = safetensors.torch.load_file(PARITY / "waves.safetensors")
    expected = safetensors.torch.load_file(PARITY / "layernorm.expected.safetensors")
    items = [(waves[f"wave{index}"], 16000) for index in range(3)]
    for index, result in enumerate(detector.score_files(items)):
        # the waves are normalized already; once more changes them by a hundred-thousandth
        np.testing.assert_allclose(result.logits, expected[f"logits{index}"], atol=1e-4)
        np.testing.assert_allclose(result.embedding, expected[f"pooled{index}"], atol=1e-4)

    status, _, err = convert(source, tmp_path / "model", "--num_attention_heads", 4)
    assert status == 2 and "--overwrite" in err


def test_an_unknown_detector_gets_no_corpora_and_no_license(convert, tmp_path):
    status, _, err = convert(PARITY / "hubert.safetensors", tmp_path / "model", "--num_attention_heads", 4)
    assert status == 0 and "--published" in err
    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert metadata["training_corpora"] == [] and metadata["license"] == ""


def test_mistakes_are_reported_in_one_line_with_status_2(convert, tmp_path):
    state = safetensors.torch.load_file(PARITY / "groupnorm.safetensors")
    encoder = {name: value for name, value in state.items() if "proj_fc" not in name}
    safetensors.torch.save_file(encoder, tmp_path / "encoder.safetensors")
    torch.save({**state, "surprise": torch.ones(1)}, tmp_path / "surprise.pt")
    for source, told in {
        tmp_path / "nothing.ckpt": "no such file",
        PARITY / "groupnorm.safetensors": "number of attention heads",
        tmp_path / "encoder.safetensors": "not a detector",
        tmp_path / "surprise.pt": "unknown: surprise",
        PARITY / "waves.safetensors": "not a wav2vec 2.0",
    }.items():
        heads = [] if "heads" in told else ["--num_attention_heads", 4]
        status, _, err = convert(source, tmp_path / "model", *heads)
        assert status == 2 and told in err and "Traceback" not in err
        assert len(err.splitlines()) == 1 and not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def wavlm_folder(tmp_path_factory):
    """A model folder that transformers can express."""
    torch.manual_seed(1)
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    modules = {
        "embedding_model": UtteranceEncoder(WavLM(**settings), MeanPooling()),
        "classifier": torch.nn.Linear(16, 2),
    }
    folder = tmp_path_factory.mktemp("wavlm") / "model"
    write_model_folder(folder, DETECTOR.format(kind="WavLM", size=16), modules, ModelMetadata(license="MIT"))
    return folder


def test_a_model_folder_becomes_a_folder_of_transformers(convert, wavlm_folder, tmp_path):
    output = tmp_path / "out"
    status, out, err = convert(wavlm_folder, output, "--form", "transformers")
    assert status == 0 and err == "" and str(output) in out
    model = transformers.AutoModelForAudioClassification.from_pretrained(output)
    assert model.config.id2label == {0: "fake", 1: "real"}
    assert yaml.safe_load((output / "README.md").read_text().split("---")[1])["license"] == "mit"
    status, _, err = convert(wavlm_folder, output, "--form", "transformers")
    assert status == 2 and "--overwrite" in err
    assert convert(wavlm_folder, output, "--form", "transformers", "--overwrite")[0] == 0
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


def test_an_onnx_file_scores_like_its_model_folder_without_torch(convert, command, model_folder, tmp_path, make_corpus):
    model = tmp_path / "model.onnx"
    status, out, err = convert(model_folder, model, "--form", "onnx")
    assert status == 0 and err == "" and "largest difference" in out
    corpus = make_corpus(tmp_path / "corpus", speakers=2)
    arguments = ["score", model, corpus, "--output", tmp_path / "onnx.csv", "--embeddings", tmp_path / "onnx.parquet"]
    code = (
        "import sys; from antideepfake.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as left: assert not left.code\n"
        "assert 'onnxruntime' in sys.modules and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # a single recording starts without the libraries for tables, too
    heavy = {"torch", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "transformers", "speechbrain"}
    code = [*code.splitlines()[:3], f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"]
    command_line = [sys.executable, "-c", "\n".join(code), "score", str(model), str(corpus / "real/speaker0/0.wav")]
    alone = subprocess.run(command_line, capture_output=True, text=True)
    assert alone.returncode == 0 and "verdict" in alone.stdout, alone.stderr
    options = ("--output", tmp_path / "torch.csv", "--embeddings", tmp_path / "torch.parquet", "--device", "cpu")
    status, out, _ = command("score", model_folder, corpus, *options)
    assert status == 0 and out.replace("torch.csv", "onnx.csv") == done.stdout
    found, expected = (read_scores(tmp_path / name) for name in ("onnx.csv", "torch.csv"))
    np.testing.assert_allclose(found.pop("Score"), expected.pop("Score"), atol=1e-4)
    assert found.equals(expected) and len(found) == 8
    found, expected = (read_provenance(tmp_path / name) for name in ("onnx.csv", "torch.csv"))
    assert found.metadata == expected.metadata and found.windowing == expected.windowing
    assert found.weights.endswith("onnx")
    embeddings = [read_embeddings(tmp_path / name).values for name in ("onnx.parquet", "torch.parquet")]
    np.testing.assert_allclose(*embeddings, atol=1e-4)
    for options, told in ((("--device", "cuda"), "--device is cuda"), (("--precision", "bf16"), "--precision is for")):
        status, _, err = command("score", model, corpus, "--output", tmp_path / "a.csv", *options)
        assert status == 2 and told in err
    status, out, _ = command("info", model)
    assert status == 0 and "0.25" in out and "ONNX file" in out


def test_an_adapter_is_merged_into_its_base(convert, wavlm_folder, tmp_path, rng):
    detector = load_detector(wavlm_folder)
    add_lora(detector.mods["embedding_model"].front_end, rank=2)
    with torch.no_grad():
        for name, weight in detector.mods.named_parameters():
            if "lora_B" in name or "classifier" in name:
                weight += 0.3 * torch.randn(weight.shape)
    write_adapter(tmp_path / "adapter", detector.mods, ModelMetadata(threshold=0.75))
    status, out, err = convert(wavlm_folder, tmp_path / "merged", "--adapter", tmp_path / "adapter")
    assert status == 0 and err == "" and str(tmp_path / "merged") in out
    assert convert(wavlm_folder, tmp_path / "hf", "--adapter", tmp_path / "adapter", "--form", "transformers")[0] == 0

    merge_lora(detector.mods["embedding_model"])
    items = [(rng.standard_normal(9000), 16000)]
    merged, base = load_detector(tmp_path / "merged"), load_detector(wavlm_folder)
    (expected,), (found,), (other,) = (model.score_files(items) for model in (detector, merged, base))
    assert found.logits == pytest.approx(expected.logits, abs=1e-5)
    assert found.logits != pytest.approx(other.logits, abs=0.01)
    assert merged.metadata.threshold == 0.75


def test_options_of_other_forms_are_refused(convert, model_folder, tmp_path):
    for options, told in (
        (("--form", "transformers", "--quantize", "int8"), "--quantize is for --form onnx"),
        (("--form", "onnx", "--push", "someone/model"), "--push uploads a folder"),
    ):
        status, _, err = convert(model_folder, tmp_path / "out.onnx", *options)
        assert status == 2 and told in err and not (tmp_path / "out.onnx").exists()


def test_forms_for_other_software_need_a_model_folder(convert, model_folder, tmp_path):
    for source, options, told in (
        (model_folder, (), "LogFilterBank, ConvolutionalEncoder, Linear"),
        (PARITY / "hubert.safetensors", (), "not a model folder"),
        (model_folder, ("--num_attention_heads", 4), "--num_attention_heads describes a released checkpoint"),
    ):
        status, _, err = convert(source, tmp_path / "out", "--form", "transformers", *options)
        assert status == 2 and told in err and len(err.splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_push_uploads_a_private_repository_with_a_card(convert, tmp_path, monkeypatch):
    calls = []

    class Api:
        def create_repo(self, repo_id, private, exist_ok):
            calls.append(("create", repo_id, private, exist_ok))

        def upload_folder(self, repo_id, folder_path, ignore_patterns):
            files = filter_repo_objects(os.listdir(folder_path), ignore_patterns=ignore_patterns)
            calls.append(("upload", repo_id, sorted(files)))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    source = str(PARITY / "hubert.safetensors")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / ".model.elsewhere.1.part.safetensors").touch()  # of a killed run on another computer
    options = ("--num_attention_heads", 4, "--push", "someone/detector")
    status, out, _ = convert(source, tmp_path / "model", *options)
    assert status == 0
    files = ["README.md", "config.json", "hyperparams.yaml", "label_encoder.txt", "metadata.json", "model.safetensors"]
    assert calls == [("create", "someone/detector", True, True), ("upload", "someone/detector", files)]
    assert 'load_detector("someone/detector")' in (tmp_path / "model" / "README.md").read_text()
    assert "private" in out


def test_a_killed_conversion_is_resumed(convert, tmp_path):
    arguments = [PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", 4]
    assert convert(*arguments)[0] == 0
    for name in ("hyperparams.yaml", "config.json", "README.md"):  # what a kill before the end leaves
        (tmp_path / "model" / name).unlink()
    assert convert(*arguments)[0] == 0
    load_detector(tmp_path / "model")


def test_a_folder_with_other_files_is_kept(convert, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").touch()
    status, _, err = convert(PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", 4)
    assert status == 2 and "model: already exists; choose another --output or pass --overwrite" in err


def test_two_conversions_into_one_folder_are_refused(convert, tmp_path):
    with lock_output(tmp_path / "model"):
        status, _, err = convert(PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", 4)
    assert status == 2 and "another run is writing it" in err


@pytest.mark.parametrize("heads", [-4, 0, 5])
def test_impossible_numbers_of_heads_are_refused(convert, tmp_path, heads):
    status, _, err = convert(PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", heads)
    assert status == 2 and "num_attention_heads" in err and len(err.splitlines()) == 1
