"""What draws say about the market: against plain loops, finite differences and a known truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.mmm import Model
from channelwise.response.prior import prior_draws
from channelwise.response.simulate import family_market

LAGS = 4
MODEL = Model(lags=LAGS, seasonality=1, saturation="hill")
GEO = {"weeks": 30, "channels": 2, "controls": 1, "geos": 3, "lags": LAGS}


@pytest.fixture(scope="module", params=["national", "geo"])
def prior(request):
    """Effects of prior draws: everything but the fit, for any parameters there may be."""
    more = GEO if request.param == "geo" else {"weeks": 40, "channels": 2, "organic": 1}
    market = family_market(4, before=6, **{"lags": LAGS, **more}).market
    return Effects(prior_draws(market, MODEL, draws=12, seed=1), draws=12)


@pytest.fixture(scope="module")
def known():
    return family_market(4, weeks=104, channels=2, controls=1, lags=LAGS, noise=0.002)


@pytest.fixture(scope="module")
def fitted(known):
    model = Model(lags=LAGS, seasonality=2)
    return Effects(fit(known.market, model, seed=1), draws=400)


def plain_contribution(effects, draw, geo, time, medium):
    """One number of `contributions`, from the equation in the model's docstring."""
    market, d = effects.market, effects.draws_of
    heads = np.ones(1) if market.population is None else market.population
    exposure = np.concatenate([market.exposure, market.organic], axis=2) / heads[:, None, None]
    x = exposure[geo, :, medium] / exposure[:, :, medium].max()
    alpha, t = d("alpha")[draw, medium], market.before + time
    weights = [alpha**lag for lag in range(LAGS + 1)]
    s = sum(w * x[t - lag] for lag, w in enumerate(weights) if t >= lag) / sum(weights)
    K, n = d("half_saturation")[draw, medium], d("slope")[draw, medium]
    factor = d("geo_factor")[draw, geo, medium] if market.n_geos > 1 else 1.0
    scale = (market.outcome[:, market.before :] / heads[:, None]).max()
    return heads[geo] * scale * d("beta")[draw, medium] * factor * s**n / (K**n + s**n)


def test_contributions_are_the_models_equation(prior):
    found = prior.contributions()
    draws, geos, times, media = found.shape
    assert (draws, geos, times) == (12, prior.market.n_geos, prior.market.n_observed)
    rng = np.random.default_rng(0)
    for _ in range(60):
        at = tuple(int(rng.integers(n)) for n in found.shape)
        assert found[at] == pytest.approx(plain_contribution(prior, *at), rel=1e-9, abs=1e-9)
    for medium in range(media):  # the first period, which lives on what was carried in
        assert found[0, 0, 0, medium] == pytest.approx(
            plain_contribution(prior, 0, 0, 0, medium), rel=1e-9
        )


def test_contributions_add_up_to_the_posteriors_own(prior, fitted):
    for effects in (prior, fitted):
        total = effects.contributions().sum(axis=(1, 2))
        np.testing.assert_allclose(total, effects.draws_of("contribution"), rtol=1e-9)


def test_the_baseline_is_what_the_coefficients_say(prior):
    market, d = prior.market, prior.draws_of
    heads = np.ones(1) if market.population is None else market.population
    start = market.before
    angle = 2 * np.pi * market.dates[start:].astype(float) / 365.25
    time = np.linspace(-0.5, 0.5, market.n_observed)
    common = np.stack([np.ones_like(time), time, np.sin(angle), np.cos(angle)])
    expected = np.repeat((d("coefficient")[:, :4] @ common)[:, None], market.n_geos, axis=1)
    for i in range(len(market.control_names)):
        control = market.controls[:, start:, i]
        control = (control - control.mean()) / control.std()
        expected = expected + d("coefficient")[:, 4 + i, None, None] * control
    if market.n_geos > 1:
        expected = expected + d("geo_intercept")[:, :, None]
    scale = (market.outcome[:, start:] / heads[:, None]).max()
    np.testing.assert_allclose(prior.baseline(), expected * heads[:, None] * scale, rtol=1e-9)
    np.testing.assert_allclose(
        prior.expected(), prior.baseline() + prior.contributions().sum(axis=3), rtol=1e-12
    )


def test_curves_begin_at_nothing_and_pass_todays_contribution(prior):
    curves = prior.curves(np.array([0.0, 0.5, 1.0, 2.0]))
    assert curves.shape == (12, 4, prior.contributions().shape[3])
    assert (curves[:, 0] == 0).all()
    np.testing.assert_allclose(curves[:, 2], prior.draws_of("contribution"), rtol=1e-9)
    assert (np.diff(curves, axis=1) > 0).all()


def test_curves_are_the_contributions_of_a_market_with_other_media(prior):
    posterior, market = prior.posterior, prior.market
    grown = replace(market, exposure=1.7 * market.exposure, organic=1.7 * market.organic)
    scaled = Effects(replace(posterior, market=grown), draws=12)
    np.testing.assert_allclose(
        prior.curves(np.array([1.7]))[:, 0], scaled.contributions().sum(axis=(1, 2)), rtol=1e-9
    )


def test_marginal_roi_is_the_slope_of_the_curve_at_todays_spend(prior, fitted):
    step = 1e-4
    for effects in (prior, fitted):
        low, high = np.moveaxis(effects.curves(np.array([1 - step, 1 + step])), 1, 0)
        slope = (high - low)[:, : effects.market.n_channels] / (2 * step)
        np.testing.assert_allclose(effects.marginal_roi(), slope / effects.spend, rtol=1e-5)


def test_roi_is_value_of_the_contribution_over_spend(prior):
    market = replace(prior.market, outcome_kind="conversions", value_per_conversion=9.0)
    effects = Effects(replace(prior.posterior, market=market), draws=12)
    spend = market.spend[:, market.before :].sum(axis=(0, 1))
    paid = prior.contributions().sum(axis=(1, 2))[:, : market.n_channels]
    np.testing.assert_allclose(effects.spend, spend)
    np.testing.assert_allclose(prior.roi(), paid / spend, rtol=1e-9)
    np.testing.assert_allclose(prior.roi(), prior.draws_of("roi"), rtol=1e-9)
    np.testing.assert_allclose(effects.roi(), 9 * prior.roi(), rtol=1e-12)
    np.testing.assert_allclose(effects.marginal_roi(), 9 * prior.marginal_roi(), rtol=1e-12)


def test_a_channel_without_spend_has_no_roi():
    market = family_market(4, weeks=40, channels=2, lags=LAGS).market
    spend = market.spend * np.array([1.0, 0.0])
    posterior = prior_draws(replace(market, spend=spend), MODEL, draws=3)
    effects = Effects(posterior)
    assert "roi" not in posterior.draws
    assert np.isfinite(effects.roi()[:, 0]).all() and np.isnan(effects.roi()[:, 1]).all()
    assert np.isnan(effects.marginal_roi()[:, 1]).all()


def test_predictions_spread_by_sigma_around_what_is_expected(prior):
    many = Effects(replace(prior.posterior), draws=12)
    z = (many.predicted(3) - many.expected()) / many.sigma
    np.testing.assert_allclose(z, many.noise(3), rtol=1e-6, atol=1e-8)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert not np.array_equal(many.predicted(4), many.predicted(3))
    heads = np.ones(1) if prior.market.population is None else prior.market.population
    ratio = many.sigma[:, :, 0] / many.draws_of("sigma")[:, None]
    np.testing.assert_allclose(ratio / ratio[:, :1], np.tile(heads / heads[0], (12, 1)))


def test_student_noise_has_the_tails_of_its_draw():
    market = family_market(4, weeks=200, channels=1, lags=LAGS).market
    posterior = prior_draws(market, replace(MODEL, noise="student_t"), draws=8, seed=2)
    nu = np.array([2.0, 2.0, 2.0, 2.0, 60.0, 60.0, 60.0, 60.0])[None]
    effects = Effects(replace(posterior, draws={**posterior.draws, "nu": nu}))
    noise = effects.noise(0)
    for rows, freedom in ((noise[:4], 2.0), (noise[4:], 60.0)):
        assert stats.kstest(rows.ravel(), stats.t(freedom).cdf).pvalue > 1e-3


def test_residuals_are_in_units_of_sigma(prior, fitted):
    for effects in (prior, fitted):
        observed = effects.market.outcome[:, effects.market.before :]
        np.testing.assert_allclose(
            effects.expected() + effects.sigma * effects.residuals(),
            np.broadcast_to(observed, effects.expected().shape),
            rtol=1e-8,
        )
    assert np.mean(fitted.residuals() ** 2) == pytest.approx(1, abs=0.15)


def test_a_quiet_market_is_taken_apart_as_it_was_made(known, fitted):
    truth, mean = known.truth, known.market.outcome.mean()
    noise = float(truth.parameters["sigma"] * truth.parameters["outcome_scale"])
    expected = truth.baseline + truth.contribution_over_time.sum(axis=-1)
    assert np.abs(np.median(fitted.expected(), axis=0) - expected).max() < 3 * noise
    for found, true in (
        (fitted.baseline(), truth.baseline),
        (fitted.contributions(), truth.contribution_over_time),
    ):
        low, high = np.quantile(found, (0.005, 0.995), axis=0)
        assert ((low <= true) & (true <= high)).mean() > 0.9
        assert np.abs(np.median(found, axis=0) - true).mean() < 0.05 * mean
    factors = np.array([0.5, 1.0, 1.5])
    low, high = np.quantile(fitted.curves(factors), (0.005, 0.995), axis=0)
    true = truth.response_curve(factors)
    assert ((low < true) & (true < high)).all()
    low, high = np.quantile(fitted.marginal_roi(), (0.005, 0.995), axis=0)
    assert ((low < truth.marginal_roi) & (truth.marginal_roi < high)).all()


def test_predictions_cover_the_outcome_as_often_as_they_promise(known, fitted):
    low, high = np.quantile(fitted.predicted(1), (0.1, 0.9), axis=0)
    inside = ((low < known.market.outcome) & (known.market.outcome < high)).mean()
    assert inside == pytest.approx(0.8, abs=0.1)


def test_draws_are_thinned_evenly_over_all_chains(fitted):
    posterior = fitted.posterior
    few = Effects(posterior, draws=10)
    assert few.draws_of("sigma").shape == (10,)
    flat = posterior.flat("sigma")
    assert few.draws_of("sigma")[0] == flat[0] and few.draws_of("sigma")[-1] == flat[-1]
    every = Effects(posterior, draws=10**9)
    np.testing.assert_array_equal(every.draws_of("sigma"), flat)
