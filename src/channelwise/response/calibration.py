"""Do forecasts keep their word? CRPS, ranks of the truth among draws, their uniformity, coverage.

If the truth is drawn from the prior, data from the truth, and draws from the posterior, the rank of
the truth among L independent draws is uniform on 0, 1, …, L, whatever the data (Talts et al. 2018).
A sampler or a model that is wrong shows in the ranks.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.special import bdtr, gammaincc, gammaln


class Band(NamedTuple):
    """Where the empirical distribution function of uniform ranks lies, everywhere at once.

    Attributes:
      share: z = 1/K, 2/K, …, 1, shares of the possible ranks 0, …, L.
      low: lower end of the band at z.
      high: upper end.
    """

    share: Float[np.ndarray, " step"]
    low: Float[np.ndarray, " step"]
    high: Float[np.ndarray, " step"]


class Coverage(NamedTuple):
    """How often intervals held the truth.

    Attributes:
      share: of the cases, for each scalar.
      error: standard error of that share if the intervals are calibrated.
      level: the share that was promised.
    """

    share: Float[np.ndarray, "*dims"]
    error: float
    level: float


def crps(
    draws: Float[np.ndarray, "draw *dims"], truth: Float[np.ndarray, "*dims"]
) -> Float[np.ndarray, "*dims"]:
    """Continuous ranked probability score of an ensemble, in the unit of the truth; 0 is perfect.

    CRPS = ∫ (F(z) − [z ≥ y])² dz = 2/n² Σ_i (x_(i) − y)(n [y < x_(i)] − i + ½)

    Args:
      draws: x, of the predictive distribution.
      truth: y, what happened.

    Returns:
      One score for each scalar; the absolute error if there is one draw.

    Numerical note: exact for the empirical distribution F of the draws, in O(n log n).

    Source: Gneiting and Raftery 2007; Laio and Tamea 2007 for the sum.
    """
    n = len(draws)
    x = np.sort(draws, axis=0)
    i = np.arange(1, n + 1).reshape(-1, *[1] * truth.ndim)
    return np.asarray(2 / n**2 * ((x - truth) * (n * (truth < x) - i + 0.5)).sum(0))


def ranks(
    draws: Shaped[np.ndarray, "draw *dims"],
    truth: Shaped[np.ndarray, "*dims"],
    rng: np.random.Generator,
) -> Int[np.ndarray, "*dims"]:
    """How many of L draws lie below the truth: 0, …, L; a tie is broken at random.

    The probability integral transform is (rank + ½) / (L + 1).

    Args:
      draws: of the posterior, thinned until nearly independent.
      truth: what the data were made with.
      rng: for ties alone.

    Source: Talts, Betancourt, Simpson, Vehtari, Gelman 2018, "Validating Bayesian inference
    algorithms with simulation-based calibration".
    """
    below, tied = (draws < truth).sum(0), (draws == truth).sum(0)
    return np.asarray(below + rng.integers(0, tied, endpoint=True))


def chi_square_p(ranks: Int[np.ndarray, " case"], n_draws: int, bins: int = 20) -> float:
    """Probability that uniform ranks fill `bins` as unevenly: Σ (O − E)² / E against χ²(bins − 1).

    Sees any shape of deviation, smooth ones late: use `ecdf_p` for those.

    Args:
      ranks: one for each simulated case, in 0, …, n_draws.
      n_draws: L.
      bins: 2 or more, a divisor of L + 1; 5 or more cases in each are needed for the approximation.

    Raises:
      ValueError: for ranks outside 0, …, L, bins that do not divide L + 1, or too few cases.
    """
    steps = _checked_steps(ranks, n_draws, bins)
    if ranks.size < 5 * bins:
        raise ValueError(
            f"{ranks.size} cases in {bins} bins: 5 cases in each are needed. "
            "Simulate more cases, or take fewer bins."
        )
    expected = ranks.size / bins
    statistic = ((np.bincount(steps, minlength=bins) - expected) ** 2 / expected).sum()
    return float(gammaincc((bins - 1) / 2, statistic / 2))


def ecdf_p(ranks: Int[np.ndarray, " case"], n_draws: int, bins: int = 20) -> float:
    """Probability that uniform ranks stray as far at any point of their distribution function.

    p = P(min_k γ_k ≤ the observed one),   γ_k = 2 min(P(B ≤ c_k), P(B ≥ c_k)),   B ~ Bin(n, k/K)

    with c_k the number of ranks in the first k of K bins.

    Args:
      ranks: one for each simulated case, in 0, …, n_draws.
      n_draws: L.
      bins: K ≥ 2, a divisor of L + 1.

    Raises:
      ValueError: for no ranks, ranks outside 0, …, L, or bins that do not divide L + 1.

    Numerical note: exact, by the recursion of `_inside`; no simulation.

    Source: Säilynoja, Bürkner, Vehtari 2022, "Graphical test for discrete uniformity", §2.
    """
    steps = _checked_steps(ranks, n_draws, bins)
    counts = np.cumsum(np.bincount(steps, minlength=bins))[:-1]
    extremes = _extremes(ranks.size, bins)
    gamma = extremes[np.arange(bins - 1), counts].min()
    return float(np.clip(1 - _inside(extremes > gamma * (1 + 1e-9)), 0, 1))


def ecdf_band(cases: int, bins: int = 20, level: float = 0.95) -> Band:
    """The band that holds the distribution function of uniform ranks with probability `level`.

    Args:
      cases: simulated markets, n ≥ 1.
      bins: K ≥ 2 points at which the function is looked at.
      level: in (0, 1); held for all K points together, a little more since counts are whole.

    Returns:
      The narrowest such band whose ends have equal tails at every point.

    Raises:
      ValueError: for values outside their ranges.

    Source: Säilynoja, Bürkner, Vehtari 2022, §2 and algorithm 2.
    """
    if cases < 1 or bins < 2 or not 0 < level < 1:
        raise ValueError(
            f"cases={cases}, bins={bins}, level={level}: at least 1 case, 2 bins and a level "
            "between 0 and 1 are needed."
        )
    extremes = _extremes(cases, bins)
    candidates = np.unique(extremes)
    fits, fails = 0, len(candidates)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        enough = _inside(extremes >= candidates[middle]) >= level
        fits, fails = (middle, fails) if enough else (fits, middle)
    allowed = extremes >= candidates[fits]
    low, high = allowed.argmax(1), cases - allowed[:, ::-1].argmax(1)
    ends = (np.append(end, cases) / cases for end in (low, high))
    return Band(np.arange(1, bins + 1) / bins, *ends)


def interval_coverage(
    draws: Float[np.ndarray, "draw case *dims"],
    truth: Float[np.ndarray, "case *dims"],
    level: float,
) -> Coverage:
    """Share of cases whose central interval of the draws holds the truth.

    error = √(level (1 − level) / cases)

    Args:
      draws: of each case's posterior.
      truth: of each case.
      level: probability of the interval, in (0, 1).

    Returns:
      A share for each scalar. Cases are independent; scalars of one case need not be.

    Raises:
      ValueError: for a level outside (0, 1).

    Numerical note: the ends are the quantiles at positions p (L + 1), with which L independent
    draws cover at the level exactly (Hyndman and Fan 1996, type 6).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}.")
    ends = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(draws, ends, axis=0, method="weibull")
    held = (low <= truth) & (truth <= high)
    error = float(np.sqrt(level * (1 - level) / len(truth)))
    return Coverage(np.asarray(held.mean(0)), error, level)


def _checked_steps(ranks: np.ndarray, n_draws: int, bins: int) -> Int[np.ndarray, " case"]:
    """The bin of each rank: 0, …, bins − 1."""
    if ranks.size == 0 or ranks.min() < 0 or ranks.max() > n_draws:
        seen = f"{ranks.min()} to {ranks.max()}" if ranks.size else "none"
        raise ValueError(f"Ranks among {n_draws} draws lie in 0, …, {n_draws}; got {seen}.")
    if bins < 2 or (n_draws + 1) % bins:
        raise ValueError(
            f"{bins} bins do not divide the {n_draws + 1} ranks of {n_draws} draws evenly: "
            "take a divisor of at least 2, or another number of draws."
        )
    return ranks * bins // (n_draws + 1)


def _extremes(n: int, bins: int) -> Float[np.ndarray, "step count"]:
    """γ_k(c) = 2 min(P(B ≤ c), P(B ≥ c)) of B ~ Bin(n, k/K), for k < K and c = 0, …, n."""
    k, c = np.arange(1.0, bins)[:, None], np.arange(n + 1.0)[None]
    at_most = bdtr(np.broadcast_to(c, (bins - 1, n + 1)), n, k / bins)
    at_least = at_most[::-1, ::-1]
    return 2 * np.minimum(at_most, at_least)


def _inside(allowed: Shaped[np.ndarray, "step count"]) -> float:
    """Probability that the cumulative counts of n uniform ranks pass only allowed values.

    The counts of n ranks in K bins are independent Poisson(n/K) counts that happen to add up to n:
    the probability of each partial sum is carried from bin to bin, and divided at the end.
    """
    K, n = allowed.shape[0] + 1, allowed.shape[1] - 1
    c = np.arange(n + 1.0)
    poisson = np.trim_zeros(np.exp(c * np.log(n / K) - n / K - gammaln(c + 1)), "b")
    reached = np.eye(1, n + 1)[0]
    for step in allowed:
        reached = np.where(step, np.convolve(reached, poisson)[: n + 1], 0)
    everywhere = np.exp(n * np.log(n) - n - gammaln(n + 1))
    return float(np.convolve(reached, poisson)[n] / everywhere)
