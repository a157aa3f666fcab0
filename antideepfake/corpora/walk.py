"""Find the files of a corpus in its folders."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path

from antideepfake.errors import InputError

# suffixes of the files of corpora, and of all recordings, as people and telephones store them
AUDIO_SUFFIXES = {
    *(".wav", ".wave", ".flac", ".mp3", ".mp2", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc", ".au", ".snd"),
    *(".caf", ".w64", ".rf64", ".bwf", ".sph", ".nist", ".voc"),
}
RECORDING_SUFFIXES = AUDIO_SUFFIXES | {
    *(".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".3gpp", ".3g2", ".aac", ".adts", ".amr", ".awb", ".webm"),
    *(".weba", ".mka", ".mkv", ".wma", ".wmv", ".asf", ".avi", ".flv", ".mpg", ".mpeg", ".ogv", ".ogx", ".spx"),
    *(".ra", ".rm", ".ape", ".wv", ".tta", ".mpc", ".ac3", ".eac3", ".dts", ".dsf", ".dff", ".alac", ".qcp", ".silk"),
}


def walk_audio(folder: str | os.PathLike, suffixes: Set[str] = frozenset(RECORDING_SUFFIXES)) -> Iterator[str]:
    """Yield the files below a folder that look like recordings, at any depth.

    Memory contains only the names in the current folder and its parents, and a number for each folder: enough for ten
    million files.

    Arguments
    ---------
    folder : str or Path
        Where to look. Links are followed, but no folder is entered twice.
    suffixes : set of str
        Suffixes of recordings in lower case; upper case matches, too. The default includes a few formats that cannot be
        decoded, so that their files are reported and not ignored.

    Yields
    ------
    str
        Paths that begin with ``folder``, sorted as whole paths by code point: ``a-b/x.wav`` before ``a/x.wav``. A
        folder without permission to read is yielded instead of its files. Hidden files and folders are ignored.

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
    yield from _walk(folder, suffixes, os.path.realpath(folder), set())


def _walk(folder: str, suffixes: Set[str], root: str, entered: set[tuple[int, int]]) -> Iterator[str]:
    try:
        state = os.stat(folder)
        if (state.st_dev, state.st_ino) in entered:
            return
        entered.add((state.st_dev, state.st_ino))
        with os.scandir(folder) as entries:
            # a folder's name includes its slash, so that the order of names is the order of paths
            names = sorted(
                entry.name + "/" * _is_folder(entry)
                for entry in entries
                if not entry.name.startswith(".") and not _leads_inside(entry, root)
            )
    except OSError:
        yield folder
        return
    for name in names:
        path = os.path.join(folder, name)
        if name.endswith("/"):
            yield from _walk(path, suffixes, root, entered)
        elif os.path.splitext(name)[1].lower() in suffixes:
            yield path


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _leads_inside(entry: os.DirEntry, root: str) -> bool:
    """Tell whether an entry links to a folder below ``root``, whose files are found there under their own names."""
    if not entry.is_symlink() or not _is_folder(entry):
        return False
    target = os.path.realpath(entry.path)
    below = os.path.relpath(target, root)
    return target == root or not any(part.startswith(".") for part in below.split(os.sep))


def find_audio(folder: str | os.PathLike) -> list[Path]:
    """List the files below a folder that look like recordings, at any depth.

    Arguments
    ---------
    folder : str or Path
        Where to look.

    Returns
    -------
    list of Path
        In the order of :func:`walk_audio`.

    Raises
    ------
    InputError
        When the folder does not exist or contains no audio.

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
        raise InputError(f"{folder}: holds no audio; files must end in .wav, .flac, .mp3, .m4a, .mp4 or the like")
    return files


def walk_layout(corpus: Path, layout: str, describe: Callable[..., Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """Describe the files of a corpus by their folders and names.

    Arguments
    ---------
    corpus : Path
        The corpus's folder.
    layout : str
        Pattern of the paths of its files: ``{split:train|test}/wav/{speaker}/{name}.wav``. A name in braces matches any
        text without a slash, or the regular expression after a colon. Only the folder before the first brace is
        searched.
    describe : callable
        Takes the matched texts as keyword arguments named as in the pattern; returns ID, Label and other known
        columns. May raise an InputError that says why the file does not belong to the corpus.

    Yields
    ------
    dict
        What ``describe`` returns, and Path relative to ``corpus``, in the order of :func:`walk_audio`. For a file that
        does not match or was refused: ID, Path and Reason. Files in formats that corpora seldom have, such as m4a and
        videos, are ignored unless they match: they are often the originals of the corpus's files.

    Raises
    ------
    InputError
        When the folder to search does not exist.

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
        raise InputError(f"{folder}: no such folder; the corpus's files are expected at {root}{layout}")
    pattern = _compile(layout)
    for path in walk_audio(folder):
        path = path.removeprefix(root)
        match = pattern.fullmatch(path)
        is_folder = os.path.isdir(root + path)
        if not match and not is_folder and os.path.splitext(path)[1].lower() not in AUDIO_SUFFIXES:
            continue
        try:
            if is_folder:
                raise InputError("a folder that may not be read")
            if not match:
                raise InputError(f"not named as {layout}")
            row = {**describe(**match.groupdict()), "Path": path}
        except InputError as error:
            row = {"ID": os.path.splitext(os.path.basename(path))[0], "Path": path, "Reason": str(error)}
        yield row


def _compile(layout: str) -> re.Pattern:
    """Translate a layout such as ``a/{name}.{suffix:wav|flac}`` to a regular expression."""
    texts = re.split(r"\{(\w+)(?::([^{}]+))?\}", layout)
    pattern = re.escape(texts[0])
    for name, expression, text in zip(texts[1::3], texts[2::3], texts[3::3], strict=True):
        pattern += f"(?P<{name}>{expression or '[^/]+'})" + re.escape(text)
    return re.compile(pattern)
