"""Scoring of a protocol with a detector."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import date
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from antideepfake import __version__
from antideepfake.audio.recording import Recording
from antideepfake.distributed import wait_for_all
from antideepfake.files import sha256
from antideepfake.model_folder.windowing import Windowing
from antideepfake.protocol.table import LABELS, resolve_path
from antideepfake.scoring.provenance import ScoreProvenance
from antideepfake.scoring.score_file import OOD, SPEECH, WINDOWS, ScoreWriter, SkippedFile

if TYPE_CHECKING:
    import pandas as pd

    from antideepfake.inference.cluster import ClusterScorer
    from antideepfake.inference.recordings import RecordingScorer
    from antideepfake.inference.scores import FileScore

# Files passed to the detector at once; the detector and each of its reading processes keep their list in memory.
CHUNK = 20_000


def score_protocol(
    detector: "RecordingScorer | ClusterScorer",
    protocol: "pd.DataFrame",
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    batch_seconds: float = 16.0,
    num_workers: int = 0,
    quiet: bool = False,
    rank: int = 0,
    world_size: int = 1,
    embeddings: str | os.PathLike | None = None,
    protocols: Sequence[str | os.PathLike] = (),
    windowing: Windowing | None = None,
    channels: Sequence[int | None] | None = None,
    stream: int = 0,
    watch: Callable[[str, "FileScore"], None] | None = None,
) -> list[SkippedFile]:
    """Score the utterances of a protocol and write a score file.

    An interrupted run is resumed, with any number of processes.

    Arguments
    ---------
    detector : RecordingScorer or ClusterScorer
        The model.
    protocol : pandas.DataFrame
        Table with at least ID, Label (empty where unknown) and Path. All other columns are copied to the score file.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.
    output : str or Path
        The score file, in the order of the protocol. ``<output>.json`` records its provenance. ``<output>.skipped.csv``
        lists unreadable files; it exists only if there are any.
    batch_seconds, num_workers :
        As in :meth:`antideepfake.inference.Detector.score_files`.
    quiet : bool
        Show no progress bar.
    rank, world_size : int
        Index of this process, and number of processes. Several processes form a process group of
        ``torch.distributed``, and all call this function with the same arguments. Each scores a part of the utterances,
        and rank 0 writes the files.
    embeddings : str or Path, optional
        A ``.parquet`` file for the embedding of each utterance of the score file, in the same order.
    protocols : sequence of str or Path
        Files that the protocol was read from; the provenance records their digests.
    windowing : Windowing, optional
        How long recordings are cut; by default as the model folder says. The provenance records it.
    channels : sequence of int or None, optional
        The channel of each utterance, from 0; None, the default, for the average of all.
    stream : int
        The audio stream of files that have several, from 0.
    watch : callable, optional
        Called with the ID and the result of each utterance, which then has a timeline. A run with it starts from the
        beginning, instead of resuming an earlier one.

    Returns
    -------
    list of SkippedFile
        Files that could not be read; empty for ranks other than 0.
    """
    metadata = [*(column for column in protocol.columns if column not in ("ID", "Label")), WINDOWS, SPEECH]
    if detector.ood_detector:
        metadata.append(OOD)
    windowing = windowing or detector.metadata.windowing()
    run = _describe_run(detector, protocol, repr((windowing, channels, stream)))
    # A run with embeddings must not resume one without them.
    writer = ScoreWriter(output, metadata, run if embeddings is None else run + b"embeddings", rank)
    embedding_writer = None
    if embeddings:
        from antideepfake.scoring.embeddings import EmbeddingWriter  # pyarrow is slow to import

        embedding_writer = EmbeddingWriter(embeddings, run.hex()[:8], rank)
    if watch:
        writer.forget()
    remaining = np.flatnonzero(~writer.done(len(protocol)))
    if rank == 0:
        writer.forget_skipped()
    wait_for_all(world_size)  # no rank may write before all have read the finished rows, or the split would differ

    assigned = remaining[rank::world_size]
    costs, unit = _progress_costs(protocol)
    done = (costs.sum() - costs[remaining].sum()) / world_size
    # Results arrive in bursts, one per window of the detector, so the remaining time is estimated from all of them.
    bar = {"unit": unit, "unit_scale": True, "smoothing": 0, "disable": quiet or rank > 0}
    with (
        writer,
        embedding_writer or nullcontext(),
        tqdm(total=done + costs[assigned].sum(), initial=done, desc="scoring", **bar) as progress,
    ):
        for start in range(0, len(assigned), CHUNK):
            indices = assigned[start : start + CHUNK]
            # Take a slice first: unlike an index array, it does not copy a large table.
            rows = protocol.iloc[indices[0] : indices[-1] + 1].iloc[indices - indices[0]]
            items = [
                Recording(str(resolve_path(path, data_folder)), channels[index] if channels else None, stream)
                for path, index in zip(rows["Path"], indices, strict=True)
            ]
            results = detector.score_files(
                items, batch_seconds, num_workers, windowing=windowing, timeline=watch is not None
            )
            for index, values, result in zip(indices, rows.itertuples(index=False, name=None), results, strict=True):
                row = dict(zip(protocol.columns, values, strict=True))
                if result.error:
                    writer.skip(index, result.path, result.error)
                else:
                    row[OOD], row[WINDOWS] = "yes" if result.is_ood else "no", str(result.windows)
                    row[SPEECH] = "-" if isnan(result.speech) else f"{result.speech:.2f}"
                    if embedding_writer:
                        embedding_writer.write(index, row["ID"], result.embedding)
                    writer.write(index, row["ID"], result.logits, row["Label"] if row["Label"] in LABELS else None, row)
                    if watch:
                        watch(row["ID"], result)
                progress.update(costs[index])
    wait_for_all(world_size)
    if rank > 0:
        return []
    # The score file is written last, so that a run killed before can be resumed. An older one is deleted first, so that
    # it never remains beside the embeddings and the provenance of this run.
    Path(output).unlink(missing_ok=True)
    if embedding_writer:
        embedding_writer.merge(int(writer.done(len(protocol)).sum()))
    today = date.today().isoformat()
    digests = [sha256([path]) for path in protocols]
    settings = detector.metadata, digests, asdict(windowing)
    ScoreProvenance(detector.weights_digest(), __version__, today, *settings).save(output)
    skipped = writer.merge(len(protocol))
    if embedding_writer:
        embedding_writer.remove()
    return skipped


def _progress_costs(protocol: "pd.DataFrame") -> tuple[NDArray[np.float64], str]:
    """Return the progress of each utterance and its unit: seconds of audio if all durations are known, else files."""
    import pandas as pd  # slow to import, and one recording is scored without

    if "Duration" in protocol:
        seconds = pd.to_numeric(protocol["Duration"], errors="coerce").to_numpy(np.float64)
        if np.isfinite(seconds).all() and (seconds > 0).all():
            return seconds, " s of audio"
    return np.ones(len(protocol)), " files"


def _describe_run(detector: "RecordingScorer | ClusterScorer", protocol: "pd.DataFrame", settings: str) -> bytes:
    """Return a digest of the weights, the settings and all values of the protocol."""
    digest = hashlib.blake2b((detector.weights_digest() + settings).encode())
    for start in range(0, len(protocol), CHUNK):
        rows = protocol.iloc[start : start + CHUNK].to_numpy(object).tolist()
        digest.update(repr(rows).encode(errors="backslashreplace"))
    return digest.digest()
