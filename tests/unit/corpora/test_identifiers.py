"""IDs: no two files share one, and they do not depend on chance."""

from hypothesis import given
from hypothesis import strategies as st

from antideepfake.corpora.identifiers import Identifiers, make_distinct

PATH = st.lists(st.sampled_from(["a", "b", "a-b", "c"]), min_size=1, max_size=4).map("/".join)
UTTERANCE = st.tuples(st.sampled_from(["x", "x-a", "x-b-a", "y"]), PATH, st.sampled_from([".wav", ".mp3"]))


@given(st.lists(UTTERANCE, min_size=1, max_size=30))
def test_every_file_gets_a_unique_id(utterances):
    utterances = [(identifier, path + suffix) for identifier, path, suffix in utterances]
    identifiers = Identifiers(utterances)
    given_names = [identifiers.distinguish(*utterance) for utterance in utterances]
    kept = [name for name in given_names if name is not None]
    assert len(set(kept)) == len(kept) == len(set(utterances))
    for (wanted, _), name in zip(utterances, given_names, strict=True):
        assert name is None or name.startswith(wanted)
    firsts = {identifier: index for index, (identifier, _) in reversed(list(enumerate(utterances)))}
    assert all(given_names[index] == identifier for identifier, index in firsts.items())


def test_a_suffixed_id_does_not_take_a_later_one():
    """Guards against two utterances with one ID."""
    utterances = [("x", "x.mp3"), ("x", "x.wav"), ("x-wav", "y.wav")]
    identifiers = Identifiers(utterances)
    assert [identifiers.distinguish(*utterance) for utterance in utterances] == ["x", "x-wav+", "x-wav"]


def test_the_suffix_is_what_differs_between_the_paths():
    assert make_distinct("/c/test_unseen/fake/gl/a.wav", "/c/test_seen/fake/gl/a.wav") == "test_unseen"
    assert make_distinct("/c/test_unseen/fake/lpc/a.wav", "/c/test_seen/fake/gl/a.wav") == "test_unseen-lpc"
    assert make_distinct("/c/a.wav", "/c/a.mp3") == "wav"
    assert make_distinct("/c/B.wav", "/c/b.wav") == "B"


def test_a_missing_folder_has_no_unlisted_files(tmp_path):
    assert list(Identifiers([("a", f"{tmp_path}/none/a.wav")]).find_unlisted()) == []
