"""An affine map of many rows, whose products add up in float32 in both directions."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from channelwise.learning.models.first_weights import FirstWeights

_product = partial(lax.dot_general, preferred_element_type=jnp.float32)
_ROWS, _LEFT, _RIGHT = (((0,), (0,)), ((), ())), (((1,), (0,)), ((), ())), (((1,), (1,)), ((), ()))


@jax.custom_vjp
def affine(
    x: Float[Array, "row input"],
    W: Float[Array, "input output"],
    b: Float[Array, " output"],
) -> Float[Array, "row output"]:
    """x W + b, with sums in float32 even where the factors are bfloat16.

    Backward, from ȳ:   x̄ = ȳ Wᵀ,   W̄ = xᵀ ȳ,   b̄ = Σ ȳ

    Args:
      x: one row a token or an example.
      W: one column an output.
      b: the shift.

    Returns:
      The type of x.

    Numerical note: automatic differentiation would multiply a float32 ȳ by a bfloat16 W, at the
    speed of float32; here both factors keep the type of x and only the sums are wide.
    """
    return _forward(x, W, b)[0]


def _forward(x: Array, W: Array, b: Array) -> tuple[Array, tuple]:
    y = _product(x, W, _LEFT) + b.astype(jnp.float32)[None, :]
    return y.astype(x.dtype), (x, W, b)


def _backward(kept: tuple, dy: Array) -> tuple[Array, Array, Array]:
    x, W, b = kept
    dx, dW = _product(dy, W, _RIGHT), _product(x, dy, _ROWS)
    db = dy.astype(jnp.float32).sum(0)
    return dx.astype(x.dtype), dW.astype(W.dtype), db.astype(b.dtype)


affine.defvjp(_forward, _backward)


class Affine(nnx.Module):
    """x W + b with its own W and b.

    Args:
      inputs, outputs: the shape of W, each ≥ 1.
      first: where the first weights are drawn from; b begins at 0.
    """

    def __init__(self, inputs: int, outputs: int, first: FirstWeights):
        self.kernel = nnx.Param(first.normal(inputs, outputs))
        self.bias = nnx.Param(first.constant(outputs, 0.0))

    def __call__(self, x: Float[Array, "row input"]) -> Float[Array, "row output"]:
        return affine(x, self.kernel[...], self.bias[...])
