"""The recipe of MLAAD."""

import pytest

from antideepfake.errors import InputError

AUDIO = [
    "MLAAD_v5/fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284.wav",
    "MLAAD_v5/fake/zh-cn/tts_x/a.wav",
]


def test_rows_follow_the_folders(prepare):
    """Guards against IDs that differ from the published ones, and against two names for Mandarin."""
    rows, report = prepare("MLAAD", AUDIO)
    assert rows == [
        (
            "MLAAD-ga-tts_models_multilingual_multi-dataset_bark-silent_bullet_09_f000284",
            "fake",
            "tts_models_multilingual_multi-dataset_bark",
            "-",
            "-",
            "GA",
        ),
        ("MLAAD-ZH-tts_x-a", "fake", "tts_x", "-", "-", "ZH"),
    ]
    assert report.left_out == []


LISTS = {
    "tracing/train.csv": f"path,model_name\n./{AUDIO[0].removeprefix('MLAAD_v5/')},bark\n",
    "tracing/dev.csv": "path,model_name\n",
    "tracing/eval.csv": "path,model_name\n" + 2 * "./fake/zh-cn/tts_x/a.wav,tts/x\n",
}


def test_source_tracing_takes_models_and_splits_from_the_lists(prepare, tmp_path):
    """Guards against models named after their folders, and against counting a repeated line of eval.csv twice."""
    rows, report = prepare(
        "MLAAD", [*AUDIO, "MLAAD_v5/fake/de/tts_y/unlisted.wav"], LISTS, tracing_folder=tmp_path / "data/tracing"
    )
    assert [(row[0], *row[2:]) for row in rows] == [
        ("MLAAD-ga-tts_models_multilingual_multi-dataset_bark-silent_bullet_09_f000284", "bark", "-", "train", "GA"),
        ("MLAAD-ZH-tts_x-a", "tts/x", "-", "test", "ZH"),
    ]
    assert report.left_out == []


def test_an_utterance_of_two_splits_is_reported(prepare, tmp_path, reasons):
    """Guards against a test set that contains utterances of the training set."""
    lists = {**LISTS, "tracing/dev.csv": LISTS["tracing/train.csv"]}
    rows, report = prepare("MLAAD", AUDIO, lists, tracing_folder=tmp_path / "data/tracing")
    assert len(rows) == 2
    assert list(reasons(report)) == ["silent_bullet_09_f000284.wav"]


def test_a_path_outside_the_corpus_is_refused(load_recipe, make_tree, tmp_path):
    """Guards against lists of another release."""
    data = make_tree(AUDIO, {**LISTS, "tracing/dev.csv": "path,model_name\n./real/en/a.wav,x\n"})
    with pytest.raises(InputError, match=r"dev.csv:2: 'real/en/a.wav' is not named as fake/"):
        load_recipe("MLAAD").prepare_mlaad(data, tmp_path / "p.csv", quiet=True, tracing_folder=data / "tracing")
