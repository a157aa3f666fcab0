"""A fixed length: the first samples, or the utterance again and again."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from speechbrain.inference.classifiers import EncoderClassifier

from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import FixedLength, LogFilterBank, MeanPooling, UtteranceEncoder
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=4), more=st.integers(0, 50))
def test_utterances_are_cut_or_repeated_without_padding(lengths, more):
    longest = max(lengths) + more
    waveforms = [torch.randn(length) for length in lengths]
    batch = torch.full((len(lengths), longest), float("nan"))
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    found, relative = FixedLength(64)(batch, torch.tensor(lengths) / longest)
    assert relative.tolist() == [1.0] * len(lengths)
    for row, waveform in zip(found, waveforms, strict=True):
        assert torch.equal(row, waveform.repeat(64 // len(waveform) + 1)[:64])


def test_the_published_length_is_the_default():
    assert FixedLength()(torch.randn(1, 64600), torch.ones(1))[0].shape == (1, 64600)


def test_a_length_below_one_is_an_error():
    with pytest.raises(InputError, match="n_samples is 0"):
        FixedLength(0)


def test_what_is_beyond_the_length_has_no_influence():
    encoder = UtteranceEncoder(LogFilterBank(20), MeanPooling(), fixed_length=FixedLength(4000))
    waveforms = torch.randn(2, 9000)
    cut = encoder(waveforms[:, :4000], torch.ones(2))
    torch.testing.assert_close(encoder(waveforms, torch.ones(2)), cut)


def test_a_model_folder_keeps_the_length(tmp_path, make_modules, detector_yaml, rng):
    modules = make_modules()
    modules["embedding_model"].fixed_length = FixedLength(80_000)  # longer than the largest size of a layer
    settings = detector_yaml + "fixed_length: !new:antideepfake.lobes.FixedLength\n    n_samples: 80000\n"
    write_model_folder(tmp_path, settings, modules, ModelMetadata())
    detector = load_detector(tmp_path)
    assert detector.min_samples == 1 and detector.frame_seconds is None
    short, long = rng.standard_normal(100), rng.standard_normal(9000)  # the first is shorter than a frame
    together = [result.score for result in detector.score_files([(short, 16000), (long, 16000)])]
    alone = [next(detector.score_files([(signal, 16000)])).score for signal in (short, long)]
    assert together == pytest.approx(alone, abs=1e-5)
    theirs = EncoderClassifier.from_hparams(source=str(tmp_path), savedir=None)
    assert theirs.mods["embedding_model"].fixed_length.n_samples == 80_000
