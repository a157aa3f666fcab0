"""The union: every row where the published lists have it, whatever the order of the command line."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.corpora import union
from antideepfake.corpora.registry import Corpus, read_corpora
from antideepfake.corpora.union import (
    SEED,
    STAGE,
    MergeReport,
    format_merge,
    list_outputs,
    merge_protocols,
    weigh_groups,
)
from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.errors import InputError
from antideepfake.files import lock_output
from antideepfake.protocol.segments import read_segments, segments_path
from antideepfake.protocol.table import COLUMNS, read_protocol, write_chunks, write_protocol

CORPORA = {
    "B": Corpus("B", "train", ("B-",), (), {"real": 2.0, "fake": 0}),
    "A": Corpus("A", "train", ("A-",)),
    "T": Corpus("T", "test", ("T-",)),
    "N": Corpus("N", "none", ("N-",)),
}
ORDER = ["B", "A", "absent"]


def write(path, rows):
    """Write a protocol of pairs of ID and Proportion, or of triples with the Label."""
    fixed = dict(zip(COLUMNS, ["", "real", 3600.0, 16000, "", "-", "-", "-", 1, "PCM_S", 16, "EN"], strict=True))
    labels = [row[2] if len(row) > 2 else "real" for row in rows]
    values = [
        {**fixed, "ID": row[0], "Proportion": row[1], "Label": label, "Path": f"$ROOT/{path.stem}/{row[0]}.wav"}
        for row, label in zip(rows, labels, strict=True)
    ]
    write_protocol(pd.DataFrame(values, columns=COLUMNS), path)
    return path


def identifiers(path):
    return read_protocol(path)["ID"].tolist()


@pytest.fixture
def protocols(tmp_path):
    """Two corpora for training, one for testing, one of neither, one unknown."""
    return [
        write(tmp_path / "a.csv", [("A-1", "train"), ("A-2", "valid"), ("A-3", "test"), ("A-4", "-")]),
        write(tmp_path / "b.csv", [("B-2", "-"), ("B-1", "valid"), ("B-3", "")]),
        write(tmp_path / "t.csv", [("T-9", "train"), ("T-1", "valid")]),
        write(tmp_path / "n.csv", [("N-1", "test")]),
        write(tmp_path / "u.csv", [("mine-1", "test")]),
    ]


def test_rows_go_to_the_splits_of_the_published_lists(tmp_path, protocols):
    """Guards against training on test corpora, and against leaving out test splits that the paper trained on."""
    report = merge_protocols(protocols, tmp_path / "union", CORPORA, ORDER, quiet=True)
    in_order = ["B-2", "B-3", "A-1", "A-3", "A-4", "N-1", "mine-1"]
    shuffled = pd.Series(in_order).sample(frac=1, random_state=42).tolist()  # as the released code does
    assert identifiers(tmp_path / "union" / "train.csv") == shuffled
    assert identifiers(tmp_path / "union" / "valid.csv") == ["B-1", "A-2"]
    assert identifiers(tmp_path / "union" / "test.csv") == ["T-9", "T-1"]
    assert report.missing == ["absent"] and report.unlisted == ["N", "mine"]
    assert list(report.counts) == ["B", "A", "N", "T", "mine"]
    assert report.counts["A"] == {"train": {"real": [3, 10800.0]}, "valid": {"real": [1, 3600.0]}}
    assert sorted(path.name for path in (tmp_path / "union").iterdir()) == [
        "merge.report.json",
        "test.csv",
        "train.csv",
        "valid.csv",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".arrow"])
def test_the_union_depends_neither_on_the_order_of_protocols_nor_on_the_chunk_size(
    tmp_path, protocols, monkeypatch, suffix
):
    rng = np.random.default_rng(1)
    many = [(f"B-x{number}", str(rng.choice(["train", "valid"]))) for number in range(50)]
    protocols.append(write(tmp_path / "more.csv", many))
    write_protocol(read_protocol(protocols[0]), tmp_path / "a.arrow")
    merge_protocols(protocols, tmp_path / "one", CORPORA, ORDER, suffix=suffix, quiet=True)
    for module in ("protocol.table", "corpora.union"):
        monkeypatch.setattr(f"antideepfake.{module}.CHUNK_ROWS", 3)
    again = [tmp_path / "a.arrow", *protocols[:0:-1]]
    merge_protocols(again, tmp_path / "two", CORPORA, ORDER, suffix=suffix, quiet=True)
    for name in ("train", "valid", "test"):
        first, second = (read_protocol(tmp_path / folder / f"{name}{suffix}") for folder in ("one", "two"))
        assert first.to_dict("records") == second.to_dict("records")


def test_another_seed_gives_another_order(tmp_path, protocols):
    for seed in (1, 2):
        merge_protocols(protocols, tmp_path / str(seed), CORPORA, ORDER, seed=seed, quiet=True)
    first, second = (identifiers(tmp_path / str(seed) / "train.csv") for seed in (1, 2))
    assert first != second and sorted(first) == sorted(second)


def test_a_repeated_id_is_kept_once(tmp_path, protocols):
    protocols.append(write(tmp_path / "z.csv", [("A-1", "train"), ("A-9", "train"), ("B-1", "-")]))
    report = merge_protocols(protocols, tmp_path / "union", CORPORA, ORDER, quiet=True)
    assert sorted(identifiers(tmp_path / "union" / "train.csv")).count("A-1") == 1
    assert "A-9" in identifiers(tmp_path / "union" / "train.csv")
    assert report.repeated == 2
    told = json.loads((tmp_path / "union" / "merge.report.json").read_text())
    assert told["repetitions"] == [
        {"id": name, "kept": str(tmp_path / kept), "left_out": str(tmp_path / "z.csv")}
        for name, kept in (("A-1", "a.csv"), ("B-1", "b.csv"))
    ]
    paths = read_protocol(tmp_path / "union" / "train.csv").set_index("ID")["Path"]
    assert paths["A-1"] == "$ROOT/a/A-1.wav"


def test_a_protocol_given_for_testing_is_not_trained_on(tmp_path, protocols):
    """Guards against a test set given both ways that leaks into training."""
    test = write(tmp_path / "z.csv", [("A-1", "train"), ("N-5", "valid")])
    report = merge_protocols([*protocols, test], tmp_path / "union", CORPORA, ORDER, test=[test], quiet=True)
    assert "A-1" not in identifiers(tmp_path / "union" / "train.csv")
    assert identifiers(tmp_path / "union" / "test.csv") == ["A-1", "N-5", "T-9", "T-1"]
    assert report.repetitions[0]["kept"] == str(test) and report.repeated == 1


def test_files_of_an_earlier_merge_are_removed(tmp_path, protocols):
    """Guards against the test set of another union next to this one's training set."""
    union = tmp_path / "union"
    merge_protocols(protocols, union, CORPORA, ORDER, quiet=True)
    merge_protocols(protocols[3:], union, CORPORA, ORDER, suffix=".arrow", quiet=True)
    assert sorted(path.name for path in union.iterdir()) == ["merge.report.json", "train.arrow"]


@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["real", "fake"])), min_size=1, max_size=30))
def test_balanced_groups_have_equal_weight(scratch, kinds):
    path = write(scratch / "p.csv", [(f"{name}-{n}", "-", label) for n, (name, label) in enumerate(kinds)])
    merge_protocols([path], scratch / "union", CORPORA, ORDER, balance=["corpus", "label"], quiet=True)
    table = read_protocol(scratch / "union" / "train.csv")
    totals = table["Weight"].groupby([table["ID"].str[0], table["Label"]]).sum()
    np.testing.assert_allclose(totals, len(kinds) / len(set(kinds)))
    assert np.isclose(table["Weight"].mean(), 1)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.floats(0, 1), st.floats(1, 5) | st.none())
def test_weights_are_capped_and_shares_follow_the_power(sizes, power, cap):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    weights = weigh_groups(groups, power, cap)
    assert np.isclose(weights.mean(), 1)
    assert cap is None or weights.max() <= cap + 1e-9
    free = np.ones(len(sizes), bool) if cap is None else np.bincount(groups, weights) / sizes < cap - 1e-9
    shares = np.bincount(groups, weights)[free] / np.array(sizes)[free] ** power
    np.testing.assert_allclose(shares, shares.mean() if len(shares) else 1)
    if power == 1:
        np.testing.assert_allclose(weights, 1)


@pytest.mark.parametrize(("power", "cap", "name"), [(-0.1, None, "power"), (1.1, None, "power"), (0, 0.5, "cap")])
def test_weights_out_of_range_are_refused(power, cap, name):
    with pytest.raises(InputError, match=f"--balance_{name} is"):
        weigh_groups(np.zeros(3, int), power, cap)


def test_an_epoch_samples_each_utterance_as_often_as_its_weight():
    groups = np.repeat([0, 1, 2], [200, 20, 4])
    weights = weigh_groups(groups, 0.5, 4.0)
    plan = BatchPlan(np.ones(len(groups)), 8.0, 1, 1, weights)
    counts = sum(np.bincount(np.concatenate(plan.epoch(e)), minlength=len(groups)) for e in range(200)) / 200
    np.testing.assert_allclose(np.bincount(groups, counts), np.bincount(groups, weights), rtol=0.05)
    together = list(PlannedBatches(plan))
    apart = [list(PlannedBatches(plan, rank, 3)) for rank in range(3)]
    assert together == [apart[number % 3][number // 3] for number in range(len(together))]


def test_attacks_of_each_corpus_are_balanced(tmp_path):
    path = write(tmp_path / "p.csv", [(f"{name}-{n}", "-", "fake") for name in "AB" for n in range(6)])
    attacks = ["x", "x", "x", "x", "y", "y", "x", "x", "x", "x", "x", "z"]
    write_protocol(read_protocol(path).assign(Attack=attacks), path)
    merge_protocols([path], tmp_path / "union", CORPORA, balance=["corpus", "attack"], quiet=True)
    table = read_protocol(tmp_path / "union" / "train.csv")
    np.testing.assert_allclose(table["Weight"].groupby([table["ID"].str[0], table["Attack"]]).sum(), 3)


def test_the_table_fits_a_terminal_of_100_columns():
    recipes = read_corpora(Path(__file__).parents[3] / "recipes")
    counts = {name: {"train": {"real": [9_999_999, 3.6e8], "fake": [1, 1.0]}} for name in recipes}
    languages = {name: ["DE", "EN", "FR", "ZH"] for name in recipes} | {"MLS": ["DE", "EN", "ES", "FR", "IT"]}
    lines = format_merge(MergeReport(counts, languages), recipes).splitlines()
    assert max(map(len, lines)) <= 100
    row = next(line.split() for line in lines if line.startswith("AIShell3"))
    assert row == ["AIShell3", "10000000", "0", "0", "100000.00", "85.62", "0.00", "0.00", "DE", "EN", "FR", "ZH"]
    assert next(line.split()[-1] for line in lines if line.startswith("MLS")) == "5"
    assert lines[-1].split()[5] == "56371.27" and lines[-1].split()[-1] == "6"


def test_repeated_ids_within_a_protocol_keep_the_first(tmp_path):
    one = write(tmp_path / "a.csv", [("A-1", "train"), ("A-2", "train")])
    lines = one.read_text().splitlines(keepends=True)
    one.write_text("".join([*lines, lines[1].replace("A-1.wav", "again.wav"), lines[1].replace("A-1.wav", "more.wav")]))
    report = merge_protocols([one], tmp_path / "union", CORPORA, ORDER, quiet=True)
    table = read_protocol(tmp_path / "union" / "train.csv").set_index("ID")
    assert sorted(table.index) == ["A-1", "A-2"] and table.loc["A-1", "Path"].endswith("A-1.wav")
    assert report.repeated == 2
    assert report.repetitions[0] == {"id": "A-1", "kept": str(one), "left_out": str(one)}
    with pytest.raises(InputError, match="is a duplicate"):
        read_protocol(one)


@pytest.mark.parametrize("step", range(4))
def test_a_killed_merge_is_recognized_as_unfinished(tmp_path, protocols, monkeypatch, step):
    output = tmp_path / "union"
    merge_protocols(protocols[:3], output, CORPORA, ORDER, quiet=True)
    replace, moved = os.replace, []

    def killed(source, target):
        if Path(target).parent == output:
            if len(moved) == step:
                raise SystemExit
            moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit):
        merge_protocols(protocols, output, CORPORA, ORDER, quiet=True)
    assert not (output / "merge.report.json").exists()
    assert sorted(moved) == sorted(path.name for path in output.iterdir() if path.name != STAGE)
    assert list_outputs(output) == []
    monkeypatch.undo()
    merge_protocols(protocols, output, CORPORA, ORDER, quiet=True)
    merge_protocols(protocols, tmp_path / "other", CORPORA, ORDER, quiet=True)
    for path in sorted((tmp_path / "other").iterdir()):
        assert (output / path.name).read_bytes() == path.read_bytes()
    assert len(list_outputs(output)) == 3 and not (output / STAGE).exists()


def test_an_interrupted_merge_keeps_the_splits_that_it_wrote(tmp_path, protocols, monkeypatch):
    written, limits = [], [3, 2, 1]

    def write(chunks, path):
        if len(written) == limits[-1]:
            limits.pop()
            raise KeyboardInterrupt
        written.append(path.name)
        write_chunks(chunks, path)

    merge = partial(merge_protocols, corpora=CORPORA, order=ORDER, quiet=True)
    merge(protocols, tmp_path / "whole")
    monkeypatch.setattr(union, "write_chunks", write)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            merge(protocols, tmp_path / "resumed")
    (tmp_path / "resumed" / STAGE / "0.rows").touch()  # as a killed process leaves
    merge(protocols, tmp_path / "resumed")
    assert written == ["train.csv", "valid.csv", "test.csv"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "resumed").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()
    }


@pytest.mark.parametrize("change", ["protocol", "seed"])
def test_an_interrupted_merge_of_something_else_is_not_resumed(tmp_path, protocols, monkeypatch, change):
    def stop(segments, numbers, spool, indices, path):
        if path.name.startswith("test"):
            raise KeyboardInterrupt

    monkeypatch.setattr(union, "_write_segments", stop)
    with pytest.raises(KeyboardInterrupt):
        merge_protocols(protocols, tmp_path / "union", CORPORA, ORDER, quiet=True)
    monkeypatch.undo()
    if change == "protocol":
        write(protocols[0], [("A-5", "train")])
    seed = 7 if change == "seed" else SEED
    for folder in ("union", "other"):
        merge_protocols(protocols, tmp_path / folder, CORPORA, ORDER, seed=seed, quiet=True)
    assert (tmp_path / "union" / "train.csv").read_bytes() == (tmp_path / "other" / "train.csv").read_bytes()


def test_a_failed_merge_leaves_the_old_union(tmp_path, protocols):
    merge_protocols(protocols, tmp_path / "union", CORPORA, ORDER, quiet=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "union").iterdir()}
    (tmp_path / "bad.csv").write_text("ID\n")
    with pytest.raises(InputError):
        merge_protocols([*protocols, tmp_path / "bad.csv"], tmp_path / "union", CORPORA, ORDER, quiet=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "union").iterdir()} == before


def test_two_merges_into_one_folder_are_refused(tmp_path, protocols):
    with lock_output(tmp_path / "union"), pytest.raises(InputError, match="another run is writing it"):
        merge_protocols(protocols, tmp_path / "union", CORPORA, ORDER, quiet=True)


def test_segments_are_merged_in_the_order_of_the_rows(tmp_path):
    """Guards against partially spoofed utterances that a union calls fake throughout."""
    union = tmp_path / "union"
    protocols = [
        write(
            tmp_path / "a.csv", [(f"A-{number}", "valid" if number == 3 else "train", "fake") for number in range(9)]
        ),
        write(tmp_path / "b.csv", [("B-1", "train", "fake"), ("A-1", "train", "fake")]),
        write(tmp_path / "c.csv", [("mine-1", "train", "fake")]),
    ]
    segments_path(protocols[0]).write_text("ID,Start,End,Label\n" + "".join(f"A-{n},{n},20,fake\n" for n in range(9)))
    segments_path(protocols[1]).write_text("ID,Start,End,Label\nB-1,1,2,fake\nB-1,4,5.5,real\nA-1,7,8,fake\n")
    merge_protocols([*protocols, segments_path(protocols[0])], union, CORPORA, ORDER, quiet=True)
    train = read_segments(segments_path(union / "train.csv"), read_protocol(union / "train.csv"))
    expected = {f"A-{n}": [[float(n), 20.0]] for n in range(9) if n != 3}
    expected |= {"B-1": [[1.0, 2.0]], "mine-1": [[0.0, 3600.0]]}
    assert {name: spans.tolist() for name, spans in train.items()} == expected
    assert segments_path(union / "valid.csv").read_text() == "ID,Start,End,Label\nA-3,3.0,20.0,fake\n"
    merge_protocols(protocols[2:], union, CORPORA, ORDER, quiet=True)
    assert sorted(path.name for path in union.iterdir()) == ["merge.report.json", "train.csv"]
