"""Residual networks: what they start as, what a plain one is, and batch norm in its two modes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from channelwise.foundations import losses
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.residual import BatchNorm, Block, ResNet


@nnx.jit
def run(model, x):
    return model(x)


def images(rows=6, side=8, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.standard_normal((rows, side, side, channels), np.float32))


def test_batch_norm_is_that_of_torch_in_training_and_in_evaluation():
    torch = pytest.importorskip("torch")
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm2d(3, momentum=0.1)
    ours.scale[...], ours.shift[...] = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.0, 1.0, -1.0])
    theirs.weight.data, theirs.bias.data = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([0.0, 1, -1])

    def both(x):
        y = theirs(torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        np.testing.assert_allclose(run(ours, x), y.detach().numpy(), rtol=1e-4, atol=1e-5)

    x = 3 + 2 * images(rows=50, channels=3)
    both(x)
    ours.eval()
    theirs.eval()
    ours.variance[...] = jnp.asarray(theirs.running_var.numpy())  # torch's has n / (n - 1) in it
    both(x)


def test_batch_norm_gives_each_channel_mean_0_and_variance_1():
    y = np.asarray(run(BatchNorm(2), 1000 + 0.5 * images(rows=20, channels=2)))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=5e-3)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-3)


def test_in_evaluation_an_answer_does_not_depend_on_the_rows_beside_it():
    model, x = ResNet((8, 8, 1), (4,)), images()
    together = run(model, x)
    assert not np.allclose(run(model, x[:1]), together[:1], atol=1e-3)
    model.eval()
    np.testing.assert_allclose(run(model, x[:1]), run(model, x)[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_residual_block_starts_as_the_identity_of_a_rectified_image(batch_norm):
    block = Block(4, 4, np.random.default_rng(0), batch_norm=batch_norm)
    x = jnp.maximum(images(channels=4), 0)
    np.testing.assert_array_equal(run(block, x), x)


def test_a_shortcut_of_one_pixel_windows_meets_a_halved_image():
    block = Block(4, 8, np.random.default_rng(0), stride=2)
    x = images(channels=4)
    W = block.shortcut[0].kernel[...][0, 0]
    np.testing.assert_allclose(
        run(block, x), jnp.maximum(x[:, ::2, ::2] @ W, 0), rtol=1e-5, atol=1e-6
    )


@nnx.jit
def gradient_of_the_first_layer(model):
    y = jnp.arange(6, dtype=jnp.int32)
    gradient = nnx.grad(lambda m: losses.softmax_cross_entropy(m(images()), y))(model)
    return jnp.linalg.norm(gradient.first.kernel[...])


def test_the_first_layer_of_a_deep_residual_network_starts_to_learn_as_that_of_a_shallow_one():
    deep, shallow = (ResNet((8, 8, 1), (8,), n, batch_norm=False) for n in (4, 0))
    deep.last = shallow.last
    np.testing.assert_allclose(
        gradient_of_the_first_layer(deep), gradient_of_the_first_layer(shallow), rtol=1e-4
    )


def test_without_the_additions_it_has_the_same_parameters_less_the_shortcuts():
    def count(model):
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))

    with_, without = (ResNet((8, 8, 1), (4, 8), 2, residual=r) for r in (True, False))
    assert count(with_) - count(without) == 4 * 8 + 8


def test_fit_trains_it_and_carries_the_running_means():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 8, 8, 1)).astype(np.float32)
    y = (x[:, 2:6, 2:6].mean((1, 2, 3)) > 0).astype(int)
    given = ResNet((8, 8, 1), (6,), outputs=2)
    model, history = fit(
        given, losses.softmax_cross_entropy, (x, y), epochs=12, optimizer=optax.adam(1e-2)
    )
    assert history.train_loss[-1] < 0.7 * history.train_loss[0]
    assert not np.allclose(model.norm[0].variance[...], 1)
    np.testing.assert_array_equal(given.norm[0].variance[...], 1)
    one_by_one = np.concatenate([predict(model, x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(one_by_one, predict(model, x[:3]), rtol=1e-4, atol=1e-5)


def test_what_makes_no_network_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="blocks must be 0 or more, got -1"):
        ResNet((8, 8, 1), blocks=-1)
    with pytest.raises(ValueError, match="nothing left after convolution 4"):
        ResNet((8, 8, 1), (4,) * 4)
