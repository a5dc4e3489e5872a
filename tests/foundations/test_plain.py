"""The plain net against NumPy, finite differences and gradient descent written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.foundations import activations as act
from channelwise.foundations import plain


def small(seed=0, depth=3):
    return plain.init_plain(seed, 5, 8, depth, 4, 1.3, 0.2)


def data(seed=1, examples=12):
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.standard_normal((examples, 5)), jnp.float32)
    return x, jnp.asarray(rng.integers(0, 4, examples), jnp.int32)


def test_logits_and_cross_entropy_equal_numpy_in_double_precision():
    net, (x, y) = small(), data()
    first, hidden, biases, readout = (np.asarray(leaf, np.float64) for leaf in net)
    h = np.asarray(x, np.float64) @ first + biases[0]
    for w, b in zip(hidden, biases[1:], strict=True):
        h = np.tanh(h) @ w + b
    scores = np.tanh(h) @ readout
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(plain.preactivations(act.tanh, net, x)[-1], h, atol=1e-5)
    np.testing.assert_allclose(plain.logits(act.tanh, net, x), scores, atol=1e-5)
    loss = -log_p[np.arange(12), np.asarray(y)].mean()
    np.testing.assert_allclose(plain.cross_entropy(act.tanh, net, x, y), loss, rtol=1e-5)


def test_initial_weights_have_the_variance_their_gain_asks_for():
    net = plain.init_plain(0, 64, 256, 4, 10, 1.6, 0.3)
    assert float(net.first.std()) == pytest.approx(1.6 / 8, rel=0.02)
    assert float(net.hidden.std()) == pytest.approx(1.6 / 16, rel=0.01)
    assert float(net.biases.std()) == pytest.approx(0.3, rel=0.05)
    assert float(net.readout.std()) == pytest.approx(1 / 16, rel=0.05)


def test_a_net_of_one_hidden_layer_has_no_hidden_matrices():
    net, (x, y) = small(depth=1), data()
    assert net.hidden.shape == (0, 8, 8)
    assert plain.preactivations(act.relu, net, x).shape == (1, 12, 8)
    assert np.isfinite(float(plain.cross_entropy(act.relu, net, x, y)))


def test_training_is_gradient_descent_written_out():
    net, (x, y) = small(), data()
    rows = jnp.asarray([[0, 1, 2], [3, 3, 7], [11, 0, 5]], jnp.int32)
    got = plain.train(act.tanh, net, x, y, rows, 0.3)
    losses = []
    for batch in rows:
        loss, slope = jax.value_and_grad(partial(plain.cross_entropy, act.tanh))(
            net, x[batch], y[batch]
        )
        net = jax.tree.map(lambda p, g: p - 0.3 * g, net, slope)
        losses.append(float(loss))
    np.testing.assert_allclose(got.losses, losses, rtol=1e-5)
    for trained, expected in zip(got.net, net, strict=True):
        np.testing.assert_allclose(trained, expected, atol=1e-6)


def test_training_learns_a_separable_problem_and_sigmoid_depth_prevents_it():
    x, _ = data(examples=200)
    y = (x[:, 0] > 0).astype(jnp.int32)
    rows = jnp.asarray(np.random.default_rng(0).integers(0, 200, (200, 32)), jnp.int32)
    shallow = plain.train(act.tanh, small(depth=2), x, y, rows, 0.3).net
    deep = plain.train(act.sigmoid, small(depth=20), x, y, rows, 0.3).net
    assert float(plain.accuracy(act.tanh, shallow, x, y)) > 0.95
    assert float(plain.accuracy(act.sigmoid, deep, x, y)) < 0.65


def test_accuracy_counts_the_rows_whose_largest_logit_is_right():
    net, (x, _) = small(), data()
    best = jnp.argmax(plain.logits(act.relu, net, x), axis=1).astype(jnp.int32)
    wrong = jnp.where(jnp.arange(12) < 3, (best + 1) % 4, best)
    assert float(plain.accuracy(act.relu, net, x, wrong)) == pytest.approx(9 / 12)


def test_units_are_flat_only_if_no_example_moves_them_and_a_diverged_net_is_flat():
    net, (x, _) = small(), data()
    h = np.asarray(plain.preactivations(act.relu, net, x))
    got = plain.always_flat(act.relu, net, x)
    np.testing.assert_array_equal(got, np.all(h <= 0, axis=1).astype(np.float32))
    broken = net._replace(first=jnp.full_like(net.first, jnp.nan))
    assert float(plain.always_flat(act.tanh, broken, x).min()) == 1
