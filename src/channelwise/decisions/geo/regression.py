"""Time-based regression: what the test geos would have brought, told from the control geos."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from channelwise.decisions.geo.panel import (
    Day,
    GeoEffect,
    GeoTestError,
    Panel,
    check_confidence,
    windows,
)

LEAST_BEFORE = 4


def time_based_regression(
    panel: Panel,
    test: Sequence[str],
    start: Day,
    stop: Day,
    *,
    control: Sequence[str] | None = None,
    before: int | None = None,
    confidence: float = 0.9,
) -> GeoEffect:
    """Extrapolate the test geos from the control geos, by a line fitted before the test.

    y_t = α + β x_t + ε_t before the test,   lift = Σ_test y_t − α̂ − β̂ x_t

    y is the outcome of the test geos together, x that of the control geos. Under the flat prior of
    the paper the lift is t-distributed with n − 2 degrees of freedom around that sum, with scale

    s √(m + m² (1/n + (x̄_test − x̄)² / S_xx)),   n periods before, m in the test

    Args:
      panel: the outcomes.
      test: the geos in which something was changed.
      start: first day of the test.
      stop: first day after it; let it include the periods in which media still carry over.
      control: the geos to compare with; all others unless told.
      before: periods before the test that are used; all unless told.
      confidence: of the interval.

    Returns:
      The effect; its p-value is two-sided.

    Raises:
      GeoTestError: if the test does not fit the data, or the control geos did not change.

    Note: the interval takes the ε_t for independent. Where they are not it is too narrow; the
    share of false alarms that `placebo_power` reports says by how much.

    Source: Kerman, Wang, Vaver 2017, "Estimating ad effectiveness using geo experiments in a
    time-based regression framework", §3.
    """
    check_confidence(confidence)
    treated, rest = panel.split(test, control)
    begin, first, end = windows(panel, start, stop, before, LEAST_BEFORE)
    y = panel.outcome[treated, begin:end].sum(axis=0)
    x = panel.outcome[rest, begin:end].sum(axis=0)
    return regress(x, y, first - begin, confidence)


def regress(
    x: Float[np.ndarray, " time"], y: Float[np.ndarray, " time"], first: int, confidence: float
) -> GeoEffect:
    """Time-based regression of one series on another; see `time_based_regression`.

    Args:
      x: outcome of the control geos.
      y: outcome of the test geos.
      first: the test's first period.
      confidence: of the interval.

    Raises:
      GeoTestError: if x is constant before the test.
    """
    from scipy.special import stdtr, stdtrit

    expected, scale = _extrapolated(x, y, first)
    lift = float(np.sum(y[first:] - expected[first:]))
    free = first - 2
    half = float(stdtrit(free, (1 + confidence) / 2)) * scale
    p_value = 2 * float(stdtr(free, -abs(lift) / scale)) if scale > 0 else float(lift == 0)
    smallest = (half - lift) / y[first:].sum()
    ends = (lift - half, lift + half, confidence, p_value, float(smallest))
    return GeoEffect("regression", y, expected, first, lift, *ends, {})


def _extrapolated(
    x: Float[np.ndarray, " time"], y: Float[np.ndarray, " time"], first: int
) -> tuple[Float[np.ndarray, " time"], float]:
    """The line through the periods before the test, and the scale of the lift around it."""
    n, m = first, len(y) - first
    x_mean, y_mean = x[:n].mean(), y[:n].mean()
    s_xx = np.sum((x[:n] - x_mean) ** 2)
    if s_xx == 0:
        raise GeoTestError("The control geos did not change before the test; take more periods.")
    beta = np.sum((x[:n] - x_mean) * (y[:n] - y_mean)) / s_xx
    expected = y_mean + beta * (x - x_mean)
    s = np.sqrt(np.sum((y[:n] - expected[:n]) ** 2) / (n - 2))
    drift = x[n:].mean() - x_mean
    return expected, float(s * np.sqrt(m + m**2 * (1 / n + drift**2 / s_xx)))
