"""Other budgets, the cost of constraints, how flat the top is; and the plan's own figures."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import Constraints, Group
from channelwise.decisions.budget.curves import hill_curves
from channelwise.decisions.budget.frontier import constraint_costs, flatness, frontier


@pytest.fixture
def curves():
    rng = np.random.default_rng(0)
    amplitude = np.array([5.0, 3.0, 1.0]) * rng.lognormal(0, 0.2, (50, 3))
    return hill_curves(
        ("tv", "search", "mail"), amplitude, np.array([2.0, 0.5, 0.2]), today=np.full(3, 1.0)
    )


def test_the_frontier_rises_and_its_next_unit_is_its_slope(curves):
    budgets = np.linspace(1, 4, 13)
    found = frontier(curves, Constraints(1.0), budgets)
    assert (np.diff(found["outcome"]) > 0).all() and (np.diff(found["next unit"]) < 0).all()
    slope = np.gradient(found["outcome"], budgets)[1:-1]
    np.testing.assert_allclose(found["next unit"][1:-1], slope, rtol=0.03)
    assert (found["5%"] < found["outcome"]).all() and (found["outcome"] < found["95%"]).all()
    assert (found["gap"] < 1e-9).all()


def test_a_constraint_costs_what_it_keeps_from_being_had(curves):
    constraints = Constraints(
        3.0,
        lower={"mail": 1.0},
        upper={"tv": 3.0},
        groups={"online": Group(("search", "mail"), upper=1.1)},
    )
    plan = allocate(curves, constraints)
    costs = constraint_costs(curves, constraints, plan)["costs"]
    free = allocate(curves, Constraints(3.0, groups=constraints.groups)).certificate.value
    assert costs["least of mail"] == pytest.approx(free - plan.certificate.value, rel=1e-9)
    assert costs["most of tv"] == pytest.approx(0, abs=1e-9)
    assert list(costs) == sorted(costs, reverse=True)


def test_missing_the_plan_costs_the_more_the_farther(curves):
    plan = allocate(curves, Constraints(3.0))
    lost = flatness(curves, plan, shares=(-0.4, -0.1, 0.1, 0.4))
    assert (lost > 0).to_numpy().all()
    assert (lost["-40%"] > lost["-10%"]).all() and (lost["+40%"] > lost["+10%"]).all()


def test_a_plan_gives_its_gain_with_interval_and_probability(curves):
    plan = allocate(curves, Constraints(3.0))
    gain = curves.values(plan.spend).sum(axis=1) - curves.values(curves.today).sum(axis=1)
    np.testing.assert_allclose(plan.gain, gain)
    assert plan.expected_gain == pytest.approx(gain.mean())
    low, high = plan.gain_interval(0.8)
    np.testing.assert_allclose([low, high], np.quantile(gain, (0.1, 0.9)), rtol=0.05)
    assert plan.probability_of_gain == pytest.approx((gain > 0).mean())


def test_a_plan_is_written_whole_and_read_back(curves, tmp_path):
    plan = allocate(curves, Constraints(3.0))
    plan.to_csv(tmp_path / "plan.csv")
    plan.to_json(tmp_path / "plan.json")
    table = pd.read_csv(tmp_path / "plan.csv", index_col="channel")
    np.testing.assert_allclose(table["plan"][:3], plan.spend)
    assert table.loc["all", "plan"] == pytest.approx(3.0)
    said = json.loads((tmp_path / "plan.json").read_text())
    assert said["channels"]["tv"]["plan"] == pytest.approx(plan.spend[0])
    assert said["certificate"]["proven"] and said["gain"]["5%"] < said["gain"]["95%"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan.csv", "plan.json"]


def test_a_channel_planned_beyond_what_was_seen_is_named(curves):
    seen = replace(curves, most=np.array([1.0, 5.0, 5.0]))
    plan = allocate(seen, Constraints(4.0, lower={"tv": 2.0}))
    assert plan.extrapolated == ("tv",)
