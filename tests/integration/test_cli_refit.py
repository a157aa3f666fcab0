"""antideepfake refit: a new classifier for recordings that the model judges wrongly."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from antideepfake.inference.detector import load_detector
from antideepfake.lobes import OneClassClassifier
from antideepfake.model_folder import ModelMetadata, fit_ood_detector
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.protocol import write_protocol
from antideepfake.scoring import read_scores
from antideepfake.scoring.embeddings import read_embeddings


@pytest.fixture
def domain(command, model_folder, make_corpus, tmp_path):
    """Recordings of ten speakers with labels, scored by a model that knows nothing of them."""
    folder = make_corpus(tmp_path / "corpus", speakers=10)
    rows = []
    for path in sorted(folder.rglob("*.*")):
        label, speaker = path.parts[-3:-1]
        row = {"ID": f"mine-{label}-{speaker}-{path.stem}", "Label": label, "Path": str(path), "Speaker": speaker}
        row |= {"Duration": 0.5, "SampleRate": 16000, "AudioChannel": 1, "AudioBitSample": 16, "Proportion": "valid"}
        rows.append(row | {"Attack": "tone" if label == "fake" else "-", "AudioEncoding": "-", "Language": "-"})
    protocol = tmp_path / "protocol.csv"
    write_protocol(pd.DataFrame(rows), protocol)
    scores, embeddings = tmp_path / "scores.csv", tmp_path / "embeddings.parquet"
    arguments = (model_folder, protocol, "--output", scores, "--embeddings", embeddings, "--device", "cpu")
    assert command("score", *arguments)[0] == 0
    return protocol, scores, embeddings


def accuracy(table, threshold):
    return np.mean((table["Score"] >= threshold) == (table["Label"] == "real"))


def test_a_refit_judges_right_what_the_model_judges_wrong(command, model_folder, domain, tmp_path):
    protocol, scores, embeddings = domain
    output = tmp_path / "refit"
    status, out, err = command("refit", model_folder, embeddings, "--scores", scores, "--output", output)
    assert status == 0 and err == "" and "by cross-validation" in out
    assert command("score", output, protocol, "--output", tmp_path / "new.csv", "--device", "cpu")[0] == 0
    before, after = read_scores(scores), read_scores(tmp_path / "new.csv")
    metadata = json.loads((output / "metadata.json").read_text())
    assert accuracy(before, 0.25) < 0.8
    assert accuracy(after, metadata["threshold"]) > 0.95

    # the scores of the folder are those of the fit
    classifier = load_detector(output).mods["classifier"]
    logits = classifier(torch.tensor(read_embeddings(embeddings).values)).detach().double().numpy()
    np.testing.assert_allclose(after["Score"], logits[:, 1] - logits[:, 0], atol=1e-4)

    assert metadata["training_corpora"] == ["Mini", "mine"] and metadata["training_attacks"] == ["tone", "world"]
    assert "classifier refit" in metadata["provenance"] and "20 real, 20 fake" in metadata["provenance"]
    assert "no Speaker in two folds" in metadata["threshold_source"] and metadata["calibration"] is None
    assert (metadata["threshold_errors"]["real"], metadata["threshold_errors"]["fake"]) == (20, 20)
    assert sum(metadata["validation_scores"]["real"]) == 20
    (record,) = metadata["training_protocols"]
    assert record["utterances"] == 40 and record["corpora"] == ["mine"] and record["splits"] == ["valid"]
    assert "mine" in (output / "README.md").read_text()


def test_the_out_of_distribution_detector_is_kept(command, model_folder, domain, tmp_path):
    _, scores, embeddings = domain
    model = tmp_path / "model"
    detector = load_detector(model_folder)
    settings = (model_folder / "hyperparams.yaml").read_text()
    write_model_folder(model, settings, detector.mods, detector.metadata)
    fit_ood_detector(read_embeddings(embeddings).values).save(model / "out_of_distribution.safetensors")
    arguments = ("refit", model, embeddings, "--scores", scores, "--output", tmp_path / "refit")
    assert command(*arguments)[0] == 0
    kept = load_detector(tmp_path / "refit").ood_detector
    assert kept and kept.limit == load_detector(model).ood_detector.limit


def test_mistakes_are_reported_in_one_line(command, model_folder, make_modules, detector_yaml, domain, tmp_path):
    _, scores, embeddings = domain
    other, one_class = tmp_path / "other", tmp_path / "one_class"
    write_model_folder(other, detector_yaml, make_modules(2), ModelMetadata())
    modules = make_modules() | {"classifier": OneClassClassifier(16)}
    settings = detector_yaml.replace("torch.nn.Linear", "antideepfake.lobes.OneClassClassifier")
    write_model_folder(one_class, settings.replace("    out_features: 2\n", ""), modules, ModelMetadata())
    short = tmp_path / "short.csv"
    short.write_text("".join(scores.read_text().splitlines(keepends=True)[:-1]))
    for arguments, told in (
        ((other, embeddings, "--scores", scores), "scores of another model"),
        ((one_class, embeddings, "--scores", scores), "only a torch.nn.Linear"),
        ((model_folder, embeddings, "--scores", short), "not of the same run"),
        ((model_folder, embeddings, "--scores", scores, "--cluster", "Voice"), "--cluster is Voice"),
        ((model_folder, scores, "--scores", scores), "not a file of embeddings"),
    ):
        status, _, err = command("refit", *arguments, "--output", tmp_path / "refit")
        assert status == 2 and told in err and len(err.splitlines()) == 1
        assert not (tmp_path / "refit").exists()
    status, _, err = command("refit", model_folder, embeddings, "--scores", scores, "--output", model_folder)
    assert status == 2 and "the model itself" in err
