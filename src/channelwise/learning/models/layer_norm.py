"""Layer normalization of a matrix, with its gradient written out: one pass each way."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


@jax.custom_vjp
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
      epsilon: ε > 0; not differentiated.

    Returns:
      The shape and type of x.

    Numerical note: computed in float32 (float64 stays), whatever the type of x; the variance is
    taken of the centered row, so a large mean costs no digits. A constant row gives β.

    Source: Ba, Kiros, Hinton 2016.
    """
    return _forward(x, scale, shift, epsilon)[0]


def _forward(x: Array, scale: Array, shift: Array, epsilon: float) -> tuple[Array, tuple]:
    wide = jnp.promote_types(x.dtype, jnp.float32)
    x_ = x.astype(wide)
    centered = x_ - x_.mean(1, keepdims=True)
    r = lax.rsqrt(jnp.square(centered).mean(1, keepdims=True) + epsilon)
    n = centered * r
    y = n * scale.astype(wide)[None, :] + shift.astype(wide)[None, :]
    return y.astype(x.dtype), (n.astype(x.dtype), r, scale, shift)


def _backward(kept: tuple, dy: Array) -> tuple[Array, Array, Array, None]:
    n, r, scale, shift = kept
    wide = r.dtype
    n_, dy_ = n.astype(wide), dy.astype(wide)
    g = dy_ * scale.astype(wide)[None, :]
    dx = r * (g - g.mean(1, keepdims=True) - n_ * (g * n_).mean(1, keepdims=True))
    dscale, dshift = (dy_ * n_).sum(0), dy_.sum(0)
    return dx.astype(dy.dtype), dscale.astype(scale.dtype), dshift.astype(shift.dtype), None


layer_norm.defvjp(_forward, _backward)
