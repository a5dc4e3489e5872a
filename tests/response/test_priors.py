"""Priors against SciPy, and the warped coordinates against the priors they are made for."""

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from channelwise.response.priors import (
    Kernel,
    Prior,
    PriorError,
    Warp,
    bend,
    interval,
    kernel,
    log_positive,
    log_real,
    positive,
    rise,
    warp,
)
from scipy_priors import frozen

PRIORS = [
    Prior("normal", 2, 3),
    Prior("half_normal", 0.3),
    Prior("log_normal", 0.2, 0.9),
    Prior("log_normal", -1, 0.1),
    Prior("gamma", 3, 5),
    Prior("gamma", 0.5, 2),
    Prior("gamma", 60, 5),
    Prior("beta", 1, 3),
    Prior("beta", 0.5, 0.5),
    Prior("beta", 20, 200),
    Prior("uniform", -2, 7),
]
ids = [prior.label for prior in PRIORS]
every_prior = pytest.mark.parametrize("prior", PRIORS, ids=ids)


def spread_out(numbers, n: int):
    """The same numbers for n values."""
    return type(numbers)(*(np.repeat(x, n) for x in numbers))


def mapped(p: Prior, e):
    """x(e) and the log density of e, as the response density adds it up."""
    w, k = spread_out(warp([p]), len(e)), spread_out(kernel([p]), len(e))
    with jax.enable_x64(True):
        bent = bend(e, w)
        if p.support == "interval":
            x, density = interval(bent, w, k)
        elif p.support == "positive":
            x, jacobian = positive(bent, w.scale)
            density = log_positive(x, k) + jacobian
        else:
            x, density = bent.w, log_real(bent.w, k) + bent.log_slope
        return np.asarray(x), np.asarray(density)


@every_prior
def test_quantiles_and_bounds_are_scipys(prior):
    p = np.array([1e-6, 0.05, 0.5, 0.95, 1 - 1e-6])
    np.testing.assert_allclose(prior.quantile(p), frozen(prior).ppf(p), rtol=1e-9)
    np.testing.assert_allclose(prior.bounds, frozen(prior).support())


@every_prior
def test_samples_follow_the_prior_in_any_shape(prior):
    drawn = prior.sample(np.random.default_rng(0), (20, 100))
    assert drawn.shape == (20, 100)
    assert stats.kstest(drawn.ravel(), frozen(prior).cdf).pvalue > 1e-3
    assert np.ndim(prior.sample(np.random.default_rng(0))) == 0


@every_prior
def test_the_scale_is_a_typical_size(prior):
    low, middle, high = frozen(prior).ppf([0.1587, 0.5, 0.8413])
    half = (high - low) / 2
    assert prior.scale == pytest.approx(half if prior.support == "real" else max(half, middle))


@every_prior
def test_standard_normal_coordinates_give_nearly_the_prior(prior):
    e = np.linspace(-4, 4, 201)
    x, _ = mapped(prior, e)
    assert np.abs(frozen(prior).cdf(x) - special.ndtr(e)).max() < 0.025


@every_prior
def test_the_density_of_a_coordinate_is_the_priors_times_the_slope(prior):
    e, step = np.linspace(-4, 4, 33), 1e-5
    x, density = mapped(prior, e)
    slope = (mapped(prior, e + step)[0] - mapped(prior, e - step)[0]) / (2 * step)
    inside = (slope > 1e-6) & (slope < 1e6)  # where finite differences see anything
    assert inside.sum() > 20
    expected = frozen(prior).logpdf(x) + np.log(np.where(inside, slope, 1.0))
    np.testing.assert_allclose(density[inside], expected[inside], atol=2e-4)


@every_prior
def test_the_density_of_a_coordinate_integrates_to_one(prior):
    e = np.linspace(-10, 10, 20_001)
    _, density = mapped(prior, e)
    assert np.trapezoid(np.exp(density), e) == pytest.approx(1, abs=1e-6)


def test_kernels_of_several_priors_stand_side_by_side():
    above = [p for p in PRIORS if p.support == "positive"]
    x = np.linspace(0.1, 2, len(above))
    with jax.enable_x64(True):
        found = np.asarray(log_positive(x, kernel(above)))
    np.testing.assert_allclose(
        found, [frozen(p).logpdf(v) for p, v in zip(above, x, strict=True)], rtol=1e-12
    )


number = st.floats(0.05, 50)
families = st.one_of(
    st.builds(Prior, st.just("half_normal"), number),
    st.builds(Prior, st.just("log_normal"), st.floats(-5, 5), st.floats(0.02, 3)),
    st.builds(Prior, st.just("gamma"), number, number),
    st.builds(Prior, st.just("beta"), number, number),
    st.builds(lambda a, width: Prior("uniform", a, a + width), st.floats(-5, 5), number),
)


@settings(max_examples=60, deadline=None)
@given(families)
@example(Prior("log_normal", 0, 3))
@example(Prior("gamma", 0.05, 1))
def test_a_warp_always_rises(prior):
    e = np.linspace(-8, 8, 161)
    numbers = spread_out(warp([prior]), len(e))
    with jax.enable_x64(True):
        bent = bend(e, numbers)
    assert all((getattr(numbers, name) >= 0).all() for name in "bcd")
    assert (np.diff(bent.w) > 0).all() and np.isfinite(bent.log_slope).all()
    x, _ = mapped(prior, e)
    assert (np.diff(x) >= 0).all()
    low, high = prior.bounds
    assert (x >= low).all() and (x <= high).all()


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.builds(Prior, st.just("log_normal"), st.floats(-5, 5), st.floats(0.02, 1.2)),
        st.builds(Prior, st.just("gamma"), st.floats(0.4, 50), number),
        st.builds(Prior, st.just("beta"), st.floats(0.3, 50), st.floats(0.3, 50)),
    )
)
def test_coordinates_stay_near_normal_over_the_usual_range_of_priors(prior):
    e = np.linspace(-3, 3, 121)
    x, _ = mapped(prior, e)
    assert np.abs(frozen(prior).cdf(x) - special.ndtr(e)).max() < 0.05


def test_the_softplus_and_its_slope_are_exact_far_out_and_differentiate():
    e = np.array([-700.0, -40.0, -1.0, 0.0, 1.0, 40.0, 700.0])
    with jax.enable_x64(True):
        value, slope = rise(e)
        (_, _), (first, second) = jax.jvp(rise, (e,), (np.ones_like(e),))
    np.testing.assert_allclose(value, np.logaddexp(0, e), rtol=1e-14)
    np.testing.assert_allclose(slope, special.expit(e), rtol=1e-14)
    np.testing.assert_allclose(first, special.expit(e), rtol=1e-14)
    np.testing.assert_allclose(second, special.expit(e) * special.expit(-e), atol=1e-16)


def test_priors_are_named_as_in_a_report():
    assert Prior("beta", 1, 3).label == "beta(1, 3)"
    assert Prior("half_normal", 0.5).label == "half_normal(0.5)"


def test_an_empty_list_of_priors_has_no_numbers():
    assert all(x.shape == (0,) for x in (*warp([]), *kernel([])))
    assert len(Warp._fields) == len(Kernel._fields) == 6


@pytest.mark.parametrize(
    ("family", "a", "b", "words"),
    [
        ("cauchy", 0, 1, "'cauchy' is not a prior; there are normal"),
        ("normal", 0, 0, "normal: b must be positive and finite, not 0.0"),
        ("half_normal", -1, 1, "half_normal: a must be positive and finite, not -1.0"),
        ("gamma", 1, np.inf, "gamma: b must be positive and finite, not inf"),
        ("beta", 0, 1, "beta: a must be positive and finite, not 0.0"),
        ("log_normal", np.nan, 1, "both numbers must be finite"),
        ("uniform", 2, 2, "uniform: low 2.0 must be less than high 2.0"),
    ],
)
def test_numbers_that_make_no_distribution_are_refused(family, a, b, words):
    with pytest.raises(PriorError, match=words):
        Prior(family, a, b)
