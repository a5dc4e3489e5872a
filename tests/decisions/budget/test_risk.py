"""Cautious plans against brute force, linear programs, definitions and finite differences."""

import itertools

import numpy as np
import pytest
from scipy import optimize

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import ConstraintError, Constraints, Group
from channelwise.decisions.budget.curves import Curves, hill_curves
from channelwise.decisions.budget.risk import allocate_for_risk, risk_frontier
from channelwise.decisions.budget.risk_bound import allowed, least_favourable
from channelwise.decisions.budget.risk_measures import (
    cvar,
    probability,
    quantile,
    smooth_cvar,
    smooth_probability,
    smooth_quantile,
    worst,
)


def curves(seed=0, channels=3, draws=25, slope=(1.0, 1.0), unit=1.0) -> Curves:
    rng = np.random.default_rng(seed)
    C, S = channels, draws
    amplitude = rng.uniform(50, 300, C) * rng.lognormal(0, rng.uniform(0.1, 0.9, C), (S, C))
    half = rng.uniform(30, 200, C) * rng.lognormal(0, 0.3, (S, C))
    names = tuple("abcdefgh"[:C])
    n, today = rng.uniform(*slope, (S, C)), unit * rng.uniform(30, 100, C)
    return hill_curves(names, unit * amplitude, unit * half, n, today=today)


def grid(curves: Curves, budget: float, steps: int = 24) -> np.ndarray:
    """Outcomes of every division of the budget into equal parts, (plan, draw)."""
    C = curves.n_channels
    bars = itertools.combinations(range(steps + C - 1), C - 1)
    parts = np.diff(np.array([(-1, *b, steps + C - 1) for b in bars]), axis=1) - 1
    return np.array([curves.values(x).sum(axis=1) for x in parts * (budget / steps)])


def some_draws(seed=0, S=40):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.2, 1, S)
    return rng.normal(5, 2, S), p / p.sum()


def test_cvar_is_the_least_mean_over_the_weights_it_allows():
    for seed, level in itertools.product(range(5), (0.05, 0.1, 0.37, 0.9)):
        y, p = some_draws(seed)
        box = [(0, x / level) for x in p]
        least = optimize.linprog(y, A_eq=np.ones((1, 40)), b_eq=[1.0], bounds=box).fun
        assert cvar(y, p, level) == pytest.approx(least, rel=1e-10)
        q = worst(y, p, level)
        assert q.sum() == pytest.approx(1) and (q <= p / level * (1 + 1e-12)).all()


def test_cvar_of_equal_draws_is_the_mean_of_the_worst():
    y = np.random.default_rng(0).normal(size=50)
    assert cvar(y, np.full(50, 0.02), 0.1) == pytest.approx(np.sort(y)[:5].mean(), rel=1e-12)
    assert cvar(y, np.full(50, 0.02), 1.0) == pytest.approx(y.mean(), rel=1e-12)


def test_quantile_and_probability_follow_their_definitions():
    y, p = some_draws(1)
    for level in (0.03, 0.1, 0.5, 0.95):
        v = quantile(y, p, level)
        assert p[y <= v].sum() >= level - 1e-12 and p[y < v].sum() < level
    equal = np.full(40, 1 / 40)
    assert quantile(y, equal, 0.1) == np.sort(y)[3]
    assert probability(y, p, np.full(40, 5.0)) == pytest.approx(p[y > 5].sum())


@pytest.mark.parametrize("width", [1.0, 0.05])
def test_influences_are_the_slopes_of_smooth_measures(width):
    y, p = some_draws(2, S=12)
    today = np.full(12, 4.5)
    for measure in (
        smooth_cvar(p, 0.2, 0.7, width),
        smooth_quantile(p, 0.2, width),
        smooth_probability(p, today, width),
    ):
        found = measure(y)
        for s in range(12):
            h = np.zeros(12)
            h[s] = 1e-5
            slope = (measure(y + h).value - measure(y - h).value) / 2e-5
            assert found.influence[s] == pytest.approx(slope, abs=1e-7)


def test_the_spread_of_smooth_cvar_is_its_second_derivative():
    y, p = some_draws(3, S=8)
    measure = smooth_cvar(p, 0.3, 0.6, 0.5)
    d = measure(y).spread
    # with s = share: spread carries s, and so does Σd
    H = -np.diag(d) + np.outer(d, d) / d.sum()
    for s in range(8):
        h = np.zeros(8)
        h[s] = 1e-5
        bend = (measure(y + h).influence - measure(y - h).influence) / 2e-5
        np.testing.assert_allclose(H[s], bend, atol=1e-8)


def test_smooth_measures_end_at_the_exact_ones():
    y, p = some_draws(4)
    assert smooth_cvar(p, 0.1, 1.0, 1e-9)(y).value == pytest.approx(cvar(y, p, 0.1), rel=1e-8)
    assert smooth_quantile(p, 0.1, 1e-9)(y).value == pytest.approx(quantile(y, p, 0.1), rel=1e-6)
    today = np.full(40, 5.0)
    assert smooth_probability(p, today, 1e-9)(y).value == pytest.approx(probability(y, p, today))


@pytest.mark.parametrize("seed", range(3))
def test_no_division_on_a_grid_has_a_better_cvar(seed):
    c = curves(seed)
    plan = allocate_for_risk(c, Constraints(budget=200.0), level=0.15)
    best = max(cvar(y, np.full(25, 0.04), 0.15) for y in grid(c, 200.0))
    assert plan.certificate.gap < 1e-6 and plan.certificate.proven
    assert best <= plan.certificate.bound
    assert best <= plan.certificate.value * (1 + 1e-9)
    assert plan.certificate.value == pytest.approx(cvar(plan.outcome, plan.weights, 0.15))


@pytest.mark.parametrize("seed", range(3))
def test_cvar_of_linear_curves_is_that_of_a_linear_program(seed):
    rng = np.random.default_rng(seed)
    C, S, level = 4, 30, 0.2
    rate = rng.lognormal(0, 0.5, (C, S))
    c = Curves(
        tuple("abcd"),
        ("power",) * C,
        rate[:, :, None],
        np.ones((C, S, 1)),
        np.ones((C, S)),
        np.full(C, 10.0),
    )
    constraints = Constraints(100.0, upper=dict.fromkeys("abcd", 40.0))
    plan = allocate_for_risk(c, constraints, level=level)
    # max t − Σ u/(αS),  u ≥ t − rate·x,  u ≥ 0
    cost = np.concatenate([np.zeros(C), [-1.0], np.full(S, 1 / (level * S))])
    rows = np.column_stack([-rate.T, np.ones(S), -np.eye(S)])
    rows = np.vstack([rows, np.concatenate([np.ones(C), np.zeros(S + 1)])])
    limit = np.append(np.zeros(S), 100.0)
    box = [(0, 40)] * C + [(None, None)] + [(0, None)] * S
    best = -optimize.linprog(cost, A_ub=rows, b_ub=limit, bounds=box).fun
    assert plan.certificate.value == pytest.approx(best, rel=1e-6)
    assert plan.certificate.bound >= best * (1 - 1e-12)
    assert plan.certificate.proven


@pytest.mark.parametrize(
    ("risk", "seed"), [("cvar", 0), ("cvar", 1), ("quantile", 0), ("probability", 0)]
)
def test_bounds_hold_and_plans_are_as_good_as_a_grid_when_curves_are_s_shaped(seed, risk):
    c = curves(seed, draws=10, slope=(1.2, 3.5))
    plan = allocate_for_risk(c, Constraints(budget=200.0), risk=risk, level=0.2)
    p, today = np.full(10, 0.1), c.values(c.today).sum(axis=1)
    exact = {
        "cvar": lambda y: cvar(y, p, 0.2),
        "quantile": lambda y: quantile(y, p, 0.2),
        "probability": lambda y: probability(y, p, today),
    }[risk]
    best = max(exact(y) for y in grid(c, 200.0))
    assert plan.certificate.bound >= best
    assert plan.certificate.value >= 0.999 * best
    assert plan.certificate.value == pytest.approx(exact(plan.outcome), rel=1e-12)


@pytest.mark.parametrize("risk", ["quantile", "probability"])
def test_a_quantile_is_found_as_high_as_on_a_grid_and_bounded(risk):
    c = curves(11, draws=15)
    plan = allocate_for_risk(c, Constraints(budget=c.today.sum()), risk=risk, level=0.2)
    p, today = np.full(15, 1 / 15), c.values(c.today).sum(axis=1)
    exact = {"quantile": lambda y: quantile(y, p, 0.2), "probability": lambda y: p @ (y > today)}
    best = max(exact[risk](y) for y in grid(c, c.today.sum(), 30))
    assert plan.certificate.bound >= best
    assert plan.certificate.value >= best - 1e-3 * abs(best)


def test_without_uncertainty_every_caution_is_the_plan_for_the_mean():
    c = curves(1, draws=1)
    mean = allocate(c, Constraints(200.0))
    for risk in ("cvar", "quantile"):
        plan = allocate_for_risk(c, Constraints(200.0), risk=risk)
        assert plan.certificate.value == pytest.approx(mean.certificate.value, rel=1e-9)
        assert plan.certificate.gap < 2e-3


def test_the_plan_does_not_depend_on_the_unit_of_currency():
    one = allocate_for_risk(curves(2), Constraints(200.0))
    for unit in (1e-3, 1e6, 1e9):
        other = allocate_for_risk(curves(2, unit=unit), Constraints(200.0 * unit))
        np.testing.assert_allclose(other.spend / unit, one.spend, rtol=1e-5)
        assert other.certificate.value == pytest.approx(unit * one.certificate.value, rel=1e-8)


def test_caution_costs_mean_and_buys_cvar():
    table = risk_frontier(curves(3, draws=60), Constraints(200.0), (0.0, 0.5, 0.9, 1.0))
    assert (np.diff(table["mean"]) <= 1e-6).all() and (np.diff(table["CVaR"]) >= -1e-6).all()
    assert table["CVaR"].iloc[-1] > table["CVaR"].iloc[0] * 1.001
    assert (table["gap"] < 1e-6).all()
    mean = allocate(curves(3, draws=60), Constraints(200.0))
    np.testing.assert_allclose(table.loc[0.0, list("abc")], mean.spend, rtol=1e-9)


@pytest.mark.parametrize("risk", ["cvar", "quantile", "probability"])
def test_bounds_changes_and_groups_are_kept(risk):
    c = curves(4, channels=4, draws=12)
    pair = {"pair": Group(("a", "b"), lower=50.0, upper=90.0)}
    limits = {"lower": {"a": 20.0}, "upper": {"b": 60.0}, "change": {"c": 0.3}, "groups": pair}
    x = allocate_for_risk(c, Constraints(300.0, **limits), risk=risk, level=0.3).spend
    low, high = 1 - 1e-9, 1 + 1e-9
    assert x.sum() <= 300 * high and (x >= 0).all()
    assert x[0] >= 20 * low and x[1] <= 60 * high
    assert 0.7 * c.today[2] * low <= x[2] <= 1.3 * c.today[2] * high
    assert 50 * low <= x[0] + x[1] <= 90 * high


def test_a_channel_in_use_spends_its_least_or_nothing():
    c = curves(0, draws=6, slope=(1.5, 3.0))
    x = allocate_for_risk(c, Constraints(150.0, if_used={"a": 60.0, "b": 60.0})).spend
    assert ((x[:2] == 0) | (x[:2] >= 60 * (1 - 1e-9))).all() and x.sum() <= 150 * (1 + 1e-9)


def test_profit_subtracts_the_spend_in_every_draw():
    c = curves(5)
    plan = allocate_for_risk(c, Constraints(2000.0), objective="profit", margin=0.9, level=0.2)
    y = 0.9 * c.values(plan.spend).sum(axis=1) - plan.spend.sum()
    assert plan.certificate.value == pytest.approx(cvar(y, plan.weights, 0.2), rel=1e-12)
    assert plan.certificate.proven and plan.spend.sum() < 1900


def test_the_weights_of_a_bound_are_always_allowed():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(30))
    y = rng.normal(size=(5, 30))
    q = least_favourable(y, p, 0.2, 0.7)
    assert q.sum() == pytest.approx(1, abs=1e-12)
    assert (q >= 0.3 * p - 1e-12).all() and (q <= 0.3 * p + 0.7 * p / 0.2 + 1e-12).all()
    mixed = max((y @ q).tolist())
    for _ in range(200):
        other = 0.3 * p + 0.7 * allowed(rng.uniform(0, 1, 30) * p / 0.2, p / 0.2)
        assert max((y @ other).tolist()) >= mixed - 1e-9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"risk": "variance"}, "No risk is called 'variance'"),
        ({"level": 0.0}, "The level is 0"),
        ({"level": 1.0}, "The level is 1"),
        ({"share": -0.5}, r"The share of CVaR is -0\.5"),
        ({"objective": "revenue"}, "No objective is called 'revenue'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(given, said):
    with pytest.raises(ValueError, match=said):
        allocate_for_risk(curves(), Constraints(200.0), **given)


def test_a_target_roi_is_refused_with_a_way_out():
    with pytest.raises(ConstraintError, match="smaller budget"):
        allocate_for_risk(curves(), Constraints(200.0, target_roi=1.0))
