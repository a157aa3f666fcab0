"""Preparation of a corpus, relative to reading the headers with soundfile in one thread."""

from pathlib import Path

from benchmarks.inputs import Inputs
from benchmarks.measure import Measurement, call

FILES = 20_000
IN_FOLDER = 100  # files per folder
PROGRAM = Path(__file__).parents[2] / "recipes" / "MLS" / "mls_prepare.py"


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurement: the program of a recipe."""
    import sys

    count = inputs.count(FILES, 100)
    data = inputs.make(f"corpus_{count}", write_corpus, count)
    options = ["--output", str(inputs.folder / "prepared.csv"), "--num_workers", str(inputs.cores)]
    own = (sys.executable, str(PROGRAM), "--data_folder", str(data), *options, "--overwrite", "--quiet")
    plain = call(prepare_plain, data, inputs.folder / "prepared_plain.csv")
    return [Measurement("preparation", count, "files", plain, own)]


def write_corpus(folder: str, count: str) -> None:
    """Write copies of a clip of half a second in the layout of Multilingual LibriSpeech."""
    import io

    import numpy as np
    import soundfile

    clip = io.BytesIO()
    soundfile.write(clip, 0.1 * np.random.default_rng(1234).standard_normal(8000), 16000, format="FLAC")
    for number in range(int(count)):
        speaker, book = number // (10 * IN_FOLDER), number // IN_FOLDER
        place = Path(folder, "MLS", "mls_english", "train", "audio", str(speaker), str(book))
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{speaker}_{book}_{number:08}.flac").write_bytes(clip.getbuffer())


def prepare_plain(folder: str, output: str) -> None:
    """Write a table of all headers."""
    import csv
    import os

    import soundfile

    with open(output, "w", newline="") as file:
        writer = csv.writer(file)
        for root, _, names in os.walk(folder):
            for name in names:
                header = soundfile.info(os.path.join(root, name))
                row = (name, os.path.join(root, name), header.duration, header.samplerate, header.channels)
                writer.writerow([*row, header.format, header.subtype])
