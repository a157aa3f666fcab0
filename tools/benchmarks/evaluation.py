"""Evaluation of score files, relative to parsing them with Arrow and sorting the scores with numpy."""

from benchmarks.inputs import Inputs
from benchmarks.measure import Measurement, antideepfake, call

SCORES = 600_000  # about as many as in ASVspoof 2021 DF
ATTACKS = 19


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurements: error rates and intervals, also by attack, and a paired comparison."""
    count = inputs.count(SCORES, 1000)
    first, second = (inputs.make(f"scores_{count}_{seed}.csv", write_scores, count, seed) for seed in (1, 2))
    own, both = antideepfake("evaluate", first, "--quiet"), antideepfake("evaluate", first, second, "--quiet")
    plain = call(evaluate_plain, first)
    return [
        Measurement("error rates", count, "scores", plain, own),
        Measurement("19 attacks, to without", count, "scores", own, (*own, "--by", "Attack")),
        Measurement("comparison of 2 files", count, "scores", call(evaluate_plain, first, second), both),
    ]


def write_scores(path: str, count: str, seed: str) -> None:
    """Write a score file, 10 % of it scores of bona fide utterances."""
    import numpy as np

    rng = np.random.default_rng(int(seed))
    is_real = np.random.default_rng(1).random(int(count)) < 0.1  # the same in all files
    halves = np.round(rng.normal(0, 0.75, int(count)) + 1.5 * is_real, 6).tolist()
    with open(path, "w") as file:
        file.write("ID,Score,Label,Attack\n")
        for number, (half, label) in enumerate(zip(halves, is_real.tolist(), strict=True)):
            attack = "-" if label else f"A{number % ATTACKS:02}"
            file.write(f'DF_E_{number},"[{-half}, {half}]",{int(label)},{attack}\n')


def evaluate_plain(*paths: str) -> None:
    """Print the equal error rate of each score file."""
    import numpy as np
    import pyarrow.compute
    import pyarrow.csv

    for path in paths:
        table = pyarrow.csv.read_csv(path)
        logits = pyarrow.compute.split_pattern(pyarrow.compute.utf8_trim(table["Score"], "[]"), ", ")
        pairs = pyarrow.compute.list_flatten(logits).cast("float64").to_numpy().reshape(-1, 2)
        scores, labels = pairs[:, 1] - pairs[:, 0], table["Label"].to_numpy()
        is_real = labels[np.argsort(scores)] == 1
        rejected = np.cumsum(is_real) / is_real.sum()
        accepted = 1 - np.cumsum(~is_real) / (~is_real).sum()
        point = np.argmin(np.abs(rejected - accepted))
        print(path, (rejected[point] + accepted[point]) / 2)
