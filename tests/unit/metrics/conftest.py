"""Fixtures of the tests of metrics."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def reference_sweep():
    """Give a function for both error rates at every threshold."""

    def sweep(real, fake):
        """Compute both error rates trial by trial, by the definition of the ASVspoof 5 package."""
        scores = [(score, 0, index) for index, score in enumerate(real)]
        scores += [(score, 1, index) for index, score in enumerate(fake)]
        rejected, accepted = 0, len(fake)
        scores = sorted(scores)  # bona fide first among equals
        lowest = [score for score, _, _ in scores] + [np.nextafter(scores[-1][0], np.inf)]  # that each point accepts
        points = [(0.0, 1.0, lowest[0])]
        for (_, kind, _), threshold in zip(scores, lowest[1:], strict=True):
            rejected, accepted = rejected + (kind == 0), accepted - (kind == 1)
            points.append((rejected / len(real), accepted / len(fake), threshold))
        return points

    return sweep
