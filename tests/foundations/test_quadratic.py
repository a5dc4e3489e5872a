"""Theory of descent on a quadratic: against eigenvalues, brute force, and simulated noise."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.foundations.quadratic import best_momentum, best_step, momentum_rate, noise_floor


def spectral_radius(step: float, momentum: float) -> float:
    """Of the matrix that takes (v, x) to (β v + x, x − ηλ (β v + x))."""
    matrix = [[momentum, 1.0], [-step * momentum, 1.0 - step]]
    return np.abs(np.linalg.eigvals(matrix)).max()


def worst_rate(step: float, momentum: float, spectrum: tuple[float, ...]) -> float:
    return max(spectral_radius(step * curvature, momentum) for curvature in spectrum)


@given(st.floats(0.01, 4.5), st.floats(0, 0.99))
@settings(max_examples=200, deadline=None)
def test_the_rate_is_the_spectral_radius(step, momentum):
    found = float(momentum_rate(jnp.array(step), jnp.array(momentum)))
    # Near a double root an eigenvalue moves with the square root of a rounding error.
    assert found == pytest.approx(spectral_radius(step, momentum), rel=1e-3, abs=1e-3)


def test_without_momentum_the_rate_is_that_of_plain_descent():
    step = jnp.linspace(0.01, 3, 50)
    np.testing.assert_allclose(
        momentum_rate(step, jnp.zeros(50)), np.abs(1 - np.asarray(step)), atol=1e-6
    )


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_converges_below_two_plus_two_beta_and_not_above(momentum):
    bound = 2 + 2 * momentum
    rate = momentum_rate(jnp.array([0.999, 1.001]) * bound, jnp.full(2, momentum))
    assert rate[0] < 1 < rate[1]


def test_a_complex_pair_has_the_modulus_root_beta_whatever_the_step():
    step = jnp.array([0.3, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(momentum_rate(step, jnp.full(4, 0.81)), 0.9, rtol=1e-6)


@pytest.mark.parametrize("kappa", [1.0, 2.0, 30.0, 1e4])
def test_no_other_step_size_beats_the_best_one(kappa):
    eta, rate = best_step(0.5, 0.5 * kappa)
    spectrum = (0.5, 0.5 * kappa)
    assert worst_rate(eta, 0.0, spectrum) == pytest.approx(rate, abs=1e-9)
    for factor in (0.5, 0.99, 1.01, 1.5):
        assert worst_rate(eta * factor, 0.0, spectrum) > rate


@pytest.mark.parametrize("kappa", [2.0, 100.0, 1e4])
def test_no_other_step_and_momentum_beat_the_best_pair(kappa):
    eta, beta, rate = best_momentum(0.5, 0.5 * kappa)
    spectrum = (0.5, np.sqrt(kappa) * 0.5, 0.5 * kappa)
    assert worst_rate(eta, beta, spectrum) == pytest.approx(rate, abs=1e-6)
    for a, b in itertools.product((0.8, 0.97, 1.0, 1.03), (0.8, 0.97, 1.0, 1.02)):
        if (a, b) != (1.0, 1.0):
            assert worst_rate(eta * a, min(beta * b, 0.99999), spectrum) > rate - 1e-9


def test_the_rates_of_a_condition_number_of_one_hundred():
    assert best_step(1.0, 100.0)[1] == pytest.approx(99 / 101)
    assert best_momentum(1.0, 100.0)[2] == pytest.approx(9 / 11)


def test_a_round_bowl_is_solved_in_one_step():
    assert best_step(4.0, 4.0) == (0.25, 0.0)
    assert best_momentum(4.0, 4.0) == (0.25, 0.0, 0.0)


@pytest.mark.parametrize("best", [best_step, best_momentum])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0)])
def test_a_spectrum_without_a_best_step_is_refused(best, low, high):
    with pytest.raises(ValueError, match=f"got {low} and {high}"):
        best(low, high)


def stationary_variance(step: float, momentum: float, curvature: float, variance: float) -> float:
    """From the fixed point C = A C Aᵀ + σ² k kᵀ of the covariance of (v, x), solved exactly."""
    drift = np.array([[momentum, curvature], [-step * momentum, 1 - step * curvature]])
    kick = np.array([1.0, -step])
    system = np.eye(4) - np.kron(drift, drift)
    return np.linalg.solve(system, variance * np.kron(kick, kick))[3]


@pytest.mark.parametrize(
    ("step", "momentum", "curvature", "variance"),
    [(0.1, 0.0, 1.0, 1.0), (1.9, 0.0, 1.0, 2.0), (0.3, 0.9, 2.0, 0.5), (1.7, 0.99, 2.0, 1.0)],
)
def test_the_noise_floor_is_the_fixed_point_of_the_covariance(step, momentum, curvature, variance):
    found = noise_floor(jnp.array(step), curvature, variance, momentum)
    expected = stationary_variance(step, momentum, curvature, variance)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_noise_floor_of_plain_descent():
    found = noise_floor(jnp.array([0.1, 0.5, 1.0]), 1.0, 1.0)
    np.testing.assert_allclose(found, [1 / 19, 1 / 3, 1.0], rtol=1e-6)


def test_there_is_no_floor_at_and_beyond_the_cliff():
    np.testing.assert_array_equal(noise_floor(jnp.array([2.0, 2.5]), 1.0, 1.0), [np.inf, np.inf])
