"""The adstock weights and carry-over against sums written out, limits and invariances."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.response import adstock

LAGS = 8


def compiled(form):
    """One compilation for each shape, instead of one for each operation."""
    return jax.jit(form, static_argnames=("lags", "normalized"))


geometric, delayed, binomial, weibull_pdf, weibull_cdf = map(
    compiled,
    (
        adstock.geometric,
        adstock.delayed,
        adstock.binomial,
        adstock.weibull_pdf,
        adstock.weibull_cdf,
    ),
)


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
    "geometric": (geometric, plain_geometric, [(0.0,), (0.3,), (0.9,), (1 - 1e-12,)]),
    "delayed": (delayed, plain_delayed, [(0.6, 5.0), (0.8, 2.5), (0.1, 0.0), (0.9, 8.0)]),
    "binomial": (binomial, plain_binomial, [(0.05,), (0.5,), (0.9,), (1.0,)]),
    "weibull_pdf": (weibull_pdf, plain_weibull_pdf, [(0.5, 2.0), (1.0, 3.0), (3.0, 5.0)]),
    "weibull_cdf": (weibull_cdf, plain_weibull_cdf, [(0.5, 2.0), (1.0, 3.0), (3.0, 5.0)]),
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
    raw = form(*values, lags=LAGS, normalized=False)
    np.testing.assert_allclose(raw, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        form(*values, lags=LAGS), expected / expected.sum(), rtol=1e-12, atol=1e-15
    )


def test_the_weibull_density_agrees_with_scipy():
    from scipy.stats import weibull_min

    f = weibull_min.pdf(np.arange(1, LAGS + 2), 2.5, scale=4.0)
    expected = (f - f.min()) / np.ptp(f)
    np.testing.assert_allclose(
        weibull_pdf(2.5, 4.0, lags=LAGS, normalized=False), expected, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize(("form", "plain", "values"), CASES)
def test_one_row_of_weights_a_channel_is_each_channel_by_itself(form, plain, values):
    columns = [np.array([v, 0.9 * v, 0.7 * v]) for v in values]
    together = form(*columns, lags=LAGS)
    assert together.shape == (3, LAGS + 1)
    for i in range(3):
        np.testing.assert_allclose(together[i], form(*(float(c[i]) for c in columns), lags=LAGS))


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
            geometric(alpha, lags=lags),
            delayed(alpha, min(theta, float(lags)), lags=lags),
            binomial(alpha, lags=lags),
            weibull_pdf(shape, scale, lags=lags),
            weibull_cdf(shape, scale, lags=lags),
        ]
    for w in every:
        assert w.shape == (lags + 1,)
        assert (np.asarray(w) >= 0).all()
        assert abs(float(w.sum()) - 1) < 1e-12


@pytest.mark.parametrize(("form", "values"), EVERY)
def test_without_lags_all_effect_is_immediate(form, values):
    np.testing.assert_array_equal(form(*values, lags=0), [1.0])


IMMEDIATE = [
    (geometric, (0.0,)),
    (delayed, (0.0, 0.0)),
    (binomial, (0.0,)),
    (weibull_pdf, (2.0, 1e-300)),
    (weibull_cdf, (2.0, 1e-300)),
]


@pytest.mark.parametrize(("form", "values"), IMMEDIATE, ids=lambda v: getattr(v, "__name__", ""))
def test_at_the_lower_limit_of_its_parameter_nothing_is_carried_over(form, values):
    np.testing.assert_allclose(form(*values, lags=LAGS), np.eye(LAGS + 1)[0], atol=1e-300)


def test_a_delayed_adstock_without_retention_acts_at_its_delay_alone():
    np.testing.assert_allclose(delayed(0.0, 3.0, lags=LAGS), np.eye(LAGS + 1)[3], atol=1e-300)
    np.testing.assert_allclose(delayed(0.0, 3.2, lags=LAGS), np.eye(LAGS + 1)[3], atol=1e-100)


def test_a_binomial_adstock_of_one_is_the_plain_mean():
    np.testing.assert_allclose(binomial(1.0, lags=LAGS), np.full(LAGS + 1, 1 / (LAGS + 1)))


def test_a_binomial_adstock_of_one_half_is_a_straight_line():
    steps = np.diff(binomial(0.5, lags=LAGS, normalized=False))
    np.testing.assert_allclose(steps, -1 / (LAGS + 1), rtol=1e-12)


def test_a_weibull_survival_of_infinite_scale_is_the_plain_mean():
    np.testing.assert_allclose(weibull_cdf(2.0, 1e60, lags=LAGS), 1 / (LAGS + 1), rtol=1e-12)


def test_a_weibull_density_of_equal_values_carries_nothing_over():
    np.testing.assert_array_equal(weibull_pdf(1.0, 1e200, lags=LAGS), np.eye(LAGS + 1)[0])


def test_a_long_flat_weibull_density_does_not_cancel():
    """With shape 1 the density tends to a line, which loses every digit where it is subtracted."""
    weights = weibull_pdf(1.0, 1e12, lags=LAGS, normalized=False)
    np.testing.assert_allclose(weights, 1 - np.arange(LAGS + 1) / LAGS, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("half_life", [1, 2, 5])
def test_half_of_a_geometric_effect_is_left_after_its_half_life(half_life):
    alpha = math.exp(math.log(0.5) / half_life)
    weights = geometric(alpha, lags=2 * half_life, normalized=False)
    np.testing.assert_allclose(weights[half_life] / weights[0], 0.5, rtol=1e-14)
    np.testing.assert_allclose(weights[2 * half_life] / weights[0], 0.25, rtol=1e-14)


def test_a_weibull_density_peaks_at_its_mode():
    k, scale = 3.0, 6.0
    mode = scale * ((k - 1) / k) ** (1 / k)
    assert int(jnp.argmax(weibull_pdf(k, scale, lags=12))) + 1 == round(mode)


INSIDE = {
    geometric: [(0.02,), (0.3,), (0.9,), (0.99,)],
    delayed: [(0.6, 5.0), (0.8, 2.5), (0.1, 0.1), (0.9, 7.9)],
    binomial: [(0.05,), (0.5,), (0.9,), (0.98,)],
    weibull_pdf: [(0.5, 2.0), (1.1, 3.0), (3.0, 5.0)],
    weibull_cdf: [(0.5, 2.0), (1.1, 3.0), (3.0, 5.0)],
}


@pytest.mark.parametrize("form", INSIDE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("normalized", [True, False])
def test_gradients_of_the_weights_agree_with_finite_differences(form, normalized):
    points = np.array(INSIDE[form])
    h, mix = 1e-6, np.linspace(1, 2, LAGS + 1) ** 2

    def weighed(*p):
        return jnp.sum(form(*p, lags=LAGS, normalized=normalized) * mix)

    n, every = points.shape[1], jax.jit(jax.vmap(weighed))
    slopes = jax.jit(jax.vmap(jax.grad(weighed, argnums=tuple(range(n)))))(*points.T)
    for i in range(n):
        step = h * np.eye(n)[i]
        difference = (every(*(points + step).T) - every(*(points - step).T)) / (2 * h)
        np.testing.assert_allclose(slopes[i], difference, rtol=1e-6, atol=1e-8)


RETENTIONS = [0.0, 1e-300, 1e-30, 1 - 1e-12, 1.0]
WEIBULLS = list(itertools.product([1e-3, 0.5, 1.0, 2.0, 60.0], [0.0, 1e-300, 1e-3, 1.0, 1e300]))
EXTREMES = {
    geometric: [(a,) for a in RETENTIONS],
    binomial: [(a,) for a in RETENTIONS],
    delayed: list(itertools.product(RETENTIONS, [0.0, 2.0, 2.3, 8.0])),
    weibull_pdf: WEIBULLS,
    weibull_cdf: WEIBULLS,
}


@pytest.mark.parametrize("form", EXTREMES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("dtype", "normalized"), [(np.float32, True), (np.float64, True), (np.float64, False)]
)
def test_weights_and_gradients_stay_finite_at_the_extremes(form, dtype, normalized):
    points = np.clip(EXTREMES[form], 0, np.finfo(dtype).max / 10).astype(dtype)
    numbers = tuple(range(points.shape[1]))

    def weigh(*p):
        return form(*p, lags=LAGS, normalized=normalized)

    @jax.jit
    @jax.vmap
    def everything(*p):
        return weigh(*p), jax.jacfwd(weigh, numbers)(*p), jax.jacrev(weigh, numbers)(*p)

    weights, forward, reverse = everything(*points.T)
    for name, values in (("w", [weights]), ("jacfwd", forward), ("jacrev", reverse)):
        bad = ~np.isfinite(values).all(axis=(0, 2))
        assert not bad.any(), f"{name} at {points[bad]}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("form", "values"), EVERY)
def test_the_weights_follow_the_type_of_their_parameter(form, values, dtype):
    assert form(*(dtype(v) for v in values), lags=LAGS).dtype == dtype


@pytest.mark.parametrize(("form", "values"), EVERY)
def test_carry_over_is_the_sum_over_lags_written_out(form, values):
    media = np.random.default_rng(0).exponential(size=(2, 20, 3))
    weights = form(*(np.array([v, 0.9 * v, 0.8 * v]) for v in values), lags=LAGS)
    answer = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    expected = carried(media, np.asarray(weights), LAGS)
    np.testing.assert_allclose(answer, expected, rtol=1e-12)


def test_carry_over_needs_no_geo_axis_and_takes_several():
    media = np.random.default_rng(1).exponential(size=(2, 4, 15, 3))
    weights = geometric(np.array([0.1, 0.5, 0.9]), lags=LAGS)
    together = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    alone = adstock.carry_over(adstock.lagged(media[1, 2], LAGS), weights)
    assert together.shape == media.shape
    np.testing.assert_allclose(together[1, 2], alone, rtol=1e-14)


def test_media_before_the_window_carry_in_as_on_the_long_series():
    media = np.random.default_rng(2).exponential(size=(2, 40, 3))
    weights = geometric(np.array([0.3, 0.6, 0.9]), lags=LAGS)
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
    weights = delayed(np.array([0.7]), np.array([2.0]), lags=LAGS)
    first = adstock.carry_over(adstock.lagged(pulse, LAGS), weights)
    second = adstock.carry_over(adstock.lagged(later, LAGS), weights)
    np.testing.assert_allclose(second[0, 10:], first[0, :-10], rtol=1e-14)
    np.testing.assert_allclose(first[0, 3 : 3 + LAGS + 1, 0], weights[0], rtol=1e-14)


def test_normalized_weights_only_move_media_in_time():
    media = np.zeros((1, 40, 2))
    media[0, :20] = np.random.default_rng(3).exponential(size=(20, 2))
    weights = binomial(np.array([0.3, 0.7]), lags=LAGS)
    answer = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    np.testing.assert_allclose(answer.sum(axis=1), media.sum(axis=1), rtol=1e-13)


def test_lags_longer_than_the_record_are_media_never_run():
    media = np.random.default_rng(4).exponential(size=(1, 5, 2))
    weights = geometric(np.array([0.5, 0.9]), lags=LAGS)
    answer = adstock.carry_over(adstock.lagged(media, LAGS), weights)
    np.testing.assert_allclose(answer, carried(media, np.asarray(weights), LAGS), rtol=1e-13)


def test_a_negative_number_of_lags_is_refused():
    with pytest.raises(ValueError, match="lags is -1; give 0"):
        geometric(0.5, lags=-1)
    with pytest.raises(ValueError, match="lags is -2; give 0"):
        adstock.lagged(np.ones((1, 3, 1)), -2)


@pytest.mark.parametrize("before", [-1, 3, 7])
def test_carry_in_that_leaves_no_period_is_refused(before):
    with pytest.raises(ValueError, match=f"before is {before} with 3 periods"):
        adstock.lagged(np.ones((1, 3, 1)), 1, before=before)
