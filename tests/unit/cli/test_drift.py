"""antideepfake drift: the verdict, the table, and which files are embeddings."""

import numpy as np
import pytest

from antideepfake.cli.drift import describe, format_rows, is_embeddings, judge, read_clusters, read_values
from antideepfake.errors import InputError
from antideepfake.evaluation.drift import Drift


@pytest.fixture
def make_drift():
    """Make a drift of two dimensions, the second of which moved."""

    def make(p_value, clusters=(20, 20)):
        distances = np.array([0.1, 0.5])
        return Drift(distances, np.array([-0.2, 0.0]), distances, 0.3, p_value, np.array([False, True]), clusters)

    return make


@pytest.mark.parametrize(
    ("p_value", "clusters", "is_alarm", "verdict"),
    [
        (0.005, (20, 20), True, "shift: incoming recordings differ"),
        (0.01, (20, 20), True, "shift: "),
        (0.2, (20, 20), False, "no shift can be shown (p = 0.200, alarm level 0.01)"),
        (0.2, (2, 3), False, "no shift can be shown: 2 and 3 independent units are too few"),
    ],
)
def test_the_verdict_depends_on_the_p_value_and_the_number_of_units(make_drift, p_value, clusters, is_alarm, verdict):
    found, text = judge(make_drift(p_value, clusters), 0.01)
    assert found == is_alarm and text.startswith(verdict)


def test_a_drift_is_described_by_its_mean_and_largest_dimension(make_drift):
    row = describe("all", 40, make_drift(0.005))
    assert (row["Wasserstein"], row["largest"], row["moved %"]) == (pytest.approx(0.3), 0.5, 50)
    assert row["KL"] == 0  # a divergence below its bias
    heads, values = format_rows([row]).splitlines()
    assert heads.split()[:3] == ["incoming", "utterances", "Wasserstein"]
    assert values.split() == ["all", "40", "0.300", "0.500", "50", "0.000", "0.300", "0.300", "0.005"]


def test_scores_are_embeddings_of_one_dimension(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text('ID,Score,Label,Speaker\nu0,"[0, 1]",1,ann\nu1,"[2, 0]",0,bob\n')
    ids, values = read_values(str(path))
    assert ids == ["u0", "u1"] and values.tolist() == [[1.0], [-2.0]]
    assert not is_embeddings(str(path)) and is_embeddings("e.parquet")
    assert read_clusters(str(path), ["u1", "u0"], None).tolist() == ["bob", "ann"]
    assert read_clusters(str(path), ids, "none") is None


def test_embeddings_have_clusters_only_if_unnamed():
    assert read_clusters("e.parquet", ["u0"], None) is None
    with pytest.raises(InputError, match="--cluster needs --scores and --reference_scores"):
        read_clusters("e.parquet", ["u0"], "Speaker")


def test_the_alarm_is_a_fraction(command):
    status, _, err = command("drift", "a.csv", "b.csv", "--alarm", "1")
    assert status == 2 and "--alarm is 1; it must lie between 0 and 1" in err
