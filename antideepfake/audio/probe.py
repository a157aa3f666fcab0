"""Read the protocol columns of a recording from its header."""

import os
from typing import Any

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.headers import Header, read_header
from antideepfake.errors import InputError


def probe(path: str | os.PathLike) -> dict[str, Any]:
    """Read the header of an audio file and check that the file is complete.

    Arguments
    ---------
    path : str or Path
        An audio file, see :func:`open_audio`.

    Returns
    -------
    dict
        The protocol columns Duration (seconds, two decimals), SampleRate (Hz), AudioChannel, AudioEncoding and
        AudioBitSample (0 for lossy codecs).

    Raises
    ------
    InputError
        As :func:`open_audio`; also when the last sample cannot be read.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [0.0] * 8000, 16000)
    >>> probe(path)
    {'Duration': 0.5, 'SampleRate': 16000, 'AudioChannel': 1, 'AudioEncoding': 'PCM_S', 'AudioBitSample': 16}
    """
    frames, sample_rate, channels, encoding, bits = read_header(path) or _decode_end(path)
    return {
        # durations in a protocol are above 0, so a file of a few samples must not be rounded to 0
        "Duration": max(round(frames / sample_rate, 2), 0.01),
        "SampleRate": sample_rate,
        "AudioChannel": channels,
        "AudioEncoding": encoding,
        "AudioBitSample": bits,
    }


def _decode_end(path: str | os.PathLike) -> Header:
    """Read the header with a decoder, for files that :func:`read_header` cannot read."""
    with open_audio(path) as file:
        is_declared = file.known_frames is not None
        frames = file.count_frames()
        if is_declared and not any(len(block) for block in file.blocks(max(frames - 1 - file.tolerance, 0))):
            raise InputError(f"{path}: damaged or truncated; its end cannot be read")
        return Header(frames, file.samplerate, file.channels, file.encoding, file.bits)
