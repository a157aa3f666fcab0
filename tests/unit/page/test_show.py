"""The texts of the page."""

import base64
import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from antideepfake.inference import load_detector
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.validation_scores import describe_scores
from antideepfake.page.judge import Judge, Judgment, Limits
from antideepfake.page.show import format_csv, show_detector, show_judgments

HOSTILE = "<img src=x onerror=alert(1)>\"'`</section><script>alert(2)</script>.wav"
VOID = {"img", "input", "br"}


class Reader(HTMLParser):
    """Check that elements are nested, and list tags, attributes and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def judge(model_folder):
    return Judge(load_detector(model_folder), Limits())


@pytest.fixture(scope="module")
def judgment(judge, tmp_path_factory, write_audio):
    judgment = judge.judge(write_audio(tmp_path_factory.mktemp("sounds") / "a.wav"))
    return replace(judgment, result=replace(judgment.result, speech=0.4))  # noise, taken for speech


def test_one_recording_is_shown_with_everything(judgment):
    metadata = ModelMetadata(0.25, validation_scores=describe_scores([1.0, 2.0], [-1.0, 0.0]))
    page = Reader(show_judgments([judgment], metadata))
    assert "threshold of 0.25" in page.text and "not calibrated" in page.text
    assert "validation set (2 and 2)" in page.text and "below the threshold" in page.text
    assert {"audio", "button", "polyline", "svg", "summary"} <= set(page.tags)
    (source,) = (value for name, value in page.attributes if name == "src" and value.startswith("data:audio"))
    assert base64.b64decode(source.partition(",")[2]) == judgment.sound.mp3


def test_a_model_without_validation_scores_says_so(judgment):
    text = Reader(show_judgments([judgment], ModelMetadata(0.25))).text
    assert "contains no scores of a validation set" in text and "lower score" not in text


@pytest.mark.parametrize("count", [1, 2])
def test_names_and_errors_are_escaped(judgment, count):
    for shown in (replace(judgment, name=HOSTILE), Judgment(HOSTILE, f"bad: {HOSTILE}")):
        page = Reader(show_judgments([shown] * count, ModelMetadata()))
        assert HOSTILE in page.text and "script" not in page.tags
        assert not any(name.startswith("on") for name, _ in page.attributes)


def test_texts_of_the_model_are_escaped():
    metadata = ModelMetadata(0.0, HOSTILE, [HOSTILE], [HOSTILE])
    page = Reader(show_detector(metadata, False, {}))
    assert page.text.count(HOSTILE) == 3 and not {"img", "script"} & set(page.tags)


def test_nothing_is_fetched_from_elsewhere(judgment):
    metadata = ModelMetadata(0.25, validation_scores=describe_scores([1.0, 2.0], [-1.0, 0.0]))
    html = show_judgments([judgment], metadata) + show_judgments([judgment] * 2, metadata)
    html += show_detector(metadata, True, {"Card": Path("/models/a b/README.md")})
    html += "".join(
        (Path(__file__).parents[3] / "antideepfake/page" / name).read_text() for name in ("page.css", "page.js")
    )
    assert not re.search(r"https?:|//\w", re.sub(r"base64,[\w+/=]*", "", html).replace("// ", ""))
    assert "gradio_api/file=/models/a%20b/README.md" in html


def test_several_recordings_are_a_table_to_download(judgment):
    judgments = [judgment, Judgment("b.wav", "silent; there is nothing to classify")]
    page = Reader(show_judgments(judgments, ModelMetadata()))
    assert page.tags.count("tr") == 3 and "could not be judged: silent" in page.text and "audio" not in page.tags
    (link,) = (value for name, value in page.attributes if name == "href")
    assert base64.b64decode(link.partition(",")[2]).decode() == format_csv(judgments)
    rows = list(csv.DictReader(io.StringIO(format_csv(judgments))))
    assert float(rows[0]["score"]) == judgment.result.score and rows[0]["decision"] == judgment.result.decision
    assert rows[1]["error"].startswith("silent") and rows[1]["score"] == ""


def test_a_name_that_is_a_formula_gets_an_apostrophe(judgment):
    (row,) = csv.DictReader(io.StringIO(format_csv([replace(judgment, name="=1+1.wav")])))
    assert row["file"] == "'=1+1.wav"


@pytest.mark.parametrize(
    ("metadata", "has_ood_detector", "sentences"),
    [
        (ModelMetadata(), False, ["unknown data", "It is not calibrated", "no out-of-distribution reference"]),
        (
            ModelMetadata(
                1.5,
                "equal error rate",
                ["A", "B"],
                ["x"],
                calibration={"method": "logistic", "weights": [1.0], "offset": 0.0},
                threshold_errors={"eer": 0.1, "fnr": 0.125, "fpr": 0.25, "real": 8, "fake": 4},
            ),
            True,
            ["Trained on A, B.", "1 spoofing system (x)", "12.5 % of the real", "are calibrated", '"unsure"'],
        ),
    ],
)
def test_what_the_detector_cannot_know_is_said(metadata, has_ood_detector, sentences):
    text = " ".join(Reader(show_detector(metadata, has_ood_detector, {})).text.split())
    assert all(sentence in text for sentence in [*sentences, "It cannot know who speaks"])
