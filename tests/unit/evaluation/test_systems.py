"""From score files to evaluated systems."""

import json

import numpy as np
import pandas as pd
import pytest

from antideepfake.corpora.registry import Corpus
from antideepfake.errors import InputError
from antideepfake.evaluation.systems import compare_with_first, describe_test_set, evaluate_file, name_systems
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.provenance import ScoreProvenance

CORPORA = {"DFADD": Corpus("DFADD", "train", ("DFADD-",), ("VCTK",))}


@pytest.fixture
def write_scores(tmp_path):
    def write(name, ids=range(60), seed=1, **metadata):
        rng = np.random.default_rng(seed)
        lines = ["ID,Score,Label,Attack"]
        for number in ids:
            is_real = number % 2 == 0
            score = rng.normal(2.0 * is_real, 1.0)
            lines.append(f'DFADD-{number},"[0.0, {score}]",{int(is_real)},{"-" if is_real else "grad"}')
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        ScoreProvenance("0a1b fp32", "0.1", "2026-11-26", ModelMetadata(**metadata)).save(path)
        return path

    return write


def test_threshold_and_leakage_come_from_the_record_beside_the_scores(write_scores):
    path = write_scores("s.csv", threshold=0.7, training_corpora=["DFADD"], training_attacks=["grad"])
    system = evaluate_file(path, "s", CORPORA, by=["SeenAttack", "Corpus"])
    assert system.evaluation.threshold == 0.7
    assert system.overlap.corpora == ("DFADD",)
    assert [group.name for group in system.evaluation.groups["SeenAttack"]] == ["seen in training"]
    assert [group.name for group in system.evaluation.groups["Corpus"]] == ["DFADD"]
    assert describe_test_set(system, CORPORA) == "DFADD: 30 real and 30 fake utterances"


@pytest.mark.parametrize(("ids", "corpora"), [("DF_E_{}", ""), ("mine-{}", "mine: "), ("{}-mine", "60 corpora: ")])
def test_ids_without_a_corpus_are_not_called_corpora(write_scores, ids, corpora):
    """Guards against a title with millions of corpora, which took most of the memory."""
    path = write_scores("s.csv")
    table = pd.read_csv(path, dtype=str)
    table.assign(ID=[ids.format(n) for n in range(len(table))]).to_csv(path, index=False)
    system = evaluate_file(path, "s", CORPORA)
    assert describe_test_set(system, CORPORA) == f"{corpora}30 real and 30 fake utterances"


def test_a_model_that_is_given_comes_before_the_record(write_scores):
    path = write_scores("s.csv", threshold=0.7, training_corpora=["DFADD"])
    system = evaluate_file(path, "s", CORPORA, metadata=ModelMetadata(threshold=-1.0))
    assert system.evaluation.threshold == -1.0 and not system.overlap


def test_errors_at_the_model_threshold_do_not_belong_to_a_threshold_that_is_given(write_scores):
    errors = {"eer": 0.1, "fnr": 0.1, "fpr": 0.1, "real": 10, "fake": 10}
    path = write_scores("s.csv", threshold_errors=errors)
    assert evaluate_file(path, "s", CORPORA).evaluation.threshold_errors == errors
    assert evaluate_file(path, "s", CORPORA, threshold=0.5).evaluation.threshold_errors == {}


def test_utterances_without_a_partner_are_left_out_and_counted(write_scores):
    path = write_scores("s.csv", ids=range(60))
    protocol = pd.DataFrame({"ID": [f"DFADD-{number}" for number in range(10, 80)]})
    protocol["Label"] = ["real", "fake"] * 35
    system = evaluate_file(path, "s", CORPORA, protocol=protocol)
    assert len(system.scores) == 50
    assert [int(sentence.split(": ")[-1].split()[0]) for sentence in system.left_out] == [10, 20]


def test_names_and_scores_alone_need_a_protocol(tmp_path):
    (tmp_path / "submission.tsv").write_text("filename\tcm-score\na\t1.0\nb\t-1.0\n")
    with pytest.raises(InputError, match="--protocol"):
        evaluate_file(tmp_path / "submission.tsv", "s", CORPORA)


def test_systems_are_compared_on_their_common_utterances(write_scores):
    first, second, other = (
        evaluate_file(write_scores(name, ids, seed), name, CORPORA)
        for name, ids, seed in (("a.csv", range(60), 1), ("b.csv", range(10, 60), 2), ("c.csv", range(100, 120), 3))
    )
    [sentence] = compare_with_first([first, second])
    assert second.evaluation.common == 50 and "50" in sentence and "10" in sentence
    assert "eer" in second.evaluation.differences and not first.evaluation.differences
    with pytest.raises(InputError, match="no utterance in common"):
        compare_with_first([first, other])


def test_systems_are_named_by_the_ends_of_their_paths():
    assert name_systems(["runs/a/scores.csv", "runs/b/scores.csv"]) == ["a/scores", "b/scores"]
    with pytest.raises(InputError, match="twice"):
        name_systems(["a.csv", "a.csv"])


def test_scores_of_version_0_1_are_evaluated(write_scores):
    path = write_scores("s.csv")
    record = json.loads(path.with_name("s.csv.json").read_text())
    for old, new in (("licence", "license"), ("training_generators", "training_attacks")):
        record["metadata"].pop(new)
        record["metadata"][old] = "MIT" if old == "licence" else ["grad"]
    path.with_name("s.csv.json").write_text(json.dumps(record))
    path.write_text(path.read_text().replace("Attack", "Far", 1))
    system = evaluate_file(path, "s", CORPORA)
    assert system.record.metadata.license == "MIT" and system.record.metadata.training_attacks == ["grad"]
    assert "OOD" in system.scores and "Far" not in system.scores
