"""Convolutions beside XLA's and torch's, sizes counted by hand, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import lax

from channelwise.foundations import losses
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.convolution import CNN, convolve, patches, pool

FORMS = [(3, 1, "same"), (3, 2, "same"), (5, 1, "valid"), (1, 2, "same"), (4, 3, "valid")]
each_form = pytest.mark.parametrize(("size", "stride", "padding"), FORMS)


def images(rows=3, height=9, width=7, channels=2, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, height, width, channels), np.float32)


def kernels(size, channels=2, filters=4):
    rng = np.random.default_rng(1)
    return rng.standard_normal((size, size, channels, filters), np.float32)


compiled = jax.jit(convolve, static_argnames=("stride", "padding"))


def by_xla(x, W, *, stride, padding):
    p = (W.shape[0] - 1) // 2 if padding == "same" else 0
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, W, (stride, stride), [(p, p), (p, p)], dimension_numbers=layout
    )


@each_form
def test_a_convolution_is_that_of_xla_and_so_are_its_derivatives(size, stride, padding):
    x, W = jnp.asarray(images()), jnp.asarray(kernels(size))
    how = {"stride": stride, "padding": padding}

    def value_and_pullback(convolution):
        z, back = jax.vjp(lambda x, W: convolution(x, W, **how), x, W)
        return z, *back(z / (1 + jnp.abs(z)))

    ours, theirs = (jax.jit(value_and_pullback, static_argnums=0)(f) for f in (convolve, by_xla))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-5)


@each_form
def test_a_convolution_is_that_of_torch(size, stride, padding):
    torch = pytest.importorskip("torch")
    x, W = images(), kernels(size)
    p = (size - 1) // 2 if padding == "same" else 0
    theirs = torch.nn.functional.conv2d(
        torch.tensor(x).permute(0, 3, 1, 2),
        torch.tensor(W).permute(3, 2, 0, 1),
        stride=stride,
        padding=p,
    ).permute(0, 2, 3, 1)
    ours = compiled(x, W, stride=stride, padding=padding)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_a_convolution_by_its_definition():
    x, W = images(rows=1, height=4, width=4, channels=1), kernels(3, channels=1, filters=1)
    surrounded = np.pad(x[0, :, :, 0], 1)
    by_hand = [
        [(surrounded[i : i + 3, j : j + 3] * W[:, :, 0, 0]).sum() for j in range(4)]
        for i in range(4)
    ]
    z = compiled(x, W)
    np.testing.assert_allclose(z[0, :, :, 0], by_hand, rtol=1e-5, atol=1e-6)


def test_a_convolution_moves_with_its_image():
    x, W = jnp.asarray(images(height=12, width=12)), jnp.asarray(kernels(3))
    z, moved = compiled(x, W), compiled(jnp.roll(x, (2, 1), (1, 2)), W)
    np.testing.assert_array_equal(moved[:, 3:-1, 2:-1], z[:, 1:-3, 1:-2])


def test_the_patches_of_a_window_of_one_pixel_are_the_image():
    x = jnp.asarray(images())
    np.testing.assert_array_equal(patches(x, 1), x)


def test_an_accelerator_gets_xlas_convolution_with_the_same_values(monkeypatch):
    x, W = jnp.asarray(images()), jnp.asarray(kernels(3))
    ours = compiled(x, W, stride=2)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(convolve(x, W, stride=2), ours, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("how", "reduce"), [("max", np.max), ("mean", np.mean)])
def test_pooling_halves_an_image_and_drops_an_odd_edge(how, reduce):
    x = images(height=5, width=6)
    pooled = pool(jnp.asarray(x), how)
    assert pooled.shape == (3, 2, 3, 2)
    np.testing.assert_allclose(pooled[1, 1, 2, 0], reduce(x[1, 2:4, 4:6, 0]), rtol=1e-6)


def parameters(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_lenet_5_has_61706_parameters():
    lenet = CNN(
        (28, 28, 1),
        (6, 16),
        kernel=5,
        padding=("same", "valid"),
        hidden=(120, 84),
        pooling="mean",
        activation="sigmoid",
    )
    assert parameters(lenet) == 61_706
    assert jax.eval_shape(lenet, jnp.zeros((2, 28, 28, 1))).shape == (2, 10)


def test_a_convolution_has_as_many_parameters_on_any_image():
    counted = [parameters(CNN((side, side, 3), (8,), 4).convolutions) for side in (8, 32)]
    assert counted == [3 * 3 * 3 * 8 + 8] * 2


def test_the_first_weights_are_a_rectifiers_and_repeat_by_seed():
    a, b, c = (CNN((8, 8, 1), (64, 64), seed=seed) for seed in (0, 0, 1))
    W = np.asarray(a.convolutions[1].kernel[...])
    assert W.var() == pytest.approx(2 / (9 * 64), rel=0.03)
    np.testing.assert_array_equal(W, b.convolutions[1].kernel[...])
    assert not np.array_equal(W, c.convolutions[1].kernel[...])


def test_the_maps_at_full_depth_are_what_the_dense_layers_see():
    model, x = CNN((8, 8, 1), (4, 6)), jnp.asarray(images(height=8, width=8, channels=1))
    flat = nnx.jit(lambda m: m.maps(x, 2).reshape(3, -1))(model)
    np.testing.assert_allclose(model.dense[-1](flat), nnx.jit(model)(x), rtol=1e-5)


def test_a_cnn_learns_where_a_bar_stands_upright():
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((200, 8, 8, 1), np.float32)
    y = np.arange(200) % 2
    for image, upright, place in zip(x, y, rng.integers(1, 7, 200), strict=True):
        image[(slice(2, 6), place) if upright else (place, slice(2, 6))] += 1
    model, _ = fit(
        CNN((8, 8, 1), (4, 4), 2),
        losses.softmax_cross_entropy,
        (x[:150], y[:150]),
        epochs=15,
        optimizer=optax.adam(1e-2),
    )
    assert (predict(model, x[150:]).argmax(1) == y[150:]).mean() > 0.95


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"shape": (8, 8)}, "shape must be"),
        ({"channels": (8,) * 4}, "nothing left after convolution 4 of 4"),
        ({"channels": ()}, "at least one filter"),
        ({"channels": (8, 0)}, "at least one filter"),
        ({"kernel": 4}, "kernel must be odd"),
        ({"padding": ("same",)}, "for each of 2 convolutions"),
        ({"activation": "rilu"}, "Unknown activation 'rilu'"),
    ],
)
def test_what_makes_no_network_is_refused_in_a_sentence(arguments, says):
    with pytest.raises(ValueError, match=says):
        CNN(**{"shape": (8, 8, 1), **arguments})
