"""Pruning by magnitude: which weights fall, and that they stay down."""

import numpy as np
import optax
import pytest

from channelwise.foundations import losses
from channelwise.learning.compress.prune import keep_zeros, prune, sparsity
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.models.mlp import MLP

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.float32)


def test_the_smallest_weights_of_all_layers_fall():
    tree = {"U": np.array([[1.0, -0.1], [0.5, 3.0]]), "V": np.array([[0.2, -4.0]])}
    pruned = prune(tree, 0.5)
    np.testing.assert_array_equal(pruned["U"], [[1.0, 0.0], [0.0, 3.0]])
    np.testing.assert_array_equal(pruned["V"], [[0.0, -4.0]])


def test_layer_by_layer_each_gives_the_same_share():
    tree = {"large": rng.normal(size=(20, 20)) * 100, "small": rng.normal(size=(20, 20))}
    by_layer = prune(tree, 0.75, scope="layer")
    assert [np.count_nonzero(a) for a in by_layer.values()] == [100, 100]
    together = prune(tree, 0.5)
    assert np.count_nonzero(together["large"]) > 390


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_exactly_the_share_falls_even_among_equals(share):
    tree = [np.ones((30, 50), np.float32)]
    assert np.count_nonzero(prune(tree, share)[0]) == 1500 - int(share * 1500 + 1e-9)


def test_biases_are_left_alone_and_the_model_is_not_changed():
    model = pure_mlp((6, 8, 1))
    given = [layer.kernel.copy() for layer in model.params]
    biased = model._replace(params=tuple(p._replace(bias=p.bias + 0.01) for p in model.params))
    pruned = prune(biased, 0.9)
    assert all((layer.bias != 0).all() for layer in pruned.params)
    assert sparsity(pruned) == pytest.approx(0.9, abs=0.02)
    for layer, kernel in zip(model.params, given, strict=True):
        np.testing.assert_array_equal(layer.kernel, kernel)


def test_a_module_is_pruned_as_its_pure_form():
    module = MLP((6, 8, 1))
    pruned = prune(module, 0.5)
    assert isinstance(pruned, MLP)
    np.testing.assert_allclose(predict(pruned, X), predict(prune(module.pure(), 0.5), X), atol=1e-6)


def test_pruned_weights_stay_zero_while_the_others_are_tuned():
    pruned = prune(pure_mlp((6, 16, 1)), 0.7, scope="layer")
    recipe = keep_zeros(optax.adamw(3e-2, weight_decay=0.1))
    tuned, history = fit(pruned, losses.binary_cross_entropy, (X, Y), optimizer=recipe, epochs=40)
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    for before, after in zip(pruned.params, tuned.params, strict=True):
        np.testing.assert_array_equal(np.asarray(after.kernel) == 0, before.kernel == 0)
        assert (np.asarray(after.bias) != 0).any()


def test_pruned_weights_do_not_count_in_a_clipped_norm():
    params = {"W": np.array([[0.0, 1.0]], np.float32)}
    gradient = {"W": np.array([[1e6, 0.5]], np.float32)}
    recipe = keep_zeros(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0)))
    updates, _ = recipe.update(gradient, recipe.init(params), params)
    np.testing.assert_allclose(updates["W"], [[0.0, -0.5]])


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="sparsity must be in"):
        prune(pure_mlp((2, 1)), share)


def test_an_unknown_scope_is_refused():
    with pytest.raises(ValueError, match="Unknown scope 'row'"):
        prune({"W": X}, 0.5, scope="row")
