"""The report of an evaluation."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from antideepfake.audit.leakage import Overlap
from antideepfake.evaluation.evaluator import Evaluator, System, group_by_seen_attacks
from antideepfake.evaluation.report import write_report
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.provenance import ScoreProvenance


def make_system(name, seed, noise=1.0, by=("Attack",)):
    rng = np.random.default_rng(seed)
    is_real = np.arange(90) % 3 == 0
    scores = pd.DataFrame(
        {
            "ID": [f"u{number}" for number in range(90)],
            "Score": rng.normal(0, noise, 90) + 2 * is_real,
            "Label": np.where(is_real, "real", "fake"),
            "Attack": np.where(is_real, "-", np.where(np.arange(90) < 45, "<b>bold</b>", "world")),
        }
    )
    scores["SeenAttack"] = group_by_seen_attacks(scores, ["world"])
    metadata = ModelMetadata(training_corpora=["MiniCorpus"], provenance="a test")
    record = ScoreProvenance("0a1b", "0.1", "2026-11-23", metadata)
    return System(scores, Evaluator().evaluate(scores, name, by), None, f"{name}.csv", "c0ffee", record)


class Page(HTMLParser):
    """Collects tags, links and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    first, second = make_system("first", 1), make_system("second", 2, 2.0)
    Evaluator().compare(first.scores, second.scores, second.evaluation)
    write_report(folder, [replace(first, overlap=Overlap(90, corpora=("MiniCorpus",))), second], "Test <i>set</i>")
    return folder


def test_metrics_are_fractions_with_intervals(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 < metrics["overall"]["eer"] < 0.5
    for name in ("eer", "eer_threshold", "roc_auc", "accuracy", "precision", "recall", "f1", "fpr", "fnr", "min_dcf"):
        low, high = metrics["overall"]["intervals"][name]
        assert low <= metrics["overall"][name] <= high
    assert {"act_dcf", "cllr", "min_cllr"} <= set(metrics["overall"])
    assert set(metrics["groups"]["Attack"]) == {"<b>bold</b>", "world"}
    assert metrics["compared"][0]["difference_to_first"]["eer"]["difference"] > 0
    assert metrics["sha256"] == "c0ffee" and metrics["made_by"]["metadata"]["provenance"] == "a test"


def test_page_is_self_contained(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not page.links or all(link.startswith("#") for link in page.links)
    assert page.tags.count("svg") == 4  # scores, error trade-off, by Attack, reliability
    assert "script" not in page.tags
    assert "@import" not in page.text and "url(http" not in page.text


def test_page_names_model_data_and_command(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    text = re.sub(r"\s+", " ", page.text)
    for words in ("was trained on", "c0ffee", "MiniCorpus", "antideepfake 0", "Command", "equal error rate"):
        assert words in text, words


def test_a_comparison_comes_before_the_systems_and_limits_are_a_section(folder):
    text = re.sub(r"\s+", " ", Page((folder / "report.html").read_text(encoding="utf-8")).text)
    sentence = re.search(
        r"(The EER of second is higher|No significant difference in EER between second and first).*?p ", text
    )
    assert sentence and sentence.start() < text.index("At the threshold of")
    assert text.index("Limits") > text.index("At the threshold of")
    assert "first: The model was trained on MiniCorpus. Expect more errors on other kinds of data." in text


def test_names_are_escaped_in_the_page(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "i" not in page.tags and "<i>set</i>" in page.text
    assert "<b>bold</b>" in page.text and page.text.count("<b>bold</b>") >= 2


def test_tables_for_papers(folder):
    assert "| system | real | fake |" in (folder / "tables.md").read_text()
    assert r"\begin{tabular}" in (folder / "tables.tex").read_text()
    assert len(pd.read_csv(folder / "metrics.csv")) == 6
    assert (folder / "scores.png").stat().st_size > 1000


def test_report_of_a_single_class(tmp_path):
    system = make_system("s", 1)
    scores = system.scores[system.scores["Label"] == "fake"]
    write_report(tmp_path, [System(scores, Evaluator().evaluate(scores, "s"))], "Fake alone")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["overall"]["fpr"] > 0 and metrics["overall"]["recall"] is None
    assert "svg" not in Page((tmp_path / "report.html").read_text()).tags
