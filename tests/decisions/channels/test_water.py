"""The closed-form split, against its conditions, a general solver and every unit of currency."""

import numpy as np
import pytest
from scipy.optimize import brentq

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.curves import hill_curves
from channelwise.decisions.channels.strength import StrengthError
from channelwise.decisions.channels.water import water_filling


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 5, 6), rng.uniform(0.1, 5, 6), 10 ** rng.uniform(-2, 2)


@pytest.mark.parametrize("seed", range(20))
def test_every_channel_used_stands_at_the_level_and_no_other_would_reach_it(seed):
    a, k, budget = drawn(seed)
    x, level = water_filling(a, k, budget)
    marginal = a * k / (k + x) ** 2
    assert x.sum() == pytest.approx(budget, rel=1e-14)
    assert np.allclose(marginal[x > 0], level, rtol=1e-13)
    assert (marginal[x == 0] <= level * (1 + 1e-13)).all()


@pytest.mark.parametrize("seed", range(10))
def test_the_level_is_the_one_that_bisection_finds(seed):
    a, k, budget = drawn(seed)

    def over(level):
        return np.maximum(0, np.sqrt(a * k / level) - k).sum() - budget

    level = brentq(over, 1e-9, (a / k).max(), xtol=1e-15, rtol=1e-15)
    assert water_filling(a, k, budget).level == pytest.approx(level, rel=1e-10)


def test_with_equal_channels_the_split_is_equal():
    assert np.allclose(water_filling([2.0, 2.0], [1.0, 1.0], 3.0).spend, [1.5, 1.5], rtol=1e-15)


def test_a_small_budget_goes_to_the_channel_whose_first_currency_brings_most():
    assert np.allclose(water_filling([3.0, 2.0], [1.0, 0.1], 0.01).spend, [0, 0.01], rtol=1e-14)


def test_money_that_would_not_come_back_is_kept():
    spend, level = water_filling([4.0, 1.5], [1.0, 1.0], 100.0, keep=True)
    assert level == 1 and np.allclose(spend, [1.0, np.sqrt(1.5) - 1], rtol=1e-14)
    assert np.array_equal(water_filling([0.5], [1.0], 10.0, keep=True).spend, [0.0])


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_budget_solver_finds_the_same_split(seed, keep):
    a, k, budget = drawn(seed)
    curves = hill_curves(tuple("abcdef"), a, k, today=np.full(6, budget / 6))
    objective = "profit" if keep else "outcome"
    plan = allocate(curves, Constraints(budget=budget), objective=objective)
    filled = water_filling(a, k, budget, keep=keep)
    assert np.allclose(plan.spend, filled.spend, atol=1e-6 * budget)
    assert plan.certificate.proven


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_another_unit_of_currency_changes_nothing_else(unit):
    a, k, budget = drawn(4)
    one, other = water_filling(a, k, budget), water_filling(a * unit, k * unit, budget * unit)
    assert np.allclose(other.spend / unit, one.spend, rtol=1e-12)
    assert other.level == pytest.approx(one.level, rel=1e-13)


def test_nothing_to_fill_is_refused():
    with pytest.raises(StrengthError, match="budget = 0 must be above 0"):
        water_filling([1.0], [1.0], 0.0)
    with pytest.raises(StrengthError, match=r"half = \[0\.0\] must be above 0"):
        water_filling([1.0], [0.0], 1.0)
