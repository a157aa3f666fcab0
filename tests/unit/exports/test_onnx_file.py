"""ONNX files: the scores of the detector, in ONNX Runtime."""

import json

import numpy as np
import onnx
import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.exports.onnx_file import write_onnx
from antideepfake.inference.onnx_detector import load_onnx_detector
from antideepfake.lobes import (
    ECAPA,
    SEA,
    FixedLength,
    FrameLevel,
    LayerStatistics,
    LayerWeightedMeanPooling,
    Nes2Net,
    SpectralFineStructure,
    StatisticsPooling,
)
from antideepfake.lobes.whisper import LONGEST
from antideepfake.model_folder import fit_ood_detector
from antideepfake.model_folder.windowing import WHOLE


def logits(detector, recordings):
    return np.array([result.logits for result in detector.score_files([(samples, 16000) for samples in recordings])])


def compare(detector, path, recordings):
    expected, found = logits(detector, recordings), logits(load_onnx_detector(path), recordings)
    assert expected.std(0).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4)


def check(detector, path, recordings):
    assert write_onnx(path, detector) < 1e-4
    compare(detector, path, recordings)


@pytest.mark.slow
def test_whisper_with_statistics_of_some_layers_beside_a_second_branch(make_detector, recordings, tmp_path):
    detector = make_detector("Whisper", LayerStatistics([0, 2], 16), True, torch.nn.Linear(64 + 128, 2))
    detector.mods["embedding_model"].second_branch = SpectralFineStructure().eval()
    check(detector, tmp_path / "a.onnx", recordings)
    model = onnx.load(tmp_path / "a.onnx")
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("STFT") == 1  # of the second branch, instead of 4 MB of sines and cosines
    assert "IsNaN" not in operators  # of torch's own attention


@pytest.fixture(scope="module")
def whisper(make_detector, tmp_path_factory):
    """A detector on Whisper with statistics of all layers, and its file."""
    detector = make_detector("Whisper", StatisticsPooling(3), all_layers=True)
    path = tmp_path_factory.mktemp("onnx") / "whisper.onnx"
    assert write_onnx(path, detector) < 1e-4
    return detector, path


@pytest.mark.slow
def test_whisper_with_statistics_of_all_layers(whisper, recordings):
    compare(*whisper, recordings)


# One encoder for each kind of normalization; test_graph.py has all encoders.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["HuBERT Base", "WavLM Large"])
def test_encoders_with_mean_pooling(name, make_detector, recordings, tmp_path):
    check(make_detector(name), tmp_path / "a.onnx", recordings)


@pytest.mark.slow
def test_w2v_bert_with_a_weighting_of_layers(make_detector, recordings, tmp_path):
    check(make_detector("w2v-BERT", LayerWeightedMeanPooling(3), all_layers=True), tmp_path / "a.onnx", recordings)


@pytest.mark.slow
def test_nes2net_with_an_aggregation_of_layers_and_a_fixed_length(make_detector, recordings, tmp_path):
    detector = make_detector("Whisper", Nes2Net(16, 2, 4, stacked=True), all_layers=True)
    encoder = detector.mods["embedding_model"]
    encoder.layer_aggregation, encoder.fixed_length = SEA(3), FixedLength(9000)
    check(detector, tmp_path / "a.onnx", recordings)


@pytest.mark.slow
def test_whisper_with_ecapa(make_detector, recordings, tmp_path):
    check(make_detector("Whisper", ECAPA(16, channels=16, embedding_size=16)), tmp_path / "a.onnx", recordings)


@pytest.mark.slow
def test_whisper_with_scores_of_segments(make_detector, recordings, tmp_path):
    detector = make_detector("Whisper", FrameLevel(16, 3), all_layers=True)
    check(detector, tmp_path / "a.onnx", recordings)
    models = detector, load_onnx_detector(tmp_path / "a.onnx")
    outputs = (model.score_batch(recordings, needs_frames=True) for model in models)
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(other.frames, one.frames, atol=1e-4)


@pytest.fixture(scope="module")
def filter_bank(make_detector, tmp_path_factory):
    """A detector with all that a model folder can have, and its file."""
    detector = make_detector(
        "filter bank",
        threshold=0.25,
        license="MIT",
        provenance="trained on Mini",
        calibration={"method": "logistic", "weights": [2.0], "offset": 0.5},
        windows={"utterance_seconds": 3.0, "window_seconds": 1.0, "hop_seconds": 0.5, "aggregate": "max"},
    )
    detector.ood_detector = fit_ood_detector(np.random.default_rng(1).standard_normal((50, 8)))
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert write_onnx(path, detector) < 1e-4
    return detector, path


def test_results_are_those_of_the_model_folder(filter_bank, recordings):
    detector, path = filter_bank
    long = np.concatenate(recordings)
    items = [(samples, 16000) for samples in [*recordings, long]]
    expected, found = (list(one.score_files(items, timeline=True)) for one in (detector, load_onnx_detector(path)))
    assert expected[-1].windows > 3
    for one, other in zip(found, expected, strict=True):
        assert (one.windows, one.decision, one.is_ood, one.speech) == (
            other.windows,
            other.decision,
            other.is_ood,
            other.speech,
        )
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.probability == pytest.approx(other.probability, abs=1e-4)
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-4)
        np.testing.assert_allclose(one.timeline.scores, other.timeline.scores, atol=1e-4)


@pytest.mark.parametrize(("setting", "threads"), [("3", 3), ("", 0), ("2,1", 0)])
def test_the_number_of_threads_is_that_of_the_environment(filter_bank, monkeypatch, setting, threads):
    """Guards against processes that take each other's cores; 0 means all."""
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    session = load_onnx_detector(filter_bank[1])._session
    assert session.get_session_options().intra_op_num_threads == threads


def test_metadata_can_be_read_by_any_program(filter_bank):
    _, path = filter_bank
    model = onnx.load(path)
    values = {entry.key: entry.value for entry in model.metadata_props}
    assert (values["threshold"], values["classes"], values["sample_rate"]) == ("0.25", "fake,real", "16000")
    assert (values["license"], values["provenance"]) == ("MIT", "trained on Mini")
    assert json.loads(values["windowing"])["aggregate"] == "max"
    assert {value.name for value in model.graph.input} == {"samples", "lengths"}
    assert [value.name for value in model.graph.output] == ["logits", "embeddings"]


def test_a_file_that_is_not_of_this_package_is_refused(tmp_path, filter_bank):
    (tmp_path / "text.onnx").write_text("no network")
    model = onnx.load(filter_bank[1])
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    for name, told in (("missing", "no such file"), ("text", "not a complete ONNX"), ("other", "not a detector of")):
        with pytest.raises(InputError, match=told):
            load_onnx_detector(tmp_path / f"{name}.onnx")


def test_damaged_metadata_are_refused(tmp_path, filter_bank):
    model = onnx.load(filter_bank[1])
    onnx.helper.set_model_props(model, {"format": "antideepfake 1", "metadata": '{"threshold": "high"}'})
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(InputError, match="the threshold is 'high'"):
        load_onnx_detector(tmp_path / "a.onnx")


@pytest.mark.slow
def test_quantized_weights_are_a_quarter_and_scores_stay_close(whisper, recordings, tmp_path):
    detector, path = whisper
    quantized = tmp_path / "int8.onnx"
    write_onnx(quantized, detector, "int8")
    types = [{tensor.data_type for tensor in onnx.load(file).graph.initializer} for file in (path, quantized)]
    assert onnx.TensorProto.INT8 not in types[0] and onnx.TensorProto.INT8 in types[1]
    full, rounded = map(load_onnx_detector, (path, quantized))
    assert full.weights_digest() != rounded.weights_digest()
    np.testing.assert_allclose(logits(rounded, recordings), logits(full, recordings), atol=0.1)
    alone = np.concatenate([logits(rounded, [samples]) for samples in recordings])
    np.testing.assert_allclose(logits(rounded, recordings), alone, atol=1e-6)
    items = [(np.tile(recordings[0], 150)[:samples], 16000) for samples in (LONGEST, LONGEST + 1)]
    whole, result = full.score_files(items, windowing=WHOLE)
    assert not whole.error and "takes at most 30 s, so leave out --whole" in result.error


def test_another_suffix_is_refused(make_detector, tmp_path):
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        write_onnx(tmp_path / "model", make_detector("filter bank"))
