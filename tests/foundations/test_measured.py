"""Real random nets against autodiff through the same net, and against the theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.foundations import activations as act
from channelwise.foundations import measured, signal


def draws(seed, batch, width):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((2, batch, width)), jnp.float32)


def forward(phi, layers, x, shifts, sigma_w, sigma_b):
    """The net written out, every pre-activation shifted by an extra term to differentiate by."""
    hidden = []
    for w, b, shift in zip(layers.weights, layers.biases, shifts, strict=True):
        h = x @ (sigma_w * w / np.sqrt(w.shape[0])).T + (sigma_b * b)[None] + shift
        hidden.append(h)
        x = phi(h)
    return hidden


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_gradients_equal_autodiff_through_the_same_net(name):
    phi, depth, batch, width = getattr(act, name), 4, 3, 16
    layers = measured.draw_layers(1, depth, width)
    x, last = draws(2, batch, width)
    zeros = jnp.zeros((depth, batch, width))
    hidden = forward(phi, layers, x, zeros, 1.4, 0.3)

    def loss(shifts):
        return jnp.sum(last * forward(phi, layers, x, shifts, 1.4, 0.3)[-1])

    gradient = jax.grad(loss)(zeros)

    got = measured.measure(phi, layers, x, last, 1.4, 0.3)

    rms = np.sqrt(np.mean(np.asarray(gradient) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(got.log10_gradient, np.log10(rms / rms[-1]), atol=1e-5)
    np.testing.assert_allclose(got.q, [float(jnp.mean(h**2)) for h in hidden], rtol=1e-5)


def test_a_unit_is_dead_when_its_slope_is_flat_on_every_input():
    layers = measured.draw_layers(0, 3, 32)
    x, last = draws(1, 5, 32)
    hidden = forward(act.relu, layers, x, jnp.zeros((3, 5, 32)), 1.4, 0.0)
    expected = [float(np.mean(np.all(np.asarray(h) <= 0, axis=0))) for h in hidden]
    got = measured.measure(act.relu, layers, x, last, 1.4).dead
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert max(expected) > 0


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "gelu", "silu", "selu"])
def test_theory_holds_to_five_percent_a_layer_at_width_512(name):
    phi, depth, width = getattr(act, name), 12, 512
    layers = measured.draw_layers(7, depth, width)
    x, last = draws(8, 16, width)
    got = measured.measure(phi, layers, x, last, 1.2, 0.1)
    want = signal.predict(phi, depth, 1.2, 0.1, input_square=jnp.mean(x**2))
    forward_rms = (got.q[-1] / want.q[-1]) ** (0.5 / depth)
    backward_rms = 10 ** ((got.log10_gradient[0] - want.log10_gradient[0]) / (depth - 1))
    assert abs(float(forward_rms) - 1) < 0.05
    assert abs(float(backward_rms) - 1) < 0.05


def test_gradients_far_below_the_smallest_float32_are_still_measured():
    layers = measured.draw_layers(0, 100, 64)
    x, last = draws(1, 4, 64)
    got = measured.measure(act.sigmoid, layers, x, last, 1.0)
    assert -70 < float(got.log10_gradient[0]) < -55  # 99 layers of -0.627 each


def test_the_same_seed_draws_the_same_layers_and_another_seed_others():
    a, b, c = (measured.draw_layers(seed, 2, 8) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.weights, b.weights)
    assert not np.array_equal(a.weights, c.weights)
    assert a.weights.shape == (2, 8, 8) and a.biases.shape == (2, 8)
