"""The error that a user can fix."""

from antideepfake.deprecated import moved_names


class InputError(ValueError):
    """A mistake of the user's: one sentence that names the file, the line and the fix."""


__getattr__ = moved_names(__name__)
