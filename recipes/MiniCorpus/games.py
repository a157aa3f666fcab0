"""Dialogue of games in Debian: the recordings, who speaks, and what is said.

*Flight of the Amazon Queen* is one archive with MP3 speech and dialogue files; its credits tell which actor plays whom.
*Fish Fillets* has Vorbis files and subtitles in Lua. The layouts were worked out from the files themselves.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from sources import Sentence, clean_text

QUEEN_PACKAGES = ("flight-of-the-amazon-queen",)
QUEEN_ARCHIVE = "usr/share/scummvm/flight-of-the-amazon-queen/queen.1c"
# Dialogue file (without its number) -> actor, after the credits in the archive. Left out: characters whom two actors
# play or whom the credits do not name, and animals.
QUEEN_ACTORS = {
    "JOE": "lavelle",
    "SPARKY": "hill",
    "JIM": "hill",
    "WEDGE": "hill",
    "FRANK": "hootkins",
    "BUD": "hootkins",
    "JOHN": "hootkins",
    "CHEF": "hootkins",
    "LARIS": "hootkins",  # the bellboy
    "AND": "reitel",
    "HENRY": "reitel",
    "DEATH": "reitel",
    "ORACLE": "keith",
    "BOB": "coleman",
    "PRIN": "arnold",
    "SHOWERAM": "arnold",
    "IAN": "james",
    "CHIEF": "james",
    "FAYE": "valdez",
    "NAOMI": "martin",
    "SEC": "martin",
    "ZOMBIE": "martin",
    "TAM": "reagan",
    "WITCH": "reagan",
}
QUEEN_LINES = 125  # of one actor, those with the most text: the main character has 1200

FILLETS_PACKAGES = ("fillets-ng-data", "fillets-ng-data-cs", "fillets-ng-data-nl")
FILLETS_FOLDER = "usr/share/games/fillets-ng"
FILLETS_LINES = 150  # of one fish in one language
TEXT_LENGTHS = range(18, 110)  # letters: about 1.2 to 7 seconds


def list_queen(root: Path) -> list[Sentence]:
    """Lines of Flight of the Amazon Queen, unpacked next to the archive.

    Arguments
    ---------
    root : Path
        Where the packages are unpacked.

    Returns
    -------
    list of Sentence
        English; the speaker is the actor.
    """
    archive = root / QUEEN_ARCHIVE
    data = archive.read_bytes()
    files = read_queen_table(data)
    lines: dict[str, dict[str, str]] = {}
    for name, (start, size) in sorted(files.items()):
        if name.endswith(".DOG"):
            for speech, is_joe, text in read_queen_dialogue(data[start : start + size]):
                actor = QUEEN_ACTORS.get("JOE" if is_joe else re.sub(r"\d*\.DOG$", "", name))
                text = clean_text(text)
                if actor and f"{speech}.SB" in files and len(text) in TEXT_LENGTHS:
                    lines.setdefault(actor, {}).setdefault(speech, text)
    folder = archive.with_name("speech")
    folder.mkdir(exist_ok=True)
    sentences = []
    for actor, texts in lines.items():
        for speech in _choose_lines(texts, QUEEN_LINES):
            path = folder / f"{speech}.mp3"
            start, size = files[f"{speech}.SB"]
            path.write_bytes(data[start : start + size])
            sentences.append(Sentence(f"en-{actor}-{speech}", texts[speech], "EN", actor, path, "mp3"))
    return sentences


def _choose_lines(texts: dict[str, str], count: int) -> list[str]:
    """The keys of the longest texts, each text once."""
    different = {text: key for key, text in sorted(texts.items())}
    return sorted(different[text] for text in sorted(different, key=lambda text: (-min(len(text), 60), text))[:count])


def read_queen_table(data: bytes) -> dict[str, tuple[int, int]]:
    """Files of the archive: 15 bytes of header, of which the last two count the entries of 21 bytes that follow.

    Arguments
    ---------
    data : bytes
        The archive.

    Returns
    -------
    dict
        Name of each file -> where it starts, and its size in bytes.
    """
    (count,) = struct.unpack(">H", data[13:15])
    entries = struct.iter_unpack(">12sBII", data[15 : 15 + 21 * count])
    return {name.rstrip(b"\0 ").decode("ascii", "replace"): (start, size) for name, _, start, size in entries}


def read_queen_dialogue(data: bytes) -> Iterator[tuple[str, bool, str]]:
    """Lines of one dialogue file.

    After 20 bytes come big-endian words: levels, key, key of the speech, numbers of answers of Joe and of the other,
    six that do not matter here, and where the other's answers start. Joe's start after 96 bytes a level. An answer is a
    number and a text; a ``*`` with two letters or digits in it ends a line, and each line is one recording.

    Arguments
    ---------
    data : bytes
        The file.

    Yields
    ------
    speech : str
        Name of the recording.
    is_joe : bool
        Whether Joe says it, and not the person whom the file is named after.
    text : str
    """
    data = data[20:]
    levels, _, key, joe_count, other_count = struct.unpack(">5h", data[:10])
    (other_start,) = struct.unpack(">H", data[22:24])
    for letter, start, count in (("J", 32 + 96 * abs(levels), joe_count), ("P", other_start, other_count)):
        for number, answer in _read_answers(data, start, count + 1):
            for index, text in enumerate(split_queen_answer(answer), start=1):
                if text.strip():
                    speech = f"{key:2d}{number:4x}{letter}{index:x}".replace(" ", "0").upper()
                    yield speech, letter == "J", text


def _read_answers(data: bytes, start: int, count: int) -> Iterator[tuple[int, str]]:
    for _ in range(count):
        number, length = struct.unpack(">HB", data[start + 2 : start + 5])
        start += 5
        yield number, data[start : start + length].decode("cp850")
        if length:
            start = (start + length + 3) // 4 * 4


def split_queen_answer(answer: str) -> list[str]:
    """Lines of an answer, without the stage directions that end them.

    Arguments
    ---------
    answer : str
        As the dialogue file has it.

    Returns
    -------
    list of str

    Example
    -------
    >>> split_queen_answer("*01Hello.*04How are you?*XY00(237,112)Fine")
    ['', 'Hello.', 'How are you?', 'Fine']
    """
    return re.split(r"\*(?:XY.{9}|.{0,2})", answer)


def list_fillets(root: Path) -> list[Sentence]:
    """Lines of the two fish of Fish Fillets in Czech and Dutch.

    Arguments
    ---------
    root : Path
        Where the packages are unpacked.

    Returns
    -------
    list of Sentence
        The speaker is ``<language>-small`` or ``<language>-big``.
    """
    folder = root / FILLETS_FOLDER
    sentences = []
    for language in ("cs", "nl"):
        fish: dict[str, dict[str, tuple[str, Path]]] = {"small": {}, "big": {}}
        for script in sorted(folder.glob(f"script/*/dialogs_{language}.lua")):
            recordings = folder / "sound" / script.parent.name / language
            for name, font, text in read_subtitles(script.read_text(encoding="utf-8", errors="replace")):
                path, text = recordings / f"{name}.ogg", clean_text(text)
                if font in fish and len(text) in TEXT_LENGTHS and path.exists():
                    fish[font][f"{script.parent.name}-{name}"] = (text, path)
        for font, lines in fish.items():
            speaker = f"{language}-{font}"
            for key in _choose_lines({key: text for key, (text, _) in lines.items()}, FILLETS_LINES):
                text, path = lines[key]
                sentences.append(Sentence(f"{speaker}-{key}", text, language.upper(), speaker, path, "vorbis"))
    return sentences


def read_subtitles(script: str) -> list[tuple[str, str, str]]:
    r"""Subtitles in a script of Fish Fillets.

    Arguments
    ---------
    script : str
        Lua: ``dialogId("name", "font_small", "English")``, then ``dialogStr("translation")``.

    Returns
    -------
    list of (str, str, str)
        Name of the recording, ``small`` or ``big`` or another character, translated text.

    Example
    -------
    >>> read_subtitles('dialogId("a-m-b", "font_small", "Yes.")\ndialogStr("Ja.")')
    [('a-m-b', 'small', 'Ja.')]
    """
    string = r'"((?:[^"\\]|\\.)*)"'
    pattern = rf"dialogId\({string},\s*\"font_(\w+)\",\s*{string}\)\s*dialogStr\({string}\)"
    return [(name, font, re.sub(r"\\(.)", r"\1", text)) for name, font, _, text in re.findall(pattern, script)]
