"""The recipe of LlamaPartialSpoof."""

import pytest

from antideepfake.errors import InputError

FOLDER = "LlamaPartialSpoof"
REAL, FAKE = "dev-clean_1462_170145_000020_000002", "dev01-cosyvoice_1462_170145_000020_000002"
PARTIAL = "dev01-cosyvoice-partial-cp_251_136532_000016_000002"
LISTS = {
    f"{FOLDER}/label_R01TTS.0.a.txt": f"{REAL} 0.1 bonafide 0.0-0.1-bonafide\n{FAKE} 0.1 spoof 0.0-0.1-spoof\n",
    f"{FOLDER}/label_R01TTS.0.b.txt": f"{PARTIAL} 0.1 spoof 0.0-0.05-bonafide 0.05-0.1-spoof\nx_1_broken 1 spoof\n",
}


def test_rows_follow_the_list(prepare, reasons, tmp_path):
    """Guards against partially spoofed sentences labeled real, and against a system taken for a speaker."""
    audio = [f"R01TTS.0.a/{REAL}", f"R01TTS.0.a/{FAKE}", f"R01TTS.0.b/{PARTIAL}", "R01TTS.0.b/x_1_broken"]
    rows, report = prepare("LlamaPartialSpoof", [f"{FOLDER}/{name}.wav" for name in audio], LISTS)
    assert rows == [
        (f"LlamaPartialSpoof-{REAL}", "real", "-", "1462", "-", "EN"),
        (f"LlamaPartialSpoof-{FAKE}", "fake", "dev01-cosyvoice", "1462", "-", "EN"),
        (f"LlamaPartialSpoof-{PARTIAL}", "fake", "dev01-cosyvoice-partial-cp", "251", "-", "EN"),
    ]
    assert set(reasons(report)) == {"x_1_broken.wav"}
    assert (tmp_path / "p.segments.csv").read_text().splitlines() == [
        "ID,Start,End,Label",
        f"LlamaPartialSpoof-{FAKE},0.0,0.1,fake",
        f"LlamaPartialSpoof-{PARTIAL},0.05,0.1,fake",
    ]


@pytest.mark.parametrize(("segment", "message"), [("0.0", "is not <start>-<end>-<label>"), ("0-1-x", "'x' is none of")])
def test_a_segment_in_another_form_is_an_error(prepare, segment, message):
    lists = {f"{FOLDER}/label_R01TTS.0.a.txt": f"{FAKE} 0.1 spoof {segment}\n", f"{FOLDER}/label_R01TTS.0.b.txt": ""}
    with pytest.raises(InputError, match=message):
        prepare("LlamaPartialSpoof", [f"{FOLDER}/R01TTS.0.a/{FAKE}.wav"], lists)
