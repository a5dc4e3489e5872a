"""Ensemble scores and uniform ranks against brute force, enumeration and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from channelwise.response.calibration import (
    chi_square_p,
    crps,
    ecdf_band,
    ecdf_p,
    interval_coverage,
    ranks,
)


def brute_crps(x: np.ndarray, y: float) -> float:
    return np.abs(x - y).mean() - np.abs(x[:, None] - x[None]).mean() / 2


@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_crps_equals_its_double_sum(n):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 3, 2)), rng.normal(size=(3, 2))
    y[0, 0] = x[n // 2, 0, 0]
    expected = [[brute_crps(x[:, i, j], y[i, j]) for j in range(2)] for i in range(3)]
    np.testing.assert_allclose(crps(x, y), expected, rtol=1e-12, atol=1e-15)


def test_crps_of_a_normal_ensemble_is_its_closed_form():
    y, x = 0.7, stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
    closed = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    assert crps(x, np.asarray(y)) == pytest.approx(closed, rel=1e-4)


def test_crps_keeps_its_digits_far_from_zero():
    x, y = np.array([1.0, 2.0, 4.0]), np.asarray(2.5)
    assert crps(x + 1e9, np.asarray(y + 1e9)) == pytest.approx(crps(x, y), rel=1e-6)


def test_the_rank_is_the_number_of_draws_below():
    draws = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    found = ranks(draws, np.array([2.5, 0.0]), np.random.default_rng(0))
    np.testing.assert_array_equal(found, [2, 0])


def test_ties_are_broken_evenly():
    draws = np.zeros((3, 20000))
    found = ranks(draws, np.zeros(20000), np.random.default_rng(1))
    np.testing.assert_allclose(np.bincount(found) / 20000, [0.25] * 4, atol=0.02)


def test_chi_square_equals_scipy():
    found = np.random.default_rng(2).integers(0, 100, 300)
    counts = np.bincount(found // 10, minlength=10)
    assert chi_square_p(found, 99, bins=10) == pytest.approx(stats.chisquare(counts).pvalue)


@pytest.mark.parametrize("n, bins", [(1, 2), (3, 3), (5, 4), (4, 6)])
def test_the_p_value_of_the_distribution_function_equals_enumeration(n, bins):
    """All bins^n outcomes are equally likely: count those whose statistic is as small."""

    def statistic(outcome) -> float:
        c = np.cumsum(np.bincount(outcome, minlength=bins))[:-1]
        share = np.arange(1, bins) / bins
        ends = stats.binom.cdf(c, n, share), stats.binom.sf(c - 1, n, share)
        return 2 * np.minimum(*ends).min()

    outcomes = [np.array(o) for o in product(range(bins), repeat=n)]
    every = np.array([statistic(o) for o in outcomes])
    for outcome, own in list(zip(outcomes, every, strict=True))[:: max(len(outcomes) // 40, 1)]:
        expected = np.mean(every <= own * (1 + 1e-9))
        assert ecdf_p(outcome, bins - 1, bins) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("cases, bins", [(10, 5), (500, 20), (2000, 100)])
def test_the_band_holds_uniform_ranks_as_often_as_it_says(cases, bins, level):
    band = ecdf_band(cases, bins, level)
    rng = np.random.default_rng(3)
    counts = rng.multinomial(cases, [1 / bins] * bins, size=20000)
    curves = np.cumsum(counts, 1) / cases
    inside = ((curves >= band.low - 1e-12) & (curves <= band.high + 1e-12)).all(1).mean()
    slack = 0.2 if cases == 10 else 0.02  # whole counts cannot hit the level exactly
    assert level - 0.012 < inside < min(level + slack, 1)


def test_the_band_and_the_p_value_agree():
    band, rng = ecdf_band(200, 10), np.random.default_rng(4)
    for _ in range(300):
        found = rng.integers(0, 10, 200)
        curve = np.cumsum(np.bincount(found, minlength=10)) / 200
        inside = ((curve >= band.low - 1e-12) & (curve <= band.high + 1e-12)).all()
        p = ecdf_p(found, 9, 10)
        assert inside == (p > 0.05) or abs(p - 0.05) < 0.02


def test_the_band_spans_the_unit_square_and_ends_in_one():
    band = ecdf_band(100, 4)
    np.testing.assert_allclose(band.share, [0.25, 0.5, 0.75, 1])
    assert band.low[-1] == band.high[-1] == 1
    np.testing.assert_allclose(band.low[:3], 1 - band.high[:3][::-1], atol=1e-12)


SHAPES = {
    "too narrow": lambda rng, n: rng.beta(0.7, 0.7, n),
    "too wide": lambda rng, n: rng.beta(1.5, 1.5, n),
    "shifted": lambda rng, n: rng.beta(1.0, 1.3, n),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_ranks_of_a_wrong_posterior_are_found_out(shape):
    u = SHAPES[shape](np.random.default_rng(5), 1000)
    found = np.minimum((u * 100).astype(int), 99)
    assert ecdf_p(found, 99) < 0.001 and chi_square_p(found, 99) < 0.01


def test_p_values_of_uniform_ranks_are_uniform_enough():
    rng = np.random.default_rng(6)
    many = [rng.integers(0, 100, 500) for _ in range(600)]
    for test in (ecdf_p, chi_square_p):
        p = np.array([test(found, 99) for found in many])
        np.testing.assert_allclose([np.mean(p < a) for a in (0.1, 0.5)], [0.1, 0.5], atol=0.065)


def test_ranks_and_bins_that_do_not_fit_are_refused():
    good = np.arange(100)
    with pytest.raises(ValueError, match="got 0 to 99"):
        ecdf_p(good, 50)
    with pytest.raises(ValueError, match="got none"):
        ecdf_p(np.array([], int), 99)
    with pytest.raises(ValueError, match="1 bins do not divide"):
        ecdf_p(good, 99, bins=1)
    with pytest.raises(ValueError, match="7 bins do not divide the 100 ranks"):
        ecdf_p(good, 99, bins=7)
    with pytest.raises(ValueError, match="100 cases in 50 bins"):
        chi_square_p(good, 99, bins=50)
    with pytest.raises(ValueError, match="level=1"):
        ecdf_band(10, 5, 1.0)


@pytest.mark.parametrize("draws", [9, 99, 1000])
def test_intervals_of_a_calibrated_ensemble_cover_at_their_level_however_few_draws(draws):
    rng = np.random.default_rng(7)
    x, y = rng.standard_cauchy((draws, 4000, 2)), rng.standard_cauchy((4000, 2))
    found = interval_coverage(x, y, 0.8)
    assert found.error == pytest.approx(np.sqrt(0.8 * 0.2 / 4000)) and found.level == 0.8
    assert (np.abs(found.share - 0.8) < 3.5 * found.error).all()


def test_intervals_of_an_overconfident_ensemble_do_not_cover():
    rng = np.random.default_rng(8)
    found = interval_coverage(0.5 * rng.normal(size=(200, 500)), rng.normal(size=500), 0.9)
    assert found.share < 0.9 - 10 * found.error


def test_a_level_outside_zero_and_one_is_refused():
    with pytest.raises(ValueError, match=r"got 1\.5"):
        interval_coverage(np.zeros((3, 2)), np.zeros(2), 1.5)
