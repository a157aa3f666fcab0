"""From score files to figures, through the programs that people type."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from antideepfake.files import sha256
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.validation_scores import describe_scores
from antideepfake.protocol.table import COLUMNS, write_protocol
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import ScoreWriter, read_scores


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """Run the command from a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return command


@pytest.fixture
def write(tmp_path):
    """Write a score file of 60 real and 60 fake utterances with their model's record."""

    def write(name, seed=1, distance=2.0, ids=range(120), **metadata):
        rng = np.random.default_rng(seed)
        with ScoreWriter(tmp_path / name, ["Attack", "Path", "Speaker"], name.encode()) as writer:
            for place, number in enumerate(ids):
                is_real = number % 2 == 0
                score = float(rng.normal(0, 1) + distance * is_real)
                columns = {
                    "Attack": "-" if is_real else "world",
                    "Path": f"$ROOT/C/f{number}.wav",
                    "Speaker": number % 9,
                }
                writer.write(place, f"u{number}", (0.0, score), "real" if is_real else "fake", columns)
        writer.merge(len(list(ids)))
        ScoreProvenance("abc", "0", "2026-11-23", ModelMetadata(**metadata)).save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def protocol(tmp_path):
    """The protocol of these utterances."""
    known = {"Duration": 1.0, "SampleRate": 16000, "AudioChannel": 1, "AudioBitSample": 16}
    rows = [
        dict.fromkeys(COLUMNS, "-")
        | known
        | {"ID": f"u{n}", "Label": "fake" if n % 2 else "real", "Path": f"$ROOT/C/f{n}.wav"}
        | {"Attack": "world" if n % 2 else "-", "Language": "EN" if n < 80 else "FR"}
        for n in range(120)
    ]
    write_protocol(pd.DataFrame(rows), tmp_path / "p.csv")
    return tmp_path / "p.csv"


def eer_line(out):
    return next(line for line in out.splitlines() if line.startswith("EER %"))


def test_threshold_and_generators_come_with_the_scores(run, write):
    path = write("s.csv", threshold=1.25, threshold_source="as tried", training_attacks=["world"])
    status, out, err = run("evaluate", path, "--by", "Attack,SeenAttack", "--output", "r", "--quiet")
    assert status == 0 and "a score at or above 1.250 (as tried)" in out and "seen in training" in out
    metrics = json.loads(Path("r/metrics.json").read_text())
    scores = read_scores(path)
    fake = scores.loc[scores["Label"] == "fake", "Score"]
    assert metrics["overall"]["fpr"] == (fake >= 1.25).mean()
    assert metrics["groups"]["Attack"]["world"]["real"] == 60
    assert err.strip() == "report: r/report.html"


def test_a_corpus_of_the_training_cannot_be_missed(run, write, tmp_path):
    path = write("s.csv", training_corpora=["DFADD", "mine"])
    path.write_text(path.read_text().replace("\nu", "\nASV19LA-u"))
    status, out, err = run("evaluate", path, "--quiet", "--output", "r", "--by", "Corpus")
    assert status == 0 and "WARNING: the test set overlaps with the training data" in err and "DFADD (VCTK)" in err
    assert "ASVspoof2019-LA" in out
    assert json.loads(Path("r/metrics.json").read_text())["warnings"] and "DFADD" in Path("r/report.html").read_text()
    assert "WARNING" not in run("evaluate", write("t.csv", training_corpora=["LJSpeech"]), "--quiet")[2]


def test_a_threshold_given_wins(run, write):
    _, out, _ = run("evaluate", write("s.csv", threshold=1.25), "--threshold", 0.5, "--quiet")
    assert "a score at or above 0.500 (given by the user)" in out


def test_a_file_of_the_released_code(run, tmp_path):
    (tmp_path / "s.csv").write_text('ID,Score,Label\na,"[0.5, 1.5]",1\nb,"[1.0, -1.0]",0\n')
    status, out, _ = run("evaluate", "s.csv", "--quiet")
    assert status == 0 and out.startswith("s: 1 real, 1 fake")


def test_systems_side_by_side(run, write):
    first, second = write("a.csv"), write("b.csv", seed=2, distance=0.5, ids=range(10, 130))
    status, out, err = run("evaluate", first, second, "--quiet", "--output", "r")
    assert status == 0
    assert "minus a" in out and err.startswith(
        "b and a: compared on 110 common utterances; 20 others are in only one file"
    )
    compared = json.loads(Path("r/metrics.json").read_text())["compared"]
    assert compared[0]["utterances_in_common"] == 110 and compared[0]["difference_to_first"]["eer"]["difference"] > 0


def test_labels_and_columns_from_a_protocol(run, write, protocol):
    path = write("s.csv", ids=range(4, 120))
    path.write_text(path.read_text().replace('",1,', '",,').replace('",0,', '",,'))
    assert run("evaluate", path, "--quiet")[0] == 2
    status, out, err = run("evaluate", path, "--protocol", protocol, "--by", "Language", "--quiet")
    assert status == 1 and "s: 58 real, 58 fake" in out and "FR" in out
    assert "4 utterances of the protocol have no score" in err


@pytest.mark.parametrize("form", ["asvspoof5", "speech_df_arena", "anti_spoofing_arena"])
def test_submissions_go_out_and_come_back(run, write, protocol, form):
    path = write("s.csv")
    assert run("export-scores", path, "--form", form, "--output", "submission.txt")[0] == 0
    status, out, _ = run("evaluate", "submission.txt", "--protocol", protocol, "--quiet")
    assert status == 0
    _, before, _ = run("evaluate", path, "--quiet")
    assert eer_line(out) == eer_line(before)  # the EER
    status, _, err = run("evaluate", "submission.txt", "--quiet")
    assert status == 2 and "pass the protocol of its utterances with --protocol" in err


def test_verification_scores(run, write, tmp_path):
    rng = np.random.default_rng(1)
    kinds = {"target": 3.0, "nontarget": 0.0, "spoof": 2.5}
    lines = [f"{kind},{rng.normal(mean, 1)}" for kind, mean in kinds.items() for _ in range(50)]
    (tmp_path / "asv.csv").write_text("\n".join(["Key,Score", *lines]))
    status, out, _ = run("evaluate", write("s.csv"), "--asv_scores", "asv.csv", "--quiet")
    assert status == 0 and "min t-DCF" in out and "a-DCF of the speaker verification by itself: " in out
    (tmp_path / "asv.csv").write_text("Key,Score\nfriend,1\n")
    status, _, err = run("evaluate", write("s.csv"), "--asv_scores", "asv.csv", "--quiet")
    assert status == 2 and "asv.csv:2: Key must be target, nontarget or spoof" in err


def test_calibration_is_remembered_and_used(run, write, tmp_path):
    metadata = {"provenance": "one model"}
    development, test = (write(name, seed, 4.0, **metadata) for seed, name in enumerate(["dev.csv", "test.csv"]))
    (tmp_path / "model").mkdir()
    ModelMetadata(**metadata).save(tmp_path / "model" / "metadata.json")
    status, out, _ = run("calibrate", "model", development, "--fnr", "0.05", "--test_scores", test)
    assert status == 0 and out.splitlines()[1].split()[1] == "before"
    folder = ModelMetadata()
    folder.load(tmp_path / "model" / "metadata.json")
    scores = read_scores(development)
    assert (scores.loc[scores["Label"] == "real", "Score"] < folder.threshold).mean() <= 0.05
    assert "at most 5 % of real speech called fake" in folder.threshold_source

    before, after = (
        json.loads(Path(f"{name}/metrics.json").read_text())["overall"]
        for name, model in (("a", []), ("b", ["--model", "model"]))
        if run("evaluate", test, "--quiet", "--output", name, *model)[0] == 0
    )
    assert after["cllr"] < before["cllr"] and after["eer"] == before["eer"]

    ModelMetadata(provenance="another").save(tmp_path / "model" / "metadata.json")
    status, _, err = run("calibrate", "model", development)
    assert status == 2 and "of another model" in err


def test_fusion_is_better_than_each_system(run, write, tmp_path):
    names = [f"{kind}_{system}.csv" for kind in ("dev", "test") for system in ("a", "b")]
    paths = [write(name, seed, 1.5, training_corpora=[name]) for seed, name in enumerate(names)]
    lines = paths[3].read_text().splitlines()
    paths[3].write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")  # in another order
    status, out, _ = run("fuse", "--fit", *paths[:2], "--apply", *paths[2:], "--output", "fused.csv")
    assert status == 0 and "offset" in out
    assert read_provenance("fused.csv").metadata.training_corpora == ["test_a.csv", "test_b.csv"]
    run("evaluate", "fused.csv", *paths[2:], "--quiet", "--output", "r")
    metrics = json.loads(Path("r/metrics.json").read_text())
    assert metrics["overall"]["roc_auc"] > max(other["overall"]["roc_auc"] for other in metrics["compared"])
    assert metrics["overall"]["cllr"] < 0.8

    shorter = write("short.csv", ids=range(50))
    status, _, err = run("fuse", "--fit", paths[0], shorter, "--apply", *paths[2:], "--output", "new.csv")
    assert status == 2 and "short.csv: has other utterances" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ID,Score\na,1\n", "no column Label"),
        ('ID,Score,Label\na,"[1, 2]",1\nb,oops,0\n', ":3: the Score is 'oops'"),
        ('ID,Score,Label\na,"[1, NaN]",1\nb,"[1, 2]",0\n', "1 scores are not finite, such as that of 'a'"),
        ('ID,Score,Label\na,"[1, 2]",1\na,"[1, 2]",0\n', "1 utterances are repeated, such as 'a'"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(run, tmp_path, text, message):
    (tmp_path / "s.csv").write_text(text)
    status, _, err = run("evaluate", "s.csv", "--quiet")
    assert status == 2 and message in err and err.count("\n") == 1


def test_names_that_fit_several_utterances_are_refused(run, tmp_path, protocol):
    """Guards against a score that counts once as real and once as fake."""
    table = pd.read_csv(protocol, dtype=str, keep_default_na=False)
    table["Path"] = [f"$ROOT/C/{label}/{n // 2:04}.wav" for n, label in enumerate(table["Label"])]
    table.to_csv("same.csv", index=False)
    names = [f"{n:04}" for n in range(60)]
    Path("stems.txt").write_text("\n".join(f"{name} 1.5" for name in names))
    status, out, err = run("evaluate", "stems.txt", "--protocol", "same.csv", "--quiet")
    assert status == 2 and out == "" and "'0000' matches several utterances" in err and err.count("\n") == 1
    lines = [f"{label}/{name}.wav {score}" for label, score in (("real", 1), ("fake", -1)) for name in names]
    Path("paths.txt").write_text("\n".join(lines))
    status, out, _ = run("evaluate", "paths.txt", "--protocol", "same.csv", "--quiet")
    assert status == 0 and out.startswith("paths: 60 real, 60 fake") and eer_line(out).split()[2] == "0.00"
    Path("twice.txt").write_text("\n".join([lines[0], *lines]))
    status, _, err = run("evaluate", "twice.txt", "--protocol", "same.csv", "--quiet")
    assert status == 2 and "1 utterances are repeated, such as 'u0'" in err and err.count("\n") == 1


def test_labels_of_a_four_column_file_are_enough(run, tmp_path, protocol):
    rows = [f"f{n} {'world' if n % 2 else '-'} {'spoof' if n % 2 else 'bonafide'} {-n % 7}" for n in range(120)]
    Path("four.txt").write_text("\n".join(rows))
    status, out, _ = run("evaluate", "four.txt", "--by", "Attack", "--quiet")
    assert status == 0 and out.startswith("four: 60 real, 60 fake") and "world" in out
    _, joined, _ = run("evaluate", "four.txt", "--protocol", protocol, "--quiet")
    assert eer_line(joined) == eer_line(out)
    Path("plain.txt").write_text("\n".join(" ".join(row.split()[2:]) for row in rows))
    assert eer_line(run("evaluate", "plain.txt", "--quiet")[1]) == eer_line(out)
    status, _, err = run("evaluate", "plain.txt", "--protocol", protocol, "--quiet")
    assert status == 2 and "has no names" in err


def test_a_protocol_with_a_column_of_its_own_named_score(run, write, protocol):
    table = pd.read_csv(protocol, dtype=str, keep_default_na=False)
    table.assign(Score="7").to_csv("own.csv", index=False)
    status, out, _ = run("evaluate", write("s.csv"), "--protocol", "own.csv", "--quiet")
    assert status == 0 and out == run("evaluate", "s.csv", "--quiet")[1]


@pytest.fixture
def model(tmp_path):
    """The folder of the model that the score files are of."""
    (tmp_path / "model").mkdir()
    ModelMetadata(0.25, "as published", provenance="one model").save(tmp_path / "model" / "metadata.json")
    return tmp_path / "model"


def read_metadata(model):
    metadata = ModelMetadata()
    metadata.load(model / "metadata.json")
    return metadata


def test_calibration_keeps_the_old_threshold_and_prints_the_errors_of_the_new_one(run, write, model):
    development = write("dev.csv", distance=3.0, provenance="one model")
    status, out, err = run("calibrate", model, development)
    assert status == 0 and err == ""
    lines = out.splitlines()
    assert "old threshold: 0.250, as published" in lines
    [line] = [line for line in lines if line.startswith("new threshold: ")]
    metadata = read_metadata(model)
    assert line.startswith(f"new threshold: {metadata.threshold:.3f}, equal error rates")
    assert metadata.previous_threshold["threshold"] == 0.25
    assert metadata.previous_threshold["threshold_source"] == "as published"
    scores = read_scores(development)
    real = scores.loc[scores["Label"] == "real", "Score"]
    errors = metadata.threshold_errors
    assert errors["fnr"] == pytest.approx((real < metadata.threshold).mean()) and errors["real"] == 60
    interval = binomtest(int((real < metadata.threshold).sum()), 60).proportion_ci(method="exact")
    assert f"real called fake: {100 * errors['fnr']:.1f} % (95 % interval {100 * interval.low:.1f} to" in out
    assert "must" not in out
    fake = scores.loc[scores["Label"] == "fake", "Score"]
    assert metadata.validation_scores == describe_scores(real, fake)
    assert metadata.previous_threshold["validation_scores"] == {}


def test_every_calibration_keeps_the_one_before(run, write, model):
    development = write("dev.csv", distance=3.0, provenance="one model")
    first = read_metadata(model)
    assert run("calibrate", model, development)[0] == 0
    second = read_metadata(model)
    assert run("calibrate", model, development, "--fnr", 0.2)[0] == 0
    kept = read_metadata(model).previous_threshold
    assert kept["threshold"] == second.threshold and kept["threshold_source"] == second.threshold_source
    assert kept["previous_threshold"]["threshold"] == first.threshold == 0.25


@pytest.mark.parametrize(
    ("share", "status", "said"), [(0.01, 2, "cannot support"), (0.1, 0, "hardly support"), (0.2, 0, "")]
)
def test_an_error_rate_needs_enough_utterances(run, write, model, share, status, said):
    development = write("dev.csv", distance=4.0, provenance="one model")
    before = (model / "metadata.json").read_text()
    left, _, err = run("calibrate", model, development, "--fnr", share)
    assert left == status and said in err and (said or err == "")
    assert ((model / "metadata.json").read_text() == before) == (status == 2)


def test_a_threshold_that_lets_most_fakes_pass_is_warned_of(run, write, model):
    development = write("dev.csv", distance=0.2, ids=range(1000), provenance="one model")
    status, out, err = run("calibrate", model, development, "--fnr", 0.02)
    assert status == 0 and "warning: fake called real: 9" in err and "fake called real: 9" in out


def test_a_calibration_that_does_not_fit_is_warned_of(run, write, model):
    metadata = {"provenance": "one model"}
    development = write("dev.csv", distance=4.0, **metadata)
    other = write("a_folder_whose_name_is_rather_long_test.csv", distance=-4.0, **metadata)
    _, out, err = run("calibrate", model, development, "--test_scores", other)
    assert "long_test.csv: the calibration raises Cllr from" in err and "_test.csv" in out


def test_decisions_come_before_any_equal_error_rate(run, write):
    path = write(
        "s.csv", threshold=3.0, threshold_errors={"eer": 0.03, "fnr": 0.03, "fpr": 0.03, "real": 90, "fake": 90}
    )
    _, out, _ = run("evaluate", path, "--quiet", "--output", "r")
    scores = read_scores(path)
    missed = 100 * (scores.loc[scores["Label"] == "real", "Score"] < 3).mean()
    sentence = (
        f"At the threshold of 3.000, {missed:.1f} % of real recordings are called fake and 0.0 % of fake ones real."
    )
    flat = " ".join(out.split())
    assert sentence in flat and flat.index(sentence) < flat.index("EER")
    warning = f"WARNING: real called fake: {missed:.1f} %. The EER where the threshold was chosen was 3.0 %."
    page = Path("r/report.html").read_text()
    assert warning in flat and warning in page and page.index(sentence) < page.index("equal error rate")
    assert "WARNING" not in run("evaluate", path, "--quiet", "--threshold", 3)[1]


@pytest.mark.parametrize(("rejected", "is_warned"), [(9, False), (10, True)])
def test_the_warning_begins_above_three_times_the_validation_error(run, tmp_path, rejected, is_warned):
    lines = [f'r{n},"[0, {-1 if n < rejected else 1}]",1' for n in range(100)] + ['f,"[0, -1]",0']
    (tmp_path / "s.csv").write_text("\n".join(["ID,Score,Label", *lines]))
    errors = {"eer": 0.03, "fnr": 0.03, "fpr": 0.03, "real": 1000, "fake": 1000}
    ScoreProvenance("abc", "0", "2026-11-23", ModelMetadata(threshold_errors=errors)).save(tmp_path / "s.csv")
    assert ("WARNING: real called fake" in run("evaluate", "s.csv", "--quiet")[1]) == is_warned


def test_files_without_a_common_utterance_cannot_be_compared(run, write):
    first, second = write("a.csv", ids=range(60)), write("b.csv", ids=range(60, 120))
    status, out, err = run("evaluate", first, second, "--quiet")
    assert status == 2 and out == "" and "have no utterance in common; evaluate them separately" in err


def test_a_split_left_out_of_training_is_a_note(run, write, protocol):
    """Guards against an alarm in the evaluation of one's own test split."""
    table = pd.read_csv(protocol, dtype=str, keep_default_na=False)
    table.assign(ID="mine-" + table["ID"], Proportion="test").to_csv("mine.csv", index=False)
    trained = {"name": "mine.csv", "sha256": sha256(["mine.csv"]), "corpora": ["mine"], "splits": ["train", "valid"]}
    path = write("s.csv", training_corpora=["mine"], training_protocols=[trained | {"utterances": 300}])
    path.write_text(path.read_text().replace("\nu", "\nmine-u"))
    status, out, err = run("evaluate", path, "--protocol", "mine.csv", "--quiet", "--output", "r")
    assert (
        status == 0 and "WARNING" not in err and "* mine: the training data include other splits of this corpus" in out
    )
    assert json.loads(Path("r/metrics.json").read_text())["warnings"] == []
    assert "other splits of this corpus" in Path("r/report.html").read_text()
    assert "SAME CORPUS: mine" in run("evaluate", path, "--quiet")[2]  # of which split is unknown
    table.assign(ID="mine-" + table["ID"], Proportion="valid").to_csv("mine.csv", index=False)
    assert "SAME CORPUS: mine" in run("evaluate", path, "--protocol", "mine.csv", "--quiet")[2]


def test_a_table_needs_none_of_the_slow_libraries(write, tmp_path):
    """Guards against a command that takes seconds before it reads anything."""
    write("a.csv")
    heavy = {"torch", "matplotlib", "scipy.stats", "scipy.signal", "sklearn", "transformers", "speechbrain"}
    code = (
        "import sys; from antideepfake.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as left: assert not left.code\n"
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "evaluate", str(tmp_path / "a.csv"), "--by", "Attack"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "EER" in done.stdout, done.stderr
