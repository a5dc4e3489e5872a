"""From a probability to an act: the threshold that costs least."""

import numpy as np
from jaxtyping import ArrayLike, Float, Shaped


def cost_threshold(miss: float, alarm: float = 1.0) -> float:
    """The probability above which acting is cheaper than waiting.

    Acting costs (1 − p) · alarm in expectation, waiting p · miss; they are equal at
    t = alarm / (alarm + miss). It is the best threshold for *calibrated* probabilities only.

    Args:
      miss: cost of not acting on an event (a false negative), > 0.
      alarm: cost of acting without an event (a false positive), > 0, in the same unit.

    Returns:
      t in (0, 1).

    Raises:
      ValueError: if a cost is not positive.

    Source: Elkan 2001, eq. 2.
    """
    if not (miss > 0 and alarm > 0):
        raise ValueError(f"Costs must be positive, got miss = {miss} and alarm = {alarm}.")
    return alarm / (alarm + miss)


def decision_costs(
    probabilities: Float[ArrayLike, "row"],
    labels: Shaped[ArrayLike, "row"],
    thresholds: Float[ArrayLike, "threshold"],
    *,
    miss: float,
    alarm: float = 1.0,
) -> Float[np.ndarray, "threshold"]:
    """Mean cost a row of acting wherever p ≥ t, for each threshold t.

    cost(t) = (miss · #{y = 1, p < t} + alarm · #{y = 0, p ≥ t}) / n

    Args:
      probabilities: p, one a row.
      labels: y, 0 or 1, one a row.
      thresholds: t, any order.
      miss: cost of a false negative.
      alarm: cost of a false positive, in the same unit.

    Returns:
      One cost for each threshold, in the unit of the costs.

    Source: Provost and Fawcett 2001.
    """
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels).astype(bool)
    t = np.asarray(thresholds, np.float64)
    missed = np.searchsorted(np.sort(p[y]), t, side="left")
    alarmed = (~y).sum() - np.searchsorted(np.sort(p[~y]), t, side="left")
    return (miss * missed + alarm * alarmed) / p.size
