"""Datasets, crops and batches."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from speechbrain.dataio.dataset import DynamicItemDataset

from antideepfake.dataio import RandomCrop, make_batch_sampler, make_dataset, read_waveform
from antideepfake.errors import InputError


@given(st.floats(0.1, 10), st.floats(0, 10), st.floats(0.01, 100), st.integers(0, 5), st.integers(0, 5))
def test_crops_lie_within_the_clip(shortest, more, seconds, seed, epoch):
    """Training would read beyond the end of a file, or other lengths than asked for."""
    crop = RandomCrop(shortest, shortest + more, seed)
    crop.epoch = epoch
    start, duration = crop("a", seconds)
    if seconds <= shortest + more:
        assert (start, duration) == (0.0, None)
    else:
        assert shortest <= duration <= shortest + more
        assert 0 <= start <= seconds - duration + 1e-9


def test_crops_repeat_per_seed_epoch_and_utterance_only():
    """A run could not be repeated; or every epoch would see the same second of a file of an hour."""

    def draw(seed, epoch, utterance):
        crop = RandomCrop(1.0, 2.0, seed)
        crop.epoch = epoch
        return crop(utterance, 3600.0)

    base = draw(1, 1, "a")
    assert draw(1, 1, "a") == base
    assert len({base, draw(2, 1, "a"), draw(1, 2, "a"), draw(1, 1, "b")}) == 4


def test_crops_spread_over_the_clip():
    """Training would hear the beginnings of files only."""
    crop = RandomCrop(1.0, 2.0, 1)
    starts, durations = zip(*(crop(str(number), 11.5) for number in range(400)), strict=True)
    assert np.histogram(starts, 5, (0, 10))[0].min() > 40
    assert np.histogram(durations, 5, (1, 2))[0].min() > 40


@pytest.mark.parametrize(("shortest", "longest"), [(0, 1), (3, 2), (-1, 2)])
def test_crops_of_no_length_are_refused(shortest, longest):
    """The mistake would show only as empty waveforms."""
    with pytest.raises(ValueError, match="is needed"):
        RandomCrop(shortest, longest, 1)


def _table(rows):
    return pd.DataFrame(rows, columns=["ID", "Label", "Path", "Duration"])


def test_items_are_the_files(tmp_path, write_audio):
    """Waveforms and labels would be mixed up."""
    write_audio(tmp_path / "x" / "a.wav", rate=8000)
    write_audio(tmp_path / "b.wav")
    table = _table([("7", "real", "$ROOT/x/a.wav", 0.5), ("b", "fake", str(tmp_path / "b.wav"), 0.5)])
    items = {item["id"]: item for item in make_dataset(table, tmp_path)}
    assert items["7"]["target"] == 1 and items["b"]["target"] == 0
    torch.testing.assert_close(items["7"]["waveform"], read_waveform(tmp_path / "x" / "a.wav"), atol=0, rtol=0)
    torch.testing.assert_close(items["b"]["waveform"], read_waveform(tmp_path / "b.wav"), atol=0, rtol=0)


def test_training_reads_the_crop_and_testing_the_whole(tmp_path, write_audio):
    """Validation would be on crops, or training on files of any length."""
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 80000))
    table = _table([("a", "real", "$ROOT/a.wav", 5.0)])
    crop = RandomCrop(1.0, 2.0, 1)
    dataset = make_dataset(table, tmp_path, crop)
    start, duration = crop("a", 5.0)
    first = dataset[0]["waveform"]
    torch.testing.assert_close(first, read_waveform(path, start, duration), atol=0, rtol=0)
    crop.epoch = 1
    assert not torch.equal(dataset[0]["waveform"][:1000], first[:1000])
    assert len(make_dataset(table, tmp_path)[0]["waveform"]) == 80000


def test_too_short_is_told_with_the_front_ends_need(tmp_path, write_audio):
    """A front end would crash on a clip of less than a frame."""
    write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 300))
    with pytest.raises(InputError, match="at least 400"):
        make_dataset(_table([("a", "real", "$ROOT/a.wav", 0.02)]), tmp_path, min_samples=400)[0]


def _sampler(lengths, batch_seconds=20.0, num_buckets=4, max_clip=13.0, seed=1):
    dataset = DynamicItemDataset({str(number): {"duration": length} for number, length in enumerate(lengths)})
    return make_batch_sampler(dataset, batch_seconds, num_buckets, max_clip, seed)


@given(st.lists(st.floats(0.01, 60), min_size=1, max_size=60), st.floats(1, 50), st.integers(2, 10))
def test_every_clip_is_in_one_batch_and_no_batch_too_large(lengths, batch_seconds, num_buckets):
    """Clips would be left out of training, or a batch would not fit into memory."""
    sampler = _sampler(lengths, batch_seconds, num_buckets)
    for _ in range(2):
        batches = list(sampler)
        assert Counter(index for batch in batches for index in batch) == Counter(range(len(lengths)))
        for batch in batches:
            longest = max(min(lengths[index], 13.0) for index in batch)
            assert len(batch) == 1 or longest * len(batch) <= batch_seconds + 1e-6


@pytest.mark.parametrize(
    ("low", "high", "batch_seconds", "num_buckets"), [(2.0, 3.0, 100.0, 8), (1.0, 13.0, 100.0, 8), (0.5, 4.0, 30.0, 4)]
)
def test_batches_hold_about_what_is_asked_for(low, high, batch_seconds, num_buckets):
    """A learning rate chosen for 100 seconds would be used with batches of 30, and clips be padded to the longest."""
    lengths = np.random.default_rng(1).uniform(low, high, 2000)
    audio, padded = [], []
    for batch in _sampler(lengths, batch_seconds, num_buckets):
        audio.append(lengths[batch].sum())
        padded.append(lengths[batch].max() * len(batch))
    assert np.median(padded) > 0.7 * batch_seconds
    assert sum(audio) > 0.75 * sum(padded)


def test_one_bucket_is_allowed():
    """The simplest setting would fail."""
    assert sorted(index for batch in _sampler([1.0, 2.0, 3.0], num_buckets=1) for index in batch) == [0, 1, 2]


def test_order_depends_on_seed_and_epoch():
    """A run could not be repeated; or every epoch would have the same batches."""
    lengths = np.random.default_rng(1).uniform(1, 5, 100)

    def batches(seed, epoch):
        sampler = _sampler(lengths, seed=seed)
        sampler.set_epoch(epoch)
        return [tuple(batch) for batch in sampler]

    assert batches(1, 1) == batches(1, 1)
    assert set(batches(1, 1)) != set(batches(1, 2))
    assert set(batches(1, 1)) != set(batches(2, 1))
