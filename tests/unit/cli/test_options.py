"""Options that verbs share: how values are read, the device, existing outputs, printed tables."""

import argparse
import os

import pandas as pd
import pytest
import torch

from antideepfake.cli import options
from antideepfake.errors import InputError


@pytest.mark.parametrize("names", [["Attack", "Language"], ["Attack,Language"], ["Attack,", "Language"]])
def test_names_are_separated_by_blanks_or_commas(names):
    parser = options.Parser()
    options.add_by(parser)
    assert parser.parse_args(["--by", *names]).by == ["Attack", "Language"]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (options.whole_number, "-1"),
        (options.whole_number, "1.5"),
        (options.positive_number, "0"),
        (options.seconds, "0"),
        (options.seconds, "inf"),
        (options.fraction, "0"),
        (options.fraction, "1"),
        (options.fraction, "nan"),
    ],
)
def test_numbers_out_of_range_are_refused(read, text):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        read(text)


def test_a_mistake_is_reported_in_one_line(capsys):
    parser = options.Parser(prog="antideepfake verb")
    parser.add_argument("--limit", type=options.whole_number)
    with pytest.raises(SystemExit) as left:
        parser.parse_args(["--limit", "-3"])
    assert left.value.code == 2
    assert capsys.readouterr().err == "error: --limit is -3; it must be 0 or more; see 'antideepfake verb --help'\n"


def test_the_best_device_is_chosen_and_named(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert options.choose_device(None) == "mps" and capsys.readouterr().err == "device: mps\n"
    assert options.choose_device(None, quiet=True) == "mps" and capsys.readouterr().err == ""
    monkeypatch.setenv("RANK", "1")
    assert options.choose_device(None) == "mps" and capsys.readouterr().err == ""


def test_every_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert options.choose_device(None, quiet=True) == "cuda:3" == options.choose_device("cuda")
    assert options.choose_device("cuda:1") == "cuda:1"


def test_an_existing_output_needs_overwrite(tmp_path):
    path = tmp_path / "link"
    os.symlink(tmp_path / "nowhere", path)  # a broken link exists, too
    with pytest.raises(InputError, match="link: already exists; choose another --embeddings or pass --overwrite"):
        options.refuse_existing(path, False, "--embeddings")
    options.refuse_existing(path, True)


def test_a_local_model_folder_is_not_downloaded(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr("antideepfake.checkpoints.loading.fetch_folder", lambda *given: fetched.append(given))
    assert options.find_model(str(tmp_path), ["metadata.json"]) == tmp_path and fetched == []
    options.find_model("owner/name", ["metadata.json"])
    assert fetched == [("owner/name", ("metadata.json",))]


def test_tables_are_printed_in_each_form(capsys):
    table = pd.DataFrame({"name": ["a"], "value": [0.25], "unknown": [float("nan")]})
    for form, expected in (("csv", "a,0.25,"), ("table", "a      0.25"), ("json", '"unknown": null')):
        options.print_table(table, form)
        assert expected in capsys.readouterr().out
