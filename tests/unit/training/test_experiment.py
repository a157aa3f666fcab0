"""The steps of an experiment on a tiny corpus: fit, export, evaluate, and go on after an interruption."""

import errno
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from speechbrain import Stage
from speechbrain.utils.run_opts import RunOptions

from antideepfake.corpora.build import build_protocol
from antideepfake.errors import InputError
from antideepfake.files import sha256
from antideepfake.inference.detector import load_detector
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
from antideepfake.protocol.segments import segments_path, write_segments
from antideepfake.protocol.table import read_protocol, write_protocol
from antideepfake.scoring.score_file import read_scores
from antideepfake.training.brain import DetectorBrain
from antideepfake.training.experiment import evaluate_model, export_model, finish_experiment, fit_detector, is_finished
from antideepfake.training.frame_brain import FrameLevelBrain
from antideepfake.training.settings import load_experiment

TRAINING_YAML = """
data_folder: !PLACEHOLDER
output_folder: !PLACEHOLDER
model_folder: !ref <output_folder>/model
protocol: !ref <data_folder>/p.csv
seed: 1
corpora: [Tiny]
start_corpora: [Before]
license: CC BY 4.0
start_from: null
dropout: 0.3
DETECTOR
brain_class: !name:antideepfake.training.DetectorBrain
loss: !new:torch.nn.CrossEntropyLoss
opt_class: !name:torch.optim.AdamW
lr_schedule: !name:speechbrain.nnet.schedulers.WarmAndExpDecayLRSchedule
lr: 0.003
n_warmup_steps: 2
total_steps: !ref <max_steps>
decay_factor: 0.1
max_steps: 8
number_of_epochs: 100
valid_interval: 3
patience: null
skip_limit: 100
batch_seconds: 1.0
valid_batch_seconds: 2.0
num_buckets: 2
num_workers: 0
grad_accumulation_factor: 2
ckpt_interval_steps: 0
crop: !new:antideepfake.dataio.RandomCrop {min_seconds: 0.2, max_seconds: 0.3}
augmentation: null
ema_decay: null
average_validations: null
sam_rho: null
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, make_corpus):
    """A corpus and its protocol: speakers 0 to 3 in training, 4 in validation, 5 in the test set."""
    folder = make_corpus(tmp_path_factory.mktemp("corpus"), speakers=6, files=3)
    rows = [
        {
            "ID": path.relative_to(folder).as_posix(),
            "Label": path.parts[-3],
            "Path": str(path),
            "Attack": "tone" if path.parts[-3] == "fake" else "-",
            "Proportion": (["train"] * 4 + ["valid", "test"])[int(path.parts[-2][-1])],
        }
        for path in sorted(folder.rglob("*.*"))
    ]
    build_protocol(rows, folder, folder / "p.csv", quiet=True)
    return folder


def _parts(detector_yaml):
    """Front end, back end and classifier of a detector's YAML; the dropout is a key of its own."""
    before, _, after = detector_yaml.partition("embedding_model:")
    back_end = before.replace("embedding_size: 16", "embedding_size: 16\n    dropout: !ref <dropout>")
    return back_end + after[after.index("classifier:") :]


@pytest.fixture
def start(corpus, tmp_path, detector_yaml):
    """Read the YAML as a new process would; gives hparams and the three sets."""

    def read(overrides="", output="run", detector=None):
        path = tmp_path / "train.yaml"
        path.write_text(TRAINING_YAML.replace("DETECTOR", detector or _parts(detector_yaml)))
        given = f"data_folder: {corpus}\noutput_folder: {tmp_path / output}\n{overrides}"
        hparams = load_experiment(path, given)
        table = read_protocol(corpus / "p.csv")
        return hparams, *(table[table["Proportion"] == split] for split in ("train", "valid", "test"))

    return read


WHISPER = """
front_end: !new:antideepfake.lobes.Whisper
    all_layers: true
    hidden_size: 16
    num_hidden_layers: 2
    num_attention_heads: 2
    intermediate_size: 32
    hidden_dropout: 0.1
back_end: !new:antideepfake.lobes.StatisticsPooling
    n_layers: 3
classifier: !new:torch.nn.Linear
    in_features: 32
    out_features: 2
layer_decay: 0.8
"""
RUN = RunOptions.from_dictionary({"noprogressbar": True, "device": "cpu"})


def _weights(brain):
    return {name: value.clone() for name, value in brain.modules.state_dict().items()}


def _interrupt_at_step_5(patch, brain=DetectorBrain):
    compute = brain.compute_forward

    def interrupted(self, batch, stage):
        if self.optimizer_step == 5:
            raise KeyboardInterrupt
        return compute(self, batch, stage)

    patch.setattr(brain, "compute_forward", interrupted)


def _same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_fit_export_evaluate(start, corpus, tmp_path, capsys):
    hparams, train_set, valid_set, test_set = start()
    brain = fit_detector(hparams, RUN, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    capsys.readouterr()
    folder = tmp_path / "run"
    outcome = evaluate_model(folder / "model", test_set, corpus, folder, "title")
    assert outcome.status == 0 and outcome.text.startswith("test set: ") and outcome.text.endswith("\n")
    assert capsys.readouterr().out == ""
    metrics = json.loads((folder / "report" / "metrics.json").read_text())
    metadata = json.loads((folder / "model" / "metadata.json").read_text())
    assert metadata["threshold"] == brain.threshold
    assert metadata["threshold_errors"].keys() == {"eer", "fnr", "fpr", "real", "fake"}
    assert metadata["threshold_errors"]["real"] == metadata["threshold_errors"]["fake"] == 3
    assert sum(metadata["validation_scores"]["real"]) == sum(metadata["validation_scores"]["fake"]) == 3
    assert metadata["license"] == "CC-BY-4.0"
    assert metadata["training_corpora"] == ["Before", "Tiny"] and metadata["training_attacks"] == ["tone"]
    assert metadata["training_protocols"] == [
        {
            "name": "p.csv",
            "sha256": sha256([corpus / "p.csv"]),
            "corpora": ["Tiny"],
            "splits": ["train", "valid"],
            "utterances": len(train_set) + len(valid_set),
        }
    ]

    scores = read_scores(folder / "scores.csv")
    assert scores["ID"].tolist() == test_set["ID"].tolist()
    again = load_detector(folder / "model").score_files([corpus / name for name in scores["ID"]])
    assert scores["Score"].tolist() == pytest.approx([result.score for result in again], abs=1e-5)
    by_label = [scores.loc[scores["Label"] == label, "Score"] for label in ("real", "fake")]
    eer = metrics["overall"]["eer"]
    assert eer == equal_error_rate(error_rates(sort_trials(*by_label)))[0]
    assert metrics["threshold"] == brain.threshold
    assert (folder / "report" / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert "title" in (folder / "report" / "report.html").read_text()
    assert "seen in training" in outcome.text and f"{100 * eer:.2f}" in outcome.text


@pytest.mark.parametrize(
    ("speakers", "attacks", "said"),
    [
        (["ann", "bob"], ["a"], "has the same speakers and the same spoofing systems as the training set"),
        (["bob", "cem"], ["a"], "has the same spoofing systems as the training set"),
        (["cem"], ["a", "b"], ""),
        (["-"], ["b"], "has possibly the same speakers as the training set"),
    ],
)
def test_the_threshold_source_names_what_validation_shares_with_training(start, speakers, attacks, said):
    """Guards against a threshold that looks better than it is: it is chosen on voices that training has heard."""
    hparams, train_set, valid_set, _ = start("max_steps: 1")

    def name(table, speakers, attacks):
        is_real = table["Label"] == "real"
        return table.assign(
            Speaker=np.where(is_real, np.resize(speakers, len(table)), "-"),
            Attack=np.where(is_real, "-", np.resize(attacks, len(table))),
        )

    train_set, valid_set = name(train_set, ["ann", "bob"], ["a"]), name(valid_set, speakers, attacks)
    export_model(fit_detector(hparams, RUN, train_set, valid_set), hparams, train_set, valid_set)
    source = json.loads(Path(hparams["model_folder"], "metadata.json").read_text())["threshold_source"]
    assert source.startswith("equal error rate on the validation set (")
    assert said in source and source.endswith("elsewhere") == bool(said)


def test_a_second_run_trains_nothing(start, tmp_path):
    first = fit_detector(start()[0], RUN, *start()[1:3])
    log = (tmp_path / "run" / "train_log.csv").read_text()
    second = fit_detector(start()[0], RUN, *start()[1:3])
    assert (tmp_path / "run" / "train_log.csv").read_text() == log and len(log.splitlines()) == 4
    assert _same(_weights(first), _weights(second))
    assert (second.eer, second.threshold) == (first.eer, first.threshold)


def test_a_finished_experiment_is_recognized(start, caplog):
    hparams, *_ = start()
    assert not is_finished(hparams)
    Path(hparams["output_folder"]).mkdir(exist_ok=True)
    finish_experiment(SimpleNamespace(test_only=True, skipped_utterances={}), hparams)
    assert not is_finished(hparams)
    outcome = finish_experiment(SimpleNamespace(test_only=False, skipped_utterances={}), hparams)
    assert outcome == (f"model folder: {hparams['model_folder']}; everything else: {hparams['output_folder']}\n", 0)
    with caplog.at_level(logging.INFO):
        assert is_finished(start()[0]) and "already finished" in caplog.text
    assert not is_finished(start("max_steps: 9")[0])


def test_the_inputs_of_a_run_are_recorded(start, corpus, tmp_path):
    fit_detector(start("max_steps: 1")[0], RUN, *start()[1:3])
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    expected = hashlib.sha256((corpus / "p.csv").read_bytes()).hexdigest()
    assert run["protocols_sha256"] == {str(corpus / "p.csv"): expected}
    assert run["processes"] == 1 and run["command"]


def test_git_need_not_be_installed(start, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    fit_detector(start("max_steps: 1")[0], RUN, *start()[1:3])
    assert json.loads((tmp_path / "run" / "run.json").read_text())["git"] == ""


def test_a_weighted_union_in_a_mapped_file_is_resumed_to_the_last_bit(start, tmp_path, monkeypatch):
    table = start()[1]
    weights = np.where(table["ID"].str.contains("speaker0"), 3.1, 0.3)
    write_protocol(table.assign(Weight=weights), tmp_path / "train.arrow")
    train_set = read_protocol(tmp_path / "train.arrow")

    def train(output, rows=train_set):
        return _weights(fit_detector(start("ckpt_interval_steps: 2", output)[0], RUN, rows, start()[2]))

    whole = train("whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _interrupt_at_step_5(patch)
        train("parts")
    assert _same(whole, train("parts"))
    assert not _same(whole, train("without", table))


@pytest.mark.parametrize("where", [Stage.TRAIN, Stage.VALID])
def test_a_resumed_run_is_the_same_to_the_last_bit(start, tmp_path, monkeypatch, where):
    options = "ckpt_interval_steps: 2"
    whole = fit_detector(start(options, "whole")[0], RUN, *start()[1:3])
    for number in (1, 2, 3):  # Ctrl-C in every round
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            calls = []
            compute = DetectorBrain.compute_forward

            def interrupted(self, batch, stage, calls=calls, number=number, compute=compute):
                if stage == where and self.optimizer_step >= 3 * number - 2:
                    calls.append(batch)
                    if len(calls) > (where == Stage.TRAIN):  # there, in the middle of a step
                        raise KeyboardInterrupt
                return compute(self, batch, stage)

            patch.setattr(DetectorBrain, "compute_forward", interrupted)
            fit_detector(start(options, "parts")[0], RUN, *start()[1:3])
    resumed = fit_detector(start(options, "parts")[0], RUN, *start()[1:3])
    logs = [(tmp_path / name / "train_log.csv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1] and len(logs[0].splitlines()) == 4
    assert _same(_weights(whole), _weights(resumed))


DOMAINS = """
domain_classifier: !new:torch.nn.Linear {in_features: 16, out_features: 2}
domain_weight: 0.5
"""
FROZEN = """
front_end: !new:antideepfake.lobes.LogFilterBank
back_end: !new:antideepfake.lobes.MeanPooling
second_branch: !new:antideepfake.lobes.SpectralFineStructure
classifier: !new:torch.nn.Linear {in_features: 208, out_features: 2}
inverse_regularization: 0.1
"""
LOGISTIC = """
brain_class: !name:antideepfake.training.LogisticRegressionBrain
batch_seconds: 0.4
ckpt_interval_steps: 2
max_steps: 99
"""


FRAMES = """
back_end: !new:antideepfake.lobes.FrameLevel {n_features: 40, frames_per_segment: 5}
classifier: !new:torch.nn.Linear {in_features: 128, out_features: 2}
frame_weight: 1.0
splice: 0.7
"""


@pytest.mark.parametrize("choice", ["ema_decay: 0.8", "average_validations: 2", "sam_rho: 0.05", "domains"])
def test_a_killed_run_with_a_training_choice_is_the_same_to_the_last_bit(
    start, tmp_path, monkeypatch, detector_yaml, choice
):
    adversarial = "brain_class: !name:antideepfake.training.DomainAdversarialBrain\ncorpora: [real, fake]"
    given = adversarial if choice == "domains" else choice

    def train(output, given=given):
        hparams, train_set, valid_set, _ = start(
            f"ckpt_interval_steps: 2\n{given}", output, _parts(detector_yaml) + DOMAINS
        )
        sets = [table.assign(ID=table["ID"].str.replace("/", "-", n=1)) for table in (train_set, valid_set)]
        return fit_detector(hparams, RUN, *sets)

    def kill_at_5():
        inputs = DetectorBrain.inputs

        def interrupted(self, batch):
            if self.optimizer_step == 5:
                raise KeyboardInterrupt
            return inputs(self, batch)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(DetectorBrain, "inputs", interrupted)
            train("parts")

    whole = train("whole")
    kill_at_5()
    resumed = train("parts")
    assert (tmp_path / "parts" / "train_log.csv").read_text() == (tmp_path / "whole" / "train_log.csv").read_text()
    assert _same(_weights(whole), _weights(resumed))
    if whole.average:
        assert all(torch.equal(value, resumed.average.average[name]) for name, value in whole.average.average.items())
    assert not _same(_weights(whole), _weights(train("plain", "")))


@pytest.fixture
def frames(start, detector_yaml, corpus):
    """Read the YAML of a detector with labels of frames; beside the protocol are segments of some utterances."""
    parts = _parts(detector_yaml)
    yaml = parts[: parts.index("back_end:")] + FRAMES
    table = read_protocol(corpus / "p.csv")
    fake = table[(table["Label"] == "fake") & (table["Proportion"] == "train")].iloc[::2]
    segments = pd.DataFrame({"ID": fake["ID"], "Start": 0.1, "End": 0.2, "Label": "fake"})
    write_segments(segments, segments_path(corpus / "p.csv"), table)
    given = "ckpt_interval_steps: 2\ncrop: null\nbrain_class: !name:antideepfake.training.FrameLevelBrain\n"
    yield lambda overrides="", output="run": start(given + overrides, output, yaml)
    segments_path(corpus / "p.csv").unlink()


def test_a_killed_run_with_splices_is_the_same_with_any_number_of_workers(frames, tmp_path, monkeypatch):
    def train(output, overrides=""):
        return fit_detector(frames(overrides, output)[0], RUN, *frames()[1:3])

    whole = train("whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _interrupt_at_step_5(patch, FrameLevelBrain)
        train("parts")
    resumed = train("parts", "num_workers: 2")
    assert (tmp_path / "parts" / "train_log.csv").read_text() == (tmp_path / "whole" / "train_log.csv").read_text()
    assert _same(_weights(whole), _weights(resumed))
    assert not _same(_weights(whole), _weights(train("without", "splice: null")))


def test_the_labels_of_frames_are_those_of_the_segments(frames, corpus, monkeypatch):
    batches = []
    compute = FrameLevelBrain.compute_objectives

    def noted(self, predictions, batch, stage):
        if stage == Stage.TRAIN:
            batches.append(batch)
        return compute(self, predictions, batch, stage)

    monkeypatch.setattr(FrameLevelBrain, "compute_objectives", noted)
    hparams, train_set, valid_set, _ = frames("splice: null")
    fit_detector(hparams, RUN, train_set, valid_set)
    listed = set(pd.read_csv(segments_path(corpus / "p.csv"))["ID"])
    for batch in batches:
        rows = zip(batch.id, batch.target, *batch.frame_targets, strict=True)
        for name, target, labels, length in rows:
            labels = labels[: round(float(length) * len(labels))].tolist()
            expected = [0 if name.startswith("fake") else 1] * len(labels)
            if name in listed:
                expected = [1, 1, 0, 0, *[1] * (len(labels) - 4)]  # 50 ms each
            assert labels == expected and target == min(expected)
    run = json.loads(Path(hparams["output_folder"], "run.json").read_text())
    assert str(segments_path(corpus / "p.csv")) in run["protocols_sha256"]


def test_a_back_end_without_frames_is_refused(start):
    overrides = "brain_class: !name:antideepfake.training.FrameLevelBrain"
    with pytest.raises(InputError, match=r"train.yaml:\d+: back_end gives no frames, which the brain_class"):
        fit_detector(start(overrides)[0], RUN, *start()[1:3])


def test_choices_that_exclude_each_other_are_refused(start):
    with pytest.raises(InputError, match="ema_decay and average_validations are both set"):
        fit_detector(start("ema_decay: 0.9\naverage_validations: 2")[0], RUN, *start()[1:3])


def test_a_killed_logistic_regression_goes_on_with_its_embeddings(start, tmp_path, monkeypatch):
    def train(output):
        hparams, train_set, valid_set, _ = start(LOGISTIC, output, FROZEN)
        return fit_detector(hparams, RUN, train_set, valid_set)

    whole = train("whole")
    inputs, read = DetectorBrain.inputs, []

    def interrupted(self, batch):
        read.extend(batch.id)
        if len(read) == 12:
            raise KeyboardInterrupt
        return inputs(self, batch)

    monkeypatch.setattr(DetectorBrain, "inputs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train("parts")
    resumed = train("parts")
    assert _same(_weights(whole), _weights(resumed))
    assert not set(read[:8]) & set(read[12:])  # two checkpoints, each after two steps of two batches of one utterance
    assert len(whole.collected.rows) == 24 and whole.collected.rows.keys() == resumed.collected.rows.keys()


def test_logistic_regression_is_fitted_to_the_validation_set_too(start, tmp_path):
    hparams, train_set, valid_set, _ = start(LOGISTIC, "results", FROZEN)
    valid_set = valid_set.assign(Attack=valid_set["Attack"].replace("tone", "other"))
    brain = fit_detector(hparams, RUN, train_set, valid_set)
    assert brain.validated.rows.keys() == set(valid_set["ID"])
    export_model(brain, hparams, train_set, valid_set)
    metadata = json.loads((tmp_path / "results" / "model" / "metadata.json").read_text())
    assert metadata["training_attacks"] == ["other", "tone"]
    assert metadata["threshold_source"].startswith("equal error rate in cross-validation over ")
    both = pd.concat([train_set, valid_set])
    assert metadata["threshold_errors"]["real"] == (both["Label"] == "real").sum()


@pytest.mark.parametrize("adapt", ["", "frozen_layers: 1", "lora_rank: 2"])
def test_a_detector_on_whisper_is_trained_resumed_and_exported(start, corpus, tmp_path, monkeypatch, adapt):
    def read(output):
        return start("ckpt_interval_steps: 2", output, f"{WHISPER}{adapt}\n")

    whole = fit_detector(read("whole")[0], RUN, *start()[1:3])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _interrupt_at_step_5(patch)
        fit_detector(read("parts")[0], RUN, *start()[1:3])
    hparams, train_set, valid_set, test_set = read("parts")
    resumed = fit_detector(hparams, RUN, train_set, valid_set)
    assert _same(_weights(whole), _weights(resumed))
    export_model(resumed, hparams, train_set, valid_set)
    assert (tmp_path / "parts" / "adapter" / "adapter_config.json").exists() == adapt.startswith("lora")
    detector = load_detector(tmp_path / "parts" / "model")
    files = [corpus / name for name in test_set["ID"]]
    together = [result.score for result in detector.score_files(files)]
    alone = [next(iter(detector.score_files(file))).score for file in files]
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_killed_run_is_the_same_to_the_last_bit(start, tmp_path, rng):
    options = "ckpt_interval_steps: 2\nmax_steps: 20"
    whole = fit_detector(start(options, "whole")[0], RUN, *start()[1:3])
    process = multiprocessing.get_context("fork")

    def train():
        fit_detector(start(options, "parts")[0], RUN, *start()[1:3])

    began = time.monotonic()
    child = process.Process(target=train)
    child.start()
    child.join()
    takes = time.monotonic() - began
    shutil.rmtree(tmp_path / "parts")
    kills = 0
    for _ in range(6):
        child = process.Process(target=train)
        child.start()
        child.join(rng.uniform(0.1, 0.5) * takes)
        kills += child.is_alive()
        child.kill()
        child.join()
    assert kills
    resumed = fit_detector(start(options, "parts")[0], RUN, *start()[1:3])
    assert (tmp_path / "parts" / "train_log.csv").read_text() == (tmp_path / "whole" / "train_log.csv").read_text()
    assert _same(_weights(whole), _weights(resumed))


def test_workers_make_no_difference(start):
    weights = [
        _weights(fit_detector(start(f"num_workers: {number}", str(number))[0], RUN, *start()[1:3])) for number in (0, 2)
    ]
    assert _same(*weights)


def test_a_run_that_is_not_done_can_be_exported(start):
    trained = fit_detector(start("max_steps: 3")[0], RUN, *start()[1:3])
    only_testing = RunOptions.from_dictionary({"test_only": True, "device": "cpu"})
    brain = fit_detector(start()[0], only_testing, *start()[1:3])
    assert _same(_weights(trained), _weights(brain)) and brain.threshold == trained.threshold
    assert brain.optimizer_step == 3


def test_every_epoch_has_all_utterances_in_other_batches(start, monkeypatch):
    hparams, train_set, valid_set, _ = start("number_of_epochs: 3\nmax_steps: 1000")
    seen = []
    compute = DetectorBrain.compute_forward

    def compute_forward(self, batch, stage):
        if stage == Stage.TRAIN:
            seen.append(frozenset(batch.id))
        return compute(self, batch, stage)

    monkeypatch.setattr(DetectorBrain, "compute_forward", compute_forward)
    fit_detector(hparams, RUN, train_set, valid_set)
    epochs = np.array_split(np.array(seen, dtype=object), 3)
    assert all(sorted(key for batch in epoch for key in batch) == sorted(train_set["ID"]) for epoch in epochs)
    assert len({frozenset(epoch) for epoch in epochs}) == 3


def test_full_disk_at_a_checkpoint_is_survived(start, tmp_path, monkeypatch):
    save, calls = torch.save, []

    def full(*args, **kwargs):
        calls.append(args)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(torch, "save", full)
        fit_detector(start()[0], RUN, *start()[1:3])
    brain = fit_detector(start()[0], RUN, *start()[1:3])
    assert [row["step"] for row in pd.read_csv(tmp_path / "run" / "train_log.csv").to_dict("records")] == [3, 6, 8]
    assert 0 <= brain.eer <= 1


@pytest.fixture
def damaged(start, tmp_path, write_audio):
    """Training and validation sets of which a file each is silent, and another damaged."""
    _, *tables, _ = start()
    silent = write_audio(tmp_path / "silent.wav", np.zeros(8000))
    (tmp_path / "damaged.flac").write_bytes(b"fLaC" + bytes(100))
    paths = [str(silent), str(tmp_path / "damaged.flac")]
    return [table.assign(Path=[*paths, *table["Path"][2:]]) for table in tables]


@pytest.mark.parametrize("workers", [0, 1])
def test_unusable_files_are_skipped_and_listed(start, damaged, tmp_path, workers, caplog):
    train_set, valid_set = damaged
    hparams = start(f"num_workers: {workers}")[0]
    brain = fit_detector(hparams, RUN, train_set, valid_set)
    listed = pd.read_csv(tmp_path / "run" / "skipped.csv")
    assert set(listed["ID"]) == {*train_set["ID"][:2], *valid_set["ID"][:2]} == set(brain.skipped_utterances)
    assert listed["Reason"].str.contains("silent").sum() == 2
    assert "skipped utterances: 4; see " in caplog.text
    export_model(brain, hparams, train_set, valid_set)
    assert finish_experiment(brain, hparams).status == 1


def test_unusable_validation_files_do_not_count(start, damaged, tmp_path):
    """Guards against the zeros in their place having a score."""
    train_set, valid_set = start()[1:3]
    damaged[1]["Label"] = valid_set["Label"]
    fit_detector(start(output="damaged")[0], RUN, train_set, damaged[1])
    fit_detector(start(output="without")[0], RUN, train_set, valid_set[2:])
    logs = [pd.read_csv(tmp_path / name / "train_log.csv") for name in ("damaged", "without")]
    pd.testing.assert_frame_equal(*logs, rtol=1e-5)


def test_a_run_with_unusable_files_resumes_to_the_last_bit(start, damaged, tmp_path, monkeypatch):
    options = "ckpt_interval_steps: 2"
    whole = fit_detector(start(options, "whole")[0], RUN, *damaged)
    compute = DetectorBrain.compute_forward

    def interrupted(self, batch, stage):
        if self.optimizer_step == 5:
            raise KeyboardInterrupt
        return compute(self, batch, stage)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DetectorBrain, "compute_forward", interrupted)
        fit_detector(start(options, "parts")[0], RUN, *damaged)
    resumed = fit_detector(start(options, "parts")[0], RUN, *damaged)
    assert _same(_weights(whole), _weights(resumed))
    for name in ("train_log.csv", "skipped.csv"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "parts" / name).read_text()


@pytest.mark.parametrize(("steps", "warned"), [(1, True), (2, False)])
def test_a_warm_up_longer_than_the_run_is_warned_of(start, steps, warned, caplog):
    fit_detector(start(f"max_steps: {steps}")[0], RUN, *start()[1:3])  # of a warm-up over 2 steps
    assert ("training ends after 1: it reaches 50% of lr" in caplog.text) == warned


@pytest.mark.parametrize(("fake", "warned"), [([8000, 8000, 8000], True), ([8000, 16000, 16000], False)])
def test_classes_of_different_sample_rates_are_warned_of(start, fake, warned, caplog):
    hparams, train_set, valid_set, _ = start("max_steps: 1")
    rates = np.where(train_set["Label"] == "fake", np.resize(fake, len(train_set)), 16000)
    fit_detector(hparams, RUN, train_set.assign(SampleRate=rates), valid_set)
    assert ("16000 and 8000 Hz" in caplog.text) == warned


def test_emulated_bfloat16_is_warned_of(start, monkeypatch, caplog):
    monkeypatch.setattr("antideepfake.training.experiment.can_pack", lambda dtype: False)
    options = RunOptions.from_dictionary({"noprogressbar": True, "device": "cpu", "precision": "bf16"})
    fit_detector(start("max_steps: 1")[0], options, *start()[1:3])
    assert "no bfloat16 arithmetic" in caplog.text


def test_too_many_unusable_files_end_training(start, damaged):
    with pytest.raises(InputError, match=r"skipped\.csv: .* more than skip_limit \(1\)"):
        fit_detector(start("skip_limit: 1")[0], RUN, *damaged)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_saves_a_checkpoint(start, tmp_path, monkeypatch, number, workers, caplog):
    """Guards against losing the steps since the last checkpoint."""
    original = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    options = f"num_workers: {workers}"
    whole = fit_detector(start(options, "whole")[0], RUN, *start()[1:3])
    compute = DetectorBrain.compute_forward

    def signaled(self, batch, stage):
        if stage == Stage.TRAIN and (self.optimizer_step, self.step % 2) == (4, 1):  # first batch of the fifth step
            signal.raise_signal(number)
        return compute(self, batch, stage)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DetectorBrain, "compute_forward", signaled)
        fit_detector(start(options, "parts")[0], RUN, *start()[1:3])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, original)
    with caplog.at_level(logging.INFO):
        resumed = fit_detector(start(options, "parts")[0], RUN, *start()[1:3])
    assert "resuming from step 5 of 8" in caplog.text
    assert _same(_weights(whole), _weights(resumed))


def test_a_set_without_a_class_is_reported(start):
    hparams, train_set, valid_set, _ = start()
    with pytest.raises(InputError, match="the training set has 0 utterances; it needs both"):
        fit_detector(hparams, RUN, train_set[:0], valid_set)
    with pytest.raises(InputError, match="the validation set has 3 utterances; it needs both"):
        fit_detector(hparams, RUN, train_set, valid_set[valid_set["Label"] == "real"])


def test_only_testing_needs_something_trained(start):
    hparams, train_set, valid_set, _ = start()
    with pytest.raises(InputError, match="contains no validated checkpoint"):
        fit_detector(hparams, RunOptions.from_dictionary({"test_only": True, "device": "cpu"}), train_set, valid_set)


def test_evaluation_lists_unreadable_files(corpus, model_folder, tmp_path, caplog):
    table = read_protocol(corpus / "p.csv").assign(Attack="tone")
    shutil.copytree(corpus, tmp_path / "data")
    victim = table["ID"][0]
    (tmp_path / "data" / victim).write_bytes(b"")
    assert evaluate_model(model_folder, table, tmp_path / "data", tmp_path / "out").status == 1
    assert "scores.csv.skipped.csv" in caplog.text
    assert victim in (tmp_path / "out" / "scores.csv.skipped.csv").read_text()


def test_full_disk_leaves_no_half_table(corpus, model_folder, tmp_path, monkeypatch):
    def full(self, path, *args, **kwargs):
        with open(path, "w") as file:
            file.write("generators,re")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    table = read_protocol(corpus / "p.csv").assign(Attack="tone")
    with pytest.raises(OSError, match="No space"):
        evaluate_model(model_folder, table, corpus, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["report", "scores.csv", "scores.csv.json"]
    assert os.listdir(tmp_path / "out" / "report") == ["metrics.json"]


def test_the_crop_is_the_only_difference_between_training_and_testing(start, monkeypatch):
    hparams, train_set, valid_set, _ = start()
    lengths = []
    compute = DetectorBrain.compute_forward

    def compute_forward(self, batch, stage):
        lengths.append((stage, batch.waveform.data.shape[1]))
        return compute(self, batch, stage)

    monkeypatch.setattr(DetectorBrain, "compute_forward", compute_forward)
    fit_detector(hparams, RUN, train_set, valid_set)
    assert all(0.2 * 16000 <= size <= 0.3 * 16000 + 1 for stage, size in lengths if stage == Stage.TRAIN)
    assert {size for stage, size in lengths if stage == Stage.VALID} == {8000}


AASIST = """
front_end: !new:antideepfake.lobes.SincFilterBank
back_end: !new:antideepfake.lobes.AASIST
    channels: [4, 6]
    graph_size: 6
    branch_size: 4
classifier: !new:torch.nn.Linear
    in_features: 20
    out_features: 2
fixed_length: !new:antideepfake.lobes.FixedLength
    n_samples: 4000
normalize: False
"""


def test_a_detector_may_train_on_waveforms_that_are_not_normalized(start, tmp_path, monkeypatch):
    hparams, train_set, valid_set, test_set = start(detector=AASIST)
    levels = {Stage.TRAIN: [], Stage.VALID: []}
    compute = DetectorBrain.compute_forward

    def compute_forward(self, batch, stage):
        levels[stage].append(batch.waveform.data.std().item())
        return compute(self, batch, stage)

    monkeypatch.setattr(DetectorBrain, "compute_forward", compute_forward)
    brain = fit_detector(hparams, RUN, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    assert all(0 < level < 0.5 for stage in levels for level in levels[stage]) and all(levels.values())
    detector = load_detector(tmp_path / "run" / "model")
    assert not detector.mods["embedding_model"].normalize and not detector.hparams.audio_normalizer.normalize
    outcome = evaluate_model(tmp_path / "run" / "model", test_set, hparams["data_folder"], tmp_path / "evaluation")
    assert outcome.status == 0
