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
    on_hub = table["id"].str.contains("/")
    assert on_hub.sum() == 14 and set(table.loc[on_hub, "license"]) == {"CC-BY-NC-SA-4.0"}
    assert table.loc[on_hub, "parameters"].between(9e7, 3e9).all()
    assert all(len(names.split()) == 29 for names in table.loc[on_hub, "corpora"])
    others = table[~on_hub].set_index("id")
    assert others.at["aasist-asvspoof5", "corpora"] == "ASVspoof5"
    assert others.at["aasist-l-asvspoof2019", "parameters"] == 85_000
