"""The most that can be spent at a target return.

V(b), the best outcome of a spend of b, never falls, so the best plan with F(x) ≥ ρ Σ x spends the
largest b with V(b) ≥ ρ b. Its bound: for every plan that keeps the target, and any μ ≥ 0,

    F(x) − ν_0 Σ x ≤ (1 + μ) F(x) − (ν_0 + μ ρ) Σ x = (1 + μ) (F(x) − λ Σ x)

with λ = (ν_0 + μρ)/(1 + μ). The last bracket is bounded by the price λ at which b is divided, and
μ = (λ − ν_0)/(ρ − λ).
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from channelwise.decisions.budget.concave import Division
from channelwise.decisions.budget.constraints import ConstraintError, Limits
from channelwise.decisions.budget.curves import Curves

_SCAN = 16  # budgets looked at from above where V need not be concave


def on_target(
    divide: Callable[..., Division],
    free: Division,
    curves: Curves,
    limits: Limits,
    least: float,
    aim: float,
    tolerance: float,
) -> Division:
    """The best division that brings at least `aim` per unit of spend.

    Args:
        divide: of a budget without the target.
        free: what it makes of the whole budget.
        curves: of size about 1, as is the spend.
        limits: of the spend.
        least: what money is worth that is not spent.
        aim: ρ in these units.
        tolerance: relative gap.

    Raises:
        ConstraintError: if no division within the limits reaches the target.
    """

    def over(found: Division) -> float:
        """F − ρ Σ x."""
        return found.value + (least - aim) * found.spend.sum()

    if over(free) >= 0:
        return free
    peak = divide(curves, limits, aim, tolerance)
    if peak.value < 0 or peak.spend.sum() < 1e-9:
        reached = _best_return(divide, free, curves, limits, least, tolerance)
        raise ConstraintError(
            f"No plan within the constraints returns {limits.target_roi:g} per unit of spend: the "
            f"closest returns {limits.target_roi * reached / aim:.4g}. Lower the target or relax a "
            "least spend."
        )
    at = lambda b: divide(curves, limits._replace(budget=b), least, tolerance)  # noqa: E731
    low, high = max(float(peak.spend.sum()), 1e-12), 1.0
    if not curves.concave.all():
        for b in np.linspace(high, low, _SCAN)[1:-1]:
            if over(at(b)) >= 0:
                low = b
                break
            high = b
    most = brentq(lambda b: over(at(b)), low, high, xtol=1e-15, rtol=1e-14) if low < high else low
    found = at(most)
    while over(found) < 0 and most > low:  # the last digit
        most = max(low, most - 1e-13 * high)
        found = at(most)
    return found._replace(bound=_bound(found, free, most, least, aim))


def _best_return(divide, free: Division, curves, limits: Limits, least: float, tolerance: float):
    """The highest F/Σx there is (Dinkelbach 1967)."""
    ratio, found = 0.0, free._replace(value=free.value + least * free.spend.sum())
    while found.spend.sum() > 1e-9 and (next_ := ratio + found.value / found.spend.sum()) > ratio:
        found = divide(curves, limits, next_, tolerance)
        if next_ <= ratio * (1 + 1e-9):
            break
        ratio = next_
    return ratio


def _bound(found: Division, free: Division, b: float, least: float, aim: float) -> float:
    price = found.budget_price
    if not least <= price < aim:
        return free.bound
    mu = (price - least) / (aim - price)
    alone = found.bound - (price - least) * b
    return max(found.value, min(free.bound, (1 + mu) * alone))
