"""The steps of an experiment on a tiny corpus: fit, export, evaluate, and go on after an interruption."""

import errno
import json
import os
import shutil

import pandas as pd
import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.inference import load_detector
from antideepfake.protocol import build_protocol, read_protocol
from antideepfake.scoring import equal_error_rate, read_scores
from antideepfake.training import DetectorBrain, evaluate_model, export_model, fit_detector, load_hparams

TRAINING_YAML = """
data_folder: !PLACEHOLDER
output_folder: !PLACEHOLDER
model_folder: !ref <output_folder>/model
seed: 1
__set_seed: !apply:speechbrain.utils.seed.seed_everything [!ref <seed>]
corpus: Tiny
licence: none
dropout: 0.0
epochs: 3
batch_seconds: 2.0
num_buckets: 2
num_workers: 0
crop: !new:antideepfake.dataio.RandomCrop
    min_seconds: 0.2
    max_seconds: 0.3
    seed: !ref <seed>
loss: !new:torch.nn.CrossEntropyLoss
opt_class: !name:torch.optim.Adam
    lr: 0.003
lr_schedule: !new:speechbrain.nnet.schedulers.LinearScheduler
    initial_value: 0.003
    final_value: 0.001
    epoch_count: !ref <epochs>
epoch_counter: !new:speechbrain.utils.epoch_loop.EpochCounter
    limit: !ref <epochs>
DETECTOR
modules:
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
checkpointer: !new:antideepfake.training.AtomicCheckpointer
    checkpoints_dir: !ref <output_folder>/checkpoints
    recoverables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        epoch_counter: !ref <epoch_counter>
train_logger: !new:speechbrain.utils.train_logger.FileTrainLogger
    save_file: !ref <output_folder>/train_log.txt
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


@pytest.fixture
def start(corpus, tmp_path, detector_yaml):
    """Read the YAML as a new process would; gives hparams, settings and the three sets."""

    def read(overrides="", output=tmp_path):
        path = tmp_path / "train.yaml"
        layers = detector_yaml.replace("embedding_size: 16", "embedding_size: 16\n    dropout: !ref <dropout>")
        path.write_text(TRAINING_YAML.replace("DETECTOR", layers))
        given = f"data_folder: {corpus}\noutput_folder: {output}\n{overrides}"
        hparams, settings = load_hparams(path, given, DetectorBrain.HPARAMS_NEEDED)
        table = read_protocol(corpus / "p.csv")
        return hparams, settings, *(table[table["Proportion"] == split] for split in ("train", "valid", "test"))

    return read


RUN = {"noprogressbar": True}


def _weights(brain):
    return {name: value.clone() for name, value in brain.modules.state_dict().items()}


def test_fit_export_evaluate(start, corpus, tmp_path, capsys):
    """The steps would not fit together: what is evaluated is not what was trained, or by another threshold."""
    hparams, settings, train_set, valid_set, test_set = start()
    brain = fit_detector(hparams, RUN, train_set, valid_set)
    export_model(brain, hparams, settings, train_set)
    capsys.readouterr()
    assert evaluate_model(tmp_path / "model", test_set, corpus, tmp_path, "title") == 0
    table = pd.read_csv(tmp_path / "eer.csv")
    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert metadata["threshold"] == brain.threshold
    assert metadata["training_corpora"] == ["Tiny"] and metadata["training_generators"] == ["tone"]

    scores = read_scores(tmp_path / "scores.csv")
    assert scores["ID"].tolist() == test_set["ID"].tolist()
    again = load_detector(tmp_path / "model").score_files([corpus / name for name in scores["ID"]])
    assert scores["Score"].tolist() == pytest.approx([result.score for result in again], abs=1e-5)
    by_label = [scores.loc[scores["Label"] == label, "Score"] for label in ("real", "fake")]
    assert table.iloc[0]["eer"] == equal_error_rate(*by_label).eer
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "eer.csv"), table)
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "seen in training" in printed and f"{100 * table.iloc[0]['eer']:.2f}" in printed


def test_a_second_run_trains_nothing(start, tmp_path):
    """Run again, a finished training would begin anew or train on."""
    hparams, _, train_set, valid_set, _ = start()
    first = fit_detector(hparams, RUN, train_set, valid_set)
    hparams, _, train_set, valid_set, _ = start()
    second = fit_detector(hparams, RUN, train_set, valid_set)
    assert len((tmp_path / "train_log.txt").read_text().splitlines()) == 3
    assert all(torch.equal(value, _weights(second)[name]) for name, value in _weights(first).items())
    assert (second.eer, second.threshold) == (first.eer, first.threshold)


def _interrupted(monkeypatch, epoch):
    """Ctrl-C at the beginning of an epoch."""
    begin = DetectorBrain.on_stage_start

    def on_stage_start(self, stage, number=None):
        if number == epoch:
            raise KeyboardInterrupt
        begin(self, stage, number)

    monkeypatch.setattr(DetectorBrain, "on_stage_start", on_stage_start)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_resumed_training_ends_where_an_uninterrupted_one_does(start, tmp_path, monkeypatch, dropout):
    """A run that the queue killed would give another model: not all that is needed is in the checkpoint."""
    hparams, _, train_set, valid_set, _ = start(f"dropout: {dropout}", tmp_path / "whole")
    whole = _weights(fit_detector(hparams, RUN, train_set, valid_set))
    hparams, *_ = start(f"dropout: {dropout}", tmp_path / "parts")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _interrupted(patch, 3)
        fit_detector(hparams, RUN, train_set, valid_set)
    hparams, *_ = start(f"dropout: {dropout}", tmp_path / "parts")
    resumed = fit_detector(hparams, RUN, train_set, valid_set)
    log = (tmp_path / "parts" / "train_log.txt").read_text().splitlines()
    assert log == (tmp_path / "whole" / "train_log.txt").read_text().splitlines()
    for name, value in _weights(resumed).items():
        torch.testing.assert_close(value, whole[name], atol=1e-6, rtol=1e-5)


def test_every_epoch_has_other_batches(start, monkeypatch):
    """The same clips would stand together in every epoch: the optimiser sees no other mixture."""
    hparams, _, train_set, valid_set, _ = start()
    seen: dict[int, list] = {}
    compute = DetectorBrain.compute_forward

    def compute_forward(self, batch, stage):
        if stage.name == "TRAIN":
            seen.setdefault(self.hparams.epoch_counter.current, []).append(frozenset(batch.id))
        return compute(self, batch, stage)

    monkeypatch.setattr(DetectorBrain, "compute_forward", compute_forward)
    fit_detector(hparams, RUN, train_set, valid_set)
    assert len(seen) == 3
    assert all(set().union(*batches) == set(train_set["ID"]) for batches in seen.values())
    assert len({frozenset(batches) for batches in seen.values()}) == 3


def test_full_disk_at_a_checkpoint_is_survived(start, monkeypatch):
    """A checkpoint torn by a full disk would be the newest, and every later run stumble over it."""
    hparams, _, train_set, valid_set, _ = start()
    save, calls = torch.save, []

    def full(*args, **kwargs):
        calls.append(args)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(torch, "save", full)
        fit_detector(hparams, RUN, train_set, valid_set)
    hparams, _, train_set, valid_set, _ = start()
    brain = fit_detector(hparams, RUN, train_set, valid_set)
    assert hparams["epoch_counter"].current == 3
    assert 0 <= brain.eer <= 1


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_training_file_is_told(start, corpus, tmp_path, write_audio, workers):
    """Training would stop with a traceback from a process that reads files."""
    hparams, _, train_set, valid_set, _ = start(f"num_workers: {workers}")
    bad = write_audio(tmp_path / "silent.wav", torch.zeros(8000).numpy())
    train_set = train_set.assign(Path=[str(bad), *train_set["Path"][1:]])
    with pytest.raises(InputError, match=r"silent\.wav"):
        fit_detector(hparams, RUN, train_set, valid_set)


def test_an_empty_training_set_is_told(start):
    """A protocol without training utterances would end in a traceback of the sampler."""
    hparams, _, train_set, valid_set, _ = start()
    with pytest.raises(InputError):
        fit_detector(hparams, RUN, train_set[:0], valid_set)


def test_evaluation_says_what_it_skipped(corpus, model_folder, tmp_path, capsys):
    """An error rate over half of the test set would look like one over all of it."""
    table = read_protocol(corpus / "p.csv").assign(Attack="tone")
    shutil.copytree(corpus, tmp_path / "data")
    victim = table["ID"][0]
    (tmp_path / "data" / victim).write_bytes(b"")
    evaluate_model(model_folder, table, tmp_path / "data", tmp_path / "out")
    said = "".join(capsys.readouterr())
    assert "scores.csv.skipped.csv" in said
    assert victim in (tmp_path / "out" / "scores.csv.skipped.csv").read_text()


def test_full_disk_leaves_no_half_table(corpus, model_folder, tmp_path, monkeypatch):
    """A table that ends in the middle would pass for a whole one."""

    def full(self, path, *args, **kwargs):
        with open(path, "w") as file:
            file.write("generators,re")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    table = read_protocol(corpus / "p.csv").assign(Attack="tone")
    with pytest.raises(OSError, match="No space"):
        evaluate_model(model_folder, table, corpus, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["scores.csv"]


def test_the_crop_is_the_only_difference_between_training_and_testing(start):
    """The YAML's crop would be applied to validation files too."""
    hparams, _, train_set, valid_set, _ = start()
    lengths = []
    compute = DetectorBrain.compute_forward

    def compute_forward(self, batch, stage):
        lengths.append((stage.name, batch.waveform.data.shape[1]))
        return compute(self, batch, stage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DetectorBrain, "compute_forward", compute_forward)
        fit_detector(hparams, RUN, train_set, valid_set)
    assert all(0.2 * 16000 <= size <= 0.3 * 16000 + 1 for stage, size in lengths if stage == "TRAIN")
    assert {size for stage, size in lengths if stage != "TRAIN"} == {8000}
