"""A plan beside today's: what it spends, what it brings, and how far from the best it can be."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Certificate:
    """A proven upper bound on the objective of every plan that keeps the constraints.

    Attributes:
      value: objective of this plan.
      bound: no plan has more.
      tolerance: relative gap up to which the plan counts as the best.
      method: how the bound was found.
    """

    value: float
    bound: float
    tolerance: float
    method: str

    def __post_init__(self):
        if self.value > self.bound + 1e-6 * abs(self.bound) + 1e-9 * abs(self.value):
            raise ArithmeticError(
                f"A plan of {self.value:.10g} is above the bound of {self.bound:.10g} on all plans "
                f"({self.method}): one of the two is wrong; please report the constraints."
            )

    @property
    def gap(self) -> float:
        """(bound − value) / |bound|: what a better plan could add at most, as a share; ≥ 0."""
        return max(self.bound - self.value, 0.0) / max(abs(self.bound), np.finfo(float).tiny)

    @property
    def proven(self) -> bool:
        """Whether no other plan can be better by more than the tolerance."""
        return self.gap <= self.tolerance

    def summary(self) -> dict:
        """As plain numbers and texts."""
        names = ("value", "bound", "gap", "proven", "method")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        if self.proven:
            return (
                f"Proven best: no plan within the constraints has more than {self.bound:,.10g}, "
                f"and this one has {self.value:,.10g} (gap {self.gap:.1e}; {self.method})."
            )
        return (
            f"NOT proven best: this plan has {self.value:,.6g}, and all that is proven is that no "
            f"plan has more than {self.bound:,.6g}, {self.gap:.2%} more ({self.method})."
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """Spend by channel over one horizon, beside today's.

    Attributes:
      channels: names.
      spend: proposed, currency.
      today: as things are, currency over the same horizon.
      outcome: what the proposed spend brings in each draw, currency.
      outcome_today: what today's brings.
      marginal_roi: expected return of the next unit of currency at the proposed spend.
      marginal_roi_today: the same at today's.
      held: why a channel's marginal ROI may differ from the others': "lower", "upper", "group" or
        "" for a free channel.
      shadow_price: what one more unit of currency in the budget would add to the objective.
      weights: of the draws, sum 1.
      certificate: how far from the best the plan can be.
      extrapolated: channels planned beyond any spend the data saw.
      objective: "outcome" or "profit".
      margin: share of the outcome that is kept, for profit.
      stamp: what must be shown with the plan; empty unless a failed check was overridden.
    """

    channels: tuple[str, ...]
    spend: Float[np.ndarray, " channel"]
    today: Float[np.ndarray, " channel"]
    outcome: Float[np.ndarray, " draw"]
    outcome_today: Float[np.ndarray, " draw"]
    marginal_roi: Float[np.ndarray, " channel"]
    marginal_roi_today: Float[np.ndarray, " channel"]
    held: tuple[str, ...]
    shadow_price: float
    weights: Float[np.ndarray, " draw"]
    certificate: Certificate
    extrapolated: tuple[str, ...] = ()
    objective: str = "outcome"
    margin: float = 1.0
    stamp: str = ""

    @property
    def gain(self) -> Float[np.ndarray, " draw"]:
        """What the plan adds to today's in each draw, in currency of the objective."""
        if self.objective == "outcome":
            return self.outcome - self.outcome_today
        paid = self.spend.sum() - self.today.sum()
        return self.margin * (self.outcome - self.outcome_today) - paid

    @property
    def expected_gain(self) -> float:
        return float(self.weights @ self.gain)

    @property
    def probability_of_gain(self) -> float:
        """Share of the draws in which the plan beats today's."""
        return float(self.weights @ (self.gain > 0))

    def gain_interval(self, probability: float = 0.9) -> tuple[float, float]:
        """Equal-tailed interval of the gain."""
        return self.interval_of(self.gain, probability)

    def interval_of(
        self, values: Float[np.ndarray, " draw"], probability: float = 0.9
    ) -> tuple[float, float]:
        """Equal-tailed interval of some values of the draws, under the plan's weights."""
        order = np.argsort(values)
        below = np.cumsum(self.weights[order]) - self.weights[order] / 2
        tails = (1 - probability) / 2, (1 + probability) / 2
        return tuple(float(np.interp(q, below, values[order])) for q in tails)

    @property
    def today_is_best(self) -> bool:
        """Whether it is proven that nothing within the constraints beats today's spend."""
        close = self.certificate.bound - self.certificate.value + abs(self.expected_gain)
        return self.certificate.proven and close <= 1e-6 * abs(self.certificate.bound)

    def table(self) -> "pd.DataFrame":
        """Today's plan and the proposed one, side by side, a row a channel and one for all."""
        import pandas as pd

        rows = {
            "today": self.today,
            "plan": self.spend,
            "change": self.spend - self.today,
            "marginal ROI today": self.marginal_roi_today,
            "marginal ROI": self.marginal_roi,
            "held at": list(self.held),
        }
        frame = pd.DataFrame(rows, index=pd.Index(self.channels, name="channel"))
        before, after = float(self.today.sum()), float(self.spend.sum())
        more = after - before if abs(after - before) > 1e-9 * after else 0.0
        money = [before, after, more]
        frame.loc["all"] = [*money, np.nan, np.nan, ""]
        return frame

    def summary(self) -> dict:
        """The plan as plain numbers and texts, as `to_json` writes it."""
        low, high = self.gain_interval()
        each = {
            name: {
                "today": float(self.today[i]),
                "plan": float(self.spend[i]),
                "marginal_roi_today": float(self.marginal_roi_today[i]),
                "marginal_roi": float(self.marginal_roi[i]),
                "held_at": self.held[i],
                "extrapolated": name in self.extrapolated,
            }
            for i, name in enumerate(self.channels)
        }
        return {
            "objective": self.objective,
            "channels": each,
            "outcome_today": float(self.weights @ self.outcome_today),
            "outcome": float(self.weights @ self.outcome),
            "gain": {"expected": self.expected_gain, "5%": low, "95%": high},
            "probability_of_gain": self.probability_of_gain,
            "shadow_price": self.shadow_price,
            "certificate": self.certificate.summary(),
            "stamp": self.stamp,
        }

    def to_csv(self, path: Path | str) -> None:
        """Write `table`, whole or not at all."""
        write(path, self.table().to_csv())

    def to_json(self, path: Path | str) -> None:
        """Write `summary`, whole or not at all."""
        write(path, json.dumps(self.summary(), indent=2, ensure_ascii=False) + "\n")

    @property
    def verdict(self) -> str:
        """What is gained over today's plan, in a sentence."""
        low, high = self.gain_interval()
        if self.today_is_best:
            return "Today's plan is already the best within the constraints."
        return (
            f"Expected gain over today's plan {self.expected_gain:,.4g} (90 % interval {low:,.4g} "
            f"to {high:,.4g}), a gain with probability {_share(self.probability_of_gain)}."
        )

    def __str__(self) -> str:
        lines = [self.stamp] if self.stamp else []
        lines += [f"{n}: {x:,.4g} (today {t:,.4g})" for n, x, t in self._moves()]
        return "\n".join([*lines, self.verdict, str(self.certificate)])

    def _moves(self):
        return zip(self.channels, self.spend, self.today, strict=True)


def _share(probability: float) -> str:
    """In percent, never all or nothing where a draw says otherwise."""
    said, sure = f"{probability:.0%}", abs(probability - round(probability)) < 1e-9
    return said if sure else {"100%": "over 99%", "0%": "under 1%"}.get(said, said)


def write(path: Path | str, text: str) -> None:
    """Write a text whole or not at all."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
