"""Strategies that are played: accounts that add up, bounds that hold, and the library's planner."""

import numpy as np
import pytest

from channelwise.decisions.budget import planner as planning
from channelwise.decisions.budget.closed_loop import (
    as_it_is,
    knows_the_truth,
    play_oracle,
    play_quarters,
)
from channelwise.decisions.budget.planner import even_curves, planner
from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.gate import Gate
from channelwise.response.mmm import Model
from channelwise.response.oracle import spread
from channelwise.response.play import QUARTER, family_world

MODEL = Model(saturation="hill", prior_on="roi")


@pytest.fixture(scope="module")
def world():
    return family_world(11, weeks=104, quarters=2, channels=2, controls=1)


@pytest.fixture(scope="module")
def oracle(world):
    return play_oracle(world, 2)


@pytest.fixture(scope="module")
def posterior(world):
    return fit(world.market, MODEL, draws=200)


def test_who_changes_nothing_gets_what_is_expected_of_the_usual_spend(world):
    played = play_quarters(world, as_it_is, 2)
    np.testing.assert_array_equal(played.spend, np.repeat(world.usual[None], 2, axis=0))
    expected = world.expected(spread(played.spend)[None])[0]
    assert played.expected.sum() == pytest.approx(expected, rel=1e-12)
    assert played.budget == pytest.approx(2 * QUARTER * world.usual.sum(), rel=1e-12)


def test_a_strategy_sees_what_came_before_and_its_own_last_plan(world):
    seen = []

    def strategy(market, today):
        seen.append((market.n_times, today.copy()))
        return today * [0.9, 1.0]

    played = play_quarters(world, strategy, 2)
    assert [n for n, _ in seen] == [104, 117]
    np.testing.assert_allclose(seen[1][1], world.usual * [0.9, 1.0])
    np.testing.assert_allclose(played.spend[1], world.usual * [0.81, 1.0])


def test_the_oracle_is_best_and_bounds_cost_something(world, oracle):
    bounded = play_quarters(world, knows_the_truth(world, 0.1), 2)
    usual = play_quarters(world, as_it_is, 2)
    regrets = [played.regret(oracle).sum() for played in (oracle, bounded, usual)]
    assert regrets[0] == 0 < regrets[1] < regrets[2]
    before = np.vstack([world.usual, bounded.spend[:-1]])
    assert (np.abs(bounded.spend / before - 1) <= 0.1 + 1e-9).all()
    np.testing.assert_allclose(oracle.spend.sum(axis=1), world.usual.sum(), rtol=1e-12)


def test_more_than_the_budget_is_refused(world):
    with pytest.raises(ValueError, match=r"The plan of quarter 1 spends .* the budget is"):
        play_quarters(world, lambda market, today: 1.01 * today, 1)


def test_even_curves_are_what_the_model_says_of_a_market_that_spends_evenly(world, posterior):
    spend = world.usual * [0.7, 1.6]
    curves = even_curves(posterior, QUARTER, draws=100)
    effects = Effects(posterior, draws=100, market=world.play(spread(spend[None])).market)
    steady = effects.contributions()[:, 0, -4:, :2]  # the longest lag is 8 weeks
    expected = QUARTER * steady.mean(axis=1)
    np.testing.assert_allclose(curves.values(QUARTER * spend), expected, rtol=1e-9)


def test_the_planner_spends_the_budget_within_reach_of_today(world, posterior, monkeypatch):
    monkeypatch.setattr(planning, "fit", lambda market, model, **more: posterior)
    monkeypatch.setattr(planning, "examine", lambda posterior: Gate(()))
    today = world.usual[::-1].copy()
    plan = planner(change=0.3)(world.market, today)
    assert plan.sum() == pytest.approx(today.sum(), rel=1e-9)
    assert (plan >= 0.7 * today * (1 - 1e-9)).all() and (plan <= 1.3 * today * (1 + 1e-9)).all()
    curves = even_curves(posterior, QUARTER, draws=500)
    share = np.linspace(0.7, 1.3, 601) * today[0]
    grid = np.column_stack([share, today.sum() - share])
    grid = grid[(np.abs(grid[:, 1] / today[1] - 1) <= 0.3)]
    best = max(curves.expected(QUARTER * plan).sum() for plan in grid)
    assert curves.expected(QUARTER * plan).sum() >= best * (1 - 1e-9)


def test_where_the_gate_shuts_the_next_model_is_asked_and_in_the_end_today_stays(
    world, posterior, monkeypatch
):
    asked = []

    def noted(market, model, *, seed, start):
        asked.append((model.trend, start is None))
        return posterior

    shut = Gate((planning.examine(posterior).verdicts[0]._replace(passed=False),))
    monkeypatch.setattr(planning, "fit", noted)
    monkeypatch.setattr(planning, "examine", lambda posterior: shut)
    strategy = planner([MODEL, Model(trend="none")])
    for _ in range(2):
        np.testing.assert_array_equal(strategy(world.market, world.usual), world.usual)
    assert asked == [("linear", True), ("none", True), ("linear", False), ("none", False)]
    moved = planner([MODEL], gated=False, change=0.2)(world.market, world.usual)
    assert not np.array_equal(moved, world.usual)
