"""Who and what goes where: the division of MiniCorpus into train, valid and test, and its check.

No person and no text is in two of the three, and some generators are in valid or test only. A voice of an engine
counts as the person whose recordings it was made from.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from channel import MAX_SECONDS, Channel, draw_channel, generator_for
from generators import ENGINES
from sources import NARROW_CODECS, TELEPHONE_SPEAKERS, Sentence, normalise_text

TEST_SPEAKERS = {"june", "menardi", "ivrvoice", "arnold", "james", "keith", "cs-big", "be-volunteers"}
# Validation has speakers and a generator that training does not have, as the test set does: a threshold chosen on
# speakers that training has heard calls far too many recordings of others fake.
VALID_SPEAKERS = {"carlo", "coleman", "martin", "cs-small", "da-volunteers"}
# Share of the texts of a speaker that test and validation get although the person is in another part, for engines to
# speak. Both Italian speakers read the same prompts. Of the English texts these are all that have the full band.
TEST_TEXTS = {("carlo", "IT"): 0.45, ("menardi", "IT"): 0.45, ("allison", "EN"): 0.3}
VALID_TEXTS = {("allison", "EN"): 0.1}
MOST_RECORDINGS = {"nsh": 360}  # of one speaker, who else would be a third of the train set
NARROW = 0.4  # share of the sentences in the band of a telephone
WORD_LISTS = 240  # texts for the unit-selection voice
SHORTEST = 1.15  # seconds of speech that a recording needs: a clip keeps 0.9 of it, and is to last a second


@dataclass(frozen=True)
class Share:
    """What one generator says in one language of one part of the corpus.

    Arguments
    ---------
    generator : str
        A key of ``generators.ENGINES``.
    language : str
        Of the sentences.
    count : int
        Utterances.
    voices : dict
        The engine's name of a voice -> the key of the person behind it. Taken in turns. Re-synthesis keeps the person
        who recorded the sentence ("").
    proportion : str
        ``train``, ``valid`` or ``test``.
    """

    generator: str
    language: str
    count: int
    voices: dict[str, str]
    proportion: str = "train"


def _espeak(language: str, *variants: str) -> dict[str, str]:
    return {f"{language}+{variant}": f"espeak-{variant}" for variant in variants}


_TRAIN_VARIANTS, _VALID_VARIANTS = ("m1", "m3", "f1", "f3"), ("m6", "f5")
_TEST_VARIANTS = ("m2", "m4", "f2", "f4", "m7")
_KLATT = ("klatt", "klatt2", "klatt3", "klatt4")
_CODEC2 = dict.fromkeys(("3200", "2400", "1300", "700C"), "")
_LPC = dict.fromkeys(("16", "24"), "")
_GRIFFIN_LIM = dict.fromkeys(("512", "800"), "")
_HIFI_GAN = dict.fromkeys(("1.0", "0.9", "1.1"), "")


def _kokoro(language: str, *voices: str) -> dict[str, str]:
    return {f"{language}:{voice}": f"kokoro-{voice}" for voice in voices}


# All but af_heart, of which hibari is a copy, and what is for test.
_KOKORO_TRAIN = (
    *("af_alloy", "af_aoede", "af_bella", "af_jessica", "af_kore", "af_nicole", "af_nova", "af_river", "af_sarah"),
    *("af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam", "am_michael", "am_onyx", "am_puck"),
    *("am_santa", "bf_alice", "bf_emma", "bm_daniel", "bm_fable", "jf_alpha", "jm_kumo", "hm_omega", "zf_xiaobei"),
    *("zm_yunjian", "pf_dora", "pm_alex", "if_sara+am_onyx", "im_nicola+bm_fable", "af_bella+am_puck"),
    *("af_nicole+am_fenrir", "bf_emma+zf_xiaoyi", "am_michael+hm_psi", "af_kore+jf_nezumi", "am_eric+zm_yunxi"),
)

SHARES = (
    # train: as many fakes for each recording in every language, as far as the engines go
    Share("espeak-ng", "EN", 100, _espeak("en-us", *_TRAIN_VARIANTS)),
    Share("flite-diphone", "EN", 60, {"kal16": "kal"}),
    Share("flite-clustergen", "EN", 160, {"awb": "awb", "rms": "rms"}),
    Share("festival-diphone", "EN", 70, {"kal_diphone": "kal"}),
    Share("kokoro", "EN", 100, _kokoro("en-us", *_KOKORO_TRAIN)),
    Share("hifi-gan", "EN", 120, _HIFI_GAN),
    Share("griffin-lim", "EN", 80, _GRIFFIN_LIM),
    Share("lpc", "EN", 60, _LPC),
    Share("codec2", "EN", 110, _CODEC2),
    Share("espeak-ng", "ES", 90, _espeak("es-419", *_TRAIN_VARIANTS)),
    Share("kokoro", "ES", 15, _kokoro("es-419", "ef_dora", "em_alex", "em_santa", "pf_dora", "pm_alex")),
    Share("hifi-gan", "ES", 30, _HIFI_GAN),
    Share("griffin-lim", "ES", 60, _GRIFFIN_LIM),
    Share("lpc", "ES", 50, _LPC),
    Share("codec2", "ES", 50, _CODEC2),
    Share("espeak-ng", "RU", 100, _espeak("ru", *_TRAIN_VARIANTS)),
    Share("festival-clunits", "RU", 110, {"msu_ru_nsh_clunits": "nsh"}),
    Share("hifi-gan", "RU", 30, _HIFI_GAN),
    Share("griffin-lim", "RU", 70, _GRIFFIN_LIM),
    Share("lpc", "RU", 60, _LPC),
    Share("codec2", "RU", 60, _CODEC2),
    Share("espeak-ng", "NL", 100, _espeak("nl", *_TRAIN_VARIANTS)),
    Share("kokoro", "NL", 15, _kokoro("nl", *_KOKORO_TRAIN[:20])),
    Share("hifi-gan", "NL", 30, _HIFI_GAN),
    Share("griffin-lim", "NL", 60, _GRIFFIN_LIM),
    Share("lpc", "NL", 50, _LPC),
    Share("codec2", "NL", 60, _CODEC2),
    *(
        share
        for language in ("BG", "CA", "EL", "RO")
        for share in (
            Share("espeak-ng", language, 60, _espeak(language.lower(), *_TRAIN_VARIANTS)),
            Share("hifi-gan", language, 75, _HIFI_GAN),
            Share("griffin-lim", language, 45, _GRIFFIN_LIM),
            Share("lpc", language, 30, _LPC),
            Share("codec2", language, 25, _CODEC2),
        )
    ),
    # valid: other people, other voices of known generators, and a generator that train does not have
    Share("hibari", "EN", 150, {"heart": "heart"}, "valid"),
    Share("espeak-ng", "EN", 50, _espeak("en-us", *_VALID_VARIANTS), "valid"),
    Share("hifi-gan", "EN", 40, _HIFI_GAN, "valid"),
    Share("griffin-lim", "EN", 40, _GRIFFIN_LIM, "valid"),
    Share("lpc", "EN", 40, _LPC, "valid"),
    Share("codec2", "EN", 40, _CODEC2, "valid"),
    Share("espeak-ng", "IT", 30, _espeak("it", *_VALID_VARIANTS), "valid"),
    Share("festival-diphone", "IT", 50, {"lp_diphone": "lp"}, "valid"),
    Share("hifi-gan", "IT", 10, _HIFI_GAN, "valid"),
    Share("griffin-lim", "IT", 25, _GRIFFIN_LIM, "valid"),
    Share("lpc", "IT", 25, _LPC, "valid"),
    Share("codec2", "IT", 20, _CODEC2, "valid"),
    Share("espeak-ng", "CS", 60, _espeak("cs", *_VALID_VARIANTS), "valid"),
    Share("hifi-gan", "CS", 20, _HIFI_GAN, "valid"),
    Share("griffin-lim", "CS", 40, _GRIFFIN_LIM, "valid"),
    Share("lpc", "CS", 30, _LPC, "valid"),
    Share("codec2", "CS", 30, _CODEC2, "valid"),
    Share("espeak-ng", "DA", 30, _espeak("da", *_VALID_VARIANTS), "valid"),
    Share("hifi-gan", "DA", 30, _HIFI_GAN, "valid"),
    Share("griffin-lim", "DA", 20, _GRIFFIN_LIM, "valid"),
    Share("lpc", "DA", 15, _LPC, "valid"),
    Share("codec2", "DA", 10, _CODEC2, "valid"),
    # test: generators of the train set, voices and speakers that are not in it
    Share("espeak-ng", "FR", 40, _espeak("fr-fr", *_TEST_VARIANTS), "test"),
    Share("espeak-ng", "IT", 20, _espeak("it", *_TEST_VARIANTS), "test"),
    Share("espeak-ng", "RU", 40, _espeak("ru", *_TEST_VARIANTS), "test"),
    Share("espeak-ng", "CS", 40, _espeak("cs", *_TEST_VARIANTS), "test"),
    Share("flite-clustergen", "EN", 60, {"slt": "slt"}, "test"),
    Share("festival-diphone", "IT", 60, {"pc_diphone": "pc"}, "test"),
    Share("kokoro", "EN", 30, _kokoro("en-gb", "bm_george", "bm_lewis", "bf_isabella", "bf_lily"), "test"),
    Share("kokoro", "FR", 10, _kokoro("fr-fr", "ff_siwis"), "test"),
    Share("hifi-gan", "EN", 20, _HIFI_GAN, "test"),
    Share("hifi-gan", "FR", 20, _HIFI_GAN, "test"),
    Share("hifi-gan", "CS", 20, _HIFI_GAN, "test"),
    Share("griffin-lim", "FR", 40, _GRIFFIN_LIM, "test"),
    Share("griffin-lim", "IT", 20, _GRIFFIN_LIM, "test"),
    Share("griffin-lim", "RU", 40, _GRIFFIN_LIM, "test"),
    Share("lpc", "FR", 30, _LPC, "test"),
    Share("lpc", "IT", 20, _LPC, "test"),
    Share("lpc", "RU", 40, _LPC, "test"),
    Share("codec2", "FR", 40, _CODEC2, "test"),
    Share("codec2", "IT", 20, _CODEC2, "test"),
    Share("codec2", "RU", 40, _CODEC2, "test"),
    Share("espeak-ng", "BE", 25, _espeak("be", *_TEST_VARIANTS), "test"),
    Share("hifi-gan", "BE", 25, _HIFI_GAN, "test"),
    Share("griffin-lim", "BE", 20, _GRIFFIN_LIM, "test"),
    Share("lpc", "BE", 15, _LPC, "test"),
    Share("codec2", "BE", 15, _CODEC2, "test"),
    # test: generators that the train set does not have
    Share("espeak-ng-klatt", "FR", 30, _espeak("fr-fr", *_KLATT), "test"),
    Share("espeak-ng-klatt", "RU", 50, _espeak("ru", *_KLATT), "test"),
    Share("espeak-ng-klatt", "CS", 30, _espeak("cs", *_KLATT), "test"),
    Share("festival-hts", "EN", 80, {"cmu_us_slt_arctic_hts": "slt"}, "test"),
    Share("piper", "EN", 100, {"joe": "joe"}, "test"),
    Share("world", "FR", 40, {"": ""}, "test"),
    Share("world", "RU", 40, {"": ""}, "test"),
    Share("world", "CS", 40, {"": ""}, "test"),
    Share("espeak-ng-klatt", "BE", 25, _espeak("be", *_KLATT), "test"),
    Share("world", "BE", 30, {"": ""}, "test"),
)
UNSEEN_GENERATORS = {"espeak-ng-klatt", "festival-hts", "piper", "world"}
VALID_GENERATORS = {"hibari"}


def choose_proportion(sentence: Sentence, seed: int) -> tuple[str, bool]:
    """Where a sentence goes, by its text and the person who recorded it.

    Arguments
    ---------
    sentence : Sentence
        Any of the corpus.
    seed : int
        Seed of the corpus.

    Returns
    -------
    proportion : str
        ``train``, ``valid`` or ``test``; empty where the text is on one side and the speaker on the other.
    recorded : bool
        Whether its recording is for the corpus. Where not, engines may still speak the text.
    """
    part = "test" if sentence.speaker in TEST_SPEAKERS else "valid" if sentence.speaker in VALID_SPEAKERS else "train"
    test_texts = TEST_TEXTS.get((sentence.speaker, sentence.language), 0.0)
    valid_texts = VALID_TEXTS.get((sentence.speaker, sentence.language), 0.0)
    if not test_texts and not valid_texts:
        return part, True
    place = generator_for(seed, "split", sentence.language, normalise_text(sentence.text)).random()
    if part == "test":
        return (part, True) if place < test_texts else ("", False)
    if place < test_texts:
        return ("test" if sentence.language == "EN" else ""), False
    if place > 1 - valid_texts:
        return "valid", False
    return part, True


def check_split(utterances: Iterable[dict]) -> None:
    """Check that a split is honest.

    Arguments
    ---------
    utterances : iterable of dict
        Label, Proportion, Speaker, Text, Language and Attack of each.

    Raises
    ------
    AssertionError
        A person or a text is in two of train, valid and test, or a generator that only valid or only the test set
        should have is elsewhere. The message names it.
    """
    utterances = list(utterances)

    def of(proportion: str, *columns: str) -> set:
        return {tuple(u[c] for c in columns) for u in utterances if u["Proportion"] == proportion}

    def texts(proportion: str) -> set:
        return {(language, normalise_text(text)) for language, text in of(proportion, "Language", "Text")}

    pairs = (("train", "valid"), ("train", "test"), ("valid", "test"))
    crossings = {f"texts in {one} and {other}": texts(one) & texts(other) for one, other in pairs}
    for one, other in pairs:
        crossings[f"speakers in {one} and {other}"] = of(one, "Speaker") & of(other, "Speaker")
    for name, generators, others in (
        ("valid", VALID_GENERATORS, ("train", "test")),
        ("test", UNSEEN_GENERATORS, ("train", "valid")),
    ):
        elsewhere = set().union(*(of(other, "Attack") for other in others))
        crossings[f"generators that are for {name} only"] = elsewhere & {(name,) for name in generators}
    for what, crossing in crossings.items():
        if crossing:
            raise AssertionError(f"the split is not honest: {what}: {sorted(crossing)[:3]}")


@dataclass(frozen=True)
class Clip:
    """One utterance to be made.

    Arguments
    ---------
    sentence : Sentence
        What is said.
    channel : Channel
        That of the sentence.
    proportion : str
        ``train``, ``valid`` or ``test``.
    speaker : str
        Key of the person heard, or behind the voice.
    generator : str
        A key of ``generators.ENGINES``; empty for a recording.
    voice : str
        The engine's name of the voice.
    """

    sentence: Sentence
    channel: Channel
    proportion: str
    speaker: str
    generator: str = ""
    voice: str = ""

    @property
    def name(self) -> str:
        """Path without suffix below the corpus folder; the ID in the protocol is made of it too."""
        folder = f"fake/{self.generator}" if self.generator else "real"
        return f"{folder}/{self.sentence.key}"

    def describe(self) -> dict[str, str]:
        """The row of the protocol, and the text."""
        return {
            "ID": "MiniCorpus-" + self.name.replace("/", "-"),
            "Label": "fake" if self.generator else "real",
            "Path": f"MiniCorpus/{self.name}.flac",
            "Attack": self.generator or "-",
            "Speaker": self.speaker,
            "Proportion": self.proportion,
            "Language": self.sentence.language,
            "Text": self.sentence.text,
        }


def plan_clips(sentences: list[Sentence], seconds: dict[str, float], seed: int) -> list[Clip]:
    """Decide on every clip of the corpus.

    Arguments
    ---------
    sentences : list of Sentence
        All recordings.
    seconds : dict
        Seconds of speech in the recording of each, by its key.
    seed : int
        Seed of the corpus.

    Returns
    -------
    list of Clip
        The recordings, then generated speech in the order of ``SHARES``.
    """
    usable = _drop_repeated_texts([s for s in sentences if seconds[s.key] >= SHORTEST])
    usable = _drop_crossing_texts(usable, seed)
    words = _word_lists([s for s in sentences if s.language == "RU" and seconds[s.key] < SHORTEST], usable, seed)
    clips = {}  # of the recordings; for a word list, what its recording would be
    recorded = set()
    for sentence in [*usable, *words]:
        proportion, is_recorded = choose_proportion(sentence, seed)
        if not proportion:
            continue
        rng = generator_for(seed, "sentence", sentence.key)
        narrow = sentence.speaker in TELEPHONE_SPEAKERS or sentence.codec in NARROW_CODECS or rng.random() < NARROW
        channel = draw_channel(sentence.key, narrow, seconds.get(sentence.key, MAX_SECONDS), seed)
        clips[sentence.key] = Clip(sentence, channel, proportion, sentence.speaker)
        if is_recorded and sentence.path:
            recorded.add(sentence.key)

    plan = _limit_speakers([clip for key, clip in clips.items() if key in recorded], seed)
    for share in SHARES:
        engine = ENGINES[share.generator]
        if share.generator == "festival-clunits":
            able = [clips[sentence.key] for sentence in words if sentence.key in clips]
        elif engine.resynthesis:
            able = [clip for clip in plan if not clip.generator]
        else:
            able = [clips[sentence.key] for sentence in usable if sentence.key in clips]
        able = [clip for clip in able if clip.sentence.language == share.language]
        if share.generator == "codec2":  # at 8 kHz it would be told by its band
            able = [clip for clip in able if clip.channel.cutoff < 4000]
        plan += _choose(share, [clip for clip in able if clip.proportion == share.proportion], share.count, seed)
    return plan


def _choose(share: Share, clips: list[Clip], count: int, seed: int) -> list[Clip]:
    """Draw sentences for one share, and give them its voices in turns."""
    rng = generator_for(seed, share.generator, share.language, clips[0].proportion if clips else "")
    chosen = rng.permutation(len(clips))[:count]
    voices = list(share.voices.items())
    plan = []
    for number, index in enumerate(sorted(chosen)):
        voice, person = voices[number % len(voices)]
        clip = clips[index]
        plan.append(Clip(clip.sentence, clip.channel, clip.proportion, person or clip.speaker, share.generator, voice))
    return plan


def _drop_repeated_texts(sentences: list[Sentence]) -> list[Sentence]:
    """The first recording of each text by each speaker; texts of a few letters are none."""
    first: dict[tuple[str, str, str], Sentence] = {}
    for sentence in sentences:
        text = normalise_text(sentence.text)
        if len(text) > 5:
            first.setdefault((sentence.speaker, sentence.language, text), sentence)
    return list(first.values())


def _drop_crossing_texts(sentences: list[Sentence], seed: int) -> list[Sentence]:
    """Keep each text of a language in the part of its first sentence, the test set's before all others."""
    parts = {sentence.key: choose_proportion(sentence, seed)[0] for sentence in sentences}
    owner: dict[tuple[str, str], str] = {}
    for part in ("test", "valid", "train"):
        for sentence in sentences:
            if parts[sentence.key] == part:
                owner.setdefault((sentence.language, normalise_text(sentence.text)), part)
    return [s for s in sentences if owner.get((s.language, normalise_text(s.text))) == parts[s.key]]


def _limit_speakers(clips: list[Clip], seed: int) -> list[Clip]:
    """Draw ``MOST_RECORDINGS`` of a speaker who has more."""
    dropped = set()
    for speaker, most in MOST_RECORDINGS.items():
        keys = [clip.sentence.key for clip in clips if clip.speaker == speaker]
        dropped.update(generator_for(seed, "limit", speaker).permutation(keys)[most:].tolist())
    return [clip for clip in clips if clip.sentence.key not in dropped]


def _word_lists(short: list[Sentence], usable: list[Sentence], seed: int) -> list[Sentence]:
    """Texts for the unit-selection voice, which must not say the sentences that it is cut from.

    Its units come from the recordings of the speaker nsh: told to say one of those sentences it would play the
    recording, which is no generated speech. So it reads lists of three to five prompts too short to be in the corpus.
    """
    rng = generator_for(seed, "word lists")
    taken = {normalise_text(sentence.text) for sentence in usable}
    words = sorted({s.text.strip(" .,!?") for s in short if not any(c.isdigit() for c in s.text)})
    words = [word for word in words if len(word) > 2 and normalise_text(word) not in taken]
    if len(words) < 5:
        return []
    texts = [", ".join(rng.choice(words, size=rng.integers(3, 6), replace=False)) + "." for _ in range(WORD_LISTS)]
    return [Sentence(f"ru-words-{number:03d}", text, "RU", "nsh", None) for number, text in enumerate(texts)]
