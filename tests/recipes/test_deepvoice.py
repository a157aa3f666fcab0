"""The recipe of DeepVoice: cutting after the list, and the protocol of what was cut."""

import numpy as np
import pytest
import soundfile

from antideepfake.errors import InputError

LOG = """\
Audio: Obama-to-Biden_seg_1, start at: -5, end at: 100
Saved: /somewhere/FAKE/Obama-to-Biden_seg_1.wav
Audio: Obama-to-Biden_seg_10, start at: 80, end at: 9999
Saved: /somewhere/FAKE/Obama-to-Biden_seg_10.wav
Audio: linus-original_seg_1, start at: 0, end at: 50
Saved: /somewhere/REAL/linus-original_seg_1.wav
Audio: gone-to-x_seg_1, start at: 0, end at: 50
Saved: /somewhere/FAKE/gone-to-x_seg_1.wav
Done
"""
ROWS = [
    ("DeepVoice-VC_Obama-to-Biden_seg_1", "fake", "VC", "-", "-", "EN"),
    ("DeepVoice-VC_Obama-to-Biden_seg_10", "fake", "VC", "-", "-", "EN"),
    ("DeepVoice-VC_linus-original_seg_1", "real", "-", "-", "-", "EN"),
]


@pytest.fixture
def recordings(tmp_path, write_audio):
    """Two recordings, one in stereo, and the list."""
    rng = np.random.default_rng(1)
    audio = tmp_path / "data/DeepVoice/KAGGLE/AUDIO"
    write_audio(audio / "FAKE/Obama-to-Biden.wav", rng.uniform(-0.5, 0.5, (300, 2)), 44100)
    write_audio(audio / "REAL/linus-original.wav", rng.uniform(-0.5, 0.5, 300), 44100)
    (tmp_path / "log.txt").write_text(LOG)
    return tmp_path


def test_segments_are_cut_and_listed(recordings, prepare, reasons, capsys):
    rows, report = prepare("DeepVoice", [], protocol_file=str(recordings / "log.txt"))
    assert rows == ROWS
    assert set(reasons(report)) == {"gone-to-x_seg_1.wav"}
    assert "gone-to-x.wav: no such file; its segments are left out" in capsys.readouterr().err
    folder = recordings / "data/DeepVoice"
    whole, rate = soundfile.read(folder / "KAGGLE/AUDIO/FAKE/Obama-to-Biden.wav", dtype="int16")
    for name, part in (("1", whole[:100]), ("10", whole[80:])):
        cut, cut_rate = soundfile.read(folder / f"AUDIO_SEGMENTS/FAKE/Obama-to-Biden_seg_{name}.wav", dtype="int16")
        assert cut_rate == rate and np.array_equal(cut, part)


def test_existing_segments_are_kept_and_need_no_list(recordings, prepare):
    prepare("DeepVoice", [], protocol_file=str(recordings / "log.txt"))
    path = recordings / "data/DeepVoice/AUDIO_SEGMENTS/REAL/linus-original_seg_1.wav"
    before = path.stat().st_mtime_ns
    prepare("DeepVoice", [], protocol_file=str(recordings / "log.txt"))
    assert path.stat().st_mtime_ns == before
    assert prepare("DeepVoice", [])[0] == ROWS


@pytest.mark.parametrize(("text", "said"), [("nothing\n", "lists no segment"), (None, "as --protocol_file")])
def test_a_wrong_list_is_refused(recordings, prepare, text, said):
    """Guards against an empty corpus."""
    if text:
        (recordings / "other.txt").write_text(text)
    with pytest.raises(InputError, match=said):
        prepare("DeepVoice", [], protocol_file=str(recordings / "other.txt"))
