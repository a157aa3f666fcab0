"""Check the settings of a module, which may come from an untrusted file, before it is built."""

from collections.abc import Mapping
from typing import Any

from antideepfake.errors import InputError

LARGEST = 1 << 16  # limit of a size; the largest of a published encoder is 7680
MOST_SAMPLES = 30 * 60 * 16000  # half an hour, the longest utterance
MOST_LAYERS = 256  # the deepest published encoder has 48
LARGEST_NUMBER = 1e6  # limit of other numbers: milliseconds, Hz, fractions
LONGEST = 32  # limit of a list of sizes, one per convolution


def check_settings(owner: str, settings: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Refuse settings that are unknown, of the wrong type, or so large that building would take all memory.

    Arguments
    ---------
    owner : str
        Name of the module, for the message.
    settings : mapping
        Name to value.
    kinds : mapping
        Name to ``int`` (at least 1), ``float`` (at least 0), ``bool``, ``str`` or ``list[int]`` (at least 1; the layers
        of an encoder, 0), for all settings of the module.

    Raises
    ------
    InputError
        At the first wrong setting.

    Example
    -------
    >>> check_settings("LogFilterBank", {"n_filters": 1e9}, {"n_filters": int})
    Traceback (most recent call last):
    antideepfake.errors.InputError: LogFilterBank: n_filters is 1000000000.0; it must be a whole number from 1 to 65536
    """
    unknown = [str(name)[:80] for name in settings if name not in kinds]
    if unknown:
        raise InputError(f"{owner} has no setting {', '.join(unknown)}; it has {', '.join(kinds) or 'none'}")
    for name, value in settings.items():
        largest = MOST_LAYERS if name.endswith("layers") else MOST_SAMPLES if name == "n_samples" else LARGEST
        wanted = _find_fault(value, kinds[name], largest)
        if wanted:
            raise InputError(f"{owner}: {name} is {str(value)[:80]}; it must be {wanted}")


def _find_fault(value: Any, kind: Any, largest: int) -> str:
    """Say what a value must be; an empty string if it is right."""
    if kind is int:
        return "" if type(value) is int and 1 <= value <= largest else f"a whole number from 1 to {largest}"
    if kind is float:
        fits = type(value) in (int, float) and 0 <= value <= LARGEST_NUMBER
        return "" if fits else f"a number from 0 to {LARGEST_NUMBER:.0f}"
    if kind is bool:
        return "" if type(value) is bool else "true or false"
    if kind is str:
        return "" if value is None or (type(value) is str and len(value) < 100) else "a short text"
    least = 0 if largest == MOST_LAYERS else 1
    fits = isinstance(value, list | tuple) and 0 < len(value) <= LONGEST
    fits = fits and all(type(item) is int and least <= item <= largest for item in value)
    return "" if fits else f"a list of 1 to {LONGEST} whole numbers from {least} to {largest}"
