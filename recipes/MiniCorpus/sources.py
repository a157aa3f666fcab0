"""The recordings of MiniCorpus: which Debian packages hold them, who speaks, and what is said."""

import gzip
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from channel import SAMPLE_RATE, code_g722, decode_g722
from scipy import signal


@dataclass(frozen=True)
class Recordings:
    """One speaker's recordings in one language.

    Arguments
    ---------
    package : str
        Debian package of the audio.
    folder : str
        Where the package keeps it.
    language : str
        Code of the protocol's Language column.
    speaker : str
        Key of the person. Allison speaks English and Spanish.
    text_package : str
        Debian package of the texts.
    texts : str
        File of the texts.
    """

    package: str
    folder: str
    language: str
    speaker: str
    text_package: str
    texts: str


def _asterisk(language: str, folder: str, speaker: str, package: str = "") -> Recordings:
    text_package = f"asterisk-core-sounds-{language}"
    texts = f"usr/share/doc/{text_package}/core-sounds-{language}.txt.gz"
    package = package or f"{text_package}-g722"
    return Recordings(package, f"usr/share/asterisk/sounds/{folder}", language.upper(), speaker, text_package, texts)


_NSH = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"
RECORDINGS = (
    _asterisk("en", "en_US_f_Allison", "allison"),
    _asterisk("es", "es_MX_f_Allison", "allison"),
    _asterisk("fr", "fr_CA_f_June", "june"),
    _asterisk("it", "it_IT_m_Carlo", "carlo"),
    # Telephone speech at 8 kHz. The prompts have the names, and so the texts, of Carlo's.
    _asterisk("it", "it_IT_f_Menardi", "menardi", "asterisk-prompt-it-menardi-wav"),
    _asterisk("ru", "ru_RU_f_IvrvoiceRU", "ivrvoice"),
    Recordings("festvox-ru", f"{_NSH}/wav", "RU", "nsh", "festvox-ru", f"{_NSH}/etc/txt.done.data"),
)
TELEPHONE_SPEAKERS = {"menardi"}  # recorded at 8 kHz: always in the narrow band

# What recordings of games have been through: sample rate, then arguments of soundfile.write for about their bit rates.
LOSSY_CODECS = {
    "mp3": (11025, {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.85}),  # 16 kbit/s
    "vorbis": (22050, {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.4}),  # about 52 kbit/s
}
NARROW_CODECS = {"mp3"}  # at 11 kHz: always in the narrow band


@dataclass(frozen=True)
class Sentence:
    """One text, with its recording.

    Arguments
    ---------
    key : str
        Unique in the corpus.
    text : str
        As an engine is to read it.
    language, speaker : str
        As in :class:`Recordings`.
    path : Path or None
        The recording as its package holds it; None for a text that nobody recorded.
    codec : str
        The lossy codec of the recording, a key of ``LOSSY_CODECS``; empty for none.
    """

    key: str
    text: str
    language: str
    speaker: str
    path: Path | None
    codec: str = ""


def normalise_text(text: str) -> str:
    """What is left of a text when case, accents of stress, punctuation and spaces do not count.

    Two texts with the same result are the same text for the split.

    Arguments
    ---------
    text : str
        A text in any language.

    Returns
    -------
    str

    Example
    -------
    >>> normalise_text("Please enter  your PIN, then...") == normalise_text("please enter your pin then")
    True
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")  # noqa: RUF001
    return " ".join(re.findall(r"\w+", text))


def clean_text(text: str) -> str:
    r"""A text without typographic quotes, ellipses and stress marks, which some engines stumble over.

    Arguments
    ---------
    text : str
        As its package has it.

    Returns
    -------
    str
        Empty where the text is not speech (a description in brackets) or names keys by signs (``*``, ``#``), which
        each engine reads in its own way.

    Example
    -------
    >>> clean_text("...per l\u2019uso di \u201cAsterisk\u201d"), clean_text("[ascending tones]")
    ("per l'uso di Asterisk", '')
    """
    if re.search(r"[\[\]<>*#]", text) or text.strip().startswith("("):
        return ""
    text = unicodedata.normalize("NFC", text).replace("’", "'").replace("…", "...")  # noqa: RUF001
    text = re.sub(r"[^\w\s.,;:?!'-]", " ", text)
    text = re.sub(r"\s+", " ", text.replace("...", " "))
    return text.strip(" -")


def read_prompt_texts(path: Path) -> dict[str, str]:
    """Read ``core-sounds-xx.txt.gz``: one ``name: text`` a line, comments after ``;``.

    Arguments
    ---------
    path : Path
        A gzipped UTF-8 text.

    Returns
    -------
    dict
        Text of each prompt that holds speech.
    """
    with gzip.open(path, "rt", encoding="utf-8-sig") as lines:
        pairs = [line.split(":", 1) for line in lines if ":" in line and not line.startswith(";")]
    texts = {name.strip(): clean_text(text) for name, text in pairs}
    return {name: text for name, text in texts.items() if text}


def read_festvox_texts(path: Path) -> dict[str, str]:
    """Read ``txt.done.data``: one ``( name "text" )`` a line; ``+`` before a stressed vowel is dropped.

    Arguments
    ---------
    path : Path
        A UTF-8 text.

    Returns
    -------
    dict
        Text of each recording.
    """
    pairs = re.findall(r'^\(\s*(\S+)\s+"(.*)"\s*\)\s*$', path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: clean_text(text.replace("+", "")) for name, text in pairs}


def list_sentences(recordings: Recordings, root: Path) -> list[Sentence]:
    """All recordings of one speaker whose text is known, in the order of their names.

    Arguments
    ---------
    recordings : Recordings
        Whose.
    root : Path
        Where the packages are unpacked.

    Returns
    -------
    list of Sentence
    """
    folder = root / recordings.folder
    read = read_festvox_texts if recordings.texts.endswith(".data") else read_prompt_texts
    texts = read(root / recordings.texts)
    sentences = []
    for path in sorted(folder.rglob("*.*")):
        name = str(path.relative_to(folder).with_suffix(""))
        # silence/ and the tones are no speech
        if name in texts and not name.startswith("silence"):
            key = f"{recordings.language.lower()}-{recordings.speaker}-{name.replace('/', '.')}"
            sentences.append(Sentence(key, texts[name], recordings.language, recordings.speaker, path))
    return sentences


def read_recordings(paths: Sequence[Path]) -> list[np.ndarray]:
    """Recordings at 16 kHz that have been through G.722 once.

    The prompts at 16 kHz come as G.722. The others are coded and decoded here, so that all recordings, and with
    :func:`generators.generate` all that is generated, have been through the codec equally often.

    Arguments
    ---------
    paths : sequence of Path
        ``.g722``, or files that libsndfile reads; channels are averaged.

    Returns
    -------
    list of np.ndarray
        Samples within -1 and 1, shape (time,), float64.
    """
    waveforms = {path: decode_g722(path.read_bytes()) / 32768 for path in paths if path.suffix == ".g722"}
    others = [path for path in paths if path not in waveforms]
    read = [soundfile.read(path, always_2d=True) for path in others]
    resampled = [resample(waveform.mean(axis=1), rate) for waveform, rate in read]
    waveforms.update(zip(others, first_generation(resampled), strict=True))
    return [waveforms[path] for path in paths]


def resample(waveform: np.ndarray, rate: int, to: int = SAMPLE_RATE) -> np.ndarray:
    """Resample, to 16 kHz unless told otherwise; shape (time,) in and out."""
    if rate == to:
        return waveform
    divisor = np.gcd(rate, to)
    return signal.resample_poly(waveform, to // divisor, rate // divisor)


def code_lossy(waveform: np.ndarray, codec: str) -> np.ndarray:
    """Pass generated speech through the codec of the recording that it stands beside.

    Arguments
    ---------
    waveform : np.ndarray
        Shape (time,), 16 kHz.
    codec : str
        A key of ``LOSSY_CODECS``.

    Returns
    -------
    np.ndarray
        16 kHz, shape (time,); a few milliseconds longer.
    """
    rate, settings = LOSSY_CODECS[codec]
    loud = 0.7 * waveform / max(np.abs(waveform).max(initial=0), 1e-9)
    file = io.BytesIO()
    soundfile.write(file, resample(loud, SAMPLE_RATE, rate), rate, **settings)
    file.seek(0)
    return resample(soundfile.read(file)[0], rate)


def first_generation(waveforms: list[np.ndarray]) -> list[np.ndarray]:
    """Code and decode at the level of the prompts as published: their loudest sample 3 dB below full scale.

    Arguments
    ---------
    waveforms : list of np.ndarray
        Shape (time,), 16 kHz, any level.

    Returns
    -------
    list of np.ndarray
        Samples within -1 and 1.
    """
    loud = [0.7 * waveform / max(np.abs(waveform).max(initial=0), 1e-9) for waveform in waveforms]
    coded = code_g722(loud)
    # the codec makes a faint tone of digital silence, which must not be taken for speech
    return [after / 32768 if before.any() else before for before, after in zip(loud, coded, strict=True)]
