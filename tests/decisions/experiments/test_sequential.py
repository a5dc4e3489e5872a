"""Always-valid tests and intervals against their equations, limits, and paths seen throughout."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import nct, norm, t

from channelwise.decisions.experiments.arms import Counts, ExperimentError, Moments
from channelwise.decisions.experiments.experiment import compare
from channelwise.decisions.experiments.sequential import (
    always_valid,
    critical_value,
    log_e_value,
    tightest,
)


@pytest.mark.parametrize("alpha", [0.3, 0.05, 1e-4])
@pytest.mark.parametrize("n", [5, 40, 10**6])
def test_at_the_critical_value_e_is_one_over_alpha(n, alpha):
    c = critical_value(n, 1000.0, alpha)
    if np.isfinite(c):
        assert log_e_value(c, n, 1000.0, alpha) == pytest.approx(-np.log(alpha))
    else:
        assert log_e_value(1e30, n, 1000.0, alpha) < -np.log(alpha)


def test_e_is_the_bayes_factor_of_a_normal_prior_on_the_standardized_effect():
    n, planned, statistic = 30, 80.0, 2.7
    g = tightest(0.05) / planned  # variance of the effect on t, for each unit

    def weighted(away: float) -> float:
        return nct.pdf(statistic, n - 2, away) * norm.pdf(away, 0, np.sqrt(g * n))

    expected = quad(weighted, -40, 40, limit=200)[0] / t.pdf(statistic, n - 2)
    assert np.exp(log_e_value(statistic, n, planned)) == pytest.approx(expected, rel=1e-6)


def test_for_many_units_it_is_the_normal_mixture():
    n = np.array([1e7, 1e8])
    kappa = tightest(0.05) * n / 3e7
    square = (1 + 1 / kappa) * np.log((1 + kappa) / 0.05**2)
    np.testing.assert_allclose(critical_value(n, 3e7) ** 2, square, rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_the_interval_is_tightest_where_planned(alpha):
    def width(log_kappa: float) -> float:  # of a fixed number of units
        kappa = np.exp(log_kappa)
        return (1 + 1 / kappa) * np.log((1 + kappa) / alpha**2)

    best = minimize_scalar(width, bounds=(-3, 8), method="bounded").x
    assert tightest(alpha) == pytest.approx(np.exp(best), rel=1e-4)
    plans = 1e6 * np.geomspace(0.2, 5, 41)
    at_million = [critical_value(1e6, p, alpha) for p in plans]
    assert plans[np.argmin(at_million)] == pytest.approx(1e6, rel=0.05)


def test_a_tiny_sample_bounds_nothing_and_a_single_look_would_be_narrower():
    assert critical_value(3, 1000.0) == np.inf
    c = critical_value(np.arange(20, 100_000, 500), 20_000.0)
    assert (c > 2.9).all() and c.min() < 3.04


def test_the_estimate_is_made_of_the_critical_value_and_e():
    a, b = Moments(500, 10.0, 4.0), Moments(500, 10.5, 5.0)
    pair = compare(a, b)
    found = always_valid(pair, 2000.0)
    c = critical_value(1000, 2000.0)
    assert (found.low, found.high) == pytest.approx((0.5 - c * pair.error, 0.5 + c * pair.error))
    assert found.p_value == pytest.approx(np.exp(-log_e_value(0.5 / pair.error, 1000, 2000.0)))
    assert found.significant == (found.low > 0)


@pytest.mark.parametrize("shift", [0.1, 0.3, 0.45, 0.5, 0.6, 1.0])
def test_interval_lift_and_p_value_agree_on_whether_there_is_an_effect(shift):
    pair = compare(Moments(500, 10.0, 4.0), Moments(500, 10.0 + shift, 5.0))
    difference, lift = always_valid(pair, 2000.0), always_valid(pair, 2000.0, scale="lift")
    assert difference.significant == (difference.low > 0) == (lift.low > 0)
    assert lift.value == pytest.approx(shift / 10)


def test_an_overwhelming_effect_has_a_p_value_of_0():
    pair = compare(Moments(10**6, 10.0, 1e-4), Moments(10**6, 20.0, 1e-4))
    assert always_valid(pair, 2e6).p_value == 0


def paths(seed: int, draw, cases: int, n: int, effect: float = 0.0):
    """t statistics and errors of two arms at every look, each one unit to both arms later."""
    rng, k = np.random.default_rng(seed), np.arange(1, n + 1)
    sums = []
    for shift in (0.0, effect):
        y = draw(rng, (cases, n)) + shift
        mean = np.cumsum(y, 1) / k
        sums.append((mean, (np.cumsum(y**2, 1) - k * mean**2) / np.maximum(k - 1, 1)))
    (m_a, v_a), (m_b, v_b) = sums
    return (m_b - m_a)[:, 1:], np.sqrt((v_a + v_b) / k)[:, 1:], 2 * k[1:]


def test_peeking_at_every_normal_observation_keeps_the_error():
    difference, error, n = paths(0, lambda r, s: r.normal(size=s), 3000, 1000)
    crossed = (np.abs(difference / error) >= critical_value(n, 1000.0)).any(1).mean()
    naive = (np.abs(difference / error) >= t.ppf(0.975, n - 2)).any(1).mean()
    assert 0.01 < crossed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 3000)
    assert naive > 0.4


@pytest.mark.parametrize("effect", [0.0, 0.4])
def test_the_confidence_sequence_holds_the_truth_at_all_times_together(effect):
    difference, error, n = paths(1, lambda r, s: r.normal(size=s), 3000, 600, effect)
    held = (np.abs(difference - effect) <= critical_value(n, 800.0, 0.1) * error).all(1).mean()
    assert 0.9 - 2 * np.sqrt(0.09 / 3000) <= held < 0.99


def test_heavy_tails_keep_the_error_from_a_few_hundred_units_on():
    difference, error, n = paths(2, lambda r, s: r.lognormal(0, 1.2, s), 2000, 1500)
    late = n >= 400
    crossed = np.abs(difference / error) >= critical_value(n, 1500.0)
    assert crossed[:, late].any(1).mean() <= 0.05


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: critical_value(2, 100.0), "n is 2; a t statistic needs at least 3"),
        (lambda: critical_value(9, 0.0), "planned is 0; give a finite number above 0"),
        (lambda: tightest(0.0), "alpha is 0; it must lie strictly between"),
        (lambda: always_valid(compare(Counts(0, 9), Counts(0, 9)), 9.0), "the rates do not vary"),
        (
            lambda: always_valid(
                compare(Moments(9, -1.0, 1.0), Moments(9, 1.0, 1.0)), 9.0, scale="lift"
            ),
            "a lift needs a control above 0",
        ),
        (
            lambda: always_valid(compare(Counts(1, 9), Counts(2, 9)), 9.0, scale="ratio"),
            "scale is 'ratio'; there are difference and lift",
        ),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
