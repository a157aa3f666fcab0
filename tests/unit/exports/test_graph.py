"""The graph of a detector: the scores of the detector, for any batch."""

import numpy as np
import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.exports.graph import DetectorGraph, make_front_end_graph
from antideepfake.lobes import (
    ECAPA,
    MHFA,
    SEA,
    SLS,
    AttentiveStatisticsPooling,
    FixedLength,
    FrameLevel,
    LayerWeightedMeanPooling,
    Nes2Net,
    OneClassClassifier,
    StatisticsPooling,
)

ENCODERS = ["wav2vec 2.0 Base", "wav2vec 2.0 Large", "HuBERT Base", "WavLM Base", "WavLM Large", "w2v-BERT", "Whisper"]


@torch.no_grad()
def check(detector, recordings):
    """Compare with the detector in one batch, padded with NaN, and each recording alone."""
    results = list(detector.score_files([(recording, 16000) for recording in recordings]))
    expected = torch.tensor([result.logits for result in results])
    assert expected.std(0).max() > 1e-3
    lengths = torch.tensor([len(recording) for recording in recordings])
    batch = torch.full((len(recordings), int(lengths.max()) + 77), torch.nan)
    for row, recording in zip(batch, recordings, strict=True):
        row[: len(recording)] = torch.from_numpy(recording)
    graph = DetectorGraph(detector).eval()
    logits, embeddings, *frames = graph(batch, lengths)
    torch.testing.assert_close(logits, expected, atol=5e-5, rtol=0)
    np.testing.assert_allclose(embeddings, np.stack([result.embedding for result in results]), atol=1e-4)
    alone = torch.cat([graph(row[None, :length], length[None])[0] for row, length in zip(batch, lengths, strict=True)])
    torch.testing.assert_close(alone, expected, atol=5e-5, rtol=0)
    assert bool(frames) == (detector.frame_seconds is not None)
    if frames:
        for scores, count, recording in zip(*frames, recordings, strict=True):
            (output,) = detector.score_batch([recording], needs_frames=True)
            np.testing.assert_allclose(scores[:count], output.frames, atol=1e-4)


@pytest.mark.parametrize("name", ["filter bank", *ENCODERS])
def test_logits_are_those_of_the_detector_in_any_batch(name, make_detector, recordings):
    check(make_detector(name), recordings)


@pytest.mark.parametrize("name", ["HuBERT Base", "WavLM Large", "Whisper"])
@pytest.mark.parametrize(
    "back_end", [StatisticsPooling(3), AttentiveStatisticsPooling(16, 3), LayerWeightedMeanPooling(3)]
)
def test_all_layers_reach_the_back_end(name, back_end, make_detector, recordings):
    check(make_detector(name, back_end, all_layers=True), recordings)


def test_a_one_class_classifier(make_detector, recordings):
    check(make_detector("Whisper", StatisticsPooling(), classifier=OneClassClassifier(32)), recordings)


@pytest.mark.parametrize("name", ["filter bank", "Whisper"])
def test_a_fixed_length(name, make_detector, recordings):
    detector = make_detector(name)
    detector.mods["embedding_model"].fixed_length = FixedLength(9000)
    check(detector, recordings)


HEADS = {
    "frames": (FrameLevel(16, 3), None, None),
    "MHFA": (MHFA(3, 16, 4, 6, 16), None, None),
    "Nes2Net-X": (Nes2Net(16, 2, 4, stacked=True), SEA(3), None),
    "SLS": (SLS(16, n_frames=28, embedding_size=16), None, FixedLength(9000)),
}


@pytest.mark.parametrize("name", HEADS)
def test_back_ends_of_all_layers(name, make_detector, recordings):
    back_end, aggregation, fixed_length = HEADS[name]
    detector = make_detector("Whisper", back_end, all_layers=True)
    encoder = detector.mods["embedding_model"]
    encoder.layer_aggregation, encoder.fixed_length = aggregation, fixed_length
    check(detector, recordings)


def test_ecapa(make_detector, recordings):
    check(make_detector("Whisper", ECAPA(16, channels=16, embedding_size=16)), recordings)


def test_an_unknown_front_end_is_refused():
    with pytest.raises(InputError, match="Identity has no form in ONNX"):
        make_front_end_graph(torch.nn.Identity())
