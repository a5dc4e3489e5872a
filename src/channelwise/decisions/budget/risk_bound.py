"""Proven upper bounds on risk measures of any plan, each from exact plans for reweighted draws."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.plan import Plan

_MOST_DRAWS = 400  # own plans of single draws, at most


@dataclass(frozen=True, eq=False)
class Means:
    """Best plans for the mean of the objective under any weights of the draws."""

    curves: Curves
    constraints: Constraints
    objective: str
    margin: float

    def best(self, weights: Float[np.ndarray, " draw"]) -> Plan:
        """The best plan under some weights; its certificate bounds all others."""
        return self._plan(self.curves.reweighted(weights))

    def best_of_draw(self, draw: int) -> float:
        """A bound on what any plan brings in one draw, to a thousandth."""
        return self._plan(self.curves.only(np.array([draw])), 1e-3).certificate.bound

    def _plan(self, curves: Curves, tolerance: float = 1e-8) -> Plan:
        how = {"objective": self.objective, "margin": self.margin, "tolerance": tolerance}
        return allocate(curves, self.constraints, **how)


def least_favourable(
    outcomes: Float[np.ndarray, "plan draw"],
    weights: Float[np.ndarray, " draw"],
    level: float,
    share: float,
) -> Float[np.ndarray, " draw"]:
    """The weights (1 − s) p + s q, q ≤ p/α, under which the best of some plans is worth least.

    min over q of max_k Σ_s ((1 − s) p + s q)_s y_ks,   a linear program
    """
    from scipy.optimize import linprog

    K, S = outcomes.shape
    size = float(np.abs(outcomes).max()) or 1.0
    y = outcomes / size
    found = linprog(
        np.append(np.zeros(S), 1.0),
        A_ub=np.column_stack([share * y, -np.ones(K)]),
        b_ub=-(1 - share) * (y @ weights),
        A_eq=np.append(np.ones(S), 0.0)[None],
        b_eq=[1.0],
        bounds=[*((0.0, p / level) for p in weights), (None, None)],
        method="highs",
    )
    q = found.x[:S] if found.status == 0 else weights
    return (1 - share) * weights + share * allowed(q, weights / level)


def allowed(
    q: Float[np.ndarray, " draw"], most: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " draw"]:
    """Weights within 0 ≤ q ≤ most and of sum 1, next to those given."""
    q = np.clip(q, 0.0, most)
    excess = q.sum() - 1
    room = q if excess > 0 else most - q
    return q - excess * room / room.sum()


def quantile_bound(
    means: Means,
    outcome: Float[np.ndarray, " draw"],
    weights: Float[np.ndarray, " draw"],
    level: float,
) -> float:
    """No plan's quantile is above the quantile of what each draw's own best plan brings.

    Only draws in which a good plan brings little are planned for; of the others nothing is assumed.

    Args:
      means: the problem.
      outcome: what a good plan brings.
      weights: of the draws.
      level: of the quantile.
    """
    order = np.argsort(outcome, kind="stable")
    enough = int(np.searchsorted(np.cumsum(weights[order]), min(1.3 * level, 1.0))) + 1
    few = order[: min(enough, _MOST_DRAWS)]
    best = np.array([means.best_of_draw(int(s)) for s in few])
    rank = np.argsort(best)
    reached = np.cumsum(weights[few][rank]) >= level * (1 - 1e-12)
    return float(best[rank][np.argmax(reached)]) if reached.any() else np.inf


def probability_bound(
    means: Means,
    beaten: np.ndarray,
    today: Float[np.ndarray, " draw"],
    weights: Float[np.ndarray, " draw"],
) -> float:
    """No plan beats today's in draws in which not even the draw's own best plan does.

    Args:
      means: the problem.
      beaten: (draw,) bool: draws in which some plan is known to beat today's.
      today: what today's plan brings.
      weights: of the draws.
    """
    open_draws = np.flatnonzero(~beaten)[:_MOST_DRAWS]
    never = [s for s in open_draws if means.best_of_draw(int(s)) <= today[s]]
    return 1.0 - float(weights[never].sum())
