"""Synthetic control: a mixture of other regions that moved as the test geos did."""

from collections.abc import Sequence
from itertools import combinations
from math import ceil, comb

import numpy as np
from jaxtyping import Bool, Float, Int

from channelwise.decisions.geo.panel import (
    Day,
    GeoEffect,
    GeoTestError,
    Panel,
    check_confidence,
    windows,
)

LEAST_BEFORE = 4
_EXACT = 1e-12  # a fit of an index (mean 1) that is closer than this counts as exact


def simplex_weights(
    target: Float[np.ndarray, " time"], donors: Float[np.ndarray, "donor time"]
) -> Float[np.ndarray, " donor"]:
    """The mixture of donors that is nearest to the target.

    w = argmin ‖target − Σ_j w_j donor_j‖²,   w ≥ 0, Σ w = 1

    Args:
      target: what to reproduce.
      donors: what to mix.

    Returns:
      Non-negative weights of sum 1.

    Numerical note: because Σ w = 1 this asks for the point of the hull of b_j = donor_j − target
    that is nearest to 0. With u ≥ 0 minimizing ‖Σ u_j b_j‖² + (Σ u_j − 1)², w = u / Σ u is that
    point exactly (for u = s w the best s leaves q / (1 + q), which grows with q = ‖Σ w_j b_j‖²):
    one non-negative least squares problem, solved by an active set in finitely many steps.

    Source: Abadie, Diamond, Hainmueller 2010, §2.3, with equal importance of all periods; the
    reduction: Lawson and Hanson 1974, chapter 23 (least distance programming).
    """
    from scipy.optimize import nnls

    b = donors - target
    size = np.sqrt(np.mean(np.sum(b**2, axis=1)))
    if size == 0:
        return np.full(len(donors), 1 / len(donors))
    system = np.vstack([b.T / size, np.ones(len(donors))])
    u, _ = nnls(system, np.append(np.zeros(len(target)), 1.0), maxiter=30 * len(donors))
    return u / u.sum()


def synthetic_control(
    panel: Panel,
    test: Sequence[str],
    start: Day,
    stop: Day,
    *,
    control: Sequence[str] | None = None,
    before: int | None = None,
    placebos: int = 39,
    confidence: float = 0.9,
    seed: int = 0,
) -> GeoEffect:
    """Compare the test geos with the mixture of control geos that followed them before the test.

    Every series is divided by its mean before the test, so that a region may be of any size. The
    mixture's weights are `simplex_weights`. Whether a gap is more than chance is judged by placebo
    tests: groups of control geos are treated as if they had been the test geos, and

    T = Σ_test gap_t / √mean_before gap_t²

    of the test geos is compared with theirs: p = (1 + #{|T_j| ≥ |T|}) / (1 + J). The interval holds
    all lifts that this test would not reject.

    Args:
      panel: the outcomes.
      test: the geos in which something was changed.
      start: first day of the test.
      stop: first day after it; let it include the periods in which media still carry over.
      control: the geos to mix from; all others unless told.
      before: periods before the test that are used; all unless told.
      placebos: J, groups tried at most. A group holds as many geos as the test does, but at most
        half of the control geos, so that as many are left to mix from.
      confidence: of the interval; needs J ≥ confidence / (1 − confidence) groups.
      seed: of the choice of groups where there are more than `placebos`.

    Raises:
      GeoTestError: if the test does not fit the data, or there are too few control geos for
        placebo tests at this confidence.

    Source: Abadie, Diamond, Hainmueller 2010, §2.4; the ratio, their §3.4.
    """
    check_confidence(confidence)
    treated, rest = panel.split(test, control)
    begin, first, end = windows(panel, start, stop, before, LEAST_BEFORE)
    y = panel.outcome[:, begin:end]
    groups = placebo_groups(len(rest), len(treated), placebos, np.random.default_rng(seed))
    effect, weights = mix(y[treated].sum(axis=0), y[rest], groups, first - begin, confidence)
    named = zip((panel.geos[i] for i in rest), weights, strict=True)
    return effect._replace(weights={geo: float(w) for geo, w in named})


def placebo_groups(
    controls: int, size: int, most: int, rng: np.random.Generator
) -> Bool[np.ndarray, "group control"]:
    """Groups of control geos that are treated as if they had been tested; all of them if few.

    Args:
      controls: number of control geos.
      size: geos of the test; a group has as many, but at most half of the controls.
      most: groups wanted at most.
      rng: random numbers.

    Raises:
      GeoTestError: with fewer than two control geos.
    """
    k = min(size, controls // 2)
    if k == 0:
        raise GeoTestError(
            f"There is {controls} control geo; placebo tests need two or more. Test fewer geos, "
            "or use time_based_regression."
        )
    if comb(controls, k) <= most:
        chosen = np.array(list(combinations(range(controls), k)))
    else:
        chosen = _distinct(controls, k, most, rng)
    groups = np.zeros((len(chosen), controls), bool)
    groups[np.arange(len(chosen))[:, None], chosen] = True
    return groups


def _distinct(
    controls: int, k: int, most: int, rng: np.random.Generator
) -> Int[np.ndarray, "group member"]:
    found: set[tuple[int, ...]] = set()
    while len(found) < most:
        found.add(tuple(sorted(rng.choice(controls, k, replace=False).tolist())))
    return np.array(sorted(found))


def mix(
    y: Float[np.ndarray, " time"],
    controls: Float[np.ndarray, "control time"],
    groups: Bool[np.ndarray, "group control"],
    first: int,
    confidence: float,
) -> tuple[GeoEffect, Float[np.ndarray, " control"]]:
    """Synthetic control of one series; see `synthetic_control`.

    Args:
      y: outcome of the test geos together.
      controls: outcome of each control geo.
      groups: the placebo groups among them.
      first: the test's first period.
      confidence: of the interval.

    Returns:
      The effect, and the weight of each control geo.

    Raises:
      GeoTestError: if there are too few groups for the confidence, or a mean is not positive.
    """
    rank = _rank(len(groups), confidence)
    base = float(y[:first].mean())
    donors = _indexed(controls, first)
    mixed, weights = _followed(_indexed(y, first), donors, first)
    total, error = _gap(_indexed(y, first) - mixed, first)
    chance = np.sort([_placebo(controls, group, first) for group in groups])
    lift, half = base * total, base * error * float(chance[rank - 1])
    p_value = (1 + int(np.sum(chance >= abs(total) / error))) / (1 + len(groups))
    smallest = (half - lift) / float(y[first:].sum())
    ends = (lift - half, lift + half, confidence, p_value, smallest)
    return GeoEffect("synthetic", y, base * mixed, first, lift, *ends, {}), weights


def _rank(groups: int, confidence: float) -> int:
    """Which of the placebo statistics, from the smallest, a detected one must exceed."""
    rank = ceil(round(confidence * (groups + 1), 9))
    if rank > groups:
        needed = ceil(round(confidence / (1 - confidence), 9))
        raise GeoTestError(
            f"{groups} placebo groups cannot give an interval of confidence {confidence:g}, which "
            f"needs {needed}; allow more placebos, add control geos, lower the confidence, or use "
            "time_based_regression."
        )
    return rank


def _indexed(y: Float[np.ndarray, "*geo time"], first: int) -> Float[np.ndarray, "*geo time"]:
    mean = y[..., :first].mean(axis=-1, keepdims=True)
    if not (mean > 0).all():
        raise GeoTestError("The mean outcome of a geo before the test is not positive.")
    return y / mean


def _followed(
    y: Float[np.ndarray, " time"], donors: Float[np.ndarray, "donor time"], first: int
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " donor"]]:
    weights = simplex_weights(y[:first], donors[:, :first])
    return weights @ donors, weights


def _gap(gap: Float[np.ndarray, " time"], first: int) -> tuple[float, float]:
    """The sum of the gap in the test, and its root mean square before."""
    error = float(np.sqrt(np.mean(gap[:first] ** 2)))
    return float(gap[first:].sum()), max(error, _EXACT)


def _placebo(
    controls: Float[np.ndarray, "control time"], group: Bool[np.ndarray, " control"], first: int
) -> float:
    """|T| of a group of control geos, mixed from the other ones."""
    y = _indexed(controls[group].sum(axis=0), first)
    mixed, _ = _followed(y, _indexed(controls[~group], first), first)
    total, error = _gap(y - mixed, first)
    return abs(total) / error
