"""Quantization: the error by theory, the codes by brute force, the models that run on them."""

import jax
import numpy as np
import pytest

from channelwise.learning.compress.quantize import (
    dequantize,
    quantize,
    quantize_weights,
    quantized,
    signal_to_noise,
)
from channelwise.learning.fit import predict
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.models.mlp import MLP

W = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)


@pytest.mark.parametrize(
    ("bits", "per", "decibels"),
    [(8, "tensor", 38.9), (8, "unit", 42.1), (4, "tensor", 13.8), (4, "unit", 16.9)],
)
def test_standard_normal_weights_lose_what_theory_says(bits, per, decibels):
    found = signal_to_noise(W, dequantize(quantize(W, bits, per=per)))
    assert found == pytest.approx(decibels, abs=0.35)


def test_each_bit_is_worth_six_decibels():
    found = [signal_to_noise(W, dequantize(quantize(W, b, per="unit"))) for b in range(5, 9)]
    np.testing.assert_allclose(np.diff(found), 6.02, atol=0.4)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("per", ["tensor", "unit"])
def test_every_code_is_the_nearest_value(bits, per):
    weights = np.random.default_rng(bits).normal(size=(7, 5)).astype(np.float32)
    q = quantize(weights, bits, per=per)
    top = 2 ** (bits - 1) - 1
    levels = np.arange(-top, top + 1)[:, None, None] * q.scale
    best = np.abs(levels - weights).min(0)
    np.testing.assert_allclose(np.abs(dequantize(q) - weights), best, atol=1e-6)
    assert np.abs(q.codes).max() == top
    assert (np.abs(dequantize(q) - weights) <= q.scale / 2 * (1 + 1e-5)).all()


def test_zero_stays_zero_even_where_all_weights_are():
    weights = np.array([[0.0, 1.0], [0.0, -1.75]], np.float32)
    nearest = [[0.0, 1.0], [0.0, -1.75]]  # in steps of 0.25
    np.testing.assert_array_equal(dequantize(quantize(weights, 4, per="unit")), nearest)


def test_an_own_scale_spares_a_unit_its_neighbours_outlier():
    weights = W[:64, :8].copy()
    weights[0, 0] = 1000
    errors = [
        np.abs(dequantize(quantize(weights, 8, per=p)) - weights)[:, 1:].max()
        for p in ("tensor", "unit")
    ]
    assert errors[0] > 100 * errors[1]


def test_a_convolution_keeps_one_scale_for_each_output_channel():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 6)).astype(np.float32)
    assert quantize(kernel, 8, per="unit").scale.shape == (1, 1, 1, 6)
    assert quantize(kernel, 8, per="tensor").scale.shape == (1, 1, 1, 1)


X = np.random.default_rng(1).normal(size=(50, 12)).astype(np.float32)


def test_a_quantized_model_computes_with_the_rounded_weights():
    model = pure_mlp((12, 32, 3))
    small = quantized(model, 8)
    assert all(q.kernel.codes.dtype == np.int8 for q in small.params[0])
    rounded = [
        p._replace(kernel=np.asarray(dequantize(quantize(p.kernel, 8, per="unit"))))
        for p in model.params
    ]
    expected = predict(model._replace(params=tuple(rounded)), X)
    np.testing.assert_allclose(predict(small, X), expected, atol=1e-6)
    assert np.abs(predict(small, X) - predict(model, X)).max() < 0.05


def test_a_module_is_quantized_as_its_pure_form():
    module = MLP((12, 32, 3))
    np.testing.assert_allclose(
        predict(quantized(module, 6), X), predict(quantized(module.pure(), 6), X), atol=1e-6
    )


def test_two_quantized_models_of_one_form_share_their_compiled_program():
    first, second = (quantized(pure_mlp((12, 8, 1), seed=s), 8) for s in (0, 1))
    assert first.apply == second.apply
    assert hash(first.apply) == hash(second.apply)
    np.testing.assert_array_equal(jax.jit(first.apply)(first.params, X), first(X))


def test_biases_are_not_rounded():
    tree = {"W": W[:4, :4], "b": W[0, :4]}
    assert quantize_weights(tree, 2)["b"] is tree["b"]


def test_it_can_be_compiled_over():
    total = jax.jit(lambda q: dequantize(q).sum())(quantize(W[:8, :8], 8, per="unit"))
    assert np.isfinite(total)


@pytest.mark.parametrize("bits", [1, 9])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(ValueError, match="bits must be 2 … 8"):
        quantize_weights({"W": W[:2, :2]}, bits)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN or infinity"):
        quantize(np.array([[np.nan]], np.float32), 8, per="unit")


def test_equal_weights_have_no_noise():
    assert signal_to_noise(W[:2], W[:2]) == float("inf")
