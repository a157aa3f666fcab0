#!/usr/bin/env python
"""Cut the recordings of Deepfake-Eval-2024 into segments of 4, 10, 13, 30 and 50 seconds.

    segments/4s/<recording>/1.flac, 2.flac, ...

Segments do not overlap; the last one may be shorter. Channels are averaged, the sampling rate is kept, samples have 16
bits. Each recording is decoded once for all durations. Nothing is overwritten, and finished recordings are skipped:
after an interruption, run the same command again to continue.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
from deepfake_eval_2024_prepare import list_recordings, segment_folder
from tqdm import tqdm

from antideepfake.audio.audio_file import AudioFile, open_audio
from antideepfake.cli.options import add_num_workers, add_quiet
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError

DURATIONS = (4, 10, 13, 30, 50)  # seconds


def cut(path: Path, folders: dict[int, Path]) -> None:
    """Cut a recording into segments of several durations in one pass.

    Arguments
    ---------
    path : Path
        The recording.
    folders : dict
        Seconds -> folder for the segments of this duration. A folder gets its name only once it is complete.

    Raises
    ------
    InputError
        When the recording cannot be read to its end.
    """
    parts = {seconds: folder.with_name(f".{folder.name}.part") for seconds, folder in folders.items()}
    try:
        for part in parts.values():
            shutil.rmtree(part, ignore_errors=True)  # left by a run that was killed
            part.mkdir(parents=True)
        with open_audio(path) as file, ExitStack() as stack:
            rate = file.samplerate
            writers: dict[int, soundfile.SoundFile] = {}
            for second, block in enumerate(_read_seconds(file)):
                for seconds, part in parts.items():
                    if second % seconds == 0:
                        if seconds in writers:
                            writers[seconds].close()
                        name = part / f"{second // seconds + 1}.flac"
                        writers[seconds] = stack.enter_context(soundfile.SoundFile(name, "w", rate, 1, "PCM_16"))
                    writers[seconds].write(block.mean(1))
        for seconds, part in parts.items():
            os.replace(part, folders[seconds])
    finally:
        for part in parts.values():
            shutil.rmtree(part, ignore_errors=True)


def _read_seconds(file: AudioFile) -> Iterator[np.ndarray]:
    """Yield one second at a time; the last may be shorter."""
    read = np.empty((0, file.channels), np.float32)
    for block in file.blocks():
        read = np.concatenate([read, block])
        for _ in range(len(read) // file.samplerate):
            yield read[: file.samplerate]
            read = read[file.samplerate :]
    if len(read):
        yield read


def segment_recording(corpus: Path, path: str, durations: Sequence[int]) -> str:
    """Segment a recording, unless it is finished.

    Arguments
    ---------
    corpus : Path
        The corpus's folder.
    path : str
        The recording, relative to it.
    durations : sequence of int
        Seconds.

    Returns
    -------
    str
        Empty, or the reason why the recording is left out.
    """
    folders = {seconds: corpus / segment_folder(path, seconds) for seconds in durations}
    source = corpus / path
    try:
        if ".." in PurePosixPath(path).parts:
            raise InputError(f"{source}: leads out of the corpus's folder by '..'; correct the metadata")
        if not source.is_file():
            raise InputError(f"{source}: no such file")
        if missing := {seconds: folder for seconds, folder in folders.items() if not folder.exists()}:
            cut(source, missing)
    except InputError as error:
        return str(error)
    return ""


def segment_deepfake_eval_2024(
    data_folder: str | os.PathLike,
    corpus_folder: str | os.PathLike = "Deepfake-Eval-2024",
    durations: Sequence[int] = DURATIONS,
    num_workers: int = 0,
    quiet: bool = False,
) -> list[str]:
    """Segment all recordings of the corpus.

    Arguments
    ---------
    data_folder : str or Path
        Contains the corpus's folder.
    corpus_folder : str or Path
        The corpus's folder, relative to ``data_folder`` or absolute.
    durations : sequence of int
        Seconds.
    num_workers : int
        Recordings to cut at the same time; 0: one after the other.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    list of str
        The reason for each recording that was left out.

    Raises
    ------
    InputError
        When the metadata is missing or a duration is not above 0.
    """
    if min(durations) < 1:
        raise InputError(f"--durations {min(durations)}: a segment must last at least 1 s")
    corpus = Path(data_folder, corpus_folder).absolute()
    paths = [recording["Path"] for recording in list_recordings(corpus) if "Reason" not in recording]
    with ThreadPoolExecutor(max(num_workers, 1)) as pool:
        done = pool.map(lambda path: segment_recording(corpus, path, durations), dict.fromkeys(paths))
        progress = tqdm(done, total=len(paths), desc="cutting recordings", unit="file", disable=quiet)
        return [reason for reason in progress if reason]


def main() -> int:
    """Cut the recordings from the command line and print which were left out."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python %(prog)s --data_folder data --num_workers 4",
    )
    parser.add_argument("--data_folder", required=True, help="contains the corpus's folder")
    parser.add_argument(
        "--corpus_folder", default="Deepfake-Eval-2024", help="the corpus's folder (default: %(default)s)"
    )
    parser.add_argument("--durations", type=int, nargs="+", default=DURATIONS, help="in seconds (default: %(default)s)")
    add_num_workers(parser)
    add_quiet(parser)
    reasons = segment_deepfake_eval_2024(**vars(parser.parse_args()))
    for reason in reasons:
        print(reason, file=sys.stderr)
    print(f"left out: {len(reasons)} recordings")
    return 1 if reasons else 0


if __name__ == "__main__":
    run_program(main)
