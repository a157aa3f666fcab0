"""The recipe of Diffuse or Confuse."""

AUDIO = [
    "DiffusionDeepfake/tacotron2-DCA_wavegrad/LJ044-0144.wav",
    "DiffusionDeepfake/DiffGAN-TTS_aux/LJ044-0145_x.wav",
]


def test_rows_follow_the_folders(prepare):
    """Guards against a speaker of its own for every utterance."""
    rows, report = prepare("DiffusionDeepfake", AUDIO)
    assert rows == [
        ("DiffFake-DiffGAN-TTS_aux-LJ044-0145_x", "fake", "DiffGAN-TTS_aux", "LJ044", "-", "EN"),
        ("DiffFake-tacotron2-DCA_wavegrad-LJ044-0144", "fake", "tacotron2-DCA_wavegrad", "LJ044", "-", "EN"),
    ]
    assert report.left_out == []
