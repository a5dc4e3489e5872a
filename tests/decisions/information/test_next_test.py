"""Proposed tests on a fitted market: windows, precision, what they lose, and their ranking."""

from dataclasses import replace

import numpy as np
import pytest

from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.market_curves import curves_of
from channelwise.decisions.information.next_test import plan_test
from channelwise.decisions.information.proposed_test import (
    ProposedTest,
    as_lift_test,
    proposals,
    standard_error,
)
from channelwise.response.effects import Effects, predicted_lift
from channelwise.response.fit import fit
from channelwise.response.gate import GateError
from channelwise.response.lift import LiftError
from channelwise.response.mmm import Model
from channelwise.response.prior import prior_draws
from channelwise.response.simulate import family_market

MODEL = Model(lags=4, seasonality=1, prior_on="roi")
CHECKS = ("rhat", "ess_bulk", "ess_tail", "prior", "autocorrelation", "outliers")


@pytest.fixture(scope="module")
def known():
    return family_market(5, weeks=78, channels=2, controls=1, lags=4, collinearity=0.8)


@pytest.fixture(scope="module")
def posterior(known):
    return fit(known.market, MODEL, seed=1)


@pytest.fixture(scope="module")
def effects(posterior):
    return Effects(posterior, draws=200)


@pytest.fixture(scope="module")
def ranked(posterior):
    return plan_test(posterior, draws=200, override=CHECKS)


def off(channel="tv", periods=4, **more):
    return ProposedTest({channel: 0.0}, periods, **more)


def test_every_channel_change_and_duration_is_proposed_by_default(known, ranked):
    assert len(proposals(known.market)) == len(ranked.tests) == 2 * 4 * 2
    labels = [v.test.label for v in ranked.tests]
    assert {"tv off, 4 periods", "search doubled, 8 periods", "tv −50%, 8 periods"} < set(labels)
    nets = [v.net for v in ranked.tests]
    assert nets == sorted(nets, reverse=True)
    table = ranked.table()
    assert list(table.index) == labels and np.isfinite(table.to_numpy()).all()


def test_no_test_is_worth_more_than_knowing_everything(ranked):
    for v in ranked.tests:
        assert 0 <= v.value <= ranked.perfect + 3 * ranked.perfect_error
        assert v.information.high <= ranked.perfect * (1 + 1e-9)
        assert v.net == pytest.approx(v.value - v.off_plan - v.test.cost)


def test_tests_lose_what_their_spend_brings_less_than_the_plan_s(posterior, ranked):
    curves = curves_of(posterior, draws=200, periods=52, override=CHECKS)
    plan, price = ranked.plan, ranked.plan.shadow_price
    for v in ranked.tests:
        (channel, factor), *_ = v.test.factor.items()
        i = curves.channels.index(channel)
        spend = factor * curves.today
        gap = curves.expected(plan.spend)[i] - curves.expected(spend)[i]
        lost = v.test.periods / 52 * (gap - price * (plan.spend[i] - spend[i]))
        assert v.off_plan == pytest.approx(lost, rel=1e-9)
        assert v.off_plan > -1e-6 * ranked.perfect  # nothing is gained off an unbounded plan


def test_more_precise_cheaper_and_sooner_is_worth_more(posterior):
    tests = [
        off(standard_error=1e3, name="sharp"),
        off(standard_error=1e5, name="fair"),
        off(standard_error=1e12, name="blind"),
        off(standard_error=1e3, cost=500.0, name="dear"),
        off(standard_error=1e3, tail=0, name="short"),
    ]
    plan = plan_test(posterior, tests, draws=200, override=CHECKS)
    value = {v.test.name: v for v in plan.tests}
    assert value["sharp"].value > value["fair"].value > value["blind"].value
    assert value["blind"].value == pytest.approx(0, abs=1e-6 * plan.perfect)
    assert value["dear"].net == pytest.approx(value["sharp"].net - 500)
    assert value["sharp"].left == 1 - 8 / 52 and value["short"].left == 1 - 4 / 52
    assert "Knowing everything would add" in str(plan)
    nothing = plan_test(posterior, tests[2:3], draws=200, override=CHECKS)
    assert nothing.best is None and "No test is worth more than it costs" in str(nothing)


def test_the_lift_valued_is_that_of_the_posterior_s_own_draws(posterior, ranked):
    for v in ranked.tests[:3]:
        lift = predicted_lift(posterior, v.played, 200)
        assert v.lift == pytest.approx((lift.mean(), lift.std()), rel=1e-9)


def test_constraints_bound_what_a_test_can_change(posterior, ranked):
    test = [v.test for v in ranked.tests if v.test.label == "tv off, 8 periods"]
    budget = float(ranked.plan.today.sum())
    held = Constraints(budget, change=1e-3)
    fixed = plan_test(posterior, test, held, draws=200, override=CHECKS)
    free = plan_test(posterior, test, draws=200, override=CHECKS)
    assert fixed.tests[0].value < 0.05 * free.tests[0].value


def test_a_posterior_that_failed_the_gate_ranks_nothing():
    market = family_market(5, weeks=30, channels=2, controls=0, lags=2).market
    short = fit(market, Model(lags=2, seasonality=0), draws=50, seed=3, careful=False)
    bad = replace(short, draws=short.draws | {"roi": np.cumsum(short.draws["roi"], axis=1)})
    with pytest.raises(GateError, match="may not be used"):
        plan_test(bad, [off()])


# --- windows -------------------------------------------------------------------------------------


def test_by_default_a_test_stands_where_its_channel_spends_as_it_mostly_does(effects):
    spend = effects.market.spend[0, :, 1]
    played = as_lift_test(off("search"), effects)
    at = int(np.searchsorted(effects.market.dates, np.datetime64(played.start)))
    starts = np.arange(0, 78 - 4 - 4 + 1)
    gaps = np.array([abs(spend[s : s + 4].mean() - spend.mean()) for s in starts])
    assert gaps[at] == gaps.min() and played.tail == 4


def test_a_future_date_stands_for_the_same_weeks_of_the_last_recorded_year(effects):
    dates = effects.market.dates
    later = str(dates[-1] + 7 * 3)
    played = as_lift_test(off("search", start=later), effects)
    assert np.datetime64(played.start) == dates[77 + 3 - 52]
    inside = as_lift_test(off("search", start=str(dates[20] + 3)), effects)
    assert np.datetime64(inside.start) == dates[20]
    end = as_lift_test(off("search", periods=2, tail=0, start=str(dates[-2])), effects)
    assert np.datetime64(end.end) == dates[-1]


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (lambda: off("tvv"), "did you mean 'tv'"),
        (lambda: off(periods=0), "periods of 0; give 1 or more"),
        (lambda: off(cost=-1.0), "cost of -1; give 0 or more"),
        (lambda: off(periods=90), "the record has 78 periods"),
        (lambda: off(start="2010-01-01"), "give a start within 2021-01-04"),
        (lambda: off(geos=("north",)), "names the geo 'north'"),
        (lambda: off(standard_error=-2.0), "standard error of -2"),
    ],
)
def test_a_test_that_cannot_be_is_named(effects, test, words):
    with pytest.raises(LiftError, match=words):
        as_lift_test(test(), effects)


def test_an_organic_medium_is_no_lever_of_the_budget(known):
    market = replace(known.market, organic=np.ones((1, 78, 1)), organic_names=("mail",))
    with pytest.raises(LiftError, match="mail has no spend"):
        as_lift_test(off("mail"), Effects(prior_draws(market, MODEL, draws=10)))


# --- precision -----------------------------------------------------------------------------------


def test_the_error_of_a_national_test_is_that_of_a_sum_of_noise_and_a_level(effects):
    sigma = effects.sigma[:, 0, 0]
    n = 6
    expected = np.sqrt(np.mean(sigma**2) * n * (1 + n / 78))
    assert standard_error(effects, [0], n, 1.0) == pytest.approx(expected)
    half = standard_error(effects, [0], n, 0.5)
    assert half == pytest.approx(expected)  # s/(1 − s) = 1
    assert standard_error(effects, [0], n, 0.1) < half < standard_error(effects, [0], n, 0.9)


def test_the_error_of_a_geo_test_is_that_of_a_difference_in_differences():
    """Against simulated noise: tested geos minus controls scaled by heads, before and during."""
    market = family_market(7, weeks=40, channels=1, controls=0, geos=4, lags=2).market
    effects = Effects(prior_draws(market, Model(lags=2), draws=300, seed=1))
    sigma = np.sqrt((effects.sigma[:, :, 0] ** 2).mean(axis=0))
    heads, n = market.population, 5
    rng = np.random.default_rng(0)
    before = rng.standard_normal((20_000, 4, 40)) * sigma[:, None]
    during = rng.standard_normal((20_000, 4, n)) * sigma[:, None]
    ratio = heads[[0, 2]].sum() / heads[[1, 3]].sum()
    tested = np.array([1.0, -ratio, 1.0, -ratio])
    level = (before.mean(axis=2) * n) @ tested
    lift = during.sum(axis=2) @ tested - level
    assert standard_error(effects, [0, 2], n, 1.0) == pytest.approx(lift.std(), rel=0.02)


def test_heavy_tails_make_a_test_less_precise(known):
    fitted = prior_draws(known.market, replace(MODEL, noise="student_t"), draws=200)
    effects = Effects(fitted)
    nu = np.maximum(effects.draws_of("nu"), 2.5)
    variance = np.mean(effects.sigma[:, 0, 0] ** 2 * nu / (nu - 2))
    assert standard_error(effects, [0], 1, 1.0) == pytest.approx(np.sqrt(variance * (1 + 1 / 78)))
