"""Plans on a grid of money, against every plan there is."""

import itertools

import numpy as np
import pytest

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import Constraints, Group, limits_of
from channelwise.decisions.budget.curves import hill_curves
from channelwise.decisions.information.fewer_terms import fewer_terms
from channelwise.decisions.information.grid_plans import grid_of

NAMES = ("tv", "search", "radio")


def curves(draws=4, slope=1.0, seed=0):
    rng = np.random.default_rng(seed)
    shape = (draws, 3)
    return hill_curves(
        NAMES,
        rng.uniform(50, 150, shape),
        rng.uniform(20, 80, shape),
        slope * rng.uniform(0.8, 1.2, shape),
        today=np.array([40.0, 40.0, 20.0]),
    )


CASES = {
    "free": Constraints(100.0),
    "bounds": Constraints(100.0, lower={"tv": 25.0}, upper={"search": 30.0}),
    "if used": Constraints(100.0, if_used={"radio": 45.0, "tv": 30.0}),
    "groups": Constraints(100.0, groups={"air": Group(("tv", "radio"), 20.0, 55.0)}),
    "two groups": Constraints(
        100.0,
        lower={"tv": 10.0},
        groups={"air": Group(("tv", "radio"), 60.0), "web": Group(("search",), 5.0, 20.0)},
    ),
}


@pytest.mark.parametrize("slope", [1.0, 2.5], ids=["concave", "S-shaped"])
@pytest.mark.parametrize("name", CASES)
def test_the_best_plan_is_the_best_of_all_plans_on_the_grid(name, slope):
    c = curves(slope=slope)
    limits = limits_of(CASES[name], c.channels, c.today)
    grid = grid_of(c, limits, 1.0, 0.0, steps=20)
    weights = np.random.default_rng(1).gamma(0.5, 1, (6, 4))
    found = grid.best(weights)
    worth = np.einsum("ks,ks->k", weights, grid.worth(found))
    steps = np.array(list(itertools.product(range(21), repeat=3)))
    spend = grid.spend[np.arange(3), steps]
    good = steps.sum(axis=1) <= 20
    for i in range(3):
        used = spend[:, i] > 0
        good &= (spend[:, i] >= limits.lower[i] - 1e-9) & (spend[:, i] <= limits.upper[i] + 1e-9)
        good &= ~used | (spend[:, i] >= limits.if_used[i] - 1e-9)
    for g in range(len(limits.group_lower)):
        total = spend[:, limits.group == g].sum(axis=1)
        good &= (total >= limits.group_lower[g] - 1e-9) & (total <= limits.group_upper[g] + 1e-9)
    values = np.stack([c.values(x).sum(axis=1) for x in spend[good]])
    np.testing.assert_allclose(worth, (values @ weights.T).max(axis=0), rtol=1e-12)
    assert any((steps[good] == plan).all(axis=1).any() for plan in found)


def test_a_fine_grid_comes_as_close_to_the_allocation_as_its_step_squared():
    c, constraints = curves(200), Constraints(100.0)
    best = allocate(c, constraints)
    best_value = best.outcome.mean()
    gaps = []
    for steps in (32, 64, 128, 256):
        grid = grid_of(c, limits_of(constraints, c.channels, c.today), 1.0, 0.0, steps)
        weights = np.full((1, 200), 1 / 200)
        gaps.append(best_value - grid.worth(grid.best(weights))[0].mean())
    assert 0 <= gaps[-1] < 2e-5 * best_value
    assert gaps[-1] < gaps[0] / 8


def test_profit_counts_what_is_spent():
    c = curves(1)
    grid = grid_of(c, limits_of(Constraints(100.0), c.channels, c.today), 0.5, 1.0, steps=10)
    plan = grid.best(np.ones((1, 1)))
    spend = grid.spend[np.arange(3), plan[0]]
    outcome = c.values(spend).sum()
    assert grid.worth(plan)[0, 0] == pytest.approx(0.5 * outcome - spend.sum(), rel=1e-12)


@pytest.mark.parametrize("slope", [0.7, 1.0, 2.0])
def test_fewer_terms_say_nearly_the_same(slope):
    rng = np.random.default_rng(2)
    many = curves(30, slope)
    shape = (3, 30, 104)
    many = type(many)(
        many.channels,
        many.forms,
        rng.uniform(0.5, 1.5, shape),
        rng.lognormal(4, 0.8, shape),
        np.full((3, 30), slope),
        many.today,
    )
    few = fewer_terms(many, 12)
    assert few.amplitude.shape == (3, 30, 12)
    np.testing.assert_allclose(few.amplitude.sum(axis=2), many.amplitude.sum(axis=2), rtol=1e-12)
    for x in (1.0, 20.0, 60.0, 400.0, 1e6):
        spend = np.full(3, x)
        np.testing.assert_allclose(few.values(spend), many.values(spend), rtol=0.12)
    little = np.full(3, 1e-5)
    np.testing.assert_allclose(few.values(little), many.values(little), rtol=1e-3)
    assert fewer_terms(few, 12) is few
