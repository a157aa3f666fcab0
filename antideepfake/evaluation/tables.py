"""Evaluations as tables for a terminal, a paper or a spreadsheet."""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from antideepfake.evaluation.evaluator import Evaluation, Group
from antideepfake.metrics.bootstrap import Estimate
from antideepfake.metrics.costs import reliability
from antideepfake.metrics.rates import Array

MISSING = Estimate(np.nan, np.nan, np.nan)
SIGNIFICANCE = 0.05  # a difference with a smaller p-value is reported as one
RELIABLE = 0.03  # largest mean absolute error of well-calibrated probabilities


class Metric(NamedTuple):
    """The title of a metric, its meaning, and whether it is a fraction, which is shown in percent."""

    name: str
    meaning: str
    is_fraction: bool


METRICS = {
    "eer": Metric("EER", "error rate where both error rates are equal", True),
    "eer_threshold": Metric("threshold of the EER", "score at which they are equal", False),
    "eer_interpolated": Metric("EER, interpolated", "EER, interpolated between thresholds", True),
    "roc_auc": Metric("ROC AUC", "probability that real scores above fake", False),
    "accuracy": Metric("accuracy", "fraction of correct decisions", True),
    "precision": Metric("precision", "fraction of accepted utterances that are real", True),
    "recall": Metric("recall", "real accepted as real", True),
    "f1": Metric("F1", "harmonic mean of precision and recall", True),
    "fpr": Metric("FPR", "fake accepted as real", True),
    "fnr": Metric("FNR", "real rejected as fake", True),
    "min_dcf": Metric("minDCF", "cost at the best threshold; 1 = uninformative", False),
    "act_dcf": Metric("actDCF", "cost at the optimal threshold of calibrated scores", False),
    "cllr": Metric("Cllr", "log-likelihood-ratio cost in bits; 1 = uninformative", False),
    "min_cllr": Metric("min Cllr", "Cllr after the best calibration of these scores", False),
    "min_t_dcf": Metric("min t-DCF", "cost together with the speaker verification", False),
}


def format_number(name: str, value: float) -> str:
    """Format a metric for display; fractions are in percent.

    Example
    -------
    >>> format_number("eer", 0.1234), format_number("roc_auc", 0.98765), format_number("fpr", float("nan"))
    ('12.34', '0.988', '-')
    """
    if np.isnan(value):
        return "-"
    return f"{100 * value:.2f}" if METRICS[name].is_fraction else f"{value:.3f}"


def overall_table(group: Group) -> pd.DataFrame:
    """Return a table of all metrics of a group: name, value, 95 % interval and meaning."""
    rows = []
    for name, estimate in group.metrics.items():
        metric = METRICS[name]
        title = f"{metric.name} %" if metric.is_fraction else metric.name
        rows.append([title, format_number(name, estimate.value), _interval(name, group), metric.meaning])
    return pd.DataFrame(rows, columns=["metric", "value", "95 % interval", "meaning"])


def group_table(groups: Sequence[Group], title: str) -> pd.DataFrame:
    """Return a table of the main metrics, one row per group; ``title`` is the heading of the first column."""
    shown = ("eer", "roc_auc", "min_dcf", "fpr", "fnr")
    heads = [METRICS[name].name + (" %" if METRICS[name].is_fraction else "") for name in shown]
    rows = []
    for group in groups:
        eer, *others = (format_number(name, group.metrics.get(name, MISSING).value) for name in shown)
        name = group.name + (" *" if group.note else "")
        rows.append([name, f"{group.real}", f"{group.fake}", eer, _interval("eer", group), *others])
    return pd.DataFrame(rows, columns=[title, "real", "fake", heads[0], "95 % interval", *heads[1:]])


def system_table(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """Return a table of the main metrics over all utterances, one row per system."""
    return group_table([replace(evaluation.overall, name=evaluation.name) for evaluation in evaluations], "system")


def difference_table(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """Return a table of the differences of systems from the first on their common utterances."""
    rows = []
    for evaluation in evaluations[1:]:
        for name, compared in evaluation.differences.items():
            title = METRICS[name].name + (" %" if METRICS[name].is_fraction else "")
            values = [format_number(name, value) for value in compared[:3]]
            sign = "+" if compared.difference > 0 else ""
            interval = f"{values[1]} to {values[2]}"
            p_value = f"{compared.p_value:.3f}"
            rows.append([evaluation.name, title, sign + values[0], interval, p_value, f"{evaluation.common}"])
    heads = [f"minus {evaluations[0].name}", "metric", "difference", "95 % interval", "p", "utterances"]
    return pd.DataFrame(rows, columns=heads)


def comparisons(evaluations: Sequence[Evaluation]) -> list[str]:
    """Describe the difference of each further system from the first in EER, one sentence each.

    Example
    -------
    >>> from antideepfake.evaluation.evaluator import Evaluator
    >>> labels = ["real"] * 20 + ["fake"] * 20
    >>> scores = pd.DataFrame({"ID": range(40), "Score": np.arange(40.0)[::-1], "Label": labels})
    >>> other = scores.assign(Score=np.roll(scores["Score"], 5))
    >>> first, second = Evaluator().evaluate(scores, "A"), Evaluator().evaluate(other, "B")
    >>> Evaluator().compare(scores, other, second)
    >>> comparisons([first, second])[0].split(":")[0]
    'The EER of B is higher than that of A (p = 0.01)'
    """
    sentences = []
    for evaluation in evaluations[1:]:
        if "eer" not in evaluation.differences:
            continue
        difference, low, high, p_value = evaluation.differences["eer"]
        first = evaluations[0].name
        p = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"
        if p_value >= SIGNIFICANCE:
            verdict = f"no significant difference in EER between {evaluation.name} and {first} ({p})"
        else:
            verdict = (
                f"the EER of {evaluation.name} is {'higher' if difference > 0 else 'lower'} than that of {first} ({p})"
            )
        points = f"{100 * difference:+.2f} percentage points, 95 % interval {100 * low:+.2f} to {100 * high:+.2f}"
        sentences.append(f"{verdict[0].upper()}{verdict[1:]}: {points}, on {evaluation.common:,} common utterances.")
    return sentences


def reliability_answer(name: str, real: Array, fake: Array) -> str:
    """Describe the calibration of the stated probabilities of a system.

    Arguments
    ---------
    name : str
        Name of the system.
    real, fake : array of float
        Log-likelihood ratios of bona fide and of spoofed utterances.

    Example
    -------
    >>> reliability_answer("small", np.array([9.0, 9.0, 9.0, -9.0]), np.array([-9.0, -9.0, -9.0, 9.0]))
    'small: poorly calibrated; stated probabilities are off by 25.0 percentage points on average, mostly overconfident.'
    """
    stated, observed, weight = reliability(real, fake)
    error = float(weight @ np.abs(stated - observed))
    size = f"stated probabilities are off by {100 * error:.1f} percentage points on average"
    if error <= RELIABLE:
        return f"{name}: well calibrated; {size}."
    certainty = float(weight @ (np.abs(stated - 0.5) - np.abs(observed - 0.5)))
    bias = float(weight @ (stated - observed))
    kinds = {"overconfident": certainty, "underconfident": -certainty, "too high": bias, "too low": -bias}
    kind = max(kinds, key=lambda kind: kinds[kind])
    return f"{name}: poorly calibrated; {size}, mostly {kind}."


def _interval(name: str, group: Group) -> str:
    estimate = group.metrics.get(name, MISSING)
    if np.isnan(estimate.low):
        return "-"
    return f"{format_number(name, estimate.low)} - {format_number(name, estimate.high)}"


MUCH_WORSE = 3  # error rate at the threshold, as a multiple of the EER where the threshold was chosen


def decisions(evaluation: Evaluation) -> str:
    """Describe the error rates of the decisions at the threshold.

    Example
    -------
    >>> from antideepfake.evaluation.evaluator import Evaluator
    >>> scores = pd.DataFrame({"ID": ["a", "b"], "Score": [1.0, 0.5], "Label": ["real", "fake"]})
    >>> decisions(Evaluator(threshold=0.5).evaluate(scores, "small"))
    'At the threshold of 0.500, 0.0 % of real recordings are called fake and 100.0 % of fake ones real.'
    """
    (first, kind, other), *second = _wrong(evaluation)
    clauses = [f"{100 * first:.1f} % of {kind} recordings are called {other}"]
    clauses += [f"{100 * error:.1f} % of {kind} ones {other}" for error, kind, other in second]
    return f"At the threshold of {evaluation.threshold:.3f}, {' and '.join(clauses)}."


def decision_warning(evaluation: Evaluation) -> str:
    """Return a warning if the error rates are far above the EER where the threshold was chosen, else an empty text."""
    chosen = evaluation.threshold_errors
    if not chosen:
        return ""
    # With few utterances, an EER of 0 means only that it is below one error.
    eer = max(chosen["eer"], 1 / max(min(chosen["real"], chosen["fake"]), 1))
    worse = [
        f"{kind} called {other}: {100 * error:.1f} %"
        for error, kind, other in _wrong(evaluation)
        if error > MUCH_WORSE * eer
    ]
    if not worse:
        return ""
    return (
        f"WARNING: {', '.join(worse)}. The EER where the threshold was chosen was {100 * chosen['eer']:.1f} %. Do not "
        "rely on these decisions; calibrate the model on recordings like these (antideepfake calibrate)."
    )


def _wrong(evaluation: Evaluation) -> list[tuple[float, str, str]]:
    """Return the known error rates at the threshold: rate, class, decision."""
    rates = evaluation.overall.metrics
    known = [(rates["fnr"].value, "real", "fake"), (rates["fpr"].value, "fake", "real")]
    return [row for row in known if not np.isnan(row[0])]


def notes(evaluation: Evaluation) -> list[str]:
    """Return cautions for the reader, one line each; several groups of a column share the line of a common note.

    Example
    -------
    >>> from antideepfake.evaluation.evaluator import Evaluator
    >>> scores = {"ID": list("abcd"), "Score": [0.0] * 4, "Label": ["real"] * 3 + ["fake"], "Speaker": list("xyzx")}
    >>> notes(Evaluator().evaluate(pd.DataFrame(scores), "small", by=["Speaker"]))[-1]
    'Speaker: 2 of 3 values have no fake utterances: only metrics at the threshold are known'
    """
    lines = [*evaluation.remarks]
    for column, groups in {"": [evaluation.overall], **evaluation.groups}.items():
        names: dict[str, list[str]] = {}
        for group in groups:
            names.setdefault(group.note, []).append(group.name)
        for note, members in names.items():
            if note and len(members) == 1:
                lines.append(f"{column} {members[0]}: {note}".strip())
            elif note:
                lines.append(f"{column}: {len(members)} of {len(groups)} values{_link(note)}{note}")
    return lines


def _link(note: str) -> str:
    return " have " if note.startswith("no ") else ": "


def _all_groups(evaluation: Evaluation) -> list[tuple[str, Group]]:
    groups = [("", evaluation.overall)]
    return groups + [(column, group) for column, members in evaluation.groups.items() for group in members]


def format_text(table: pd.DataFrame, width: int = 28) -> str:
    """Format a table of strings for a terminal; the first column is shortened to ``width`` characters.

    Example
    -------
    >>> print(format_text(pd.DataFrame([["all", "12.34"]], columns=["Attack", "EER %"])))
    Attack  EER %
    all     12.34
    """
    rows = [list(table.columns), *table.to_numpy().tolist()]
    rows = [[shorten(row[0], width), *row[1:]] for row in rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    is_text = [_is_text(table.iloc[:, index]) for index in range(len(widths))]
    lines = []
    for row in rows:
        cells = zip(row, widths, is_text, strict=True)
        line = "  ".join(cell.ljust(width) if left else cell.rjust(width) for cell, width, left in cells)
        lines.append(line.rstrip())
    return "\n".join(lines)


def shorten(name: str, width: int) -> str:
    """Replace the middle of a long name by dots; names of files and systems often differ at their ends.

    Example
    -------
    >>> shorten("results/seed_1/wav2vec2/scores_dev.csv", 20)
    'result...res_dev.csv'
    """
    head = (width - 3) * 2 // 5
    return name if len(name) <= width else f"{name[:head]}...{name[head + 3 - width :]}"


def _is_text(column: pd.Series) -> bool:
    """Return whether a column has words, which are left-aligned, and not numbers."""
    return any(character.isalpha() for cell in column for character in cell.replace(" to ", ""))


def format_markdown(table: pd.DataFrame) -> str:
    """Format a table of strings in Markdown.

    Example
    -------
    >>> print(format_markdown(pd.DataFrame([["all", "12.34"]], columns=["Attack", "EER %"])))
    | Attack | EER % |
    |---|---|
    | all | 12.34 |
    """
    rows = [list(table.columns), *table.to_numpy().tolist()]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def format_latex(table: pd.DataFrame) -> str:
    r"""Format a table of strings in LaTeX, for the package booktabs.

    Example
    -------
    >>> print(format_latex(pd.DataFrame([["A_1", "12.34"]], columns=["Attack", "EER %"])))
    \begin{tabular}{lr}
    \toprule
    Attack & EER \% \\
    \midrule
    A\_1 & 12.34 \\
    \bottomrule
    \end{tabular}
    """
    alignment = "".join("l" if _is_text(table.iloc[:, index]) else "r" for index in range(table.shape[1]))
    head, *rows = [
        " & ".join(_escape_latex(cell) for cell in row) + r" \\"
        for row in [list(table.columns), *table.to_numpy().tolist()]
    ]
    return "\n".join(
        [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"]
    )


def _escape_latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)


def flatten(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """Return a table of all metrics as numbers, for a spreadsheet: one row per group of each system.

    A name that a spreadsheet would read as a formula gets a leading apostrophe.

    Example
    -------
    >>> from antideepfake.evaluation.evaluator import Evaluator
    >>> scores = pd.DataFrame({"ID": ["a", "b"], "Score": [1.0, -1.0], "Label": ["real", "fake"]})
    >>> flatten([Evaluator().evaluate(scores, "=1+1")])["system"].tolist()
    ["'=1+1"]
    """
    rows = []
    for evaluation in evaluations:
        for column, group in _all_groups(evaluation):
            names = {"system": evaluation.name, "column": column, "group": group.name}
            row: dict[str, Any] = {key: escape_formula(name) for key, name in names.items()}
            row |= {"real": group.real, "fake": group.fake, "note": escape_formula(group.note)}
            for name, (value, low, high) in group.metrics.items():
                row |= {name: value, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def escape_formula(text: str) -> str:
    """Put an apostrophe before a name that a spreadsheet would read as a formula.

    Example
    -------
    >>> escape_formula("=1+1"), escape_formula("a.wav")
    ("'=1+1", 'a.wav')
    """
    # A single "-" stands for an unknown value.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and text != "-" else text


def format_evaluations(evaluations: Sequence[Evaluation]) -> str:
    """Format evaluations for a terminal with 100 columns.

    Example
    -------
    >>> from antideepfake.evaluation.evaluator import Evaluator
    >>> scores = pd.DataFrame({"ID": ["a", "b"], "Score": [1.0, -1.0], "Label": ["real", "fake"]})
    >>> print(format_evaluations([Evaluator().evaluate(scores, "small")]).splitlines()[0])
    small: 1 real, 1 fake
    """
    paragraphs = []
    for evaluation in evaluations:
        overall = evaluation.overall
        paragraphs.append(f"{evaluation.name}: {overall.real} real, {overall.fake} fake")
        paragraphs += [
            textwrap.fill(text, 100) for text in (decisions(evaluation), decision_warning(evaluation)) if text
        ]
        paragraphs.append(format_text(overall_table(overall)))
        decision = f"real: a score at or above {evaluation.threshold:.3f} ({evaluation.threshold_source})"
        paragraphs.append(textwrap.fill(decision, 100, subsequent_indent="  "))
        paragraphs += [
            "\n" + format_text(group_table([overall, *groups], column)) for column, groups in evaluation.groups.items()
        ]
        paragraphs += [textwrap.fill(f"* {note}", 100, subsequent_indent="  ") for note in notes(evaluation)]
        paragraphs.append("")
    if len(evaluations) > 1:
        paragraphs = [textwrap.fill(sentence, 100) for sentence in comparisons(evaluations)] + ["", *paragraphs]
        paragraphs.append(format_text(system_table(evaluations)))
        paragraphs.append("\n" + format_text(difference_table(evaluations)))
    return "\n".join(paragraphs).rstrip()
