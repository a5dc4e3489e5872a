"""Response curves: the posterior's own numbers, derivatives, units, prices, and refusals."""

from dataclasses import replace

import numpy as np
import pytest

from channelwise.decisions.budget.curves import Curves, hill_curves
from channelwise.decisions.budget.market_curves import curves_of
from channelwise.decisions.budget.shapes import FORMS
from channelwise.response.effects import Effects
from channelwise.response.examine import examine
from channelwise.response.gate import GateError
from channelwise.response.mmm import Model
from channelwise.response.prior import prior_draws
from channelwise.response.simulate import family_market


def believed(market, model=None, draws=50):
    """Draws from the prior, with a sampler's statistics, so that the gate can judge them."""
    drawn = prior_draws(market, model or Model(), draws=draws)
    energy = np.random.default_rng(0).standard_normal((1, draws))
    return replace(drawn, statistics={"energy": energy, "diverging": np.zeros((1, draws), bool)})


def failed(posterior) -> tuple[str, ...]:
    return tuple(v.check for v in examine(posterior).failures)


def some(form: str, seed: int = 0) -> Curves:
    rng = np.random.default_rng(seed)
    shape = (3, 7, 4)
    return Curves(
        channels=("a", "b", "c"),
        forms=(form,) * 3,
        amplitude=rng.lognormal(0, 1, shape),
        scale=rng.lognormal(0, 1, shape),
        slope=rng.uniform(0.5, 3, shape[:2]),
        today=np.ones(3),
    )


@pytest.mark.parametrize("saturation", ["michaelis_menten", "hill", "logistic", "tanh", "root"])
@pytest.mark.parametrize("geos", [1, 3])
def test_curves_are_the_posteriors_own(saturation, geos):
    market = family_market(2, weeks=60, channels=2, geos=geos, saturation=saturation).market
    drawn = believed(market, Model(saturation=saturation), draws=40)
    effects = Effects(drawn, draws=40)
    curves = curves_of(drawn, draws=40, override=failed(drawn))
    for factor in (0.5, 1.0, 2.0):
        expected = effects.curves(np.array([factor]))[:, 0]
        np.testing.assert_allclose(curves.values(factor * curves.today), expected, rtol=1e-12)
    np.testing.assert_allclose(curves.marginals(curves.today), effects.marginal_roi(), rtol=1e-11)


def test_a_horizon_scales_spend_and_outcome_alike():
    market = family_market(2, weeks=60, channels=2).market
    drawn = believed(market)
    whole, part = (curves_of(drawn, periods=n, override=failed(drawn)) for n in (60, 15))
    np.testing.assert_allclose(part.today, whole.today / 4)
    np.testing.assert_allclose(part.values(part.today), whole.values(whole.today) / 4)
    assert (part.most >= part.today).all()


def test_a_posterior_that_failed_the_gate_has_no_curves():
    market = family_market(2, weeks=60, channels=2).market
    with pytest.raises(GateError, match="may not be used"):
        curves_of(believed(market))


def test_an_overridden_check_stays_on_the_curves():
    drawn = believed(family_market(2, weeks=60, channels=2).market)
    assert curves_of(drawn, override=failed(drawn)).stamp.startswith("OVERRIDDEN")


def test_a_channel_never_spent_on_is_named():
    market = family_market(2, weeks=60, channels=2).market
    spend = market.spend * np.array([1.0, 0.0])
    idle = replace(market, spend=spend, exposure=spend)
    with pytest.raises(ValueError, match=f"{market.channels[1]} was never spent on"):
        curves_of(believed(idle))


@pytest.mark.parametrize("periods", [0, -3])
def test_a_horizon_of_no_periods_is_refused(periods):
    drawn = believed(family_market(2, weeks=60, channels=2).market)
    with pytest.raises(ValueError, match=f"A horizon of {periods} periods is none"):
        curves_of(drawn, periods=periods)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("x", [1e-4, 0.3, 1.0, 20.0])
def test_slope_and_bend_are_the_derivatives(form, x):
    curves, at = some(form), np.full(3, x)
    h = 1e-5 * at
    below, here, above = (curves.moments(at + d) for d in (-h, 0 * h, h))
    risen = (above.value - below.value) / (2 * h)
    np.testing.assert_allclose(here.slope, risen, rtol=1e-6, atol=1e-10 * here.value.max() / x)
    np.testing.assert_allclose(
        here.bend, (above.slope - below.slope) / (2 * h), rtol=1e-5, atol=1e-9 / x
    )
    np.testing.assert_allclose(here.value, curves.values(at).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(here.slope, curves.marginals(at).mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_extremes_stay_finite(form):
    curves = replace(some(form), slope=np.ones((3, 7)))
    for x in (0.0, 1e-300, 1e12):
        found = curves.moments(np.full(3, x))
        assert all(np.isfinite(part).all() for part in found)
    assert np.allclose(curves.expected(np.zeros(3)), 0, atol=1e-200)


def test_units_change_nothing_but_the_unit():
    curves = some("hill")
    other = curves.in_units(1000.0, 7.0)
    np.testing.assert_allclose(7 * other.values(np.full(3, 0.002)), curves.values(np.full(3, 2.0)))


def test_rising_prices_buy_less_of_more():
    curves = some("hill")
    dear = curves.with_rising_prices(0.5)
    bought = 2 ** (1 / 1.5)
    np.testing.assert_allclose(dear.values(np.full(3, 2.0)), curves.values(np.full(3, bought)))
    with pytest.raises(ValueError, match="cannot rise by a power of -1"):
        curves.with_rising_prices({"a": -1.0})
    with pytest.raises(ValueError, match="No channel is called 'z'"):
        curves.with_rising_prices({"z": 0.1})


def test_hill_curves_of_known_parameters_take_their_closed_form():
    curves = hill_curves(("a",), np.array([3.0]), np.array([2.0]), 1.5, today=np.array([1.0]))
    assert curves.expected(np.array([2.0]))[0] == pytest.approx(1.5)
    assert not curves.concave[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forms": ("hill", "hill", "cubic")}, "No curve is called 'cubic'"),
        ({"forms": ("hill",)}, "forms has 1 entries for the curves of 3 channels"),
        ({"today": np.array([1.0, -1.0, 1.0])}, "Today's spend must be at least 0"),
        ({"slope": np.zeros((3, 7))}, "Slopes must be above 0"),
        ({"channels": ("a", "a", "b")}, "a name of its own"),
        ({"weights": np.ones(7)}, "weights must be 7 numbers"),
    ],
)
def test_curves_that_do_not_fit_together_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        replace(some("hill"), **change)
