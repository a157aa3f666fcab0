"""antideepfake models: the list of published detectors."""

import json

import pandas as pd
import pytest


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_the_list_is_printed_in_each_form(form, command, tmp_path):
    status, out, err = command("models", "--format", form)
    assert status == 0 and err == "" and "nii-yamagishilab/mms-300m-anti-deepfake" in out
    if form == "table":
        return
    (tmp_path / "out").write_text(out)
    table = pd.DataFrame(json.loads(out)) if form == "json" else pd.read_csv(tmp_path / "out")
    assert len(table) == 14 and set(table["license"]) == {"CC-BY-NC-SA-4.0"}
    assert table["parameters"].between(9e7, 3e9).all() and all(len(names.split()) == 29 for names in table["corpora"])
