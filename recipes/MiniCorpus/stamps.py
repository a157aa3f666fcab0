"""Descriptions of the stamps of Tux Paint in Debian: words that volunteers recorded in many languages, and their texts.

A description lasts about a second, so three make a sentence.
"""

import re
from pathlib import Path

import numpy as np
import soundfile
from channel import SAMPLE_RATE, find_speech, generator_for
from sources import Sentence, clean_text, resample

from antideepfake.files import atomic_path

STAMPS_PACKAGES = ("tuxpaint-stamps-default",)
STAMPS_FOLDER = "usr/share/tuxpaint/stamps"
# The package does not name the volunteers: a language counts as one speaker.
STAMPS_LANGUAGES = ("be", "bg", "ca", "da", "el", "ro")
STAMPS_SENTENCES = 150  # of a language
DESCRIPTIONS = 3  # in a sentence
PAUSE = 0.25  # seconds between them


def list_stamps(root: Path, seed: int) -> list[Sentence]:
    """Sentences of three descriptions, joined next to the stamps.

    Arguments
    ---------
    root : Path
        Where the packages are unpacked.
    seed : int
        Which descriptions form a sentence.

    Returns
    -------
    list of Sentence
    """
    folder = root / STAMPS_FOLDER
    sentences = []
    for language in STAMPS_LANGUAGES:
        texts: dict[str, Path] = {}
        for path in sorted(folder.rglob(f"*_desc_{language}.ogg")):
            text = read_description(path.with_name(path.name.removesuffix(f"_desc_{language}.ogg") + ".txt"), language)
            if text:
                texts.setdefault(text, path)
        order = generator_for(seed, "stamps", language).permutation(sorted(texts)).tolist()
        for number in range(min(len(order) // DESCRIPTIONS, STAMPS_SENTENCES)):
            spoken = order[DESCRIPTIONS * number : DESCRIPTIONS * (number + 1)]
            path = root / f"joined/{language}-{seed}-{number:03d}.flac"
            if not path.exists():
                with atomic_path(path) as file:
                    soundfile.write(file, join_recordings([texts[text] for text in spoken]), SAMPLE_RATE, format="FLAC")
            speaker = f"{language}-volunteers"
            key = f"{speaker}-{number:03d}"
            sentences.append(Sentence(key, " ".join(spoken), language.upper(), speaker, path, "vorbis"))
    return sentences


def read_description(path: Path, language: str) -> str:
    """Text of a stamp in one language; empty where there is none.

    Arguments
    ---------
    path : Path
        A line in English, then ``<language>.utf8=<text>`` for each language.
    language : str
        As in the file.

    Returns
    -------
    str
    """
    if not path.exists():
        return ""
    found = re.search(rf"^{language}\.utf8=(.*)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return clean_text(found[1]) if found else ""


def join_recordings(paths: list[Path]) -> np.ndarray:
    """One waveform of several recordings, at one level, with short pauses.

    Arguments
    ---------
    paths : list of Path
        Files that libsndfile reads; channels are averaged.

    Returns
    -------
    np.ndarray
        Shape (time,), 16 kHz, the loudest sample of each recording 3 dB below full scale.
    """
    parts = []
    for path in paths:
        samples, rate = soundfile.read(path, always_2d=True)
        waveform = resample(samples.mean(axis=1), rate)
        start, end = find_speech(waveform)
        speech = waveform[start:end]
        parts += [0.7 * speech / max(np.abs(speech).max(initial=0), 1e-9), np.zeros(round(PAUSE * SAMPLE_RATE))]
    return np.concatenate(parts[:-1])
