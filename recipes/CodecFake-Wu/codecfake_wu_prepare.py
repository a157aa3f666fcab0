#!/usr/bin/env python
"""CodecFake of Wu et al.: VCTK, resynthesized by neural codecs.

Wu, Tseng, Lee: CodecFake: Enhancing Anti-Spoofing Models Against Deepfake Audios from Codec-Based Speech Synthesis
Systems. Interspeech 2024.

source      https://codecfake.github.io
license     CC BY 4.0
languages   English
hours       660.9 fake

CodecFake/
  processed/encodec_24khz+p272_103.wav ...
  data/train-00000-of-00200.parquet ...      as on the Hugging Face Hub; their audio is written to processed/

Not to be confused with Codecfake-Xie; on a case-insensitive disk, one of the two needs another folder and
--corpus_folder.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout
from antideepfake.errors import InputError
from antideepfake.files import atomic_open

if TYPE_CHECKING:
    from antideepfake.corpora.build import BuildReport

LAYOUT = "processed/{codec:[^/+]+}+{name}.{suffix:wav|flac}"
COLUMNS = ["audio", "label", "speaker_id", "codec_name"]
LABELS = {"fake": "fake", "spoof": "fake", "real": "real", "bonafide": "real"}
CHUNK = 64  # rows in memory at once


def extract_audio(corpus: Path, quiet: bool = False) -> None:
    """Write the audio of Parquet files to ``processed/``, under the names of the other distribution.

    Fake rows only: the bona fide recordings are those of VCTK. Existing files are kept, so that an interrupted run
    resumes.

    Arguments
    ---------
    corpus : Path
        The corpus's folder, with ``data/*.parquet``.
    quiet : bool
        Show no progress bar.

    Raises
    ------
    InputError
        When a file is damaged or has other columns, or a row's label or name is unknown.
    """
    import pyarrow as pa  # slow to import; --help does without
    import pyarrow.parquet as pq

    for path in sorted((corpus / "data").glob("*.parquet")):
        try:
            file = pq.ParquetFile(path)
            batches = file.iter_batches(CHUNK, columns=COLUMNS)
            row = 0
            with tqdm(total=file.metadata.num_rows, desc=path.name, unit="file", disable=quiet) as progress:
                for values in (values for batch in batches for values in batch.to_pylist()):
                    row += 1
                    progress.update()
                    _extract_row(values, corpus, f"{path}, row {row}")
        except (pa.ArrowException, OSError, KeyError) as error:
            reason = " ".join(str(error).split())[:100]
            raise InputError(f"{path}: not a Parquet file with {', '.join(COLUMNS)} ({reason})") from None


def _extract_row(values: Mapping[str, Any], corpus: Path, where: str) -> None:
    audio, codec = values["audio"] or {}, str(values["codec_name"])
    name = str(audio.get("path") or "").replace("\\", "/").rpartition("/")[2]
    if not isinstance(audio.get("bytes"), bytes) or not name or "/" in codec or codec.startswith("."):
        raise InputError(f"{where}: no audio, no file name, or no codec ('{codec}')")
    try:
        if translate(str(values["label"]), LABELS) == "real":
            return
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    stem = os.path.splitext(name)[0].removeprefix(f"{codec}+")
    suffix = ".flac" if audio["bytes"].startswith(b"fLaC") else ".wav"
    target = corpus / "processed" / f"{codec}+{stem}{suffix}"
    if not target.exists():
        with atomic_open(target, "wb") as file:
            file.write(audio["bytes"])


def describe(codec: str, name: str, suffix: str) -> dict[str, str]:
    """Describe a file, whose name begins with the codec and the speaker."""
    return {
        "ID": f"CodecF-{codec}+{name}",
        "Label": "fake",
        "Attack": codec,
        "Speaker": name.partition("_")[0],
        "Language": "EN",
    }


def prepare_codecfake_wu(
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    corpus_folder: str | os.PathLike = "CodecFake",
    quiet: bool = False,
    **options: Any,
) -> "BuildReport":
    """Write the audio of Parquet files, if any, and the protocol.

    Arguments
    ---------
    data_folder, output, corpus_folder, quiet, **options
        As of :func:`antideepfake.corpora.prepare.prepare_corpus`.

    Returns
    -------
    BuildReport
        What was written and what was left out.
    """
    extract_audio(Path(data_folder, corpus_folder), quiet)
    return prepare_corpus(
        lambda corpus: walk_layout(corpus, LAYOUT, describe),
        data_folder,
        output,
        corpus_folder,
        quiet=quiet,
        **options,
    )


main = partial(run_preparation, prepare_codecfake_wu, __doc__)

if __name__ == "__main__":
    run_program(main)
