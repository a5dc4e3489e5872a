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

FARTHEST_TANH = (65.0, 500.0)  # |x| from which tanh is 1 and its slope 0, float32 and float64
SELU_SCALE = 1.0507009873554805  # lambda, Klambauer et al. (2017), eq. 14
SELU_ALPHA = 1.6732632423543772


def _sigmoid_slope(x: Values) -> Values:
    z = exp(-distance(x))
    return z / (1 + z * (2 + z))


@elementwise(slope=_sigmoid_slope)
def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logistic sigmoid: the probability whose log-odds are x.

    σ(x) = 1 / (1 + e^−x),   σ'(x) = σ(x) σ(−x)

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values in [0, 1], the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: with z = e^−|x| the derivative is z / (1 + z)²; the textbook σ (1 − σ) is
    exactly 0 from x = 17 on.

    Source: Verhulst 1838; Goodfellow, Bengio, Courville 2016, §3.10.
    """
    z = exp(-distance(x))
    return jnp.where(x >= 0, jnp.ones_like(z), z) / (1 + z)


@elementwise(slope=lambda x: sigmoid(-x))
def log_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logarithm of the sigmoid: the log-likelihood of a positive label with logit x.

    log σ(x) = −log(1 + e^−x) = −softplus(−x),   derivative σ(−x)

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values ≤ 0, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: min(x, 0) − log1p(e^−|x|): no overflow below, no lost digits above.

    Source: Goodfellow, Bengio, Courville 2016, §3.10.
    """
    return jnp.minimum(x, 0) - log1p(exp(-distance(x)))


@elementwise(slope=sigmoid)
def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Softplus: a smooth ReLU and the integral of the sigmoid.

    softplus(x) = log(1 + e^x),   derivative σ(x)

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values ≥ 0, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: max(x, 0) + log1p(e^−|x|).

    Source: Dugas et al. 2001; Glorot, Bordes, Bengio 2011, §3.
    """
    return jnp.maximum(x, 0) + log1p(exp(-distance(x)))


def _tanh_slope(x: Values) -> Values:
    a = -2 * distance(x, *FARTHEST_TANH)
    z = exp(a)
    return exp_times(jnp.full_like(x, 4), a, jnp.zeros_like(x)) / (1 + z * (2 + z))


@elementwise(slope=_tanh_slope)
def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Hyperbolic tangent: a sigmoid centered at 0, with slope 1 there.

    tanh(x) = (e^x − e^−x) / (e^x + e^−x),   tanh'(x) = 1 − tanh²(x)

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values in [−1, 1], the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: −m / (2 + m) with m = e^(−2|x|) − 1; the derivative is 4z / (1 + z)² with z =
    e^(−2|x|), where 1 − tanh² is exactly 0 from |x| = 9 on.

    Source: LeCun et al. 1998, Efficient BackProp, §4.4.
    """
    m = expm1(-2 * distance(x, *FARTHEST_TANH))
    return jnp.copysign(m / (2 + m), x)


@elementwise(slope=lambda x: jnp.where(jnp.abs(x) <= 1, jnp.ones_like(x), jnp.zeros_like(x)))
def hard_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Piecewise linear tanh: the identity, cut off at ±1.

    hard_tanh(x) = min(1, max(−1, x)),   derivative 1 for |x| ≤ 1, 0 beyond

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values in [−1, 1], the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: exact; at the kinks ±1 the derivative is taken from inside.

    Source: Collobert 2004, Large Scale Machine Learning, §5.
    """
    one = jnp.ones_like(x)
    return jnp.where(x > 1, one, jnp.where(x < -1, -one, x))


@elementwise(slope=lambda x: jnp.where(nonpositive(x), jnp.zeros_like(x), jnp.ones_like(x)))
def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Rectified linear unit.

    relu(x) = max(0, x),   derivative 1 for x > 0, 0 for x ≤ 0

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values ≥ 0, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: exact, positive subnormal numbers included; at the kink 0 the derivative is 0.

    Source: Fukushima 1969; Nair, Hinton 2010.
    """
    return jnp.maximum(x, 0)


def leaky_relu(
    x: Float[Array, "*shape"], negative_slope: float | Float[Array, ""] = 0.01
) -> Float[Array, "*shape"]:
    """ReLU that keeps a small slope on the left, so that no unit dies.

    leaky_relu(x) = x for x > 0, a x for x ≤ 0,   with a = `negative_slope`

    Args:
      x: pre-activations, any shape, any real number, ±inf included.
      negative_slope: a, the slope on the left; any real number; an array of one number can be
        learned.

    Returns:
      Values of the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: exact but for the product's rounding; with a = 0 the value at −inf is 0. At the
    kink 0 the derivative is a.

    Source: Maas, Hannun, Ng 2013.
    """
    wide = widen(x)
    c = jnp.asarray(negative_slope, wide.dtype)
    tail = jnp.where(c == 0, jnp.zeros_like(wide), scaled(c, wide))
    return jnp.where(nonpositive(wide), tail, wide).astype(x.dtype)


def _left(x: Values) -> Values:
    """x where x <= 0 (cut off where e^x has long been 0), 0 elsewhere."""
    return jnp.where(nonpositive(x), -distance(x), jnp.zeros_like(x))


@jax.custom_jvp
def _elu(x: Values, alpha: Float[Array, ""]) -> Values:
    return jnp.where(nonpositive(x), scaled(alpha, expm1(_left(x))), x)


@_elu.defjvp
def _elu_rule(primals, tangents):
    (x, alpha), (dx, d_alpha) = primals, tangents
    tail = exp_times(alpha, _left(x), jnp.zeros_like(x))
    slope = jnp.where(nonpositive(x), tail, jnp.ones_like(x))
    return _elu(x, alpha), slope * dx + expm1(_left(x)) * d_alpha


@jax.jit
def elu(x: Float[Array, "*shape"], alpha: float | Float[Array, ""] = 1.0) -> Float[Array, "*shape"]:
    """Exponential linear unit: negative values saturate smoothly at −α.

    elu(x) = x for x > 0, α (e^x − 1) for x ≤ 0,   derivative 1 or α e^x

    Args:
      x: pre-activations, any shape, any real number, ±inf included.
      alpha: α, minus the limit at −inf; any real number below 2^64; an array of one number can be
        learned.

    Returns:
      Values > −α (for α > 0), the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: expm1 for the value; the derivative is formed as one product, because e^x leaves
    the float32 range before α e^x does. At 0 the derivative is α, the one from the left.

    Source: Clevert, Unterthiner, Hochreiter 2016.
    """
    wide = widen(x)
    return _elu(wide, jnp.asarray(alpha, wide.dtype)).astype(x.dtype)


def _selu_slope(x: Values) -> Values:
    scale = jnp.full_like(x, SELU_SCALE)
    tail = exp_times(scale * SELU_ALPHA, _left(x), jnp.zeros_like(x))
    return jnp.where(nonpositive(x), tail, scale)


@elementwise(slope=_selu_slope)
def selu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Scaled exponential linear unit: keeps mean 0 and variance 1 from layer to layer.

    selu(x) = λ elu(x, α),   λ = 1.0507009873554805, α = 1.6732632423543772

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values > −1.7581, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: as `elu`; at 0 the derivative is λα, the one from the left.

    Source: Klambauer et al. 2017, eq. 14.
    """
    below = nonpositive(x)
    scale = jnp.where(below, jnp.full_like(x, SELU_SCALE * SELU_ALPHA), SELU_SCALE)
    return scaled(scale, jnp.where(below, expm1(_left(x)), x))


def _softsign_slope(x: Values) -> Values:
    r = 1 / (1 + jnp.abs(x))
    return r * r


@elementwise(slope=_softsign_slope)
def softsign(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Softsign: a sigmoid with tails like 1/x instead of e^−x.

    softsign(x) = x / (1 + |x|),   derivative 1 / (1 + |x|)²

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values in [−1, 1], the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: inputs are cut off at ±1e30, where the value has long been ±1.

    Source: Bergstra et al. 2009; Glorot, Bengio 2010, §3.
    """
    x = jnp.clip(x, -1e30, 1e30)
    return x / (1 + jnp.abs(x))
