"""From a protocol and a detector to a score file."""

import csv
import os
from typing import TYPE_CHECKING

import pandas as pd
from tqdm import tqdm

from antideepfake.files import atomic_open
from antideepfake.protocol import LABELS, resolve_path
from antideepfake.scoring.score_file import ScoreWriter

if TYPE_CHECKING:
    from antideepfake.inference import Detector, FileScore


def score_protocol(
    detector: "Detector",
    protocol: pd.DataFrame,
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    batch_seconds: float = 60.0,
    num_workers: int = 0,
    quiet: bool = False,
) -> list["FileScore"]:
    """Score the utterances of a protocol, in order, into a score file; a run that died is resumed.

    Arguments
    ---------
    detector : Detector
        The model.
    protocol : pandas.DataFrame
        At least ID, Label (empty where unknown) and Path; all other columns go into the score file as they are.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    output : str or Path
        The score file. Files that cannot be read are listed in ``<output>.skipped.csv``, which is there only if some
        cannot.
    batch_seconds, num_workers :
        As :meth:`antideepfake.inference.Detector.score_files`.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    list of FileScore
        Of the files that could not be read.
    """
    metadata = [column for column in protocol.columns if column not in ("ID", "Label")]
    skipped = []
    skipped_list = f"{os.fspath(output)}.skipped.csv"
    run = "\n".join([detector.weights_digest(), *protocol["ID"], *protocol["Path"]]).encode(errors="backslashreplace")
    with ScoreWriter(output, metadata, run) as writer:
        todo = protocol[~protocol["ID"].isin(writer.done)]
        paths = [resolve_path(path, data_folder) for path in todo["Path"]]
        results = detector.score_files(paths, batch_seconds, num_workers)
        progress = tqdm(
            results, total=len(protocol), initial=len(protocol) - len(todo), desc="scoring", unit="file", disable=quiet
        )
        for row, result in zip(todo.to_dict("records"), progress, strict=True):
            if result.error:
                skipped.append(result)
                continue
            writer.write(row["ID"], result.logits, row["Label"] if row["Label"] in LABELS else None, row)
            writer.flush()
    if skipped:
        with atomic_open(skipped_list, newline="", errors="backslashreplace") as file:
            csv.writer(file).writerows([("Path", "Reason"), *((result.path, result.error) for result in skipped)])
    elif os.path.exists(skipped_list):
        os.remove(skipped_list)
    return skipped
