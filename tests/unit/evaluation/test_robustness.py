"""Error rates of one detector under perturbations, with a detector whose scores are worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from antideepfake.errors import InputError
from antideepfake.evaluation.robustness import COLUMNS, _perturb, measure_robustness
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.provenance import read_provenance
from antideepfake.scoring.score_file import read_scores

REAL, FAKE = (0.8, 0.4, 0.2, 0.03), (0.02, 0.01, 0.005, 0.1)  # amplitudes; one of each on the wrong side of 0.05


class LevelMeter:
    """A detector for which loud recordings are real: the score is the level in dB."""

    def __init__(self, digest="meter"):
        self.digest, self.scored = digest, 0
        self.metadata = ModelMetadata(training_corpora=["MLS"])

    def weights_digest(self):
        return self.digest

    def score_files(self, items, batch_seconds):
        for item in items:
            if isinstance(item, str):
                yield SimpleNamespace(error=f"{item}: unreadable", logits=(np.nan, np.nan))
            else:
                waveform, sample_rate = item
                assert sample_rate == 16000 and batch_seconds == 16.0
                self.scored += 1
                yield SimpleNamespace(error="", logits=(0.0, 10 * np.log10(float(waveform.square().mean()))))


@pytest.fixture
def table(tmp_path, write_audio):
    """Tones of the amplitudes above, exact to the last bit, with paths below ``$ROOT``."""
    rows = []
    for label, amplitudes in (("real", REAL), ("fake", FAKE)):
        for amplitude in amplitudes:
            tone = amplitude * np.sqrt(2) * np.sin(2 * np.pi * 500 * np.arange(4000) / 16000)
            name = f"{label}{amplitude}.wav"
            write_audio(tmp_path / "data" / name, tone, subtype="DOUBLE")
            rows.append((name, label, f"$ROOT/{name}", "-" if label == "real" else "world"))
    return pd.DataFrame(rows, columns=["ID", "Label", "Path", "Attack"])


@pytest.fixture
def measure(table, tmp_path):
    """Measure the robustness of a detector to perturbations."""

    def run(detector, perturbations, rows=table, **options):
        options = {"output": tmp_path / "out", "quiet": True, **options}
        return measure_robustness(detector, rows, tmp_path / "data", perturbations=perturbations, **options)

    return run


def test_a_lower_level_moves_all_scores_and_leaves_the_error_rate(measure, table, tmp_path):
    results, skipped = measure(LevelMeter(), ["level"])
    assert list(results.columns) == COLUMNS and skipped == 0
    assert results[["perturbation", "strength"]].values.tolist() == [["clean", 0], ["level", -10], ["level", -30]]
    assert results["eer"].tolist() == [0.25] * 3  # a quarter of either class is on the wrong side
    assert (results["low"] <= 0.25).all() and (results["high"] >= 0.25).all()
    assert results["difference"].isna().tolist() == results["p"].isna().tolist() == [True, False, False]
    assert results["difference"][1:].tolist() == [0, 0] and results["p"][1:].tolist() == [1, 1]
    clean, low = (read_scores(tmp_path / "out" / "scores" / f"{name}.csv") for name in ("clean_0", "level_-30"))
    assert clean["Score"].to_numpy() == pytest.approx(20 * np.log10([*REAL, *FAKE]), abs=1e-3)
    assert low["Score"].to_numpy() == pytest.approx(clean["Score"].to_numpy() - 30, abs=1e-3)
    assert clean[["ID", "Label", "Attack"]].equals(table[["ID", "Label", "Attack"]])
    assert read_provenance(tmp_path / "out" / "scores" / "level_-30.csv").metadata.training_corpora == ["MLS"]


def test_noise_is_as_strong_as_its_ratio_to_each_recording(measure, tmp_path):
    results, _ = measure(LevelMeter(), ["white noise"])
    assert results["strength"].tolist() == [0, 30, 20, 10, 0]  # clean, then decibels
    clean = read_scores(tmp_path / "out" / "scores" / "clean_0.csv")["Score"]
    for ratio in (30, 20, 10, 0):
        noisy = read_scores(tmp_path / "out" / "scores" / f"white_noise_{ratio}.csv")["Score"]
        expected, chance = 10 * np.log10(1 + 10 ** (-ratio / 10)), 0.5 * 10 ** (-ratio / 20)
        assert (noisy - clean).to_numpy() == pytest.approx(expected, abs=chance)


def test_complete_score_files_of_the_same_run_are_kept(measure, tmp_path):
    first, again = LevelMeter(), LevelMeter()
    results, _ = measure(first, ["level"])
    assert measure(again, ["level"])[0].equals(results)
    assert (first.scored, again.scored) == (3 * 8, 0)
    (tmp_path / "out" / "scores" / "level_-10.csv").unlink()
    assert measure(again, ["level"])[0].equals(results)
    assert again.scored == 8


@pytest.mark.parametrize("change", ["model", "seed", "utterances"])
def test_score_files_of_another_run_are_replaced_only_on_demand(measure, table, change):
    measure(LevelMeter(), [])
    other = LevelMeter("another" if change == "model" else "meter")
    options = {"seed": 5 if change == "seed" else 1234, "rows": table[1:] if change == "utterances" else table}
    with pytest.raises(InputError, match=r"clean_0\.csv: written with another model, seed or choice of utterances"):
        measure(other, [], **options)
    measure(other, [], **options, overwrite=True)
    assert other.scored == len(options["rows"])


def test_an_unreadable_file_is_skipped_in_every_condition(measure, tmp_path):
    (tmp_path / "data" / "real0.8.wav").unlink()
    _, skipped = measure(LevelMeter(), ["level"])
    assert skipped == 1
    assert len(read_scores(tmp_path / "out" / "scores" / "level_-10.csv")) == 7
    lines = (tmp_path / "out" / "scores" / "level_-10.csv.skipped.csv").read_text().splitlines()
    assert len(lines) == 2 and lines[1].startswith("$ROOT/real0.8.wav,")


def test_the_noise_of_an_utterance_does_not_depend_on_the_others(table, tmp_path):
    def perturb(rows, seed):
        waveforms = _perturb(rows, tmp_path / "data", "white noise", 0.0, seed)
        return {name: waveform.tolist() for name, (waveform, _) in zip(rows["ID"], waveforms, strict=True)}

    whole = perturb(table, 1234)
    assert perturb(table[::-1], 1234) == whole
    other = perturb(table, 5)
    assert all(other[name] != waveform for name, waveform in whole.items())
