"""The command line of a preparation: options, comparison with published counts, exit status."""

import pytest

from antideepfake.cli.preparation import make_parser, print_report, run_preparation
from antideepfake.corpora.build import BuildReport


def test_the_folder_reaches_the_recipe_only_if_given():
    """Guards against a default of the command line that overrides the recipe's own folder."""
    required = ["--data_folder", "d", "--output", "o"]
    assert "corpus_folder" not in make_parser("X").parse_args(required)
    assert make_parser("X").parse_args([*required, "--corpus_folder", "c"]).corpus_folder == "c"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("csv", "split,label,utterances,hours\ntest,real,2,1.0\n"),
        ("json", '[\n {\n  "split": "test",\n  "label": "real",\n  "utterances": 2,\n  "hours": 1.0\n }\n]\n'),
    ],
)
def test_counts_can_be_read_by_programs(capsys, form, expected):
    report = BuildReport(2, counts={"test": {"real": [2, 3600.0]}})
    assert print_report(report, "p.csv", {"test": {"real": 2}}, form) == 0
    assert capsys.readouterr() == (expected, "all published counts agree\n")


@pytest.mark.parametrize(
    ("published", "differences"),
    [
        ({"test": {"real": 2, "fake": 1}}, []),
        ({"test": {"all": 3}}, []),
        ({"test": {"all": 4, "fake": 1}}, ["all utterances of split test: 4 published, 3 here"]),
        ({"train": {"real": 5}}, ["real utterances of split train: 5 published, 0 here"]),
        (None, []),
    ],
)
def test_published_counts_are_compared(capsys, published, differences):
    """Guards against an incomplete corpus that looks complete."""
    report = BuildReport(3, counts={"test": {"real": [2, 5.0], "fake": [1, 2.0]}})
    assert print_report(report, "p.csv", published) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == differences
    assert ("all published counts agree" in printed.out) == (published is not None and not differences)


def test_omissions_are_reported_and_set_the_status(capsys):
    left_out = [{"id": "a", "path": "a.wav", "reason": "no such file"}]
    assert print_report(BuildReport(1, left_out, ["$ROOT/b.wav", "$ROOT/c.wav"]), "p.csv") == 1
    assert capsys.readouterr().err.splitlines() == [
        "2 audio files in the same folders are not in the corpus's list",
        "left out: 1 files",
        "the list is in p.csv.report.json",
    ]
    assert print_report(BuildReport(1, [], ["$ROOT/b.wav"]), "p.csv") == 0


def test_options_and_prefix_of_a_program():
    """Guards against an example in ``--help`` that does not run as typed."""
    given = {}

    def prepare(**options):
        given.update(options)
        return BuildReport(1)

    argv = ["--data_folder", "d", "--output", "o", "--protocol_file", "keys.txt"]
    assert run_preparation(prepare, "X", argv, protocol_file="the keys") == 0
    assert given == {"data_folder": "d", "output": "o", "num_workers": 0, "protocol_file": "keys.txt"}
    with pytest.raises(SystemExit) as left:
        run_preparation(prepare, "X", argv)
    assert left.value.code == 2
    shown = make_parser("X", "antideepfake prepare X").format_help()
    assert shown.endswith("example:\n  antideepfake prepare X --data_folder data --output protocol.csv\n")
