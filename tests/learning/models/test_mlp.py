"""The multilayer perceptron: its equation, its first weights, and its two forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.foundations import activations
from channelwise.learning.models.dense import ACTIVATIONS, draw_layers, pure_mlp
from channelwise.learning.models.mlp import MLP

X = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_output_is_the_textbook_formula(activation):
    model = pure_mlp((5, 4, 3, 2), activation=activation, seed=3)
    (W1, b1), (W2, b2), (W3, b3) = (jax.tree.map(np.float64, layer) for layer in model.params)
    f = getattr(activations, activation)
    h = np.asarray(f(jnp.asarray(X.astype(np.float64) @ W1 + b1, jnp.float32)), np.float64)
    h = np.asarray(f(jnp.asarray(h @ W2 + b2, jnp.float32)), np.float64)
    np.testing.assert_allclose(model(jnp.asarray(X)), h @ W3 + b3, rtol=1e-4, atol=1e-5)


def test_the_module_and_the_pure_form_are_the_same_network():
    module, pure = MLP((5, 8, 1), seed=2), pure_mlp((5, 8, 1), seed=2)
    np.testing.assert_array_equal(module(jnp.asarray(X)), pure(jnp.asarray(X)))
    np.testing.assert_array_equal(module.pure()(jnp.asarray(X)), pure(jnp.asarray(X)))
    assert module.pure().config == pure.config


def test_one_output_is_one_number_a_row_and_several_are_a_row_each():
    assert pure_mlp((5, 1))(jnp.asarray(X)).shape == (7,)
    assert pure_mlp((5, 3))(jnp.asarray(X)).shape == (7, 3)


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("tanh", 1.0)])
def test_first_weights_have_the_variance_that_keeps_the_signal(activation, gain):
    first, last = draw_layers((400, 300, 200), activation=activation, seed=1)
    assert first.kernel.var() == pytest.approx(gain / 400, rel=0.02)
    assert last.kernel.var() == pytest.approx(1 / 300, rel=0.02)
    assert not first.bias.any()


def test_the_seed_decides_the_first_weights():
    one, again, other = (draw_layers((5, 1), seed=s)[0].kernel for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("sizes", [(5,), (), (5, 0, 1)])
def test_sizes_that_make_no_network_are_a_sentence(sizes):
    with pytest.raises(ValueError, match=r"sizes must name the inputs"):
        MLP(sizes)


def test_an_unknown_activation_is_a_sentence_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown activation 'swish'.*relu.*tanh"):
        pure_mlp((5, 1), activation="swish")
