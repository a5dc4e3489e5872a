"""Plans by channel and period: what to spend, where and when, with a proven bound.

    max over x in P of   margin · E_s[F_s(x)] − (Σ d_t x_ct, for profit)

F is the outcome of `period_curves`, P the polytope of `pacing`. Where F is concave the
interior-point method finds the best plan, and its gradient g bounds every other one:

    f(x) ≤ f(x̂) + g·(x − x̂)   for all x, and g·x over P is bounded by weak duality.

Where curves are S-shaped, the same bound of a concave majorant of F holds for F too; the plan is
the best of local ascents from several starts, and the gap is what it is.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import block_diag

from channelwise.decisions.budget.constraints import ConstraintError, Constraints
from channelwise.decisions.budget.plan import Certificate
from channelwise.decisions.periods.curves import PeriodCurves
from channelwise.decisions.periods.interior import Derivatives, Objective, maximize
from channelwise.decisions.periods.majorant import Majorant
from channelwise.decisions.periods.pacing import Pacing, polytope_of
from channelwise.decisions.periods.plan import PeriodPlan
from channelwise.decisions.periods.polytope import (
    Polytope,
    best_multipliers,
    inside,
    linear_bound,
    pulled_in,
)

_EXPLORE = 50  # draws that tell the better starts from the worse
_DRAWN = 200  # plans drawn at random, of which the best are starts
_KEPT = 1e-9  # of a limit's size: as far as a plan may overstep it
_NEAR = 1e-8  # of a mean cell: what is so near to a bound is put on it


def plan_periods(
    curves: PeriodCurves,
    constraints: Constraints,
    pacing: Pacing | None = None,
    *,
    objective: str = "outcome",
    margin: float = 1.0,
    tolerance: float = 1e-6,
    starts: int = 8,
) -> PeriodPlan:
    """The best spend by channel and period, and a bound that proves how good it is.

    Args:
      curves: what spend brings, by draw.
      constraints: on totals over the plan, as for one period.
      pacing: on single periods; None: none.
      objective: "outcome" (discounted, currency), or "profit": margin · outcome − discounted spend.
      margin: share of the outcome that is kept, in (0, 1], for profit.
      tolerance: relative gap up to which the plan counts as proven.
      starts: local ascents where curves are S-shaped; concave ones need none.

    Returns:
      The plan with its certificate. The answer does not depend on the unit of currency.

    Raises:
      ConstraintError: naming constraints that contradict each other.
      ValueError: for an unknown objective or a margin outside its range.
    """
    _check(constraints, objective, margin)
    P = polytope_of(curves, constraints, pacing or Pacing())
    unit = constraints.budget / curves.today.size
    profit = objective == "profit"
    problem = _Problem(curves, P.scaled(unit), unit, margin if profit else 1.0, profit)
    u, bound, method = problem.concave_plan() if curves.concave else problem.bent_plan(starts)
    spend = problem.spend(u)
    certificate = Certificate(problem.value(spend), bound, tolerance, method)
    return PeriodPlan(
        curves=curves,
        spend=spend,
        certificate=certificate,
        objective=objective,
        margin=margin,
    )


def _check(constraints: Constraints, objective: str, margin: float) -> None:
    if objective not in ("outcome", "profit"):
        raise ValueError(f"No objective is called {objective!r}; there are outcome and profit.")
    if not 0 < margin <= 1:
        raise ValueError(f"The margin is {margin:g}: give the share of the outcome that is kept.")
    for name in ("if_used", "target_roi"):
        if getattr(constraints, name):
            raise ConstraintError(
                f"{name} is not available for plans by period: plan the totals with `allocate`, "
                "then give them here as lower and upper."
            )


@dataclass(frozen=True, eq=False)
class _Problem:
    """The optimization in units: cells in mean cells, the objective in mean slopes."""

    curves: PeriodCurves
    polytope: Polytope
    unit: float
    margin: float
    profit: bool

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("_inner", inside(self.polytope))
        slope = self.curves.derivatives(self._cells(self._inner.x)).gradient
        put("_size", float(np.abs(slope).mean() * self.unit * self.margin) or 1.0)

    def value(self, spend: Float[np.ndarray, "channel period"]) -> float:
        """The objective in currency."""
        return self.margin * self.curves.expected(spend) - float((self._costs * spend).sum())

    def concave_plan(self) -> tuple[np.ndarray, float, str]:
        """The plan, the bound and the words for it, where the objective is concave."""
        objective = self._objective(None)
        best = maximize(objective, self.polytope, self._inner.x, self._inner.tight)
        bound = self._bound(objective, best.x, best.prices)
        return best.x, bound, "interior point, bound by weak duality"

    def bent_plan(self, starts: int) -> tuple[np.ndarray, float, str]:
        """The same where it is not: a bound from the majorant, and local ascents."""
        above = self.curves.majorants(self._cells(self.polytope.upper))
        relaxed = self._objective(above)
        top = maximize(relaxed, self.polytope, self._inner.x, self._inner.tight, tolerance=1e-6)
        bound = self._bound(relaxed, top.x, top.prices)
        some = self._with(self.curves.thinned(_EXPLORE))
        explored = [some._climbed(start, 1e-3, 60) for start in some._starts(top.x, starts)]
        first = self._best([top.x, *explored])
        best = self._best([first, self._climbed(first, 1e-5, 100)])
        return best, bound, f"best of {len(explored)} ascents, bound by a concave majorant"

    def _best(self, found: list[np.ndarray]) -> np.ndarray:
        """The best of those that keep every limit; the first one does."""
        kept = [u for u in found if u is found[0] or self.polytope.holds(u, _KEPT)]
        return max(kept, key=lambda u: self.value(self.spend(u)))

    def _with(self, curves: PeriodCurves) -> "_Problem":
        """The same problem for other draws."""
        return _Problem(curves, self.polytope, self.unit, self.margin, self.profit)

    def spend(self, u: Float[np.ndarray, " variable"]) -> Float[np.ndarray, "channel period"]:
        """In currency; cells next to a bound are put on it if everything still holds."""
        P = self.polytope
        near = lambda a, b: np.abs(a - b) <= _NEAR  # noqa: E731
        snapped = np.where(near(u, P.lower), P.lower, np.where(near(u, P.upper), P.upper, u))
        return self._cells(snapped if P.holds(snapped) else u)

    def _cells(self, u: np.ndarray) -> Float[np.ndarray, "channel period"]:
        return (
            np.clip(u, self.polytope.lower, self.polytope.upper).reshape(self.curves.today.shape)
            * self.unit
        )

    @property
    def _costs(self) -> Float[np.ndarray, " period"]:
        """What a unit of spend costs, discounted; 0 where the objective is the outcome."""
        periods = np.arange(self.curves.n_periods)
        return (1 + self.curves.discount) ** -periods.astype(float) * self.profit

    def _objective(self, above: list[Majorant] | None) -> Objective:
        rate, costs = self.margin / self._size, self._costs * self.unit / self._size

        def value(u):
            cells = u.reshape(self.curves.today.shape)
            spent = float((costs * cells).sum())
            return rate * self.curves.expected(self._cells(u), above) - spent

        def derivatives(u):
            bent = self.curves.derivatives(self._cells(u), above)
            spent = float((costs * u.reshape(self.curves.today.shape)).sum())
            gradient = (rate * self.unit * bent.gradient - costs).ravel()
            curvature = block_diag(*(_positive(-rate * self.unit**2 * H) for H in bent.hessian))
            return Derivatives(rate * bent.value - spent, gradient, curvature)

        return Objective(value, derivatives)

    def _bound(self, objective: Objective, u: np.ndarray, prices: np.ndarray) -> float:
        """f(u) + max over P of g·(x − u), in currency: of two sets of prices the better."""
        state = objective.derivatives(u)
        tried = (prices, best_multipliers(self.polytope, state.gradient))
        best = min(linear_bound(self.polytope, state.gradient, y) for y in tried)
        return float(state.value + best - state.gradient @ u) * self._size

    def _climbed(self, start: np.ndarray, barrier: float, most_steps: int) -> np.ndarray:
        """A local maximum near a start, or as far as the steps lead."""
        how = {"barrier": barrier, "tolerance": 1e-8, "most_steps": most_steps}
        inner = pulled_in(self.polytope, self._inner, start)
        return maximize(self._objective(None), self.polytope, inner, self._inner.tight, **how).x

    def _starts(self, relaxed: np.ndarray, many: int) -> list[np.ndarray]:
        """The relaxation's plan, today's, an even one, and the best of plans drawn at random."""
        C, T = self.curves.today.shape
        today = self.curves.today * (C * T / max(self.curves.today.sum(), 1e-300))
        rng = np.random.default_rng(0)
        cells = relaxed.reshape(C, T)
        drawn = [
            pulled_in(self.polytope, self._inner, _pulses(rng, cells).ravel())
            for _ in range(_DRAWN)
        ]
        drawn.sort(key=lambda u: -self.value(self._cells(u)))
        return [relaxed, today.ravel(), np.ones(C * T), *drawn][:many]


def _pulses(
    rng: np.random.Generator, cells: Float[np.ndarray, "channel period"]
) -> Float[np.ndarray, "channel period"]:
    """Some of the channels, each in pulses of its own length, share and phase; the same total."""
    C, T = cells.shape
    length, phase = rng.integers(1, T + 1, C)[:, None], rng.integers(0, T, C)[:, None]
    on = (np.arange(T) + phase) % length < np.maximum(1, rng.uniform(0.2, 1, C)[:, None] * length)
    level = rng.uniform(0, 1, (C, 1)) * np.where(rng.random() < 0.5, 1.0, cells.sum(1)[:, None])
    plan = on * level * (rng.random((C, 1)) < rng.uniform(0.3, 1))
    return plan * (cells.sum() / max(plan.sum(), 1e-300))


def _positive(curvature: np.ndarray) -> np.ndarray:
    """A curvature without its negative eigenvalues: where f is convex only the barrier holds."""
    try:
        np.linalg.cholesky(curvature + 1e-12 * np.eye(len(curvature)) * np.trace(curvature))
        return curvature
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(curvature)
        return (vectors * np.maximum(values, 0.0)) @ vectors.T
