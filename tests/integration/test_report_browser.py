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


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_page_shows_without_an_error(tmp_path):
    """A colleague would open a page with holes: a picture not drawn, something fetched and not found."""
    rng = np.random.default_rng(1)
    is_real = np.arange(200) % 2 == 0
    scores = pd.DataFrame({"ID": [f"u{n}" for n in range(200)], "Score": rng.normal(0, 1, 200) + 2 * is_real})
    scores["Label"] = np.where(is_real, "real", "fake")
    write_report(tmp_path, [System(scores, Evaluator().evaluate(scores, "s"))], "Test set", ["WARNING"])
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    command = [CHROMIUM, *options, f"--user-data-dir={tmp_path}/profile", f"file://{tmp_path}/report.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.count("<svg") == 2
    assert "equal error rate" in done.stdout
    assert not re.findall(r".*CONSOLE.*|.*ERR_.*", done.stderr)
