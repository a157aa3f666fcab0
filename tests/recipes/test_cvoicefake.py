"""The recipe of CVoiceFake."""

AUDIO = [
    "CVoiceFake/CVoiceFake_Large/EN/vctk_parallel_wavegan.v1_generated/common_voice_en_36752138_Gen.mp3",
    "CVoiceFake/CVoiceFake_Large/CN/Bonafide/common_voice_zh-CN_1.mp3",
    "CVoiceFake/CVoiceFake_Large/CN/Bonafide/broken.mp3",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against IDs that differ from the published ones, and against an attack for bona fide speech."""
    rows, report = prepare("CVoiceFake", AUDIO)
    assert rows == [
        ("CVoice-CN-Bonafide-common_voice_zh-CN_1", "real", "-", "-", "-", "ZH"),
        (
            "CVoice-EN-vctk_parallel_wavegan.v1_generated-common_voice_en_36752138_Gen",
            "fake",
            "vctk_parallel_wavegan.v1_generated",
            "-",
            "-",
            "EN",
        ),
    ]
    assert set(reasons(report)) == {"broken.mp3"}
