"""Margins on margins: the closed forms against brute-force backward induction."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from channelwise.decisions.channels.tiers import (
    ConstantElasticity,
    Exponential,
    Linear,
    TierError,
    integrations,
    set_prices,
)

DEMANDS = [Linear(100.0, 0.5), ConstantElasticity(5e4, 3.0), Exponential(80.0, 20.0)]
each_demand = pytest.mark.parametrize("demand", DEMANDS, ids=lambda d: type(d).__name__)


def by_grid(demand, costs, prices):
    """Backward induction: every tier tries every price against the tables of the tiers after it.

    The last tier's answer to what it is charged is tabulated; then that of the tier before it,
    which reads the table; and so on up to the maker.
    """
    sold = np.array([demand.quantity(p) for p in prices])  # if the last tier charges p
    answers = []
    for cost in costs[::-1]:
        profit = (prices[None] - prices[:, None] - cost) * sold[None]  # charged, charging
        choice = np.argmax(profit, axis=1)
        answers.insert(0, choice)
        sold = sold[choice]
    at, chosen = 0, []
    for choice in answers:
        at = choice[at]
        chosen.append(at)
    return prices[chosen]


@each_demand
@pytest.mark.parametrize("costs", [[20.0], [20.0, 3.0], [15.0, 2.0, 4.0]])
def test_prices_are_those_of_backward_induction_on_a_grid(demand, costs):
    top = 100.0 if isinstance(demand, Linear) else 250.0
    prices = np.linspace(0, top, 2501)[1:]
    found = by_grid(demand, costs, prices)
    assert np.allclose(found, set_prices(demand, np.array(costs)).price, atol=4 * prices[0])


def test_with_linear_demand_quantity_halves_per_tier_and_price_rises_from_60_to_95():
    chains = [set_prices(Linear(100.0), np.r_[20.0, np.zeros(n - 1)]) for n in (1, 2, 3, 4)]
    assert [c.price[-1] for c in chains] == pytest.approx([60, 80, 90, 95], rel=1e-15)
    assert [c.quantity for c in chains] == pytest.approx([40, 20, 10, 5], rel=1e-14)
    shares = [c.joint / chains[0].joint for c in chains]
    assert shares == pytest.approx([1, 0.75, 0.4375, 0.234375], rel=1e-13)
    assert shares == pytest.approx([4 * (1 - 2**-n) * 2**-n for n in (1, 2, 3, 4)], rel=1e-13)
    assert [c.surplus for c in chains] == pytest.approx([800, 200, 50, 12.5], rel=1e-13)


@each_demand
def test_only_the_sum_of_costs_counts_for_consumers_not_who_bears_them(demand):
    one = set_prices(demand, np.array([20.0, 0.0, 5.0]))
    other = set_prices(demand, np.array([1.0, 22.0, 2.0]))
    assert other.quantity == pytest.approx(one.quantity, rel=1e-12)
    assert np.allclose(other.profit, one.profit, rtol=1e-12)


@each_demand
def test_a_single_tier_sets_the_best_price(demand):
    priced = set_prices(demand, np.array([20.0]))
    prices = np.linspace(20, 100, 80_001)
    profit = (prices - 20) * np.array([demand.quantity(p) for p in prices])
    assert priced.joint == pytest.approx(profit.max(), rel=1e-7)
    assert priced.price[0] == pytest.approx(prices[np.argmax(profit)], abs=2e-3)


@each_demand
def test_surplus_is_the_area_under_demand_above_the_price(demand):
    top = 100.0 if isinstance(demand, Linear) else np.inf
    assert demand.surplus(60.0) == pytest.approx(quad(demand.quantity, 60, top)[0], rel=1e-7)


@each_demand
def test_every_tier_more_raises_the_price_and_takes_from_all(demand):
    chains = [set_prices(demand, np.r_[20.0, np.zeros(n - 1)]) for n in range(1, 6)]
    for fewer, more in itertools.pairwise(chains):
        assert more.price[-1] > fewer.price[-1]
        assert more.joint < fewer.joint and more.surplus < fewer.surplus
        assert more.profit[0] < fewer.profit[0]


@each_demand
def test_integrating_a_pair_is_worth_the_difference_of_the_two_chains(demand):
    costs = np.array([15.0, 2.0, 4.0, 1.0])
    before, found = set_prices(demand, costs), integrations(demand, costs)
    assert [i.pair for i in found] == [0, 1, 2]
    for k, gain in enumerate(found):
        merged = np.concatenate([costs[:k], [costs[k : k + 2].sum()], costs[k + 2 :]])
        after = set_prices(demand, merged)
        assert gain.own == pytest.approx(after.profit[k] - before.profit[k : k + 2].sum())
        assert gain.own + gain.others == pytest.approx(after.joint - before.joint)
        assert gain.consumers == pytest.approx(after.surplus - before.surplus)
        assert gain.price == pytest.approx(after.price[-1]) and gain.price < before.price[-1]
        assert min(gain.own, gain.others, gain.consumers) > 0


def test_with_linear_demand_all_pairs_are_worth_the_same_to_all_and_the_upper_ones_most_to_itself():
    found = integrations(Linear(100.0), np.array([20.0, 0, 0, 0]))
    together = [i.own + i.others for i in found]
    assert together == pytest.approx([325.0] * 3, rel=1e-12)  # 1600 (0.4375 - 0.234375)
    assert [i.own for i in found] == pytest.approx([100, 50, 25], rel=1e-12)
    assert integrations(Linear(100.0), np.array([20.0])) == []


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_another_unit_of_currency_changes_nothing_else(unit):
    costs = np.array([20.0, 1.0, 2.0])
    one, other = (
        set_prices(DEMANDS[0], costs),
        set_prices(Linear(100 * unit, 0.5 * unit), costs * unit),
    )
    assert other.quantity == pytest.approx(one.quantity, rel=1e-12)
    assert np.allclose(other.profit / unit, one.profit, rtol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Linear(0.0), "Linear: choke = 0 must be above 0"),
        (lambda: Exponential(1.0, -2.0), "Exponential: spread = -2 must be above 0"),
        (lambda: ConstantElasticity(1.0, 1.0), "elasticity = 1 must be above 1"),
        (lambda: set_prices(Linear(10.0), np.array([])), r"costs = \[\]: give one number"),
        (lambda: set_prices(Linear(10.0), np.array([-1.0])), r"costs = \[-1.0\]"),
        (lambda: set_prices(Linear(10.0), np.array([6.0, 5.0])), "Nobody buys at 11"),
        (lambda: set_prices(ConstantElasticity(1.0, 2.0), np.zeros(2)), "Everybody buys at 0"),
    ],
)
def test_what_makes_no_market_is_named(wrong, says):
    with pytest.raises(TierError, match=says):
        wrong()
