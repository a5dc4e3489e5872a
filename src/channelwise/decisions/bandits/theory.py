"""What theory says about the regret of a bandit, and what it does not say."""

import numpy as np
from jaxtyping import Float

from channelwise.decisions.bandits.divergence import kl_bernoulli


def _gaps(means: Float[np.ndarray, " arm"]) -> Float[np.ndarray, " worse"]:
    return means.max() - means[means < means.max()]


def lai_robbins(
    means: Float[np.ndarray, " arm"], steps: float | Float[np.ndarray, " step"]
) -> float | Float[np.ndarray, " step"]:
    """The slope of regret that no consistent policy can undercut *in the limit*.

    lim inf R_T / ln T ≥ Σ_a Δ_a / kl(μ_a, μ*)

    The line Σ_a Δ_a / kl(μ_a, μ*) ln T is no bound at any finite T: good policies lie far below it
    for long. At rates of .05 and .06 it says 98.3 after 10,000 steps, where always playing the
    worse arm loses 100 and Thompson sampling about 18.

    Args:
      means: rates of the arms in (0, 1).
      steps: T ≥ 1.

    Source: Lai and Robbins 1985, theorem 1.
    """
    worse = means[means < means.max()]
    best = np.full_like(worse, means.max())
    return np.sum((best - worse) / kl_bernoulli(worse, best)) * np.log(steps)


def ucb1_bound(
    means: Float[np.ndarray, " arm"], steps: float | Float[np.ndarray, " step"]
) -> float | Float[np.ndarray, " step"]:
    """What UCB1 loses at most, at every finite T, for rewards in [0, 1].

    R_T ≤ 8 Σ_a ln T / Δ_a + (1 + π²/3) Σ_a Δ_a

    Args:
      means: of the arms; those equal to the best lose nothing.
      steps: T ≥ 1.

    Source: Auer, Cesa-Bianchi, Fischer 2002, theorem 1.
    """
    gaps = _gaps(means)
    return 8 * np.sum(1 / gaps) * np.log(steps) + (1 + np.pi**2 / 3) * gaps.sum()
