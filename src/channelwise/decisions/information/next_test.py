"""What should we test next? A list of tests, ranked by what each adds to the budget decision.

    net value = EVSI · share of the horizon left after the test − cost − what it loses while it runs

A test that is long measures better and leaves less time to use what it showed. While it runs, its
channels spend a multiple of today's instead of what the best plan x* would give them, and lose

    Σ_c share of the horizon, geos and people · ([E f_c(x*_c) − λ x*_c] − [E f_c(x_c) − λ x_c])

where λ is what a unit of the budget brings elsewhere (and itself, where the objective is profit).
For concave curves within the bounds of the plan nothing can be gained off it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from channelwise.decisions.budget.allocation import Objective
from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.market_curves import curves_of
from channelwise.decisions.budget.plan import Plan
from channelwise.decisions.information.proposed_test import ProposedTest, as_lift_test, proposals
from channelwise.decisions.information.value_of_information import (
    Decision,
    Information,
    value_of_information,
)
from channelwise.response.effects import Effects
from channelwise.response.lift import LiftTest, tested_geos
from channelwise.response.posterior import Posterior

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TestValue:
    """What one test is worth.

    Attributes:
      test: as proposed.
      played: as it was valued, within the record, with its standard error.
      lift: mean and standard deviation of the expected lift over the draws, outcome units.
      information: value of its outcome over a whole horizon.
      left: share of the horizon that is left after the test.
      off_plan: what is lost while it runs, currency; below 0 where it earns, by spending beyond a
        bound of the plan.
    """

    test: ProposedTest
    played: LiftTest
    lift: tuple[float, float]
    information: Information
    left: float
    off_plan: float

    __test__ = False  # no test of ours: pytest would collect the name

    @property
    def value(self) -> float:
        """EVSI over the time left, currency."""
        return self.information.value * self.left

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of the value."""
        return self.information.error * self.left

    @property
    def net(self) -> float:
        """Value less the cost and what is lost while it runs, currency."""
        return self.value - self.test.cost - self.off_plan


@dataclass(frozen=True, eq=False)
class TestPlan:
    """Tests ranked by their net value, the best first.

    Attributes:
      tests: their values.
      plan: what would be done without any test.
      perfect: value of knowing everything over a whole horizon (EVPI), currency: the upper bound.
      perfect_error: its Monte-Carlo standard error.
      stamp: what every table must show: a failed check that was overridden.
    """

    tests: tuple[TestValue, ...]
    plan: Plan
    perfect: float
    perfect_error: float
    stamp: str = ""

    __test__ = False

    @property
    def best(self) -> TestValue | None:
        """The test to run next; None if none is worth more than it costs."""
        return self.tests[0] if self.tests and self.tests[0].net > 0 else None

    def table(self) -> "pd.DataFrame":
        """A row a test: what it is worth, costs and measures, in currency and outcome units."""
        import pandas as pd

        rows = [
            {
                "test": v.test.label,
                "net value": v.net,
                "value": v.value,
                "± error": v.error,
                "cost": v.test.cost,
                "lost off plan": v.off_plan,
                "share of perfect": v.information.value / self.perfect if self.perfect else 0.0,
                "moves the plan": v.information.moves,
                "expected lift": v.lift[0],
                "its sd": v.lift[1],
                "standard error": v.played.standard_error,
            }
            for v in self.tests
        ]
        return pd.DataFrame(rows).set_index("test")

    def __str__(self) -> str:
        lines = [self.stamp] if self.stamp else []
        lines.append(
            f"Knowing everything would add {self.perfect:,.4g} (± {self.perfect_error:,.2g}) over "
            "the horizon; no test is worth more."
        )
        if self.best is None:
            return "\n".join([*lines, "No test is worth more than it costs: decide as things are."])
        best = self.best
        lines.append(
            f"Test next: {best.test.label}. Its outcome adds {best.value:,.4g} "
            f"(± {best.error:,.2g}) to what the budget brings, {best.net:,.4g} net of its cost "
            "and of what it loses while it runs; it changes the plan with probability "
            f"{best.information.moves:.0%}."
        )
        return "\n".join(lines)


def plan_test(
    posterior: Posterior,
    tests: Sequence[ProposedTest] | None = None,
    constraints: Constraints | None = None,
    *,
    periods: int | None = None,
    objective: Objective = "outcome",
    margin: float = 1.0,
    draws: int = 500,
    classes: int = 16,
    override: tuple[str, ...] = (),
) -> TestPlan:
    """Ranks tests by what each adds to the decision about the next budget, in currency.

    Args:
        posterior: of `fit`; must pass the gate.
        tests: proposed; by default every channel off, −50 %, +50 % and doubled for 4 and 8 periods.
        constraints: of the decision; by default today's budget, freely divided.
        periods: of the horizon over which the decision acts; by default a year's.
        objective: "outcome", or "profit" = margin · outcome − spend.
        margin: share of the outcome that is kept, for profit.
        draws: at most so many are used.
        classes: in which a measured lift is told, see `value_of_information`.
        override: names of failed checks that are accepted; the table then bears a stamp.

    Raises:
        GateError: if a check of the posterior failed and is not overridden.
        ConstraintError: if no plan can keep the constraints.
        LiftError: if a test does not fit the market.
    """
    market = posterior.market
    horizon = round(365.25 / market.period_days) if periods is None else periods
    curves = curves_of(posterior, draws=draws, periods=horizon, override=override)
    decision = Decision(
        curves, constraints or Constraints(float(curves.today.sum())), objective, margin
    )
    effects = Effects(posterior, draws=draws)
    tests = proposals(market) if tests is None else tests
    played = [as_lift_test(test, effects) for test in tests]
    values = [
        _valued(test, as_played, effects, decision, horizon, classes)
        for test, as_played in zip(tests, played, strict=True)
    ]
    ranked = tuple(sorted(values, key=lambda v: -v.net))
    return TestPlan(ranked, decision.plan, *decision.perfect, curves.stamp)


def _valued(
    test: ProposedTest,
    played: LiftTest,
    effects: Effects,
    decision: Decision,
    horizon: int,
    classes: int,
) -> TestValue:
    lift = effects.lift(played)
    information = value_of_information(decision, lift, played.standard_error, classes)
    weights = decision.prior
    mean = float(weights @ lift)
    return TestValue(
        test=test,
        played=played,
        lift=(mean, float(np.sqrt(weights @ (lift - mean) ** 2))),
        information=information,
        left=max(1 - (test.periods + played.tail) / horizon, 0.0),
        off_plan=test.periods / horizon * _lost(played, effects, decision),
    )


def _lost(played: LiftTest, effects: Effects, decision: Decision) -> float:
    """What a whole horizon of the test would lose against the plan, currency."""
    curves, plan, market = decision.curves, decision.plan.spend, effects.market
    factor = np.ones(len(plan))
    for channel, value in played.factor.items():
        factor[curves.channels.index(channel)] = value
    brought = [decision.kept * curves.expected(x) for x in (plan, factor * curves.today)]
    spent = decision.money * (plan - factor * curves.today)
    spend = market.spend[:, market.before :].sum(axis=1)
    part = played.share * spend[tested_geos(played, market)].sum(axis=0) / spend.sum(axis=0)
    tested = np.isin(curves.channels, list(played.factor))
    return float(np.sum((part * (brought[0] - brought[1] - spent))[tested]))
