"""Did the chains agree, and how much do they know? R-hat, effective sample sizes, their errors.

Draws come as (chain, draw, …); every function judges all their scalars at once, in NumPy. Chains
are split in halves, so that one that drifts disagrees with itself; with an odd number of draws the
middle one is left out. The conventions are those of Stan, posterior and ArviZ.

Source: Vehtari, Gelman, Simpson, Carpenter, Bürkner 2021, "Rank-normalization, folding, and
localization: an improved R-hat".
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import betaincinv, ndtri

RHAT_LIMIT = 1.01
"""R-hat up to which chains agree (Vehtari et al. 2021)."""

Chains = Float[np.ndarray, "parameter chain draw"]
PerParameter = Float[np.ndarray, " parameter"]
Sorted = Float[np.ndarray, "parameter any"]


class Convergence(NamedTuple):
    """What the chains know of each scalar; NaN where a draw is not finite or no draw ever moved.

    Attributes:
      rhat: the larger of the rank-normalized and the folded split R-hat; 1 if the chains agree.
      ess_bulk: independent draws that would locate the bulk as well.
      ess_tail: the same for the 5 % or the 95 % quantile, whichever is worse.
    """

    rhat: Float[np.ndarray, "*dims"]
    ess_bulk: Float[np.ndarray, "*dims"]
    ess_tail: Float[np.ndarray, "*dims"]


def convergence(draws: Float[np.ndarray, "chain draw *dims"]) -> Convergence:
    """Judge every scalar of the draws by its chains.

    R-hat = √((n − 1)/n + var(chain means) / mean(chain variances)),   n: draws of a split chain
    ESS = N / τ,   τ = −1 + 2 Σ_k P_k,   P_k = ρ_2k + ρ_2k+1, cut where it turns negative and
    kept from rising (Geyer 1992); both of the normal scores of the ranks, R-hat of those of
    |x − median| as well; the tail ESS of the indicators x ≤ q.

    Args:
      draws: at least 4 of each chain, any unit.

    Returns:
      One value of each kind for each scalar.

    Raises:
      ValueError: if there are no chains or fewer than 4 draws.

    Numerical note: equals arviz-stats, but for two choices. One chain has an R-hat, of its halves.
    A scalar that never moves has no effective draws, rather than N.

    Source: Vehtari et al. 2021, eqs. 1 to 14.
    """
    x, known = _prepared(draws)
    rhat, z, ordered = _rhat_and_scores(_split(x))
    if z.size < x.size:
        ordered = np.sort(x.reshape(len(x), -1))
    low, high = (_ess(_split(x <= _quantile(ordered, p))) for p in (0.05, 0.95))
    found = (rhat, _ess(z), np.minimum(low, high))
    return Convergence(*(_restored(values, known, draws) for values in found))


def rank_rhat(draws: Float[np.ndarray, "chain draw *dims"]) -> Float[np.ndarray, "*dims"]:
    """R-hat alone, at half the cost: for a sampler that asks again and again.

    Args, Returns, Raises: as in `convergence`.
    """
    x, known = _prepared(draws)
    return _restored(_rhat_and_scores(_split(x))[0], known, draws)


def mcse_mean(draws: Float[np.ndarray, "chain draw *dims"]) -> Float[np.ndarray, "*dims"]:
    """Monte-Carlo standard error of the mean, sd / √ESS, in the unit of the draws.

    Args, Raises, NaN: as in `convergence`.

    Source: Vehtari et al. 2021, §2.
    """
    x, known = _prepared(draws)
    return _restored(x.std((1, 2), ddof=1) / np.sqrt(_ess(_split(x))), known, draws)


def mcse_sd(draws: Float[np.ndarray, "chain draw *dims"]) -> Float[np.ndarray, "*dims"]:
    """Monte-Carlo standard error of the standard deviation s, by the delta method.

    sd(s) = sd(s²) / 2s,   sd(s²) = sd(c) / √ESS(c),   c = (x − mean)²

    Args, Raises, NaN: as in `convergence`.

    Numerical note: ArviZ 0.8 divides by the effective size of x instead, which is too hopeful for
    chains that wander in scale and too small for antithetic ones.

    Source: Kenney and Keeping 1951, as in the R package posterior.
    """
    x, known = _prepared(draws)
    c = np.square(x - x.mean((1, 2), keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(c.var((1, 2)) / _ess(_split(c)) / c.mean((1, 2))) / 2
    return _restored(error, known, draws)


def mcse_quantile(
    draws: Float[np.ndarray, "chain draw *dims"], probability: float
) -> Float[np.ndarray, "*dims"]:
    """Monte-Carlo standard error of a quantile: half the width of its one-sigma order statistics.

    With S effective draws the rank of the quantile is Beta(S p + 1, S (1 − p) + 1) distributed.

    Args:
      draws: as in `convergence`.
      probability: p in (0, 1).

    Returns:
      One error for each scalar, in its unit; NaN as in `convergence`.

    Raises:
      ValueError: for p outside (0, 1), no chains or fewer than 4 draws.

    Source: Vehtari et al. 2021, §4.4.
    """
    p = probability
    if not 0 < p < 1:
        raise ValueError(f"probability must lie between 0 and 1, got {p}.")
    x, known = _prepared(draws)
    ordered, N = np.sort(x.reshape(len(x), -1)), x[0].size
    S = _ess(_split(x <= _quantile(ordered, p)))
    low, high = (betaincinv(S * p + 1, S * (1 - p) + 1, q) for q in (0.1586553, 0.8413447))
    first = np.maximum(np.floor(low * N - 1), 0).astype(int)
    last = np.minimum(np.ceil(high * N - 1), N - 1).astype(int)
    row = np.arange(len(x))
    return _restored((ordered[row, last] - ordered[row, first]) / 2, known, draws)


def e_bfmi(energy: Float[np.ndarray, "chain draw"]) -> Float[np.ndarray, " chain"]:
    """How well refreshed momenta move between energies: mean (E_i − E_{i−1})² / var(E).

    Args:
      energy: Hamiltonian of each draw.

    Returns:
      About 1 for each healthy chain; below 0.3 it does not reach the tails; NaN if it never moved.

    Source: Betancourt 2016, "Diagnosing suboptimal cotangent disintegrations in HMC".
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.square(np.diff(energy, axis=1)).mean(1) / energy.var(1, ddof=1)


def _prepared(draws: np.ndarray) -> tuple[Chains, Bool[np.ndarray, " parameter"]]:
    """Draws with scalars first, and which of these can be judged; the others are set to 0."""
    n_chains, n_draws = draws.shape[:2]
    if n_chains < 1 or n_draws < 4:
        raise ValueError(
            f"{n_chains} chains of {n_draws} draws cannot be judged: "
            "at least 1 chain of 4 draws is needed."
        )
    x = np.moveaxis(draws.reshape(n_chains, n_draws, -1), -1, 0).astype(np.float64, order="C")
    known = np.isfinite(x).all((1, 2)) & (x != x[:, :1, :1]).any((1, 2))
    x[~known] = 0
    return x, known


def _restored(values: PerParameter, known: np.ndarray, draws: np.ndarray) -> np.ndarray:
    return np.where(known, values, np.nan).reshape(draws.shape[2:])


def _split(x: np.ndarray) -> np.ndarray:
    half = x.shape[-1] // 2
    return np.concatenate([x[..., :half], x[..., -half:]], axis=-2)


def _rhat_and_scores(y: Chains) -> tuple[PerParameter, Chains, Sorted]:
    """The larger R-hat of split chains, their normal scores and their sorted values."""
    z, ordered = _normal_scores(y)
    middle = ordered[:, [(y[0].size - 1) // 2, y[0].size // 2]].mean(1)
    folded, _ = _normal_scores(np.abs(y - middle[:, None, None]))
    return np.maximum(_rhat(z), _rhat(folded)), z, ordered


def _rhat(x: Chains) -> PerParameter:
    n = x.shape[-1]
    between, within = x.mean(-1).var(-1, ddof=1), x.var(-1, ddof=1).mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt((n - 1) / n + between / within)


def _ess(x: Float[np.ndarray, "parameter chain draw"] | Bool[np.ndarray, "parameter chain draw"]):
    """Effective draws for the mean of x; all of them where x is constant."""
    N, n = x[0].size, x.shape[-1]
    means = x.mean(-1)
    acov = _autocovariance(x - means[..., None])
    var_plus = acov[:, 0] + means.var(-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1 - (acov[:, :1] * n / (n - 1) - acov) / var_plus[:, None]
    rho[:, 0] = 1
    tau = np.maximum(_autocorrelation_time(rho), 1 / np.log10(N))
    return np.where(var_plus > 0, N / tau, float(N))


def _autocovariance(x: Chains) -> Float[np.ndarray, "parameter draw"]:
    """Mean over centred chains of Σ_t x_t x_{t+l} / n: their power spectra, added, transformed."""
    n = x.shape[-1]
    length = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(x, length)
    power = (spectrum.real**2 + spectrum.imag**2).mean(1)
    return np.fft.irfft(power, length)[:, :n] / n


def _autocorrelation_time(rho: Float[np.ndarray, "parameter draw"]) -> PerParameter:
    """Geyer's initial monotone sequence; the even half of the pair that ends it counts if > 0."""
    last = max((rho.shape[1] - 3) // 2, 0)
    pairs = rho[:, : 2 * last + 2].reshape(-1, last + 1, 2)
    P = pairs.sum(-1)
    ends = ~(P > 0)
    K = np.where(ends.any(1), ends.argmax(1), last)
    row = np.arange(len(P))
    even = pairs[row, K, 0]
    remainder = np.where((even > 0) | (P[row, K] >= 0), even, 0)
    summed = np.cumsum(np.minimum.accumulate(P, 1), 1)
    before = np.where(K > 0, summed[row, K - 1], 0)
    return -1 + 2 * before + remainder


def _quantile(ordered: Sorted, p: float) -> Float[np.ndarray, "parameter 1 1"]:
    """Linear between order statistics, rounded as NumPy does it."""
    at, t = divmod(p * (ordered.shape[1] - 1), 1)
    a, b = ordered[:, int(at)], ordered[:, int(np.ceil(at + t))]
    return (a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t))[:, None, None]


def _normal_scores(x: Chains) -> tuple[Chains, Sorted]:
    """Φ⁻¹((r − 3/8) / (N + 1/4)) of the ranks r = 1, …, N over all chains; ties share theirs."""
    N = x[0].size
    begin = N * np.arange(len(x))[:, None]
    order = np.argsort(x.reshape(len(x), N), axis=1) + begin
    ordered = x.ravel()[order]
    first = np.ones(ordered.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(first)
    lengths = np.diff(starts, append=first.size)
    doubled = np.repeat(2 * starts + lengths - 1, lengths).reshape(order.shape) - 2 * begin
    z = np.empty(x.size)
    z[order] = _score_table(N)[doubled]
    return z.reshape(x.shape), ordered


@lru_cache(maxsize=8)
def _score_table(N: int) -> Float[np.ndarray, " half_step"]:
    """Normal scores of the ranks 1, 1.5, 2, …, N."""
    return ndtri((np.arange(2, 2 * N + 1) / 2 - 3 / 8) / (N + 1 / 4))
