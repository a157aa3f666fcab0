"""The recipe of HAD."""

import pytest

from antideepfake.errors import InputError

LISTS = {
    "HAD/HAD_train/HAD_train_label.txt": "HAD_train_real_1 0.00-0.50-T 1\n"
    "HAD_train_fake_1 0.00-0.10-T/0.10-0.25-F/0.25-0.50-T 0\n",
    "HAD/HAD_dev/HAD_dev_label.txt": "HAD_dev_real_1 0.00-0.50-T 1\n",
    "HAD/HAD_test/HAD_test_label.txt": "HAD_test_00000001 0.00-0.10-F/0.10-0.60-T 0\nHAD_test_2 0-0.5-T 1\n",
}
AUDIO = ["train/train/conbine/HAD_train_real_1", "train/train/conbine/HAD_train_fake_1", "dev/conbine/HAD_dev_real_1"]
AUDIO = [f"HAD/HAD_{name}.wav" for name in [*AUDIO, "test/test/HAD_test_00000001"]]


def test_files_are_found_in_any_folder_of_their_split(prepare, reasons, tmp_path):
    rows, report = prepare("HAD", AUDIO, LISTS)
    assert rows == [
        ("HAD-HAD_train_real_1", "real", "-", "-", "train", "ZH"),
        ("HAD-HAD_train_fake_1", "fake", "-", "-", "train", "ZH"),
        ("HAD-HAD_dev_real_1", "real", "-", "-", "valid", "ZH"),
        ("HAD-HAD_test_00000001", "fake", "-", "-", "test", "ZH"),
    ]
    assert set(reasons(report)) == {"HAD_test_2.wav"}
    assert (tmp_path / "p.segments.csv").read_text().splitlines() == [
        "ID,Start,End,Label",
        "HAD-HAD_train_fake_1,0.1,0.25,fake",
        "HAD-HAD_test_00000001,0.0,0.1,fake",
    ]


@pytest.mark.parametrize(
    ("segment", "message"), [("0.5", "is not <start>-<end>-<T or F>"), ("0-1-X", "'X' is none of")]
)
def test_a_segment_in_another_form_is_an_error(prepare, segment, message):
    lists = {**LISTS, "HAD/HAD_train/HAD_train_label.txt": f"HAD_train_fake_1 {segment} 0\n"}
    with pytest.raises(InputError, match=message):
        prepare("HAD", AUDIO, lists)
