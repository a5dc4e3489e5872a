"""How far apart two rates are, as the information that tells them apart counts it."""

import numpy as np
from jaxtyping import Float

_CLOSE = 1e-12  # keeps a rate off 0 and 1, where the divergence is infinite


def kl_bernoulli(
    p: Float[np.ndarray, "*batch"], q: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch"]:
    """The Kullback–Leibler divergence of two rates.

    kl(p, q) = p ln(p/q) + (1−p) ln((1−p)/(1−q))

    Args:
      p: in [0, 1].
      q: in [0, 1]; kept 1e-12 away from 0 and 1, as p is, so that the answer is finite.
    """
    p, q = np.clip(p, _CLOSE, 1 - _CLOSE), np.clip(q, _CLOSE, 1 - _CLOSE)
    return p * np.log(p / q) + (1 - p) * (np.log1p(-p) - np.log1p(-q))


def kl_upper(
    p: Float[np.ndarray, "*batch"], level: Float[np.ndarray, "*batch"], iterations: int = 30
) -> Float[np.ndarray, "*batch"]:
    """The largest rate that is not too far above p: q ≥ p with kl(p, q) = level.

    Args:
      p: observed rates in [0, 1].
      level: at least 0; infinite gives 1.
      iterations: halvings of [p, min(1, p + √(level/2))], which holds q by Pinsker's inequality.

    Numerical note: bisection; 30 halvings leave an error below 1e-9.
    """
    low, high = p, np.minimum(1.0, p + np.sqrt(level / 2))
    p = np.clip(p, _CLOSE, 1 - _CLOSE)
    apart = level - p * np.log(p) - (1 - p) * np.log1p(-p)  # kl < level, but for what q adds
    for _ in range(iterations):
        q = np.clip((low + high) / 2, _CLOSE, 1 - _CLOSE)
        inside = -p * np.log(q) - (1 - p) * np.log1p(-q) < apart
        low, high = np.where(inside, q, low), np.where(inside, high, q)
    return (low + high) / 2
