"""Around the best plan: other budgets, what each constraint costs, how flat the top is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from channelwise.decisions.budget.allocation import Objective, allocate
from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.plan import Plan

if TYPE_CHECKING:
    import pandas as pd


def frontier(
    curves: Curves,
    constraints: Constraints,
    budgets: Iterable[float],
    *,
    objective: Objective = "outcome",
    margin: float = 1.0,
) -> "pd.DataFrame":
    """The best plan for each budget.

    Args:
        curves: what each channel brings.
        constraints: all but their budget are kept.
        budgets: currency, each > 0.
        objective: as for `allocate`.
        margin: as for `allocate`.

    Returns:
        A row a budget: spend, expected outcome with its 5 % and 95 % points over the draws, ROI,
        return of the next unit (shadow price) and gap of the certificate.

    Raises:
        ConstraintError: if a budget cannot keep the constraints.
    """
    import pandas as pd

    rows = []
    for budget in budgets:
        plan = allocate(
            curves, replace(constraints, budget=float(budget)), objective=objective, margin=margin
        )
        low, high = plan.interval_of(plan.outcome)
        expected, spend = float(plan.weights @ plan.outcome), float(plan.spend.sum())
        rows.append(
            {
                "budget": float(budget),
                "spend": spend,
                "outcome": expected,
                "5%": low,
                "95%": high,
                "ROI": expected / spend if spend > 0 else np.nan,
                "next unit": plan.shadow_price,
                "gap": plan.certificate.gap,
            }
        )
    return pd.DataFrame(rows)


def constraint_costs(
    curves: Curves,
    constraints: Constraints,
    plan: Plan,
) -> "pd.DataFrame":
    """What each constraint costs: how much more could be had without it, all others kept.

    Args:
        curves: what each channel brings.
        constraints: of the plan.
        plan: what `allocate` made of them.

    Returns:
        A row a constraint, the dearest first: its cost in currency of the objective.
    """
    import pandas as pd

    costs = {
        name: _without(curves, without, plan) - plan.certificate.value
        for name, without in _each_dropped(constraints)
    }
    frame = pd.DataFrame({"costs": costs.values()}, index=pd.Index(costs, name="constraint"))
    return frame.clip(lower=0.0).sort_values("costs", ascending=False)


def _without(curves: Curves, constraints: Constraints, plan: Plan) -> float:
    free = allocate(curves, constraints, objective=plan.objective, margin=plan.margin)
    return free.certificate.value


def _each_dropped(constraints: Constraints):
    """Every constraint but the budget by its name, with the constraints that are left."""
    c = constraints
    for kind in ("lower", "upper", "if_used", "change"):
        given = getattr(c, kind)
        if isinstance(given, Mapping):
            for name in given:
                left = {n: x for n, x in given.items() if n != name}
                yield f"{_SAID[kind]} {name}", replace(c, **{kind: left})
        elif given is not None:
            yield f"{_SAID[kind]} every channel", replace(c, **{kind: None})
    for name in c.groups:
        left = {n: group for n, group in c.groups.items() if n != name}
        yield f"group {name}", replace(c, groups=left)
    if c.target_roi is not None:
        yield "target ROI", replace(c, target_roi=None)


_SAID = {
    "lower": "least of",
    "upper": "most of",
    "if_used": "least if used of",
    "change": "change of",
}


def flatness(curves: Curves, plan: Plan, shares: Sequence[float] = (-0.2, 0.2)) -> "pd.DataFrame":
    """What it costs to miss the plan: one channel moved, the others sharing the difference.

    Args:
        curves: what each channel brings.
        plan: of these curves.
        shares: by which a channel's spend is off, > −1.

    Returns:
        A row a channel, a column a share: expected outcome lost, currency. The budget stays; what
        one channel gets the others give in proportion to their spend.
    """
    import pandas as pd

    best = curves.expected(plan.spend).sum()
    lost = np.zeros((len(plan.channels), len(shares)))
    for c, spend in enumerate(plan.spend):
        others = plan.spend.sum() - spend
        for i, share in enumerate(shares):
            moved = plan.spend * (1 - share * spend / others if others > 0 else 1.0)
            moved[c] = spend * (1 + share)
            lost[c, i] = best - curves.expected(np.maximum(moved, 0.0)).sum()
    columns = [f"{share:+.0%}" for share in shares]
    return pd.DataFrame(lost, index=pd.Index(plan.channels, name="channel"), columns=columns)
