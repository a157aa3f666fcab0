"""The error class for mistakes that a user can fix."""

from antideepfake.deprecated import moved_names


class InputError(ValueError):
    """A user's mistake. The message is one sentence that names the file, the line and the fix."""


__getattr__ = moved_names(__name__)
