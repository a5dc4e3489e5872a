"""Forecasts of held-out periods: their frame by hand, their scores on markets of known truth."""

from dataclasses import replace

import numpy as np
import pytest

from channelwise.response.calibration import crps
from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.mmm import Model, ModelError
from channelwise.response.prior import prior_draws
from channelwise.response.simulate import family_market
from channelwise.response.validation import Fold, Validation, forecast, naive_forecast, validate

MODEL = Model(lags=4)
GEO = {"weeks": 40, "channels": 2, "controls": 1, "geos": 3}


def simulated(seed=4, weeks=104, **more):
    given = {"channels": 2, "controls": 1, "lags": 4, "noise": 0.03} | more
    return family_market(seed, weeks=weeks, **given).market


@pytest.fixture(scope="module")
def market():
    return simulated()


@pytest.fixture(scope="module")
def validation(market):
    return validate(market, MODEL, folds=3, horizon=8, seed=1)


def test_the_model_that_made_the_market_forecasts_better_than_last_year(validation):
    assert validation.crps < 0.6 * validation.naive_crps
    assert validation.skill == pytest.approx(1 - validation.crps / validation.naive_crps)
    assert validation.skill > 0.4


def test_intervals_hold_held_out_outcomes_about_as_often_as_they_promise():
    found = [validate(simulated(seed), MODEL, folds=3, horizon=8, seed=2) for seed in range(20, 28)]
    for level in (0.5, 0.9):  # 192 outcomes, dependent within a fold
        assert np.mean([v.coverage(level) for v in found]) == pytest.approx(level, abs=0.12)


def test_folds_cover_the_last_periods_each_once(market, validation):
    dates = np.concatenate([fold.dates for fold in validation.folds])
    np.testing.assert_array_equal(dates, market.dates[-24:])
    observed = np.concatenate([fold.observed for fold in validation.folds], axis=1)
    np.testing.assert_array_equal(observed, market.outcome[:, -24:])
    assert all(fold.forecast.shape == (1000, 1, 8) for fold in validation.folds)


def test_scores_are_means_over_folds_geos_and_periods(validation):
    fold = validation.folds[1]
    assert fold.crps == pytest.approx(crps(fold.forecast, fold.observed).mean())
    assert fold.naive_crps == pytest.approx(crps(fold.naive, fold.observed).mean())
    assert validation.crps == pytest.approx(np.mean([f.crps for f in validation.folds]))
    assert validation.coverage(1.0) >= validation.coverage(0.9) >= validation.coverage(0.5)


def test_the_table_says_which_forecast_was_better(validation):
    text = str(validation)
    assert "below that of the naive forecast" in text and "in the 90% interval" in text
    assert len(text.splitlines()) == 5
    swapped = tuple(
        Fold(f.dates, f.observed, forecast=f.naive, naive=f.forecast) for f in validation.folds
    )
    assert "above that of the naive forecast" in str(Validation(swapped))


def test_nothing_of_the_held_out_outcome_is_read(market):
    other = replace(market, outcome=market.outcome.copy())
    other.outcome[:, -8:] *= 10
    one, two = (validate(m, MODEL, folds=1, horizon=8, draws=50).folds[0] for m in (market, other))
    np.testing.assert_array_equal(one.forecast, two.forecast)
    np.testing.assert_array_equal(one.naive, two.naive)
    assert not np.array_equal(one.observed, two.observed)


@pytest.mark.parametrize("shape", [{"weeks": 40, "before": 6}, GEO], ids=["national", "geo"])
def test_a_longer_market_leaves_the_periods_of_the_fit_as_they_were(shape):
    whole = simulated(**shape)
    seen = whole.window(0, 30)
    posterior = prior_draws(seen, MODEL, draws=8, seed=3)
    own, longer = Effects(posterior), Effects(posterior, market=whole)
    for part in ("baseline", "expected", "contributions"):
        np.testing.assert_allclose(
            getattr(longer, part)()[:, :, :30], getattr(own, part)(), rtol=1e-10, atol=1e-9
        )


def test_geos_of_unknown_population_keep_their_size():
    whole = replace(simulated(**GEO), population=None)
    posterior = prior_draws(whole.window(0, 30), MODEL, draws=4, seed=3)
    own, longer = Effects(posterior), Effects(posterior, market=whole)
    np.testing.assert_allclose(longer.expected()[:, :, :30], own.expected(), rtol=1e-10)


def test_forecasts_follow_the_equation_in_the_frame_of_the_fit():
    whole = simulated(weeks=40, before=3)
    seen = whole.window(0, 30)
    posterior = prior_draws(seen, MODEL, draws=4, seed=3)
    found = Effects(posterior, market=whole).expected()[:, 0, 30:]
    d = {name: posterior.flat(name) for name in posterior.draws}
    scale = float(posterior.state["outcome_scale"])
    for t in range(33, 43):
        controls = seen.controls[0, 3:, 0]
        z = (whole.controls[0, t, 0] - controls.mean()) / controls.std()
        angle = 2 * np.pi * whole.dates[t].astype(float) / 365.25
        columns = [1, (t - 3) / 29 - 0.5]
        columns += [f(k * angle) for k in (1, 2) for f in (np.sin, np.cos)] + [z]
        mean = d["coefficient"] @ np.array(columns)
        for m in range(2):
            x = whole.exposure[0, t - 4 : t + 1, m][::-1] / seen.exposure[0, :, m].max()
            w = d["alpha"][:, m, None] ** np.arange(5)
            s = (w * x).sum(axis=1) / w.sum(axis=1)
            mean = mean + d["beta"][:, m] * s / (s + d["half_saturation"][:, m])
        np.testing.assert_allclose(found[:, t - 33], scale * mean, rtol=1e-9)


def test_media_of_the_window_carry_into_the_forecast():
    whole = simulated(weeks=40)
    seen = whole.window(0, 30)
    posterior = prior_draws(seen, MODEL, draws=200, seed=3)
    silent = replace(whole, exposure=whole.exposure.copy())
    silent.exposure[:, 30:] = 0
    media = Effects(posterior, market=silent).contributions()[:, 0, 30:]
    spent = seen.exposure[0, -4:].max(axis=0) > 0
    assert spent.any() and (media[:, 0, spent] > 0).all()
    np.testing.assert_allclose(media[:, 4:], 0, atol=1e-9)  # after the longest lag


def test_a_forecast_is_what_is_expected_and_noise(market):
    seen = market.window(0, 80)
    posterior = fit(seen, MODEL, seed=1)
    drawn = forecast(posterior, market, draws=400, seed=5)
    effects = Effects(posterior, 400, market)
    assert drawn.shape == (400, 1, 24)
    np.testing.assert_array_equal(drawn, effects.predicted(5)[:, :, 80:])
    assert not np.array_equal(drawn, forecast(posterior, market, draws=400, seed=6))
    paid = effects.contributions().sum(axis=(1, 2))
    np.testing.assert_allclose(effects.roi(), paid / effects.spend, rtol=1e-12)


def test_a_market_that_begins_otherwise_is_refused(market):
    posterior = prior_draws(market.window(0, 80), MODEL, draws=2)
    with pytest.raises(ValueError, match="must begin as the posterior's own, whose 80 periods"):
        forecast(posterior, market.window(5, 104))


def test_naive_forecasts_are_last_years_outcome_and_last_years_changes():
    market = simulated(weeks=70, geos=2)
    found = naive_forecast(market, 60)
    assert found.shape == (18, 2, 60)
    for case, geo, ahead in ((0, 0, 0), (17, 1, 3), (5, 0, 51), (9, 1, 52), (2, 0, 59)):
        at = 70 + ahead - 52
        last = market.outcome[geo, at if at < 70 else at - 52]
        change = market.outcome[geo, 52 + case] - market.outcome[geo, case]
        assert found[case, geo, ahead] == pytest.approx(last + change)


def test_without_a_year_the_naive_forecast_is_all_that_was_seen():
    market = simulated(weeks=59)
    found = naive_forecast(market, 3)
    assert found.shape == (59, 1, 3)
    for ahead in range(3):
        np.testing.assert_array_equal(found[:, 0, ahead], market.outcome[0])


def test_windows_too_short_to_fit_are_refused(market):
    with pytest.raises(ValueError, match="12 folds of 8 periods leave 7 of 103"):
        validate(market.window(0, 103), MODEL, folds=12, horizon=8)
    with pytest.raises(ValueError, match="0 folds of 8 periods"):
        validate(market, MODEL, folds=0)
    with pytest.raises(ModelError, match="no medium called 'radio'"):
        validate(market, Model(adstock={"radio": "none"}))
