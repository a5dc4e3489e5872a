"""The limits of a plan by channel and period, as a polytope: totals, cells, and pacing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy import sparse

from channelwise.decisions.budget.constraints import (
    ConstraintError,
    Constraints,
    Limits,
    index_of,
    limits_of,
)
from channelwise.decisions.periods.curves import PeriodCurves
from channelwise.decisions.periods.polytope import Polytope

PerPeriod = float | Float[np.ndarray, " period"]


@dataclass(frozen=True)
class Pacing:
    """How spend may move over the periods of a plan; amounts in currency a period.

    Args:
      change: r: from one period to the next a channel moves by at most r times its own mean spend a
        period of the plan. None: free; 0: even.
      lower: least spend of a channel in each period, one amount or one a period, by name.
      upper: most spend, likewise; 0 for dark periods.
      period_lower: least spend of all channels together, one amount or one a period.
      period_upper: most spend of all channels together.
    """

    change: float | None = None
    lower: Mapping[str, PerPeriod] = field(default_factory=dict)
    upper: Mapping[str, PerPeriod] = field(default_factory=dict)
    period_lower: PerPeriod | None = None
    period_upper: PerPeriod | None = None


class _Rows:
    """Collects named rows a·x ≤ b over the cells (channel, period), in row-major order."""

    def __init__(self, channels: int, periods: int):
        self.shape, self.rows, self.limits, self.names = (channels, periods), [], [], []

    def add(self, rows: sparse.sparray, limits, names: list[str]) -> None:
        self.rows.append(sparse.csr_array(rows))
        self.limits.append(np.broadcast_to(np.asarray(limits, float), rows.shape[:1]))
        self.names += names

    def total(self, channels: list[int]) -> sparse.sparray:
        """One row: the sum over some channels and all periods."""
        one = np.zeros(self.shape)
        one[channels] = 1
        return sparse.csr_array(one.reshape(1, -1))


def polytope_of(curves: PeriodCurves, constraints: Constraints, pacing: Pacing) -> Polytope:
    """The plans that keep all constraints, each limit under the name a person knows it by.

    Raises:
      ConstraintError: naming what is wrong with a constraint, or which contradict each other.
    """
    limits = limits_of(constraints, curves.channels, curves.today.sum(axis=1))
    names, (C, T) = curves.channels, curves.today.shape
    rows = _Rows(C, T)
    rows.add(rows.total(list(range(C))), limits.budget, [f"the budget of {limits.budget:,.6g}"])
    _totals(rows, limits, names, tuple(constraints.groups))
    _pace(rows, pacing, names)
    _periods(rows, pacing)
    lower, upper = _cells(curves, pacing, limits)
    matrix, limit = sparse.vstack(rows.rows, format="csr"), np.concatenate(rows.limits)
    return Polytope(lower.ravel(), upper.ravel(), matrix, limit, tuple(rows.names))


def _totals(rows: _Rows, limits: Limits, names: tuple[str, ...], groups: tuple[str, ...]) -> None:
    """Least and most of each channel and group over the plan."""
    for c, name in enumerate(names):
        if limits.lower[c] > 0:
            label = f"the least of {limits.lower[c]:,.6g} for {name}"
            rows.add(-rows.total([c]), -limits.lower[c], [label])
        if limits.upper[c] < limits.budget:
            label = f"the most of {limits.upper[c]:,.6g} for {name}"
            rows.add(rows.total([c]), limits.upper[c], [label])
    for g, name in enumerate(groups):
        members = np.flatnonzero(limits.group == g).tolist()
        if limits.group_lower[g] > 0:
            label = f"the least of {limits.group_lower[g]:,.6g} for group {name}"
            rows.add(-rows.total(members), -limits.group_lower[g], [label])
        if limits.group_upper[g] < limits.budget:
            label = f"the most of {limits.group_upper[g]:,.6g} for group {name}"
            rows.add(rows.total(members), limits.group_upper[g], [label])


def _pace(rows: _Rows, pacing: Pacing, names: tuple[str, ...]) -> None:
    """±(x_t+1 − x_t) − r · mean ≤ 0 for each channel."""
    C, T = rows.shape
    if pacing.change is None or T == 1:
        return
    if not pacing.change >= 0:
        raise ConstraintError(
            f"The change from period to period is {pacing.change:g}: give a share of a channel's "
            "mean spend, 0 or more."
        )
    step = np.eye(T - 1, T, 1) - np.eye(T - 1, T)
    mean = np.full((T - 1, T), pacing.change / T)
    block = np.concatenate([step - mean, -step - mean])
    for c, name in enumerate(names):
        one = sparse.csr_array(np.eye(1, C, c))
        label = f"the pacing of {name} (at most {pacing.change:.0%} of its mean from one period on)"
        rows.add(sparse.kron(one, sparse.csr_array(block)), 0.0, [label] * len(block))


def _periods(rows: _Rows, pacing: Pacing) -> None:
    """Least and most of all channels together in each period."""
    C, T = rows.shape
    every = sparse.kron(sparse.csr_array(np.ones((1, C))), sparse.eye_array(T))
    given = {"most": (1, pacing.period_upper), "least": (-1, pacing.period_lower)}
    for word, (sign, amounts) in given.items():
        if amounts is not None:
            each = _by_period(amounts, T, f"{word} of all channels in a period")
            labels = [f"the {word} of {x:,.6g} in period {t + 1}" for t, x in enumerate(each)]
            rows.add(sign * every, sign * each, labels)


def _cells(curves: PeriodCurves, pacing: Pacing, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Least and most of each cell, (channel, period)."""
    C, T = curves.today.shape
    lower, upper = np.zeros((C, T)), np.repeat(limits.upper[:, None], T, axis=1)
    for word, given, into in (("least", pacing.lower, lower), ("most", pacing.upper, upper)):
        for name, amounts in given.items():
            c = index_of(name, curves.channels, f"the {word} a period")
            each = _by_period(amounts, T, f"{word} of {name} in a period")
            into[c] = np.minimum(each, into[c]) if word == "most" else each
    above = lower > upper
    if above.any():
        c, t = np.argwhere(above)[0]
        raise ConstraintError(
            f"{curves.channels[c]} must spend at least {lower[c, t]:,.6g} and at most "
            f"{upper[c, t]:,.6g} in period {t + 1}: relax one of them."
        )
    return lower, upper


def _by_period(amounts: PerPeriod, periods: int, what: str) -> Float[np.ndarray, " period"]:
    each = np.asarray(amounts, float)
    if each.shape not in ((), (periods,)):
        raise ConstraintError(f"The {what} has {each.size} amounts: give 1, or {periods}.")
    if not (each >= 0).all():
        raise ConstraintError(f"The {what} is {each.min():g}: give 0 or more.")
    return np.broadcast_to(each, (periods,))
