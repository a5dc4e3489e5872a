"""Contraction, rank correlation and predictive p-values against closed forms and SciPy."""

import numpy as np
import pytest
from scipy import stats

from channelwise.response.evidence import contraction, predictive_p, rank_correlation


@pytest.mark.parametrize("robust", [True, False])
def test_contraction_is_the_datas_share_of_a_normal_precision(robust):
    rng = np.random.default_rng(0)
    precision = np.array([0.0, 1.0, 9.0])  # of the data; the prior's is 1
    prior = rng.normal(size=(200_000, 3))
    posterior = 1 + rng.normal(size=(200_000, 3)) / np.sqrt(1 + precision)
    found = contraction(posterior, prior, robust=robust)
    np.testing.assert_allclose(found, precision / (1 + precision), atol=0.02)


def test_contraction_does_not_depend_on_place_or_unit():
    rng = np.random.default_rng(1)
    prior, posterior = rng.normal(size=(1000, 1)), rng.normal(size=(500, 1)) / 3
    again = contraction(7 + 1e6 * posterior, 1e6 * prior)
    np.testing.assert_allclose(again, contraction(posterior, prior), rtol=1e-9)


def test_contraction_is_the_same_for_a_roi_and_its_logarithm():
    rng = np.random.default_rng(11)
    prior = rng.normal(0.2, 0.9, (40_000, 2))
    posterior = rng.normal([0.5, 1.5], [0.3, 0.6], (20_000, 2))
    found = contraction(posterior, prior)
    np.testing.assert_allclose(contraction(np.exp(posterior), np.exp(prior)), found, rtol=1e-9)
    np.testing.assert_allclose(found, 1 - (np.array([0.3, 0.6]) / 0.9) ** 2, atol=0.03)


def test_data_that_carry_a_belief_far_away_are_all_there_is_to_hear():
    rng = np.random.default_rng(12)
    prior, posterior = rng.lognormal(0.2, 0.9, (1000, 1)), rng.normal(35, 3, (900, 1))
    assert contraction(posterior, prior)[0] > 0.95
    assert contraction(posterior, prior, robust=False)[0] < 0
    assert contraction(-posterior, prior)[0] == 1


def test_heavy_tails_fool_the_variance_and_not_the_quantiles():
    rng = np.random.default_rng(2)
    prior = rng.standard_t(1.2, size=(4000, 1))
    posterior = rng.standard_t(1.2, size=(4000, 1))
    posterior[0] = 1e6
    assert contraction(posterior, prior, robust=False) < -100
    assert abs(contraction(posterior, prior)[0]) < 0.2


def test_contraction_against_a_point_prior_or_missing_draws_is_unknown():
    draws = np.random.default_rng(3).normal(size=(50, 2))
    broken = draws.copy()
    broken[0, 1] = np.nan
    np.testing.assert_array_equal(np.isnan(contraction(broken, np.ones((9, 2)))), [True, True])
    np.testing.assert_array_equal(np.isnan(contraction(broken, draws)), [False, True])
    assert contraction(draws[:, 0], draws[:, 0]).shape == ()


def test_rank_correlation_equals_scipy_with_ties():
    x = np.random.default_rng(4).normal(size=(300, 4))
    x[:, 1] += 2 * x[:, 0]
    x[:, 2] = np.round(x[:, 2])
    np.testing.assert_allclose(rank_correlation(x), stats.spearmanr(x).statistic, atol=1e-12)


def test_rank_correlation_sees_any_monotone_relation_and_no_scale():
    a = np.random.default_rng(5).normal(size=200)
    x = np.stack([a, -np.exp(20 * a), np.full(200, 3.0)], axis=1)
    found = rank_correlation(x)
    np.testing.assert_allclose(found[:2, :2], [[1, -1], [-1, 1]], atol=1e-12)
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()


def noise(seed: int, size=(400, 2, 60)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


def test_replications_of_the_right_model_are_as_extreme_as_the_residuals():
    draws = noise(6)
    assert predictive_p(draws, draws) == (0.5, 0.5)
    found = predictive_p(np.broadcast_to(noise(7)[:1], draws.shape).copy(), draws)
    assert 0.02 < found.autocorrelation < 0.98 and 0.02 < found.outliers < 0.98


def test_residuals_that_follow_each_other_have_a_small_p():
    slow = np.cumsum(noise(8), axis=2)
    found = predictive_p(slow / slow.std(), noise(9))
    assert found.autocorrelation < 0.01
    assert predictive_p(noise(9), slow).autocorrelation > 0.99


def test_a_period_far_off_has_a_small_p_and_too_much_noise_a_large_one():
    far = noise(10)
    far[:, 1, 30] = -9.0
    assert predictive_p(far, noise(11)).outliers < 0.01
    assert predictive_p(0.1 * noise(10), noise(11)).outliers > 0.99


def test_neighbours_across_the_border_of_two_geos_are_no_neighbours():
    r = np.zeros((1, 2, 3))
    r[0, 0, 2] = r[0, 1, 0] = 1.0
    little = np.zeros((1, 2, 3))
    little[0, 0] = [1.0, 0.1, 0.0]  # 0.1 / 1.01, where the two geos in one row would have 1 / 2
    assert predictive_p(r, little).autocorrelation == 1.0
    assert predictive_p(r, r).autocorrelation == 0.5
