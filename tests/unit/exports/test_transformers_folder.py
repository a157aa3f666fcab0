"""Folders of transformers: the same logits as the detector."""

import numpy as np
import pytest
import torch
import transformers

from antideepfake.errors import InputError
from antideepfake.exports.transformers_folder import write_transformers_folder
from antideepfake.lobes import FixedLength, MeanPooling, StatisticsPooling

FRONT_ENDS = [
    "wav2vec 2.0 Base",
    "wav2vec 2.0 Large",
    "HuBERT Base",
    "HuBERT Large",
    "WavLM Base",
    "WavLM Large",
    "w2v-BERT",
]
LENGTHS = (16000, 11111, 9000)


@pytest.fixture
def waveforms(rng):
    # of unit variance: there, the 1e-7 that transformers adds to it makes no difference from the detector's 1e-5
    return [rng.standard_normal(length).astype(np.float32) for length in LENGTHS]


def export(detector, folder):
    write_transformers_folder(folder, detector)
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    return model, transformers.AutoFeatureExtractor.from_pretrained(folder)


def extract(extractor, waveforms):
    return extractor(waveforms, sampling_rate=16000, return_tensors="pt", padding=True)


def score(detector, waveforms):
    return torch.tensor([result.logits for result in detector.score_files([(x, 16000) for x in waveforms])])


@pytest.mark.parametrize("name", FRONT_ENDS)
@torch.no_grad()
def test_logits_of_one_utterance_are_those_of_the_detector(name, tmp_path, waveforms, make_detector):
    detector = make_detector(name)
    model, extractor = export(detector, tmp_path / "out")
    expected = score(detector, waveforms)
    found = torch.cat([model(**extract(extractor, [waveform])).logits for waveform in waveforms])
    assert expected.std(0).min() > 1e-4
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in FRONT_ENDS if "Base" not in name])
@torch.no_grad()
def test_logits_of_a_padded_batch_are_those_of_the_detector(name, tmp_path, waveforms, make_detector):
    detector = make_detector(name)
    model, extractor = export(detector, tmp_path / "out")
    expected = score(detector, waveforms)
    torch.testing.assert_close(model(**extract(extractor, waveforms)).logits, expected, atol=1e-5, rtol=0)


def test_the_card_says_whether_batches_may_be_padded(tmp_path, make_detector):
    write_transformers_folder(tmp_path / "base", make_detector("HuBERT Base", threshold=0.5))
    write_transformers_folder(tmp_path / "large", make_detector("HuBERT Large"))
    base, large = ((tmp_path / name / "README.md").read_text() for name in ("base", "large"))
    assert "one utterance at a time" in base and "padded batch" in large
    assert "| Threshold | 0.5 (" in base


def test_the_pipeline_of_transformers_names_the_classes(tmp_path, waveforms, make_detector):
    detector = make_detector("WavLM Large")
    write_transformers_folder(tmp_path / "out", detector)
    detect = transformers.pipeline("audio-classification", model=str(tmp_path / "out"))
    found = {entry["label"]: entry["score"] for entry in detect(waveforms[0])}
    (result,) = detector.score_files([(waveforms[0], 16000)])
    assert found.keys() == {"fake", "real"}
    assert found["real"] == pytest.approx(result.probability, abs=1e-5)


def test_nothing_is_pickled(tmp_path, make_detector):
    write_transformers_folder(tmp_path / "out", make_detector("w2v-BERT"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}


@pytest.mark.parametrize(
    ("name", "back_end"),
    [("HuBERT Base", StatisticsPooling()), ("Whisper", MeanPooling())],
)
def test_a_detector_that_transformers_cannot_express_is_refused(name, back_end, tmp_path, make_detector):
    detector = make_detector(name, back_end)
    with pytest.raises(InputError, match="need a front end Wav2Vec2, HuBERT, WavLM, Wav2Vec2BERT, MeanPooling and"):
        write_transformers_folder(tmp_path / "out", detector)
    assert not (tmp_path / "out").exists()


def test_a_fixed_length_is_refused(tmp_path, make_detector):
    detector = make_detector("HuBERT Base")
    detector.mods["embedding_model"].fixed_length = FixedLength()
    with pytest.raises(InputError, match="MeanPooling, Linear, FixedLength, which the classes of transformers cannot"):
        write_transformers_folder(tmp_path / "out", detector)
