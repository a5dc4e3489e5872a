"""Layer norm against its formula in float64, and its gradient against autodiff's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.learning.models.layer_norm import layer_norm

RNG = np.random.default_rng(0)
X = jnp.asarray(3 + RNG.normal(size=(6, 10)), jnp.float32)
SCALE, SHIFT, SEEN = (jnp.asarray(RNG.normal(size=n), jnp.float32) for n in (10, 10, (6, 10)))


def plain(x, scale, shift, epsilon):
    mean = x.mean(1, keepdims=True)
    variance = ((x - mean) ** 2).mean(1, keepdims=True)
    return (x - mean) / (variance + epsilon) ** 0.5 * scale[None, :] + shift[None, :]


def test_the_value_is_the_formula():
    expected = plain(*(np.float64(a) for a in (X, SCALE, SHIFT)), 1e-5)
    np.testing.assert_allclose(layer_norm(X, SCALE, SHIFT, 1e-5), expected, atol=2e-6)


def test_the_gradients_are_those_of_autodiff():
    _, ours = jax.vjp(lambda *a: layer_norm(*a, 1e-5), X, SCALE, SHIFT)
    _, theirs = jax.vjp(lambda *a: plain(*a, np.float32(1e-5)), X, SCALE, SHIFT)
    for mine, other in zip(ours(SEEN), theirs(SEEN), strict=True):
        np.testing.assert_allclose(mine, other, atol=5e-6)


def test_the_gradient_is_the_slope_of_the_value():
    x, direction = np.float64(X), RNG.normal(size=X.shape)
    with jax.enable_x64(True):
        scale, shift, seen = (jnp.asarray(np.float64(a)) for a in (SCALE, SHIFT, SEEN))

        def total(a):
            return (layer_norm(jnp.asarray(a), scale, shift, 1e-5) * seen).sum()

        slope = (total(x + 1e-6 * direction) - total(x - 1e-6 * direction)) / 2e-6
        found = (jax.grad(total)(jnp.asarray(x)) * direction).sum()
    assert float(found) == pytest.approx(float(slope), rel=1e-7)


def test_a_constant_row_gives_the_shift_and_a_finite_gradient():
    x = jnp.full((2, 10), 1e6, jnp.float32)
    value, back = jax.vjp(lambda a: layer_norm(a, SCALE, SHIFT, 1e-12), x)
    np.testing.assert_array_equal(value, jnp.tile(SHIFT, (2, 1)))
    assert np.isfinite(back(SEEN[:2])[0]).all()


def test_adding_a_number_to_a_row_changes_nothing():
    moved = layer_norm(X + 1000, SCALE, SHIFT, 1e-5)
    np.testing.assert_allclose(moved, layer_norm(X, SCALE, SHIFT, 1e-5), atol=1e-3)


def test_half_precision_is_computed_in_float32_and_rounded_once():
    narrow = jnp.asarray(X, jnp.bfloat16)
    wide = layer_norm(narrow.astype(jnp.float32), SCALE, SHIFT, 1e-5)
    found = layer_norm(narrow, SCALE, SHIFT, 1e-5)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, wide.astype(jnp.bfloat16))
