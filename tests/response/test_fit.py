"""From data to a posterior: names, fallback, units, carry-in, refits and what may go wrong."""

from dataclasses import replace

import numpy as np
import pytest

from channelwise.response import fit as fitting
from channelwise.response import hmc
from channelwise.response.design import Units, design
from channelwise.response.diagnostics import convergence, mcse_mean
from channelwise.response.fit import fit
from channelwise.response.mmm import Model, ModelError
from channelwise.response.posterior import Posterior
from channelwise.response.priors import Prior
from channelwise.response.simulate import family_market

MODEL = Model(lags=4)


def simulated(seed=4, **more):
    return family_market(seed, weeks=60, channels=2, controls=1, lags=4, **more)


@pytest.fixture(scope="module")
def known():
    return simulated()


@pytest.fixture(scope="module")
def posterior(known):
    return fit(known.market, MODEL, seed=1)


def gaps(a: Posterior, b: Posterior, names=("alpha", "half_saturation", "contribution", "sigma")):
    """Differences of the means of the logarithms over their Monte-Carlo errors."""
    found = []
    for name in names:
        x, y = np.log(a.draws[name]), np.log(b.draws[name])
        error = np.hypot(mcse_mean(x), mcse_mean(y))
        found.append(np.atleast_1d((x.mean((0, 1)) - y.mean((0, 1))) / error))
    return np.concatenate(found)


def test_draws_have_names_dimensions_and_labels(posterior):
    media = ("tv", "search")
    assert posterior.coords["medium"] == posterior.coords["channel"] == media
    assert posterior.coords["column"] == (
        "intercept",
        "trend",
        "sin_1",
        "cos_1",
        "sin_2",
        "cos_2",
        "control_1",
    )
    for name in ("alpha", "half_saturation", "beta", "contribution"):
        assert posterior.dims[name] == ("medium",)
        assert posterior.draws[name].shape == (posterior.n_chains, posterior.n_draws, 2)
        assert posterior.draws[name].dtype == np.float64
    assert posterior.dims["sigma"] == () and posterior.dims["roi"] == ("channel",)
    assert posterior.labels("roi") == ["roi[tv]", "roi[search]"]
    assert set(posterior.statistics) == {"energy", "diverging", "acceptance", "steps"}
    assert set(posterior.draws) == {
        "alpha", "half_saturation", "beta", "sigma", "contribution", "coefficient", "roi",
    }  # fmt: skip


def test_every_quantity_has_converged(posterior):
    for x in posterior.draws.values():
        known = convergence(x)
        assert known.rhat.max() <= 1.01
        assert known.ess_bulk.min() >= 1000 and known.ess_tail.min() >= 400


def test_intervals_hold_the_truth_of_a_quiet_market():
    known = simulated(noise=0.001)
    found = fit(known.market, MODEL, seed=2)
    inside = {name: np.quantile(found.flat(name), (0.005, 0.995), axis=0) for name in found.draws}
    p = known.truth.parameters
    for name in ("alpha", "half_saturation"):
        assert (inside[name][0] < p[name]).all() and (p[name] < inside[name][1]).all()
    assert (inside["roi"][0] < known.truth.roi).all() and (known.truth.roi < inside["roi"][1]).all()
    np.testing.assert_allclose(np.median(found.flat("roi"), axis=0), known.truth.roi, rtol=0.15)
    scale = p["outcome_scale"] / found.state["outcome_scale"]
    assert np.median(found.flat("sigma")) == pytest.approx(0.001 * scale, rel=0.3)


def test_the_seed_decides_every_draw(known, posterior):
    again = fit(known.market, MODEL, seed=1)
    assert all(np.array_equal(again.draws[n], posterior.draws[n]) for n in posterior.draws)


def test_roi_is_value_times_contribution_over_spend(known, posterior):
    spend = known.market.spend.sum(axis=(0, 1))
    np.testing.assert_allclose(posterior.draws["roi"], posterior.draws["contribution"] / spend)


def test_conversions_are_worth_their_value(known, posterior):
    market = replace(known.market, outcome_kind="conversions", value_per_conversion=25.0)
    found = fit(market, MODEL, seed=1)
    np.testing.assert_array_equal(found.draws["contribution"], posterior.draws["contribution"])
    np.testing.assert_allclose(found.draws["roi"], 25 * posterior.draws["roi"])


def test_currency_and_exposure_may_be_counted_in_other_units(known, posterior):
    market = known.market
    other = replace(market, outcome=128 * market.outcome, exposure=1024 * market.exposure)
    found = fit(other, MODEL, seed=1)
    for name in ("alpha", "half_saturation", "beta", "sigma"):
        np.testing.assert_allclose(found.draws[name], posterior.draws[name], rtol=1e-9)
    np.testing.assert_allclose(found.draws["roi"], 128 * posterior.draws["roi"], rtol=1e-9)


def test_what_came_before_the_window_is_carried_in(known):
    whole = known.market
    window = family_market(4, weeks=60, channels=2, controls=1, lags=4, before=6).market
    blind = replace(
        window,
        dates=window.dates[6:],
        before=0,
        **{n: getattr(window, n)[:, 6:] for n in ("outcome", "spend", "exposure", "controls")},
        organic=window.organic[:, 6:],
        events=window.events[:, 6:],
    )
    carried, cut = (fit(m, MODEL, seed=3, draws=200) for m in (window, blind))
    assert carried.market.before == 6 and whole.before == 0
    first = design(window, MODEL).design.lagged[..., 0]
    assert (first[:, :, 1:] > 0).any()  # something to carry
    assert (design(blind, MODEL).design.lagged[:, :, 1:, 0] == 0).all()
    assert not np.allclose(carried.draws["contribution"].mean(), cut.draws["contribution"].mean())


def test_a_refit_starts_from_the_saved_posterior_and_keeps_its_units(known, posterior, tmp_path):
    posterior.save(tmp_path / "last_week.npz")
    loaded = Posterior.load(tmp_path / "last_week.npz")
    grown = replace(known.market, outcome=1.5 * known.market.outcome)
    found, same = (fit(grown, MODEL, seed=4, start=s) for s in (loaded, posterior))
    assert all(np.array_equal(found.draws[n], same.draws[n]) for n in found.draws)
    assert found.state["outcome_scale"] == posterior.state["outcome_scale"]
    units = Units(float(posterior.state["outcome_scale"]), posterior.state["media_scale"])
    fresh = fit(grown, MODEL, seed=5, units=units)
    assert np.abs(gaps(found, fresh)).max() < 4.5
    assert all(convergence(x).rhat.max() <= 1.01 for x in found.draws.values())


def test_next_week_is_refitted_from_last_week_without_compiling(known):
    last = fit(known.market.window(0, 54), MODEL, seed=1)
    programs = hmc.chunk._cache_size()
    now = fit(known.market.window(0, 55), MODEL, seed=2, start=last)
    assert hmc.chunk._cache_size() == programs
    assert (convergence(now.draws["roi"]).rhat <= 1.01).all()
    np.testing.assert_allclose(now.draws["roi"].mean(), last.draws["roi"].mean(), rtol=0.3)


def test_a_start_of_another_model_lends_its_units_alone(known, posterior):
    other = replace(MODEL, saturation="root", adstock="none")
    found = fit(known.market, other, seed=6, start=posterior, draws=100)
    assert found.state["outcome_scale"] == posterior.state["outcome_scale"]
    assert found.state["root"].shape == (5, 5)


@pytest.mark.parametrize(
    ("careful", "fast", "slow", "asked", "kept"),
    [
        (None, 1.005, 1.0, 0, 8),
        (None, 1.3, 1.0, 1, 4),
        (None, 1.3, 1.5, 1, 8),
        (True, 1.3, 1.0, 1, 4),
        (False, 1.3, 1.0, 0, 8),
    ],
)
def test_nuts_is_tried_where_chains_disagree_and_kept_where_its_own_agree_better(
    known, posterior, monkeypatch, careful, fast, slow, asked, kept
):
    calls = []

    def instead(problem, *, draws, seed):
        calls.append((draws, seed))
        return fitting.sample(problem, chains=4, draws=50, seed=seed, extensions=0)

    monkeypatch.setattr(fitting, "sample_carefully", instead)
    monkeypatch.setattr(
        fitting, "_disagreement", lambda samples: slow if len(samples.position) == 4 else fast
    )
    found = fit(known.market, MODEL, seed=7, start=posterior, careful=careful)
    assert calls == [(1000, 7)] * asked
    assert found.n_chains == kept


def test_forms_that_few_media_have_get_a_dimension_of_their_own():
    market = simulated(organic=1).market
    model = Model(
        lags=4,
        adstock={"tv": "delayed"},
        saturation={"search": "hill", "organic_1": "none"},
        priors={"slope": Prior("gamma", 20, 20)},
    )
    found = fit(market, model, seed=8, draws=100)
    assert found.dims["theta"] == ("theta_medium",) and found.coords["theta_medium"] == ("tv",)
    assert found.coords["slope_medium"] == ("search",)
    assert found.coords["half_saturation_medium"] == ("tv", "search")
    assert found.dims["alpha"] == ("medium",) and len(found.coords["medium"]) == 3
    assert found.draws["roi"].shape[-1] == 2


def test_geos_have_intercepts_and_factors():
    market = family_market(5, weeks=40, channels=2, controls=0, geos=3, lags=2).market
    found = fit(market, Model(lags=2, seasonality=0), seed=9)
    assert found.dims["geo_factor"] == ("geo", "medium") and found.dims["tau"] == ()
    assert found.dims["geo_intercept"] == ("geo",) and found.coords["geo"] == market.geos
    assert found.draws["geo_factor"].shape[2:] == (3, 2)
    assert convergence(found.draws["roi"]).rhat.max() <= 1.01
    assert (found.draws["geo_factor"] > 0).all() and found.draws["eta"].shape[2:] == (2,)


WRONG = {
    "no medium called 'radio'": Model(adstock={"radio": "none"}),
    "no medium called 'display'": Model(priors={"effect": {"display": Prior("gamma", 1, 1)}}),
    "sigma must live on positive": Model(priors={"sigma": Prior("normal", 0, 1)}),
    "control_1 must be normal": Model(priors={"control": Prior("gamma", 1, 1)}),
    "tv has no spend, so it has no ROI": Model(prior_on="roi"),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_model_that_does_not_fit_the_market_is_refused(known, words):
    idle = replace(known.market, spend=np.zeros((1, 60, 2)))
    with pytest.raises(ModelError, match=words):
        fit(idle, WRONG[words])


def test_too_few_periods_are_refused(known):
    with pytest.raises(ModelError, match="7 periods with an outcome are too few"):
        fit(known.market.window(0, 7), MODEL)
