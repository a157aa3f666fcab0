"""From a corpus's files to its protocol: probe the headers, leave out what cannot be read, write and report."""

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import soundfile
from tqdm import tqdm

from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.protocol.table import COLUMNS, relative_path, resolve_path, write_protocol

# libsndfile's names of formats and encodings -> those of protocols (torchaudio's)
FORMAT_ENCODINGS = {"FLAC": "FLAC", "MP3": "MP3", "MPEG": "MP3"}
AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus"}
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


@dataclass
class BuildReport:
    """What became of the files of a corpus.

    Arguments
    ---------
    written : int
        Utterances in the protocol.
    left_out : list of dict
        The others: ``id``, ``path`` and ``reason`` of each.
    """

    written: int
    left_out: list[dict[str, str]] = field(default_factory=list)


def find_audio(folder: str | os.PathLike) -> list[Path]:
    """List the audio files below a folder, at any depth.

    Arguments
    ---------
    folder : str or Path
        Where to look.

    Returns
    -------
    list of Path
        Files with a suffix of ``AUDIO_SUFFIXES``, upper or lower case, sorted by path.

    Raises
    ------
    InputError
        When there is no such folder, or no audio in it.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> (root / "a.WAV").touch()
    >>> [path.name for path in find_audio(root)]
    ['a.WAV']
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    files = [path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()]
    if not files:
        raise InputError(f"{folder}: holds no audio; files must end in {', '.join(sorted(AUDIO_SUFFIXES))}")
    return sorted(files, key=str)


def probe(path: str | os.PathLike) -> dict[str, Any]:
    """Read an audio file's header.

    Arguments
    ---------
    path : str or Path
        Any format that libsndfile reads: wav, flac, mp3, ogg and others.

    Returns
    -------
    dict
        The protocol's columns Duration (seconds, two decimals), SampleRate (Hz), AudioChannel, AudioEncoding and
        AudioBitSample (0 for lossy codecs).

    Raises
    ------
    InputError
        When the file is missing, empty, no audio, or without a sample.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [0.0] * 8000, 16000)
    >>> probe(path)
    {'Duration': 0.5, 'SampleRate': 16000, 'AudioChannel': 1, 'AudioEncoding': 'PCM_S', 'AudioBitSample': 16}
    """
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty")
        info = soundfile.info(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not an audio file") from None
    except soundfile.LibsndfileError:
        raise InputError(f"{path}: cannot be read: damaged, truncated, or not wav, flac, mp3 or ogg") from None
    if info.frames <= 0:
        raise InputError(f"{path}: the file holds no sample")
    encoding, bits = SUBTYPE_ENCODINGS.get(info.subtype, ("UNKNOWN", 0))
    encoding = FORMAT_ENCODINGS.get(info.format, "MP3" if info.subtype.startswith("MPEG") else encoding)
    return {
        # a file of a few samples is not of no length: a protocol's durations are above 0
        "Duration": max(round(info.frames / info.samplerate, 2), 0.01),
        "SampleRate": info.samplerate,
        "AudioChannel": info.channels,
        "AudioEncoding": encoding,
        "AudioBitSample": bits,
    }


def build_protocol(
    utterances: Iterable[Mapping[str, str]],
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    num_workers: int = 1,
    quiet: bool = False,
) -> BuildReport:
    """Probe the files of a corpus and write its protocol, with a report beside it.

    Arguments
    ---------
    utterances : iterable of dict
        ID, Label, Path (absolute, or relative to ``data_folder``) and, where known, Attack, Speaker, Proportion and
        Language of each utterance, in the order that the protocol is to have.
    data_folder : str or Path
        What ``$ROOT`` will stand for.
    output : str or Path
        The protocol. ``<output>.report.json`` counts and lists what was left out.
    num_workers : int
        Headers read at the same time.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    BuildReport
        Counts, and what was left out with its reason.

    Raises
    ------
    InputError
        When nothing is left, or an identifier is there twice.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> soundfile.write(root / "a.flac", [0.1] * 8000, 16000)
    >>> rows = [{"ID": "a", "Label": "real", "Path": "a.flac"}, {"ID": "b", "Label": "fake", "Path": "b.flac"}]
    >>> report = build_protocol(rows, root, root / "protocol.csv", quiet=True)
    >>> report.written, report.left_out[0]["reason"]
    (1, 'no such file')
    """
    utterances = list(utterances)
    paths = [resolve_path(relative_path(utterance["Path"], data_folder), data_folder) for utterance in utterances]
    rows, left_out = [], []
    with ThreadPoolExecutor(num_workers) as pool:
        headers = tqdm(
            pool.map(_try_probe, paths), total=len(paths), desc="reading headers", unit="file", disable=quiet
        )
        for utterance, path, header in zip(utterances, paths, headers, strict=True):
            if isinstance(header, InputError):
                reason = str(header).removeprefix(f"{path}: ")
                left_out.append({"id": utterance["ID"], "path": str(path), "reason": reason})
            else:
                rows.append({**utterance, **header, "Path": relative_path(path, data_folder)})
    if not rows:
        raise InputError(f"{data_folder}: none of {len(utterances)} files can be read; is this the right folder?")
    table = pd.DataFrame([{**dict.fromkeys(COLUMNS, "-"), **row} for row in rows])
    write_protocol(table, output)
    with atomic_open(f"{os.fspath(output)}.report.json") as file:
        json.dump({"written": len(table), "left_out": left_out}, file, indent=1, ensure_ascii=False)
    return BuildReport(len(table), left_out)


def _try_probe(path: Path) -> dict[str, Any] | InputError:
    """One bad file must not end the walk through a corpus."""
    try:
        return probe(path)
    except InputError as error:
        return error
