"""Draws from the prior follow the priors they were drawn from, whatever the prior is about."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from channelwise.response.design import Units, design
from channelwise.response.effects import Effects
from channelwise.response.mmm import EFFECT_PRIORS, Model
from channelwise.response.prior import prior_draws
from channelwise.response.priors import Prior
from channelwise.response.simulate import family_market
from scipy_priors import frozen

DRAWS = 2000
MARKET = family_market(4, weeks=40, channels=2, organic=1, controls=1, lags=3, before=5).market
GEO = family_market(5, weeks=20, channels=2, controls=1, geos=3, lags=3).market
SHAPE = {"lags": 3, "seasonality": 1}


def follows(draws: np.ndarray, prior: Prior) -> None:
    """Every column of the draws looks like the prior."""
    for column in draws.reshape(len(draws), -1).T:
        assert stats.kstest(column, frozen(prior).cdf).pvalue > 1e-4


def quantity(effects: Effects, prior_on: str) -> np.ndarray:
    """What the prior of the effect is about, from public consequences alone."""
    market = effects.market
    paid = effects.draws_of("contribution")[:, : market.n_channels]
    return {
        "coefficient": lambda: effects.draws_of("beta")[:, : market.n_channels],
        "roi": lambda: paid * market.value / effects.spend,
        "marginal_roi": effects.marginal_roi,
        "contribution": lambda: paid / market.outcome[:, market.before :].sum(),
    }[prior_on]()


@pytest.mark.parametrize("market", [MARKET, GEO], ids=["national", "geo"])
@pytest.mark.parametrize("prior_on", EFFECT_PRIORS)
def test_effects_follow_their_prior_in_the_quantity_it_is_about(market, prior_on):
    model = Model(prior_on=prior_on, saturation="hill", **SHAPE)
    effects = Effects(prior_draws(market, model, DRAWS, seed=1), draws=DRAWS)
    follows(quantity(effects, prior_on), EFFECT_PRIORS[prior_on])
    summed = effects.contributions().sum(axis=(1, 2))
    np.testing.assert_allclose(summed, effects.draws_of("contribution"), rtol=1e-9)


def test_roi_in_conversions_is_about_their_value():
    model = Model(prior_on="roi", **SHAPE)
    market = replace(MARKET, outcome_kind="conversions", value_per_conversion=40.0)
    prior = prior_draws(market, model, DRAWS, seed=2)
    follows(prior.flat("roi"), EFFECT_PRIORS["roi"])
    revenue = prior_draws(MARKET, model, DRAWS, seed=2)
    paid = slice(0, 2)
    np.testing.assert_allclose(
        prior.flat("contribution")[:, paid] * 40, revenue.flat("contribution")[:, paid], rtol=1e-12
    )


def test_each_medium_has_its_own_prior():
    own = {"effect": {"tv": Prior("gamma", 2, 4)}, "alpha": {"tv": Prior("beta", 5, 2)}}
    prior = prior_draws(MARKET, Model(priors=own, **SHAPE), DRAWS, seed=3)
    media = prior.coords["medium"]
    assert media[0] == "tv"
    follows(prior.flat("beta")[:, 0], Prior("gamma", 2, 4))
    follows(prior.flat("beta")[:, 1], EFFECT_PRIORS["coefficient"])
    follows(prior.flat("beta")[:, 2], Model().prior("organic"))
    default = Model().prior("alpha")
    for m, medium in enumerate(media):
        follows(prior.flat("alpha")[:, m], Prior("beta", 5, 2) if medium == "tv" else default)


@pytest.mark.parametrize(
    ("market", "more"),
    [(MARKET, {}), (MARKET, {"noise": "student_t"}), (GEO, {"saturation": "logistic"})],
    ids=["national", "student_t", "geo"],
)
def test_all_other_parameters_follow_theirs(market, more):
    model = Model(adstock="delayed", **SHAPE, **more)
    prior = prior_draws(market, model, DRAWS, seed=4)
    for name in {"alpha", "theta", "half_saturation", "rate", "sigma", "nu", "tau", "eta"}:
        if name in prior.draws:
            follows(prior.flat(name), model.prior(name))
    kinds = ("intercept", "trend", "seasonality", "seasonality", "control")
    for kind, column in zip(kinds, prior.flat("coefficient").T, strict=True):
        follows(column, model.prior(kind))
    if market.n_geos > 1:
        z = np.log(prior.flat("geo_factor")) / prior.flat("eta")[:, None, :]
        follows(z, Prior("normal", 0, 1))
        follows(prior.flat("geo_intercept") / prior.flat("tau")[:, None], Prior("normal", 0, 1))


def test_parameters_are_drawn_independently():
    prior = prior_draws(MARKET, Model(prior_on="roi", **SHAPE), 5000, seed=5)
    names = ("alpha", "half_saturation", "roi", "coefficient", "sigma")
    every = np.concatenate([prior.flat(n).reshape(5000, -1) for n in names], axis=1)
    off = stats.spearmanr(every).statistic - np.eye(every.shape[1])
    assert np.abs(off).max() < 5 / np.sqrt(5000)


def test_of_the_outcome_only_its_scale_is_read():
    model = Model(prior_on="roi", **SHAPE)
    first = prior_draws(MARKET, model, 20, seed=6)
    shuffled = replace(MARKET, outcome=MARKET.outcome.copy())
    shuffled.outcome[:, 5:] = np.random.default_rng(0).permutation(MARKET.outcome[0, 5:])
    again = prior_draws(shuffled, model, 20, seed=6)
    for name in first.draws:
        np.testing.assert_array_equal(first.draws[name], again.draws[name])
    other = prior_draws(MARKET, model, 20, seed=7)
    assert not np.array_equal(first.draws["alpha"], other.draws["alpha"])


def test_given_units_are_kept():
    model = Model(**SHAPE)
    problem = design(MARKET, model)
    units = Units(2 * problem.outcome_scale, problem.media_scale)
    usual, doubled = (prior_draws(MARKET, model, 20, seed=8, units=u) for u in (None, units))
    np.testing.assert_allclose(
        doubled.draws["contribution"], 2 * usual.draws["contribution"], rtol=1e-12
    )
    assert usual.state["outcome_scale"] == problem.outcome_scale


def test_the_prior_is_one_chain_without_a_sampler():
    prior = prior_draws(MARKET, Model(**SHAPE), 30)
    assert (prior.n_chains, prior.n_draws) == (1, 30)
    assert prior.statistics == {}
    assert prior.dims["contribution"] == ("medium",)
