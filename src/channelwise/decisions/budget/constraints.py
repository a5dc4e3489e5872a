"""What a plan must keep to: the budget, bounds of channels and groups, and what today allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.response.reading.findings import nearest


class ConstraintError(ValueError):
    """Constraints that no plan can keep; the message names those in conflict."""


@dataclass(frozen=True)
class Group:
    """Limits on what several channels spend together, in currency over the horizon."""

    channels: tuple[str, ...]
    lower: float = 0.0
    upper: float = float("inf")


@dataclass(frozen=True)
class Constraints:
    """What a plan must keep to, all in currency over the horizon.

    Args:
      budget: the most that may be spent in all, > 0.
      lower: least spend by channel; 0 for those left out.
      upper: most spend by channel; the budget for those left out.
      change: share of today's spend by which every channel, or each by name, may move: 0.3 keeps it
        within ±30 %. None: free.
      if_used: least spend by channel if the channel is used at all; nothing stays allowed.
      groups: by name; a channel may be in one group only.
      target_roi: least return of the whole plan per currency spent; None: none. The plan then
        spends as much of the budget as keeps it.
    """

    budget: float
    lower: Mapping[str, float] = field(default_factory=dict)
    upper: Mapping[str, float] = field(default_factory=dict)
    change: float | Mapping[str, float] | None = None
    if_used: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    target_roi: float | None = None


class Limits(NamedTuple):
    """Constraints of known channels, as arrays."""

    budget: float
    lower: Float[np.ndarray, " channel"]
    upper: Float[np.ndarray, " channel"]
    if_used: Float[np.ndarray, " channel"]  # 0 where there is none
    group: np.ndarray  # (channel,) index of its group, −1 for none
    group_lower: Float[np.ndarray, " group"]
    group_upper: Float[np.ndarray, " group"]
    target_roi: float | None

    def in_units(self, unit: float) -> "Limits":
        """The same with `unit` currency as the unit of spend; the target ROI stays."""
        money = {name: getattr(self, name) / unit for name in _MONEY}
        return self._replace(**money)


_MONEY = ("budget", "lower", "upper", "if_used", "group_lower", "group_upper")


def limits_of(
    constraints: Constraints, names: tuple[str, ...], today: Float[np.ndarray, " channel"]
) -> Limits:
    """Puts constraints on channels in their order, and checks that a plan can keep them all.

    Args:
      constraints: in currency.
      names: of the channels.
      today: what each spends as things are, currency.

    Raises:
      ConstraintError: naming what is wrong, or the constraints that contradict each other.
    """
    c = constraints
    budget = c.budget
    if not 0 < budget < np.inf:
        raise ConstraintError(f"The budget is {budget:,.6g}: give an amount above 0.")
    _check_names(c, names)
    lower = _each(c.lower, names, 0.0, "lower bound")
    upper = np.minimum(_each(c.upper, names, np.inf, "upper bound"), budget)
    if_used = _each(c.if_used, names, 0.0, "least spend if used")
    change = _changes(c.change, names)
    lower, upper = _with_change(lower, upper, change, today, names, budget)
    lower = np.where(lower > 0, np.maximum(lower, if_used), lower)
    for name, low, high, least in zip(names, lower, upper, if_used, strict=True):
        if low > high:
            raise ConstraintError(
                f"{name} must spend at least {low:,.6g} and at most {high:,.6g} (of a budget of "
                f"{budget:,.6g}, with a least spend if used of {least:,.6g}): relax one of them."
            )
    group, group_lower, group_upper = _groups(c.groups, names, lower, upper)
    limits = Limits(budget, lower, upper, if_used, group, group_lower, group_upper, c.target_roi)
    _check_minimum(limits, names, tuple(c.groups))
    if c.target_roi is not None and not c.target_roi > 0:
        raise ConstraintError(f"The target ROI is {c.target_roi:g}: give a number above 0.")
    return limits


def _check_names(c: Constraints, names: tuple[str, ...]) -> None:
    change = c.change if isinstance(c.change, Mapping) else {}
    given = {"lower": c.lower, "upper": c.upper, "change": change, "if_used": c.if_used}
    given |= {f"group {name}": group.channels for name, group in c.groups.items()}
    for where, some in given.items():
        for name in some:
            index_of(name, names, where)


def index_of(name: str, names: tuple[str, ...], where: str) -> int:
    """The index of a channel that some constraint names.

    Raises:
      ConstraintError: naming the nearest channel, if there is none of that name.
    """
    if name not in names:
        raise ConstraintError(
            f"There is no channel {name!r}, which {where} names; {nearest(name, names)}"
        )
    return names.index(name)


def _each(
    given: Mapping[str, float], names: tuple[str, ...], default: float, what: str
) -> Float[np.ndarray, " channel"]:
    for name, value in given.items():
        if not value >= 0:
            raise ConstraintError(f"The {what} of {name} is {value:g}: give 0 or more.")
    return np.array([float(given.get(name, default)) for name in names])


def _changes(given: float | Mapping[str, float] | None, names: tuple[str, ...]) -> np.ndarray:
    """The share by which each channel may move, infinite where it is free."""
    each = given if isinstance(given, Mapping) else {}
    for name, value in (each or {"every channel": 0.0 if given is None else given}).items():
        if not isinstance(value, Mapping) and not value >= 0:
            raise ConstraintError(
                f"The change allowed to {name} is {value:g}: give a share of today's spend, such "
                "as 0.3 for ±30 %."
            )
    if given is None:
        return np.full(len(names), np.inf)
    return np.array([each.get(n, np.inf) if isinstance(given, Mapping) else given for n in names])


def _with_change(lower, upper, change, today, names, budget) -> tuple[np.ndarray, np.ndarray]:
    free = np.isinf(change)
    least = np.where(free, 0.0, today * np.maximum(1 - np.where(free, 0, change), 0))
    most = np.where(free, np.inf, today * (1 + np.where(free, 0, change)))
    for i, name in enumerate(names):
        if not free[i] and max(lower[i], least[i]) > min(upper[i], most[i]):
            raise ConstraintError(
                f"{name} may spend {least[i]:,.6g} to {most[i]:,.6g} by the change of "
                f"{change[i]:.0%} allowed from today's {today[i]:,.6g}, but {lower[i]:,.6g} to "
                f"{upper[i]:,.6g} by its bounds and the budget of {budget:,.6g}: relax one of them."
            )
    return np.maximum(lower, least), np.minimum(upper, most)


def _groups(groups: Mapping[str, Group], names, lower, upper):
    """The index of each channel's group, and the groups' limits."""
    index = np.full(len(names), -1)
    for g, (label, group) in enumerate(groups.items()):
        if not 0 <= group.lower <= group.upper or not group.channels:
            raise ConstraintError(
                f"Group {label} must spend between {group.lower:,.6g} and {group.upper:,.6g} on "
                f"{len(group.channels)} channels: give 0 <= lower <= upper, and channels."
            )
        members = [names.index(name) for name in group.channels]
        for i in members:
            if index[i] >= 0:
                raise ConstraintError(f"{names[i]} is in two groups: leave it in one of them.")
            index[i] = g
        if lower[members].sum() > group.upper:
            raise ConstraintError(
                f"Group {label} may spend at most {group.upper:,.6g}, but the least of its "
                f"channels {', '.join(group.channels)} make {lower[members].sum():,.6g}."
            )
        if upper[members].sum() < group.lower:
            raise ConstraintError(
                f"Group {label} must spend at least {group.lower:,.6g}, but the most of its "
                f"channels {', '.join(group.channels)} make {upper[members].sum():,.6g}."
            )
    every = list(groups.values())
    return index, np.array([g.lower for g in every]), np.array([g.upper for g in every])


def _check_minimum(limits: Limits, names: tuple[str, ...], groups: tuple[str, ...]) -> None:
    """The least that all constraints together demand must fit into the budget."""
    own = np.array([limits.lower[limits.group == g].sum() for g in range(len(groups))])
    total = limits.lower[limits.group < 0].sum() + np.maximum(own, limits.group_lower).sum()
    if total > limits.budget * (1 + 1e-12):
        parts = [f"{n} {x:,.6g}" for n, x in zip(names, limits.lower, strict=True) if x > 0]
        parts += [
            f"group {n} {x:,.6g}" for n, x in zip(groups, limits.group_lower, strict=True) if x > 0
        ]
        raise ConstraintError(
            f"The budget of {limits.budget:,.6g} is below the sum of the minimums, {total:,.6g} "
            f"({', '.join(parts)}): raise the budget or lower them."
        )
