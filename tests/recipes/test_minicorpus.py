"""MiniCorpus: its split is honest, its channel treats both classes alike, and making it can be interrupted."""

import gzip
import json
import logging
import re
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from antideepfake.audit.shortcuts import measure_properties
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_protocol

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes/MiniCorpus"))

import channel
import debian
import games
import generators
import minicorpus_prepare
import plan
import sources
import stamps
from sources import Sentence

RATE = channel.SAMPLE_RATE
# language, speaker, codec of the recordings
SPEAKERS = [(recordings.language, recordings.speaker, "") for recordings in sources.RECORDINGS]
SPEAKERS += [("EN", actor, "mp3") for actor in dict.fromkeys(games.QUEEN_ACTORS.values())]
SPEAKERS += [(speaker[:2].upper(), speaker, "vorbis") for speaker in ("cs-small", "cs-big", "nl-small", "nl-big")]
SPEAKERS += [(language.upper(), f"{language}-volunteers", "vorbis") for language in stamps.STAMPS_LANGUAGES]


def make_speech(rng: np.random.Generator, seconds: float = 2.0, silence: float = 0.4, level: float = 0.1) -> np.ndarray:
    """Syllables of a wide-band buzz between silences."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = np.sign(np.sin(2 * np.pi * 140 * time)) + 0.3 * rng.normal(size=len(time))
    pause = np.zeros(round(silence * RATE))
    return np.concatenate([pause, level * buzz * (0.4 + 0.6 * np.sin(2 * np.pi * 2 * time) ** 2), pause])


def make_sentences(count: int = 24, speakers: list = SPEAKERS) -> tuple[list[Sentence], dict[str, float]]:
    """As many sentences of every speaker, the two Italians reading the same, and short Russian prompts."""
    sentences, seconds = [], {}
    for language, speaker, codec in speakers:
        for number in range(count):
            owner = "prompt" if language == "IT" else speaker
            key = f"{language.lower()}-{speaker}-{number}"
            text = f"sentence {number} of {owner}"
            sentences.append(Sentence(key, text, language, speaker, Path(f"{key}.wav"), codec))
            seconds[key] = 1.2 + number / 12
    for number, word in enumerate(("активировано", "добавлено", "удалено", "конференция", "абонент", "номер")):
        sentences.append(Sentence(f"ru-short-{number}", word, "RU", "ivrvoice", Path(f"{number}.wav")))
        seconds[f"ru-short-{number}"] = 0.6
    return sentences, seconds


# ---------------------------------------------------------------------------------------------------------- the split


@given(st.integers(0, 10**6))
def test_split_is_honest_for_every_seed(seed: int):
    sentences, seconds = make_sentences()
    clips = plan.plan_clips(sentences, seconds, seed)
    rows = [clip.describe() for clip in clips]
    plan.check_split(rows)

    assert len({row["ID"] for row in rows}) == len({row["Path"] for row in rows}) == len(rows)
    for clip in clips:
        recorded = clip.sentence.speaker
        if not clip.generator:
            assert (recorded in plan.TEST_SPEAKERS) == (clip.proportion == "test")
            assert (recorded in plan.VALID_SPEAKERS) == (clip.proportion == "valid")
        elif generators.ENGINES[clip.generator].resynthesis:
            assert clip.speaker == recorded
        if clip.generator == "codec2" or clip.sentence.codec in sources.NARROW_CODECS:
            assert clip.channel.cutoff < 4000  # at 8 kHz: told by its band otherwise
        if clip.generator == "festival-clunits":
            assert clip.sentence.path is None  # its own recordings it would play
    channels: dict[str, set] = {}
    for clip in clips:
        channels.setdefault(clip.sentence.key, set()).add(clip.channel)
    assert all(len(found) == 1 for found in channels.values())


def test_plan_does_not_change():
    sentences, seconds = make_sentences()
    assert plan.plan_clips(sentences, seconds, 1) == plan.plan_clips(sentences, seconds, 1)
    assert plan.plan_clips(sentences, seconds, 1) != plan.plan_clips(sentences, seconds, 2)


def test_valid_and_test_have_generators_of_their_own():
    train, valid, test = (
        {share.generator for share in plan.SHARES if share.proportion == proportion}
        for proportion in ("train", "valid", "test")
    )
    assert test - train == plan.UNSEEN_GENERATORS
    assert valid - train == plan.VALID_GENERATORS
    assert len(test & train) >= 3 and len(valid & train) >= 3
    assert {share.generator for share in plan.SHARES} == set(generators.ENGINES)


ROW = {"Label": "fake", "Proportion": "train", "Speaker": "a", "Text": "one", "Language": "EN", "Attack": "flite"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"Proportion": "test", "Text": "two"}, "speakers in train and test"),
        ({"Proportion": "test", "Speaker": "b", "Text": "One!"}, "texts in train and test"),
        ({"Proportion": "valid", "Speaker": "b"}, "texts in train and valid"),
        ({"Proportion": "valid", "Text": "two"}, "speakers in train and valid"),
        ({"Attack": "hibari"}, "generators that are for valid only"),
        ({"Attack": "world"}, "generators that are for test only"),
    ],
)
def test_check_split_names_the_overlap(changes: dict, what: str):
    with pytest.raises(AssertionError, match=what):
        plan.check_split([ROW, ROW | changes])


def test_check_split_accepts_a_disjoint_split():
    plan.check_split(
        [
            ROW,
            ROW | {"Proportion": "valid", "Speaker": "c", "Text": "two"},
            ROW | {"Proportion": "test", "Speaker": "b", "Language": "IT"},  # the same word in another language
        ]
    )


# ---------------------------------------------------------------------------------------------------------- the texts


def test_prompt_texts(tmp_path: Path):
    with gzip.open(tmp_path / "texts.gz", "wt", encoding="utf-8-sig") as file:
        file.write(
            "; Core Asterisk Sounds\n\nactivated: Activated.\nbeep: [a beep]\nconfbridge-join: <beep ascending>\n"
            "beeperr: (ahooga)\ndictate/forhelp: time: press 0\nboth: press * to go on\nbye: ...l’ultima “volta”…\n"  # noqa: RUF001
        )
    assert sources.read_prompt_texts(tmp_path / "texts.gz") == {
        "activated": "Activated.",
        "dictate/forhelp": "time: press 0",
        "bye": "l'ultima volta",
    }


def test_festvox_texts(tmp_path: Path):
    path = tmp_path / "txt.done.data"
    path.write_text('( ru_0001 "вдруг гром+ко, - да" )\n( ru_0002 "+Яблоки" )\n', encoding="utf-8")
    assert sources.read_festvox_texts(path) == {"ru_0001": "вдруг громко, - да", "ru_0002": "Яблоки"}


@given(st.text(max_size=60))
def test_texts_are_cleaned_once_and_compared_without_marks(text: str):
    assert sources.clean_text(sources.clean_text(text)) == sources.clean_text(text)
    assert sources.normalise_text(f"  {text}!") == sources.normalise_text(text)


def test_list_sentences_leaves_out_silence_and_unknown_prompts(tmp_path: Path):
    recordings = sources.RECORDINGS[0]
    for name in ("activated", "silence/1", "dictate/pause", "unknown"):
        path = tmp_path / recordings.folder / f"{name}.g722"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    texts = tmp_path / recordings.texts
    texts.parent.mkdir(parents=True)
    texts.write_bytes(gzip.compress(b"activated: Activated.\nsilence/1: silence\ndictate/pause: pause\n"))
    found = sources.list_sentences(recordings, tmp_path)
    assert [(s.key, s.text) for s in found] == [
        ("en-allison-activated", "Activated."),
        ("en-allison-dictate.pause", "pause"),
    ]


# -------------------------------------------------------------------------------------------------------- the games


def encode_dialogue(key: int, joe: dict[int, str], other: dict[int, str]) -> bytes:
    """A dialogue file of Flight of the Amazon Queen, with one level."""

    def encode(answers: dict[int, str], start: int) -> bytes:
        coded = b""
        for number, text in answers.items():
            coded += struct.pack(">HHB", 0, number, len(text)) + text.encode("cp850")
            coded += bytes(-(start + len(coded)) % 4 if text else 0)
        return coded

    answers = encode(joe, 128)
    words = [-1, 9, key, len(joe) - 1, len(other) - 1, *[0] * 6, 128 + len(answers), 0, 0, 0, 0]
    body = struct.pack(">16h", *words) + bytes(96) + answers
    return bytes(20) + body + encode(other, len(body))


def test_dialogue_names_the_recording_of_every_line():
    data = encode_dialogue(7, {1: "*18Hello.*17", 0x1E: ""}, {1: "Yes?*05*04What is it?*WTSpeak!", 0x2A: "Go."})
    assert list(games.read_queen_dialogue(data)) == [
        ("070001J2", True, "Hello."),
        ("070001P1", False, "Yes?"),
        ("070001P3", False, "What is it?"),
        ("070001P4", False, "Speak!"),
        ("07002AP1", False, "Go."),
    ]


def test_queen_lines_are_unpacked_with_their_actor(tmp_path: Path):
    dialogue = encode_dialogue(3, {1: "I am the pilot of this plane."}, {1: "And I am her mechanic, you know."})
    files = {"SPARKY2.DOG": dialogue, "030001J1.SB": b"joe", "030001P1.SB": b"mechanic", "030009P1.SB": b"unknown"}
    table, contents = b"", b""
    for name, content in files.items():
        table += struct.pack(">12sBII", name.encode(), 1, 15 + 21 * len(files) + len(contents), len(content))
        contents += content
    archive = tmp_path / games.QUEEN_ARCHIVE
    archive.parent.mkdir(parents=True)
    archive.write_bytes(struct.pack(">4s9xH", b"QTBL", len(files)) + table + contents)
    found = {sentence.speaker: sentence for sentence in games.list_queen(tmp_path)}
    assert set(found) == {"lavelle", "hill"}
    assert found["hill"].text == "And I am her mechanic, you know."
    assert found["hill"].path.read_bytes() == b"mechanic"
    assert {sentence.codec for sentence in found.values()} == {"mp3"}


def test_fillets_lines_have_the_fish_as_speaker(tmp_path: Path):
    folder = tmp_path / games.FILLETS_FOLDER
    for name in ("a-m-first", "a-v-second", "a-x-third"):
        path = folder / f"sound/cellar/nl/{name}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    script = folder / "script/cellar/dialogs_nl.lua"
    script.parent.mkdir(parents=True)
    script.write_text(
        'dialogId("a-m-first", "font_small", "One.")\ndialogStr("Ik kan dat niet verplaatsen.")\n\n'
        'dialogId("a-v-second", "font_big", "Two.")\ndialogStr("Een \\"grote\\" vis kan dat ook niet.")\n'
        'dialogId("a-x-third", "font_other", "Three.")\ndialogStr("Een derde vis, die niet telt.")\n'
        'dialogId("a-m-none", "font_small", "Four.")\ndialogStr("Dit heeft niemand opgenomen.")\n'
    )
    assert [(s.key, s.text, s.language, s.speaker) for s in games.list_fillets(tmp_path)] == [
        ("nl-small-cellar-a-m-first", "Ik kan dat niet verplaatsen.", "NL", "nl-small"),
        ("nl-big-cellar-a-v-second", "Een grote vis kan dat ook niet.", "NL", "nl-big"),
    ]


def test_three_descriptions_of_stamps_make_a_sentence(tmp_path: Path, rng: np.random.Generator):
    folder = tmp_path / stamps.STAMPS_FOLDER / "animals"
    folder.mkdir(parents=True)
    animals = {"horse": "Un cal.", "cow": "O vacă.", "cat": "O pisică.", "dog": "Un câine."}
    for name, text in animals.items():
        (folder / f"{name}.txt").write_text(f"A {name}.\nes.utf8=Nada.\nro.utf8={text}\n", encoding="utf-8")
        soundfile.write(folder / f"{name}_desc_ro.ogg", make_speech(rng, seconds=1.0), RATE, format="OGG")
    soundfile.write(folder / "goat_desc_ro.ogg", make_speech(rng), RATE, format="OGG")  # without a text
    (sentence,) = stamps.list_stamps(tmp_path, 1)
    assert (sentence.language, sentence.speaker, sentence.codec) == ("RO", "ro-volunteers", "vorbis")
    spoken = re.findall(r"[^.]+\.", sentence.text)
    assert len(spoken) == 3 and {text.strip() for text in spoken} < set(animals.values())
    samples, rate = soundfile.read(sentence.path)
    assert rate == RATE and len(samples) / RATE == pytest.approx(3 * 1.0 + 2 * stamps.PAUSE, abs=0.2)
    assert stamps.list_stamps(tmp_path, 1) == [sentence]
    assert stamps.list_stamps(tmp_path, 2)[0].path != sentence.path


# -------------------------------------------------------------------------------------------------------- the channel


@pytest.mark.parametrize("codec", sources.LOSSY_CODECS)
def test_lossy_codec_keeps_the_speech_and_its_length(codec: str, rng: np.random.Generator):
    speech = make_speech(rng)
    coded = sources.code_lossy(speech, codec)
    assert 0 <= len(coded) - len(speech) < 0.3 * RATE
    sections = channel._band(100, 3400)
    before, after = (channel.signal.sosfilt(sections, waveform) for waveform in (speech, coded))
    correlation = np.correlate(after, before, "valid").max()
    assert correlation > 0.9 * np.linalg.norm(before) * np.linalg.norm(after)


def test_recordings_are_read_in_the_order_of_their_paths(tmp_path: Path, rng: np.random.Generator):
    lengths = (1.0, 1.5, 0.7)
    paths = []
    for number, seconds in enumerate(lengths):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], np.stack([make_speech(rng, seconds)] * 2, axis=1), RATE)
    paths[1] = paths[1].with_suffix(".g722")
    paths[1].write_bytes(channel._encode_g722(np.round(make_speech(rng, 1.5) * 32767).astype("<i2")))
    found = sources.read_recordings(paths)
    assert [round(len(waveform) / RATE, 1) for waveform in found] == [seconds + 0.8 for seconds in lengths]


@pytest.mark.parametrize("narrow", [False, True])
def test_channel_equalizes_level_and_padding(narrow: bool, rng: np.random.Generator):
    drawn = channel.draw_channel("key", narrow, speech_seconds=2.0, seed=1)
    properties = []
    for level, silence, offset in ((0.5, 0.0, 0.2), (0.01, 1.0, 0.0)):
        speech = make_speech(rng, silence=silence, level=level) + offset
        properties.append(measure_properties(channel.apply_channel(speech, drawn, rng), RATE))
    for found in properties:
        assert found["duration"] == pytest.approx(drawn.seconds, abs=channel.FRAME / RATE)  # it ends with a frame
        assert found["level"] == pytest.approx(drawn.level, abs=1.0)
        assert found["bandwidth"] == pytest.approx(drawn.cutoff, abs=400)
        assert found["leading silence"] <= 0.04
        assert abs(found["DC"]) < 1e-4
    assert properties[0]["noise floor"] == pytest.approx(properties[1]["noise floor"], abs=3)


@pytest.mark.parametrize("silence", [0.0, 1.0])
def test_channel_leaves_no_trailing_silence(silence: float, rng: np.random.Generator):
    drawn = channel.draw_channel("key", False, speech_seconds=9.0, seed=1)
    speech = make_speech(rng, seconds=0.9, silence=silence)
    clip = channel.apply_channel(np.concatenate([speech, np.zeros(RATE)]), drawn, rng)
    active = np.flatnonzero(channel.find_speech_frames(clip, channel.FRAME))
    assert len(clip) // channel.FRAME - active[-1] <= 2


@given(st.booleans(), st.floats(plan.SHORTEST, 20), st.integers(0, 10**6), st.text(max_size=8))
def test_channel_parameters_are_within_bounds(narrow: bool, seconds: float, seed: int, key: str):
    drawn = channel.draw_channel(key, narrow, seconds, seed)
    assert drawn == channel.draw_channel(key, narrow, seconds, seed)
    assert (drawn.cutoff < 4000) == narrow
    assert 1.0 < drawn.seconds <= min(0.9 * seconds, channel.MAX_SECONDS)


@given(st.floats(0, 1), st.floats(0.3, 2), st.floats(0.01, 1))
def test_speech_is_found_between_silences(before: float, seconds: float, gain: float):
    waveform = np.concatenate([np.zeros(round(before * RATE)), gain * np.ones(round(seconds * RATE)), np.zeros(8000)])
    start, end = channel.find_speech(waveform)
    assert start / RATE == pytest.approx(before, abs=0.031)
    assert end / RATE == pytest.approx(before + seconds, abs=0.031)


@pytest.mark.parametrize("samples", [0, 10, 16000])
def test_clip_without_speech_is_refused(samples: int, rng: np.random.Generator):
    drawn = channel.draw_channel("key", False, 2.0, seed=1)
    with pytest.raises(ValueError, match="half a second"):
        channel.apply_channel(np.zeros(samples), drawn, rng)


def test_codec_preserves_length_and_alignment(rng: np.random.Generator):
    waveforms = [make_speech(rng, seconds)[: round(seconds * RATE)] for seconds in (0.5, 0.7001, 1.0)]
    coded = channel.code_g722(waveforms)
    for waveform, samples in zip(waveforms, coded, strict=True):
        assert len(samples) == len(waveform)
        correlation = np.correlate(samples / 32768, waveform[100:-100], "valid")
        assert correlation.argmax() == 100  # the delay of the codec is taken off
    assert channel.code_g722([]) == []


def test_an_empty_stream_has_no_samples():
    assert len(channel.decode_g722(b"")) == 0


# -------------------------------------------------------------------------------------------------------- the engines


class RecordingSession:
    """A model that keeps its inputs and answers with a second of noise at 24 kHz."""

    def __init__(self):
        self.inputs: list[dict[str, np.ndarray]] = []

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.inputs.append(inputs)
        return [np.random.default_rng(1).normal(size=(1, 24000)).astype(np.float32)]


@given(st.text(alphabet="ab ", max_size=80), st.floats(0, 4))
def test_shortened_text_ends_at_a_word_and_lasts_long_enough(text: str, seconds: float):
    short = generators._shorten(text, seconds)
    assert text.startswith(short)
    assert short == text or (len(short) >= 14 * seconds and text[len(short)] == " ")


def test_kokoro_mixes_voices_and_takes_the_style_of_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    session = RecordingSession()
    monkeypatch.setattr(generators, "_load_kokoro", lambda: (session, {"a": 5, "b": 6}))
    monkeypatch.setattr(generators, "_pronounce", lambda text, language, root: f"{text}{language}")
    folder = tmp_path / generators.KOKORO_VOICES
    folder.mkdir(parents=True)
    rows = np.arange(510, dtype="<f4")[:, None].repeat(256, axis=1)
    rows.tofile(folder / "one.bin")
    (rows + 2).tofile(folder / "two.bin")
    batch = generators.Batch("xx:one+two", ["ab a", "b"], [], tmp_path, 1, [1.0, 1.0])
    waveforms = generators.kokoro(batch)
    assert [len(waveform) for waveform in waveforms] == [RATE, RATE]
    assert [inputs["tokens"].tolist() for inputs in session.inputs] == [[[0, 5, 6, 5, 0]], [[0, 6, 0]]]
    assert [float(inputs["style"].mean()) for inputs in session.inputs] == [4.0, 2.0]  # row of the length, plus 1


@pytest.mark.parametrize("order", ["16", "24"])
def test_linear_prediction_keeps_pitch_and_resonance(order: str, rng: np.random.Generator):
    pulses = np.zeros(16000)
    pulses[::128] = 1  # 125 Hz
    pole = 0.97 * np.exp(2j * np.pi * 1000 / 16000)
    vowel = signal.lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], pulses) + 1e-4 * rng.standard_normal(16000)
    [spoken] = generators.lpc(generators.Batch(order, [], [0.1 * vowel], Path(), 1))
    assert len(spoken) == 16000
    middle = spoken[4000:12000]
    frequencies, power = signal.welch(middle, 16000, nperseg=512)
    assert abs(frequencies[power.argmax()] - 1000) < 100
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    assert abs(correlation[80:250].argmax() + 80 - 128) <= 2


@pytest.mark.parametrize("warp", [1.0, 1.1])
def test_hifi_gan_gets_a_warped_mel_spectrogram(warp: float, monkeypatch: pytest.MonkeyPatch):
    session = RecordingSession()
    monkeypatch.setattr(generators, "_load_hifi_gan", lambda: (session, np.eye(513)))  # bins instead of mel bands
    tone = np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE)
    generators.hifi_gan(generators.Batch(str(warp), ["la"], [tone], Path(), 1))
    bands = session.inputs[0]["mel"][0].mean(axis=1)
    assert bands.argmax() * 22050 / 1024 == pytest.approx(2000 * warp, abs=30)


# --------------------------------------------------------------------------------------------------------- the making


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    """A data folder whose recordings are decoded, and engines that need no program."""
    sentences, seconds = make_sentences(3, SPEAKERS[:8])
    for sentence in sentences:
        path = tmp_path / f"MiniCorpus/cache/recordings/{sentence.key}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, make_speech(rng, seconds[sentence.key], silence=0.1), RATE)
    engine = generators.Engine(lambda batch: [make_speech(np.random.default_rng(1)) for _ in batch.texts])
    names = ("espeak-ng", "flite-clustergen")
    monkeypatch.setattr(plan, "SHARES", [share for share in plan.SHARES if share.generator in names])
    monkeypatch.setattr(minicorpus_prepare, "decode_recordings", lambda *_: (sentences, seconds))
    monkeypatch.setattr(minicorpus_prepare, "_run", lambda function, jobs, *_: [function(*job) for job in jobs])
    for name in names:
        monkeypatch.setitem(generators.ENGINES, name, engine)
    return tmp_path


def read_clips(data_folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(data_folder)): path.read_bytes() for path in data_folder.glob("MiniCorpus/[rf]*/**/*.flac")
    }


def test_an_interrupted_corpus_is_completed_identically(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    prepare, output = minicorpus_prepare.prepare_minicorpus, corpus / "protocol.csv"
    write, written = soundfile.write, []

    def fail_after_five(path, samples, *options, **more):
        written.append(path)
        write(path, samples[:100] if len(written) == 6 else samples, *options, **more)
        if len(written) == 6:
            raise KeyboardInterrupt  # the sixth clip is half-written

    monkeypatch.setattr(soundfile, "write", fail_after_five)
    with pytest.raises(KeyboardInterrupt):
        prepare(corpus, output, quiet=True)
    assert len(read_clips(corpus)) == 5
    assert not output.exists()
    monkeypatch.setattr(soundfile, "write", write)
    assert prepare(corpus, output, quiet=True) == 0
    resumed, protocol = read_clips(corpus), output.read_text()
    assert set(read_protocol(output)["Label"]) == {"real", "fake"}
    assert len(read_protocol(output)) == len(resumed)

    monkeypatch.setattr(minicorpus_prepare, "make_clips", pytest.fail)  # nothing is left to make
    assert prepare(corpus, output, quiet=True) == 0
    assert output.read_text() == protocol
    monkeypatch.undo()


def test_overwritten_corpus_is_the_same(corpus: Path):
    output = corpus / "protocol.csv"
    minicorpus_prepare.prepare_minicorpus(corpus, output, quiet=True)
    first = read_clips(corpus)
    minicorpus_prepare.prepare_minicorpus(corpus, output, overwrite=True, quiet=True)
    assert read_clips(corpus) == first


def test_missing_engine_is_named_and_reported(corpus: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    engine = generators.Engine(pytest.fail, modules=("no_such_module",))
    monkeypatch.setitem(generators.ENGINES, "flite-clustergen", engine)
    output = corpus / "protocol.csv"
    with caplog.at_level(logging.WARNING):
        missing = minicorpus_prepare.prepare_minicorpus(corpus, output, quiet=True)
    assert "flite-clustergen" in caplog.text
    assert "no_such_module" in caplog.text
    assert set(read_protocol(output)["Attack"]) == {"-", "espeak-ng"}
    report = json.loads((corpus / "protocol.csv.report.json").read_text())
    assert len(report["left_out"]) == missing > 0
    assert all("flite-clustergen" in utterance["id"] for utterance in report["left_out"])


def test_failing_engine_leaves_the_others(corpus: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    def crash(batch: generators.Batch) -> list[np.ndarray]:
        generators._run([sys.executable, "-c", "raise SystemExit('no voice')"], batch.root)
        return []

    monkeypatch.setitem(generators.ENGINES, "flite-clustergen", generators.Engine(crash))
    with caplog.at_level(logging.WARNING):
        assert minicorpus_prepare.prepare_minicorpus(corpus, corpus / "protocol.csv", quiet=True) > 0
    assert "no voice" in caplog.text
    assert set(read_protocol(corpus / "protocol.csv")["Attack"]) == {"-", "espeak-ng"}


def test_wordless_clip_is_reported_once(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    engine = generators.Engine(lambda batch: [np.zeros(RATE) for _ in batch.texts])
    monkeypatch.setitem(generators.ENGINES, "flite-clustergen", engine)
    missing = minicorpus_prepare.prepare_minicorpus(corpus, corpus / "protocol.csv", quiet=True)
    report = json.loads((corpus / "protocol.csv.report.json").read_text())
    assert {utterance["reason"] for utterance in report["left_out"]} == {"less than half a second of speech"}
    monkeypatch.setattr(minicorpus_prepare, "make_clips", pytest.fail)
    assert minicorpus_prepare.prepare_minicorpus(corpus, corpus / "protocol.csv", quiet=True) == missing


def test_another_seed_does_not_mix_with_the_first(corpus: Path):
    minicorpus_prepare.prepare_minicorpus(corpus, corpus / "protocol.csv", quiet=True)
    with pytest.raises(InputError, match="seed 1234, not 5"):
        minicorpus_prepare.prepare_minicorpus(corpus, corpus / "protocol.csv", seed=5, quiet=True)


def test_recordings_are_decoded_while_others_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    events = []

    def unpack(*_) -> Iterator[Sentence]:
        for source, count in (("first", 50), ("second", 40)):
            events.append(f"fetch {source}")
            for number in range(count):
                yield Sentence(f"{source}-{number}", "text", "EN", "ann", tmp_path / f"{source}-{number}")

    def run(function: Callable, jobs: Iterable[tuple], *_) -> list[dict[str, float]]:
        results = []
        for batch, _ in jobs:
            events.append(len(batch))
            results.append({sentence.key: 1.0 for sentence in batch})
        return results

    monkeypatch.setattr(minicorpus_prepare, "_unpack_packages", unpack)
    monkeypatch.setattr(minicorpus_prepare, "_run", run)
    given = (tmp_path / "MiniCorpus", tmp_path / "root", 1, 2, True)
    (tmp_path / "MiniCorpus/cache/sources").mkdir(parents=True)
    sentences, seconds = minicorpus_prepare.decode_recordings(*given)
    assert events == ["fetch first", 40, "fetch second", 40, 10]
    assert [sentence.key for sentence in sentences] == list(seconds) and len(seconds) == 90
    assert not (tmp_path / "MiniCorpus/cache/sources").exists()
    events.clear()
    assert minicorpus_prepare.decode_recordings(*given) == (sentences, seconds)
    assert not events  # nothing is fetched or decoded twice
    assert sentences[-1].path == tmp_path / "second-39"


def test_unavailable_recordings_are_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise debian.MissingPackageError("Unable to locate package festvox-ru")

    monkeypatch.setattr(minicorpus_prepare, "fetch", refuse)
    with pytest.raises(InputError, match="Unable to locate package festvox-ru"):
        minicorpus_prepare.prepare_minicorpus(tmp_path, tmp_path / "protocol.csv", quiet=True)


def test_no_apt_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="Debian 12"):
        debian.fetch(["codec2"], tmp_path / "root", quiet=True)


def test_missing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(debian.MissingPackageError, match=r"voices@1\.2: npm is not on this machine"):
        debian.fetch_npm("voices@1.2", tmp_path / "root")


def test_npm_package_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def pack(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess:
        (tmp_path / "a.bin").write_bytes(b"voice")
        with tarfile.open(cwd / "voices-1.2.tgz", "w:gz") as archive:
            archive.add(tmp_path / "a.bin", "package/voices/a.bin")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(debian.shutil, "which", lambda program: program)
    monkeypatch.setattr(debian.subprocess, "run", pack)
    debian.fetch_npm("voices@1.2", tmp_path / "root")
    assert (tmp_path / "root/npm/voices/voices/a.bin").read_bytes() == b"voice"
    monkeypatch.setattr(debian.subprocess, "run", pytest.fail)
    debian.fetch_npm("voices@1.2", tmp_path / "root")


def test_packages_of_a_finished_group_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def apt(root: Path, command: str, *packages: str, folder: Path) -> None:
        if "broken" in packages:
            raise debian.MissingPackageError("Unable to locate package broken")
        for package in packages:
            (folder / f"{package}_1.0_all.deb").touch()

    unpacked = []
    monkeypatch.setattr(debian.shutil, "which", lambda program: program)
    monkeypatch.setattr(debian, "_apt", apt)
    monkeypatch.setattr(debian, "_unpack", lambda archive, root: unpacked.append(archive.name))
    names = [f"p{number}" for number in range(debian.GROUP)]
    with pytest.raises(debian.MissingPackageError, match="broken"):
        debian.fetch([*names, "broken"], tmp_path, quiet=True)
    assert sorted(unpacked) == [f"{name}_1.0_all.deb" for name in names]
    assert sorted(path.name for path in (tmp_path / ".unpacked").iterdir()) == names
    assert not list(tmp_path.glob(".downloads/**/*.deb"))
    monkeypatch.setattr(debian, "_apt", pytest.fail)
    debian.fetch(names, tmp_path, quiet=True)


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="a program of Debian")
def test_pictures_are_not_unpacked(tmp_path: Path):
    for name, content in {
        "DEBIAN/control": "Package: game\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: game\n",
        "usr/share/a.png": "picture",
        "usr/share/a.ogg": "sound",
    }.items():
        path = tmp_path / "game" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    subprocess.run(["dpkg-deb", "--build", tmp_path / "game", tmp_path / "game.deb"], check=True, capture_output=True)
    (tmp_path / "root").mkdir()
    debian._unpack(tmp_path / "game.deb", tmp_path / "root")
    assert [path.name for path in (tmp_path / "root").rglob("*.*")] == ["a.ogg"]
    (tmp_path / "game.deb").write_text("no package")
    with pytest.raises(subprocess.CalledProcessError):
        debian._unpack(tmp_path / "game.deb", tmp_path / "root")


def test_unpacked_packages_are_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fetched = []
    monkeypatch.setattr(debian, "_fetch_group", lambda packages, root: fetched.extend(packages))
    monkeypatch.setattr(debian, "_missing_dependencies", lambda packages, root: ["library", *packages])
    monkeypatch.setattr(debian.shutil, "which", lambda program: program)
    for _ in range(2):
        debian.fetch(["engine"], tmp_path, dependencies=True, quiet=True)
    assert fetched == ["engine", "library"]
