"""Make MiniCorpus, recorded and synthesized speech that needs no download site, and its protocol.

The recordings and most of the engines come from Debian packages, the others from Python packages. All speech passes
through one channel, so that level, bandwidth, length and format do not reveal the class. See README.md for
details.
"""

import argparse
import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from channel import SAMPLE_RATE, apply_channel, code_g722, find_speech, generator_for
from debian import MissingPackageError, fetch
from games import FILLETS_PACKAGES, QUEEN_PACKAGES, list_fillets, list_queen
from generators import ENGINES, Batch, why_missing
from plan import Clip, check_split, plan_clips
from sources import RECORDINGS, Sentence, code_lossy, first_generation, list_sentences, read_recordings
from stamps import STAMPS_PACKAGES, list_stamps
from tqdm import tqdm

from antideepfake.audit.shortcuts import find_shortcuts, format_shortcuts, measure_properties, measure_shortcuts
from antideepfake.cli import options
from antideepfake.cli.preparation import print_report
from antideepfake.cli.program import run_program
from antideepfake.corpora.build import build_protocol, read_report
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, atomic_path
from antideepfake.parallel import end_with_parent
from antideepfake.protocol.table import read_protocol

logger = logging.getLogger("minicorpus")

BATCH = 40  # clips that go through an engine and the codec together


def prepare_minicorpus(
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    num_workers: int = 0,
    seed: int = 1234,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Make the clips that are not there yet, and write the protocol.

    Arguments
    ---------
    data_folder : str or Path
        Gets the folder ``MiniCorpus``: ``real/`` and ``fake/`` with the clips, ``cache/`` with unpacked packages and
        decoded recordings. The cache is not in the home folder, so that deleting one folder frees all space.
    output : str or Path
        The protocol; ``<output>.report.json`` counts and lists the clips that were left out.
    num_workers : int
        Clips to make at the same time; 0: one after the other.
    seed : int
        Seed of the split, the choice of sentences, the channels and the noise: another seed makes another corpus.
    overwrite : bool
        Whether to replace existing clips. Unpacked packages are kept.
    quiet : bool
        Whether to leave out progress bars.

    Returns
    -------
    int
        Number of planned clips that are missing, because an engine is unavailable or produced too little speech.

    Raises
    ------
    InputError
        The recordings are unavailable, or the folder contains clips of another seed.
    """
    corpus = Path(data_folder) / "MiniCorpus"
    root = (corpus / "cache/root").absolute()
    _check_seed(corpus / "seed.txt", seed, overwrite)
    sentences, seconds = decode_recordings(corpus, root, seed, num_workers, quiet)
    plan = plan_clips(sentences, seconds, seed)

    generators = list(dict.fromkeys(clip.generator for clip in plan if clip.generator))
    reasons = {name: why_missing(name, root, quiet) for name in generators}
    for name, reason in reasons.items():
        if reason:
            logger.warning("%s is left out: %s", name, reason)
    check_split(clip.describe() for clip in plan)

    clips = [clip for clip in plan if not reasons.get(clip.generator)]
    jobs = [job for job in group_clips(clips) if overwrite or not all(_is_done(clip, corpus) for clip in job)]
    failures = _run(
        make_clips, [(job, corpus, root, seed, overwrite) for job in jobs], num_workers, "making clips", quiet
    )
    for job, failure in zip(jobs, failures, strict=True):
        if failure:
            logger.warning("%s failed and is left out in part: %s", job[0].generator, failure)
            reasons[job[0].generator] = failure

    rows, left_out = [], []
    for clip in plan:
        row = clip.describe()
        del row["Text"]  # protocols have no such column
        if _flac(clip, corpus).exists():
            rows.append(row)
        else:
            skipped = _skipped(clip, corpus)
            reason = skipped.read_text(encoding="utf-8") if skipped.exists() else reasons[clip.generator]
            left_out.append({"id": row["ID"], "path": row["Path"], "reason": reason})
    build_protocol(rows, data_folder, output, num_workers, quiet)
    _extend_report(Path(f"{os.fspath(output)}.report.json"), left_out)
    return len(left_out)


def decode_recordings(
    corpus: Path, root: Path, seed: int, num_workers: int, quiet: bool
) -> tuple[list[Sentence], dict[str, float]]:
    """Fetch all packages, decode the recordings, and measure the speech in each.

    Arguments
    ---------
    corpus, root : Path
        Folders of the corpus and of the unpacked packages.
    seed : int
        Seed of the corpus.
    num_workers : int
        Processes.
    quiet : bool
        Whether to leave out progress bars.

    Returns
    -------
    sentences : list of Sentence
    seconds : dict
        Seconds from the first to the last speech of each, by key.

    Raises
    ------
    InputError
        A package is unavailable: without all of the recordings it would be another corpus.
    """
    sentences: list[Sentence] = []
    seconds: dict[str, float] = {}
    finished = corpus / f"cache/sentences-{seed}.json"
    if finished.exists():
        pairs = json.loads(finished.read_text(encoding="utf-8"))
        sentences = [Sentence(**fields | {"path": fields["path"] and Path(fields["path"])}) for fields, _ in pairs]
        return sentences, {fields["key"]: seconds for fields, seconds in pairs}

    sources = (corpus / "cache/sources").absolute()

    def collect() -> Iterator[Sentence]:
        for sentence in _unpack_packages(sources, root, seed, quiet):
            sentences.append(sentence)
            yield sentence

    unpacked = collect()
    batches = iter(lambda: list(islice(unpacked, BATCH)), [])
    for found in _run(_decode, ((batch, corpus) for batch in batches), num_workers, "decoding recordings", quiet):
        seconds |= found
    with atomic_open(finished) as file:
        pairs = [(asdict(sentence), seconds[sentence.key]) for sentence in sentences]
        json.dump(pairs, file, indent=0, ensure_ascii=False, default=str)
    shutil.rmtree(sources, ignore_errors=True)  # half a gigabyte
    return sentences, seconds


def _unpack_packages(sources: Path, root: Path, seed: int, quiet: bool) -> Iterator[Sentence]:
    """Fetch all packages, those of the engines last, and yield the sentences of each group as soon as it is there.

    Decoding keeps the processor busy and fetching does not, so the caller decodes a group while the next is fetched.
    """
    *speakers, nsh = RECORDINGS
    prompts = [package for speaker in speakers for package in (speaker.package, speaker.text_package)]
    groups: list[tuple[Path, list[str], list[Callable[[], list[Sentence]]]]] = [
        (sources, prompts, [partial(list_sentences, speaker, sources) for speaker in speakers]),
        (root, [nsh.package], [partial(list_sentences, nsh, root)]),  # an engine speaks from these recordings
        (sources, [*QUEEN_PACKAGES, *FILLETS_PACKAGES], [partial(list_queen, sources), partial(list_fillets, sources)]),
        (sources, [*STAMPS_PACKAGES], [partial(list_stamps, sources, seed)]),
    ]
    for folder, packages, lists in groups:
        try:
            fetch(packages, folder, quiet=quiet)
        except MissingPackageError as error:
            raise InputError(f"the recordings are unavailable: {error}; they are in Debian's main archive") from error
        for list_source in lists:
            yield from list_source()
    with suppress(MissingPackageError):  # fetching for all engines at once is faster; why_missing finds what is missing
        engines = [package for engine in ENGINES.values() for package in engine.packages]
        fetch(engines, root, dependencies=True, quiet=quiet)


def _decode(sentences: Sequence[Sentence], corpus: Path) -> dict[str, float]:
    waveforms = read_recordings([sentence.path for sentence in sentences if sentence.path])
    seconds = {}
    for sentence, waveform in zip(sentences, waveforms, strict=True):
        start, end = find_speech(waveform)
        seconds[sentence.key] = (end - start) / SAMPLE_RATE
        with atomic_path(_decoded(sentence, corpus)) as path:
            soundfile.write(path, waveform, SAMPLE_RATE, subtype="PCM_16")
    return seconds


def group_clips(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Group clips into jobs of one generator and voice.

    The groups depend on the plan alone, not on finished clips, and a job is done as a whole, so that an interruption
    does not change the clips (G.722 and some engines carry a state from one clip to the next).

    Arguments
    ---------
    clips : sequence of Clip
        The plan.

    Returns
    -------
    list of list of Clip
    """

    def key(clip: Clip) -> tuple[str, str]:
        return clip.generator, clip.voice

    jobs = []
    for _, group in groupby(sorted(clips, key=key), key):
        members = list(group)
        jobs += [members[start : start + BATCH] for start in range(0, len(members), BATCH)]
    return jobs


def make_clips(clips: Sequence[Clip], corpus: Path, root: Path, seed: int, overwrite: bool = False) -> str:
    """Make the clips of one job; a clip gets its final name only once it is complete.

    Arguments
    ---------
    clips : sequence of Clip
        All of one generator and voice.
    corpus, root : Path
        Folders of the corpus and of the unpacked packages.
    seed : int
        Seed of the corpus.
    overwrite : bool
        Whether to replace existing clips.

    Returns
    -------
    str
        The engine's message if it failed, else empty.
    """
    generator, voice = clips[0].generator, clips[0].voice
    recordings = []
    if not generator or ENGINES[generator].resynthesis:
        recordings = [soundfile.read(_decoded(clip.sentence, corpus))[0] for clip in clips]
    if generator:  # only the part that the channel keeps needs to be resynthesized
        recordings = [
            recording[: find_speech(recording)[0] + round((clip.channel.seconds + 0.5) * SAMPLE_RATE)]
            for clip, recording in zip(clips, recordings, strict=False)
        ]
        batch_seed = int(generator_for(seed, clips[0].name).integers(2**31))
        texts, lengths = [clip.sentence.text for clip in clips], [clip.channel.seconds for clip in clips]
        batch = Batch(voice, texts, recordings, root, batch_seed, lengths)
        try:
            waveforms = [
                code_lossy(waveform, clip.sentence.codec) if clip.sentence.codec else waveform
                for clip, waveform in zip(clips, ENGINES[generator].speak(batch), strict=True)
            ]
            waveforms = first_generation(waveforms)
        except subprocess.CalledProcessError as error:
            return (
                f"{error.cmd[0]} exited with status {error.returncode}: {error.stderr.decode(errors='replace')[-200:]}"
            )
        except soundfile.LibsndfileError as error:
            return f"{generator} wrote no speech: {error}"
    else:
        waveforms = recordings
    shaped, made = [], []
    for clip, waveform in zip(clips, waveforms, strict=True):
        try:
            shaped.append(apply_channel(waveform, clip.channel, generator_for(seed, clip.name)))
            made.append(clip)
        except ValueError as error:
            with atomic_open(_skipped(clip, corpus)) as file:
                file.write(str(error))
    for clip, samples in zip(made, code_g722(shaped), strict=True):
        if overwrite or not _flac(clip, corpus).exists():
            with atomic_path(_flac(clip, corpus)) as path:
                soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return ""


def _flac(clip: Clip, corpus: Path) -> Path:
    return corpus / f"{clip.name}.flac"


def _skipped(clip: Clip, corpus: Path) -> Path:
    """The file with the reason why a clip could not be made, so that the next run does not try again."""
    return corpus / f"cache/skipped/{clip.name}.txt"


def _decoded(sentence: Sentence, corpus: Path) -> Path:
    return corpus / f"cache/recordings/{sentence.key}.flac"


def _is_done(clip: Clip, corpus: Path) -> bool:
    return _flac(clip, corpus).exists() or _skipped(clip, corpus).exists()


def _run(function: Callable, jobs: Iterable[tuple], num_workers: int, what: str, quiet: bool) -> list[Any]:
    """Run jobs in processes, each as soon as ``jobs`` yields it; return the results in the order of the jobs."""
    # a forked process lacks the threads of torch and onnxruntime
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(num_workers, 1), mp_context=context, initializer=_start_worker) as pool:
        try:
            futures = [pool.submit(function, *job) for job in jobs]
            hidden = quiet or not futures
            for future in tqdm(as_completed(futures), what, len(futures), unit="batch", disable=hidden):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _start_worker() -> None:
    """Use one core, leave Ctrl-C to the parent process, and end with it."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _check_seed(path: Path, seed: int, overwrite: bool) -> None:
    """Clips of two seeds in one folder would be a mixture of two corpora."""
    if path.exists() and path.read_text(encoding="utf-8") != str(seed) and not overwrite:
        raise InputError(
            f"{path.parent} contains the corpus of seed {path.read_text(encoding='utf-8')}, not {seed}; "
            "pass --overwrite or another --data_folder"
        )
    with atomic_open(path) as file:
        file.write(str(seed))


def _extend_report(path: Path, left_out: list[dict[str, str]]) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    report["left_out"] += left_out
    with atomic_open(path) as file:
        json.dump(report, file, indent=1, ensure_ascii=False)


def _measure_once(
    protocol: pd.DataFrame, data_folder: str, overwrite: bool, quiet: bool, num_workers: int
) -> pd.DataFrame:
    """Measure the shortcuts of the corpus, or read the earlier results: finished clips do not change."""
    measured = Path(data_folder, "MiniCorpus/cache/shortcuts.json")
    paths = sorted(protocol["Path"])
    if measured.exists() and not overwrite:
        found = json.loads(measured.read_text(encoding="utf-8"))
        areas = pd.DataFrame(found["areas"])
        if found["paths"] == paths and set(areas.index) == set(measure_properties(np.zeros(1), SAMPLE_RATE)):
            return areas
    areas = measure_shortcuts(protocol, data_folder, quiet, num_workers)
    with atomic_open(measured) as file:
        json.dump({"areas": areas.to_dict(), "paths": paths}, file)
    return areas


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Make the corpus from the command line, print its content, check it for shortcuts."""
    program = prog or "python recipes/MiniCorpus/minicorpus_prepare.py"
    parser = options.Parser(
        prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example:\n  {program} --data_folder data --output data/MiniCorpus.csv",
    )
    parser.add_argument("--data_folder", required=True, help="folder to write MiniCorpus to (about 1.3 GB)")
    parser.add_argument("--output", required=True, help="the protocol to write")
    options.add_seed(parser, "the corpus: another seed makes another one")
    for add_option in (options.add_num_workers, options.add_overwrite, options.add_format, options.add_quiet):
        add_option(parser)
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING if args.quiet else logging.INFO)
    prepare_minicorpus(args.data_folder, args.output, args.num_workers, args.seed, args.overwrite, args.quiet)
    status = print_report(read_report(args.output), args.output, form=args.format)
    protocol = read_protocol(args.output)
    areas = _measure_once(protocol, args.data_folder, args.overwrite, args.quiet, args.num_workers)
    if args.format == "table":
        attacks = protocol.loc[protocol["Label"] == "fake", "Attack"].value_counts()
        systems = ", ".join(f"{name} ({count})" for name, count in attacks.items())
        print(textwrap.fill(f"spoofing systems: {systems}", 100))
        print(format_shortcuts(areas))
    shortcuts = find_shortcuts(areas)
    if shortcuts:
        raise InputError(
            f"{args.output}: {', '.join(shortcuts)} alone distinguishes the classes; do not train on this corpus"
        )
    return status


if __name__ == "__main__":
    run_program(main)
