"""The recipe of WaveFake."""

AUDIO = [
    "WaveFake/generated_audio/jsut_parallel_wavegan/BASIC5000_0001_gen.wav",
    "WaveFake/generated_audio/ljspeech_melgan/LJ001-0001_gen.wav",
    "WaveFake/generated_audio/common_voices_prompts_ljspeech/gen_0.wav",
    "WaveFake/generated_audio/aa_other/x.wav",
    "WaveFake/generated_audio/loose.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against a language guessed for a file in an unexpected folder."""
    rows, report = prepare("WaveFake", AUDIO)
    assert rows == [
        ("WF-common_voices_prompts_ljspeech_gen_0", "fake", "common_voices_prompts_ljspeech", "-", "-", "EN"),
        ("WF-jsut_parallel_wavegan_BASIC5000_0001_gen", "fake", "jsut_parallel_wavegan", "-", "-", "JA"),
        ("WF-ljspeech_melgan_LJ001-0001_gen", "fake", "ljspeech_melgan", "-", "-", "EN"),
    ]
    assert set(reasons(report)) == {"x.wav", "loose.wav"}
