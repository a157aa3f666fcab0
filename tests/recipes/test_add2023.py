"""The recipe of ADD 2023."""

import pytest

from antideepfake.errors import InputError

FOLDER = "ADD2023/Track1.2/testR2"


def test_rows_follow_the_list(prepare, reasons):
    """Guards against rows for files that are missing or truncated."""
    labels = ["fake", "genuine", "fake", "genuine"]
    keys = [f"ADD2023_T1.2R2_E_0000000{number}.wav" for number in range(3)] + ["broken.wav"]
    label_file = "".join(f"{key} {label}\n" for key, label in zip(keys, labels, strict=True))
    audio = [f"{FOLDER}/wav/{key}" for key in (keys[0], keys[1], keys[3])]
    rows, report = prepare("ADD2023", audio, {f"{FOLDER}/label.txt": label_file})
    assert rows == [
        ("ADD2023-ADD2023_T1.2R2_E_00000000.wav", "fake", "-", "-", "test", "-"),
        ("ADD2023-ADD2023_T1.2R2_E_00000001.wav", "real", "-", "-", "test", "-"),
    ]
    assert set(reasons(report)) == {keys[2], "broken.wav"}


def test_an_unknown_label_is_refused(prepare):
    """Guards against a bona fide utterance that counts as fake because its label is spelled otherwise."""
    lists = {f"{FOLDER}/label.txt": "a.wav fake\nb.wav bonafide\n"}
    with pytest.raises(InputError, match=r"label\.txt:2: 'bonafide' is none of genuine, fake"):
        prepare("ADD2023", [f"{FOLDER}/wav/a.wav"], lists)
