"""Following an optimizer: against a plain loop, and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from channelwise.foundations.descent import descend


def test_it_takes_the_steps_of_a_plain_loop():
    optimizer = optax.sgd(0.1, momentum=0.9, nesterov=True)
    x = jnp.array([1.0, -2.0])
    state, expected = optimizer.init(x), []
    for t in range(7):
        updates, state = optimizer.update(3.0 * x + t, state, x)
        x = optax.apply_updates(x, updates)
        expected.append(x)

    def gradient(x, t):
        return 3.0 * x + t.astype(x.dtype)

    last, path = descend(optimizer, gradient, jnp.array([1.0, -2.0]), jnp.arange(7))
    np.testing.assert_allclose(path, np.stack(expected), rtol=1e-6)
    np.testing.assert_array_equal(last, path[-1])


def test_plain_descent_on_a_bowl_is_a_power():
    _, path = descend(optax.sgd(0.25), lambda x, t: 2.0 * x, jnp.array(1.0), jnp.arange(5))
    np.testing.assert_allclose(path, 0.5 ** np.arange(1, 6))


def test_each_step_receives_its_own_input():
    inputs = {"shift": jnp.array([1.0, 10.0, 100.0])}
    last, _ = descend(optax.sgd(1.0), lambda x, u: u["shift"], jnp.array(0.0), inputs)
    assert last == -111.0


def test_only_what_is_observed_is_kept():
    start = {"w": jnp.ones((4, 3)), "b": jnp.zeros(3)}

    def gradient(p, t):
        return jax.tree.map(jnp.ones_like, p)

    last, seen = descend(
        optax.sgd(0.5), gradient, start, jnp.arange(6), observe=lambda p: p["b"].sum()
    )
    assert seen.shape == (6,)
    assert last["w"].shape == (4, 3)
    np.testing.assert_allclose(seen, -1.5 * np.arange(1, 7))


def test_a_sweep_over_learning_rates_is_one_program():
    def end(rate):
        return descend(optax.sgd(rate), lambda x, t: x, jnp.array(1.0), jnp.arange(3))[0]

    rates = jnp.array([0.1, 0.5, 1.5])
    np.testing.assert_allclose(jax.vmap(end)(rates), (1 - rates) ** 3, rtol=1e-6)


def test_without_inputs_the_number_of_steps_is_asked_for():
    with pytest.raises(ValueError, match=r"jnp\.arange\(100\)"):
        descend(optax.sgd(0.1), lambda x, t: x, jnp.array(1.0), ())
