"""The adstock weights and carry-over against sums written out, limits and invariances."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.response import adstock

LAGS = 8


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def weibull_density(t, k, scale):
    return k / scale * (t / scale) ** (k - 1) * math.exp(-((t / scale) ** k))


def plain_geometric(alpha, lags):
    return [alpha**lag for lag in range(lags + 1)]


def plain_delayed(alpha, theta, lags):
    return [alpha ** ((lag - theta) ** 2) for lag in range(lags + 1)]


def plain_binomial(alpha, lags):
    return [(1 - lag / (lags + 1)) ** (1 / alpha - 1) for lag in range(lags + 1)]


def plain_weibull_pdf(k, scale, lags):
    f = [weibull_density(t, k, scale) for t in range(1, lags + 2)]
    return [(value - min(f)) / (max(f) - min(f)) for value in f]


def plain_weibull_cdf(k, scale, lags):
    weights = [1.0]
    for t in range(1, lags + 1):
        survival = math.exp(-((t / scale) ** k))
        weights.append(weights[-1] * survival)
    return weights


FORMS = {
    "geometric": (adstock.geometric, plain_geometric, [(0.0,), (0.3,), (0.9,), (1 - 1e-12,)]),
    "delayed": (adstock.delayed, plain_delayed, [(0.6, 5.0), (0.8, 2.5), (0.1, 0.0), (0.9, 8.0)]),
    "binomial": (adstock.binomial, plain_binomial, [(0.05,), (0.5,), (0.9,), (1.0,)]),
    "weibull_pdf": (adstock.weibull_pdf, plain_weibull_pdf, [(0.5, 2.0), (1.0, 3.0), (3.0, 5.0)]),
    "weibull_cdf": (adstock.weibull_cdf, plain_weibull_cdf, [(0.5, 2.0), (1.0, 3.0), (3.0, 5.0)]),
}
CASES = [
    pytest.param(form, plain, values, id=f"{name}-{'-'.join(map(str, values))}")
    for name, (form, plain, cases) in FORMS.items()
    for values in cases
]
EVERY = [pytest.param(form, cases[1], id=name) for name, (form, _, cases) in FORMS.items()]


def carried(media, weights, lags):
    """Carry-over as the definition has it, one period and one lag at a time."""
    geos, times, channels = media.shape
    answer = np.zeros_like(media)
    for g in range(geos):
        for t in range(times):
            for c in range(channels):
                for lag in range(min(lags, t) + 1):
                    answer[g, t, c] += weights[c][lag] * media[g, t - lag, c]
    return answer


@pytest.mark.parametrize(("form", "plain", "values"), CASES)
def test_the_weights_are_those_of_the_definition(form, plain, values):
    expected = np.array(plain(*values, LAGS))
    raw = form(*values, LAGS, normalized=False)
    np.testing.assert_allclose(raw, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        form(*values, LAGS), expected / expected.sum(), rtol=1e-12, atol=1e-15
    )


def test_the_weibull_density_agrees_with_scipy():
    from scipy.stats import weibull_min

    f = weibull_min.pdf(np.arange(1, LAGS + 2), 2.5, scale=4.0)
    expected = (f - f.min()) / np.ptp(f)
    np.testing.assert_allclose(
        adstock.weibull_pdf(2.5, 4.0, LAGS, normalized=False), expected, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize(("form", "plain", "values"), CASES)
def test_one_row_of_weights_a_channel_is_each_channel_by_itself(form, plain, values):
    columns = [np.array([v, 0.9 * v, 0.7 * v]) for v in values]
    together = form(*columns, LAGS)
    assert together.shape == (3, LAGS + 1)
    for i in range(3):
        np.testing.assert_allclose(together[i], form(*(float(c[i]) for c in columns), LAGS))


@given(
    alpha=st.floats(0, 1, exclude_max=True),
    theta=st.floats(0, 12),
    shape=st.floats(0.01, 20),
    scale=st.floats(1e-3, 1e3),
    lags=st.sampled_from([0, 1, 8]),
)
@settings(max_examples=40, deadline=None)
def test_normalized_weights_are_shares_for_every_parameter(alpha, theta, shape, scale, lags):
    with jax.enable_x64(True):
        every = [
            adstock.geometric(alpha, lags),
            adstock.delayed(alpha, min(theta, float(lags)), lags),
            adstock.binomial(alpha, lags),
            adstock.weibull_pdf(shape, scale, lags),
            adstock.weibull_cdf(shape, scale, lags),
        ]
    for w in every:
        assert w.shape == (lags + 1,)
        assert (np.asarray(w) >= 0).all()
        assert abs(float(w.sum()) - 1) < 1e-12


@pytest.mark.parametrize(("form", "values"), EVERY)
def test_without_lags_all_effect_is_immediate(form, values):
    np.testing.assert_array_equal(form(*values, 0), [1.0])


IMMEDIATE = [
    (adstock.geometric, (0.0,)),
    (adstock.delayed, (0.0, 0.0)),
    (adstock.binomial, (0.0,)),
    (adstock.weibull_pdf, (2.0, 1e-300)),
    (adstock.weibull_cdf, (2.0, 1e-300)),
]


@pytest.mark.parametrize(("form", "values"), IMMEDIATE, ids=lambda v: getattr(v, "__name__", ""))
def test_at_the_lower_limit_of_its_parameter_nothing_is_carried_over(form, values):
    np.testing.assert_allclose(form(*values, LAGS), np.eye(LAGS + 1)[0], atol=1e-300)


def test_a_delayed_adstock_without_retention_acts_at_its_delay_alone():
    np.testing.assert_allclose(adstock.delayed(0.0, 3.0, LAGS), np.eye(LAGS + 1)[3], atol=1e-300)
    np.testing.assert_allclose(adstock.delayed(0.0, 3.2, LAGS), np.eye(LAGS + 1)[3], atol=1e-100)


def test_a_binomial_adstock_of_one_is_the_plain_mean():
    np.testing.assert_allclose(adstock.binomial(1.0, LAGS), np.full(LAGS + 1, 1 / (LAGS + 1)))


def test_a_binomial_adstock_of_one_half_is_a_straight_line():
    steps = np.diff(adstock.binomial(0.5, LAGS, normalized=False))
    np.testing.assert_allclose(steps, -1 / (LAGS + 1), rtol=1e-12)


def test_a_weibull_survival_of_infinite_scale_is_the_plain_mean():
    np.testing.assert_allclose(adstock.weibull_cdf(2.0, 1e60, LAGS), 1 / (LAGS + 1), rtol=1e-12)


def test_a_weibull_density_of_equal_values_carries_nothing_over():
    np.testing.assert_array_equal(adstock.weibull_pdf(1.0, 1e200, LAGS), np.eye(LAGS + 1)[0])


def test_a_long_flat_weibull_density_does_not_cancel():
    """With shape 1 the density tends to a line, which loses every digit where it is subtracted."""
    weights = adstock.weibull_pdf(1.0, 1e12, LAGS, normalized=False)
    np.testing.assert_allclose(weights, 1 - np.arange(LAGS + 1) / LAGS, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("half_life", [1, 2, 5])
def test_half_of_a_geometric_effect_is_left_after_its_half_life(half_life):
    alpha = math.exp(math.log(0.5) / half_life)
    weights = adstock.geometric(alpha, 2 * half_life, normalized=False)
    np.testing.assert_allclose(weights[half_life] / weights[0], 0.5, rtol=1e-14)
    np.testing.assert_allclose(weights[2 * half_life] / weights[0], 0.25, rtol=1e-14)


def test_a_weibull_density_peaks_at_its_mode():
    k, scale = 3.0, 6.0
    mode = scale * ((k - 1) / k) ** (1 / k)
    assert int(jnp.argmax(adstock.weibull_pdf(k, scale, 12))) + 1 == round(mode)


@pytest.mark.parametrize(("form", "plain", "values"), CASES)
@pytest.mark.parametrize("normalized", [True, False])
def test_gradients_of_the_weights_agree_with_finite_differences(form, plain, values, normalized):
    inside = [
        np.float64(min(max(v, 0.02), 0.98) if i == 0 and v <= 1 else v)
        for i, v in enumerate(values)
    ]
    h = 1e-6
    mix = np.linspace(1, 2, LAGS + 1) ** 2

    @jax.jit
    def weighed(*p):
        return jnp.sum(form(*p, LAGS, normalized=normalized) * mix)

    for i, slope in enumerate(jax.grad(weighed, argnums=tuple(range(len(inside))))(*inside)):
        up, down = list(inside), list(inside)
        up[i], down[i] = up[i] + h, down[i] - h
        difference = (weighed(*up) - weighed(*down)) / (2 * h)
        np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-8)


RETENTIONS = [0.0, 1e-300, 1e-30, 1 - 1e-12, 1.0]
WEIBULLS = list(itertools.product([1e-3, 0.5, 1.0, 2.0, 60.0], [0.0, 1e-300, 1e-3, 1.0, 1e300]))
EXTREMES = {
    adstock.geometric: [(a,) for a in RETENTIONS],
    adstock.binomial: [(a,) for a in RETENTIONS],
    adstock.delayed: list(itertools.product(RETENTIONS, [0.0, 2.0, 2.3, 8.0])),
    adstock.weibull_pdf: WEIBULLS,
    adstock.weibull_cdf: WEIBULLS,
}


@pytest.mark.parametrize("form", EXTREMES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalized", [True, False])
def test_weights_and_gradients_stay_finite_at_the_extremes(form, dtype, normalized):
    points = np.clip(EXTREMES[form], 0, np.finfo(dtype).max / 10).astype(dtype)
    columns = tuple(points.T)
    weigh = partial(form, lags=LAGS, normalized=normalized)
    assert np.isfinite(weigh(*columns)).all()
    for jacobian in (jax.jacfwd, jax.jacrev):
        every = jax.jit(jax.vmap(jacobian(weigh, argnums=tuple(range(len(columns))))))
        for slopes in every(*columns):
            bad = ~np.isfinite(slopes).all(axis=-1)
            assert not bad.any(), f"{jacobian.__name__} at {points[bad]}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("form", "values"), EVERY)
def test_the_weights_follow_the_type_of_their_parameter(form, values, dtype):
    assert form(*(dtype(v) for v in values), LAGS).dtype == dtype


@pytest.mark.parametrize(("form", "values"), EVERY)
def test_carry_over_is_the_sum_over_lags_written_out(form, values):
    media = np.random.default_rng(0).exponential(size=(2, 20, 3))
    weights = form(*(np.array([v, 0.9 * v, 0.8 * v]) for v in values), LAGS)
    answer = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    expected = carried(media, np.asarray(weights), LAGS)
    np.testing.assert_allclose(answer, expected, rtol=1e-12)


def test_carry_over_needs_no_geo_axis_and_takes_several():
    media = np.random.default_rng(1).exponential(size=(2, 4, 15, 3))
    weights = adstock.geometric(np.array([0.1, 0.5, 0.9]), LAGS)
    together = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    alone = adstock.carry_over(adstock.lagged(media[1, 2], LAGS), weights)
    assert together.shape == media.shape
    np.testing.assert_allclose(together[1, 2], alone, rtol=1e-14)


def test_media_before_the_window_carry_in_as_on_the_long_series():
    media = np.random.default_rng(2).exponential(size=(2, 40, 3))
    weights = adstock.geometric(np.array([0.3, 0.6, 0.9]), LAGS)
    whole = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    window = adstock.carry_over(adstock.lagged(media, LAGS, before=15), weights)
    np.testing.assert_allclose(window, whole[:, 15:], rtol=1e-14)
    cut = adstock.carry_over(adstock.lagged(media[:, 15 - LAGS :], LAGS, before=LAGS), weights)
    np.testing.assert_allclose(cut, window, rtol=1e-14)
    dropped = adstock.carry_over(adstock.lagged(media[:, 15:], LAGS), weights)
    assert (np.asarray(dropped[:, 0]) < np.asarray(window[:, 0])).all()


def test_the_effect_of_later_media_is_the_same_effect_later():
    pulse = np.zeros((1, 30, 1))
    pulse[0, 3] = 1.0
    later = np.roll(pulse, 10, axis=1)
    weights = adstock.delayed(np.array([0.7]), np.array([2.0]), LAGS)
    first = adstock.carry_over(adstock.lagged(pulse, LAGS), weights)
    second = adstock.carry_over(adstock.lagged(later, LAGS), weights)
    np.testing.assert_allclose(second[0, 10:], first[0, :-10], rtol=1e-14)
    np.testing.assert_allclose(first[0, 3 : 3 + LAGS + 1, 0], weights[0], rtol=1e-14)


def test_normalized_weights_only_move_media_in_time():
    media = np.zeros((1, 40, 2))
    media[0, :20] = np.random.default_rng(3).exponential(size=(20, 2))
    weights = adstock.binomial(np.array([0.3, 0.7]), LAGS)
    answer = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    np.testing.assert_allclose(answer.sum(axis=1), media.sum(axis=1), rtol=1e-13)


def test_lags_longer_than_the_record_are_media_never_run():
    media = np.random.default_rng(4).exponential(size=(1, 5, 2))
    weights = adstock.geometric(np.array([0.5, 0.9]), LAGS)
    answer = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    np.testing.assert_allclose(answer, carried(media, np.asarray(weights), LAGS), rtol=1e-13)


def test_a_negative_number_of_lags_is_refused():
    with pytest.raises(ValueError, match="lags is -1; give 0"):
        adstock.geometric(0.5, -1)
    with pytest.raises(ValueError, match="lags is -2; give 0"):
        adstock.lagged(np.ones((1, 3, 1)), -2)


@pytest.mark.parametrize("before", [-1, 3, 7])
def test_carry_in_that_leaves_no_period_is_refused(before):
    with pytest.raises(ValueError, match=f"before is {before} with 3 periods"):
        adstock.lagged(np.ones((1, 3, 1)), 1, before=before)
