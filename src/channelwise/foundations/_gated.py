"""Activations of the form x times a gate between 0 and 1: silu, gelu, mish.

Their derivatives have one root each, where the general formula cancels; there a polynomial around
the root takes over (see `near_root`). Tails of the form (something) e^-a are put together by
`exp_times`, because e^-a leaves the float32 range before the product does.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from channelwise.foundations._elementary import (
    GELU_1,
    GELU_3,
    SQRT_2_PI,
    Values,
    elementwise,
    exp,
    exp_times,
    gelu_exponent,
    mills,
    near_root,
    polynomial,
    square,
)

FARTHEST = 1000.0  # every tail e^-|x| is 0 from here on, in float64 too; keeps 0 * inf out
FARTHEST_NORMAL = 37.5  # the same for e^(-x^2 / 2)

# Root of the derivative (as a float32) and the derivative's expansion around it.
SILU_ROOT = (
    -1.2784646,
    (
        *(-2.82703971e-09, 0.217811704, 0.146648794, 0.0188744403, -0.0152226472),
        *(-0.00659413729, 0.000127982814, 0.0006660457, 0.000171223423, 0.000399467972),
    ),
)
GELU_ROOT = (
    -0.75179154,
    (
        *(-5.22731192e-09, 0.431493998, 0.388285011, -0.0182025153, -0.114010982),
        *(-0.014684123, 0.0194713101, 0.0036706992, -0.00244633434, 0.00199068338),
    ),
)
GELU_TANH_ROOT = (
    -0.75246143,
    (
        *(-4.88057683e-09, 0.430400074, 0.387518436, -0.0157811157, -0.113943048),
        *(-0.0166738071, 0.019650599, 0.0058111893, -0.00222347165, -0.00265596015),
    ),
)
MISH_ROOT = (
    -1.1924312,
    (
        *(8.12572787e-10, 0.266947925, 0.204731271, 0.0419058315, -0.0202728938),
        *(-0.0157574452, -0.00333682727, 0.000438260293, 0.000859021791, 0.00235423585),
    ),
)
# (Phi(x) - 1/2) / x and (gelu'(x) - 1/2) / x as polynomials in x^2, for |x| < 1/2.
GELU_CENTER = (0.398942292, -0.0664917678, 0.0100004841, -0.0013548464, 0.000439425872)
GELU_SLOPE_CENTER = (0.797884583, -0.26596424, 0.0598932281, -0.00981402583, 0.00172842864)


def _silu_slope(x: Values) -> Values:
    x = jnp.clip(x, -FARTHEST, FARTHEST)
    z = exp(-jnp.abs(x))
    right = 1 + z * (1 + x)
    left = exp_times((1 + x) + z, jnp.minimum(x, 0), jnp.zeros_like(x))
    slope = jnp.where(x >= 0, right, left) / ((1 + z) * (1 + z))
    return near_root(x, slope, *SILU_ROOT)


@elementwise(slope=_silu_slope)
def silu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Sigmoid-weighted linear unit (swish), x sigmoid(x)."""
    z = exp(-jnp.abs(x))
    x = jnp.maximum(x, -FARTHEST)
    left = exp_times(x, jnp.minimum(x, 0), jnp.zeros_like(x))
    return jnp.where(x >= 0, x, left) / (1 + z)


def _mish_slope(x: Values) -> Values:
    x = jnp.clip(x, -FARTHEST, FARTHEST)
    z = exp(-jnp.abs(x))
    z2 = z * z
    right = (1 + z * (4 + 2 * z) + 4 * (1 + x) * z2 * (1 + z)) / jnp.square(1 + 2 * (z + z2))
    left = 4 * (1 + x) * (1 + z) + z * (2 + z * (4 + z))
    left = exp_times(left, jnp.minimum(x, 0), jnp.zeros_like(x)) / jnp.square(2 + z * (2 + z))
    return near_root(x, jnp.where(x >= 0, right, left), *MISH_ROOT)


@elementwise(slope=_mish_slope)
def mish(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x tanh(softplus(x))."""
    z = exp(-jnp.abs(x))
    x = jnp.maximum(x, -FARTHEST)
    right = x * ((1 + 2 * z) / (1 + 2 * (z + z * z)))
    left = exp_times(x, jnp.minimum(x, 0), jnp.zeros_like(x)) * ((2 + z) / (2 + z * (2 + z)))
    return jnp.where(x >= 0, right, left)


def _central(x: Values, odd: tuple[float, ...], factor: Values, general: Values) -> Values:
    """factor (1/2 + x odd(x^2)) where |x| < 1/2, `general` elsewhere and in float64."""
    if x.dtype == jnp.float64:
        return general
    center = factor * (0.5 + x * polynomial(odd, x * x))
    return jnp.where(jnp.abs(x) < 0.5, center, general)


def _gelu_slope(x: Values) -> Values:
    t = jnp.minimum(jnp.abs(x), FARTHEST_NORMAL)
    high, low = square(t)
    tail = exp_times(mills(t) - t / SQRT_2_PI, -0.5 * high, -0.5 * low)
    slope = near_root(x, jnp.where(x >= 0, 1 - tail, tail), *GELU_ROOT)
    return _central(x, GELU_SLOPE_CENTER, jnp.ones_like(x), slope)


@elementwise(slope=_gelu_slope)
def _gelu(x: Values) -> Values:
    t = jnp.minimum(jnp.abs(x), FARTHEST_NORMAL)
    high, low = square(t)
    tail = exp_times(t * mills(t), -0.5 * high, -0.5 * low)
    return _central(x, GELU_CENTER, x, jnp.where(x >= 0, x - tail, -tail))


def _gelu_tanh_tail(t: Values, factor: Values) -> Values:
    """factor e^-w with w = 2 sqrt(2 / pi) (t + 0.044715 t^3), all digits of w kept."""
    high, low = gelu_exponent(t)
    return exp_times(factor, -high, -low)


def _gelu_tanh_slope(x: Values) -> Values:
    t = jnp.minimum(jnp.abs(x), FARTHEST_NORMAL)
    dw = GELU_1 + 3 * GELU_3 * (t * t)
    z = _gelu_tanh_tail(t, jnp.ones_like(t))
    left = _gelu_tanh_tail(t, (1 + z) - t * dw)
    slope = jnp.where(x >= 0, 1 + z * (1 + t * dw), left) / ((1 + z) * (1 + z))
    return near_root(x, slope, *GELU_TANH_ROOT)


@elementwise(slope=_gelu_tanh_slope)
def _gelu_tanh(x: Values) -> Values:
    t = jnp.minimum(jnp.abs(x), FARTHEST_NORMAL)
    z = _gelu_tanh_tail(t, jnp.ones_like(t))
    return jnp.where(x >= 0, x, _gelu_tanh_tail(t, -t)) / (1 + z)


def gelu(x: Float[Array, "*shape"], approximate: bool = False) -> Float[Array, "*shape"]:
    """x Phi(x); the tanh form if `approximate`."""
    return _gelu_tanh(x) if approximate else _gelu(x)
