"""The winner's curse against published figures and simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from channelwise.decisions.experiments.arms import ExperimentError
from channelwise.decisions.experiments.winner import exaggeration, wrong_sign


@pytest.mark.parametrize("power, factor", [(0.2, 2.26), (0.5, 1.41), (0.8, 1.12)])
def test_significant_effects_look_as_much_too_large_as_published(power, factor):
    assert exaggeration(power) == pytest.approx(factor, abs=0.006)


@pytest.mark.parametrize("away, alpha", [(0.3, 0.05), (1.0, 0.05), (2.8, 0.05), (1.5, 0.2)])
def test_both_equal_a_simulation(away, alpha):
    z, cut = np.random.default_rng(0).normal(away, 1, 2_000_000), norm.isf(alpha / 2)
    hits = z[np.abs(z) > cut]
    power = norm.sf(cut - away) + norm.cdf(-cut - away)
    assert exaggeration(power, alpha) == pytest.approx(np.abs(hits).mean() / away, rel=0.01)
    assert wrong_sign(power, alpha) == pytest.approx((hits < 0).mean(), abs=0.003)


def test_a_sure_test_exaggerates_nothing_and_a_blind_one_everything():
    assert exaggeration(1 - 1e-12) == pytest.approx(1, abs=1e-6)
    assert wrong_sign(0.9999) < 1e-6
    assert exaggeration(0.0501) > 50
    assert wrong_sign(0.0500001) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("power, alpha", [(0.05, 0.05), (1.0, 0.05), (0.5, 0.0)])
def test_a_power_at_or_below_alpha_is_refused(power, alpha):
    with pytest.raises(ExperimentError, match="is"):
        exaggeration(power, alpha)
