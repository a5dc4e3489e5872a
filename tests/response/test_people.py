"""The market of people against its equations in plain Python, and worlds without a channel."""

import math
from types import MappingProxyType

import numpy as np
import pytest

from channelwise.response import people
from channelwise.response.people import CHANNELS, HISTORY, people_market

TODAY = np.ones((1, 4))


def chance_of(seed, weeks, heads=1e6):
    return people.draw_chance(np.random.default_rng(seed), HISTORY + weeks, heads)


def plain_world(chance, heads, factors, search=None):
    """The equations of the module one person group and one week at a time."""
    p = people.PARAMETERS
    reach, cost, effect, rates = (p[k].tolist() for k in ("reach", "cost", "effect", "rates"))
    U, A, I, B, L = (heads * share for share in (0.45, 0.3, 0.03, 0.1, 0.12))  # noqa: E741
    revenue, spent = [], []
    for t in range(len(chance.demand)):
        d, q = float(chance.demand[t]), math.exp(-0.15 * chance.price[t])
        chased = cost[3] * reach[3] * I * d * float(chance.effort[t])
        x = [factors[c] * float(chance.spend[t, c]) for c in range(3)]
        x.append(factors[3] * (chased if search is None else search[t]))
        n = [heads, heads, heads, I]
        r = [reach[c] * (1 - math.exp(-x[c] / (cost[c] * reach[c] * n[c]))) for c in range(4)]
        stay = (1 - p["discovery"]) * (1 - p["word_of_mouth"] * B / heads)
        heard = U * (1 - stay * (1 - effect[0] * r[0]) * (1 - effect[1] * r[1]))
        want = 1 - (1 - p["interest"] * d) * (1 - effect[2] * r[2])
        buy = 1 - (1 - p["purchase"] * math.sqrt(d) * q) * (1 - effect[3] * r[3])
        revenue.append(p["basket"] * (buy * I + p["repeat"] * math.sqrt(d) * q * B))
        spent.append(x[3])
        U, A, I, B, L = (  # noqa: E741
            U - heard + A * (1 - want) * rates[0],
            A
            + heard
            - A * want
            - A * (1 - want) * rates[0]
            + I * (1 - buy) * rates[1]
            + L * rates[3],
            I + A * want - I * buy - I * (1 - buy) * rates[1],
            B + I * buy - B * rates[2],
            L + B * rates[2] - L * rates[3],
        )
    return np.array(revenue, float), np.array(spent, float)


def test_every_world_is_the_equations_written_out():
    chance = chance_of(0, 30)
    factors = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [1, 0.5, 2, 0], [0, 0, 0, 0]], float)
    worlds = people.run(factors, chance, 1e6)
    for i, row in enumerate(factors):
        revenue, search = plain_world(chance, 1e6, row)
        np.testing.assert_allclose(worlds.revenue[:, i], revenue, rtol=1e-10)
        np.testing.assert_allclose(worlds.search[:, i], search, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("follows", [False, True])
def test_roi_is_the_difference_to_a_world_without_the_channel(follows):
    made = people_market(1, weeks=52, search_follows=follows)
    chance = chance_of(1, 52)
    today, search = plain_world(chance, 1e6, (1, 1, 1, 1))
    for c in range(4):
        factors = [float(i != c) for i in range(4)]
        without, _ = plain_world(chance, 1e6, factors, None if follows else search)
        lost = (today - without)[HISTORY:]
        np.testing.assert_allclose(
            made.truth.contribution_over_time[0, :, c], lost, rtol=1e-6, atol=1e-4
        )
        spent = made.market.spend[0, 13:, c].sum()
        assert made.truth.roi[c] == pytest.approx(lost.sum() / spent, rel=1e-8)


def test_marginal_roi_is_what_one_per_cent_more_brings():
    made = people_market(2, weeks=52)
    chance = chance_of(2, 52)
    _, search = plain_world(chance, 1e6, (1, 1, 1, 1))
    for c in range(4):
        ends = [
            plain_world(chance, 1e6, [h if i == c else 1.0 for i in range(4)], search)[0]
            for h in (0.99, 1.01)
        ]
        slope = (ends[1] - ends[0])[HISTORY:].sum() / 0.02 / made.market.spend[0, 13:, c].sum()
        assert made.truth.marginal_roi[c] == pytest.approx(slope, rel=1e-3)
    assert (made.truth.marginal_roi < made.truth.roi).all()


def test_nobody_is_lost_or_made():
    chance = chance_of(3, 156)
    worlds = people.run(np.array([[1, 1, 1, 1], [0, 0, 0, 0], [9, 9, 9, 9]], float), chance, 1e6)
    np.testing.assert_allclose(worlds.states.sum(axis=1), 1e6, rtol=1e-12)
    assert (worlds.states > 0).all()


@pytest.mark.parametrize("channel", range(4))
def test_a_channel_that_moves_nobody_contributes_nothing(channel, monkeypatch):
    effect = people.PARAMETERS["effect"].copy()
    effect[channel] = 0
    monkeypatch.setattr(
        people, "PARAMETERS", MappingProxyType({**people.PARAMETERS, "effect": effect})
    )
    truth = people_market(4, weeks=26).truth
    assert truth.contribution[channel] == 0 and truth.marginal_roi[channel] == 0
    assert (np.delete(truth.contribution, channel) > 0).all()


def test_without_noise_the_outcome_is_the_expected_one():
    made = people_market(5, noise=0.0)
    np.testing.assert_array_equal(made.market.outcome[:, 13:], made.truth.expected(TODAY)[0])


def test_noise_changes_the_outcome_and_not_the_truth():
    quiet, loud = people_market(6, noise=0.0), people_market(6, noise=0.1)
    np.testing.assert_array_equal(quiet.truth.roi, loud.truth.roi)
    error = loud.market.outcome[0, 13:] - quiet.market.outcome[0, 13:]
    assert error.std() / quiet.market.outcome[0, 13:].mean() == pytest.approx(0.1, rel=0.15)


def test_a_seed_gives_the_same_market_again_and_another_seed_another():
    a, b, c = people_market(7), people_market(7), people_market(8)
    for name in ("outcome", "spend", "controls"):
        np.testing.assert_array_equal(getattr(a.market, name), getattr(b.market, name))
        assert not np.array_equal(getattr(a.market, name), getattr(c.market, name))


def test_twice_the_people_bring_twice_the_revenue_at_the_same_roi():
    one, two = people_market(9), people_market(9, people=2e6)
    np.testing.assert_allclose(two.market.outcome, 2 * one.market.outcome, rtol=1e-9)
    np.testing.assert_allclose(two.market.spend, 2 * one.market.spend, rtol=1e-9)
    np.testing.assert_allclose(two.truth.roi, one.truth.roi, rtol=1e-7)


def test_search_spend_is_high_when_people_buy_anyway():
    with_demand, with_organic = [], []
    for seed in range(10):
        made = people_market(seed)
        search = made.market.spend[0, 13:, 3]
        organic = made.truth.expected(np.array([[1.0, 1, 1, 0]]))[0, 0]
        demand = made.truth.parameters["demand"]
        with_demand.append(np.corrcoef(np.log(search), np.log(demand))[0, 1])
        with_organic.append(np.corrcoef(search, organic)[0, 1])
    assert min(with_demand) > 0.3 and np.mean(with_demand) > 0.5
    assert np.mean(with_organic) > 0.3


def credit(market, truth):
    """The slope on search of an ordinary regression, over the true marginal ROI."""
    x = market.spend[0, 13:]
    design = np.column_stack([np.ones(len(x)), x, market.controls[0, 13:]])
    return np.linalg.lstsq(design, market.outcome[0, 13:])[0][4] / truth.marginal_roi[3]


def test_a_regression_that_does_not_see_demand_credits_search_with_it():
    blind = [people_market(seed, index_noise=None) for seed in range(10)]
    seeing = [people_market(seed) for seed in range(10)]
    unseen = np.median([credit(made.market, made.truth) for made in blind])
    seen = np.median([credit(made.market, made.truth) for made in seeing])
    assert unseen > 5 and seen < unseen / 2


def test_channels_bring_more_together_than_each_takes_away():
    for seed in range(5):
        truth = people_market(seed).truth
        together = truth.expected(TODAY).sum() - truth.baseline.sum()
        assert together > 1.01 * truth.contribution.sum()


def test_search_that_follows_demand_adds_to_what_other_channels_do():
    held, follows = (people_market(11, search_follows=f).truth for f in (False, True))
    assert (follows.contribution[:3] > held.contribution[:3]).all()
    assert follows.contribution[3] == pytest.approx(held.contribution[3], rel=1e-12)
    np.testing.assert_array_equal(follows.expected(TODAY), held.expected(TODAY))


def test_the_market_is_of_a_plausible_size():
    made = [people_market(seed) for seed in range(10)]
    roi = np.stack([m.truth.roi for m in made])
    assert (np.median(roi, axis=0) > 0.8).all() and (np.median(roi, axis=0) < 3).all()
    base = [m.truth.baseline.sum() / np.nansum(m.market.outcome) for m in made]
    assert min(base) > 0.6 and max(base) < 0.9
    tv = np.stack([m.market.spend[0, :, 0] for m in made])
    assert 0.3 < (tv == 0).mean() < 0.7


def test_the_record_starts_with_weeks_of_media_alone():
    market = people_market(12, weeks=52, before=5).market
    assert market.before == 5 and market.n_observed == 52 and market.channels == CHANNELS
    assert np.isnan(market.outcome[:, :5]).all() and (market.spend[0, :5, 1:] > 0).all()


def test_the_demand_index_can_be_left_out_without_touching_the_rest():
    seen, hidden = people_market(13), people_market(13, index_noise=None)
    assert hidden.market.control_names == ("price",)
    np.testing.assert_array_equal(seen.market.outcome, hidden.market.outcome)
    index, demand = seen.market.controls[0, 13:, 1], np.log(seen.truth.parameters["demand"])
    assert np.corrcoef(index, demand)[0, 1] == pytest.approx(1 / math.sqrt(1.04), abs=0.02)


@pytest.mark.parametrize("before", [-1, HISTORY + 1])
def test_more_weeks_in_front_than_there_were_are_refused(before):
    with pytest.raises(ValueError, match=f"before is {before}; give 0 to 156"):
        people_market(0, before=before)
