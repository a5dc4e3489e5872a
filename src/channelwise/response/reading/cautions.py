"""What will make channels hard to tell apart: known before any model is fitted."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import fdtrc

from channelwise.response.reading.findings import Finding, listed, warning

_CORRELATED, _INFLATED = 0.8, 10.0
_BARELY, _FEW_PERIODS, _SPARSE = 0.1, 5, 0.1
_FOLLOWS = 1e-3
_OUTLYING = 6.0


class Record(NamedTuple):
    """The numbers that the cautions look at.

    Attributes:
      dates: (time,) of the periods with an outcome.
      outcome: (geo, time).
      spend: (geo, time, channel).
      channels: names.
      season: periods in a year.
      eventful: (time,) whether an event is on in any geo.
    """

    dates: np.ndarray
    outcome: np.ndarray
    spend: np.ndarray
    channels: tuple[str, ...]
    season: float
    eventful: np.ndarray


def find_cautions(record: Record) -> list[Finding]:
    """All warnings about what the data can teach; none of them stops a fit."""
    return [
        f
        for look in (_still, _sparse, _collinear, _following, _outlying, _short)
        for f in look(record)
    ]


def _still(record: Record) -> list[Finding]:
    """Channels whose spend hardly varies over time, in any geo."""
    findings = []
    for k, channel in enumerate(record.channels):
        spend = record.spend[:, :, k]
        moves = spend.std(axis=1).sum() / max(spend.mean(axis=1).sum(), 1e-300)
        if 0 < moves < _BARELY:
            message = (
                f"Channel {channel!r} barely moves (its standard deviation is {moves:.1%} of its "
                "mean): its effect can hardly be told from the baseline. Vary it, or experiment."
            )
            findings.append(warning("barely-moves", message))
    return findings


def _sparse(record: Record) -> list[Finding]:
    """Channels that were on in few periods."""
    findings = []
    for k, channel in enumerate(record.channels):
        on = (record.spend[:, :, k] > 0).any(axis=0)
        if on.sum() < _FEW_PERIODS or on.mean() < _SPARSE:
            when = listed(record.dates[on]) if on.any() else "none"
            message = (
                f"Channel {channel!r} has spend in {on.sum()} of {len(on)} periods ({when}): what "
                "it did is known from these alone."
            )
            findings.append(warning("sparse", message))
    return findings


def _collinear(record: Record) -> list[Finding]:
    """Pairs of channels that move together, and channels that the others explain."""
    together = correlations(record.spend)
    inflation = variance_inflation(record.spend)
    findings, told = [], set()
    for i, j in combinations(range(len(record.channels)), 2):
        if abs(together[i, j]) >= _CORRELATED:
            told |= {i, j}
            findings.append(_pair(record.channels, i, j, float(together[i, j]), inflation))
    for i in set(np.flatnonzero(inflation > _INFLATED).tolist()) - told:
        j = int(np.argmax(np.abs(together[i]) - np.eye(len(inflation))[i]))
        findings.append(_pair(record.channels, i, j, float(together[i, j]), inflation))
    return findings


def _pair(channels: tuple[str, ...], i: int, j: int, r: float, inflation: np.ndarray) -> Finding:
    return warning(
        "collinear",
        f"Channels {channels[i]!r} and {channels[j]!r} move together (correlation {r:.2f}; "
        f"variance inflation {inflation[i]:.3g} and {inflation[j]:.3g}): the data cannot well say "
        "which of the two did it. Vary one alone, or experiment.",
    )


def correlations(
    spend: Float[np.ndarray, "geo time channel"],
) -> Float[np.ndarray, "channel channel"]:
    """Pearson correlation of the channels over time, each geo about its own mean.

    0 for a channel that never moves.
    """
    return _together(spend)[0]


def variance_inflation(
    spend: Float[np.ndarray, "geo time channel"],
) -> Float[np.ndarray, " channel"]:
    """How much the other channels inflate the variance of each one's coefficient.

    VIF_k = 1 / (1 − R_k²), R_k² of channel k regressed on the others: the diagonal of the inverse
    correlation matrix. Infinite where the others determine the channel.

    Source: Belsley, Kuh and Welsch (1980), Regression Diagnostics, section 3.1.
    """
    together, moving = _together(spend)
    inflation = np.ones(len(together))
    scales, axes = np.linalg.eigh(together[np.ix_(moving, moving)])
    exact = scales < 1e-10
    inverse = np.where(exact, np.inf, 1 / np.where(exact, 1.0, scales))
    weights = np.where(axes**2 < 1e-12, 0.0, axes**2)
    with np.errstate(invalid="ignore"):
        inflation[moving] = np.nansum(weights * inverse, axis=1)
    return inflation


def _together(spend: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = (spend - spend.mean(axis=1, keepdims=True)).reshape(-1, spend.shape[-1])
    size = np.sqrt((x**2).sum(axis=0))
    moving = size > 1e-12 * np.abs(spend).reshape(x.shape).max(axis=0, initial=0.0)
    x = np.where(moving, x / np.where(moving, size, 1.0), 0.0)
    return np.where(np.eye(len(size), dtype=bool), 1.0, np.clip(x.T @ x, -1.0, 1.0)), moving


def _following(record: Record) -> list[Finding]:
    """Channels whose spend is set by what came back before."""
    findings = []
    for k, channel in enumerate(record.channels):
        p = follows(record.spend[:, :, k], record.outcome, record.season)
        if p < _FOLLOWS / len(record.channels):
            message = (
                f"Spend on {channel!r} follows the outcome of the period before (p = {p:.1g}): it "
                "may chase demand, and would then look better than it is. Control for demand, or "
                "experiment."
            )
            findings.append(warning("follows-outcome", message))
    return findings


def follows(
    spend: Float[np.ndarray, "geo time"], outcome: Float[np.ndarray, "geo time"], season: float
) -> float:
    """Whether last period's outcome says something about spend that spend's own past does not.

    Regress s_t on s_{t−1}, s_{t−2}, a trend and two yearly waves, with and without o_{t−1}, in
    each geo about its own mean; the F-test of the difference. s and o are the ranks of the values
    in their geo, so that one wild period decides nothing.

    Args:
      spend: of one channel.
      outcome: of the same periods.
      season: periods in a year.

    Returns:
      The p-value; 1 if there are too few periods to say.

    Source: Granger (1969), Investigating causal relations by econometric models.
    """
    geos, times = spend.shape
    spend, outcome = _ranks(spend), _ranks(outcome)
    t = np.arange(2, times)
    waves = [f(2 * np.pi * w * t / season) for w in (1, 2) for f in (np.sin, np.cos)]
    if times < 1.5 * season or season < 5:
        waves = []
    own = np.stack([np.broadcast_to(x, (geos, len(t))) for x in (t, *waves)])
    past = np.concatenate([own, [spend[:, 1:-1], spend[:, :-2]]])
    without, target = _centred(past), _centred(spend[None, :, 2:])
    with_outcome = np.concatenate([without, _centred(outcome[None, :, 1:-1])])
    freedom = target.size - geos - len(with_outcome)
    if freedom < 10 or not target.any():
        return 1.0
    rest = _left_over(with_outcome, target)
    gain = _left_over(without, target) - rest
    return float(fdtrc(1, freedom, max(gain, 0.0) / max(rest / freedom, 1e-300)))


def _ranks(series: np.ndarray) -> np.ndarray:
    """Rank over time within each geo; equal values share theirs."""
    equal = [np.unique(row, return_inverse=True)[1] for row in series]
    ends = [np.cumsum(np.bincount(at)) for at in equal]
    return np.stack([(e - np.bincount(a) / 2)[a] for e, a in zip(ends, equal, strict=True)])


def _centred(series: np.ndarray) -> np.ndarray:
    """(series, geo, time) about the mean of each geo, over its spread: (series, geo·time)."""
    x = series - series.mean(axis=-1, keepdims=True)
    x = x.reshape(len(x), -1)
    return x / np.maximum(np.sqrt((x**2).mean(axis=1, keepdims=True)), 1e-300)


def _left_over(predictors: np.ndarray, target: np.ndarray) -> float:
    """The sum of squares that least squares leave, by the normal equations."""
    gram, shared = predictors @ predictors.T, predictors @ target[0]
    explained = shared @ np.linalg.lstsq(gram, shared, rcond=1e-10)[0]
    return float(target[0] @ target[0] - explained)


def _outlying(record: Record) -> list[Finding]:
    """Periods far from their neighbours in which no event is on."""
    total = record.outcome.sum(axis=0)
    far = (np.abs(_surprise(total)) > _OUTLYING) & ~record.eventful
    if not far.any():
        return []
    return [
        warning(
            "outlier",
            "The outcome is far from that of the periods around it at "
            f"{listed(record.dates[far])}. If something special happened then, name it an event.",
        )
    ]


def _surprise(values: np.ndarray, reach: int = 4) -> np.ndarray:
    """Distance from the median of the neighbours, in robust standard deviations (1.4826 MAD)."""
    if len(values) <= 2 * reach:
        return np.zeros(len(values))
    around = np.pad(values, reach, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * reach + 1)
    apart = values - np.median(windows, axis=1)
    spread = 1.4826 * np.median(np.abs(apart))
    return apart / spread if spread > 0 else np.zeros(len(values))


def _short(record: Record) -> list[Finding]:
    """Less than two years: a season is seen once at most."""
    years = len(record.dates) / record.season
    if years >= 1.98:
        return []
    message = (
        f"The record covers {years:.1f} years: with less than two, a yearly season cannot be told "
        "from what media did at the same time of year."
    )
    return [warning("short", message)]
