"""Opening audio files, and reading their headers."""

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from antideepfake.errors import InputError
from antideepfake.protocol.headers import UNKNOWN_LENGTH, Header, read_header

# libsndfile's names of formats and encodings -> those of protocols (torchaudio's)
FORMAT_ENCODINGS = {"FLAC": "FLAC", "MP3": "MP3", "MPEG": "MP3"}
SUBTYPE_ENCODINGS = {
    "PCM_S8": ("PCM_S", 8),
    "PCM_U8": ("PCM_U", 8),
    "PCM_16": ("PCM_S", 16),
    "PCM_24": ("PCM_S", 24),
    "PCM_32": ("PCM_S", 32),
    "FLOAT": ("PCM_F", 32),
    "DOUBLE": ("PCM_F", 64),
    "ULAW": ("ULAW", 8),
    "ALAW": ("ALAW", 8),
    "VORBIS": ("VORBIS", 0),
    "OPUS": ("OPUS", 0),
    "GSM610": ("GSM", 0),
}


def open_audio(path: str | os.PathLike) -> soundfile.SoundFile:
    """Open an audio file, or say in one sentence why it cannot be opened.

    Arguments
    ---------
    path : str or Path
        Any format that libsndfile reads: wav, flac, mp3, ogg and others.

    Returns
    -------
    soundfile.SoundFile
        To be closed by the caller.

    Raises
    ------
    InputError
        When the file is missing, empty, not audio, without a sample, or a wav that ends before its header says.
    """
    path = Path(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:  # neither a protocol nor a score file could hold it
        raise InputError(f"{os.fsencode(path)!r}: the name of the file is not UTF-8; rename it") from None
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: a folder, not an audio file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, which has no header
        raise InputError(f"{path}: cannot be read: damaged, truncated, or not wav, flac, mp3 or ogg") from None
    if file.format in ("WAV", "WAVEX"):
        with open(path, "rb") as raw:
            missing = _missing_bytes(raw)
        if missing > 0:
            file.close()
            raise InputError(f"{path}: truncated; {missing} bytes are missing at its end")
    if file.frames <= 0:
        file.close()
        raise InputError(f"{path}: the file holds no sample")
    return file


def _missing_bytes(wav: BinaryIO) -> int:
    """How much of a wav's data its header promises that is not there: libsndfile shortens such a file in silence."""
    size = wav.seek(0, os.SEEK_END)
    position = 12
    while position + 8 <= size:
        wav.seek(position)
        name, length = struct.unpack("<4sI", wav.read(8))
        if name == b"data":
            return 0 if length == UNKNOWN_LENGTH else position + 8 + length - size
        position += 8 + length + length % 2
    return 0


def probe(path: str | os.PathLike) -> dict[str, Any]:
    """Read an audio file's header, and whether its end is there.

    Arguments
    ---------
    path : str or Path
        As :func:`open_audio`.

    Returns
    -------
    dict
        The protocol's columns Duration (seconds, two decimals), SampleRate (Hz), AudioChannel, AudioEncoding and
        AudioBitSample (0 for lossy codecs).

    Raises
    ------
    InputError
        As :func:`open_audio`; also when the last sample cannot be read.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [0.0] * 8000, 16000)
    >>> probe(path)
    {'Duration': 0.5, 'SampleRate': 16000, 'AudioChannel': 1, 'AudioEncoding': 'PCM_S', 'AudioBitSample': 16}
    """
    frames, sample_rate, channels, encoding, bits = read_header(path) or _decode_end(path)
    return {
        # a file of a few samples is not of no length: a protocol's durations are above 0
        "Duration": max(round(frames / sample_rate, 2), 0.01),
        "SampleRate": sample_rate,
        "AudioChannel": channels,
        "AudioEncoding": encoding,
        "AudioBitSample": bits,
    }


def _decode_end(path: str | os.PathLike) -> Header:
    """Ask libsndfile for what :func:`read_header` leaves open."""
    with open_audio(path) as file:
        try:
            file.seek(file.frames - 1)
            whole = len(file.read(1)) == 1
        except soundfile.LibsndfileError:
            whole = False
        if not whole:
            raise InputError(f"{path}: damaged or truncated; its end cannot be read")
        encoding, bits = SUBTYPE_ENCODINGS.get(file.subtype, ("UNKNOWN", 0))
        encoding = FORMAT_ENCODINGS.get(file.format, "MP3" if file.subtype.startswith("MPEG") else encoding)
        return Header(file.frames, file.samplerate, file.channels, encoding, bits)
