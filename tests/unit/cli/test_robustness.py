"""antideepfake robustness: the sample, the table and the verdict on non-speech segments."""

import pandas as pd

from antideepfake.augment.perturbations import PERTURBATIONS
from antideepfake.cli.robustness import NAMES, format_rows, judge_silence, sample


def test_all_perturbations_can_be_chosen():
    assert list(PERTURBATIONS) == list(NAMES)


def test_a_sample_keeps_the_proportion_of_the_labels():
    labels = ["fake" if number % 4 else "real" for number in range(40)]
    table = pd.DataFrame({"ID": [f"u{number:02}" for number in range(40)], "Label": labels})
    few = sample(table, 12, 1)
    assert few["Label"].value_counts().to_dict() == {"fake": 9, "real": 3}
    assert few["ID"].is_monotonic_increasing and few["ID"].tolist() == sample(table, 12, 1)["ID"].tolist()
    assert sample(table, 0, 1) is table and sample(table, 40, 1) is table


def test_the_verdict_on_silence_follows_the_error_rate():
    rows = pd.DataFrame([{"perturbation": "no speech", "eer": 0.2, "high": 0.3}])
    assert judge_silence(rows).startswith("Warning: the detector relies on non-speech")
    assert "does not rely" in judge_silence(rows.assign(eer=0.48, high=0.55))
    assert judge_silence(rows.assign(perturbation="gsm")) == ""


def test_the_clean_condition_has_neither_strength_nor_difference():
    numbers = {"eer": 0.1, "low": 0.05, "high": 0.2}
    rows = pd.DataFrame(
        [
            {"perturbation": "clean", "strength": 0.0, **numbers, "difference": float("nan"), "p": float("nan")},
            {"perturbation": "white noise", "strength": 20.0, **numbers, "difference": -0.01, "p": 0.25},
        ]
    )
    _, clean, noisy = format_rows(rows).splitlines()
    assert clean.split() == ["clean", "10.00", "5.00", "-", "20.00"]
    assert noisy.startswith("white noise") and " 20  " in noisy and noisy.split()[-2:] == ["-1.00", "0.250"]


def test_an_unknown_perturbation_is_refused(command):
    status, _, err = command("robustness", "m", "p.csv", "--output", "o", "--perturbations", "levels")
    assert status == 2 and "--perturbations is 'levels' (choose from white noise" in err
