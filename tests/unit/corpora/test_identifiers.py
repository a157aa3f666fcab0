"""Identifiers: no two files share one, no file has two, and it does not depend on chance."""

from hypothesis import given
from hypothesis import strategies as st

from antideepfake.corpora.identifiers import Identifiers, make_distinct

PATH = st.lists(st.sampled_from(["a", "b", "a-b", "c"]), min_size=1, max_size=4).map("/".join)
UTTERANCE = st.tuples(st.sampled_from(["x", "x-a", "x-b-a", "y"]), PATH, st.sampled_from([".wav", ".mp3"]))


@given(st.lists(UTTERANCE, min_size=1, max_size=30))
def test_every_file_gets_one_of_its_own(utterances):
    """Two files of one identifier would share a line of the score file, whatever a corpus names them."""
    utterances = [(identifier, path + suffix) for identifier, path, suffix in utterances]
    identifiers = Identifiers(utterances)
    given_names = [identifiers.distinguish(*utterance) for utterance in utterances]
    kept = [name for name in given_names if name is not None]
    assert len(set(kept)) == len(kept) == len(set(utterances))
    for (wanted, _), name in zip(utterances, given_names, strict=True):
        assert name is None or name.startswith(wanted)
    firsts = {identifier: place for place, (identifier, _) in reversed(list(enumerate(utterances)))}
    assert all(given_names[place] == identifier for identifier, place in firsts.items())


def test_a_longer_identifier_is_not_one_that_comes_later():
    """The second of two would be named as a third that is yet to come."""
    utterances = [("x", "x.mp3"), ("x", "x.wav"), ("x-wav", "y.wav")]
    identifiers = Identifiers(utterances)
    assert [identifiers.distinguish(*utterance) for utterance in utterances] == ["x", "x-wav+", "x-wav"]


def test_the_suffix_says_why():
    """Nobody could tell which of two files an identifier means."""
    assert make_distinct("/c/test_unseen/fake/gl/a.wav", "/c/test_seen/fake/gl/a.wav") == "test_unseen"
    assert make_distinct("/c/test_unseen/fake/lpc/a.wav", "/c/test_seen/fake/gl/a.wav") == "test_unseen-lpc"
    assert make_distinct("/c/a.wav", "/c/a.mp3") == "wav"
    assert make_distinct("/c/B.wav", "/c/b.wav") == "B"


def test_a_folder_that_is_gone_has_nothing_unlisted(tmp_path):
    """A list of files that are all missing would end in a traceback."""
    assert list(Identifiers([("a", f"{tmp_path}/none/a.wav")]).find_unlisted()) == []
