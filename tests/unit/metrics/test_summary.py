"""All metrics at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.metrics.rates import (
    sort_trials,
)
from antideepfake.metrics.summary import compute_metrics

# few distinct values, so that ties are common
SCORES = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=25)


@given(real=SCORES, fake=SCORES, n_resamples=st.integers(1, 3))
def test_resampled_counts_match_each_resample_alone(real, fake, n_resamples):
    trials = sort_trials(real, fake)
    rng = np.random.default_rng(len(real))
    counts = [
        rng.integers(0, 3, (n_resamples, len(trials.scores))) * kind + kind for kind in (trials.real, trials.fake)
    ]
    together = compute_metrics(trials._replace(real=counts[0], fake=counts[1]), threshold=0.5)
    for index in range(n_resamples):
        alone = compute_metrics(trials._replace(real=counts[0][index], fake=counts[1][index]), threshold=0.5)
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][index], value, err_msg=name)
