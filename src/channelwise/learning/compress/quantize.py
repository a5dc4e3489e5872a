"""Symmetric quantization: weights as small whole numbers times a scale."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from channelwise.learning.compress.weights import weight_mask
from channelwise.learning.models.apart import Module, Pure, take_apart
from channelwise.learning.models.pure import PureModel


@partial(jax.tree_util.register_dataclass, data_fields=("codes", "scale"), meta_fields=("bits",))
@dataclass(frozen=True)
class Quantized:
    """A tensor as whole numbers and what one of their steps is worth: W ≈ scale · codes.

    Attributes:
      codes: int8 array, in −(2^{bits−1} − 1) … 2^{bits−1} − 1.
      scale: float32 array, one for the tensor, or one for each unit (the last axis).
      bits: of a code, 2 … 8. In memory a code takes a byte; in a file, its bits.
    """

    codes: Any  # not typed as arrays: a tree's functions put shapes and more in their place
    scale: Any
    bits: int


def quantize(weights: Float[Array | np.ndarray, "..."], bits: int, *, per: str) -> Quantized:
    """Round weights to the nearest of 2^bits − 1 evenly spaced values around zero.

    q = round(W / s),   s = max |W| / (2^{bits−1} − 1)

    Args:
      weights: W, the units on the last axis (a kernel of ours is [input, output]).
      bits: 2 … 8.
      per: the maximum is over the whole "tensor", or over the weights of each "unit" (a row of W
        where textbooks write W x), whose own scale spares it its neighbours' outliers.

    Raises:
      ValueError: if the bits are outside 2 … 8, `per` is unknown or a weight is not finite.

    Numerical note: |W − s q| ≤ s / 2 for every weight, since none is clipped; zero stays zero.

    Source: Jacob et al. 2018, §2.1, without zero point; Krishnamoorthi 2018, §2.
    """
    _check(bits, per)
    W = np.asarray(weights, np.float32)
    if not np.isfinite(W).all():
        raise ValueError("The weights hold NaN or infinity: nothing to quantize.")
    axes = tuple(range(W.ndim - 1)) if per == "unit" else None
    largest = np.abs(W).max(axes, keepdims=True, initial=0)
    scale = np.where(largest > 0, largest / np.float32(_top(bits)), 1).astype(np.float32)
    return Quantized(np.rint(W / scale).astype(np.int8), scale, bits)


def dequantize(q: Quantized) -> Float[Array, "..."]:
    """W ≈ scale · codes, float32."""
    scale = jnp.asarray(q.scale)
    return jnp.asarray(q.codes).astype(scale.dtype) * jnp.broadcast_to(scale, q.codes.shape)


def signal_to_noise(
    weights: Float[Array | np.ndarray, "..."], approximation: Float[Array | np.ndarray, "..."]
) -> float:
    """How far the error lies below the weights, in decibels: 10 log₁₀(Σ W² / Σ (W − Ŵ)²).

    Each bit is worth 6.02 dB. With the largest of n weights at c standard deviations,
    12 (2^{bits−1} − 1)² / c² is to be expected: the outlier sets the price for all.

    Returns:
      dB; ∞ if they are equal.
    """
    W, W_hat = (np.asarray(a, np.float64) for a in (weights, approximation))
    noise = np.square(W - W_hat).sum()
    return float(10 * np.log10(np.square(W).sum() / noise)) if noise else float("inf")


def quantize_weights(params: PyTree, bits: int, *, per: str = "unit") -> PyTree:
    """The weights of a tree quantized, biases and norms as they are.

    Args:
      params: a tree of float arrays.
      bits: 2 … 8.
      per: "unit" or "tensor".

    Raises:
      ValueError: as `quantize`.
    """
    _check(bits, per)
    return jax.tree.map(
        lambda a, weighs: quantize(a, bits, per=per) if weighs else a, params, weight_mask(params)
    )


def dequantize_weights(params: PyTree) -> PyTree:
    """The tree with every quantized tensor as float32 again."""
    return jax.tree.map(
        lambda a: dequantize(a) if is_quantized(a) else a, params, is_leaf=is_quantized
    )


def is_quantized(leaf: Any) -> bool:
    return isinstance(leaf, Quantized)


def quantized(model: Any, bits: int = 8, *, per: str = "unit") -> PureModel:
    """A model that holds its weights as small integers and turns them back as it is applied.

    Args:
      model: a trained `flax.nnx` module or `PureModel`; it is not changed.
      bits: 2 … 8.
      per: "unit" or "tensor".

    Returns:
      A model for `predict`, whose parameters are whole numbers: not to be trained on.

    Raises:
      ValueError: as `quantize`.

    Numerical note: the arithmetic stays float32; what is saved is memory, not multiplications.
    """
    how, params, rest = take_apart(model)
    return PureModel(_Dequantizing(how), (quantize_weights(params, bits, per=per), rest))


@dataclass(frozen=True)
class _Dequantizing:
    """How a quantized model is applied; equal for equal models, so that `jit` knows it."""

    how: Pure | Module

    def __call__(self, params: PyTree, x: PyTree) -> PyTree:
        weights, rest = params
        return self.how.evaluate(dequantize_weights(weights), rest, x)


def _top(bits: int) -> int:
    """The largest code: one less than the integers of that many bits reach, on both sides."""
    return 2 ** (bits - 1) - 1


def _check(bits: int, per: str) -> None:
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be 2 … 8, got {bits}.")
    if per not in ("tensor", "unit"):
        raise ValueError(f"Unknown per={per!r}: choose 'tensor' or 'unit'.")
