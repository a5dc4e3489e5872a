"""What a test is worth to the budget decision, in currency, before it is run.

A test of the posterior draws s has an expected lift μ_s and shows y ~ N(μ_s, se²). With the value
V(x, s) of a plan x under a draw,

    EVSI = E_y [max_x E(V(x) | y)] − max_x E V(x)          expected value of sample information
    EVPI = E_s [max_x V(x, s)]     − max_x E V(x)          of perfect information, never less

Given y the draws are reweighted by N(y; μ_s, se²) and the budget is divided anew for them. The
lift is told in K classes between quantiles of what is foreseen of it: that coarser test can be
summed without simulating y, and its value is a lower bound that K soon closes.

Few draws carry each class, and a plan that is the best for them looks better than it is. Therefore
every class is also planned by one half of the draws and valued by the other. That errs to the low
side twice as much as the former to the high side (its plans come from half the draws), so that

    EVSI ≈ (2 · in sample + across halves) / 3.

Source: Raiffa & Schlaifer 1961, "Applied Statistical Decision Theory"; the reweighting is the
Bayes rule for draws of the prior, as in importance sampling.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from channelwise.decisions.budget.allocation import Objective, allocate
from channelwise.decisions.budget.constraints import ConstraintError, Constraints, limits_of
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.plan import Plan
from channelwise.decisions.information.fewer_terms import fewer_terms
from channelwise.decisions.information.grid_plans import Grid, grid_of

_BATCHES = 20  # of neighbouring draws, for the error of a mean over draws that are correlated


class Information(NamedTuple):
    """The value of a test's outcome, before its cost.

    Attributes:
      value: EVSI, currency.
      error: its Monte-Carlo standard error, from the draws being finitely many.
      low: across halves: what is not too high on average.
      high: in sample: what is not too low, but for the classes.
      change: expected share of the budget that the outcome moves.
      moves: probability that it moves any, more than 1 % of the budget.
    """

    value: float
    error: float
    low: float
    high: float
    change: float
    moves: float


@dataclass(frozen=True, eq=False)
class Decision:
    """A budget decision that tests could inform.

    Args:
      curves: draws of what each channel brings.
      constraints: of the plan; a target ROI is not possible here, since what keeps it depends on
        what the test shows.
      objective: "outcome", or "profit" = margin · outcome − spend.
      margin: share of the outcome that is kept, for profit.

    Raises:
      ConstraintError: if no plan can keep the constraints, or one is a target ROI.

    Numerical note: plans after a test are taken from a grid of 256 steps of the budget and from
    curves of 12 terms (`grid_plans`, `fewer_terms`); what both cost is of second order in the step,
    and the same with and without a test.
    """

    curves: Curves
    constraints: Constraints
    objective: Objective = "outcome"
    margin: float = 1.0

    def __post_init__(self):
        if self.constraints.target_roi is not None:
            raise ConstraintError(
                "A target ROI cannot be kept while a test's outcome is open: value tests under a "
                "budget and bounds, or take profit as the objective."
            )

    @functools.cached_property
    def plan(self) -> Plan:
        """What would be done without any test."""
        options = {"objective": self.objective, "margin": self.margin}
        return allocate(self.curves, self.constraints, **options)

    @functools.cached_property
    def grid(self) -> Grid:
        """The plans to choose from, with their values."""
        limits = limits_of(self.constraints, self.curves.channels, self.curves.today)
        profit = self.objective == "profit"
        return grid_of(fewer_terms(self.curves), limits, self.kept, float(profit))

    @property
    def kept(self) -> float:
        """Share of the outcome that counts."""
        return self.margin if self.objective == "profit" else 1.0

    @property
    def prior(self) -> Float[np.ndarray, " draw"]:
        """Weights of the draws before any test."""
        n, given = self.curves.n_draws, self.curves.weights
        return np.full(n, 1 / n) if given is None else given

    @property
    def money(self) -> float:
        """What a unit of currency is worth that a test spends or saves, in units of the value."""
        return self.plan.shadow_price + (self.objective == "profit")

    @functools.cached_property
    def perfect(self) -> tuple[float, float]:
        """EVPI, currency, and its Monte-Carlo standard error."""
        grid, draws = self.grid, np.arange(len(self.prior))
        gain = -grid.worth(grid.best(self.prior[None]))[0]
        for some in np.array_split(draws, -(-len(draws) // 16)):
            plans = grid.best(np.equal.outer(some, draws).astype(float))
            gain[some] += grid.worth(plans)[np.arange(len(some)), some]
        return float(self.prior @ gain), _error(gain, self.prior)


def value_of_information(
    decision: Decision,
    lift: Float[np.ndarray, " draw"],
    standard_error: float,
    classes: int = 16,
) -> Information:
    """EVSI of a test, in currency, before its cost.

    Args:
      decision: what its outcome would inform.
      lift: expected by each of the decision's draws, in any unit.
      standard_error: of the measured lift, in the same unit, > 0.
      classes: K ≥ 3 in which the measured lift is told.

    Raises:
      ValueError: if the lifts are not one for each draw, or the standard error is not above 0.

    Numerical note: `high` is the exact value of the test in classes where the draws are all there
    is, so it lies between 0 and the EVPI of the same draws. Where they stand for a continuous
    posterior and few of them share a class, `low` and `high` part; more draws close them.
    """
    if lift.shape != (decision.curves.n_draws,):
        raise ValueError(f"{lift.size} lifts for {decision.curves.n_draws} draws of the curves.")
    if not standard_error > 0:
        raise ValueError(f"A standard error of {standard_error:g} is none; give a number above 0.")
    weights = decision.prior
    told = told_classes(lift, standard_error, weights, classes)
    odd = np.arange(len(lift)) % 2 == 1
    high, moved = _rule(decision, told, np.full(len(lift), True))
    low = np.where(odd, *(_rule(decision, told, half)[0] for half in (~odd, odd)))
    gain = (2 * high + low) / 3
    share = moved / decision.constraints.budget
    return Information(
        value=max(float(weights @ gain), 0.0),
        error=_error(gain, weights),
        low=float(weights @ low),
        high=float(weights @ high),
        change=float(weights @ told @ share),
        moves=float(weights @ told @ (share > 0.01)),
    )


def told_classes(
    lift: Float[np.ndarray, " draw"],
    standard_error: float,
    weights: Float[np.ndarray, " draw"],
    classes: int,
) -> Float[np.ndarray, "draw class"]:
    """Probability of each class of the measured lift under each draw.

    The K − 1 edges are quantiles of the lift over all draws, those of a normal's −2 to 2 standard
    deviations in equal steps: classes in the tails are rare, but decide where a change is unlikely.
    """
    grid = np.linspace(lift.min() - 6 * standard_error, lift.max() + 6 * standard_error, 513)
    share = weights @ special.ndtr((grid - lift[:, None]) / standard_error)
    edges = np.interp(special.ndtr(np.linspace(-2, 2, classes - 1)), share, grid)
    below = special.ndtr((edges - lift[:, None]) / standard_error)
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _rule(
    decision: Decision, told: Float[np.ndarray, "draw class"], planners: np.ndarray
) -> tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " class"]]:
    """What every draw gains if some plan after each class, and the spend that each class moves."""
    grid = decision.grid
    weights = np.where(planners, decision.prior, 0.0)
    plans = grid.best(np.concatenate([weights[None], told.T * weights]))
    worth = grid.worth(plans)
    spends = grid.spend[np.arange(plans.shape[1]), plans]
    gain = np.einsum("sk,ks->s", told, worth[1:]) - worth[0]
    return gain, np.abs(spends[1:] - spends[0]).sum(axis=1) / 2


def _error(x: Float[np.ndarray, " draw"], weights: Float[np.ndarray, " draw"]) -> float:
    """Standard error of a weighted mean of draws, from the means of neighbouring ones."""
    batches = np.array_split(np.arange(len(x)), min(_BATCHES, len(x)))
    share = np.array([weights[b].sum() for b in batches])
    kept = share > 0
    means = np.array([weights[b] @ x[b] for b in batches])[kept] / share[kept]
    if len(means) < 2:
        return float("inf")
    centre, share = float(weights @ x), share[kept]
    return float(np.sqrt(np.sum(share**2 * (means - centre) ** 2) * len(means) / (len(means) - 1)))
