"""Divides a budget over channels, and proves how good the division is.

    maximize  E_s Σ_c f_cs(x_c)                     ("outcome")
    or        E_s Σ_c (margin · f_cs(x_c) − x_c)    ("profit")
    over      Σ_c x_c ≤ B,  bounds, groups, least spends if used, a target ROI

The mean over the draws is taken of the outcome, not of the parameters: the best plan for a mean
parameter is not the best plan. Concave curves are divided by marginal returns (`concave`), S-shaped
ones by a search over their convex and concave parts (`shaped`). Both end in a bound on every plan
there is, by duality, so that the plan comes with its certificate. Inside, spend is counted in
budgets and outcome in what the curves can bring: the answer does not depend on the units.
"""

from typing import Literal

import numpy as np

from channelwise.decisions.budget.concave import Division, divide
from channelwise.decisions.budget.constraints import Constraints, Limits, limits_of
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.plan import Certificate, Plan
from channelwise.decisions.budget.shaped import search
from channelwise.decisions.budget.target import on_target

Objective = Literal["outcome", "profit"]


def allocate(
    curves: Curves,
    constraints: Constraints,
    *,
    objective: Objective = "outcome",
    margin: float = 1.0,
    tolerance: float = 1e-9,
) -> Plan:
    """The best division of a budget that keeps the constraints, with a certificate.

    Money is left unspent only where its marginal return is not above what it is worth unspent (0,
    or 1 for profit), or a constraint leaves no room.

    Args:
        curves: what each channel brings, see `market_curves.curves_of`.
        constraints: budget, bounds, groups, target ROI.
        objective: "outcome", or "profit" = margin · outcome − spend.
        margin: share of the outcome that is kept, in (0, 1], for profit.
        tolerance: relative gap between plan and bound up to which the plan counts as the best.

    Returns:
        The plan beside today's. A gap above the tolerance is told by its certificate.

    Raises:
        ConstraintError: if no plan can keep the constraints.
        ValueError: if the objective or the margin is none.
    """
    if objective not in ("outcome", "profit"):
        raise ValueError(f"No objective is called {objective!r}; there are outcome and profit.")
    if not 0 < margin <= 1:
        raise ValueError(f"The margin is {margin}: give a share of the outcome in (0, 1].")
    kept = margin if objective == "profit" else 1.0
    limits = limits_of(constraints, curves.channels, curves.today)
    size = _size(curves, limits) * kept
    scaled = curves.in_units(limits.budget, size / kept)
    least = limits.budget / size if objective == "profit" else 0.0
    within = limits.in_units(limits.budget)
    found = divided(scaled, within, least, tolerance)
    if limits.target_roi is not None:
        aim = limits.target_roi * limits.budget / size * kept
        found = on_target(divided, found, scaled, within, least, aim, tolerance)
    return _plan(curves, limits, found, size, least, objective, margin, tolerance)


def _size(curves: Curves, limits: Limits) -> float:
    """About what the curves can bring, as the unit of the outcome."""
    most = np.abs(curves.expected(limits.upper)).max()
    return float(most) if most > 0 else 1.0


def divided(curves: Curves, limits: Limits, least: float, tolerance: float) -> Division:
    """The best division, by whichever method the curves need."""
    if curves.concave.all() and not (limits.if_used > limits.lower).any():
        return divide(curves, limits, least, tolerance)
    return search(curves, limits, least, tolerance)


def _plan(
    curves: Curves,
    limits: Limits,
    found: Division,
    size: float,
    least: float,
    objective: Objective,
    margin: float,
    tolerance: float,
) -> Plan:
    spend = np.clip(found.spend * limits.budget, limits.lower, limits.upper)
    spend = np.where(found.spend == 0, 0.0, spend)
    spend *= min(1.0, limits.budget / max(spend.sum(), 1e-300))
    method = (
        "marginal returns and duality"
        if found.nodes == 0
        else (f"branch and bound over convex and concave parts, {found.nodes} nodes")
    )
    most = np.full(len(spend), np.inf) if curves.most is None else curves.most
    beyond = spend > np.maximum(most, curves.today) * (1 + 1e-9)
    weights = curves.weights
    return Plan(
        channels=curves.channels,
        spend=spend,
        today=curves.today,
        outcome=curves.values(spend).sum(axis=1),
        outcome_today=curves.values(curves.today).sum(axis=1),
        marginal_roi=_marginal(curves, spend, limits),
        marginal_roi_today=_marginal(curves, curves.today, limits),
        held=_held(spend, limits, found),
        shadow_price=_shadow_price(found, limits, least) * size / limits.budget,
        weights=np.full(curves.n_draws, 1 / curves.n_draws) if weights is None else weights,
        certificate=Certificate(found.value * size, found.bound * size, tolerance, method),
        extrapolated=tuple(n for n, out in zip(curves.channels, beyond, strict=True) if out),
        objective=objective,
        margin=margin,
        stamp=curves.stamp,
    )


def _marginal(curves: Curves, spend: np.ndarray, limits: Limits) -> np.ndarray:
    """Return of the next unit of currency; at no spend, of the first millionth of the budget."""
    return curves.moments(np.maximum(spend, 1e-6 * limits.budget)).slope


def _shadow_price(found: Division, limits: Limits, least: float) -> float:
    """What one more unit of the budget adds; nothing where money is left."""
    spent = found.spend.sum() >= 1 - 1e-9
    return max(found.budget_price - least, 0.0) if spent else 0.0


def _held(spend: np.ndarray, limits: Limits, found: Division) -> tuple[str, ...]:
    """The constraint that holds each channel, "" where it is free."""
    close = 1e-9 * limits.budget
    apart = np.abs(found.price - found.budget_price) > 1e-9 * abs(found.budget_price)
    names = np.where((limits.group >= 0) & apart, "group", "")
    names = np.where(spend >= limits.upper - close, "upper", names)
    names = np.where(spend <= np.maximum(limits.lower, 0) + close, "lower", names)
    return tuple(str(n) for n in names)
