"""From a protocol and a detector to a score file, through interruptions."""

import csv
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
import torch.distributed

from antideepfake.errors import InputError
from antideepfake.inference.scores import FileScore
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring import scorer
from antideepfake.scoring.embeddings import read_embeddings
from antideepfake.scoring.provenance import read_provenance
from antideepfake.scoring.score_file import read_scores
from antideepfake.scoring.scorer import score_protocol


class _Detector:
    """Gives each file a score by its name; dies at the file ``dies_at``."""

    ood_detector = None

    def __init__(self, scale=1.0, dies_at=None, bad=()):
        self.scale, self.dies_at, self.bad, self.asked = scale, dies_at, bad, []
        self.metadata = ModelMetadata(threshold=scale)

    def weights_digest(self):
        return str(self.scale)

    def score_files(self, recordings, batch_seconds=60.0, num_workers=0, windowing=None, timeline=False):
        for path in (str(recording.path) for recording in recordings):
            name = os.path.basename(path)
            if name == self.dies_at:
                raise KeyboardInterrupt
            self.asked.append(name)
            if name in self.bad:
                yield FileScore(path, (float("nan"),) * 2, 0.0, f"{path}: the file is empty")
            else:
                embedding = np.full(3, len(name), np.float32)
                yield FileScore(path, (0.0, self.scale * len(name)), 0.0, embedding=embedding)


@pytest.fixture
def protocol():
    """Five utterances."""
    rows = [
        (f"id{n}", label, f"$ROOT/{'x' * n}.wav", "-") for n, label in enumerate(["real", "fake", "", "real", "fake"])
    ]
    return pd.DataFrame(rows, columns=["ID", "Label", "Path", "Attack"])


def test_scores_are_in_the_order_of_the_protocol(tmp_path, protocol):
    skipped = score_protocol(_Detector(), protocol, "/data", tmp_path / "s.csv", quiet=True)
    table = read_scores(tmp_path / "s.csv")
    assert skipped == []
    assert table["ID"].tolist() == protocol["ID"].tolist()
    assert table["Score"].tolist() == [4.0, 5.0, 6.0, 7.0, 8.0]
    assert table["Label"].tolist() == protocol["Label"].tolist()
    assert table["Path"].tolist() == protocol["Path"].tolist()


@pytest.mark.parametrize("number", range(5))
def test_embeddings_of_an_interrupted_run_are_resumed(tmp_path, protocol, number):
    names = [os.path.basename(path) for path in protocol["Path"]]
    given = (protocol, "/data", tmp_path / "s.csv")
    with pytest.raises(KeyboardInterrupt):
        score_protocol(_Detector(dies_at=names[number]), *given, quiet=True, embeddings=tmp_path / "e.parquet")
    detector = _Detector(bad=[names[3]])
    score_protocol(detector, *given, quiet=True, embeddings=tmp_path / "e.parquet")
    ids, values = read_embeddings(tmp_path / "e.parquet")
    assert ids == read_scores(tmp_path / "s.csv")["ID"].tolist() and len(ids) == 4 + (number > 3)
    assert values[:, 0].tolist() == [len(names[int(name[2:])]) for name in ids]
    assert not list(tmp_path.glob("*.part"))


def test_provenance_names_the_detector(tmp_path, protocol):
    score_protocol(_Detector(scale=2.5), protocol, "/data", tmp_path / "s.csv", quiet=True)
    record = read_provenance(tmp_path / "s.csv")
    assert record.weights == "2.5" and record.metadata.threshold == 2.5


@pytest.mark.parametrize("number", range(5))
def test_an_interrupted_run_is_resumed(tmp_path, protocol, number):
    name = "x" * number + ".wav"
    with pytest.raises(KeyboardInterrupt):
        score_protocol(_Detector(dies_at=name), protocol, "/data", tmp_path / "s.csv", quiet=True)
    assert not (tmp_path / "s.csv").exists()
    second = _Detector()
    score_protocol(second, protocol, "/data", tmp_path / "s.csv", quiet=True)
    assert len(second.asked) == 5 - number
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == protocol["ID"].tolist()


def test_unreadable_files_are_listed(tmp_path, protocol):
    skipped = score_protocol(_Detector(bad=["x.wav", "xxx.wav"]), protocol, "/data", tmp_path / "s.csv", quiet=True)
    assert [os.path.basename(result.path) for result in skipped] == ["x.wav", "xxx.wav"]
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["id0", "id2", "id4"]
    with open(tmp_path / "s.csv.skipped.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["Path", "Reason"],
        *(["/data/" + n, f"/data/{n}: the file is empty"] for n in ("x.wav", "xxx.wav")),
    ]


def test_an_old_list_of_skipped_files_is_deleted(tmp_path, protocol):
    score_protocol(_Detector(bad=["x.wav"]), protocol, "/data", tmp_path / "s.csv", quiet=True)
    score_protocol(_Detector(), protocol, "/data", tmp_path / "s.csv", quiet=True)
    assert sorted(os.listdir(tmp_path)) == ["s.csv", "s.csv.json"]


def test_files_skipped_before_an_interruption_are_listed(tmp_path, protocol):
    with pytest.raises(KeyboardInterrupt):
        score_protocol(_Detector(bad=["x.wav"], dies_at="xxx.wav"), protocol, "/d", tmp_path / "s.csv", quiet=True)
    skipped = score_protocol(_Detector(bad=["x.wav"]), protocol, "/d", tmp_path / "s.csv", quiet=True)
    assert [os.path.basename(result.path) for result in skipped] == ["x.wav"]


def test_scores_of_two_models_are_never_mixed(tmp_path, protocol):
    with pytest.raises(KeyboardInterrupt):
        score_protocol(_Detector(dies_at="xxx.wav"), protocol, "/data", tmp_path / "s.csv", quiet=True)
    try:
        score_protocol(_Detector(scale=-1.0), protocol, "/data", tmp_path / "s.csv", quiet=True)
    except InputError:
        return  # told to delete what is in the way: as good
    assert (read_scores(tmp_path / "s.csv")["Score"] < 0).all()


def test_lines_of_another_protocol_are_dropped(tmp_path, protocol):
    with pytest.raises(KeyboardInterrupt):
        score_protocol(_Detector(dies_at="xxx.wav"), protocol, "/data", tmp_path / "s.csv", quiet=True)
    try:
        score_protocol(_Detector(), protocol[3:], "/data", tmp_path / "s.csv", quiet=True)
    except InputError:
        return
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["id3", "id4"]


def _score_together(protocol, output, monkeypatch, detectors):
    """As so many processes, in threads; gives what each returned or raised."""
    barrier = Barrier(len(detectors))

    def score(rank):
        try:
            return score_protocol(
                detectors[rank], protocol, "/data", output, quiet=True, rank=rank, world_size=len(detectors)
            )
        except KeyboardInterrupt:
            barrier.abort()
            return "died"

    def wait():
        try:
            barrier.wait()
        except RuntimeError as error:  # as that of torch.distributed
            raise KeyboardInterrupt from error

    monkeypatch.setattr(torch.distributed, "barrier", wait)
    with ThreadPoolExecutor(len(detectors)) as pool:
        return list(pool.map(score, range(len(detectors))))


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_processes_share_the_work(tmp_path, protocol, monkeypatch, world_size):
    detectors = [_Detector(bad=["x.wav", "xx.wav"]) for _ in range(world_size)]
    skipped, *others = _score_together(protocol, tmp_path / "s.csv", monkeypatch, detectors)
    assert others == [[]] * (world_size - 1)
    assert [os.path.basename(file.path) for file in skipped] == ["x.wav", "xx.wav"]
    assert sorted(name for detector in detectors for name in detector.asked) == sorted(
        "x" * number + ".wav" for number in range(5)
    )
    assert max(len(detector.asked) for detector in detectors) <= 5 // world_size + 1
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["id0", "id3", "id4"]
    assert sorted(os.listdir(tmp_path)) == ["s.csv", "s.csv.json", "s.csv.skipped.csv"]


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (3, 2)])
def test_a_run_resumes_with_another_number_of_processes(tmp_path, protocol, monkeypatch, first, second):
    before = [_Detector(dies_at="xxxx.wav", bad=["x.wav"]) for _ in range(first)]
    assert "died" in _score_together(protocol, tmp_path / "s.csv", monkeypatch, before)
    assert not (tmp_path / "s.csv").exists()
    after = [_Detector() for _ in range(second)]
    assert _score_together(protocol, tmp_path / "s.csv", monkeypatch, after) == [[]] * second
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == protocol["ID"].tolist()
    asked = {name for detector in before for name in detector.asked} - {"x.wav"}
    assert asked and asked.isdisjoint(name for detector in after for name in detector.asked)
    assert sorted(os.listdir(tmp_path)) == ["s.csv", "s.csv.json"]


def test_files_are_passed_to_the_detector_in_chunks(tmp_path, protocol, monkeypatch):
    monkeypatch.setattr(scorer, "CHUNK", 2)
    detector, sizes = _Detector(bad=["xx.wav"]), []
    score_files = detector.score_files

    def counted(recordings, *arguments, **options):
        sizes.append(len(recordings))
        return score_files(recordings, *arguments, **options)

    detector.score_files = counted
    score_protocol(detector, protocol, "/data", tmp_path / "s.csv", quiet=True)
    assert sizes == [2, 2, 1]
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["id0", "id1", "id3", "id4"]


def test_a_repaired_file_is_scored_by_the_next_run(tmp_path, protocol):
    with pytest.raises(KeyboardInterrupt):
        score_protocol(_Detector(bad=["x.wav"], dies_at="xxx.wav"), protocol, "/d", tmp_path / "s.csv", quiet=True)
    score_protocol(_Detector(), protocol, "/d", tmp_path / "s.csv", quiet=True)
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == protocol["ID"].tolist()
    assert sorted(os.listdir(tmp_path)) == ["s.csv", "s.csv.json"]


def test_a_corrected_label_replaces_the_old_one(tmp_path, protocol):
    with pytest.raises(KeyboardInterrupt):
        score_protocol(_Detector(dies_at="xxx.wav"), protocol, "/data", tmp_path / "s.csv", quiet=True)
    protocol = protocol.assign(Label="fake")
    score_protocol(_Detector(), protocol, "/data", tmp_path / "s.csv", quiet=True)
    assert set(read_scores(tmp_path / "s.csv")["Label"]) == {"fake"}


def test_no_readable_file_yields_an_empty_table(tmp_path, protocol):
    names = ["x" * number + ".wav" for number in range(5)]
    assert len(score_protocol(_Detector(bad=names), protocol, "/data", tmp_path / "s.csv", quiet=True)) == 5
    assert read_scores(tmp_path / "s.csv").empty


def test_full_disk_leaves_no_score_file(tmp_path, protocol, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        score_protocol(_Detector(), protocol, "/data", tmp_path / "s.csv", quiet=True)
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize(
    ("durations", "costs", "unit"),
    [
        ([2.0, 60.0, 3.5, 1.0, 1.0], [2.0, 60.0, 3.5, 1.0, 1.0], " s of audio"),
        (["-", "1", "2", "3", "4"], [1] * 5, " files"),
    ],
)
def test_progress_counts_seconds_where_they_are_known(protocol, durations, costs, unit):
    found = scorer._progress_costs(protocol.assign(Duration=durations))
    assert (found[0].tolist(), found[1]) == (costs, unit)
    assert scorer._progress_costs(protocol)[1] == " files"
