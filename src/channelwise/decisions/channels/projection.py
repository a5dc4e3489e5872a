"""The nearest spend that a budget allows."""

import numpy as np
from jaxtyping import ArrayLike, Float, Shaped


def project(
    x: Float[ArrayLike, "channel"],
    budget: Float[ArrayLike, ""],
    *,
    upper: Float[ArrayLike, "channel"] | float = np.inf,
    weight: Float[ArrayLike, "channel"] | float = 1.0,
) -> Shaped[ArrayLike, "channel"]:
    """The nearest point of {0 ≤ y ≤ upper, Σ y ≤ budget}, exactly.

    argmin_y Σ_c w_c (y_c − x_c)²,   which is   y_c = min(max(x_c − τ/w_c, 0), u_c)

    with the least τ ≥ 0 that keeps the budget. Σ y falls with τ in straight pieces between the
    breakpoints w x and w (x − u): sorted and summed, they show the piece, and the piece shows τ.

    Args:
      x: any spend, currency; NumPy or JAX, where it may be traced.
      budget: B ≥ 0, an upper limit of the sum.
      upper: u ≥ 0, the most of each channel.
      weight: w > 0, how much a move of each channel counts; 1 is the Euclidean distance.

    Returns:
      y, in the kind of array x is.

    Numerical note: exact but for rounding, without iteration; O(channel²).

    Source: Held, Wolfe, Crowder 1974; Duchi et al. 2008, §3.
    """
    xp = x.__array_namespace__()
    u = xp.broadcast_to(xp.asarray(upper, dtype=x.dtype), x.shape)
    w = xp.broadcast_to(xp.asarray(weight, dtype=x.dtype), x.shape)
    bends = xp.concat([w * x, w * (x - u), xp.zeros_like(x[:1])])
    taus = xp.sort(xp.maximum(bends, 0.0))
    sums = xp.clip(x[None] - taus[:, None] / w[None], 0.0, u[None]).sum(-1)
    j = xp.clip((sums > budget).sum(), 1, taus.size - 1)
    fall = sums[j - 1] - sums[j]  # 0 only where the budget already holds
    share = (sums[j - 1] - budget) / xp.where(fall > 0, fall, 1.0)
    tau = xp.where(sums[0] > budget, taus[j - 1] + share * (taus[j] - taus[j - 1]), 0.0)
    return xp.clip(x - tau / w, 0.0, u)
