"""The simulated markets against plain loops, worlds rerun without a channel, and invariances."""

import math
from dataclasses import replace

import numpy as np
import pytest

from channelwise.response.market import MarketData
from channelwise.response.simulate import family_market, jin_market, simulate_from
from channelwise.response.spending import standardized_spend
from channelwise.response.truth import one_changed

ADSTOCKS = ["none", "geometric", "delayed", "binomial", "weibull_pdf", "weibull_cdf"]
SATURATIONS = ["none", "hill", "michaelis_menten", "logistic", "tanh", "root"]


def plain_weights(form, p, m, lags):
    steps = range(lags + 1)
    if form == "none":
        w = [1.0] + [0.0] * lags
    elif form == "geometric":
        w = [p["alpha"][m] ** i for i in steps]
    elif form == "delayed":
        w = [p["alpha"][m] ** ((i - p["theta"][m]) ** 2) for i in steps]
    elif form == "binomial":
        w = [(1 - i / (lags + 1)) ** (1 / p["alpha"][m] - 1) for i in steps]
    else:
        k, s = p["weibull_shape"][m], p["weibull_scale"][m]
        if form == "weibull_cdf":
            w = [math.exp(-sum((j / s) ** k for j in range(1, i + 1))) for i in steps]
        else:
            f = [((i + 1) / s) ** (k - 1) * math.exp(-(((i + 1) / s) ** k)) for i in steps]
            w = [v - min(f) for v in f]
    return [v / sum(w) for v in w]


def plain_curve(form, p, m, x):
    if form == "hill":
        k, s = p["half_saturation"][m], p["slope"][m]
        return x**s / (k**s + x**s)
    if form == "michaelis_menten":
        return x / (x + p["half_saturation"][m])
    if form == "logistic":
        return (1 - math.exp(-p["rate"][m] * x)) / (1 + math.exp(-p["rate"][m] * x))
    if form == "tanh":
        return math.tanh(x / p["scale"][m])
    return x ** p["exponent"][m] if form == "root" else x


def plain_mean(market, p, adstock, saturation, lags):
    """The expected outcome, one geo, week and medium at a time."""
    media = np.concatenate([market.exposure, market.organic], axis=2)
    people = np.ones(1) if market.population is None else market.population
    answer = np.zeros((market.n_geos, market.n_observed))
    for g in range(market.n_geos):
        for i in range(market.n_observed):
            t = i + market.before
            mean = float(p["intercept"]) + p["trend"] * (i / (market.n_observed - 1) - 0.5)
            year = market.dates[t].astype(int) / 365.25
            for k in (1, 2):
                a, b = p["seasonality"][2 * k - 2 : 2 * k]
                mean += a * math.sin(2 * math.pi * k * year) + b * math.cos(2 * math.pi * k * year)
            mean += p["u"][g] if "u" in p else 0.0
            mean += sum(c * x for c, x in zip(p["control"], market.controls[g, t], strict=True))
            mean += sum(c * x for c, x in zip(p["event"], market.events[g, t], strict=True))
            for m in range(media.shape[2]):
                w = plain_weights(adstock, p, m, lags)
                s = sum(w[j] * media[g, t - j, m] for j in range(min(lags, t) + 1))
                s /= people[g] * p["media_scale"][m]
                own = math.exp(p["eta"][m] * p["z"][g, m]) if "eta" in p else 1.0
                mean += p["beta"][m] * own * plain_curve(saturation, p, m, s)
            answer[g, i] = people[g] * p["outcome_scale"] * mean
    return answer


def with_events(simulated, rng):
    """The same media with a holiday column, to be given an outcome anew."""
    market = simulated.market
    events = (rng.random((market.n_geos, market.n_times, 1)) < 0.1).astype(float)
    return replace(market, events=events, event_names=("holiday",))


def again(market, p, rng, **forms):
    """Other media under the parameters, and in the units, of a truth."""
    units = {"outcome_scale": float(p["outcome_scale"]), "media_scale": p["media_scale"]}
    return simulate_from(market, p, rng, **units, **forms)


@pytest.mark.parametrize(
    ("adstock", "saturation"), list(zip(ADSTOCKS, SATURATIONS, strict=True)), ids=str
)
@pytest.mark.parametrize("geos", [1, 3])
def test_the_expected_outcome_is_the_equation_written_out(adstock, saturation, geos):
    forms = {"adstock": adstock, "saturation": saturation, "lags": 3}
    drawn = family_market(0, weeks=12, channels=2, geos=geos, organic=1, before=4, **forms)
    p = {**drawn.truth.parameters, "event": np.array([0.2])}
    market = with_events(drawn, np.random.default_rng(1))
    made = again(market, p, np.random.default_rng(2), **forms)
    expected = plain_mean(market, p, adstock, saturation, 3)
    np.testing.assert_allclose(made.truth.expected(np.ones((1, 2)))[0], expected, rtol=1e-11)
    assert np.isnan(made.market.outcome[:, :4]).all()
    heads = 1 if geos == 1 else market.population[:, None]
    error = (made.market.outcome[:, 4:] - expected) / heads / float(p["outcome_scale"])
    assert 0.5 * p["sigma"] < error.std() < 1.6 * p["sigma"]


def test_without_noise_the_outcome_is_the_expected_one():
    made = family_market(3, weeks=60, geos=2, noise=0.0)
    expected = made.truth.expected(np.ones((1, 5)))[0]
    np.testing.assert_allclose(made.market.outcome, expected, rtol=1e-12)


def test_noise_has_the_given_size_and_no_memory():
    made = family_market(4, weeks=3000, channels=2, noise=0.05)
    error = made.market.outcome[0] - made.truth.expected(np.ones((1, 2)))[0, 0]
    error /= made.truth.parameters["outcome_scale"]
    assert error.std() == pytest.approx(0.05, rel=0.04)
    assert abs(np.corrcoef(error[1:], error[:-1])[0, 1]) < 0.06


@pytest.mark.parametrize("geos", [1, 4])
def test_a_contribution_is_the_difference_to_a_market_without_the_channel(geos):
    forms = {"adstock": "delayed", "saturation": "hill", "lags": 5}
    made = family_market(5, weeks=40, channels=3, geos=geos, organic=1, noise=0.0, **forms)
    market, truth = made.market, made.truth
    for c in range(3):
        spend = market.spend.copy()
        spend[..., c] = 0
        off = replace(market, spend=spend, exposure=spend)
        without = again(off, truth.parameters, np.random.default_rng(0), **forms).market.outcome
        lost = market.outcome - without
        np.testing.assert_allclose(truth.contribution_over_time[..., c], lost, atol=1e-6)
        roi = lost.sum() / market.spend[..., c].sum()
        assert truth.roi[c] == pytest.approx(roi, rel=1e-9)


def test_baseline_and_contributions_add_up_to_the_expected_outcome():
    truth = family_market(6, weeks=50, geos=3, organic=2).truth
    total = truth.baseline + truth.contribution_over_time.sum(axis=-1)
    np.testing.assert_allclose(total, truth.expected(np.ones((1, 5)))[0], rtol=1e-12)
    np.testing.assert_allclose(
        truth.contribution, truth.contribution_over_time.sum(axis=(0, 1)), rtol=1e-12
    )


def test_the_marginal_roi_is_the_derivative_in_closed_form():
    """x ∂f/∂x of Michaelis–Menten is f (1 − f)."""
    made = family_market(7, weeks=60, channels=4, geos=2)
    p, market = made.truth.parameters, made.market
    head = market.population[:, None, None] * p["outcome_scale"]
    beta = head * (p["beta"] * np.exp(p["eta"] * p["z"]))[:, None]
    f = made.truth.contribution_over_time / beta
    slope = (beta * f * (1 - f)).sum(axis=(0, 1)) / market.spend.sum(axis=(0, 1))
    np.testing.assert_allclose(made.truth.marginal_roi, slope, rtol=1e-6)
    assert (made.truth.marginal_roi < made.truth.roi).all()


def test_without_saturation_the_last_unit_brings_what_all_bring():
    truth = family_market(8, weeks=50, saturation="none").truth
    np.testing.assert_allclose(truth.marginal_roi, truth.roi, rtol=1e-9)


def test_a_response_curve_runs_from_nothing_through_the_contribution():
    made = family_market(9, weeks=50, channels=3)
    factors = np.array([0.0, 0.5, 1.0, 1.5])
    curve = made.truth.response_curve(factors)
    np.testing.assert_allclose(curve[0], 0, atol=1e-6)
    np.testing.assert_allclose(curve[2], made.truth.contribution, rtol=1e-9)
    assert (np.diff(curve, axis=0) > 0).all() and (np.diff(curve, 2, axis=0) < 0).all()
    half = made.truth.expected(one_changed(3, 1, np.array([0.5, 0.0]))).sum(axis=(1, 2))
    assert curve[1, 1] == pytest.approx(half[0] - half[1], rel=1e-9)


def test_roi_counts_what_a_conversion_is_worth():
    made = family_market(10, weeks=40)
    sold = replace(made.market, outcome_kind="conversions", value_per_conversion=50.0)
    forms = {"lags": 8}
    valued = again(sold, made.truth.parameters, np.random.default_rng(0), **forms).truth
    np.testing.assert_allclose(valued.roi, 50 * made.truth.roi, rtol=1e-12)
    np.testing.assert_allclose(valued.marginal_roi, 50 * made.truth.marginal_roi, rtol=1e-9)


def test_media_before_a_window_act_in_it_as_on_the_long_record():
    made = family_market(11, weeks=60, channels=3)
    window = made.market.window(25, 60)
    p = made.truth.parameters
    part = again(window, p, np.random.default_rng(0)).truth
    np.testing.assert_allclose(
        part.contribution_over_time, made.truth.contribution_over_time[:, 25:], atol=1e-6
    )


def test_exposure_acts_and_spend_pays():
    made = family_market(12, weeks=40)
    cheap = replace(made.market, spend=made.market.spend / 4, exposure=made.market.exposure)
    truth = again(cheap, made.truth.parameters, np.random.default_rng(0)).truth
    np.testing.assert_allclose(truth.contribution, made.truth.contribution, rtol=1e-12)
    np.testing.assert_allclose(truth.roi, 4 * made.truth.roi, rtol=1e-12)


def test_a_channel_without_spend_has_no_roi():
    made = family_market(13, weeks=40)
    spend = made.market.spend.copy()
    spend[..., 0] = 0
    off = replace(made.market, spend=spend, exposure=spend)
    truth = again(off, made.truth.parameters, np.random.default_rng(0)).truth
    assert truth.contribution[0] == 0 and np.isnan(truth.roi[0]) and np.isnan(truth.marginal_roi[0])


def same(a, b):
    return all(
        np.array_equal(getattr(a.market, name), getattr(b.market, name), equal_nan=True)
        for name in ("outcome", "spend", "controls", "organic")
    )


@pytest.mark.parametrize("draw", [family_market, jin_market], ids=lambda f: f.__name__)
def test_a_seed_gives_the_same_market_again_and_another_seed_another(draw):
    assert same(draw(1), draw(1))
    assert not same(draw(1), draw(2))


@pytest.mark.parametrize("collinearity", [0.0, 0.5, 0.95])
def test_collinearity_is_the_correlation_of_any_two_channels_log_spend(collinearity):
    z = standardized_spend(np.random.default_rng(0), 104, 6, collinearity)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    expected = np.full((6, 6), collinearity) + (1 - collinearity) * np.eye(6)
    np.testing.assert_allclose(z.T @ z / 104, expected, atol=1e-12)
    always = family_market(0, channels=6, collinearity=collinearity).market.spend[0, :, 1::2]
    pairs = np.corrcoef(np.log(always).T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(pairs, collinearity, atol=1e-9)


def test_spend_has_memory_flights_and_channels_of_different_size():
    markets = [family_market(seed, channels=6).market for seed in range(10)]
    spend = np.stack([market.spend[0] for market in markets])
    dark = (spend == 0).mean(axis=(0, 1))
    assert (dark[::2] > 0.2).all() and (dark[::2] < 0.45).all() and (dark[1::2] == 0).all()
    memory = [np.corrcoef(x[1:], x[:-1])[0, 1] for market in spend for x in np.log(market.T[1::2])]
    assert np.mean(memory) > 0.6
    size = spend.mean(axis=1)
    assert np.median(size.max(axis=1) / size.min(axis=1)) > 3
    assert size.min() > 3e2 and size.max() < 1e6


def test_markets_are_of_a_plausible_size():
    made = [family_market(seed) for seed in range(20)]
    share = [m.truth.contribution.sum() / m.market.outcome.sum() for m in made]
    np.testing.assert_allclose(share, 0.3, atol=0.02)
    roi = np.concatenate([m.truth.roi for m in made])
    assert 1.2 < np.median(roi) < 1.9 and roi.min() > 0.2 and roi.max() < 10
    top = [m.market.outcome.max() / m.truth.parameters["outcome_scale"] for m in made]
    assert min(top) > 0.8 and max(top) < 1.3
    assert all((m.market.outcome > 0).all() for m in made)


def test_controls_are_standardized_over_geos_and_weeks():
    controls = family_market(2, geos=3, controls=2).market.controls
    np.testing.assert_allclose(controls.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(controls.std(axis=(0, 1)), 1, rtol=1e-12)


def test_given_parameters_take_the_place_of_drawn_ones():
    given = {"alpha": np.full(5, 0.9), "beta": np.arange(5) / 20}
    truth = family_market(14, parameters=given).truth
    for name, value in given.items():
        np.testing.assert_array_equal(truth.parameters[name], value)
    assert truth.contribution[0] == 0


def test_more_channels_than_names_are_numbered():
    names = family_market(0, weeks=60, channels=12).market.channels
    assert len(set(names)) == 12 and names[:2] == ("tv", "search") and names[-1] == "channel_12"


def test_a_missing_parameter_is_named():
    market = family_market(0, weeks=20).market
    with pytest.raises(KeyError, match="half_saturation"):
        simulate_from(
            market, {"alpha": np.full(5, 0.5), "beta": np.ones(5)}, np.random.default_rng(0)
        )


@pytest.mark.parametrize(
    ("name", "value"), [("collinearity", 1.0), ("collinearity", -0.1), ("media_share", 0.0)]
)
def test_a_share_outside_its_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}; give a value in"):
        family_market(0, **{name: value})


def test_too_few_weeks_for_so_many_channels_are_refused():
    with pytest.raises(ValueError, match="7 periods are too few for 5 channels"):
        family_market(0, weeks=7)


def test_the_market_of_jin_et_al_is_their_equation():
    made = jin_market(0, weeks=60)
    market, p = made.market, made.truth.parameters
    beta, alpha, theta, slope = (0.8, 0.6, 0.3), (0.6, 0.8, 0.8), (5, 3, 4), (1, 2, 2)
    for t in range(60):
        sales = 4 - 0.5 * market.controls[0, t, 0]
        for m in range(3):
            w = [alpha[m] ** ((i - theta[m]) ** 2) for i in range(13)]
            x = sum(w[i] * market.spend[0, t - i, m] for i in range(min(12, t) + 1)) / sum(w)
            sales += beta[m] / (1 + (x / 0.2) ** -slope[m]) if x > 0 else 0.0
        assert made.truth.expected(np.ones((1, 3)))[0, 0, t] == pytest.approx(sales, rel=1e-12)
    assert p["sigma"] == 0.05


def test_the_market_of_jin_et_al_can_last_sixty_years():
    made = jin_market(1, weeks=3120)
    media, price = made.market.spend[0], made.market.controls[0, :, 0]
    assert media.min() == 0 and media.max() == 1
    wave = np.sin(2 * np.pi * np.arange(3120) / 52)
    assert np.corrcoef(media[:, 0], wave)[0, 1] == pytest.approx(np.sqrt(0.5 / 0.75), abs=0.02)
    assert np.corrcoef(price[1:], price[:-1])[0, 1] == pytest.approx(0.7, abs=0.05)
    error = made.market.outcome[0] - made.truth.expected(np.ones((1, 3)))[0, 0]
    assert error.std() == pytest.approx(0.05, rel=0.04)


def test_the_simulated_market_is_market_data():
    assert isinstance(family_market(0, weeks=30).market, MarketData)
