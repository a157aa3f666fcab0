"""Seeds."""

from hypothesis import given
from hypothesis import strategies as st

from antideepfake.seeds import derive_seed


@given(st.lists(st.integers() | st.text(), min_size=1, max_size=4))
def test_seeds_are_what_generators_take(parts):
    """numpy refuses negative seeds, torch those over 64 bits; a name that is not UTF-8 must do, too."""
    assert 0 <= derive_seed(*parts) < 2**63


def test_seeds_are_the_same_everywhere():
    """A run could not be repeated on another machine: Python's own hash changes with every process."""
    assert derive_seed(1234, 0, "LJ001-0001") == 1118270526342302491
