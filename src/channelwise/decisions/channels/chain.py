"""The distribution chain: maker, dealers, retailers and consumers, and the ways through them."""

import difflib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

MOST_PATHS = 100_000


class ChainError(ValueError):
    """A chain that cannot be meant or cannot be routed; the message names the place and why."""


@dataclass(frozen=True)
class Node:
    """A maker, dealer, retailer, or a group of consumers.

    Attributes:
      capacity: units that may enter per period, ≥ 0; for consumers, what they would buy.
      least: units that must enter per period (a contract), ≥ 0.
      margin: share of the price at which it sells that it keeps, in [0, 1); 0 for consumers.
      conversion: share of the units entering that leave again sold, in (0, 1].
      holding: currency per unit entering: making it, storing it, handling it.
    """

    capacity: float = math.inf
    least: float = 0.0
    margin: float = 0.0
    conversion: float = 1.0
    holding: float = 0.0


def tier(names: Sequence[str], **numbers: float | Sequence[float]) -> dict[str, Node]:
    """The nodes of one tier from columns of numbers.

    Args:
      names: of the nodes.
      **numbers: attributes of `Node`, each one number for all or one for every node.

    Returns:
      The nodes by name.

    Raises:
      ChainError: if a column is longer or shorter than the names.
    """
    columns = {}
    for what, values in numbers.items():
        column = [values] * len(names) if isinstance(values, int | float) else list(values)
        if len(column) != len(names):
            raise ChainError(
                f"{what} has {len(column)} values for {len(names)} nodes: {', '.join(names)}."
            )
        columns[what] = column
    rows = zip(*columns.values(), strict=True) if columns else ([()] * len(names))
    return {
        n: Node(**dict(zip(columns, row, strict=True))) for n, row in zip(names, rows, strict=True)
    }


@dataclass(frozen=True)
class Chain:
    """Tiers of nodes; goods pass one node of every tier.

    Attributes:
      tiers: name of each tier, and its nodes by name; the maker's first, the consumers' last.
      prices: what each group of consumers pays, currency per unit.
      freight: currency per unit that leaves one node for a node of the next tier; 0 if not given.
      closed: pairs of nodes that do not deal with each other.

    Raises:
      ChainError: if a number lies outside its range, or a name is unknown or used twice.
    """

    tiers: Mapping[str, Mapping[str, Node]]
    prices: Mapping[str, float]
    freight: Mapping[tuple[str, str], float] = field(default_factory=dict)
    closed: frozenset[tuple[str, str]] = frozenset()

    def __post_init__(self) -> None:
        names = [name for tier in self.tiers.values() for name in tier]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ChainError(f"The name {min(twice)!r} stands for two nodes; give each its own.")
        for pair in [*self.freight, *self.closed]:
            for name in pair:
                _known(name, names)
        for name in self.consumers:
            if name not in self.prices:
                raise ChainError(f"No price is given for consumers {name!r}.")
        for name, node in self.nodes.items():
            _check(name, node)

    @property
    def nodes(self) -> dict[str, Node]:
        """All nodes by name, tier by tier."""
        return {name: node for tier in self.tiers.values() for name, node in tier.items()}

    @property
    def consumers(self) -> tuple[str, ...]:
        """The names of the last tier."""
        return tuple(list(self.tiers.values())[-1])

    def paths(self) -> list[tuple[str, ...]]:
        """Every way through the chain that no closed pair forbids."""
        count = math.prod(len(tier) for tier in self.tiers.values())
        if count > MOST_PATHS:
            raise ChainError(
                f"The chain has {count:,} ways through; {MOST_PATHS:,} can be routed. Merge nodes "
                "that are alike."
            )
        ways = itertools.product(*self.tiers.values())
        open_ways = [way for way in ways if not self.closed & set(itertools.pairwise(way))]
        if not open_ways:
            raise ChainError("No way leads from maker to consumers: each passes a closed pair.")
        return open_ways

    def with_node(self, name: str, **changes: float) -> "Chain":
        """The same chain with some numbers of one node changed, such as `capacity=120`."""
        _known(name, list(self.nodes))
        tiers = {
            tier: {n: replace(node, **changes) if n == name else node for n, node in nodes.items()}
            for tier, nodes in self.tiers.items()
        }
        return replace(self, tiers=tiers)


def _known(name: str, names: list[str]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        raise ChainError(
            f"No node is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ".")
        )


def _check(name: str, node: Node) -> None:
    fine = {
        "capacity": (node.capacity >= 0, "at least 0"),
        "least": (0 <= node.least < math.inf, "at least 0"),
        "margin": (0 <= node.margin < 1, "from 0 to below 1"),
        "conversion": (0 < node.conversion <= 1, "above 0, at most 1"),
        "holding": (0 <= node.holding < math.inf, "at least 0"),
    }
    for what, (holds, allowed) in fine.items():
        if not holds:
            raise ChainError(f"{name!r}: {what} = {getattr(node, what):g} must be {allowed}.")
    if node.least > node.capacity:
        raise ChainError(
            f"{name!r} must take {node.least:g} units and has a capacity of {node.capacity:g}."
        )
