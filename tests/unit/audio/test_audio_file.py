"""Opening audio and decoding it in blocks."""

import numpy as np
import pytest

from antideepfake.audio import audio_file
from antideepfake.audio.audio_file import open_audio
from antideepfake.errors import InputError

RAMP = np.arange(1000) / 1024  # each sample is a fraction of a power of two, so 16 bits store it exactly


@pytest.mark.parametrize(
    ("start", "frames", "expected"),
    [(0, None, RAMP), (990, None, RAMP[990:]), (10, 5, RAMP[10:15]), (995, 50, RAMP[995:]), (1000, None, RAMP[:0])],
)
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_segment_has_the_samples_of_the_file(tmp_path, write_audio, monkeypatch, name, start, frames, expected):
    monkeypatch.setattr(audio_file, "BLOCK", 64)
    path = write_audio(tmp_path / name, np.stack([RAMP, -RAMP], axis=1))
    with open_audio(path) as file:
        blocks = list(file.blocks(start, frames))
    assert all(0 < len(block) <= 32 for block in blocks)  # 64 samples of two channels
    samples = np.concatenate([np.empty((0, 2)), *blocks])
    np.testing.assert_array_equal(samples, np.stack([expected, -expected], axis=1))


def test_the_number_of_samples_is_known(tmp_path, write_audio):
    with open_audio(write_audio(tmp_path / "a.wav", RAMP)) as file:
        assert (file.count_frames(), file.samplerate, file.channels) == (1000, 16000, 1)


def test_a_folder_and_files_without_audio_are_errors(tmp_path):
    (tmp_path / "empty.wav").touch()
    for path, message in [
        ("", "the file name is empty"),
        (tmp_path, "a folder, not an audio file"),
        (tmp_path / "empty.wav", "the file is empty"),
    ]:
        with pytest.raises(InputError, match=message):
            open_audio(path)
