"""Posteriors against scipy's distributions."""

import numpy as np
import pytest
from scipy import stats

from channelwise.decisions.experiments.conjugate import Beta, Normal

PAIRS = [
    (Beta(1.0, 1.0), stats.beta(1, 1)),
    (Beta(0.5, 30.0), stats.beta(0.5, 30)),
    (Beta(5e5, 1e7), stats.beta(5e5, 1e7)),
    (Normal(-3.0, 0.2), stats.norm(-3, 0.2)),
]


@pytest.mark.parametrize("ours, reference", PAIRS)
def test_density_distribution_and_quantiles_are_the_textbooks(ours, reference):
    q = np.array([1e-12, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9])
    x = reference.ppf(q)
    np.testing.assert_allclose(ours.ppf(q), x, rtol=1e-9)
    np.testing.assert_allclose(ours.cdf(x), q, rtol=1e-6)
    np.testing.assert_allclose(ours.pdf(x), reference.pdf(x), rtol=1e-6)
    assert ours.mean == pytest.approx(reference.mean())


def test_a_rate_stays_between_0_and_1():
    x = np.array([-0.5, 0.0, 1.0, 1.5])
    np.testing.assert_array_equal(Beta(0.5, 0.5).pdf(x), 0)
    np.testing.assert_array_equal(Beta(0.5, 0.5).cdf(x), [0, 0, 1, 1])
