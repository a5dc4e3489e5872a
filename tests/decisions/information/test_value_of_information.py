"""What a test is worth: closed forms, brute force, bounds and limits."""

import numpy as np
import pytest
from scipy import stats

from channelwise.decisions.budget.constraints import ConstraintError, Constraints
from channelwise.decisions.budget.curves import Curves, hill_curves
from channelwise.decisions.information.value_of_information import (
    Decision,
    told_classes,
    value_of_information,
)

BUDGET = 100.0


def two_arms(mean, spread, draws=2000, seed=0):
    """One currency back for sure, or θ ~ N(mean, spread²): quantiles in random order."""
    theta = mean + spread * stats.norm.ppf((np.arange(draws) + 0.5) / draws)
    np.random.default_rng(seed).shuffle(theta)
    amplitude = np.stack([np.ones(draws), theta])[:, :, None]
    ones = np.ones_like(amplitude)
    arms = Curves(
        ("sure", "unsure"), ("power",) * 2, amplitude, ones, ones[..., 0], np.full(2, BUDGET / 2)
    )
    return theta, Decision(arms, Constraints(BUDGET))


def closed_form(mean, spread, error):
    """B E max(E(θ|y) − 1, 0) − B max(mean − 1, 0): the unit normal loss (Raiffa & Schlaifer)."""
    d, s = mean - 1, spread**2 / np.hypot(spread, error)
    return BUDGET * (s * stats.norm.pdf(d / s) + d * stats.norm.cdf(d / s) - max(d, 0))


@pytest.mark.parametrize("mean", [0.92, 1.0, 1.05])
@pytest.mark.parametrize("error", [0.02, 0.15, 0.4])
def test_two_arms_have_their_closed_form(mean, error):
    theta, decision = two_arms(mean, 0.15)
    found = value_of_information(decision, 7 * theta, 7 * error)  # lift in any unit
    exact = closed_form(mean, 0.15, error)
    assert found.high == pytest.approx(exact, rel=0.03, abs=0.005)
    assert found.high < exact * 1.001 + 1e-3  # classes only lose
    assert found.value == pytest.approx(exact, rel=0.06, abs=0.01)
    assert found.error > 0


def test_more_classes_come_closer_from_below():
    theta, decision = two_arms(0.95, 0.15)
    exact = closed_form(0.95, 0.15, 0.1)
    high = [value_of_information(decision, theta, 0.1, classes=k).high for k in (3, 8, 64)]
    assert high[0] < exact and high[1] < exact
    assert high[2] == pytest.approx(exact, rel=0.005)


def three(draws=300, seed=1, slope=1.0):
    rng = np.random.default_rng(seed)
    shape = (draws, 3)
    curves = hill_curves(
        ("tv", "search", "radio"),
        rng.lognormal(5, 0.5, shape),
        rng.lognormal(4, 0.3, shape),
        slope,
        today=np.array([50.0, 30.0, 20.0]),
    )
    return curves, Decision(curves, Constraints(BUDGET))


@pytest.mark.parametrize("slope", [1.0, 2.5], ids=["concave", "S-shaped"])
def test_by_brute_force_over_outcomes_and_plans(slope):
    curves, decision = three(40, slope=slope)
    lift = -curves.values(curves.today)[:, 0]
    found = value_of_information(decision, lift, 20.0, classes=64)
    grid = np.linspace(0, BUDGET, 51)
    plans = [(a, b, BUDGET - a - b) for a in grid for b in grid if a + b <= BUDGET + 1e-9]
    worth = np.stack([curves.values(np.array(x)).sum(axis=1) for x in plans])  # plan draw
    y = np.linspace(lift.min() - 120, lift.max() + 120, 4001)
    density = stats.norm.pdf(y[:, None], lift, 20.0) / 40
    best = (worth @ density.T).max(axis=0)
    exact = np.sum(best) * (y[1] - y[0]) - worth.mean(axis=1).max()
    assert found.high == pytest.approx(exact, rel=0.03)


def test_it_lies_between_nothing_and_perfect_information_and_falls_with_the_error():
    curves, decision = three()
    lift = curves.values(curves.today)[:, 0]
    perfect, error = decision.perfect
    assert 0 < error < perfect
    high = [value_of_information(decision, lift, e).high for e in (0.1, 5, 20, 80, 1e5)]
    assert (np.diff(high) < 0).all() and high[0] < perfect
    assert high[-1] == pytest.approx(0, abs=1e-3 * perfect)


def test_a_test_that_tells_everything_is_worth_perfect_information():
    theta, decision = two_arms(1.0, 0.15)
    found = value_of_information(decision, theta, 1e-6)
    assert found.high == pytest.approx(decision.perfect[0], rel=1e-3)


def test_a_test_that_all_draws_foresee_alike_is_worth_nothing():
    _, decision = three()
    found = value_of_information(decision, np.full(300, 12.0), 1.0)
    assert found.high == pytest.approx(0, abs=1e-9) and found.moves == found.change == 0


def test_lifts_without_a_bearing_on_the_curves_are_worth_nothing_across_halves():
    """In sample, chance makes such a test look useful; half the draws plan for the other half."""
    _, decision = three()
    noise = np.random.default_rng(3).normal(size=(12, 300))
    found = [value_of_information(decision, lift, 0.5) for lift in noise]
    high, low, value = (np.array([getattr(f, n) for f in found]) for n in ("high", "low", "value"))
    assert (high > 0).all() and low.mean() < 0
    raw = (2 * high + low) / 3
    assert abs(raw.mean()) < 0.4 * high.mean()
    np.testing.assert_allclose(value, np.maximum(raw, 0), atol=1e-12)


def test_the_error_covers_the_spread_over_other_draws():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        theta = 1 + 0.15 * rng.standard_normal(400)
        amplitude = np.stack([np.ones(400), theta])[:, :, None]
        ones = np.ones_like(amplitude)
        arms = Curves(("a", "b"), ("power",) * 2, amplitude, ones, ones[..., 0], np.full(2, 50.0))
        decision = Decision(arms, Constraints(BUDGET, upper={"b": 60.0}, lower={"b": 10.0}))
        found.append(value_of_information(decision, theta, 0.1, classes=8))
    spread = np.std([f.value for f in found])
    assert 0.5 < np.mean([f.error for f in found]) / spread < 2


def test_the_weights_of_the_draws_are_those_of_the_prior():
    curves, _ = three(200)
    weights = np.r_[np.full(100, 1.0), np.zeros(100)]
    lift = curves.values(curves.today)[:, 0]
    some = Decision(curves.reweighted(weights), Constraints(BUDGET))
    only = Decision(curves.only(np.arange(100)), Constraints(BUDGET))
    a = value_of_information(some, lift, 10.0)
    b = value_of_information(only, lift[:100], 10.0)
    assert a.high == pytest.approx(b.high, rel=0.02)
    assert some.perfect[0] == pytest.approx(only.perfect[0], rel=1e-9)


@pytest.mark.parametrize("unit", [1e-3, 1e6])
def test_the_answer_does_not_depend_on_the_currency(unit):
    curves, decision = three(100)
    lift = curves.values(curves.today)[:, 0]
    other = Decision(curves.in_units(1 / unit, 1 / unit), Constraints(BUDGET * unit))
    a, b = value_of_information(decision, lift, 9.0), value_of_information(other, lift, 9.0)
    assert b.value == pytest.approx(unit * a.value, rel=1e-6)
    assert other.perfect[0] == pytest.approx(unit * decision.perfect[0], rel=1e-6)


def test_profit_values_what_is_left_unspent():
    curves, _ = three(200)
    lift = curves.values(curves.today)[:, 0]
    poor = Decision(curves, Constraints(BUDGET), "profit", margin=0.2)
    assert 0 < value_of_information(poor, lift, 5.0).high < poor.perfect[0]
    hopeless = Decision(curves, Constraints(BUDGET), "profit", margin=0.001)
    assert value_of_information(hopeless, lift, 5.0).high == pytest.approx(0, abs=1e-9)


def test_classes_are_probabilities_of_the_measured_lift():
    lift = np.array([-3.0, 0.0, 1.0, 8.0])
    weights = np.array([0.1, 0.4, 0.4, 0.1])
    told = told_classes(lift, 2.0, weights, 9)
    np.testing.assert_allclose(told.sum(axis=1), 1, rtol=1e-12)
    expected = np.diff(stats.norm.cdf(np.linspace(-2, 2, 8)), prepend=0, append=1)
    np.testing.assert_allclose(weights @ told, expected, atol=2e-4)
    y = lift[:, None] + 2.0 * np.random.default_rng(0).standard_normal((4, 200_000))
    edge = np.quantile(y[1], told[1, 0])
    assert (y[2] < edge).mean() == pytest.approx(told[2, 0], abs=0.005)


def test_what_cannot_be_valued_is_named():
    curves, decision = three(50)
    with pytest.raises(ValueError, match="3 lifts for 50 draws"):
        value_of_information(decision, np.ones(3), 1.0)
    with pytest.raises(ValueError, match="standard error of 0 is none"):
        value_of_information(decision, np.ones(50), 0.0)
    with pytest.raises(ConstraintError, match="A target ROI cannot be kept"):
        Decision(curves, Constraints(BUDGET, target_roi=2.0))
