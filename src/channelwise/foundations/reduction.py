"""What every loss shares: guards at entry, 0 · ∞ = 0, and the weighted mean or sum at the end."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Shaped

Reduction = Literal["mean", "sum", "none"]


def reduce_losses(
    losses: Float[Array, "*batch"],
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Weighted mean or sum of the losses of a batch.

    mean = Σ w_i l_i / Σ w_i,   sum = Σ w_i l_i,   none = w_i l_i;   w_i = 1 without `weights`.

    Args:
      losses: one loss a sample, any shape.
      weights: sample weights, w ≥ 0, of the same shape. A weight of zero takes its sample out
        entirely, even where its loss is infinite or NaN (padding).
      reduction: "mean", "sum" or "none".

    Returns:
      A scalar, or for "none" an array of the shape of `losses`.

    Raises:
      ValueError: if the shapes differ, the reduction is unknown or the mean of no losses is asked.

    Numerical note: the mean divides the weights before it adds, so that it is finite whenever
    every loss is. Weights that are all zero have no mean: the result is NaN.
    """
    w = None if weights is None else jnp.asarray(weights, losses.dtype)
    if w is not None and w.shape != losses.shape:
        raise ValueError(
            f"Losses and weights must have the same shape: got {losses.shape} and {w.shape}. "
            "Give one weight for each loss."
        )
    if reduction == "mean":
        if losses.size == 0:
            raise ValueError(
                f"The mean of no losses is not defined: got an array of shape {losses.shape}. "
                "Drop the empty batch, or use reduction='sum'."
            )
        share = jnp.full(losses.shape, 1 / losses.size, losses.dtype) if w is None else w / w.sum()
        return times(share, losses).sum()
    if reduction in ("sum", "none"):
        weighted = losses if w is None else times(w, losses)
        return weighted.sum() if reduction == "sum" else weighted
    raise ValueError(f"Unknown reduction {reduction!r}: use 'mean', 'sum' or 'none'.")


@jax.jit
def times(w: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The product w x in which w = 0 wins over x = ±∞ or NaN, in value and gradient."""
    return w * jnp.where((w == 0) & ~jnp.isfinite(x), 0, x)


def floating(name: str, x: ArrayLike) -> Array:
    """`x` as an array, refused in a sentence if it holds no floating-point numbers."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{name.capitalize()} must be floating-point numbers, got {x.dtype}: "
            "convert them with jnp.asarray(x, jnp.float32)."
        )
    return x


def paired(names: tuple[str, str], x: ArrayLike, y: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Two arrays of one shape and one floating type, or a sentence that says why not."""
    x = floating(names[0], x)
    y = jnp.asarray(y, x.dtype)
    if x.shape != y.shape:
        raise ValueError(
            f"{names[0].capitalize()} and {names[1]} must have the same shape: "
            f"got {x.shape} and {y.shape}. Reshape one of them; nothing is broadcast here."
        )
    return x, y
