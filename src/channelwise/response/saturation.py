"""Saturation: the diminishing return of more media in the same period.

Every curve maps x ≥ 0 elementwise, is 0 at 0 and does not fall. Parameters broadcast against the
last axes of x: one value a channel where x is `geo time channel`. All but `root` and `linear`
rise to 1, so that a coefficient in front is the most a channel can bring in a period. Every
function follows the dtype of x.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from channelwise.response._positive import positive

PARAMETERS: dict[str, tuple[str, ...]] = {
    "none": (),
    "hill": ("half_saturation", "slope"),
    "michaelis_menten": ("half_saturation",),
    "logistic": ("rate",),
    "tanh": ("scale",),
    "root": ("exponent",),
}
"""The parameters of each curve, in the order of its arguments after x; "none" is `linear`."""


def _like(p: Float[ArrayLike, "..."], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.broadcast_to(jnp.asarray(p, x.dtype), x.shape)


def _spent(x: Float[Array, "*shape"]) -> tuple[Array, Float[Array, "*shape"]]:
    """Where there is media at all, and x with 1 put in elsewhere, so that its logarithm exists."""
    some = x >= float(jnp.finfo(x.dtype).tiny)
    return some, jnp.where(some, x, 1.0)


def hill(
    x: Float[ArrayLike, "*shape"],
    half_saturation: Float[ArrayLike, "..."],
    slope: Float[ArrayLike, "..."],
) -> Float[Array, "*shape"]:
    """Hill curve: S-shaped for a slope above 1, concave up to 1.

    f(x) = xˢ / (Kˢ + xˢ),   f(K) = ½

    Args:
      x: media ≥ 0, carried over or not.
      half_saturation: K > 0 in the unit of x: where half of the most is reached.
      slope: S > 0; at 1 the curve is Michaelis–Menten.

    Returns:
      The share of the most that media can bring, in [0, 1).

    Numerical note: computed as sigmoid(S (ln x − ln K)), which neither overflows nor divides 0 by
    0. At x = 0 every gradient is 0, the one in x too, where the true slope is 1/K for S = 1 and
    infinite below.

    Source: Hill 1910; Jin et al. 2017, §2.2, equation (5).
    """
    x = jnp.asarray(x)
    some, x_safe = _spent(x)
    log_ratio = jnp.log(x_safe) - jnp.log(positive(_like(half_saturation, x)))
    return jnp.where(some, jax.nn.sigmoid(_like(slope, x) * log_ratio), 0.0)


def michaelis_menten(
    x: Float[ArrayLike, "*shape"], half_saturation: Float[ArrayLike, "..."]
) -> Float[Array, "*shape"]:
    """Michaelis–Menten curve: concave, the Hill curve of slope 1.

    f(x) = x / (K + x),   f(K) = ½,   f'(0) = 1/K

    Args:
      x: media ≥ 0, carried over or not.
      half_saturation: K > 0 in the unit of x: where half of the most is reached.

    Returns:
      The share of the most that media can bring, in [0, 1).

    Source: Michaelis, Menten 1913.
    """
    x = jnp.asarray(x)
    return x / (positive(_like(half_saturation, x)) + x)


def logistic(
    x: Float[ArrayLike, "*shape"], rate: Float[ArrayLike, "..."]
) -> Float[Array, "*shape"]:
    """Logistic curve: the upper half of the sigmoid, stretched to 0 … 1.

    f(x) = (1 − e^(−λx)) / (1 + e^(−λx)) = tanh(λx/2),   f'(0) = λ/2

    Args:
      x: media ≥ 0, carried over or not.
      rate: λ > 0 per unit of x: how soon returns diminish.

    Returns:
      The share of the most that media can bring, in [0, 1).

    Numerical note: the form in tanh keeps every digit for small λx, where 1 − e^(−λx) cancels.

    Source: PyMC-Marketing, `logistic_saturation`.
    """
    x = jnp.asarray(x)
    return jnp.tanh(0.5 * _like(rate, x) * x)


def tanh(x: Float[ArrayLike, "*shape"], scale: Float[ArrayLike, "..."]) -> Float[Array, "*shape"]:
    """Hyperbolic tangent: nearly linear at first, then a sharp bend.

    f(x) = tanh(x/c),   f'(0) = 1/c

    PyMC-Marketing's b tanh(x/(bc)) is this curve with its b as the coefficient and b c as scale.

    Args:
      x: media ≥ 0, carried over or not.
      scale: c > 0 in the unit of x; three quarters of the most are reached at x = 0.97 c.

    Returns:
      The share of the most that media can bring, in [0, 1).

    Source: PyMC-Marketing, `tanh_saturation`.
    """
    x = jnp.asarray(x)
    return jnp.tanh(x / positive(_like(scale, x)))


def root(
    x: Float[ArrayLike, "*shape"], exponent: Float[ArrayLike, "..."]
) -> Float[Array, "*shape"]:
    """Root curve: returns diminish at a constant elasticity and never saturate.

    f(x) = x^e,   f(0) = 0

    Args:
      x: media ≥ 0, carried over or not.
      exponent: e in (0, 1], the elasticity: 1 % more media bring e % more.

    Returns:
      The transformed media, without an upper limit.

    Numerical note: at x = 0 every gradient is 0, where the true slope in x is infinite for e < 1.

    Source: PyMC-Marketing, `root_saturation`.
    """
    x = jnp.asarray(x)
    some, x_safe = _spent(x)
    return jnp.where(some, x_safe ** _like(exponent, x), 0.0)


def linear(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """No saturation: every unit of media brings the same.

    f(x) = x

    Args:
      x: media ≥ 0, carried over or not.

    Returns:
      The media as they are.
    """
    return jnp.asarray(x)
