"""Finding the files of a corpus in its folders."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from antideepfake.errors import InputError

AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus"}


def walk_audio(folder: str | os.PathLike) -> Iterator[str]:
    """Give the audio files below a folder one by one, at any depth.

    Nothing is held but the names of one folder and of those above it, so that ten million files may come by.

    Arguments
    ---------
    folder : str or Path
        Where to look. Links are followed.

    Yields
    ------
    str
        Paths that begin with ``folder``, sorted as whole paths by code point: ``a-b/x.wav`` before ``a/x.wav``.
        Suffixes are those of ``AUDIO_SUFFIXES``, upper or lower case. Hidden files and folders are passed over.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> for name in ("a/x.wav", "a-b/x.FLAC", "a/.hidden.wav"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> [path.removeprefix(f"{root}/") for path in walk_audio(root)]
    ['a-b/x.FLAC', 'a/x.wav']
    """
    folder = os.fspath(folder)
    with os.scandir(folder) as entries:
        # a folder's name with its slash, so that the order of names is the order of paths
        names = sorted(entry.name + "/" * entry.is_dir() for entry in entries if not entry.name.startswith("."))
    for name in names:
        path = os.path.join(folder, name)
        if name.endswith("/"):
            yield from walk_audio(path)
        elif os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES:
            yield path


def find_audio(folder: str | os.PathLike) -> list[Path]:
    """List the audio files below a folder, at any depth.

    Arguments
    ---------
    folder : str or Path
        Where to look.

    Returns
    -------
    list of Path
        As :func:`walk_audio` gives them.

    Raises
    ------
    InputError
        When there is no such folder, or no audio in it.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> (root / "a.WAV").touch()
    >>> [path.name for path in find_audio(root)]
    ['a.WAV']
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    files = [Path(path) for path in walk_audio(folder)]
    if not files:
        raise InputError(f"{folder}: holds no audio; files must end in {', '.join(sorted(AUDIO_SUFFIXES))}")
    return files


def walk_layout(corpus: Path, layout: str, describe: Callable[..., Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """Describe the files of a corpus whose folders and file names tell what they are.

    Arguments
    ---------
    corpus : Path
        The corpus's folder.
    layout : str
        Where its files stand below it: ``{split:train|test}/wav/{speaker}/{name}.wav``. A name in braces is any text
        without a slash; a regular expression may follow it after a colon. Whatever is before the first brace is where
        to look.
    describe : callable
        Takes the texts in the places of the names, as keyword arguments, and gives ID, Label and what else is known.
        May raise an InputError that says why the file is none of the corpus's.

    Yields
    ------
    dict
        What ``describe`` gives, and Path, relative to ``corpus``; in the order of :func:`walk_audio`. Of a file that
        stands elsewhere or was refused: ID, Path and Reason.

    Raises
    ------
    InputError
        When there is no folder to look in.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> for name in ("train/ann/a.wav", "b.wav"):
    ...     (root / name).parent.mkdir(parents=True, exist_ok=True)
    ...     (root / name).touch()
    >>> rows = walk_layout(root, "{split:train|test}/{speaker}/{name}.wav", lambda split, speaker, name: {"ID": name})
    >>> for row in rows:
    ...     print(row)
    {'ID': 'b', 'Path': 'b.wav', 'Reason': 'not named as {split:train|test}/{speaker}/{name}.wav'}
    {'ID': 'a', 'Path': 'train/ann/a.wav'}
    """
    root = os.path.join(corpus, "")
    folder = root + layout.partition("{")[0].rpartition("/")[0]
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; the corpus has its files in {root}{layout}")
    pattern = _compile(layout)
    for path in walk_audio(folder):
        path = path.removeprefix(root)
        match = pattern.fullmatch(path)
        try:
            if not match:
                raise InputError(f"not named as {layout}")
            row = {**describe(**match.groupdict()), "Path": path}
        except InputError as error:
            row = {"ID": os.path.splitext(os.path.basename(path))[0], "Path": path, "Reason": str(error)}
        yield row


def _compile(layout: str) -> re.Pattern:
    """Turn ``a/{name}.{suffix:wav|flac}`` into the regular expression that it stands for."""
    texts = re.split(r"\{(\w+)(?::([^{}]+))?\}", layout)
    pattern = re.escape(texts[0])
    for name, expression, text in zip(texts[1::3], texts[2::3], texts[3::3], strict=True):
        pattern += f"(?P<{name}>{expression or '[^/]+'})" + re.escape(text)
    return re.compile(pattern)
