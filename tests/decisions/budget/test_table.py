"""Tabulated mean curves: their proven error and bends, held against the curves themselves."""

import numpy as np
import pytest

from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.parts import choose, evaluate, parts_of
from channelwise.decisions.budget.table import table


def some(form: str, seed: int, slopes=(0.6, 3.0)) -> Curves:
    rng = np.random.default_rng(seed)
    shape = (3, 15, 2)
    amplitude = rng.lognormal(0, 0.5, shape)
    scale = rng.lognormal(-1.5, 1, (3, 1, 1)) * rng.lognormal(0, 0.5, shape)
    slope = np.ones(shape[:2]) if form == "tanh" else rng.uniform(*slopes, shape[:2])
    unit = amplitude.mean(axis=1).sum(axis=1).max()
    return Curves(("a", "b", "c"), (form,) * 3, amplitude / unit, scale, slope, np.ones(3))


@pytest.mark.parametrize("form", ["hill", "tanh", "power"])
@pytest.mark.parametrize("seed", range(3))
def test_the_quintics_are_within_their_proven_error(form, seed):
    curves = some(form, seed, slopes=(0.5, 1.0) if form == "power" else (0.6, 3.0))
    found = table(curves, np.zeros(3), np.ones(3))
    rng = np.random.default_rng(seed)
    x = np.exp(rng.uniform(found.start[:, None], 0, (3, 100)))
    truth = np.array([curves.expected(row) for row in x.T]).T
    error = np.abs(evaluate(found, x) - truth).max(axis=1)
    assert (error <= found.error + 5e-14).all()
    assert (found.error < 1e-10).all()


@pytest.mark.parametrize("seed", range(4))
def test_proven_bends_are_those_of_the_curve_and_few_stay_unknown(seed):
    curves = some("hill", seed)
    found = table(curves, np.zeros(3), np.ones(3))
    some_cells = np.unique(np.append(np.arange(0, found.bend.shape[1], 9), found.bend.shape[1] - 1))
    inside = found.nodes[:, :-1] ** 0.3 * found.nodes[:, 1:] ** 0.7
    bend = np.array([curves.moments(row).bend for row in inside[:, some_cells].T]).T
    proven = found.bend[:, some_cells]
    assert (bend[proven == 1] >= 0).all() and (bend[proven == -1] <= 0).all()
    assert (found.bend == 0).mean() < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_no_spend_has_a_higher_surplus_than_the_chosen_one(seed):
    curves = some("hill", seed)
    found = table(curves, np.zeros(3), np.ones(3))
    parts = parts_of(found, np.zeros(3), np.ones(3, bool))
    prices = np.repeat(np.array([0.03, 0.2, 0.7, 2.0])[:, None], 3, axis=1)
    low, high = np.array([0.0, 0.1, 0.0]), np.array([1.0, 0.8, 0.4])
    chosen = choose(parts, prices, low, high)
    for c in range(3):
        grid = np.linspace(low[c], high[c], 401)
        value = np.array([curves.expected(np.full(3, x))[c] for x in grid])
        for i, p in enumerate(prices[:, c]):
            best = (value - p * grid).max()
            assert chosen.surplus[i, c] >= best - 1e-10
            assert chosen.surplus[i, c] <= best + 5e-3
            x = chosen.spend[i, c]
            assert low[c] <= x <= high[c]


def test_demand_falls_as_the_price_rises():
    curves = some("hill", 3)
    parts = parts_of(table(curves, np.zeros(3), np.ones(3)), np.zeros(3), np.ones(3, bool))
    prices = np.repeat(np.geomspace(1e-3, 10, 200)[:, None], 3, axis=1)
    spend = choose(parts, prices, np.zeros(3), np.ones(3)).spend
    assert (np.diff(spend, axis=0) <= 1e-9).all()
