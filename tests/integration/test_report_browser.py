"""The report in a browser, where one is installed (Debian's chromium)."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from antideepfake.evaluation.evaluator import Evaluator, System
from antideepfake.evaluation.report import write_report

CHROMIUM = shutil.which("chromium")


pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
def report(tmp_path):
    rng = np.random.default_rng(1)
    is_real = np.arange(200) % 2 == 0
    scores = pd.DataFrame({"ID": [f"u{n}" for n in range(200)], "Score": rng.normal(0, 1, 200) + 2 * is_real})
    scores["Label"] = np.where(is_real, "real", "fake")
    write_report(tmp_path, [System(scores, Evaluator().evaluate(scores, "s"))], "Test set")
    return tmp_path / "report.html"


def show(page):
    """Give the page as the browser builds it, and what the browser logs."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--allow-file-access-from-files", "--enable-logging=stderr", "--dump-dom"]
    command = [CHROMIUM, *options, f"--user-data-dir={page.parent}/profile", f"file://{page}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    return done.stdout, done.stderr


def test_page_shows_without_an_error(report):
    page, log = show(report)
    assert page.count("<svg") == 3 and "equal error rate" in page
    assert not re.findall(r".*CONSOLE.*|.*ERR_.*", log)


def test_nothing_is_off_screen_on_a_telephone(report):
    frame = report.with_name("frame.html")
    load = "document.title = this.contentDocument.documentElement.scrollWidth"
    frame.write_text(f'<iframe src="report.html" width="420" height="900" style="border:0" onload="{load}"></iframe>')
    page, _ = show(frame)
    assert 300 < int(re.search(r"<title>(\d+)</title>", page)[1]) <= 420
