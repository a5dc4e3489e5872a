"""A plan by channel and period beside today's: what it spends when, and what that brings when."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.plan import Certificate, write
from channelwise.decisions.periods.curves import PeriodCurves

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PeriodPlan:
    """Spend by channel and period, beside today's.

    Attributes:
      curves: what spend brings; `curves.today` is today's plan.
      spend: proposed, currency.
      certificate: how far from the best the plan can be.
      objective: "outcome" or "profit".
      margin: share of the outcome that is kept, for profit.
      labels: of the periods, e.g. their first days; None: 1, 2, ….
    """

    curves: PeriodCurves
    spend: Float[np.ndarray, "channel period"]
    certificate: Certificate
    objective: str = "outcome"
    margin: float = 1.0
    labels: tuple[str, ...] | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        return self.curves.channels

    @property
    def today(self) -> Float[np.ndarray, "channel period"]:
        return self.curves.today

    @functools.cached_property
    def outcome(self) -> Float[np.ndarray, " draw"]:
        """What the plan brings in each draw, discounted, currency."""
        return self.curves.outcome(self.spend)

    @functools.cached_property
    def outcome_today(self) -> Float[np.ndarray, " draw"]:
        """What today's plan brings."""
        return self.curves.outcome(self.today)

    @property
    def weights(self) -> Float[np.ndarray, " draw"]:
        """Of the draws, sum 1."""
        S = self.curves.n_draws
        return np.full(S, 1 / S) if self.curves.weights is None else self.curves.weights

    @property
    def gain(self) -> Float[np.ndarray, " draw"]:
        """What the plan adds to today's in each draw, in currency of the objective."""
        more = self.outcome - self.outcome_today
        if self.objective == "outcome":
            return more
        d = (1 + self.curves.discount) ** -np.arange(self.curves.n_periods, dtype=float)
        return self.margin * more - float(((self.spend - self.today) * d).sum())

    @property
    def expected_gain(self) -> float:
        return float(self.weights @ self.gain)

    @property
    def probability_of_gain(self) -> float:
        """Share of the draws in which the plan beats today's."""
        return float(self.weights @ (self.gain > 0))

    @functools.cached_property
    def by_period(self) -> Float[np.ndarray, "channel horizon"]:
        """Expected outcome of each channel in each period, those after the plan too; currency."""
        return np.einsum("s,sch->ch", self.weights, self.curves.by_period(self.spend))

    @property
    def carry_out_share(self) -> float:
        """Share of the expected, undiscounted outcome that comes after the plan's last period."""
        total = self.by_period.sum()
        return float(self.by_period[:, self.curves.n_periods :].sum() / total) if total else 0.0

    @functools.cached_property
    def marginal_roi(self) -> Float[np.ndarray, "channel period"]:
        """Expected discounted return of one more unit of currency in a cell."""
        return self.curves.derivatives(self.spend).gradient

    def pulsing(self) -> Float[np.ndarray, " channel"]:
        """Standard deviation over mean of a channel's spend over the periods; 0 is even."""
        mean = self.spend.mean(axis=1)
        return self.spend.std(axis=1) / np.where(mean > 0, mean, 1.0)

    def even(self) -> Float[np.ndarray, "channel period"]:
        """The same totals, spread evenly over the periods: what timing alone is worth beside it."""
        return np.repeat(self.spend.mean(axis=1, keepdims=True), self.curves.n_periods, axis=1)

    def table(self) -> "pd.DataFrame":
        """One row a channel and period: today, plan, marginal ROI."""
        import pandas as pd

        labels = self.labels or tuple(range(1, self.curves.n_periods + 1))
        index = pd.MultiIndex.from_product([self.channels, labels], names=["channel", "period"])
        columns = {"today": self.today, "plan": self.spend, "marginal ROI": self.marginal_roi}
        return pd.DataFrame({name: x.ravel() for name, x in columns.items()}, index=index)

    def summary(self) -> dict:
        """The plan as plain numbers and texts, as `to_json` writes it."""
        low, high = np.quantile(self.gain, (0.05, 0.95), weights=self.weights, method=_METHOD)
        return {
            "objective": self.objective,
            "channels": {n: list(map(float, x)) for n, x in zip(*self._named, strict=True)},
            "outcome_today": float(self.weights @ self.outcome_today),
            "outcome": float(self.weights @ self.outcome),
            "carry_out_share": self.carry_out_share,
            "gain": {"expected": self.expected_gain, "5%": float(low), "95%": float(high)},
            "probability_of_gain": self.probability_of_gain,
            "certificate": self.certificate.summary(),
            "stamp": self.curves.stamp,
        }

    @property
    def _named(self) -> tuple[tuple[str, ...], np.ndarray]:
        return self.channels, self.spend

    def to_csv(self, path: Path | str) -> None:
        """Write `table`, whole or not at all."""
        write(path, self.table().to_csv())

    def to_json(self, path: Path | str) -> None:
        """Write `summary`, whole or not at all."""
        write(path, json.dumps(self.summary(), indent=2, ensure_ascii=False) + "\n")


_METHOD = "inverted_cdf"
