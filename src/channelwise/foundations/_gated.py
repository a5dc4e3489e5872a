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
    distance,
    elementwise,
    exp,
    exp_times,
    gelu_exponent,
    mills,
    near_root,
    polynomial,
    square,
)

# |x| from which the tails of gelu and of its tanh form are 0, in float32 and in float64.
FARTHEST_NORMAL = (16.0, 37.5)
FARTHEST_GELU_TANH = (11.5, 21.6)

# Root of the derivative (as a float32) and the derivative's expansion around it.
SILU_ROOT = (
    -1.2784646,
    (
        *(-2.82703971e-09, 0.217811704, 0.146648794, 0.0188743472),
        *(-0.0152227851, -0.00658810139, 0.000139754891, 0.000613178709),
    ),
)
GELU_ROOT = (
    -0.75179154,
    (
        *(-5.22731192e-09, 0.431493968, 0.388284981, -0.0181957576),
        *(-0.114004776, -0.0149224624, 0.0192356165, 0.00596359),
    ),
)
GELU_TANH_ROOT = (
    -0.75246143,
    (
        *(-4.88057683e-09, 0.430400074, 0.387518436, -0.0157808755),
        *(-0.113940306, -0.0166869983, 0.019472165, 0.00581402238),
    ),
)
MISH_ROOT = (
    -1.1924312,
    (
        *(8.12572787e-10, 0.266947925, 0.204731271, 0.0419051759),
        *(-0.0202738754, -0.0157147143, -0.0032698724, 3.35515106e-05),
    ),
)
# (Phi(x) - 1/2) / x and (gelu'(x) - 1/2) / x as polynomials in x^2, for |x| < 1/2.
GELU_CENTER = (0.398942292, -0.0664917678, 0.0100004841, -0.0013548464, 0.000439425872)
GELU_SLOPE_CENTER = (0.797884583, -0.26596424, 0.0598932281, -0.00981402583, 0.00172842864)


def _silu_slope(x: Values) -> Values:
    t = distance(x)
    z = exp(-t)
    left = exp_times((1 - t) + z, -t, jnp.zeros_like(t))
    slope = jnp.where(x >= 0, 1 + z * (1 + t), left) / (1 + z * (2 + z))
    return near_root(x, slope, *SILU_ROOT)


@elementwise(slope=_silu_slope)
def silu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Sigmoid-weighted linear unit, also called swish.

    silu(x) = x σ(x),   silu'(x) = σ(x) (1 + x σ(−x))

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values ≥ −0.2785, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: for x < 0 the value is (x e^x) / (1 + e^x) with the product formed in one piece:
    e^x alone is 0 from −87.3 on, x e^x only from −91.8 on. The derivative crosses zero at −1.278.

    Source: Elfwing, Uchibe, Doya 2018; Ramachandran, Zoph, Le 2017.
    """
    t = distance(x)
    return jnp.where(x >= 0, x, exp_times(-t, -t, jnp.zeros_like(t))) / (1 + exp(-t))


def _mish_slope(x: Values) -> Values:
    t = distance(x)
    z = exp(-t)
    right = 1 + z * (4 + 2 * z) + 4 * (1 + t) * (z * z) * (1 + z)
    left = 4 * (1 - t) * (1 + z) + z * (2 + z * (4 + z))
    top = jnp.where(x >= 0, right, exp_times(left, -t, jnp.zeros_like(t)))
    bottom = jnp.where(x >= 0, 1 + z * (2 + 2 * z), 2 + z * (2 + z))
    return near_root(x, top / (bottom * bottom), *MISH_ROOT)


@elementwise(slope=_mish_slope)
def mish(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Mish: x weighted by the tanh of its softplus.

    mish(x) = x tanh(softplus(x))

    Args:
      x: pre-activations, any shape, any real number, ±inf included.

    Returns:
      Values ≥ −0.3088, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: with z = e^x, tanh(softplus(x)) = z (2 + z) / (2 + z (2 + z)): one exponential,
    no logarithm. The derivative crosses zero at −1.192.

    Source: Misra 2020.
    """
    t = distance(x)
    z = exp(-t)
    top = jnp.where(x >= 0, 1 + 2 * z, 2 + z)
    bottom = jnp.where(x >= 0, 1 + z * (2 + 2 * z), 2 + z * (2 + z))
    return jnp.where(x >= 0, x, exp_times(-t, -t, jnp.zeros_like(t))) * (top / bottom)


def _central(x: Values, odd: tuple[float, ...], factor: Values, general: Values) -> Values:
    """factor (1/2 + x odd(x^2)) where |x| < 1/2, `general` elsewhere and in float64."""
    if x.dtype == jnp.float64:
        return general
    near = jnp.abs(x) < 0.5
    d = jnp.where(near, x, jnp.zeros_like(x))
    return jnp.where(near, factor * (0.5 + d * polynomial(odd, d * d)), general)


def _gelu_slope(x: Values) -> Values:
    t = distance(x, *FARTHEST_NORMAL)
    high, low = square(t)
    tail = exp_times(mills(t) - t / SQRT_2_PI, -0.5 * high, -0.5 * low)
    slope = near_root(x, jnp.where(x >= 0, 1 - tail, tail), *GELU_ROOT)
    return _central(x, GELU_SLOPE_CENTER, jnp.ones_like(x), slope)


@elementwise(slope=_gelu_slope)
def _gelu(x: Values) -> Values:
    t = distance(x, *FARTHEST_NORMAL)
    high, low = square(t)
    tail = exp_times(t * mills(t), -0.5 * high, -0.5 * low)
    return _central(x, GELU_CENTER, x, jnp.where(x >= 0, x - tail, -tail))


def _gelu_tanh_tail(t: Values, factor: Values) -> Values:
    """factor e^-w with w = 2 sqrt(2 / pi) (t + 0.044715 t^3), all digits of w kept."""
    high, low = gelu_exponent(t)
    return exp_times(factor, -high, -low)


def _gelu_tanh_slope(x: Values) -> Values:
    t = distance(x, *FARTHEST_GELU_TANH)
    t_dw = GELU_1 * t + (3 * GELU_3 * t) * (t * t)
    z = _gelu_tanh_tail(t, jnp.ones_like(t))
    left = _gelu_tanh_tail(t, (1 + z) - t_dw)
    slope = jnp.where(x >= 0, 1 + z * (1 + t_dw), left) / (1 + z * (2 + z))
    return near_root(x, slope, *GELU_TANH_ROOT)


@elementwise(slope=_gelu_tanh_slope)
def _gelu_tanh(x: Values) -> Values:
    t = distance(x, *FARTHEST_GELU_TANH)
    z = _gelu_tanh_tail(t, jnp.ones_like(t))
    return jnp.where(x >= 0, x, _gelu_tanh_tail(t, -t)) / (1 + z)


def gelu(x: Float[Array, "*shape"], approximate: bool = False) -> Float[Array, "*shape"]:
    """Gaussian error linear unit: x times the normal probability of staying below x.

    gelu(x) = x Φ(x),   gelu'(x) = Φ(x) + x φ(x)

    Args:
      x: pre-activations, any shape, any real number, ±inf included.
      approximate: if true the tanh form, x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, which differs
        by up to 5e-4; it is itself computed to the last digits, as x σ(2 √(2/π) (x + …)).

    Returns:
      Values ≥ −0.1700, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.

    Numerical note: Φ(−t) = e^(−t²/2) M(t) with Mills' ratio M, and t² in two floats: rounding t²
    would cost 60 units in the last place at t = −13. The derivative crosses zero at −0.752.

    Source: Hendrycks, Gimpel 2016.
    """
    return _gelu_tanh(x) if approximate else _gelu(x)
