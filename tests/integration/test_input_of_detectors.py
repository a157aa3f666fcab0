"""A detector whose waveforms are not normalized: training, scoring, SpeechBrain and ONNX give it the same samples."""

import numpy as np
import pandas as pd
import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.inference.classifiers import EncoderClassifier

from antideepfake.dataio.datasets import make_dataset
from antideepfake.exports.graph import DetectorGraph
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import AASIST, FixedLength, SincFilterBank, UtteranceEncoder, compute_logits
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.windowing import Windowing

SETTINGS = """
front_end: !new:antideepfake.lobes.SincFilterBank
back_end: !new:antideepfake.lobes.AASIST
    channels: [4, 6]
    graph_size: 6
    branch_size: 4
classifier: !new:torch.nn.Linear
    in_features: 20
    out_features: 2
fixed_length: !new:antideepfake.lobes.FixedLength
    n_samples: 16000
"""
SECOND = Windowing(utterance_seconds=1, window_seconds=1, hop_seconds=1)


@pytest.fixture(scope="module", params=[False, True])
def folder(request, tmp_path_factory):
    torch.manual_seed(1)
    back_end = AASIST(channels=[4, 6], graph_size=6, branch_size=4)
    encoder = UtteranceEncoder(SincFilterBank(), back_end, None, FixedLength(16000), normalize=request.param)
    with torch.no_grad():
        back_end.norm.weight.mul_(20)  # the magnitudes of filters are small
    modules = {"embedding_model": encoder.eval(), "classifier": torch.nn.Linear(20, 2)}
    path = tmp_path_factory.mktemp("model")
    write_model_folder(path, SETTINGS, modules, ModelMetadata())
    return path


@pytest.fixture
def file(tmp_path, rng, write_audio):
    """Half a second of noise far below full scale, with an offset."""
    return write_audio(tmp_path / "a.wav", 0.02 * rng.standard_normal(8000) + 0.01)


def test_every_route_gives_the_same_logits(folder, file):
    detector = load_detector(folder)
    (result,) = detector.score_files(file)
    expected = torch.tensor([result.logits])

    theirs = EncoderClassifier.from_hparams(source=str(folder), savedir=None)
    torch.testing.assert_close(theirs.classify_file(str(file), savedir=None)[0], expected, atol=1e-5, rtol=0)

    protocol = pd.DataFrame([{"ID": "a", "Label": "real", "Path": str(file), "Duration": 0.5}])
    normalized = detector.mods["embedding_model"].normalize
    batch = PaddedBatch([make_dataset(protocol, file.parent, normalized=normalized)[0]])
    with torch.no_grad():
        torch.testing.assert_close(compute_logits(detector.mods, *batch.waveform), expected, atol=1e-5, rtol=0)

    samples, lengths = torch.full((2, 9000), torch.nan), torch.tensor([8000, 9000])
    read = make_dataset(protocol, file.parent, normalized=False)[0]["waveform"]
    samples[0, :8000], samples[1] = read, 0.1 * torch.randn(9000)
    with torch.no_grad():
        logits = DetectorGraph(detector).eval()(samples, lengths)[0]
    torch.testing.assert_close(logits[:1], expected, atol=1e-5, rtol=0)

    (window,) = detector.stream([read], windowing=SECOND)
    torch.testing.assert_close(torch.tensor([window.logits]), expected, atol=1e-5, rtol=0)


def test_the_level_matters_only_without_normalization(folder, file, rng):
    detector = load_detector(folder)
    samples = rng.standard_normal(8000)
    first, second = (next(iter(detector.score_files([(gain * samples, 16000)]))).score for gain in (0.5, 0.05))
    if detector.mods["embedding_model"].normalize:
        assert first == pytest.approx(second, abs=1e-3)
    else:
        assert abs(first - second) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("folder", [False], indirect=True, ids=["not normalized"])
def test_an_onnx_file_gives_the_same_logits(folder, file, tmp_path):
    from antideepfake.exports.onnx_file import write_onnx
    from antideepfake.inference.onnx_detector import load_onnx_detector

    detector = load_detector(folder)
    assert write_onnx(tmp_path / "a.onnx", detector) < 1e-4
    exported = load_onnx_detector(tmp_path / "a.onnx")
    results = [next(iter(model.score_files(file))).logits for model in (detector, exported)]
    np.testing.assert_allclose(*results, atol=1e-5)
