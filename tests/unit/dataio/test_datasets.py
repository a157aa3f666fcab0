"""Datasets and crops: random numbers depend only on seed, epoch and utterance."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st
from speechbrain.dataio.batch import PaddedBatch
from torch.utils.data import DataLoader

from antideepfake.audio.waveform import SilentError, read_waveform
from antideepfake.dataio.datasets import RandomCrop, SkippingDataset, make_dataset
from antideepfake.errors import InputError
from antideepfake.protocol.table import COLUMNS, read_protocol, write_protocol


@given(st.floats(0.1, 10), st.floats(0, 10), st.floats(0.01, 100), st.integers(0, 5))
def test_crops_lie_within_the_clip(shortest, more, seconds, seed):
    start, duration = RandomCrop(shortest, shortest + more)(seconds, np.random.default_rng(seed))
    if seconds <= shortest + more:
        assert (start, duration) == (0.0, None)
    else:
        assert shortest <= duration <= shortest + more
        assert 0 <= start <= seconds - duration + 1e-9


def test_crops_spread_over_the_clip():
    crop, rng = RandomCrop(1.0, 2.0), np.random.default_rng(1)
    starts, durations = zip(*(crop(11.5, rng) for _ in range(400)), strict=True)
    assert np.histogram(starts, 5, (0, 10))[0].min() > 40
    assert np.histogram(durations, 5, (1, 2))[0].min() > 40


@pytest.mark.parametrize(("shortest", "longest"), [(0, 1), (3, 2), (-1, 2)])
def test_crops_of_no_length_are_refused(shortest, longest):
    with pytest.raises(ValueError, match="is required"):
        RandomCrop(shortest, longest)


def _table(rows):
    return pd.DataFrame(rows, columns=["ID", "Label", "Path", "Duration"])


def test_items_are_the_files(tmp_path, write_audio):
    write_audio(tmp_path / "x" / "a.wav", rate=8000)
    write_audio(tmp_path / "b.wav")
    table = _table([("7", "real", "$ROOT/x/a.wav", 0.5), ("b", "fake", str(tmp_path / "b.wav"), 0.5)])
    items = {item["id"]: item for item in make_dataset(table, tmp_path)}
    assert items["7"]["target"] == 1 and items["b"]["target"] == 0
    torch.testing.assert_close(items["7"]["waveform"], read_waveform(tmp_path / "x" / "a.wav"), atol=0, rtol=0)
    torch.testing.assert_close(items["b"]["waveform"], read_waveform(tmp_path / "b.wav"), atol=0, rtol=0)


def test_a_mapped_protocol_gives_the_same_items(tmp_path, write_audio):
    rows = []
    for number, label in enumerate(["real", "fake", "real"]):
        write_audio(tmp_path / f"{number}.wav", np.random.default_rng(number).uniform(-0.5, 0.5, 8000))
        rows.append([str(number), label, 0.5, 16000, f"$ROOT/{number}.wav", "-", "-", "-", 1, "PCM_S", 16, "EN"])
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_protocol(table, tmp_path / "p.arrow")
    mapped = make_dataset(read_protocol(tmp_path / "p.arrow"), tmp_path, crop=RandomCrop(0.1, 0.2))
    in_memory = make_dataset(table, tmp_path, crop=RandomCrop(0.1, 0.2))
    assert len(mapped) == len(in_memory) == 3
    for one, other in zip(mapped, in_memory, strict=True):
        assert (one["id"], one["target"]) == (other["id"], other["target"])
        assert torch.equal(one["waveform"], other["waveform"])
    loader = DataLoader(mapped, batch_size=3, num_workers=2, collate_fn=PaddedBatch)
    assert next(iter(loader)).id == ["0", "1", "2"]


def test_a_dataset_keeps_no_object_of_an_utterance(tmp_path):
    table = pd.DataFrame(
        {"ID": [f"utterance-{n}" for n in range(20_000)], "Label": "real", "Path": "-", "Duration": 1.0}
    )
    tracemalloc.start()
    dataset = make_dataset(table, tmp_path)
    assert len(dataset) == 20_000
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def _long_file(folder, write_audio):
    write_audio(folder / "a.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 80000))
    return _table([("a", "real", "$ROOT/a.wav", 5.0), ("b", "real", "$ROOT/a.wav", 5.0)])


def test_training_reads_the_crop_and_testing_the_whole(tmp_path, write_audio):
    table = _long_file(tmp_path, write_audio)
    cropped = make_dataset(table, tmp_path, crop=RandomCrop(1.0, 2.0))[0]["waveform"]
    assert 16000 <= len(cropped) <= 32000
    assert len(make_dataset(table, tmp_path)[0]["waveform"]) == 80000


def test_randomness_depends_on_seed_epoch_and_utterance_only(tmp_path, write_audio):
    table = _long_file(tmp_path, write_audio)

    def noise(waveform, generator):
        return waveform + generator.standard_normal(len(waveform), dtype=np.float32)

    def draw(index, seed=1):
        dataset = make_dataset(table, tmp_path, crop=RandomCrop(1.0, 1.0), augmentation=noise, seed=seed)
        return dataset[index]["waveform"]

    assert torch.equal(draw(0), draw(0))
    assert torch.equal(draw(0), draw((0, 0)))
    others = [draw(1), draw((1, 0)), draw((2, 0)), draw(0, seed=2)]  # of another utterance, epoch, epoch, seed
    assert not any(torch.equal(draw(0), other) for other in others)
    dataset = make_dataset(table, tmp_path)
    assert dataset[1, 0]["id"] == dataset[2, 0]["id"] == "a" and dataset[1, 1]["id"] == "b"


def test_augmentation_comes_before_normalization(tmp_path, write_audio):
    table = _long_file(tmp_path, write_audio)
    seen = []

    def louder(waveform, generator):
        seen.append(waveform)
        return 7 * waveform + 3

    waveform = make_dataset(table, tmp_path, augmentation=louder)[0]["waveform"]
    assert seen[0].dtype == torch.float32 and seen[0].shape == (80000,) and seen[0].abs().max() <= 0.5
    torch.testing.assert_close(waveform, read_waveform(tmp_path / "a.wav"), atol=1e-4, rtol=1e-4)


def test_too_short_is_reported_with_the_front_ends_need(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 300))
    with pytest.raises(InputError, match="at least 400"):
        make_dataset(_table([("a", "real", "$ROOT/a.wav", 0.02)]), tmp_path, min_samples=400)[0]


def _half_silent(folder, write_audio, seconds=5.0):
    """A clip as synthesizers write them, with digital silence at its end."""
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, round(16000 * seconds))
    samples[32000:] = 0
    write_audio(folder / "a.wav", samples)
    return _table([("a", "fake", "$ROOT/a.wav", seconds)])


def test_a_silent_crop_is_sampled_again(tmp_path, write_audio):
    """Guards against a good file that ends training, at the same step after every restart."""
    dataset = make_dataset(_half_silent(tmp_path, write_audio), tmp_path, crop=RandomCrop(0.5, 1.0), seed=1)
    waveforms = [dataset[epoch, 0]["waveform"] for epoch in range(30)]
    assert all(torch.isfinite(waveform).all() and waveform.std() > 0.5 for waveform in waveforms)
    again = [dataset[epoch, 0]["waveform"] for epoch in range(30)]
    assert all(torch.equal(one, other) for one, other in zip(waveforms, again, strict=True))


def test_a_file_that_is_silent_in_every_crop_is_reported(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav", np.zeros(80000))
    table = _table([("a", "fake", "$ROOT/a.wav", 5.0)])
    with pytest.raises(SilentError, match="silent in 20 random crops"):
        make_dataset(table, tmp_path, crop=RandomCrop(0.5, 1.0))[0]
    with pytest.raises(SilentError, match="silent"):
        make_dataset(table, tmp_path)[0]


@pytest.fixture
def partial(tmp_path, write_audio):
    """A fake utterance of 5 s, of which the second second is fake, and a wholly fake one."""
    for name in "ab":
        write_audio(tmp_path / f"{name}.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 80000))
    table = _table([(name, "fake", f"$ROOT/{name}.wav", 5.0) for name in "ab"])

    def make(**options):
        return make_dataset(table, tmp_path, segments={"a": np.array([[1.0, 2.0]])}, frame_seconds=0.5, **options)

    return make


def test_labels_of_frames_follow_the_segments(partial):
    first, second = (partial()[index] for index in range(2))
    assert first["frame_targets"].tolist() == [1, 1, 0, 0, 1, 1, 1, 1, 1, 1] and first["target"] == 0
    assert second["frame_targets"].tolist() == [0] * 10 and second["target"] == 0


def test_labels_are_cropped_with_the_waveform(partial):
    """Guards against a crop labeled fake without any fake speech."""
    dataset = partial(crop=RandomCrop(1.0, 2.0), seed=3)
    plain = partial()[0]["waveform"]
    targets = set()
    for epoch in range(20):
        item = dataset[epoch, 0]
        size = len(item["waveform"])
        start = scipy.signal.correlate(plain, item["waveform"], "valid").argmax()  # of waveforms of zero mean
        fake = np.zeros(80000, bool)
        fake[16000:32000] = True
        expected = [0 if fake[start + first : start + size][:8000].any() else 1 for first in range(0, size, 8000)]
        assert item["frame_targets"].tolist() == expected and item["target"] == min(expected)
        targets.add(item["target"])
    assert targets == {0, 1}


def test_an_augmentation_that_changes_the_speed_moves_the_labels(partial):
    item = partial(augmentation=lambda waveform, generator: waveform.repeat_interleave(2))[0]
    assert item["frame_targets"].tolist() == [1] * 4 + [0] * 4 + [1] * 12


def test_wholly_fake_utterances_are_spliced(partial):
    def splice(waveform, index, generator):
        assert index == 1
        return waveform[:40000], np.array([[0.0, 0.5], [2.0, 2.5]])

    first, second = (partial(splice=splice)[index] for index in range(2))
    assert len(first["waveform"]) == 80000 and first["frame_targets"].tolist()[2:5] == [0, 0, 1]
    assert len(second["waveform"]) == 40000 and second["frame_targets"].tolist() == [0, 1, 1, 1, 0]


@pytest.fixture
def with_bad_files(tmp_path, write_audio):
    """Five utterances, of which 1, 2 and 4 cannot be used."""
    write_audio(tmp_path / "0.wav")
    write_audio(tmp_path / "1.wav", np.zeros(8000))
    write_audio(tmp_path / "2.wav").write_bytes(b"RIFF")
    write_audio(tmp_path / "3.wav", np.random.default_rng(3).uniform(-0.5, 0.5, 9000))
    rows = [(str(number), "real", f"$ROOT/{number}.wav", 0.5) for number in range(5)]  # 4 does not exist
    return make_dataset(_table(rows), tmp_path)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_utterance_replaces_an_unusable_one_in_training(with_bad_files, workers):
    dataset = SkippingDataset(with_bad_files, substitute=True, min_samples=400)
    batch = next(iter(DataLoader(dataset, batch_size=5, collate_fn=PaddedBatch, num_workers=workers)))
    assert batch.id == ["0", "3", "3", "3", "0"] and batch.readable.all()
    skipped = [[name for name, _ in json.loads(text)] for text in batch.skipped]
    assert skipped == [[], ["1", "2"], ["2"], [], ["4"]]
    assert "silent" in batch.skipped[1] and "no such file" in batch.skipped[4]


def test_zeros_replace_an_unusable_utterance_in_validation(with_bad_files):
    items = list(map(SkippingDataset(with_bad_files, substitute=False, min_samples=400).__getitem__, range(5)))
    assert [item["id"] for item in items] == ["0", "1", "2", "3", "4"]
    assert [item["readable"] for item in items] == [True, False, False, True, False]
    assert all(torch.equal(items[place]["waveform"], torch.zeros(400)) for place in (1, 2, 4))


def test_a_wrong_data_folder_is_reported(tmp_path):
    table = _table([(str(number), "real", f"$ROOT/{number}.wav", 0.5) for number in range(300)])
    dataset = SkippingDataset(make_dataset(table, tmp_path), substitute=True, min_samples=400)
    with pytest.raises(
        InputError, match=r"100 consecutive utterances cannot be read; check the data folder; the first: .*/7\.wav"
    ):
        dataset[7]
