"""Climbs a smooth risk measure of the outcome's draws over the plans that keep the constraints."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy import sparse

from channelwise.decisions.budget.constraints import Limits
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.risk_measures import Measure
from channelwise.decisions.periods.interior import Derivatives, Objective, maximize
from channelwise.decisions.periods.polytope import Polytope, inside, pulled_in

_MOVES = (0.3, 1e-4)  # sizes of random moves, in budgets
_TRIALS = 1500


@dataclass(frozen=True, eq=False)
class Ascent:
    """A budget problem whose value is a function of the outcome's draws.

    Attributes:
      curves: what each channel brings.
      limits: what a plan must keep to; no target ROI.
      kept: share of the outcome that is kept.
      cost: of a unit of spend: 0, or 1 for profit.
    """

    curves: Curves
    limits: Limits
    kept: float
    cost: float
    unit: float = field(init=False)
    size: float = field(init=False)

    def __post_init__(self):
        unit = self.limits.budget / self.curves.n_channels
        even = np.full(self.curves.n_channels, unit)
        slope = np.abs(self.kept * self.curves.moments(even).slope - self.cost).mean()
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "size", float(slope * unit) or 1.0)

    def outcome(self, spend: Float[np.ndarray, " channel"]) -> Float[np.ndarray, " draw"]:
        """y(x) in currency."""
        return self.kept * self.curves.values(spend).sum(axis=1) - self.cost * spend.sum()

    def climb(
        self, start: Float[np.ndarray, " channel"], measures: Sequence[Measure]
    ) -> Float[np.ndarray, " channel"]:
        """A plan from a start on, through ever sharper measures; it uses the channels of the start.

        Args:
          start: a plan that keeps the limits, currency.
          measures: of the outcome in units of `size`, the roundest first.
        """
        P = _polytope(self.limits, start > 0).scaled(self.unit)
        inner, u, barrier, last = inside(P), start / self.unit, 0.01, len(measures) - 1
        for k, measure in enumerate(measures):
            u = pulled_in(P, inner, u, 0.1 * barrier)
            how = {"barrier": barrier, "tolerance": barrier * (0.01 if k == last else 1.0)}
            u = maximize(self._objective(measure), P, u, inner.tight, most_steps=80, **how).x
            barrier = max(0.1 * barrier, 1e-8)
        snapped = np.where(np.abs(u - P.lower) < 1e-8, P.lower, u)
        return np.clip(snapped if P.holds(snapped) else u, P.lower, P.upper) * self.unit

    def search(self, start: Float[np.ndarray, " channel"], value) -> np.ndarray:
        """Tries random moves of money between channels, ever smaller ones, and keeps what helps.

        For values that are steps in the plan, where slopes say nothing.

        Args:
          start: a plan that keeps the limits.
          value: of a plan.
        """
        P, best, rng = _polytope(self.limits, start > 0), start, np.random.default_rng(0)
        worth, C, budget = value(start), len(start), self.limits.budget
        for share in np.geomspace(*_MOVES, _TRIALS):
            move = np.zeros(C)
            some = rng.choice(C, min(C, rng.integers(2, 5)), replace=False)
            move[some] = share * budget * rng.normal(size=len(some))
            trial = np.clip(best + move, P.lower, P.upper)
            free = trial > P.lower
            trial[free] *= 1 - (trial.sum() - best.sum()) / max(trial[free].sum(), 1e-300)
            if P.holds(trial, 1e-15) and (new := value(trial)) > worth:
                best, worth = trial, new
        return best

    def _objective(self, measure: Measure) -> Objective:
        def value(u):
            return measure(self.outcome(u * self.unit) / self.size).value

        def derivatives(u):
            spend, rate = u * self.unit, self.unit / self.size
            found = measure(self.outcome(spend) / self.size)
            J = (self.kept * self.curves.marginals(spend) - self.cost) * rate
            total = found.influence.sum()
            bend = self.curves.reweighted(found.influence).moments(spend).bend * total
            curvature = np.diag(np.maximum(-self.kept * bend * rate * self.unit, 0.0))
            d = found.spread
            if d.any():
                Jd = d @ J
                curvature += (J.T * d) @ J - np.outer(Jd, Jd) / d.sum()
            return Derivatives(found.value, found.influence @ J, curvature)

        return Objective(value, derivatives)


def _polytope(limits: Limits, used: np.ndarray) -> Polytope:
    """The limits, with the channels in use at their least and the others at nothing."""
    C = len(limits.lower)
    lower = np.where(used, np.maximum(limits.lower, limits.if_used), limits.lower)
    free = used | (limits.if_used <= limits.lower)
    upper = np.where(free, limits.upper, 0.0)
    rows, limit, names = [np.ones(C)], [limits.budget], ["the budget"]
    for g, (low, high) in enumerate(zip(limits.group_lower, limits.group_upper, strict=True)):
        member = (limits.group == g).astype(float)
        rows += [-member, member]
        limit += [-low, min(high, limits.budget)]
        names += ["the least of a group", "the most of a group"]
    return Polytope(lower, upper, sparse.csr_array(rows), np.array(limit), tuple(names))
