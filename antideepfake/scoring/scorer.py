"""From a protocol and a detector to a score file."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from antideepfake import __version__
from antideepfake.distributed import wait_for_all
from antideepfake.files import sha256
from antideepfake.protocol.table import LABELS, resolve_path
from antideepfake.scoring.embeddings import EmbeddingWriter
from antideepfake.scoring.provenance import ScoreProvenance
from antideepfake.scoring.score_file import OOD, ScoreWriter, SkippedFile

if TYPE_CHECKING:
    from antideepfake.inference.detector import Detector

# Files handed to the detector at once: it and every process that reads for it hold the list of them.
CHUNK = 20_000


def score_protocol(
    detector: "Detector",
    protocol: pd.DataFrame,
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    batch_seconds: float = 16.0,
    num_workers: int = 0,
    quiet: bool = False,
    rank: int = 0,
    world_size: int = 1,
    embeddings: str | os.PathLike | None = None,
    protocols: Sequence[str | os.PathLike] = (),
) -> list[SkippedFile]:
    """Score the utterances of a protocol into a score file; a run that died is resumed, by any number of processes.

    Arguments
    ---------
    detector : Detector
        The model.
    protocol : pandas.DataFrame
        At least ID, Label (empty where unknown) and Path; all other columns go into the score file as they are.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    output : str or Path
        The score file, in the order of the protocol; ``<output>.json`` says what made it. Files that cannot be read are
        listed in ``<output>.skipped.csv``, which is there only if some cannot.
    batch_seconds, num_workers :
        As :meth:`antideepfake.inference.Detector.score_files`.
    quiet : bool
        Show no progress bar.
    rank, world_size : int
        Which of how many processes this is. If there are several, they are a process group of ``torch.distributed`` and
        all call this function alike; each scores its share, and the one of rank 0 writes the files.
    embeddings : str or Path, optional
        A file, ``.parquet``, that takes the embedding of each utterance of the score file, in its order.
    protocols : sequence of str or Path
        Files that the protocol is from: their digests go into the record.

    Returns
    -------
    list of SkippedFile
        The files that could not be read; for other ranks than 0, none.
    """
    metadata = [column for column in protocol.columns if column not in ("ID", "Label")]
    if detector.ood_detector:
        metadata.append(OOD)
    run = _describe_run(detector, protocol)
    # scores of a run without embeddings do not count for one with them
    writer = ScoreWriter(output, metadata, run if embeddings is None else run + b"embeddings", rank)
    keeper = EmbeddingWriter(embeddings, run.hex()[:8], rank) if embeddings else None
    todo = np.flatnonzero(~writer.done(len(protocol)))
    if rank == 0:
        writer.forget_skipped()
    wait_for_all(world_size)  # who wrote before all have seen what is done would change the others' shares

    share = todo[rank::world_size]
    costs, unit = _progress_costs(protocol)
    done = (costs.sum() - costs[todo].sum()) / world_size
    # Files come in bursts, a window of the detector each: the time left follows from all of them, not from the last.
    bar = {"unit": unit, "unit_scale": True, "smoothing": 0, "disable": quiet or rank > 0}
    with (
        writer,
        keeper or nullcontext(),
        tqdm(total=done + costs[share].sum(), initial=done, desc="scoring", **bar) as progress,
    ):
        for start in range(0, len(share), CHUNK):
            places = share[start : start + CHUNK]
            # a slice first, of which a large table makes no copy
            rows = protocol.iloc[places[0] : places[-1] + 1].iloc[places - places[0]]
            paths = [str(resolve_path(path, data_folder)) for path in rows["Path"]]
            results = detector.score_files(paths, batch_seconds, num_workers)
            for place, values, result in zip(places, rows.itertuples(index=False, name=None), results, strict=True):
                row = dict(zip(protocol.columns, values, strict=True))
                if result.error:
                    writer.skip(place, result.path, result.error)
                else:
                    row[OOD] = "yes" if result.is_ood else "no"
                    if keeper:
                        keeper.write(place, row["ID"], result.embedding)
                    writer.write(place, row["ID"], result.logits, row["Label"] if row["Label"] in LABELS else None, row)
                progress.update(costs[place])
    wait_for_all(world_size)
    if rank > 0:
        return []
    # The score file comes last: without it, the next run goes on from here. An older one goes first, or a kill would
    # leave it beside the embeddings and the record of this run.
    Path(output).unlink(missing_ok=True)
    if keeper:
        keeper.merge(int(writer.done(len(protocol)).sum()))
    today = date.today().isoformat()
    digests = [sha256([path]) for path in protocols]
    ScoreProvenance(detector.weights_digest(), __version__, today, detector.hparams.metadata, digests).save(output)
    skipped = writer.merge(len(protocol))
    if keeper:
        keeper.remove()
    return skipped


def _progress_costs(protocol: pd.DataFrame) -> tuple[NDArray[np.float64], str]:
    """Give by how much each utterance advances the progress bar: its seconds where they are known, else one file."""
    if "Duration" in protocol:
        seconds = pd.to_numeric(protocol["Duration"], errors="coerce").to_numpy(np.float64)
        if np.isfinite(seconds).all() and (seconds > 0).all():
            return seconds, " s of audio"
    return np.ones(len(protocol)), " files"


def _describe_run(detector: "Detector", protocol: pd.DataFrame) -> bytes:
    """A digest of the weights and of every value of the protocol."""
    digest = hashlib.blake2b(detector.weights_digest().encode())
    for start in range(0, len(protocol), CHUNK):
        rows = protocol.iloc[start : start + CHUNK].to_numpy(object).tolist()
        digest.update(repr(rows).encode(errors="backslashreplace"))
    return digest.digest()
