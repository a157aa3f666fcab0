"""The detector from Python: files in, scores out, in order."""

import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.classifiers import EncoderClassifier

from antideepfake.audio.speech import SpeechActivity
from antideepfake.audio.waveform import read_waveform
from antideepfake.errors import InputError
from antideepfake.inference.detector import Detector, load_detector
from antideepfake.inference.scores import FileScore
from antideepfake.lobes import (
    HuBERT,
    LayerWeightedMeanPooling,
    MeanPooling,
    UtteranceEncoder,
    Wav2Vec2,
    Wav2Vec2BERT,
    WavLM,
    Whisper,
    assemble_detector,
)
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import OOD_DETECTOR
from antideepfake.model_folder.out_of_distribution import OODDetector, fit_ood_detector
from antideepfake.model_folder.windowing import Windowing
from antideepfake.training.hparams import load_hparams


@pytest.fixture(scope="module")
def detector(model_folder):
    """A loaded detector."""
    return load_detector(model_folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory, write_audio):
    """Eight files of many lengths, and the scores of each alone."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(1)
    lengths = [400, 801, 1600, 4000, 4001, 8000, 12_345, 16_000]
    return [write_audio(folder / f"{length}.wav", 0.1 * rng.standard_normal(length)) for length in lengths]


@pytest.fixture(scope="module")
def alone(detector, files):
    """Logits of each file by itself."""
    return {str(path): next(iter(detector.score_files([path]))).logits for path in files}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.lists(st.integers(0, 7), max_size=12),
    batch_seconds=st.sampled_from([0.001, 0.1, 0.3, 1.0, 60.0]),
)
def test_scores_do_not_depend_on_batches_and_keep_the_order(detector, files, alone, order, batch_seconds):
    paths = [files[index] for index in order]
    results = list(detector.score_files(paths, batch_seconds))
    assert [result.path for result in results] == [str(path) for path in paths]
    for result in results:
        np.testing.assert_allclose(result.logits, alone[result.path], atol=1e-5, rtol=1e-5)
        assert result.error == "" and result.threshold == 0.25


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_reported_in_order(detector, files, alone, tmp_path, write_audio, workers):
    noise = np.random.default_rng(1).standard_normal(3000)
    bad = {
        tmp_path / "missing.wav": "no such file",
        tmp_path / "empty.wav": "is empty",
        tmp_path / "text.wav": "cannot be read",
        tmp_path / "half.flac": "cannot be read",
        tmp_path / "half.wav": "truncated",
        tmp_path / "x.raw": "cannot be read",
        tmp_path: "a folder",
        write_audio(tmp_path / "silent.wav", np.zeros(8000)): "silent",
        write_audio(tmp_path / "short.wav", noise[:399] / 10): "too short",
        write_audio(
            tmp_path / "nan.wav", np.where(np.arange(3000) == 5, np.nan, noise), subtype="FLOAT"
        ): "not finite numbers",
    }
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("text " * 100)
    (tmp_path / "x.raw").write_bytes(bytes(range(256)))
    for name in ("half.flac", "half.wav"):
        path = write_audio(tmp_path / name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    paths = [path for pair in zip(bad, files * 2, strict=False) for path in pair]
    results = list(detector.score_files(paths, 0.5, workers))
    assert [result.path for result in results] == [str(path) for path in paths]
    for result in results[1::2]:
        np.testing.assert_allclose(result.logits, alone[result.path], atol=1e-5, rtol=1e-5)
    for result, said in zip(results[::2], bad.values(), strict=True):
        assert said in result.error and result.path in result.error
        assert math.isnan(result.score) and result.decision == ""


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 16001])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_give_about_the_score_of_16_khz_mono(detector, tmp_path, write_audio, rate, channels):
    def harmonics(rate):
        time = np.arange(rate) / rate
        return 0.1 * sum(np.sin(2 * np.pi * 150 * k * time + k * k) / k for k in range(1, 20))

    expected, found = detector.score_files(
        [
            write_audio(tmp_path / "a.wav", harmonics(16000), subtype="FLOAT"),
            write_audio(tmp_path / "b.wav", np.tile(harmonics(rate)[:, None], (1, channels)), rate, subtype="FLOAT"),
        ]
    )
    wrong_speed = detector.score_files([write_audio(tmp_path / "c.wav", harmonics(rate), 16000, subtype="FLOAT")])
    assert found.error == ""
    if rate > 16001:  # below, the band that is missing changes the score by itself
        assert abs(found.score - expected.score) < 0.2 * abs(next(iter(wrong_speed)).score - expected.score)


def test_nothing_to_score(detector):
    assert list(detector.score_files([])) == []


def test_dropout_is_off(detector, files):
    assert not any(module.training for module in detector.mods.modules())
    first, second = (next(iter(detector.score_files([files[3]]))) for _ in range(2))
    assert first == second


def test_embeddings_are_those_that_are_classified(detector, files, alone):
    waveforms = [read_waveform(path) for path in files[3:6]]
    batch = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    lengths = torch.tensor([len(waveform) / batch.shape[1] for waveform in waveforms])
    logits, _, index, labels = detector.classify_batch(batch, lengths)
    np.testing.assert_allclose(logits, [alone[str(path)] for path in files[3:6]], atol=1e-5, rtol=1e-5)
    assert labels == [["fake", "real"][position] for position in index.tolist()]
    torch.testing.assert_close(detector.encode_batch(waveforms[0]), detector.encode_batch(batch, lengths)[:1])
    np.testing.assert_allclose(
        [result.embedding for result in detector.score_files(files[3:6])],
        detector.encode_batch(batch, lengths),
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("logits", "threshold", "decision", "probability"),
    [
        ((0.0, 0.0), 0.0, "real", 0.5),  # at the threshold
        ((0.0, 0.1), 0.0, "real", 0.52498),
        ((1.0, 2.0), 1.5, "fake", 0.73106),
        ((-3000.0, 3000.0), 0.0, "real", 1.0),
        ((3000.0, -3000.0), 0.0, "fake", 0.0),
    ],
)
def test_decision_and_probability(logits, threshold, decision, probability):
    result = FileScore("a.wav", logits, threshold)
    assert result.decision == decision
    assert FileScore("a.wav", logits, threshold, is_ood=True).decision == "unsure"
    assert result.probability == pytest.approx(probability, abs=1e-5)
    assert result.score == logits[1] - logits[0]


@pytest.mark.parametrize(("limit", "decisions"), [(0.0, {"unsure"}), (1e6, {"real", "fake"})])
def test_out_of_distribution_recordings_are_unsure(model_folder, files, tmp_path, limit, decisions):
    shutil.copytree(model_folder, tmp_path / "model")
    size = load_detector(model_folder).mods["classifier"].in_features
    whiten = np.eye(size, dtype=np.float32)
    OODDetector(np.zeros(size, np.float32), whiten, limit).save(tmp_path / "model" / OOD_DETECTOR)
    results = list(load_detector(tmp_path / "model").score_files(files))
    assert {result.decision for result in results} <= decisions
    assert all(result.is_ood == (result.decision == "unsure") for result in results)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_an_unavailable_device_is_refused(model_folder, device):
    with pytest.raises(InputError, match=device):
        load_detector(model_folder, device)


def test_samples_at_any_rate_give_the_score_of_their_file(detector, tmp_path, write_audio):
    rng = np.random.default_rng(3)
    for rate, channels in ((16000, None), (8000, 2), (44100, 1)):
        samples = 0.1 * rng.standard_normal(rate if channels is None else (rate, channels))
        path = write_audio(tmp_path / f"{rate}.wav", samples, rate, subtype="FLOAT")
        items = [path, (samples, rate), (torch.from_numpy(samples).float(), rate)]
        from_file, *others = detector.score_files(items)
        for index, other in enumerate(others, 1):
            assert other.path == f"item {index}" and other.error == ""
            np.testing.assert_allclose(other.logits, from_file.logits, atol=1e-5)


def test_integers_are_scaled_to_one(detector):
    samples = (3000 * np.random.default_rng(3).standard_normal(8000)).astype(np.int16)
    whole, scaled = detector.score_files([(samples, 16000), (samples / 32768, 16000)])
    np.testing.assert_allclose(whole.logits, scaled.logits, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "rate", "told"),
    [
        (np.zeros(8000), 16000, "silent"),
        (np.random.default_rng(1).standard_normal(100), 16000, "too short"),
        (np.random.default_rng(1).standard_normal((2, 8000)), 16000, "too short"),  # channels first, by mistake
        (np.random.default_rng(1).standard_normal((1, 8000, 2)), 16000, "shape"),
        (np.full(8000, np.nan), 16000, "not finite numbers"),
        (np.empty(0), 16000, "shape"),
        (np.random.default_rng(1).standard_normal(8000), 0, "0 Hz"),
    ],
)
def test_samples_that_cannot_be_scored_are_reported(detector, samples, rate, told):
    good = (np.random.default_rng(1).standard_normal(8000), 16000)
    first, bad, last = detector.score_files([good, (samples, rate), good])
    assert told in bad.error and "item 1" in bad.error and bad.embedding.size == 0
    assert first.logits == pytest.approx(last.logits, abs=1e-5)


def test_more_audio_than_fits_into_memory_can_be_scored(detector):
    drawn = []

    def endless():
        rng = np.random.default_rng(1)
        while True:
            drawn.append(1)
            yield rng.standard_normal(8000), 16000

    results = detector.score_files(endless(), batch_seconds=1.0)
    assert next(iter(results)).error == "" and len(drawn) < 50


def test_progress_is_shown_when_asked(detector, files, capsys):
    list(detector.score_files(files))
    assert capsys.readouterr() == ("", "")
    list(detector.score_files(files, progress=True))
    out, err = capsys.readouterr()
    assert out == "" and "8/8" in err


SELF_SUPERVISED_YAML = """
front_end: !new:antideepfake.lobes.Wav2Vec2
    hidden_size: 32
    num_hidden_layers: 2
    num_attention_heads: 4
    intermediate_size: 64
back_end: !new:antideepfake.lobes.MeanPooling
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    back_end: !ref <back_end>
classifier: !new:torch.nn.Linear
    in_features: 32
    out_features: 2
"""


@pytest.fixture(scope="module")
def self_supervised(tmp_path_factory):
    """The model folder of a tiny wav2vec 2.0 with random weights."""
    folder = tmp_path_factory.mktemp("ssl")
    (folder / "train.yaml").write_text(SELF_SUPERVISED_YAML)
    torch.manual_seed(1)
    hparams = load_hparams(folder / "train.yaml")
    write_model_folder(folder / "model", hparams.settings, hparams, ModelMetadata())
    return folder / "model"


def test_whisper_is_scored_without_slow_imports(tmp_path):
    """Guards the time to start: each of these modules takes about as long as torch to import."""
    front_end = Whisper(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    modules = {"embedding_model": UtteranceEncoder(front_end, MeanPooling()), "classifier": torch.nn.Linear(32, 2)}
    settings = SELF_SUPERVISED_YAML.replace("Wav2Vec2", "Whisper")
    write_model_folder(tmp_path, settings, modules, ModelMetadata())
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from antideepfake.inference.detector import load_detector\n"
        "signal = np.random.default_rng(1).normal(size=8000)\n"
        f"(result,) = load_detector({str(tmp_path)!r}).score_files([(signal, 16000)])\n"
        "assert np.isfinite(result.score), result\n"
        "slow = {'transformers', 'torch._dynamo', 'sympy', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def bfloat16(monkeypatch):
    """Compute in bfloat16 on every processor, if slowly."""
    monkeypatch.setattr("antideepfake.inference.detector.can_pack", lambda dtype: True)


def test_half_precision_scores_are_close(self_supervised, files, bfloat16):
    full, half = (
        [result.score for result in load_detector(self_supervised, precision=precision).score_files(files)]
        for precision in ("fp32", "bf16")
    )
    assert full != half
    np.testing.assert_allclose(half, full, atol=0.02 * np.ptp(full) + 0.01)


def test_emulated_half_precision_falls_back_to_float32(self_supervised, files, monkeypatch, caplog):
    """Guards against a run that takes many times longer because it was asked to be faster."""
    monkeypatch.setattr("antideepfake.inference.detector.can_pack", lambda dtype: dtype == torch.float32)
    half = load_detector(self_supervised, precision="bf16")
    assert "using float32 instead" in caplog.text
    full = load_detector(self_supervised)
    assert half.weights_digest() == full.weights_digest()
    assert [result.score for result in half.score_files(files)] == [result.score for result in full.score_files(files)]


def test_packed_weights_score_as_speechbrain_does(self_supervised, files):
    plain = EncoderClassifier.from_hparams(source=str(self_supervised), savedir=None)
    for result in load_detector(self_supervised).score_files(files):
        logits = plain.classify_batch(read_waveform(result.path)[None])[0]
        np.testing.assert_allclose(result.logits, logits[0], atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_detector_that_has_scored_can_be_written_again(self_supervised, files, tmp_path, bfloat16, precision):
    """Guards against scoring that changes the layers or weights of what was loaded."""
    plain = EncoderClassifier.from_hparams(source=str(self_supervised), savedir=None)
    detector = load_detector(self_supervised, precision=precision)
    kinds = [type(module) for module in detector.mods.modules()]
    scores = [result.score for result in detector.score_files(files)]

    assert [type(module) for module in detector.mods.modules()] == kinds
    state, expected = detector.state_dict(), plain.state_dict()
    assert list(state) == list(expected)
    assert all(value.dtype == expected[name].dtype and value.equal(expected[name]) for name, value in state.items())
    waveform = read_waveform(files[-1])
    torch.testing.assert_close(detector.encode_batch(waveform), plain.encode_batch(waveform))

    settings = (self_supervised / "hyperparams.yaml").read_text()
    write_model_folder(tmp_path / "again", settings, detector.mods, detector.hparams.metadata)
    again = load_detector(tmp_path / "again", precision=precision)
    assert [result.score for result in again.score_files(files)] == scores


def test_an_unknown_precision_is_reported(self_supervised):
    with pytest.raises(InputError, match="'fp8' is unknown; use fp32 or bf16"):
        load_detector(self_supervised, precision="fp8")


def test_digests_distinguish_models_and_precisions(self_supervised, model_folder, bfloat16):
    loaded = [load_detector(self_supervised), load_detector(self_supervised, precision="bf16")]
    loaded += [load_detector(model_folder)]
    assert len({detector.weights_digest() for detector in loaded}) == 3
    assert load_detector(self_supervised).weights_digest() == loaded[0].weights_digest()


@pytest.mark.parametrize(
    "change",
    [
        lambda samples: samples[::-1][::-1],
        lambda samples: np.asfortranarray(np.stack([samples, samples], 1))[:, ::-1],
        lambda samples: samples.astype(">f8"),
        lambda samples: samples.astype(np.float16).astype(">f2"),
        lambda samples: (samples * 32768).astype(">i2"),
        lambda samples: (samples * 128 + 128).round().astype(np.uint8),
        lambda samples: torch.from_numpy(samples).bfloat16(),
        lambda samples: torch.from_numpy(samples).requires_grad_(),
        lambda samples: samples.tolist(),
    ],
)
def test_samples_of_any_memory_layout_and_type_are_scored(detector, change):
    samples = 0.2 * np.random.default_rng(1).standard_normal(16000)
    whole, changed = detector.score_files([(samples, 16000), (change(samples), 16000.0)])
    assert not changed.error
    assert changed.score == pytest.approx(whole.score, abs=0.1)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ((np.ones(16000, bool), 16000), "samples of type bool"),
        ((np.ones(16000, complex), 16000), "samples of type complex128"),
        ((np.array([None] * 16000), 16000), "samples of type object"),
        ((np.random.default_rng(1).standard_normal((1, 16000)), 16000), r"\[time, channels\]"),
        ((np.random.default_rng(1).standard_normal((2, 16000)), 16000), r"shape \[2, 16000\]"),
        ((np.zeros((2, 3, 4)), 16000), r"shape \[2, 3, 4\]"),
        ((np.random.default_rng(1).standard_normal(16000), 16000.5), "sample rate is 16000.5 Hz"),
        ((np.random.default_rng(1).standard_normal(16000), "16k"), "item 1: neither"),
        ((np.random.default_rng(1).standard_normal(16000),), "item 1: neither"),
        ((1e30 * np.random.default_rng(1).standard_normal(16000), 16000), "above 1e"),
        ((1e300 * np.random.default_rng(1).standard_normal(16000), 16000), "not finite numbers"),
        (None, "item 1: neither"),
        (7, "item 1: neither"),
        ("", "the file name is empty"),
        ("a" * 300, "File name too long"),
    ],
)
def test_an_item_that_cannot_be_scored_is_a_result_with_an_error(detector, item, said):
    good = (0.1 * np.random.default_rng(1).standard_normal(16000), 16000)
    first, bad, last = detector.score_files([good, item, good])
    assert re.search(said, bad.error) and bad.decision == ""
    assert first.score == last.score and not first.error


def test_a_single_path_is_scored(detector, tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav")
    assert [result.path for result in detector.score_files(str(path))] == [str(path)]
    assert [result.path for result in detector.score_files(path)] == [str(path)]


def test_a_score_that_is_not_finite_is_an_error(detector, monkeypatch):
    pool = detector.mods["embedding_model"].back_end.forward

    def spoil(frames, lengths):
        embeddings = pool(frames, lengths)
        embeddings[0] = float("nan")
        return embeddings

    monkeypatch.setattr(detector.mods["embedding_model"].back_end, "forward", spoil)
    items = [(0.1 * np.random.default_rng(1).standard_normal(size), 16000) for size in (8000, 16000)]
    bad, good = detector.score_files(items)
    assert "not a finite number" in bad.error and bad.decision == "" and np.isnan(bad.score)
    assert not good.error and np.isfinite(good.score)
    assert FileScore("a", (0.0, float("inf")), 0.0).decision == ""


def test_typicality_of_another_model_is_refused(model_folder, tmp_path):
    """Guards against a folder that loads and then fails at the first recording."""
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    fit_ood_detector(np.random.default_rng(1).standard_normal((40, 5))).save(folder / "typicality.safetensors")
    with pytest.raises(InputError, match="of another model"):
        load_detector(folder)


SHORT = Windowing(utterance_seconds=1.0, window_seconds=0.5, hop_seconds=0.25)


@pytest.fixture(scope="module")
def long_signal():
    """Three seconds and a bit."""
    return (0.1 * np.random.default_rng(2).standard_normal(50_000)).astype(np.float32)


@pytest.fixture(scope="module")
def mean_detector():
    """A detector whose score is a mean over frames: mean pooling and a linear classifier."""
    front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    modules = assemble_detector(UtteranceEncoder(front_end, MeanPooling()), torch.nn.Linear(16, 2))
    return Detector(modules, {"metadata": ModelMetadata(), "label_encoder": CategoricalEncoder()}, {"device": "cpu"})


TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.mark.parametrize("kind", [Wav2Vec2, HuBERT, WavLM, Wav2Vec2BERT])
@pytest.mark.parametrize("all_layers", [False, True])
def test_stream_windows_and_whole_agree_for_every_front_end(long_signal, kind, all_layers):
    pooling = LayerWeightedMeanPooling(3) if all_layers else MeanPooling()
    modules = assemble_detector(UtteranceEncoder(kind(**TINY, all_layers=all_layers), pooling), torch.nn.Linear(16, 2))
    hparams = {"metadata": ModelMetadata(), "label_encoder": CategoricalEncoder()}
    one = Detector(modules, hparams, {"device": "cpu"})
    sizes = np.random.default_rng(5).integers(1, 9000, 20).cumsum()
    streamed = list(one.stream(np.split(long_signal, sizes[sizes < len(long_signal)]), 16000, SHORT))
    (windowed,) = one.score_files([(long_signal, 16000)], windowing=SHORT)
    np.testing.assert_allclose(np.mean([window.logits for window in streamed], 0), windowed.logits, atol=1e-4)
    (whole,) = one.score_files([(long_signal[:8000], 16000)], windowing=SHORT, timeline=True)
    assert streamed[0].score == pytest.approx(whole.score, abs=1e-4)
    assert whole.timeline.step == one.mods["embedding_model"].front_end.hop / 16000


@pytest.fixture(scope="module", params=["detector", "mean_detector"])
def any_detector(request):
    """A detector of either kind."""
    return request.getfixturevalue(request.param)


def test_a_long_recording_is_the_mean_of_its_windows(any_detector, long_signal):
    (long,) = any_detector.score_files([(long_signal, 16000)], windowing=SHORT)
    starts = [*range(0, 50_000 - 8000, 4000), 42_000]
    alone = list(any_detector.score_files([(long_signal[start:][:8000], 16000) for start in starts]))
    assert long.windows == len(starts) and long.duration == 50_000 / 16000
    np.testing.assert_allclose(long.logits, np.mean([one.logits for one in alone], 0), atol=1e-5)
    np.testing.assert_allclose(long.embedding, np.mean([one.embedding for one in alone], 0), atol=1e-5)


def test_a_recording_up_to_the_limit_is_one_utterance(any_detector, long_signal):
    (whole,) = any_detector.score_files([(long_signal[:16_000], 16000)], windowing=SHORT)
    (cut,) = any_detector.score_files([(long_signal[:16_001], 16000)], windowing=SHORT)
    assert (whole.windows, whole.timeline) == (1, None)
    assert cut.windows == 4 and cut.timeline is not None


@pytest.fixture(scope="module")
def whole_by_rate(any_detector, long_signal):
    """The result of the whole signal by its sample rate."""
    rates = (8000, 16000, 44100)
    results = any_detector.score_files([(long_signal, rate) for rate in rates], windowing=SHORT)
    return dict(zip(rates, results, strict=True))


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 50_000), max_size=12), rate=st.sampled_from([8000, 16000, 44100]))
def test_a_stream_gives_the_windows_of_the_file(any_detector, long_signal, whole_by_rate, cuts, rate):
    chunks = np.split(long_signal, sorted(cuts))
    streamed = list(any_detector.stream(chunks, rate, SHORT))
    whole = whole_by_rate[rate]
    assert len(streamed) == whole.windows
    assert streamed[-1].end == pytest.approx(whole.duration)
    np.testing.assert_allclose(np.mean([window.logits for window in streamed], 0), whole.logits, atol=1e-4)


def test_a_stream_of_silence_and_one_without_samples(detector):
    with pytest.raises(InputError, match="the stream: silent"):
        list(detector.stream([np.zeros(8000)]))
    assert list(detector.stream([])) == []


def test_the_timeline_of_frames_averages_to_the_score(mean_detector, long_signal):
    """Mean pooling and a linear classifier: the mean of the frames is the utterance, here of a single window."""
    windowing = Windowing(window_seconds=4.0)
    (result,) = mean_detector.score_files([(long_signal, 16000)], windowing=windowing, timeline=True)
    frames = result.timeline.scores
    front_end = mean_detector.mods["embedding_model"].front_end
    hop = front_end.hop
    assert result.timeline.step == hop / 16000 and len(frames) == math.ceil(50_000 / hop)
    count = (50_000 - front_end.receptive_field) // hop + 1
    assert frames[:count].mean() == pytest.approx(result.score, abs=1e-5)


def test_no_batch_grows_with_the_recording(detector, monkeypatch):
    """Guards against one row as long as the recording: attention grows with its square."""
    shapes = []
    encode = UtteranceEncoder.encode

    def record(self, waveforms, lengths):
        shapes.append(waveforms.shape)
        return encode(self, waveforms, lengths)

    monkeypatch.setattr(UtteranceEncoder, "encode", record)
    signal = 0.1 * np.random.default_rng(3).standard_normal(30 * 16000)
    (result,) = detector.score_files([(signal, 16000)], batch_seconds=2.0, windowing=SHORT)
    assert result.windows == 119
    assert max(length for _, length in shapes) == 8000 and max(rows for rows, _ in shapes) == 4


def test_long_and_short_recordings_keep_the_order(detector, tmp_path, write_audio, long_signal):
    paths = [write_audio(tmp_path / f"{n}.wav", long_signal[:n]) for n in (8000, 50_000, 399, 16_000, 33_000)]
    for workers in (0, 2):
        results = list(detector.score_files(paths, 0.5, workers, windowing=SHORT))
        assert [result.path for result in results] == list(map(str, paths))
        assert [result.windows for result in results] == [1, 12, 0, 1, 8]


def test_a_long_recording_that_is_damaged_at_its_end_has_no_score(detector, tmp_path, write_audio, long_signal):
    path = write_audio(tmp_path / "a.flac", long_signal)
    path.write_bytes(path.read_bytes()[:-4000])
    (result,) = detector.score_files([path], windowing=SHORT)
    assert math.isnan(result.score) and str(path) in result.error


def test_windows_without_speech_are_left_out_of_the_score(detector, monkeypatch, long_signal):
    monkeypatch.setattr(SpeechActivity, "share", lambda self, start, stop: 1.0 if start >= 40_000 else 0.0)
    (result,) = detector.score_files([(long_signal, 16000)], windowing=SHORT)
    alone = list(detector.score_files([(long_signal[start:][:8000], 16000) for start in (40_000, 42_000)]))
    assert result.windows == 2
    np.testing.assert_allclose(result.logits, np.mean([one.logits for one in alone], 0), atol=1e-5)
