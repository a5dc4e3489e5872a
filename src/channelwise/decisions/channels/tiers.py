"""Margins on margins: what it costs that every tier of a chain sets a price of its own.

Maker, dealers and retailers sell one product on to each other. Each knows what it pays and how the
tiers after it will answer, and sets the price that is best for itself (Spengler 1950; upstream
moves first). For demands whose pass-through is constant this has a closed form: every tier sees
the same kind of demand again.

Prices are in currency per unit, quantities in units per period.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class TierError(ValueError):
    """A demand or a chain that cannot be meant; the message says which number and why."""


@dataclass(frozen=True)
class Linear:
    """q(p) = max(0, (a − p)/b): half of every cost is passed on.

    Attributes:
      choke: a > 0, the price at which nothing is bought, currency per unit.
      fall: b > 0, currency by which the price must fall to sell one unit more.
    """

    choke: float
    fall: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, "choke", "fall")

    def quantity(self, price: float) -> float:
        """q(p): units bought per period at this price."""
        return max(0.0, (self.choke - price) / self.fall)

    def best_price(self, cost: float) -> float:
        """argmax_p (p − cost) q(p), currency per unit."""
        return (self.choke + cost) / 2

    def surplus(self, price: float) -> float:
        """∫ q above the price: what consumers would have paid more, currency per period."""
        return self.fall * self.quantity(price) ** 2 / 2


@dataclass(frozen=True)
class ConstantElasticity:
    """q(p) = A p^(−ε): every tier multiplies the price by ε/(ε − 1).

    Attributes:
      scale: A > 0, units bought at a price of 1.
      elasticity: ε > 1: 1 % more price loses ε % of the quantity.
    """

    scale: float
    elasticity: float

    def __post_init__(self) -> None:
        _positive(self, "scale")
        if not self.elasticity > 1:
            raise TierError(
                f"ConstantElasticity: elasticity = {self.elasticity:g} must be above 1; at 1 or "
                "below, every seller would raise the price without end."
            )

    def quantity(self, price: float) -> float:
        """q(p): units bought per period at this price."""
        return self.scale * price**-self.elasticity if price > 0 else math.inf

    def best_price(self, cost: float) -> float:
        """argmax_p (p − cost) q(p), currency per unit."""
        return cost * self.elasticity / (self.elasticity - 1)

    def surplus(self, price: float) -> float:
        """∫ q above the price: what consumers would have paid more, currency per period."""
        return price * self.quantity(price) / (self.elasticity - 1)


@dataclass(frozen=True)
class Exponential:
    """q(p) = A e^(−p/s): every tier adds s to the price, whatever it pays.

    Attributes:
      scale: A > 0, units bought at a price of 0.
      spread: s > 0, currency per unit: this much more price leaves 37 % of the quantity.
    """

    scale: float
    spread: float

    def __post_init__(self) -> None:
        _positive(self, "scale", "spread")

    def quantity(self, price: float) -> float:
        """q(p): units bought per period at this price."""
        return float(self.scale * np.exp(-price / self.spread))

    def best_price(self, cost: float) -> float:
        """argmax_p (p − cost) q(p), currency per unit."""
        return cost + self.spread

    def surplus(self, price: float) -> float:
        """∫ q above the price: what consumers would have paid more, currency per period."""
        return self.spread * self.quantity(price)


Demand = Linear | ConstantElasticity | Exponential


class Priced(NamedTuple):
    """A chain in which every tier has set its price.

    Attributes:
      cost: what each tier spends on a unit, maker first.
      markup: what it keeps of a unit.
      price: what it sells a unit for; the last one is the retail price.
      quantity: units per period.
      profit: of each tier, currency per period.
      surplus: of the consumers, currency per period.
    """

    cost: Float[np.ndarray, " tier"]
    markup: Float[np.ndarray, " tier"]
    price: Float[np.ndarray, " tier"]
    quantity: float
    profit: Float[np.ndarray, " tier"]
    surplus: float

    @property
    def joint(self) -> float:
        """The profit of all tiers together."""
        return float(self.profit.sum())


def set_prices(demand: Demand, costs: Float[np.ndarray, " tier"]) -> Priced:
    """Every tier's price, when each sets the one that is best for itself.

    π₀ = Σ costs,   π_k = argmax_p (p − π_{k−1}) q(p),   markup_k = π_k − π_{k−1},   p = π_n

    π_k is the price of tier k with the costs of the later tiers added. With linear demand
    a − π_k = (a − π₀)/2ᵏ: quantity halves per tier, and the joint profit is 4 (1 − 2⁻ⁿ) 2⁻ⁿ of
    what one owner of all tiers would earn.

    Args:
      demand: `Linear`, `ConstantElasticity` or `Exponential`: the recursion needs a demand that
        keeps its kind from tier to tier (pass-through is constant: Bulow, Pfleiderer 1983).
      costs: of each tier, currency per unit ≥ 0, maker first.

    Returns:
      Prices, quantity, profits and consumers' surplus.

    Raises:
      TierError: if there is no tier, a cost is negative, or nobody (or everybody) buys at cost.

    Source: Spengler 1950; the recursion follows by backward induction.
    """
    costs = np.asarray(costs, np.float64)
    if not (costs.size and costs.min() >= 0 and np.isfinite(costs).all()):
        raise TierError(
            f"costs = {costs.tolist()}: give one number ≥ 0 for each tier, maker first."
        )
    total = float(costs.sum())
    if not 0 < demand.quantity(total) < math.inf:
        who = "Everybody" if total == 0 else "Nobody"
        raise TierError(f"{who} buys at {total:g}, the cost of all tiers: there is no market.")
    steps = [total]
    for _ in costs:
        steps.append(demand.best_price(steps[-1]))
    markup, retail = np.diff(steps), steps[-1]
    quantity = float(demand.quantity(retail))
    price = np.cumsum(costs + markup)
    return Priced(costs, markup, price, quantity, markup * quantity, float(demand.surplus(retail)))


class Integration(NamedTuple):
    """What it changes that two neighbouring tiers act as one; currency per period.

    Attributes:
      pair: the position of the upper of the two, 0 for the maker.
      own: gain of the pair.
      others: gain of all other tiers.
      consumers: gain of the consumers.
      price: the new retail price, currency per unit.
    """

    pair: int
    own: float
    others: float
    consumers: float
    price: float


def integrations(demand: Demand, costs: Float[np.ndarray, " tier"]) -> list[Integration]:
    """What integrating each pair of neighbouring tiers is worth, and to whom.

    The pair becomes one tier with both costs and one markup. With linear demand the retail price
    falls alike whichever pair it is, but the nearer to the maker, the more of the gain is its own.

    Args:
      demand: as in `set_prices`.
      costs: of each tier, currency per unit, maker first.

    Returns:
      One entry for each pair, maker first; none for a single tier.
    """
    costs = np.asarray(costs, np.float64)
    before = set_prices(demand, costs)
    return [_integrated(demand, costs, before, k) for k in range(costs.size - 1)]


def _integrated(demand: Demand, costs: np.ndarray, before: Priced, k: int) -> Integration:
    merged = np.concatenate([costs[:k], [costs[k] + costs[k + 1]], costs[k + 2 :]])
    after = set_prices(demand, merged)
    own = float(after.profit[k] - before.profit[k : k + 2].sum())
    consumers = after.surplus - before.surplus
    return Integration(k, own, after.joint - before.joint - own, consumers, float(after.price[-1]))


def _positive(demand: object, *names: str) -> None:
    for name in names:
        value = getattr(demand, name)
        if not (np.isfinite(value) and value > 0):
            raise TierError(f"{type(demand).__name__}: {name} = {value:g} must be above 0.")
