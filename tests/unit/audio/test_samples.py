"""The one path from a file to samples, in numpy."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from antideepfake.audio.recording import Recording
from antideepfake.audio.samples import Resampler, SilentError, normalize, stream_file, trace_envelope
from antideepfake.errors import InputError


def _resample(signal, rate):
    resampler = Resampler(rate)
    return np.concatenate([resampler.push(signal), resampler.finish()])


@pytest.mark.parametrize("rate", [8000, 11025, 15990, 22050, 44100, 48000, 192_000, 384_001])
@pytest.mark.parametrize("size", [20_000, 20_001, 33_333])
def test_resampling_by_chunks_gives_the_same(monkeypatch, rate, size):
    signal = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    whole = _resample(signal, rate)
    monkeypatch.setattr("antideepfake.audio.samples.FILTERED", 9000)
    np.testing.assert_allclose(_resample(signal, rate), whole, atol=1e-5)


RESAMPLE = """
import hashlib, numpy
from antideepfake.audio.samples import Resampler
resampler = Resampler(44100)
print(hashlib.sha256(resampler.push(numpy.random.default_rng(1).standard_normal(200_000, numpy.float32))).hexdigest())
"""


def test_the_number_of_threads_has_no_influence():
    """Guards against samples that depend on the machine, and against as many threads as cores in every reader."""
    prints = {
        subprocess.run(
            [sys.executable, "-c", RESAMPLE],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
        ).stdout
        for threads in ("1", "2", "5")
    }
    assert len(prints) == 1


def test_products_elsewhere_keep_their_threads():
    blas = ThreadpoolController().select(user_api="blas")
    with blas.limit(limits=2):
        before = [library["num_threads"] for library in blas.info()]
        _resample(np.ones(44100, np.float32), 44100)
        assert [library["num_threads"] for library in blas.info()] == before


@given(st.floats(0.1, 30), st.floats(-3, 3), st.integers(2, 3000))
def test_normalized_has_no_level_and_no_offset(gain, offset, size):
    signal = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    signal = signal / signal.std()
    result = normalize(gain * signal + offset)
    assert result.dtype == np.float32 and abs(result.mean()) < 1e-3
    assert result.std() == pytest.approx(1, abs=2e-3)
    np.testing.assert_allclose(result, normalize(signal), atol=5e-3)


@pytest.mark.parametrize("level", [1.0, 0.01, 1e-4])
def test_normalization_is_that_of_torch(rng, level):
    signal = (level * (rng.standard_normal(50_000) + 0.5)).astype(np.float32)
    expected = torch.nn.functional.layer_norm(torch.from_numpy(signal), signal.shape)
    np.testing.assert_allclose(normalize(signal), expected, atol=1e-5)


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, 30_000), max_size=10), rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000])
)
def test_resampling_does_not_depend_on_the_blocks(cuts, rate):
    signal = np.random.default_rng(rate).standard_normal(30_000).astype(np.float32)
    resampler = Resampler(rate)
    blocks = [resampler.push(part) for part in np.split(signal, sorted(cuts))]
    joined = np.concatenate([*blocks, resampler.finish()])
    expected = torchaudio.functional.resample(torch.from_numpy(signal), rate, 16000)
    np.testing.assert_allclose(joined, expected, atol=1e-5)


def test_one_channel_of_a_file(tmp_path, write_audio):
    left, right = 0.1 * np.random.default_rng(1).standard_normal((2, 8000))
    path = write_audio(tmp_path / "a.wav", np.stack([left, right], 1), subtype="FLOAT")
    for channel, expected in enumerate((left, right)):
        np.testing.assert_allclose(np.concatenate(list(stream_file(Recording(path, channel)))), expected, atol=1e-7)
    with pytest.raises(InputError, match="has no channel 3; it has 2"):
        list(stream_file(Recording(path, 2)))


def test_a_channel_is_judged_by_itself(tmp_path, write_audio):
    """Guards against refusing a good channel because another one is silent or cancels it."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(8000)
    path = write_audio(tmp_path / "a.wav", np.stack([noise, -noise, 0 * noise], 1))
    assert len(np.concatenate(list(stream_file(Recording(path, 0))))) == 8000
    with pytest.raises(SilentError):
        list(stream_file(Recording(path, 2)))


def test_the_envelope_has_the_extremes_of_each_part(tmp_path, write_audio):
    samples = np.concatenate([np.full(4000, 0.25), np.full(4000, -0.5)])
    samples[10], samples[7000] = -0.75, 0.125
    path = write_audio(tmp_path / "a.wav", samples, subtype="FLOAT")
    np.testing.assert_allclose(trace_envelope(Recording(path), 0.5, 2), [[-0.75, 0.25], [-0.5, 0.125]])


def test_reading_audio_needs_no_torch(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav", rate=8000)
    code = (
        "import sys; from antideepfake.audio.samples import Recording, stream_file\n"
        f"assert sum(map(len, stream_file(Recording({str(path)!r})))) == 8000\n"
        "from antideepfake.audio.speech import SpeechActivity\n"
        "import numpy; SpeechActivity().push(numpy.zeros(600, numpy.float32))\n"
        "import antideepfake.inference.recordings\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
