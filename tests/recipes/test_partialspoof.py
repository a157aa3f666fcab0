"""The recipe of PartialSpoof: labels of frames become segments, and their files can run nothing."""

import io
import pickle

import numpy as np
import pytest

from antideepfake.errors import InputError

FOLDER = "PartialSpoof/database"
LISTS = {
    "train": "LA_0079 CON_T_0000000 - CON spoof\nLA_0079 LA_T_1000137 - - bonafide\n",
    "dev": "LA_0069 CON_D_0000000 - CON spoof\n",
    "eval": "LA_0048 CON_E_0000000 - CON spoof\nLA_0048 CON_E_0000001 - CON spoof\n",
}
AUDIO = ["train/con_wav/CON_T_0000000", "train/con_wav/LA_T_1000137", "dev/con_wav/CON_D_0000000"]
AUDIO = [f"{FOLDER}/{name}.wav" for name in [*AUDIO, "eval/con_wav/CON_E_0000000", "eval/con_wav/CON_E_0000001"]]


def _labels(count, *fake):
    """Labels of frames of 10 ms, fake between some bounds. The audio has 50 frames."""
    labels = np.full(count, "1")
    for first, last in fake:
        labels[first:last] = "0"
    return labels


LABELS = {
    "train": {"CON_T_0000000": _labels(50, (10, 20), (30, 31)), "LA_T_1000137": _labels(50)},
    "dev": {"CON_D_0000000": _labels(49, (0, 5), (40, 49))},  # a frame less than the audio
    "eval": {"CON_E_0000000": _labels(51, (40, 51)), "CON_E_0000001": _labels(51, (10, 20), (50, 51))},  # one more
}


def _pickled(values):
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


@pytest.fixture
def prepare_labels(prepare, tmp_path):
    """Prepare a corpus with these labels."""

    def run(labels=LABELS, lists=LISTS):
        folder = tmp_path / "data" / FOLDER / "segment_labels"
        folder.mkdir(parents=True, exist_ok=True)
        for split, content in labels.items():
            data = content if isinstance(content, bytes) else _pickled(content)
            (folder / f"{split}_seglab_0.01.npy").write_bytes(data)
        names = {
            f"{FOLDER}/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{split}.trl.txt": text
            for split, text in lists.items()
        }
        return prepare("PartialSpoof", AUDIO, names)

    return run


def test_labels_of_frames_become_segments_whatever_their_number(prepare_labels, tmp_path):
    """Guards against segments beyond the end, and real ends, where labels and audio differ by a frame."""
    rows, report = prepare_labels()
    assert rows == [
        ("PartialSpoof-CON_T_0000000", "fake", "CON", "LA_0079", "train", "EN"),
        ("PartialSpoof-LA_T_1000137", "real", "-", "LA_0079", "train", "EN"),
        ("PartialSpoof-CON_D_0000000", "fake", "CON", "LA_0069", "valid", "EN"),
        ("PartialSpoof-CON_E_0000000", "fake", "CON", "LA_0048", "test", "EN"),
        ("PartialSpoof-CON_E_0000001", "fake", "CON", "LA_0048", "test", "EN"),
    ]
    assert not report.left_out
    assert (tmp_path / "p.segments.csv").read_text().splitlines() == [
        "ID,Start,End,Label",
        "PartialSpoof-CON_T_0000000,0.1,0.2,fake",
        "PartialSpoof-CON_T_0000000,0.3,0.31,fake",
        "PartialSpoof-CON_D_0000000,0.0,0.05,fake",
        "PartialSpoof-CON_D_0000000,0.4,0.5,fake",
        "PartialSpoof-CON_E_0000000,0.4,0.5,fake",
        "PartialSpoof-CON_E_0000001,0.1,0.2,fake",
    ]


@pytest.mark.parametrize("labels", [{}, {"CON_T_0000000": _labels(50)}])
def test_labels_that_contradict_the_list_are_an_error(prepare_labels, labels):
    with pytest.raises(InputError, match=r"train.trl.txt:1: (there are no labels|CON_T_0000000 is spoof, but)"):
        prepare_labels({**LABELS, "train": labels})


class _Runs:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_pickled({"CON_T_0000000": _Runs()}), r"contains a builtins.print, which could run code"),
        (_pickled(np.array([_Runs()], object)), r"contains a builtins.print, which could run code"),
        (_pickled({"a": _labels(3)})[:-20], "not a file of labels"),
        (b"PK", "not a file of labels"),
        (_pickled([1]), "(not a file of labels|contains no dictionary)"),
    ],
)
def test_a_file_that_is_no_dictionary_of_labels_is_refused(prepare_labels, capfd, content, message):
    with pytest.raises(InputError, match=rf"train_seglab_0.01.npy: {message}"):
        prepare_labels({**LABELS, "train": content})
    assert capfd.readouterr().out == ""


def test_labels_of_an_older_numpy_are_read(load_recipe, tmp_path):
    data = pickle.dumps({"a": _labels(3, (0, 1))}, protocol=3).replace(b"numpy._core", b"numpy.core")
    header = _pickled({})
    (tmp_path / "a.npy").write_bytes(header[: header.index(b"\n") + 1] + data)
    assert load_recipe("PartialSpoof").read_labels(tmp_path / "a.npy")["a"].tolist() == ["0", "1", "1"]
