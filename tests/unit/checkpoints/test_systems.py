"""Detectors of other authors: every tensor of their checkpoints is accounted for, and the model folder has it."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from antideepfake.checkpoints.conversion import convert_checkpoint
from antideepfake.checkpoints.loading import Weights
from antideepfake.checkpoints.systems import map_system
from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import AASIST, MHFA, SEA, SLS, SSLAASIST, BatchNormClassifier, Nes2Net, SELUClassifier
from antideepfake.model_folder.published import read_published_detectors
from antideepfake.model_folder.windowing import WHOLE

FIXTURES = Path(__file__).parents[2] / "fixtures"


def make_state(name):
    """Random tensors of a key table, under the published names."""
    lines = (FIXTURES / "keys" / f"{name}.keys.txt").read_text().splitlines()
    state = {}
    for line in lines:
        key, shape, kind = line.split("\t")
        sizes = [int(number) for number in re.findall(r"\d+", shape)]
        state[key] = torch.zeros(sizes, dtype=torch.int64) if "int" in kind else 0.2 * torch.randn(sizes)
        if "running_var" in key:
            state[key] = 1 + torch.rand(sizes)
    return state


def make_ssl_state():
    """A small AASIST on a small wav2vec 2.0, named as the published ones and saved from a data-parallel wrapper."""
    encoder = load_file(FIXTURES / "parity" / "layernorm.safetensors")
    state = {
        f"ssl_model.model.{key.removeprefix('m_ssl.model.')}": value
        for key, value in encoder.items()
        if not key.startswith("proj_fc")
    }
    return state | load_file(FIXTURES / "back_ends" / "ssl_aasist.weights.safetensors")


@pytest.mark.parametrize(("name", "graph_size"), [("aasist", 64), ("aasist_l", 24)])
def test_every_tensor_is_used_or_left_out_for_a_reason(name, graph_size):
    state = make_state(name)
    system = map_system(Weights(state, {}, "a.pth"))
    assert system.used + len(system.left_out) == len(state)
    assert len(system.left_out) == 25 and system.description == "AASIST"
    modules = system.build()
    encoder = modules["embedding_model"]
    assert isinstance(encoder.back_end, AASIST) and not encoder.normalize
    assert encoder.back_end.graph.position.shape == (1, 23, state["pos_S"].shape[2])
    torch.testing.assert_close(encoder.back_end.graph.branches[1].master, state["master2"])
    torch.testing.assert_close(modules["classifier"].weight, state["out_layer.weight"])
    assert state["GAT_layer_S.att_weight"].shape[0] == graph_size


def test_a_checkpoint_of_another_kind_is_not_recognized():
    assert map_system(Weights({"proj_fc.weight": torch.zeros(2, 4)}, {}, "a.pth")) is None


def without(name):
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("master1"), "missing: back_end.graph.branches.0.master"),
        (lambda state: state.update(stray=torch.zeros(1)), "unknown: stray"),
        (lambda state: state.update(pos_S=torch.zeros(1, 42, 64)), r"of shape \[1, 42, 64\] instead of .*: pos_S"),
        (lambda state: state["out_layer.bias"].fill_(torch.nan), "not finite: out_layer.bias"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(change, said):
    state = make_state("aasist")
    change(state)
    with pytest.raises(InputError, match=rf"a\.pth: does not fit AASIST; {said}"):
        map_system(Weights(state, {}, "a.pth"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The model folder of AASIST with random weights."""
    path = tmp_path_factory.mktemp("aasist")
    torch.manual_seed(1)
    torch.save(make_state("aasist"), path / "AASIST.pth")
    convert_checkpoint(str(path / "AASIST.pth"), path / "model", read_published_detectors()["aasist-asvspoof2019"])
    return path / "model"


def test_the_metadata_name_data_and_license(folder):
    metadata = load_detector(folder).metadata
    assert metadata.training_corpora == ["ASVspoof2019-LA"] and metadata.license == "MIT"
    assert metadata.provenance.startswith("aasist-asvspoof2019 (Jung et al. 2022")
    assert metadata.windowing().utterance_seconds == metadata.windowing().window_seconds == 64600 / 16000


def test_the_first_samples_are_scored(folder, rng):
    detector = load_detector(folder)
    samples = 0.1 * rng.standard_normal(70_000).astype("float32")

    def score(signal, windowing=None):
        return next(iter(detector.score_files([(signal, 16000)], windowing=windowing))).score

    assert score(samples, WHOLE) == pytest.approx(score(samples[:64600]), abs=1e-5)


def test_features_of_an_encoder_are_read_with_it(tmp_path, rng):
    state = {f"module.{key}": value for key, value in make_ssl_state().items()}
    torch.save(state, tmp_path / "ssl.pth")
    system, metadata = convert_checkpoint(str(tmp_path / "ssl.pth"), tmp_path / "model", num_attention_heads=4)
    assert system.used + len(system.left_out) == len(state)
    assert any(name.startswith("ssl_model.model.") for name in system.left_out)
    assert system.description == "SSLAASIST on Wav2Vec2, 3 layers of 32"
    assert metadata.training_corpora == [] and metadata.license == ""
    detector = load_detector(tmp_path / "model")
    encoder = detector.mods["embedding_model"]
    assert isinstance(encoder.back_end, SSLAASIST) and not encoder.normalize
    (result,) = detector.score_files([(rng.standard_normal(20_000), 16000)])
    assert result.error == "" and result.windows == 1


def name_encoder(prefix):
    """A small wav2vec 2.0 with fairseq's names."""
    encoder = load_file(FIXTURES / "parity" / "layernorm.safetensors")
    return {f"{prefix}{key[12:]}": value for key, value in encoder.items() if not key.startswith("proj_fc")}


def test_nes2net_x_is_read_with_the_dilation_of_its_encoder(tmp_path, rng):
    head = torch.nn.ModuleDict({"back_end": Nes2Net(32, 4, 4, stacked=True), "classifier": torch.nn.Linear(32, 2)})
    names = {"back_end.": "Nested_Res2Net_TDNN.", "classifier.": "Nested_Res2Net_TDNN.fc."}
    state = name_encoder("ssl_model.model.") | {
        new + name.removeprefix(old): value
        for name, value in head.state_dict().items()
        for old, new in names.items()
        if name.startswith(old)
    }
    torch.save(state, tmp_path / "nes.pth")
    system, _ = convert_checkpoint(str(tmp_path / "nes.pth"), tmp_path / "model", num_attention_heads=4)
    assert system.used + len(system.left_out) == len(state)
    settings = system.components["back_end"]
    assert (settings["dilation"], settings["n_groups"], settings["scale"], settings["se_ratio"]) == (2, 4, 4, 1)
    detector = load_detector(tmp_path / "model")
    encoder = detector.mods["embedding_model"]
    assert encoder.fixed_length.n_samples == 64600 and not encoder.normalize
    frames = torch.randn(1, 20, 32)
    torch.testing.assert_close(
        encoder.back_end(frames, torch.ones(1)), head["back_end"].eval()(frames, torch.ones(1)), atol=1e-6, rtol=1e-6
    )


def make_singing_state(head):
    """A Nes2Net with SEA and one output on a small wav2vec 2.0, as it is published for singing voices."""
    names = {"back_end.": "Nested_Res2Net_TDNN.", "classifier.": "Nested_Res2Net_TDNN.fc.", "sea.": "ssl_model."}
    return name_encoder("ssl_model.model.model.") | {
        new + name.removeprefix(old): value
        for name, value in head.state_dict().items()
        for old, new in names.items()
        if name.startswith(old)
    }


@pytest.mark.parametrize(
    ("stacked", "activation", "pooling"),
    [(False, "relu", "mean"), (True, "relu", "attentive"), (True, "selu", "mean")],
)
def test_nes2net_for_singing_voices_scores_by_its_one_logit(stacked, activation, pooling, tmp_path, rng):
    back_end = Nes2Net(32, 4, 4, 1, activation=activation, pooling=pooling, stacked=stacked)
    size = 64 if pooling == "attentive" else 32
    head = torch.nn.ModuleDict({"back_end": back_end, "classifier": torch.nn.Linear(size, 1), "sea": SEA(4)})
    for _ in range(3):  # training moves the means of the normalization, which tell the activation
        back_end(torch.randn(4, 20, 32), torch.ones(4))
    state = make_singing_state(head.eval())
    torch.save(state, tmp_path / "nes.pth")
    system, metadata = convert_checkpoint(str(tmp_path / "nes.pth"), tmp_path / "model", num_attention_heads=4)
    assert system.used + len(system.left_out) == len(state) and metadata.windows == {}
    assert system.components["back_end"]["activation"] == activation
    detector = load_detector(tmp_path / "model")
    encoder = detector.mods["embedding_model"]
    assert encoder.front_end.all_layers and encoder.front_end.final_norm and encoder.normalize
    waveform = rng.standard_normal(16_000).astype("float32")
    (result,) = detector.score_files([(waveform, 16000)])
    normalized = torch.from_numpy((waveform - waveform.mean()) / waveform.std())[None]
    with torch.no_grad():
        states, lengths = encoder.front_end(normalized, torch.ones(1))
        logit = head["classifier"](back_end(head["sea"](states, lengths), lengths)).item()
    assert result.logits[0] == 0 and result.score == pytest.approx(logit, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("Nested_Res2Net_TDNN.fc.weight"), r"missing: classifier\.weight"),
        (lambda state: state.update({"Nested_Res2Net_TDNN.fc.weight": torch.tensor(1.0)}), r"of shape \[\] instead"),
        (lambda state: state.update({"ssl_model.fc_att_merge.0.weight": torch.tensor(1.0)}), "n_layers is 1"),
    ],
)
def test_a_damaged_nes2net_for_singing_voices_is_refused(change, said):
    head = torch.nn.ModuleDict({"back_end": Nes2Net(32, 4, 4, 1), "classifier": torch.nn.Linear(32, 1), "sea": SEA(4)})
    state = make_singing_state(head)
    change(state)
    with pytest.raises(InputError, match=said):
        map_system(Weights(state, {}, "a.pth"), 4)


def test_the_classes_of_mhfa_are_swapped(tmp_path):
    back_end, classifier = MHFA(4, 32, 4, 8, 16, center_features=True), BatchNormClassifier(16)
    names = {"norm.": "projection.trans.0.", "linear.": "projection.trans.2."}
    state = name_encoder("frontend.upstream.") | dict(back_end.state_dict())
    state |= {
        new + name.removeprefix(old): value
        for name, value in classifier.state_dict().items()
        for old, new in names.items()
        if name.startswith(old)
    }
    torch.save(state, tmp_path / "mhfa.pt")
    system, metadata = convert_checkpoint(str(tmp_path / "mhfa.pt"), tmp_path / "model", num_attention_heads=4)
    assert system.used + len(system.left_out) == len(state) and metadata.windows == {}
    detector = load_detector(tmp_path / "model")
    encoder = detector.mods["embedding_model"]
    assert encoder.front_end.all_layers and encoder.normalize and encoder.back_end.center_features
    embedding = torch.randn(3, 16)
    found = detector.mods["classifier"](embedding)
    torch.testing.assert_close(found, classifier.eval()(embedding).flip(1), atol=1e-6, rtol=1e-6)


def test_sls_takes_the_last_layer_as_it_is(tmp_path, rng):
    parts = {"back_end": SLS(32, 201, 8), "classifier": SELUClassifier(8)}
    state = name_encoder("module.ssl_model.model.")
    state |= {f"module.{name}": value for part in parts.values() for name, value in part.state_dict().items()}
    torch.save(state, tmp_path / "sls.pth")
    system, metadata = convert_checkpoint(str(tmp_path / "sls.pth"), tmp_path / "model", num_attention_heads=4)
    assert system.used + len(system.left_out) == len(state) and system.description == "SLS on Wav2Vec2, 3 layers of 32"
    assert metadata.windowing().window_seconds == 64600 / 16000
    detector = load_detector(tmp_path / "model")
    encoder = detector.mods["embedding_model"]
    assert encoder.front_end.all_layers and not encoder.front_end.final_norm and not encoder.normalize
    assert (encoder.back_end.n_frames, encoder.fixed_length.n_samples) == (201, 64600)
    waveforms, ones = torch.from_numpy(rng.standard_normal((1, 64600))).float(), torch.ones(1)
    frames, _ = encoder.front_end(waveforms, ones)
    norm = encoder.front_end.model.encoder.layer_norm
    encoder.front_end.final_norm = True
    torch.testing.assert_close(norm(frames[:, -1]), encoder.front_end(waveforms, ones)[0][:, -1])
    expected = parts["classifier"](parts["back_end"].eval()(frames, ones))
    found = detector.mods["classifier"](encoder.back_end(frames, ones))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
