"""Whisper's encoder: the features and hidden states of transformers, without padding to 30 s."""

import numpy as np
import pytest
import torch
import transformers

from antideepfake.errors import InputError
from antideepfake.lobes.whisper import LEVEL, Whisper

TINY = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
SPECIAL = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "decoder_start")}


def _waveform(samples: int, seed: int = 0) -> torch.Tensor:
    """Noise with loud and quiet segments."""
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(samples, generator=generator) * 10.0 ** (-torch.arange(samples).div(2000).floor() % 7)
    return torch.nn.functional.layer_norm(waveform, waveform.shape)


def _build(**more) -> Whisper:
    """A front end whose biases and norms are not at their initial values."""
    front_end = Whisper(**TINY, **more).eval()
    with torch.no_grad():
        for weight in front_end.parameters():
            if weight.dim() == 1:
                weight += 0.3 * torch.randn(weight.shape)
    return front_end


def _of_transformers(front_end: Whisper) -> transformers.WhisperModel:
    """The model of ``transformers`` with the same encoder."""
    config = transformers.WhisperConfig(
        d_model=32,
        encoder_layers=3,
        encoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=4,
        vocab_size=8,
        num_mel_bins=front_end.model.config.num_mel_bins,
        **SPECIAL,
    )
    model = transformers.WhisperModel(config).eval()
    state = {
        f"encoder.{name.removeprefix('feature_extractor.').removeprefix('encoder.')}": value
        for name, value in front_end.model.state_dict().items()
    }
    missing, unknown = model.load_state_dict(state, strict=False)
    assert not unknown and all(name.startswith("decoder.") for name in missing)
    return model


@pytest.mark.parametrize("mels", [80, 128])
@torch.inference_mode()
def test_hidden_states_are_those_of_transformers_on_30_s(mels):
    front_end = _build(num_mel_bins=mels, all_layers=True)
    waveform = torch.nn.functional.pad(_waveform(70_000), (0, 410_000))
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    inputs = extractor((LEVEL * waveform).numpy(), sampling_rate=16000, return_tensors="pt").input_features
    torch.testing.assert_close(front_end.log_mel(waveform), inputs[0], atol=1e-5, rtol=1e-5)
    expected = _of_transformers(front_end).encoder(inputs, output_hidden_states=True)
    states, _ = front_end(waveform[None], torch.ones(1))
    assert states.shape == (1, 4, 1500, 32)
    for found, wanted in zip(states[0, :3], expected.hidden_states[:3], strict=True):
        torch.testing.assert_close(found, wanted[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(states[0, -1], expected.last_hidden_state[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("samples", [400, 16_000, 16_159, 16_160, 79_999])
def test_steps_have_ten_milliseconds_and_frames_twenty(samples):
    front_end = _build()
    steps = front_end.log_mel(_waveform(samples)).shape[1]
    assert steps == samples // 160
    frames, _ = front_end(_waveform(samples)[None], torch.ones(1))
    assert frames.shape[1] == (steps + 1) // 2


def test_the_floor_is_80_db_below_the_maximum_of_each_utterance():
    """Guards against the maximum of a batch: a loud utterance would raise the floor of a quiet one."""
    front_end = _build()
    loud, quiet = _waveform(16_000) * 1000, _waveform(12_000, seed=1)
    together, _ = front_end(torch.nn.utils.rnn.pad_sequence([loud, quiet], True), torch.tensor([1.0, 0.75]))
    alone, _ = front_end(quiet[None], torch.ones(1))
    torch.testing.assert_close(together[1, : alone.shape[1]], alone[0], atol=1e-5, rtol=1e-5)
    log_mel = front_end.log_mel(loud)
    assert (log_mel.max() - log_mel.min()).item() == pytest.approx(2.0)  # 80 dB are 8 decades, divided by 4


def test_speech_of_unit_variance_is_scaled_to_26_db_below_full_scale():
    samples = np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
    extractor = transformers.WhisperFeatureExtractor()
    at_full_scale = extractor(0.0501 * samples, sampling_rate=16000, padding="do_not_pad", return_tensors="pt")
    found = Whisper(**TINY).log_mel(torch.from_numpy(samples))
    torch.testing.assert_close(found, at_full_scale.input_features[0], atol=1e-3, rtol=0)


def test_silence_is_finite():
    frames, _ = _build()(torch.zeros(1, 8000), torch.ones(1))
    assert torch.isfinite(frames).all()


@pytest.mark.parametrize("all_layers", [False, True])
def test_an_utterance_of_more_than_30_s_is_encoded_in_equal_parts(all_layers):
    front_end = _build(all_layers=all_layers)
    long = _waveform(480_160)
    frames, lengths = front_end(torch.stack([long, long]), torch.tensor([1.0, 0.25]))
    first, second = (front_end(part[None], torch.ones(1))[0] for part in long.split(240_080))
    assert frames.shape[-2] == 1500 and (lengths * 1500).round().tolist() == [1500, 375]
    torch.testing.assert_close(frames[:1], torch.cat([first, second], -2), atol=1e-5, rtol=1e-5)
    alone, _ = front_end(long[None, :120_040], torch.ones(1))
    torch.testing.assert_close(frames[1:, ..., :375, :], alone[..., :375, :], atol=1e-5, rtol=1e-5)


def test_30_s_are_encoded_at_once():
    frames, _ = _build()(torch.randn(1, 480_159), torch.ones(1))
    assert frames.shape[1] == 1500


def test_positions_matter():
    front_end = _build()
    first, second = (front_end(_waveform(8000)[None], torch.ones(1))[0] for _ in range(2))
    torch.testing.assert_close(first, second)
    with torch.no_grad():
        front_end.model.encoder.embed_positions.weight[:25] = 0.0
    assert (front_end(_waveform(8000)[None], torch.ones(1))[0] - first).abs().max() > 1e-2


def test_autocast_leaves_the_spectrum_as_it_is():
    front_end = _build()
    expected = front_end.log_mel(_waveform(8000))
    with torch.autocast("cpu", torch.bfloat16):
        found = front_end.log_mel(_waveform(8000))
        frames, _ = front_end(_waveform(8000)[None], torch.ones(1))
    assert torch.equal(found, expected) and torch.isfinite(frames).all()


def test_filters_stay_in_single_precision_on_the_processor():
    with torch.device("meta"):
        front_end = Whisper(**TINY)
    front_end = front_end.to_empty(device="cpu").to(torch.bfloat16)
    assert torch.equal(front_end.log_mel(_waveform(8000)), _build().log_mel(_waveform(8000)))


@pytest.mark.parametrize("wrong", [{"num_mel_bins": 0}, {"max_source_positions": 3000}, {"num_attention_heads": 5}])
def test_wrong_settings_are_reported(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Whisper(**{**TINY, **wrong})
