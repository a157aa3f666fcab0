"""Leave-one-system-out: error rates on spoofing systems that a detector was not trained on.

A detector is trained several times. Each time, one spoofing system, or a group of them, is held out of training and
validation, and only its utterances are tested, against all bona fide utterances of the test set.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Evaluator
from antideepfake.evaluation.tables import format_number, format_text

MEAN = "mean"


def find_systems(table: pd.DataFrame) -> list[str]:
    """Find the spoofing systems that can be held out: those of the test set that are also in training or validation.

    Arguments
    ---------
    table : pandas.DataFrame
        Protocol.

    Returns
    -------
    list of str
        Values of Attack in alphabetical order.

    Example
    -------
    >>> rows = {"Label": ["fake"] * 4, "Attack": ["a", "b", "b", "-"], "Proportion": ["train", "train", "test", "test"]}
    >>> find_systems(pd.DataFrame(rows))
    ['b']
    """
    fake = table[table["Label"] == "fake"]
    is_test = fake["Proportion"] == "test"
    learned, tested = (set(fake.loc[rows, "Attack"]) for rows in (~is_test, is_test))
    return sorted((learned & tested) - {"-"})


def hold_out(table: pd.DataFrame, systems: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Split a protocol so that spoofing systems are in the test set only, and the test set has no others.

    Arguments
    ---------
    table : pandas.DataFrame
        Protocol.
    systems : sequence of str
        Values of Attack.

    Returns
    -------
    train_set, valid_set, test_set : pandas.DataFrame
        Protocols; each has all of its bona fide utterances.

    Raises
    ------
    InputError
        When training or validation is left without spoofed utterances, or the test set has none of a system.

    Example
    -------
    >>> splits = ["train", "train", "train", "valid", "test", "test", "test"]
    >>> rows = {"Label": ["real", "fake", "fake", "fake", "real", "fake", "fake"], "Attack": list("-abb-ab")}
    >>> [list(split["Attack"]) for split in hold_out(pd.DataFrame({**rows, "Proportion": splits}), ["a"])]
    [['-', 'b'], ['b'], ['-', 'a']]
    """
    is_fake, is_held_out = table["Label"] == "fake", table["Attack"].isin(systems)
    is_test = table["Proportion"] == "test"
    if missing := sorted(set(systems) - set(table.loc[is_test & is_fake, "Attack"])):
        raise InputError(f"the test set has no utterances of {', '.join(missing)}; hold out other spoofing systems")
    train_set, valid_set = (
        table[(table["Proportion"] == split) & ~(is_fake & is_held_out)] for split in ("train", "valid")
    )
    for name, split in (("training", train_set), ("validation", valid_set)):
        if not (split["Label"] == "fake").any():
            raise InputError(
                f"without {', '.join(systems)}, the {name} set has no spoofed utterances; hold out fewer systems"
            )
    return train_set, valid_set, table[is_test & (~is_fake | is_held_out)]


def compare_held_out(
    held_out: Mapping[str, pd.DataFrame], trained: pd.DataFrame, systems: Mapping[str, Sequence[str]], seed: int = 1234
) -> pd.DataFrame:
    """Compare the EER of spoofing systems that were held out with that after training on all of them.

    Arguments
    ---------
    held_out : mapping of str to pandas.DataFrame
        Name of a group of systems -> scores of the detector that was not trained on them, as
        :func:`antideepfake.scoring.read_scores` returns them.
    trained : pandas.DataFrame
        Scores of the whole test set by the detector that was trained on all systems.
    systems : mapping of str to sequence of str
        Name of a group -> its values of Attack.
    seed : int
        Seed of the intervals.

    Returns
    -------
    pandas.DataFrame
        A row for each group and, last, the mean: ``system``, the numbers of utterances ``real`` and ``fake``, and the
        EER, a fraction, with 95 % interval: ``eer``, ``eer_low``, ``eer_high`` held out, and ``trained_eer`` ... after
        training on the group. The means have no interval.

    Example
    -------
    >>> scores = pd.DataFrame({
    ...     "ID": list("abcd"), "Score": [2.0, 3.0, -1.0, 2.5], "Label": ["real", "real", "fake", "fake"],
    ...     "Attack": ["-", "-", "lpc", "lpc"],
    ... })
    >>> better = scores.assign(Score=[2.0, 3.0, -1.0, 1.0])
    >>> table = compare_held_out({"lpc": scores}, better, {"lpc": ["lpc"]})
    >>> table[["system", "real", "fake", "eer", "trained_eer"]].values.tolist()
    [['lpc', 2.0, 2.0, 0.5, 0.0], ['mean', nan, nan, 0.5, 0.0]]
    """
    evaluator = Evaluator(seed=seed)
    rows = []
    for name, scores in held_out.items():
        same = trained[(trained["Label"] == "real") | trained["Attack"].isin(systems[name])]
        overall, after_training = (evaluator.evaluate(table, name).overall for table in (scores, same))
        row: dict[str, object] = {"system": name, "real": overall.real, "fake": overall.fake}
        for prefix, group in (("", overall), ("trained_", after_training)):
            eer = group.metrics["eer"]
            row |= {f"{prefix}eer": eer.value, f"{prefix}eer_low": eer.low, f"{prefix}eer_high": eer.high}
        rows.append(row)
    table = pd.DataFrame(rows)
    means = {"system": MEAN, "eer": table["eer"].mean(), "trained_eer": table["trained_eer"].mean()}
    return pd.concat([table, pd.DataFrame([means])], ignore_index=True)


def format_held_out(table: pd.DataFrame) -> str:
    """Format the result of :func:`compare_held_out` for a terminal; error rates are in percent.

    Example
    -------
    >>> row = {"system": "lpc", "real": 90, "fake": 80, "eer": 0.3, "eer_low": 0.25, "eer_high": 0.36}
    >>> row |= {"trained_eer": 0.1, "trained_eer_low": 0.07, "trained_eer_high": 0.14}
    >>> print(format_held_out(pd.DataFrame([row])))
    held out  real  fake  EER %  95 % interval  EER % trained on it  95 % interval
    lpc         90    80  30.00  25.00 - 36.00                10.00   7.00 - 14.00
    """
    heads = ["held out", "real", "fake", "EER %", "95 % interval", "EER % trained on it", "95 % interval"]
    rows = [
        [
            row["system"],
            *("-" if pd.isna(row[label]) else f"{row[label]:.0f}" for label in ("real", "fake")),
            *_format_eer(row, ""),
            *_format_eer(row, "trained_"),
        ]
        for _, row in table.iterrows()
    ]
    return format_text(pd.DataFrame(rows, columns=heads))


def _format_eer(row: "pd.Series", prefix: str) -> tuple[str, str]:
    value, low, high = (format_number("eer", row[f"{prefix}eer{end}"]) for end in ("", "_low", "_high"))
    return value, "-" if low == "-" else f"{low} - {high}"
