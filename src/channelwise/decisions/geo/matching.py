"""Matched markets: which geos to test, which to compare them with, and the test of pairs."""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float, Int

from channelwise.decisions.geo.panel import (
    Day,
    GeoEffect,
    GeoTestError,
    Panel,
    check_confidence,
    windows,
)

Pair = tuple[str, str]
_ALL = 20_000  # groups that are all tried; of more, as many are drawn and then improved


def distances(y: Float[np.ndarray, "geo time"]) -> Float[np.ndarray, "geo geo"]:
    """How differently two geos move, whatever their size.

    d_ij = √mean_t (y_it / ȳ_i − y_jt / ȳ_j)²

    Args:
      y: outcome, with a positive mean in every geo.

    Raises:
      GeoTestError: if a mean is not positive.
    """
    mean = y.mean(axis=1, keepdims=True)
    if not (mean > 0).all():
        raise GeoTestError("The mean outcome of a geo is not positive; leave that geo out.")
    z = y / mean
    return np.sqrt(np.mean((z[:, None] - z[None]) ** 2, axis=-1))


def match_pairs(panel: Panel, pairs: int | None = None) -> list[Pair]:
    """Pairs of geos that moved alike: the pairing with the least sum of squared distances.

    Toss a coin in each pair to choose the test geo: then the comparison is fair whatever else
    differs between the two.

    Args:
      panel: outcomes before the test.
      pairs: how many; as many as there are geos for unless told.

    Returns:
      The pairs, most alike first.

    Raises:
      GeoTestError: if there are too few geos for so many pairs.

    Numerical note: exact; an integer program over all pairs (0.1 s for 40 geos).
    """
    most = len(panel.geos) // 2
    if pairs is not None and not 1 <= pairs <= most:
        raise GeoTestError(f"pairs is {pairs}, but {len(panel.geos)} geos make 1 to {most}.")
    found = paired(distances(panel.outcome), most if pairs is None else pairs)
    return [(panel.geos[i], panel.geos[j]) for i, j in found]


def paired(d: Float[np.ndarray, "geo geo"], pairs: int) -> Int[np.ndarray, "pair 2"]:
    """The pairing of `match_pairs`, from distances.

    min Σ d_ij² x_ij,   x_ij ∈ {0, 1}, every geo in at most one pair, Σ x_ij = pairs
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    i, j = np.triu_indices(len(d), 1)
    inside = (np.arange(len(d))[:, None] == i) | (np.arange(len(d))[:, None] == j)
    each, count = LinearConstraint(inside.astype(float), ub=1), np.ones((1, len(i)))
    cost = d[i, j] ** 2
    solved = milp(
        cost / max(cost.max(), np.finfo(float).tiny),
        integrality=np.ones(len(i)),
        bounds=Bounds(0, 1),
        constraints=[each, LinearConstraint(count, pairs, pairs)],
    )
    chosen = np.flatnonzero(solved.x > 0.5)
    chosen = chosen[np.argsort(cost[chosen], kind="stable")]
    return np.stack([i[chosen], j[chosen]], axis=1)


def best_tracked(panel: Panel, size: int, *, seed: int = 0) -> tuple[str, ...]:
    """The group of geos that the other geos follow best: where a lift is easiest to see.

    min_g sd of what is left of y_g after regression on y_rest, over the mean of y_g

    Args:
      panel: outcomes before the test.
      size: geos of the test, 1 to half of all.
      seed: of the groups that are drawn where there are more than 20,000.

    Raises:
      GeoTestError: if `size` lies outside its range.

    Note: exact up to 20,000 groups; of more, the best of as many, then improved by swapping single
    geos. Geos chosen by their past are not chosen by lot: use the method's own placebo tests.

    Source: Au 2018, "A time-based regression matched markets approach for designing geo
    experiments".
    """
    count = len(panel.geos)
    if not 1 <= size <= count // 2:
        raise GeoTestError(f"size is {size}; of {count} geos test 1 to {count // 2}.")
    return tuple(panel.geos[i] for i in tracked(panel.outcome, size, np.random.default_rng(seed)))


def tracked(
    y: Float[np.ndarray, "geo time"], size: int, rng: np.random.Generator
) -> Int[np.ndarray, " member"]:
    """The group of `best_tracked`, from outcomes."""
    count, every = len(y), comb(len(y), size) <= _ALL
    if every:
        members = np.array(list(combinations(range(count), size)))
    else:
        members = np.argsort(rng.random((_ALL, count)), axis=1)[:, :size]
    groups = np.zeros((len(members), count))
    groups[np.arange(len(members))[:, None], members] = 1.0
    best = groups[np.argmin(tracking_error(y, groups))]
    return np.flatnonzero(best if every else _improved(y, best))


def tracking_error(
    y: Float[np.ndarray, "geo time"], groups: Float[np.ndarray, "group geo"]
) -> Float[np.ndarray, " group"]:
    """Relative residual of each group's regression on all others, from covariances alone."""
    cov, rest = np.cov(y), 1 - groups
    inner, outer = groups @ cov, rest @ cov
    yy, xy = np.sum(inner * groups, axis=1), np.sum(inner * rest, axis=1)
    xx = np.maximum(np.sum(outer * rest, axis=1), np.finfo(float).tiny)
    return np.sqrt(np.maximum(yy - xy**2 / xx, 0.0)) / (groups @ y.mean(axis=1))


def _improved(
    y: Float[np.ndarray, "geo time"], group: Float[np.ndarray, " geo"]
) -> Float[np.ndarray, " geo"]:
    """Swap one geo in for one out as long as that helps."""
    while True:
        swaps = [(i, j) for i in np.flatnonzero(group) for j in np.flatnonzero(group == 0)]
        candidates = np.repeat(group[None], len(swaps) + 1, axis=0)
        for row, (i, j) in zip(candidates[1:], swaps, strict=True):
            row[i], row[j] = 0.0, 1.0
        best = int(np.argmin(tracking_error(y, candidates)))
        if best == 0:
            return group
        group = candidates[best]


def paired_difference(
    panel: Panel,
    pairs: Sequence[Pair],
    start: Day,
    stop: Day,
    *,
    before: int | None = None,
    confidence: float = 0.9,
) -> GeoEffect:
    """Compare the growth of the test geo with that of its partner, pair by pair.

    d_i = ln (Y_test / Y_before)_{test geo i} − ln (Y_test / Y_before)_{control geo i}

    Y are sums over the periods. The relative lift is e^d̄ − 1; its interval is that of Student's t
    for d̄ with n − 1 degrees of freedom, n pairs.

    Args:
      panel: the outcomes.
      pairs: (test geo, control geo), two pairs or more.
      start: first day of the test.
      stop: first day after it; let it include the periods in which media still carry over.
      before: periods before the test that are used; all unless told.
      confidence: of the interval.

    Raises:
      GeoTestError: with fewer than two pairs, or if the test does not fit the data.

    Source: difference in differences of logarithms; pairs: Vaver and Koehler 2011, "Measuring ad
    effectiveness using geo experiments".
    """
    check_confidence(confidence)
    if len(pairs) < 2:
        raise GeoTestError(
            f"{len(pairs)} pair of geos says nothing about chance; use two or more, or "
            "time_based_regression."
        )
    treated, rest = panel.split([t for t, _ in pairs], [c for _, c in pairs])
    begin, first, end = windows(panel, start, stop, before, 1)
    y = panel.outcome[:, begin:end]
    return difference(y[treated], y[rest], first - begin, confidence)


def difference(
    y: Float[np.ndarray, "pair time"],
    x: Float[np.ndarray, "pair time"],
    first: int,
    confidence: float,
) -> GeoEffect:
    """The test of pairs, from outcomes; see `paired_difference`.

    Args:
      y: outcome of each test geo.
      x: of its partner.
      first: the test's first period.
      confidence: of the interval.

    Raises:
      GeoTestError: if a sum is not positive.
    """
    from scipy.special import stdtr, stdtrit

    d = _growth(y, first) - _growth(x, first)
    n, mean = len(d), float(d.mean())
    scale = float(d.std(ddof=1) / np.sqrt(n))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * scale
    total = float(y[:, first:].sum())
    lift, low, high = (total * -np.expm1(-v) for v in (mean, mean - half, mean + half))
    p_value = 2 * float(stdtr(n - 1, -abs(mean) / scale)) if scale > 0 else float(mean == 0)
    ends = (float(lift), float(low), float(high), confidence, p_value, float(np.expm1(half - mean)))
    return GeoEffect("pairs", y.sum(axis=0), _path(y, x, first, total - lift), first, *ends, {})


def _growth(y: Float[np.ndarray, "pair time"], first: int) -> Float[np.ndarray, " pair"]:
    before, during = y[:, :first].sum(axis=1), y[:, first:].sum(axis=1)
    if not ((before > 0) & (during > 0)).all():
        raise GeoTestError("The outcome of a geo before or in the test sums to no more than zero.")
    return np.log(during / before)


def _path(
    y: Float[np.ndarray, "pair time"], x: Float[np.ndarray, "pair time"], first: int, total: float
) -> Float[np.ndarray, " time"]:
    """The partners, each scaled to its test geo before the test; in the test to the given total."""
    scale = y[:, :first].sum(axis=1) / x[:, :first].sum(axis=1)
    path = scale @ x
    path[first:] *= total / path[first:].sum()
    return path
