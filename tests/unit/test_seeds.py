"""Seeds."""

from hypothesis import given
from hypothesis import strategies as st

from antideepfake.seeds import derive_seed


@given(st.lists(st.integers() | st.text(), min_size=1, max_size=4))
def test_seeds_fit_random_generators(parts):
    assert 0 <= derive_seed(*parts) < 2**63


def test_seeds_are_the_same_everywhere():
    assert derive_seed(1234, 0, "LJ001-0001") == 1118270526342302491
