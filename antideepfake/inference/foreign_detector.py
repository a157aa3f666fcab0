"""Score recordings with a detector of other software: a Python function of waveforms."""

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from antideepfake.audio.samples import Samples
from antideepfake.errors import InputError
from antideepfake.files import sha256
from antideepfake.inference.recordings import Output, RecordingScorer
from antideepfake.model_folder.metadata import ModelMetadata


class ForeignDetector(RecordingScorer):
    """A detector that scores with a function; :func:`load_foreign_detector` loads one.

    It has no embeddings and no scores of frames: a timeline has one step a window.

    Arguments
    ---------
    score : callable
        Takes a list of float32 arrays, shape [time] each: mono, 16 kHz, in [-1, 1], not normalized. Returns logits
        [n, 2] of fake and real, or scores [n], the higher the more likely real. A score of an utterance must not depend
        on the others. Optional attributes: ``threshold`` (a score at or above it counts as real; default 0),
        ``min_samples`` (default 1) and ``name``.
    source : str
        What it was loaded from, for error messages and the provenance.
    digest : str
        SHA-256 of the file of the code.

    Raises
    ------
    InputError
        When an attribute has the wrong type.

    Example
    -------
    >>> detector = ForeignDetector(lambda batch: [samples.std() - 0.1 for samples in batch], "loud.py:make", "0a1b")
    >>> (result,) = detector.score_files([(np.tile([0.5, -0.5], 8000), 16000)])
    >>> round(result.score, 2), result.decision
    (0.4, 'real')
    """

    def __init__(self, score: Callable[[list[Samples]], Any], source: str, digest: str) -> None:
        self._score, self._source, self._digest = score, source, digest
        threshold, self._min_samples = getattr(score, "threshold", None), getattr(score, "min_samples", 1)
        if type(self._min_samples) is not int or self._min_samples < 1:
            raise InputError(f"{source}: min_samples is {self._min_samples!r}; it must be a whole number of 1 or more")
        name = getattr(score, "name", source)
        self._metadata = ModelMetadata(
            threshold=0.0 if threshold is None else threshold,
            threshold_source=f"0, as {source} has no threshold" if threshold is None else f"the threshold of {source}",
            provenance=f"{name}: {source}, SHA-256 of its code {digest}",
        )
        self._metadata.check(source)

    @property
    def metadata(self) -> ModelMetadata:
        """The threshold and the provenance."""
        return self._metadata

    @property
    def min_samples(self) -> int:
        """Least number of samples of a waveform."""
        return self._min_samples

    @property
    def frame_seconds(self) -> None:
        """None: there are no scores of frames."""

    def weights_digest(self) -> str:
        """Give the SHA-256 of the code. It cannot know the files that the code reads, such as weights."""
        return f"{self._digest} {self._source}"

    def score_batch(self, batch: list[Samples], needs_frames: bool) -> list[Output]:
        """Score samples at 16 kHz, shape [time] each."""
        with _explain_errors(self._source, "scoring failed"):
            # copies, since windows overlap and the function may change its input
            values = np.asarray(self._score([np.array(samples, np.float32) for samples in batch]), np.float64)
        if values.shape == (len(batch),):
            values = np.stack([np.zeros_like(values), values], axis=1)
        if values.shape != (len(batch), 2):
            raise InputError(
                f"{self._source}: returned an array of shape {list(values.shape)} for {len(batch)} waveforms; it must "
                f"return logits [{len(batch)}, 2] of fake and real, or scores [{len(batch)}]"
            )
        return [Output((fake, real), np.empty(0), np.empty(0)) for fake, real in values.tolist()]


def load_foreign_detector(source: str, trust_code: bool = False) -> ForeignDetector:
    """Load a detector of other software.

    Arguments
    ---------
    source : str
        ``module:callable`` or ``path/to/file.py:callable``. The callable is called once, without arguments, and returns
        the function that scores, as for :class:`ForeignDetector`. Modules are also searched in the current folder, and
        the file may import others of its folder.
    trust_code : bool
        Must be True, since the code is run.

    Returns
    -------
    ForeignDetector
        It scores as a :class:`antideepfake.inference.Detector` does.

    Raises
    ------
    InputError
        When the code is not trusted, cannot be found or fails; names the line of the code.

    Example
    -------
    >>> path = getfixture("tmp_path") / "loud.py"
    >>> _ = path.write_text("def make():\\n    return lambda batch: [samples.std() for samples in batch]")
    >>> load_foreign_detector(f"{path}:make", trust_code=True).metadata.threshold
    0.0
    """
    place, _, name = source.rpartition(":")
    if not (place and name.isidentifier()):
        raise InputError(f"{source}: not a detector; use MODULE:CALLABLE or FILE.py:CALLABLE")
    if not trust_code:
        raise InputError(f"{source}: is code, which can do anything; pass --trust_code if you trust it")
    module = _import(place, source)
    if not callable(make := getattr(module, name, None)):
        raise InputError(f"{source}: {module.__file__} has no function '{name}'")
    with _explain_errors(source, f"{name}() failed"):
        score = make()
    if not callable(score):
        raise InputError(f"{source}: {name}() returned {type(score).__name__}; it must return a function of waveforms")
    return ForeignDetector(score, source, sha256([str(module.__file__)]))


def _import(place: str, source: str) -> ModuleType:
    """Import a module, or a file as Python runs a script: with its folder first among those of modules."""
    is_file = place.endswith(".py")
    if is_file and not os.path.isfile(place):
        raise InputError(f"{place}: no such file; check the path")
    sys.path.insert(0, os.path.dirname(os.path.abspath(place)) if is_file else os.getcwd())
    with _explain_errors(source, "importing it failed"):
        if not is_file:
            module = importlib.import_module(place)
        else:
            specification = importlib.util.spec_from_file_location(f"foreign_detector:{place}", place)
            assert specification and specification.loader
            module = sys.modules[specification.name] = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
    if not getattr(module, "__file__", None):
        raise InputError(f"{source}: {place} has no file; put the function into one")
    return module


@contextlib.contextmanager
def _explain_errors(source: str, what: str) -> Iterator[None]:
    """Report an exception of the code in a sentence, with its line; print what it prints on standard error."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
            yield
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InputError(f"{source}: {what} ({text}; {last.filename}:{last.lineno})") from error
