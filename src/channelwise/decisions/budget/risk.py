"""Budgets for the cautious: plans that are best where things turn out badly.

    max over x of   (1 − s) E[y(x)] + s CVaR_α[y(x)],   or quantile_α[y(x)],   or P(y(x) > y(today))

with y_s(x) = Σ_c f_cs(x_c) (margin · y − Σ x for profit) in draw s. CVaR is the least mean over the
distributions q ≤ p/α of the draws. So for every such q

    CVaR_α[y(x)] ≤ E_q[y(x)] ≤ max over x of E_q[y(x)],

which `allocate` solves exactly, S-shapes included, for reweighted draws: a proven bound. Where all
curves are concave some q makes it tight, and the ascent ends with it. For a quantile no such q
exists; its bound is the quantile of what each draw's own best plan brings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.constraints import ConstraintError, Constraints, limits_of
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.plan import Certificate, Plan
from channelwise.decisions.budget.risk_ascent import Ascent
from channelwise.decisions.budget.risk_bound import (
    Means,
    least_favourable,
    probability_bound,
    quantile_bound,
)
from channelwise.decisions.budget.risk_measures import (
    cvar,
    probability,
    quantile,
    smooth_cvar,
    smooth_probability,
    smooth_quantile,
)

if TYPE_CHECKING:
    import pandas as pd

RISKS = ("cvar", "quantile", "probability")

_SHARP = tuple(0.3 / 10**k for k in range(7))  # widths of the corner, in spreads of the outcome
_ROUND = (0.3, 0.1, 0.03)  # the same for steps, which are never climbed sharp
_SEARCHES = 2  # of random moves, each followed by an ascent
_ROUNDS = 6  # of weights tried for a tighter bound


def allocate_for_risk(
    curves: Curves,
    constraints: Constraints,
    *,
    risk: str = "cvar",
    level: float = 0.1,
    share: float = 1.0,
    objective: str = "outcome",
    margin: float = 1.0,
    tolerance: float = 1e-6,
) -> Plan:
    """The best division of a budget for a cautious objective, with a bound.

    Args:
      curves: what each channel brings, by draw.
      constraints: as for `allocate`, but without a target ROI.
      risk: "cvar", the mean of the worst share `level` of the draws; "quantile", what is exceeded
        but in a share `level` of the draws; "probability", the share of draws in which the plan
        beats today's.
      level: α in (0, 1).
      share: s in [0, 1], of CVaR against the mean; only for CVaR.
      objective: "outcome", or "profit" = margin · outcome − spend.
      margin: share of the outcome that is kept, in (0, 1], for profit.
      tolerance: relative gap up to which the plan counts as proven.

    Returns:
      The plan; its certificate is about the cautious objective. CVaR of concave curves is proven
      best; a gap is told for the rest.

    Raises:
      ConstraintError: if the constraints contradict each other, or for a target ROI.
      ValueError: if risk, level or share are none.
    """
    _check(constraints, risk, level, share, objective)
    problem = _problem(curves, constraints, objective, margin)
    solve = {"cvar": _best_cvar, "quantile": _best_quantile, "probability": _best_probability}
    spend, bound, method, base = solve[risk](problem, level, share, tolerance)
    value = problem.value(risk, level, share)(spend)
    certificate = Certificate(value, max(bound, value), tolerance, method)
    return _plan(curves, base, spend, certificate)


def risk_frontier(
    curves: Curves,
    constraints: Constraints,
    shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    *,
    level: float = 0.1,
    objective: str = "outcome",
    margin: float = 1.0,
) -> "pd.DataFrame":
    """What caution costs: from the best mean to the best CVaR.

    Args:
      curves: what each channel brings, by draw.
      constraints: as for `allocate_for_risk`.
      shares: of CVaR in the objective, each in [0, 1].
      level: α of the CVaR.
      objective: as for `allocate`.
      margin: as for `allocate`.

    Returns:
      A row a share: mean and CVaR of the objective, gap of the certificate, and the spend of each
      channel.
    """
    import pandas as pd

    rows = []
    for share in shares:
        how = {"level": level, "share": share, "objective": objective, "margin": margin}
        plan = allocate_for_risk(curves, constraints, **how)
        y = _problem(curves, constraints, objective, margin).ascent.outcome(plan.spend)
        row = {"mean": float(plan.weights @ y), "CVaR": cvar(y, plan.weights, level)}
        row |= {"gap": plan.certificate.gap, **dict(zip(plan.channels, plan.spend, strict=True))}
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(shares, name="share of CVaR"))


@dataclass(frozen=True, eq=False)
class _Problem:
    means: Means
    ascent: Ascent
    weights: Float[np.ndarray, " draw"]

    def value(self, risk: str, level: float, share: float) -> Callable[[np.ndarray], float]:
        """The objective as a function of the spend, exactly."""
        p, y = self.weights, self.ascent.outcome
        today = y(self.means.curves.today)
        exact = {
            "cvar": lambda x: (1 - share) * float(p @ y(x)) + share * cvar(y(x), p, level),
            "quantile": lambda x: quantile(y(x), p, level),
            "probability": lambda x: probability(y(x), p, today),
        }
        return exact[risk]

    def spread(self, spend: np.ndarray) -> float:
        """Standard deviation of the outcome in units of the ascent."""
        return float(self.ascent.outcome(spend).std() / self.ascent.size) or 1.0

    def cautious(self, start: np.ndarray, level: float, share: float) -> np.ndarray:
        """The plan that an ascent of CVaR ends with."""
        s = self.spread(start)
        widths = _SHARP if self.means.curves.concave.all() else _SHARP[:4]
        steps = [smooth_cvar(self.weights, level, share, w * s) for w in widths]
        return self.ascent.climb(start, steps)

    def worst(self, spend: np.ndarray, level: float, share: float) -> np.ndarray:
        """The weights that CVaR puts on the draws of a plan's outcome."""
        width = _SHARP[-1] * self.spread(spend)
        found = smooth_cvar(self.weights, level, share, width)(
            self.ascent.outcome(spend) / self.ascent.size
        )
        return found.influence


def _problem(curves: Curves, constraints: Constraints, objective: str, margin: float):
    profit = objective == "profit"
    limits = limits_of(constraints, curves.channels, curves.today)
    weights = curves.weights
    weights = np.full(curves.n_draws, 1 / curves.n_draws) if weights is None else weights
    ascent = Ascent(curves, limits, margin if profit else 1.0, float(profit))
    return _Problem(Means(curves, constraints, objective, margin), ascent, weights)


def _best_cvar(problem: _Problem, level: float, share: float, tolerance: float):
    """Climb, then weigh draws ever less favourably until no more is gained."""
    value = problem.value("cvar", level, share)
    mean = problem.means.best(problem.weights)
    if share == 0:
        return mean.spend, mean.certificate.bound, mean.certificate.method, mean
    plans = [mean.spend, problem.cautious(mean.spend, level, share)]
    bound, base, tried = mean.certificate.bound, mean, []
    weights = problem.worst(plans[1], level, share)
    concave = bool(problem.means.curves.concave.all())
    for _ in range(2 * _ROUNDS if concave else _ROUNDS):
        found = problem.means.best(weights)
        gained = bound - found.certificate.bound
        if gained > 0:
            bound, base = found.certificate.bound, found
        plans.append(found.spend)
        tried.append(found.spend)
        if not concave:
            plans.append(problem.cautious(found.spend, level, share))
        best = max(plans, key=value)
        stalled = not concave and len(tried) > 2 and gained < 1e-4 * abs(bound)
        if bound - value(best) <= 0.1 * tolerance * abs(bound) or stalled:
            break
        outcomes = np.stack([problem.ascent.outcome(x) for x in plans])
        weights = least_favourable(outcomes, problem.weights, level, share)
    for _ in range(0 if concave else _SEARCHES):
        plans.append(problem.ascent.search(max(plans, key=value), value))
        plans.append(problem.cautious(plans[-1], level, share))
    best = max(plans, key=value)
    return best, bound, f"ascent, bound by {len(tried)} exact plans for reweighted draws", base


def _best_quantile(problem: _Problem, level: float, share: float, tolerance: float):
    """The best of ascents of a rounded quantile, each from a plan that is best for a CVaR."""
    measures = lambda width: smooth_quantile(problem.weights, level, width)  # noqa: E731
    value = problem.value("quantile", level, share)
    best, base, _ = _climbed(problem, value, measures, level)
    outcome = problem.ascent.outcome(best)
    bound = quantile_bound(problem.means, outcome, problem.weights, level)
    return best, bound, "best of several ascents, bound by the draws' own best plans", base


def _best_probability(problem: _Problem, level: float, share: float, tolerance: float):
    """The same for the share of draws that beat today's plan."""
    today = problem.ascent.outcome(problem.means.curves.today)
    scaled = today / problem.ascent.size
    measures = lambda width: smooth_probability(problem.weights, scaled, width)  # noqa: E731
    value = problem.value("probability", level, share)
    best, base, plans = _climbed(problem, value, measures, level)
    beaten = np.any([problem.ascent.outcome(x) > today for x in plans], axis=0)
    bound = probability_bound(problem.means, beaten, today, problem.weights)
    return best, bound, "best of several ascents, bound by the draws' own best plans", base


def _climbed(problem: _Problem, value, measures, level: float):
    """The best plan of all ascents, the plan for the mean, and all plans seen."""
    mean = problem.means.best(problem.weights)
    plans = [mean.spend]
    for other in (level, min(2 * level, 0.9), 0.5):
        plans.append(problem.cautious(mean.spend, other, 1.0))
    steps = [measures(w * problem.spread(mean.spend)) for w in _ROUND]
    plans += [problem.ascent.climb(start, steps) for start in list(plans)]
    for _ in range(_SEARCHES):
        plans.append(problem.ascent.search(max(plans, key=value), value))
        plans.append(problem.ascent.climb(plans[-1], steps))
    best = max(plans, key=value)
    return best, mean, plans


def _check(constraints: Constraints, risk: str, level: float, share: float, objective: str) -> None:
    if objective not in ("outcome", "profit"):
        raise ValueError(f"No objective is called {objective!r}; there are outcome and profit.")
    if risk not in RISKS:
        raise ValueError(f"No risk is called {risk!r}; there are {', '.join(RISKS)}.")
    if not 0 < level < 1:
        raise ValueError(f"The level is {level:g}: give a share of the draws above 0 and below 1.")
    if not 0 <= share <= 1:
        raise ValueError(f"The share of CVaR is {share:g}: give a number from 0 to 1.")
    if constraints.target_roi is not None:
        raise ConstraintError(
            "A target ROI is about the mean and cannot be kept by a cautious objective: give a "
            "smaller budget instead."
        )


def _plan(curves: Curves, base: Plan, spend: np.ndarray, certificate: Certificate) -> Plan:
    """A plan like another one, with its own spend and what follows from it."""
    most = np.full(len(spend), np.inf) if curves.most is None else curves.most
    beyond = spend > np.maximum(most, curves.today) * (1 + 1e-9)
    small = 1e-6 * float(base.spend.sum())
    weights = np.full(curves.n_draws, 1 / curves.n_draws)
    return replace(
        base,
        spend=spend,
        outcome=curves.values(spend).sum(axis=1),
        marginal_roi=curves.moments(np.maximum(spend, small)).slope,
        marginal_roi_today=curves.moments(np.maximum(curves.today, small)).slope,
        weights=weights if curves.weights is None else curves.weights,
        certificate=certificate,
        extrapolated=tuple(n for n, out in zip(curves.channels, beyond, strict=True) if out),
    )
