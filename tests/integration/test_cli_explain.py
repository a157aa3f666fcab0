"""antideepfake explain: a table, a picture, JSON, and the mistakes of a user."""

import json

import numpy as np
import pytest

from antideepfake.inference.detector import load_detector


@pytest.fixture
def recording(tmp_path, write_audio, rng):
    level = 0.01 + np.abs(np.sin(np.arange(32000) / 500))
    return write_audio(tmp_path / "a.wav", 0.1 * level * rng.normal(size=32000))


def test_a_table_and_a_picture(command, model_folder, recording, tmp_path):
    picture = tmp_path / "a.png"
    status, out, err = command("explain", model_folder, recording, "--output", picture, "--quiet", "--device", "cpu")
    assert status == 0 and max(map(len, out.splitlines())) <= 100 and err == f"picture: {picture}\n"
    (expected,) = load_detector(model_folder).score_files([recording])
    assert out.startswith(f"score {expected.score:.2f}: {expected.decision}")
    assert "It proves nothing about the recording." in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    status, _, err = command("explain", model_folder, recording, "--output", picture)
    assert status == 2 and "already exists" in err


def test_times_count_from_the_beginning_of_the_recording(command, model_folder, recording):
    given = ("--start", "0.5", "--seconds", "1.2", "--span_seconds", "0.4", "--format", "json", "--quiet")
    status, out, _ = command("explain", model_folder, recording, *given)
    facts = json.loads(out)
    assert status == 0 and len(facts["cells"]) == 27 and 0 <= facts["share"] <= 1
    assert {cell["start"] for cell in facts["cells"]} == {0.5, 0.9, 1.3}
    effects = [abs(cell["effect"]) for cell in facts["cells"]]
    assert effects == sorted(effects, reverse=True)


def test_what_cannot_be_explained_is_refused(command, model_folder, recording, tmp_path, write_audio, rng):
    long = write_audio(tmp_path / "long.wav", 0.1 * rng.normal(size=16000 * 31))
    for path, options, told in (
        (long, (), "longer than 30 s; choose a part with --start and --seconds"),
        (recording, ("--span_seconds", "1.5"), "an explanation needs two spans of 1.5 s"),
        (recording, ("--output", tmp_path / "a.csv"), "a picture's name ends in"),
        (recording, ("--start", "9"), "contains no samples after 9.00 s"),
        (tmp_path / "none.wav", (), "none.wav"),
    ):
        status, out, err = command("explain", model_folder, path, *options, "--quiet")
        assert status == 2 and out == "" and told in err
