"""Prices that clear a budget: one for all money, and one for each group at a limit of its own.

With a price ν on every unit of spend, each channel asks for what is best for itself. The budget's
price λ ≥ λ_0 is the lowest at which all that is asked for fits into the budget. A group's own price
differs from it only where the group is at a limit: above it at its upper limit, below it at its
lower one. As demand falls with the price, those are

    price_g(λ) = max(λ, ν_g^upper) or min(λ, ν_g^lower),

where ν_g^upper is the price at which the group asks for exactly its upper limit, whatever λ is. At
its limit a group spends the limit, also where its channels jump from less to more.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.constraints import Limits

Demand = Callable[[Float[np.ndarray, "price channel"]], Float[np.ndarray, "price channel"]]
"""What each channel asks for at a price of its own, many prices at a time; falls with the price."""

_FAN = 24  # prices tried at a time
_ROUNDS = 14  # at most; each divides the bracket, in logarithms, by _FAN + 1


class Cleared(NamedTuple):
    """Prices at which a budget clears, from both sides of the last digit."""

    price: Float[np.ndarray, "2 channel"]  # just too low (asks for too much), just high enough
    budget: float  # λ


def clear(demand: Demand, limits: Limits, least: float, range_: tuple[float, float]) -> Cleared:
    """The prices at which demand keeps the budget and the groups' limits.

    Args:
        demand: of each channel, within its own bounds.
        limits: budget and groups.
        least: λ_0 ≥ 0: the price of money that need not be spent (0, or 1 for profit).
        range_: prices between which all demand moves, 0 < low < high.

    Returns:
        Both ends of the final bracket: where demand jumps, it may jump between the two.
    """
    count = len(limits.lower)
    low, high = np.zeros((2, count)), np.full((2, count), np.inf)  # at both ends
    for g in range(len(limits.group_lower)):
        own = limits.group == g
        asked = lambda p, own=own: demand(np.repeat(p[:, None], count, axis=1))[:, own].sum(axis=1)  # noqa: E731
        if np.isfinite(limits.group_upper[g]):
            low[:, own] = np.array(_bracket(asked, limits.group_upper[g], *range_))[:, None]
        if limits.group_lower[g] > 0:
            high[:, own] = np.array(_bracket(asked, limits.group_lower[g], *range_))[:, None]

    def total(p: Float[np.ndarray, " price"]) -> Float[np.ndarray, " price"]:
        asked = demand(np.repeat(p[:, None], count, axis=1))
        own = [asked[:, limits.group == g].sum(axis=1) for g in range(len(limits.group_lower))]
        held = zip(own, limits.group_lower, limits.group_upper, strict=True)
        return asked[:, limits.group < 0].sum(axis=1) + sum(np.clip(*of) for of in held)

    if least > 0 and total(np.array([least]))[0] <= limits.budget:
        ends = np.array([least, least])
    else:
        ends = np.array(_bracket(total, limits.budget, max(range_[0], least), range_[1]))
        ends = np.maximum(ends, least)
    return Cleared(np.clip(ends[:, None], low, high), float(ends[1]))


def _bracket(asked, target: float, low: float, high: float) -> tuple[float, float]:
    """The prices around the one where what is asked for falls to the target."""
    if asked(np.array([low]))[0] <= target:
        return 0.0, 0.0
    if asked(np.array([high]))[0] > target:
        return high, high
    for _ in range(_ROUNDS):
        inner = low * (high / low) ** (np.arange(1, _FAN + 1) / (_FAN + 1))
        over = asked(inner) > target
        below = _FAN if over.all() else int(over.argmin())  # demand falls: these come first
        fan = np.concatenate([[low], inner, [high]])
        low, high = fan[below], fan[below + 1]
        if high - low <= 1e-13 * high:
            break
    return low, high
