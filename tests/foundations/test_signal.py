"""The two integrals against published numbers, closed forms, float64 quadrature and simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from channelwise.foundations import activations as act
from channelwise.foundations import signal

SMOOTH = {
    "sigmoid": (special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "gelu": (lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * stats.norm.pdf(x)),
    "silu": (
        lambda x: x * special.expit(x),
        lambda x: special.expit(x) * (1 + x * special.expit(-x)),
    ),
    "softplus": (lambda x: np.logaddexp(0, x), special.expit),
}
HALF_NORMAL_MEAN = np.sqrt(2 / np.pi) / 2  # E max(z, 0)


def expectation(f, q):
    """E f(√q z) in float64, each half line by adaptive quadrature."""
    halves = [(-12.0, 0.0), (0.0, 12.0)]
    return sum(
        integrate.quad(lambda z: f(np.sqrt(q) * z) * stats.norm.pdf(z), *half, epsabs=1e-12)[0]
        for half in halves
    )


@pytest.mark.parametrize("q", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("name", SMOOTH)
def test_moments_equal_adaptive_quadrature_in_double_precision(name, q):
    value, slope = SMOOTH[name]
    got = signal.moments(getattr(act, name), q)
    np.testing.assert_allclose(got.mean, expectation(value, q), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got.square, expectation(lambda x: value(x) ** 2, q), rtol=1e-5)
    np.testing.assert_allclose(got.slope_square, expectation(lambda x: slope(x) ** 2, q), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "square"),
    [("relu", 0.5), ("tanh", 0.3943), ("sigmoid", 0.2934), ("gelu", 0.4252), ("silu", 0.3558)],
)
def test_second_moments_at_unit_variance_are_the_published_ones(name, square):
    assert float(signal.moments(getattr(act, name)).square) == pytest.approx(square, abs=5e-5)


@pytest.mark.parametrize("q", [1e-6, 0.3, 1.0, 1e4])
def test_relu_moments_have_closed_forms(q):
    got = signal.moments(act.relu, q)
    np.testing.assert_allclose(got.mean, np.sqrt(q) * HALF_NORMAL_MEAN, rtol=2e-5)
    np.testing.assert_allclose(got.square, q / 2, rtol=2e-6)
    np.testing.assert_allclose(got.slope_square, 0.5, rtol=2e-6)


def test_selu_keeps_mean_zero_and_variance_one_with_a_kink_at_zero():
    got = signal.moments(act.selu)
    np.testing.assert_allclose(got.mean, 0.0, atol=1e-6)
    np.testing.assert_allclose(got.square, 1.0, rtol=1e-6)
    np.testing.assert_allclose(got.slope_square, 1.0715750, rtol=1e-5)
    np.testing.assert_allclose(signal.fixed_point(act.selu, 1.0, q=1.3), 1.0, rtol=1e-4)


def test_a_jump_of_the_slope_away_from_zero_costs_at_most_a_hundredth():
    for q in (0.2, 1.0, 7.0):
        inside = 2 * stats.norm.cdf(1 / np.sqrt(q)) - 1  # P(|√q z| < 1), the slope being 1 there
        np.testing.assert_allclose(signal.moments(act.hard_tanh, q).slope_square, inside, atol=0.01)


def test_unit_gains_are_those_of_he_and_of_the_tanh_integral():
    assert float(signal.unit_gain(act.relu)) == pytest.approx(np.sqrt(2), rel=1e-6)
    assert float(signal.unit_gain(act.tanh)) == pytest.approx(1.5925, abs=5e-5)
    assert float(signal.unit_gain(act.selu)) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "sigmoid"])
def test_the_unit_gain_makes_variance_one_a_fixed_point_of_the_map(name):
    phi = getattr(act, name)
    assert float(signal.variance_map(phi, 1.0, signal.unit_gain(phi))) == pytest.approx(1, rel=1e-5)


def test_tanh_at_five_thirds_settles_at_rms_0651_and_explodes_slowly():
    q = signal.fixed_point(act.tanh, 5 / 3)
    assert float(jnp.sqrt(signal.moments(act.tanh, q).square)) == pytest.approx(0.651, abs=5e-4)
    assert float(signal.gradient_factor(act.tanh, q, 5 / 3)) == pytest.approx(1.21, abs=5e-3)


def test_a_deep_sigmoid_layer_keeps_0557_of_the_squared_gradient():
    q = signal.fixed_point(act.sigmoid, 1.0)
    assert float(signal.gradient_factor(act.sigmoid, q, 1.0)) == pytest.approx(0.0557, abs=5e-5)


def test_a_fixed_point_is_where_the_map_stands_still_and_the_start_does_not_matter():
    for q0 in (0.01, 1.0, 50.0):
        q = signal.fixed_point(act.tanh, 2.0, 0.3, q=q0)
        np.testing.assert_allclose(signal.variance_map(act.tanh, q, 2.0, 0.3), q, rtol=1e-5)
        np.testing.assert_allclose(q, signal.fixed_point(act.tanh, 2.0, 0.3), rtol=1e-5)


def test_variances_beyond_all_bounds_stay_finite_and_keep_their_gradient_factor():
    explode = signal.predict(act.relu, 200, 3.0)
    vanish = signal.predict(act.relu, 200, 0.5)
    assert np.isfinite(explode.q).all() and np.isfinite(vanish.q).all()
    np.testing.assert_allclose(explode.log10_gradient[0], 199 / 2 * np.log10(9 / 2), rtol=1e-4)
    np.testing.assert_allclose(vanish.log10_gradient[0], 199 / 2 * np.log10(1 / 8), rtol=1e-4)


def test_tanh_at_gain_one_decays_as_one_over_twice_the_depth():
    q = np.asarray(signal.predict(act.tanh, 1000, 1.0).q)
    assert q[999] * 2000 == pytest.approx(1, abs=0.02)
    assert (np.diff(q) < 0).all()


def test_the_profile_is_the_map_and_the_factor_applied_layer_by_layer():
    sigma_w, sigma_b, power = 1.7, 0.4, 0.6
    got = signal.predict(act.gelu, 5, sigma_w, sigma_b, input_square=power)
    q, factors = [sigma_w**2 * power + sigma_b**2], []
    for _ in range(4):
        factors.append(float(signal.gradient_factor(act.gelu, q[-1], sigma_w)))
        q.append(float(signal.variance_map(act.gelu, q[-1], sigma_w, sigma_b)))
    np.testing.assert_allclose(got.q, q, rtol=1e-5)
    to_the_end = [0.5 * np.log10(np.prod(factors[k:])) for k in range(5)]
    np.testing.assert_allclose(got.log10_gradient, to_the_end, atol=1e-5)


def test_each_row_of_the_gradient_map_is_the_prediction_for_that_depth():
    gains = jnp.asarray([0.8, 1.0, 2.5])
    field = signal.gradient_map(act.tanh, 12, gains, 0.2)
    assert field.shape == (12, 3)
    for depth in (1, 2, 7, 12):
        for k, gain in enumerate(gains):
            one = 2 * signal.predict(act.tanh, depth, gain, 0.2).log10_gradient[0]
            np.testing.assert_allclose(field[depth - 1, k], one, atol=1e-5)


def test_the_slope_is_the_derivative_that_autodiff_gives_elementwise():
    x = jnp.linspace(-4, 4, 41).reshape(1, 41)
    np.testing.assert_array_equal(signal.slope(act.tanh, x)[0], jax.vmap(jax.grad(act.tanh))(x[0]))
