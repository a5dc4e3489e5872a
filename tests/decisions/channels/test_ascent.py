"""Gradient ascent under a budget: where it arrives, where it stays, and in what unit."""

import numpy as np
import pytest

import channel_values
from channelwise.decisions.channels.ascent import climb
from channelwise.decisions.channels.branch import best_spend
from channelwise.decisions.channels.strength import StrengthError

BUDGET = 1e5
EQUAL = np.full((1, 3), BUDGET / 3)
METHODS = ("gradient", "adam", "adam_own_metric")


@pytest.fixture(scope="module")
def value():
    return channel_values.known()


@pytest.mark.parametrize("method", ["gradient", "adam_own_metric"])
def test_a_true_ascent_reaches_the_proven_best_from_a_good_start(value, method):
    best = best_spend(value, BUDGET)
    climbed = climb(value, EQUAL, BUDGET, method=method, steps=1500)
    assert climbed.worth[0] == pytest.approx(best.worth, rel=1e-6)


def test_adam_with_the_usual_projection_never_leaves_a_split_of_the_whole_budget(value):
    starts = np.array([[1, 1, 1], [4, 3, 3], [5, 2, 3]]) / [[3], [10], [10]] * BUDGET
    marginals = value.marginal(starts)
    assert (marginals.max(1) > 1.2 * marginals.min(1)).all()
    climbed = climb(value, starts, BUDGET, steps=200, rate=1e-3, keep=False)
    assert np.allclose(climbed.path, starts[:, None], atol=1e-4 * BUDGET)
    assert (climbed.worth < 0.95 * best_spend(value, BUDGET, keep=False).worth).all()


def test_in_its_own_metric_adam_leaves_that_split_and_equals_the_marginal_values(value):
    climbed = climb(value, EQUAL, BUDGET, method="adam_own_metric", steps=1500, keep=False)
    marginal = value.marginal(climbed.spend)[0]
    used = climbed.spend[0] > 1
    assert np.ptp(marginal[used]) < 1e-3 * marginal.max()
    assert climbed.worth[0] > 1.05 * value.value(EQUAL)[0]


def test_no_ascent_is_better_than_the_bound_and_several_stay_below_the_best(value):
    starts = BUDGET * np.concatenate([np.zeros((1, 3)), np.eye(3), np.full((1, 3), 1 / 3)])
    best = best_spend(value, BUDGET)
    climbed = climb(value, starts, BUDGET, method="gradient", steps=500)
    assert (climbed.worth <= best.bound).all()
    assert (climbed.worth < 0.5 * best.worth).sum() == 3


def test_every_step_keeps_the_budget_and_the_limits(value):
    upper = BUDGET * np.array([0.3, 0.2, 1.0])
    starts = np.array([[2 * BUDGET, 0, 0], [0, 0, 0]])
    for method in METHODS:
        path = climb(value, starts, BUDGET, method=method, steps=50, upper=upper, rate=0.1).path
        assert path.shape == (2, 51, 3)
        assert (path >= 0).all() and (path <= upper * (1 + 1e-12)).all()
        assert (path.sum(-1) <= BUDGET * (1 + 1e-12)).all()


def test_the_path_in_shares_does_not_depend_on_the_unit_of_currency(value):
    settings = {"method": "adam_own_metric", "steps": 50, "keep": False}
    one = climb(value, EQUAL, BUDGET, **settings)
    two = climb(channel_values.known(unit=1e6), 1e6 * EQUAL, 1e6 * BUDGET, **settings)
    assert np.allclose(two.path / 1e6, one.path, atol=1e-6 * BUDGET)


def test_s_shapes_hold_an_ascent_from_nothing_at_nothing():
    value = channel_values.known()
    flat = value.marginal(np.zeros(3))
    climbed = climb(value, np.zeros((1, 3)), BUDGET, method="gradient", steps=100)
    assert (flat < 1).all() and np.array_equal(climbed.spend, np.zeros((1, 3)))


def test_an_unknown_method_and_no_budget_are_refused(value):
    with pytest.raises(StrengthError, match="method = 'adm' must be one of gradient, adam, adam_"):
        climb(value, EQUAL, BUDGET, method="adm")
    with pytest.raises(StrengthError, match="budget = 0 must be above 0"):
        climb(value, EQUAL, 0.0)
