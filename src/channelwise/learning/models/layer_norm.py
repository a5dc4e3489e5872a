"""Layer normalization of a matrix, with its gradient written out: one pass each way."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from channelwise.learning.models.wide import wide


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def layer_norm(
    x: Float[Array, "token feature"],
    scale: Float[Array, " feature"],
    shift: Float[Array, " feature"],
    epsilon: float,
) -> Float[Array, "token feature"]:
    """Every row brought to mean 0 and variance 1, then scaled and shifted feature by feature.

    y = γ ∘ n + β,   n = (x − μ) r,   r = (σ² + ε)^−½,   μ, σ² the row's mean and variance

    Backward, with g = γ ∘ ȳ:   x̄ = r (g − mean(g) − n mean(g ∘ n)),   γ̄ = Σ ȳ ∘ n,   β̄ = Σ ȳ

    Args:
      x: one row a token.
      scale: γ.
      shift: β.
      epsilon: ε > 0.

    Returns:
      The shape and type of x.

    Numerical note: computed in float32 (float64 stays), whatever the type of x; the variance is
    taken of the centered row, so a large mean costs no digits. A constant row gives β.

    Source: Ba, Kiros, Hinton 2016.
    """
    return _forward(x, scale, shift, epsilon)[0]


def _forward(x: Array, scale: Array, shift: Array, epsilon: float) -> tuple[Array, tuple]:
    x_ = x.astype(wide(x))
    centered = x_ - x_.mean(1, keepdims=True)
    r = lax.rsqrt(jnp.square(centered).mean(1, keepdims=True) + epsilon)
    n = centered * r
    y = n * scale.astype(n.dtype)[None, :] + shift.astype(n.dtype)[None, :]
    return y.astype(x.dtype), (n.astype(x.dtype), r, scale, shift)


def _backward(epsilon: float, kept: tuple, dy: Array) -> tuple[Array, Array, Array]:
    n, r, scale, shift = kept
    n_, dy_ = n.astype(r.dtype), dy.astype(r.dtype)
    g = dy_ * scale.astype(r.dtype)[None, :]
    dx = r * (g - g.mean(1, keepdims=True) - n_ * (g * n_).mean(1, keepdims=True))
    dscale, dshift = (dy_ * n_).sum(0), dy_.sum(0)
    return dx.astype(dy.dtype), dscale.astype(scale.dtype), dshift.astype(shift.dtype)


layer_norm.defvjp(_forward, _backward)
