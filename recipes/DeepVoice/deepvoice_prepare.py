#!/usr/bin/env python
"""DeepVoice: recordings of eight public figures, and each of them converted to the voices of the others. A test set.

Bird, Lotfi: Real-time Detection of AI-Generated Speech for DeepFake Voice Conversion. arXiv 2308.12734, 2023.

source      https://www.kaggle.com/datasets/birdy654/deep-voice-deepfake-voice-recognition
license     see its page
languages   English
hours       unknown

DeepVoice/
  KAGGLE/AUDIO/{FAKE,REAL}/biden-to-taylor.wav ...              the 64 recordings of several minutes
  AUDIO_SEGMENTS/{FAKE,REAL}/biden-to-taylor_seg_62.wav ...     written here

--protocol_file is the published list of segments, DeepVoice_seg_log.txt, with lines such as "Audio:
biden-to-taylor_seg_62, start at: 123, end at: 456", in samples. Missing segments are cut at the recording's rate, with
all its channels, as 16-bit wav. Without the list, the protocol has the existing segments.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout
from antideepfake.errors import InputError
from antideepfake.files import atomic_path

if TYPE_CHECKING:
    from antideepfake.corpora.build import BuildReport

PUBLISHED = {"-": {"real": 810, "fake": 5783}}
LINE = re.compile(r"Audio:\s*((.+)_seg_\d+)[,\s]+start at:\s*(-?\d+)[,\s]+end at:\s*(\d+)")
LAYOUT = "AUDIO_SEGMENTS/{folder:FAKE|REAL}/{name}.wav"


def read_segments(path: str | os.PathLike) -> list[tuple[str, str, int, int]]:
    """Read the list of segments.

    Arguments
    ---------
    path : str or Path
        DeepVoice_seg_log.txt.

    Returns
    -------
    list of (str, str, int, int)
        Name (FAKE/biden-to-taylor_seg_62), recording (FAKE/biden-to-taylor), first sample, sample after the last.

    Raises
    ------
    InputError
        When the file does not exist or lists no segment.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; pass the list of segments as --protocol_file") from None
    segments = []
    for name, recording, start, end in LINE.findall(text):
        folder = "FAKE" if "-to-" in recording else "REAL"
        segments.append((f"{folder}/{name}", f"{folder}/{recording}", int(start), int(end)))
    if not segments:
        raise InputError(
            f"{path}: lists no segment; its lines must read 'Audio: NAME_seg_1, start at: 0, end at: 80000'"
        )
    return segments


def cut_segments(corpus: Path, segments: list[tuple[str, str, int, int]], quiet: bool = False) -> None:
    """Cut the missing segments; warn about recordings that cannot be read.

    Arguments
    ---------
    corpus : Path
        The corpus's folder, with the recordings below ``KAGGLE/AUDIO``; segments go below ``AUDIO_SEGMENTS``.
    segments : list
        As :func:`read_segments` returns.
    quiet : bool
        Show no progress bar.
    """
    import numpy as np  # slow to import, as are the next; --help does without
    import soundfile

    from antideepfake.audio.audio_file import open_audio

    missing = [segment for segment in segments if not _segment_path(corpus, segment[0]).exists()]
    progress = tqdm(total=len(missing), desc="cutting segments", unit="file", disable=quiet or not missing)
    for recording, members in groupby(sorted(missing, key=lambda segment: segment[1]), key=lambda segment: segment[1]):
        try:
            with open_audio(corpus / f"KAGGLE/AUDIO/{recording}.wav") as file:
                rate = file.samplerate
                chunks = [(block * 32768).clip(-32768, 32767).astype(np.int16) for block in file.blocks()]
        except InputError as error:
            print(f"warning: {error}; its segments are left out", file=sys.stderr)
            continue
        samples = np.concatenate(chunks)
        for name, _, start, end in members:
            progress.update()
            segment = samples[max(start, 0) : end]
            if len(segment):
                with atomic_path(_segment_path(corpus, name)) as temporary:
                    soundfile.write(temporary, segment, rate, "PCM_16", format="WAV")
    progress.close()


def _segment_path(corpus: Path, name: str) -> Path:
    return corpus / f"AUDIO_SEGMENTS/{name}.wav"


def describe(folder: str, name: str) -> dict[str, str]:
    """Describe a segment."""
    label = folder.lower()
    return {
        "ID": f"DeepVoice-VC_{name}",
        "Label": label,
        "Attack": "VC" if label == "fake" else "-",
        "Language": "EN",
    }


def list_utterances(corpus: Path, protocol_file: str | None = None) -> Iterator[Mapping[str, str]]:
    """List the segments of the list, or all existing ones, sorted by path."""
    if protocol_file is None:
        yield from walk_layout(corpus, LAYOUT, describe)
        return
    for name in sorted(f"{segment[0]}.wav" for segment in read_segments(protocol_file)):
        folder, _, file = name.partition("/")
        yield {**describe(folder, file.removesuffix(".wav")), "Path": f"AUDIO_SEGMENTS/{name}"}


def prepare_deepvoice(
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    protocol_file: str | None = None,
    corpus_folder: str | os.PathLike = "DeepVoice",
    quiet: bool = False,
    **options: Any,
) -> "BuildReport":
    """Cut the missing segments and write the protocol.

    Arguments
    ---------
    data_folder, output, corpus_folder, quiet, **options
        As of :func:`antideepfake.corpora.prepare.prepare_corpus`.
    protocol_file : str, optional
        The list of segments.

    Returns
    -------
    BuildReport
        What was written and what was left out.
    """
    if protocol_file:
        cut_segments(Path(data_folder, corpus_folder), read_segments(protocol_file), quiet)
    return prepare_corpus(
        list_utterances, data_folder, output, corpus_folder, quiet=quiet, protocol_file=protocol_file, **options
    )


main = partial(
    run_preparation,
    prepare_deepvoice,
    __doc__,
    published=PUBLISHED,
    protocol_file="the published list of segments, DeepVoice_seg_log.txt",
)

if __name__ == "__main__":
    run_program(main)
