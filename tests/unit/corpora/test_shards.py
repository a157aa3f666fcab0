"""Tar shards: the same bytes however they are made, nothing lost after a kill, damage found."""

import io
import json
import multiprocessing
import tarfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antideepfake import parallel
from antideepfake.audio.waveform import read_audio
from antideepfake.corpora import shards
from antideepfake.corpora.build import build_protocol, read_report
from antideepfake.corpora.shards import plan_shards, read_index, verify_shards, write_shards
from antideepfake.errors import InputError
from antideepfake.files import lock_output, sha256
from antideepfake.protocol.segments import read_segments, segments_path
from antideepfake.protocol.table import read_protocol, resolve_path, write_protocol


@pytest.fixture
def source(tmp_path, write_audio, monkeypatch):
    """A protocol of twelve utterances, of which three fill a shard."""
    monkeypatch.setattr(shards, "plan_shards", lambda table, _: [*range(0, len(table), 3), len(table)])
    rng = np.random.default_rng(1)
    rows = []
    for number in range(12):
        suffix = ("wav", "flac", "mp3", "ogg")[number % 4]
        path = tmp_path / "data" / "Corpus" / f"a.b{number}.{suffix}"
        write_audio(path, 0.1 * rng.standard_normal((8000 + 100 * number, 1 + number % 2)))
        label = ("real", "fake")[number % 2]
        rows.append({"ID": f"Corpus-é{number}", "Label": label, "Path": str(path), "Proportion": "test"})
    rows[1]["Segments"] = [(0.1, 0.2, "fake")]
    build_protocol(rows, tmp_path / "data", tmp_path / "data" / "Corpus.csv", quiet=True)
    return tmp_path / "data" / "Corpus.csv"


@pytest.fixture
def pack(source, tmp_path):
    """Pack the protocol into a folder below the data folder."""

    def run(folder="shards", protocol=source, **options):
        options = {"shard_mb": 1, "quiet": True, **options}
        return write_shards(protocol, tmp_path / "data", tmp_path / "data" / folder, **options)

    return run


def digests(folder):
    """Return the digest of every file except protocols, whose paths have the name of the folder."""
    return {path.name: sha256([path]) for path in folder.iterdir() if path.name != "Corpus.csv"}


def test_entries_are_the_files(pack, source, tmp_path):
    assert pack().written == 12
    before, after = read_protocol(source), read_protocol(tmp_path / "data" / "shards" / "Corpus.csv")
    pd.testing.assert_frame_equal(before.drop(columns="Path"), after.drop(columns="Path"))
    assert after["Path"].str.startswith("$ROOT/shards/00000").all()
    for old, new in zip(before["Path"], after["Path"], strict=True):
        paths = [resolve_path(path, tmp_path / "data") for path in (old, new)]
        (expected, rate), (found, same_rate) = map(read_audio, paths)
        assert rate == same_rate and found.equal(expected)
        shard, _, place = str(paths[1]).partition("#")
        offset, length = map(int, place.split("+"))
        with open(shard, "rb") as file:
            file.seek(offset)
            assert file.read(length) == paths[0].read_bytes()


def test_an_index_says_where_each_member_is(pack, source, tmp_path):
    pack()
    table = read_protocol(source)
    for number in range(4):
        shard = tmp_path / "data" / "shards" / f"00000{number}.tar"
        with tarfile.open(shard) as tar:
            members = tar.getmembers()
            facts = [json.load(tar.extractfile(member)) for member in members if member.name.endswith(".json")]
        assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == {
            (0, 0, 0, "", 0o644)
        }
        index = read_index(shard)
        found = [(member.name, str(member.offset_data), str(member.size)) for member in members]
        assert index[["Member", "Offset", "Length"]].apply(tuple, axis=1).tolist() == found
        expected = table.iloc[3 * number : 3 * number + 3].drop(columns="Path").to_dict("records")
        assert facts == expected and [row["ID"] for row in facts] == index["ID"].tolist()[::2]
    assert index["Member"].tolist()[:2] == ["000000009.flac", "000000009.json"]


def test_the_bytes_do_not_depend_on_workers_or_the_form_of_the_protocol(pack, source, tmp_path, monkeypatch):
    pack("one")
    write_protocol(read_protocol(source), source.with_suffix(".arrow"))
    with ThreadPoolExecutor(2) as pool:  # a patched function does not reach spawned processes
        monkeypatch.setattr(parallel, "ProcessPoolExecutor", lambda *_, **__: pool)
        pack("two", source.with_suffix(".arrow"), num_workers=2)
    one, two = (digests(tmp_path / "data" / name) for name in ("one", "two"))
    assert {name: one[name] for name in one if name[0] == "0"} == {name: two[name] for name in two if name[0] == "0"}
    tables = [read_protocol(tmp_path / "data" / name) for name in ("one/Corpus.csv", "two/Corpus.arrow")]
    assert [*map(str, tables[0]["Path"])] == [path.replace("two", "one") for path in tables[1]["Path"]]


def test_finished_shards_are_kept(pack, tmp_path, monkeypatch):
    pack("whole")
    calls = []

    def stop(path):
        calls.append(path)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return probe(path)

    probe = shards.probe
    monkeypatch.setattr(shards, "probe", stop)
    with pytest.raises(KeyboardInterrupt):
        pack()
    folder = tmp_path / "data" / "shards"
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.tar")}
    assert len(kept) == 2 and not (folder / "Corpus.csv").exists() and not list(folder.glob(".*"))
    monkeypatch.setattr(shards, "probe", probe)
    assert pack().written == 12
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert digests(folder) == digests(tmp_path / "data" / "whole")


def test_a_run_leaves_out_shards_that_another_writes(pack, tmp_path):
    folder = tmp_path / "data" / "shards"
    folder.mkdir()
    with lock_output(folder / "000001.tar"):
        assert pack() is None
        assert sorted(path.name for path in folder.glob("*.tar")) == ["000000.tar", "000002.tar", "000003.tar"]
        assert not (folder / "Corpus.csv").exists()
    assert pack().written == 12


def test_runs_at_the_same_time_leave_the_same_bytes(pack, tmp_path):
    pack("whole")
    context = multiprocessing.get_context("fork")
    runs = [context.Process(target=pack) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0, 0]
    folder = tmp_path / "data" / "shards"
    assert digests(folder) == digests(tmp_path / "data" / "whole") and len(read_protocol(folder / "Corpus.csv")) == 12


def test_unreadable_files_are_left_out_and_listed(pack, source, tmp_path):
    table = read_protocol(source)
    files = [resolve_path(path, tmp_path / "data") for path in table["Path"]]
    files[1].write_bytes(files[1].read_bytes()[:-100])
    files[4].unlink()
    report = pack()
    assert report.written == 10 and [row["id"] for row in report.left_out] == ["Corpus-é1", "Corpus-é4"]
    assert report.left_out[1] == {"id": "Corpus-é4", "path": str(files[4]), "reason": "no such file"}
    target = tmp_path / "data" / "shards" / "Corpus.csv"
    assert read_report(target) == report
    expected = table["ID"].drop([1, 4]).tolist()
    assert read_protocol(target)["ID"].tolist() == expected
    assert not read_segments(segments_path(target), read_protocol(target))["Corpus-é0"].size  # those of é1 are dropped
    assert pack() == report  # from the finished run


def test_segments_go_with_the_protocol(pack, source, tmp_path):
    pack()
    target = tmp_path / "data" / "shards" / "Corpus.csv"
    assert segments_path(target).read_bytes() == segments_path(source).read_bytes()


def test_no_readable_file_is_an_error(pack, source, tmp_path):
    for path in (tmp_path / "data" / "Corpus").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="none of 12 files can be read; check --data_folder"):
        pack()
    assert not (tmp_path / "data" / "shards" / "Corpus.csv").exists()


def test_a_wrong_data_folder_can_be_corrected(pack, tmp_path):
    (tmp_path / "data" / "Corpus").rename(tmp_path / "Corpus")
    with pytest.raises(InputError, match="check --data_folder"):
        pack()
    (tmp_path / "Corpus").rename(tmp_path / "data" / "Corpus")
    assert pack().written == 12


def test_shards_can_be_packed_again(pack, tmp_path):
    """Guards against a protocol of shards being refused, which merging corpora in shards makes."""
    pack()
    pack("again", tmp_path / "data" / "shards" / "Corpus.csv")
    before, after = (read_protocol(tmp_path / "data" / name / "Corpus.csv") for name in ("shards", "again"))
    for old, new in zip(before["Path"], after["Path"], strict=True):
        expected, found = (read_audio(resolve_path(path, tmp_path / "data"))[0] for path in (old, new))
        assert found.equal(expected)


def test_other_shards_and_other_files_are_kept(pack, source, tmp_path):
    pack()
    folder = tmp_path / "data" / "shards"
    before = digests(folder)
    with pytest.raises(InputError, match="with shards of --split '' and not 'test'; choose another --output"):
        pack(split="test")
    with pytest.raises(InputError, match="with shards of --shard_mb 1 and not 7; choose another --output"):
        pack(shard_mb=7)
    with pytest.raises(InputError, match="already exists without shards"):
        pack("Corpus", overwrite=True)
    assert digests(folder) == before
    write_protocol(read_protocol(source).iloc[:5], source)
    with pytest.raises(InputError, match="with shards of another version of the protocol; choose another --output"):
        pack()
    assert digests(folder) == before
    assert pack(overwrite=True).written == 5
    assert sorted(path.name for path in folder.glob("*.tar")) == ["000000.tar", "000001.tar"]


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_damage_is_found(pack, tmp_path):
    pack()
    folder = tmp_path / "data" / "shards"
    assert verify_shards("Corpus.csv", folder, quiet=True) == (4, 24, [])
    flip(folder / "000000.tar", 700)
    (folder / "000001.tar").unlink()
    shard = folder / "000002.tar"
    shard.write_bytes(shard.read_bytes()[:20_000])
    with tarfile.open(folder / "000003.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo("more"), io.BytesIO())
    faults = verify_shards("Corpus.csv", folder, quiet=True).faults
    assert "000000.tar: 000000000.wav differs from the index; remove the shard and pack again" in faults[0]
    assert "000001.tar: cannot be read" in faults[1]
    assert any("000002.tar" in fault for fault in faults)
    assert "000003.tar: more is not in the index" in faults[-1]
    for number in range(4):
        (folder / f"00000{number}.tar").unlink(missing_ok=True)
    pack()
    assert verify_shards("Corpus.csv", folder, quiet=True).faults == []
    (folder / "000000.index.csv").write_text("ID,Path\na,b\n")
    assert "not the index of a shard" in verify_shards("Corpus.csv", folder, quiet=True).faults[0]


@settings(max_examples=20)
@given(position=st.integers(0, 2**32), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_member_is_found(scratch, write_audio, position, bit):
    folder = scratch / "shards"
    if not folder.exists():
        write_audio(scratch / "a.flac")
        build_protocol([{"ID": "a", "Label": "real", "Path": "a.flac"}], scratch, scratch / "p.csv", quiet=True)
        write_shards(scratch / "p.csv", scratch, folder, quiet=True)
    shard = folder / "000000.tar"
    whole = shard.read_bytes()
    index = read_index(shard)
    end = int(index["Offset"].iloc[-1]) + int(index["Length"].iloc[-1])
    content = bytearray(whole)
    content[position % end] ^= 1 << bit
    shard.write_bytes(content)
    is_padding = all(
        not start <= position % end < start + length and not start - 512 <= position % end < start - 12
        for start, length in zip(index["Offset"].astype(int), index["Length"].astype(int), strict=True)
    )
    assert verify_shards("p.csv", folder, quiet=True).faults or is_padding
    shard.write_bytes(whole)


def test_verifying_what_is_not_packed_is_an_error(pack, tmp_path):
    with pytest.raises(InputError, match=r"no folder of shards, which has a shards\.json"):
        verify_shards("Corpus.csv", tmp_path)
    pack()
    with pytest.raises(InputError, match=r"has the shards of Corpus\.csv, not of Other\.csv"):
        verify_shards("Other.csv", tmp_path / "data" / "shards")
    (tmp_path / "data" / "shards" / "Corpus.csv").unlink()
    with pytest.raises(InputError, match="not all shards are written yet"):
        verify_shards("Corpus.csv", tmp_path / "data" / "shards")


@given(
    seconds=st.lists(st.floats(0.01, 5000), min_size=1, max_size=50),
    encoding=st.sampled_from([("PCM_S", 16), ("FLAC", 16), ("MP3", 0)]),
    shard_mb=st.integers(1, 50),
)
def test_a_plan_covers_the_protocol_in_order(seconds, encoding, shard_mb):
    facts = {"SampleRate": 16000, "AudioChannel": 1, "AudioEncoding": encoding[0], "AudioBitSample": encoding[1]}
    table = pd.DataFrame({"Duration": seconds}).assign(**facts)
    bounds = plan_shards(table, shard_mb)
    assert bounds[0] == 0 and bounds[-1] == len(seconds) and all(start < stop for start, stop in pairwise(bounds))
    rate = {"PCM_S": 32000, "FLAC": 32000 * shards.COMPRESSED, "MP3": shards.LOSSY}[encoding[0]]
    for start, stop in pairwise(bounds):  # without its last utterance, a shard is below its size
        assert sum(rate * value + shards.OVERHEAD for value in seconds[start : stop - 1]) <= 1e6 * shard_mb
