"""Worlds that go on: against their own simulators, and plans against brute force."""

from dataclasses import replace

import numpy as np
import pytest

from channelwise.response import people
from channelwise.response.additive import simulate_from
from channelwise.response.oracle import best_plan, best_within, spread
from channelwise.response.play import QUARTER, YEAR, family_world, people_world
from channelwise.response.simulate import family_market

KINDS = {
    "concave": lambda seed, **more: family_world(seed, **more),
    "s_shaped": lambda seed, **more: family_world(
        seed, adstock="delayed", saturation="hill", **more
    ),
    "people": people_world,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def one_plan(world, quarters, seed):
    """Weeks of any spend, some of them dark."""
    factor = np.random.default_rng(seed).gamma(1.0, 1.0, (quarters * QUARTER, len(world.usual)))
    return world.usual * factor * (factor > 0.3)


@every_kind
def test_who_spends_as_the_simulator_did_gets_the_simulators_outcome(kind):
    world = KINDS[kind](3, quarters=2)
    plan = world.calendar.spend[0, world.record :][: 2 * QUARTER]
    played = world.play(plan[:QUARTER]).play(plan[QUARTER:]).market
    until = world.record + 2 * QUARTER
    np.testing.assert_allclose(played.outcome, world.calendar.outcome[:, :until], rtol=1e-12)
    np.testing.assert_array_equal(played.spend, world.calendar.spend[:, :until])


@pytest.mark.parametrize("kind", ["concave", "s_shaped"])
def test_a_plan_of_the_family_is_the_simulator_given_that_spend(kind):
    forms = {} if kind == "concave" else {"adstock": "delayed", "saturation": "hill"}
    world = KINDS[kind](4, quarters=2, noise=0.0)
    plan = one_plan(world, 2, 0)
    spend = world.calendar.spend.copy()
    spend[0, world.record :] = np.concatenate([plan, np.repeat(world.usual[None], 8, axis=0)])
    p = made_of(4, forms)
    units = {"outcome_scale": float(p["outcome_scale"]), "media_scale": p["media_scale"]}
    whole = replace(world.calendar, spend=spend, exposure=spend)
    again = simulate_from(whole, p, np.random.default_rng(0), **units, **forms).market.outcome[0]
    played = world.play(plan)
    np.testing.assert_allclose(played.market.outcome[0], again[: len(again) - 8], rtol=1e-11)
    expected = world.expected(plan[None])[0]
    assert expected == pytest.approx(again[world.record :].sum(), rel=1e-12)


def made_of(seed, forms):
    weeks = 156 + 2 * QUARTER + 8
    return family_market(seed, weeks=weeks, noise=0.0, **forms).truth.parameters


def test_a_plan_for_people_is_their_whole_history_lived_with_that_spend():
    world = people_world(5, quarters=2, tail=20, noise=0.0)
    plan = one_plan(world, 2, 1)
    total = 156 + 2 * QUARTER + 20
    chance = people.draw_chance(np.random.default_rng(5), people.HISTORY + total, 1e6)
    spend = np.column_stack([chance.spend, people.run(np.ones((1, 4)), chance, 1e6).search])
    first = people.HISTORY + 156
    spend[first:] = world.usual
    spend[first : first + len(plan)] = plan
    lived = people.run(np.ones((1, 4)), chance._replace(spend=spend[:, :3]), 1e6, spend[:, 3:])
    revenue = lived.revenue[first:, 0]
    assert world.expected(plan[None])[0] == pytest.approx(revenue.sum(), rel=1e-12)
    outcome = world.play(plan).market.outcome[0, 156:]
    np.testing.assert_allclose(outcome, revenue[: len(plan)], rtol=1e-12)


@every_kind
def test_every_plan_meets_the_same_chance(kind):
    world = KINDS[kind](6, quarters=1)
    plans = [one_plan(world, 1, seed) for seed in (0, 1)]
    surprise = []
    for plan in plans:
        played = world.play(plan)
        expected = played.mean(played.spend[None])[0, :QUARTER]
        surprise.append(played.market.outcome[0, world.record :] - expected)
        np.testing.assert_array_equal(
            played.market.controls[0], world.calendar.controls[0, : world.record + QUARTER]
        )
    np.testing.assert_allclose(surprise[0], surprise[1], atol=1e-7)
    assert np.abs(surprise[0]).min() > 0


@every_kind
def test_what_was_played_stays_whatever_is_played_next(kind):
    world = KINDS[kind](7, quarters=3).play(one_plan(KINDS[kind](7, quarters=3), 1, 0))
    ends = [world.play(one_plan(world, 1, seed)).market for seed in (1, 2)]
    until = world.record + QUARTER
    for end in ends:
        assert end.n_times == until + QUARTER
        for name in ("outcome", "spend", "controls", "dates"):
            then, now = getattr(end, name), getattr(world.market, name)
            np.testing.assert_array_equal(
                then[..., :until] if then.ndim < 3 else then[:, :until], now
            )
    assert not np.array_equal(ends[0].outcome[0, until:], ends[1].outcome[0, until:])


@every_kind
def test_quarters_and_tail_add_up_to_what_was_expected_of_the_whole_plan(kind):
    world = KINDS[kind](8, quarters=3)
    plan = one_plan(world, 3, 4)
    played = world
    for quarter in np.split(plan, 3):
        played = played.play(quarter)
    account = played.outcome_by_quarter()
    assert account.shape == (4,)
    assert account.sum() == pytest.approx(world.expected(plan[None])[0], rel=1e-12)


@every_kind
def test_a_quarter_is_worth_what_it_still_does_when_it_is_over(kind):
    world = KINDS[kind](9, quarters=2)
    last = np.repeat(world.usual[None], QUARTER, axis=0)
    more = last.copy()
    more[-1] *= 2
    one, two = world.expected(np.stack([last, more]))
    inside = [world.play(p).outcome_by_quarter() for p in (last, more)]
    assert two > one and inside[1][0] > inside[0][0] and inside[1][1] > inside[0][1]
    assert two - one == pytest.approx((inside[1] - inside[0]).sum(), rel=1e-6)


def test_usual_is_the_mean_of_the_records_last_year_and_stays_so():
    world = family_world(1, quarters=2)
    usual = world.market.spend[0, -YEAR:].mean(axis=0)
    np.testing.assert_allclose(world.usual, usual, rtol=1e-12)
    np.testing.assert_allclose(world.play(one_plan(world, 1, 0)).usual, usual, rtol=1e-12)
    np.testing.assert_allclose(world.spend, np.repeat(usual[None], 34, axis=0), rtol=1e-12)


def test_quarters_left_are_counted_down():
    world = family_world(1, quarters=2)
    assert world.quarters_left == 2
    world = world.play(one_plan(world, 2, 0))
    assert world.quarters_left == 0
    with pytest.raises(ValueError, match="The plan has 1 weeks; this world has 0 left"):
        world.play(world.usual[None])


def test_impossible_plans_and_records_are_refused():
    world = family_world(1, quarters=1)
    with pytest.raises(ValueError, match="spends -1 somewhere; it must be at least 0"):
        world.play(np.where(np.arange(5) == 2, -1.0, world.usual)[None])
    with pytest.raises(ValueError, match="12 weeks were played; quarters have 13"):
        world.play(np.repeat(world.usual[None], 12, axis=0)).outcome_by_quarter()
    with pytest.raises(ValueError, match="A record of 51 weeks is too short; give at least 52"):
        people_world(1, weeks=51)


# The oracle.


def held(world, shares, quarters):
    """The expected outcome of shares of the budget held through some quarters."""
    weekly = world.usual.sum() * np.asarray(shares)
    return world.expected(np.repeat(weekly[:, None], quarters * QUARTER, axis=1))


@pytest.mark.parametrize("kind", ["concave", "s_shaped"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_oracle_of_one_quarter_is_the_best_of_a_fine_grid(kind, seed):
    world = KINDS[kind](seed, quarters=1, channels=2)
    share = np.linspace(0, 1, 2001)
    grid = held(world, np.column_stack([share, 1 - share]), 1)
    plan = best_plan(world)
    best = world.expected(spread(plan)[None])[0]
    spent = world.usual.sum() * QUARTER
    assert -1e-9 * spent <= best - grid.max() < 1e-4 * spent
    assert plan[0, 0] / plan[0].sum() == pytest.approx(share[grid.argmax()], abs=1e-3)


@every_kind
def test_no_plan_drawn_at_random_beats_the_oracle(kind):
    world = KINDS[kind](2, quarters=2)
    plan = best_plan(world)
    np.testing.assert_allclose(plan.sum(axis=1), world.usual.sum(), rtol=1e-12)
    assert (plan >= 0).all()
    rng = np.random.default_rng(0)
    drawn = world.usual.sum() * rng.dirichlet(np.ones(len(world.usual)), (200, 2))
    near = np.abs(plan * (1 + 0.1 * rng.standard_normal((200, *plan.shape))))
    near *= world.usual.sum() / near.sum(axis=2, keepdims=True)
    others = world.expected(np.repeat(np.concatenate([drawn, near]), QUARTER, axis=1))
    usual = held(world, world.usual[None] / world.usual.sum(), 2)[0]
    best = world.expected(spread(plan)[None])[0]
    assert best >= others.max() and best > usual


def test_where_nothing_saturates_the_oracle_gives_all_to_the_channel_that_pays_most():
    world = family_world(3, quarters=1, channels=3, saturation="none", adstock="none", lags=0)
    pure = held(world, np.eye(3), 1)
    shares = best_plan(world)[0] / world.usual.sum()
    np.testing.assert_allclose(shares, np.eye(3)[pure.argmax()], atol=1e-9)


def test_without_carry_over_the_oracle_sets_all_marginal_returns_equal():
    forms = {"adstock": "none", "lags": 0}
    world = family_world(4, quarters=1, channels=3, noise=0.0, **forms)
    plan = best_plan(world)[0]
    truth = family_market(4, weeks=156 + QUARTER, channels=3, noise=0.0, **forms).truth
    p = truth.parameters
    half = p["half_saturation"] * p["media_scale"]
    marginal = p["outcome_scale"] * p["beta"] * half / (half + plan) ** 2
    used = plan > 1e-6 * plan.sum()
    np.testing.assert_allclose(marginal[used], marginal[used][0], rtol=1e-4)
    assert (marginal[~used] <= marginal[used][0] * (1 + 1e-4)).all()


@pytest.mark.parametrize("change", [0.0, 0.2, 0.5])
def test_the_best_plan_within_bounds_is_the_best_of_a_grid_of_the_bounds(change):
    world = family_world(5, quarters=2, channels=2)
    plan = best_within(world, world.usual, change)
    low, high = (1 - change) * world.usual, (1 + change) * world.usual
    assert (plan >= low * (1 - 1e-9)).all() and (plan <= high * (1 + 1e-9)).all()
    assert plan.sum() == pytest.approx(world.usual.sum(), rel=1e-12)
    first = np.linspace(low[0], high[0], 501)
    grid = np.column_stack([first, world.usual.sum() - first])
    grid = grid[(grid[:, 1] >= low[1] * (1 - 1e-12)) & (grid[:, 1] <= high[1] * (1 + 1e-12))]
    best = held(world, grid / world.usual.sum(), 2).max()
    found = held(world, plan[None] / world.usual.sum(), 2)[0]
    assert found - best > -1e-9 * world.usual.sum() * 2 * QUARTER
