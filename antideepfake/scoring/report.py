"""What scores say: a table of error rates and a picture."""

import os
from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from scipy.stats import norm

from antideepfake.files import atomic_path
from antideepfake.scoring.metrics import equal_error_rate, equal_error_rate_interval, error_curves


def generator_table(scores: pd.DataFrame, seen: set[str], seed: int = 1234) -> pd.DataFrame:
    """Error rates over all generators, those seen in training, those unseen, and each by itself.

    Arguments
    ---------
    scores : pandas.DataFrame
        As :func:`antideepfake.scoring.read_scores` gives, with the column Attack: ``-`` where the generator is unknown.
    seen : set of str
        Generators (Attack) of the training set.
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``generators``, ``real`` and ``fake`` (utterances), ``eer``, ``low`` and ``high`` (the 95 %
        interval; fractions). Every group is held against all bona fide utterances.

    Raises
    ------
    InputError
        When a class is absent.

    Example
    -------
    >>> scores = pd.DataFrame({
    ...     "Score": [2.0, 3.0, -1.0, 2.5],
    ...     "Label": ["real", "real", "fake", "fake"],
    ...     "Attack": ["-", "-", "world", "piper"],
    ... })
    >>> generator_table(scores, seen={"world"})[["generators", "fake", "eer"]].values.tolist()
    [['all', 2, 0.5], ['seen in training', 1, 0.0], ['unseen', 1, 0.75], ['piper (unseen)', 1, 0.75], ['world', 1, 0.0]]
    """
    rng = np.random.default_rng(seed)
    real = scores.loc[scores["Label"] == "real", "Score"].to_numpy()
    fakes = scores[scores["Label"] == "fake"]
    groups = [("all", fakes), *split_by_generator(fakes, seen).items()]
    for generator, group in sorted(fakes[fakes["Attack"] != "-"].groupby("Attack"), key=lambda item: str(item[0])):
        groups.append((str(generator) if generator in seen else f"{generator} (unseen)", group))
    rows = []
    for name, group in groups:
        fake = group["Score"].to_numpy()
        eer = equal_error_rate(real, fake).eer
        low, high = equal_error_rate_interval(real, fake, rng)
        rows.append({"generators": name, "real": len(real), "fake": len(fake), "eer": eer, "low": low, "high": high})
    return pd.DataFrame(rows)


def split_by_generator(fakes: pd.DataFrame, seen: set[str]) -> dict[str, pd.DataFrame]:
    """Divide spoofed utterances by whether their generator was there in training.

    Arguments
    ---------
    fakes : pandas.DataFrame
        With the column Attack.
    seen : set of str
        Generators of the training set.

    Returns
    -------
    dict
        ``seen in training``, ``unseen`` and ``generator unknown``, those that are not empty.

    Example
    -------
    >>> list(split_by_generator(pd.DataFrame({"Attack": ["piper", "-"]}), seen={"world"}))
    ['unseen', 'generator unknown']
    """
    unknown = fakes["Attack"] == "-"
    is_seen = fakes["Attack"].isin(seen) & ~unknown
    groups = {
        "seen in training": fakes[is_seen],
        "unseen": fakes[~is_seen & ~unknown],
        "generator unknown": fakes[unknown],
    }
    return {name: group for name, group in groups.items() if len(group)}


def format_generator_table(table: pd.DataFrame) -> str:
    """Lay out :func:`generator_table` for a terminal, percentages with their interval.

    Arguments
    ---------
    table : pandas.DataFrame
        As :func:`generator_table` gives.

    Returns
    -------
    str
        Lines of fewer than 100 columns.

    Example
    -------
    >>> row = {"generators": "all", "real": 10, "fake": 20, "eer": 0.1, "low": 0.02, "high": 0.2}
    >>> print(format_generator_table(pd.DataFrame([row])))
    generators                          real   fake   EER %   95 % interval
    all                                   10     20   10.00    2.00 - 20.00
    """
    lines = [f"{'generators':<34}{'real':>6} {'fake':>6}   EER %   95 % interval"]
    for row in table.itertuples():
        interval = f"{100 * row.low:.2f} - {100 * row.high:.2f}"
        lines.append(f"{row.generators[:33]:<34}{row.real:>6} {row.fake:>6} {100 * row.eer:>7.2f}{interval:>16}")
    return "\n".join(lines)


def plot_scores(
    scores: Mapping[str, np.ndarray], path: str | os.PathLike, threshold: float | None = None, title: str = ""
) -> None:
    """Draw the histogram of the scores and the DET curves, side by side.

    Arguments
    ---------
    scores : mapping of str to array
        ``real``: scores of bona fide utterances; every other entry: scores of a group of spoofed ones, under its name.
    path : str or Path
        A PNG, PDF or SVG file.
    threshold : float, optional
        The decision threshold, drawn as a line.
    title : str
        Above the picture.
    """
    import matplotlib

    matplotlib.use("Agg")  # draws to files; a machine without a screen has no other
    from matplotlib import pyplot

    colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"]  # Okabe and Ito's, told apart by the colour-blind
    figure, (histogram, det) = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    bins = np.histogram_bin_edges(np.concatenate(list(scores.values())), 40)
    for (name, values), colour in zip(scores.items(), cycle(colours), strict=False):
        histogram.hist(values, bins, density=True, alpha=0.45, color=colour, label=f"{name} ({len(values)})")
        histogram.hist(values, bins, density=True, histtype="step", color=colour)
    if threshold is not None:
        histogram.axvline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold {threshold:.2f}")
    histogram.set(xlabel="score (logit of real - logit of fake)", ylabel="density")
    histogram.set_ylim(top=1.35 * histogram.get_ylim()[1])  # room for the legend
    histogram.legend(frameon=False)

    rates = np.array([0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
    limits = norm.ppf([0.001, 0.95])
    for (name, values), colour in zip(scores.items(), cycle(colours), strict=False):
        if name == "real":
            continue
        curves = error_curves(scores["real"], values)
        eer = equal_error_rate(scores["real"], values).eer
        x, y = (norm.ppf(np.clip(rate, 1e-4, 1 - 1e-4)) for rate in (curves.false_acceptance, curves.false_rejection))
        det.plot(x, y, color=colour, drawstyle="steps-post", label=f"{name}: EER {100 * eer:.1f} %")
    det.plot(limits, limits, color="grey", linewidth=0.7, linestyle=":")
    ticks = [f"{100 * rate:g}" for rate in rates]
    det.set(xlabel="fake taken for real, %", ylabel="real taken for fake, %", xlim=limits, ylim=limits)
    det.set_xticks(norm.ppf(rates), ticks)
    det.set_yticks(norm.ppf(rates), ticks)
    det.set_aspect("equal")
    det.grid(alpha=0.3)
    det.legend(frameon=False)
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    pyplot.close(figure)
