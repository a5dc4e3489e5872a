"""Activation functions whose float32 values and first derivatives hold over the whole range.

The textbook formulas overflow, cancel or round to zero somewhere: a float32 sigmoid computed as
1 / (1 + e^-x) has derivative exactly 0 from x = 17 on. Every function here uses the form that
loses nothing, in terms of z = e^-|x|, which never overflows, and carries its own rule for the
derivative. For every finite float32 input whose true result is a normal number the value is within
4 units in the last place and the derivative within 8; at +-inf both are the limits; NaN comes only
from NaN. float16 and bfloat16 inputs are computed in float32; the result has the input's type.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from channelwise.foundations._elementary import (
    Values,
    distance,
    elementwise,
    exp,
    exp_times,
    expm1,
    log1p,
    nonpositive,
    scaled,
    widen,
)
from channelwise.foundations._gated import gelu, mish, silu
from channelwise.foundations._softmax import log_softmax, softmax

__all__ = [
    "elu",
    "gelu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]

FARTHEST_TANH = (65.0, 500.0)
SELU_SCALE = 1.0507009873554805  # lambda, Klambauer et al. (2017), eq. 14
SELU_ALPHA = 1.6732632423543772


def _sigmoid_slope(x: Values) -> Values:
    z = exp(-distance(x))
    return z / (1 + z * (2 + z))


@elementwise(slope=_sigmoid_slope)
def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logistic sigmoid, 1 / (1 + e^-x)."""
    z = exp(-distance(x))
    return jnp.where(x >= 0, jnp.ones_like(z), z) / (1 + z)


@elementwise(slope=lambda x: sigmoid(-x))
def log_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logarithm of the sigmoid, -log(1 + e^-x)."""
    return jnp.minimum(x, 0) - log1p(exp(-distance(x)))


@elementwise(slope=sigmoid)
def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Smooth ReLU, log(1 + e^x)."""
    return jnp.maximum(x, 0) + log1p(exp(-distance(x)))


def _tanh_slope(x: Values) -> Values:
    a = -2 * distance(x, *FARTHEST_TANH)
    z = exp(a)
    return exp_times(jnp.full_like(x, 4), a, jnp.zeros_like(x)) / (1 + z * (2 + z))


@elementwise(slope=_tanh_slope)
def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Hyperbolic tangent."""
    m = expm1(-2 * distance(x, *FARTHEST_TANH))
    return jnp.copysign(m / (2 + m), x)


def hard_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """min(1, max(-1, x))."""
    one = jnp.ones_like(x)
    return jnp.where(x > 1, one, jnp.where(x < -1, -one, x))


@elementwise(slope=lambda x: jnp.where(nonpositive(x), jnp.zeros_like(x), jnp.ones_like(x)))
def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(0, x)."""
    return jnp.maximum(x, 0)


def leaky_relu(
    x: Float[Array, "*shape"], negative_slope: float | Float[Array, ""] = 0.01
) -> Float[Array, "*shape"]:
    """x where x > 0, negative_slope * x elsewhere."""
    wide = widen(x)
    c = jnp.asarray(negative_slope, wide.dtype)
    tail = jnp.where(c == 0, jnp.zeros_like(wide), scaled(c, wide))
    return jnp.where(nonpositive(wide), tail, wide).astype(x.dtype)


def _left(x: Values) -> Values:
    """x where x <= 0 (cut off where e^x has long been 0), 0 elsewhere."""
    return jnp.where(nonpositive(x), -distance(x), jnp.zeros_like(x))


@jax.custom_jvp
@jax.jit
def _elu(x: Values, alpha: Float[Array, ""]) -> Values:
    return jnp.where(nonpositive(x), scaled(alpha, expm1(_left(x))), x)


@_elu.defjvp
def _elu_rule(primals, tangents):
    (x, alpha), (dx, d_alpha) = primals, tangents
    tail = exp_times(alpha, _left(x), jnp.zeros_like(x))
    slope = jnp.where(nonpositive(x), tail, jnp.ones_like(x))
    return _elu(x, alpha), slope * dx + expm1(_left(x)) * d_alpha


def elu(x: Float[Array, "*shape"], alpha: float | Float[Array, ""] = 1.0) -> Float[Array, "*shape"]:
    """x where x > 0, alpha (e^x - 1) elsewhere."""
    wide = widen(x)
    return _elu(wide, jnp.asarray(alpha, wide.dtype)).astype(x.dtype)


def _selu_slope(x: Values) -> Values:
    scale = jnp.full_like(x, SELU_SCALE)
    tail = exp_times(scale * SELU_ALPHA, _left(x), jnp.zeros_like(x))
    return jnp.where(nonpositive(x), tail, scale)


@elementwise(slope=_selu_slope)
def selu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """lambda times elu(x, alpha) with the constants that keep mean 0 and variance 1."""
    below = nonpositive(x)
    scale = jnp.where(below, jnp.full_like(x, SELU_SCALE * SELU_ALPHA), SELU_SCALE)
    return scaled(scale, jnp.where(below, expm1(_left(x)), x))


def _softsign_slope(x: Values) -> Values:
    r = 1 / (1 + jnp.abs(x))
    return r * r


@elementwise(slope=_softsign_slope)
def softsign(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x / (1 + |x|)."""
    x = jnp.clip(x, -1e30, 1e30)
    return x / (1 + jnp.abs(x))
