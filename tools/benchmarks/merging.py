"""Merging of protocols, relative to pandas."""

from benchmarks.inputs import Inputs
from benchmarks.measure import Measurement, antideepfake, call

ROWS = 1_000_000
CORPORA = ("DFADD", "LJSpeech", "WaveFake", "SpoofCeleb")  # any that the union trains on


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurements: a union written as CSV, and as Arrow."""
    count = inputs.count(ROWS, 1000)
    folder = inputs.make(f"protocols_{count}", write_protocols, count)
    protocols = [folder / f"{corpus}.csv" for corpus in CORPORA]
    plain = call(merge_plain, inputs.folder / "merged_plain", *protocols)
    own = antideepfake("merge", *protocols, "--output", inputs.folder / "merged", "--overwrite", "--quiet")
    return [
        Measurement("merge, CSV", count, "rows", plain, own),
        Measurement("merge, Arrow", count, "rows", plain, (*own, "--form", "arrow")),
    ]


def write_protocols(folder: str, count: str) -> None:
    """Write a protocol for each corpus, with the same number of rows."""
    from pathlib import Path

    from antideepfake.protocol.table import COLUMNS

    rows = int(count) // len(CORPORA)
    Path(folder).mkdir()
    for corpus in CORPORA:
        with open(Path(folder, f"{corpus}.csv"), "w") as file:
            file.write(",".join(COLUMNS) + "\n")
            for number in range(rows):
                label, attack = ("real", "-") if number % 4 == 0 else ("fake", f"A{number % 7}")
                file.write(f"{corpus}-{number},{label},{2 + number % 80 / 10},16000,")
                file.write(f"$ROOT/{corpus}/{number % 1000}/{number}.flac,{attack},S{number % 500},")
                file.write(f"{'valid' if number % 10 == 0 else 'train'},1,FLAC,16,EN\n")


def merge_plain(folder: str, *protocols: str) -> None:
    """Concatenate protocols, drop rows with the same ID, split and shuffle them."""
    from pathlib import Path

    import pandas as pd

    table = pd.concat([pd.read_csv(path) for path in protocols]).drop_duplicates("ID")
    is_valid = table["Proportion"] == "valid"
    Path(folder).mkdir(exist_ok=True)
    table[~is_valid].sample(frac=1, random_state=42).to_csv(Path(folder, "train.csv"), index=False)
    table[is_valid].to_csv(Path(folder, "valid.csv"), index=False)
