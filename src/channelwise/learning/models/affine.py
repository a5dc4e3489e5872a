"""An affine map of many rows, whose products add up in float32 in both directions."""

import jax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from channelwise.learning.models.first_weights import FirstWeights
from channelwise.learning.models.wide import wide

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


def _product(a: Array, b: Array, over: tuple) -> Array:
    """A product that adds up in float32 at least."""
    return lax.dot_general(a, b, over, preferred_element_type=wide(a))


def _forward(x: Array, W: Array, b: Array) -> tuple[Array, tuple]:
    y = _product(x, W, _LEFT)
    y = y + b.astype(y.dtype)[None, :]
    return y.astype(x.dtype), (x, W, b)


def _backward(kept: tuple, dy: Array) -> tuple[Array, Array, Array]:
    x, W, b = kept
    dx, dW = _product(dy, W, _RIGHT), _gradient(x, dy)
    db = dy.sum(0, dtype=dW.dtype)
    return dx.astype(x.dtype), dW.astype(W.dtype), db.astype(b.dtype)


def _gradient(x: Array, dy: Array) -> Array:
    """xᵀ ȳ, with the narrower factor on the left: the other way round takes 1.6 times as long."""
    if x.shape[1] <= dy.shape[1]:
        return _product(x, dy, _ROWS)
    turned = lax.optimization_barrier(_product(dy, x, _ROWS))  # or XLA would turn the factors back
    return turned.T


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
