"""The best routing through a chain, and what each capacity is worth.

Every way through the chain is a column of a linear program, every capacity a row; the dual of the
row is its shadow price.
"""

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.channels.chain import Chain, ChainError

if TYPE_CHECKING:
    import pandas as pd


class Routing(NamedTuple):
    """The best routing, and the prices that prove it.

    Attributes:
      chain: what was routed.
      flow: units that start on each way that is used, per period.
      entering: units that enter each node, per period.
      profit: currency per period.
      shadow: of each node, what one unit more of capacity would bring, currency per unit, as long
        as the same ways and limits remain the ones that count; 0 where capacity is left. At a tie
        it lies between the value of one unit more and of one unit less.
      contract: of each node, what one unit less of `least` would bring, currency per unit.
      gap: |profit − Σ shadow · capacity + Σ contract · least| / scale: 0 proves the optimum.
    """

    chain: Chain
    flow: dict[tuple[str, ...], float]
    entering: dict[str, float]
    profit: float
    shadow: dict[str, float]
    contract: dict[str, float]
    gap: float

    def table(self) -> "pd.DataFrame":
        """A row a node: tier, units, capacity, share used, shadow price."""
        import pandas as pd

        rows = [
            {
                "tier": tier,
                "node": name,
                "units": self.entering[name],
                "capacity": node.capacity,
                "used, %": 100 * self.entering[name] / node.capacity if node.capacity else 0.0,
                "shadow price": self.shadow[name],
                "cost of contract": self.contract[name],
            }
            for tier, nodes in self.chain.tiers.items()
            for name, node in nodes.items()
        ]
        return pd.DataFrame(rows)


def route(chain: Chain, *, joint: bool = False) -> Routing:
    """The routing that earns most, as a linear program.

    max Σ_P r_P f_P   over   f ≥ 0,   least_i ≤ Σ_{P∋i} a_iP f_P ≤ capacity_i

    f_P are the units that start on path P. Of these a_iP = Π conversion (of the nodes before i)
    enter node i, and one unit started earns

    r_P = price · a_P · Π (1 − margin)  −  Σ_i a_iP · holding_i  −  Σ freight,

    with a_P the share that is sold. Only what is sold is paid for (consignment). Margins are shares
    of the price at which a tier sells, so that (1 − margin) of it is passed back, tier by tier;
    together the tiers (`joint`) keep them all.

    Args:
      chain: tiers, nodes, prices.
      joint: earn for all tiers together: margins stay in the family. Otherwise for the maker, who
        bears all costs of holding and freight.

    Returns:
      The routing with shadow prices and the duality gap.

    Raises:
      ChainError: if contracts cannot be met (naming them), or if profit has no limit (naming a way
        without a capacity).

    Source: Dantzig 1963; solved by HiGHS (Huangfu, Hall 2018) through `scipy.optimize.linprog`.
    """
    paths = chain.paths()
    a, earns = _columns(chain, paths, joint)
    _, limits, capped, bound = _rows(chain, a)
    _require_limits(chain, paths, earns)
    flows, duals = _solve(chain, a, earns)
    n = np.count_nonzero(capped)
    shadow, contract = np.zeros((2, len(a)))
    shadow[capped], contract[bound] = duals[:n], duals[n:]
    profit, paid = float(earns @ flows), duals * limits
    scale = max(np.abs(earns) @ flows, np.abs(paid).sum(), np.finfo(float).tiny)
    flow = {path: float(f) for path, f in zip(paths, flows, strict=True) if f > 0}
    gap = abs(profit - float(paid.sum())) / float(scale)
    entering, shadows, contracts = (_named(chain, x) for x in (a @ flows, shadow, contract))
    return Routing(chain, flow, entering, profit, shadows, contracts, gap)


def _named(chain: Chain, x: Float[np.ndarray, " node"]) -> dict[str, float]:
    return dict(zip(chain.nodes, x.tolist(), strict=True))


def _rows(
    chain: Chain, a: Float[np.ndarray, "node path"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and limits of A f ≤ b, and which nodes have a capacity and which a contract."""
    capacity = np.array([node.capacity for node in chain.nodes.values()])
    least = np.array([node.least for node in chain.nodes.values()])
    capped, bound = np.isfinite(capacity), least > 0
    rows = np.concatenate([a[capped], -a[bound]])
    return rows, np.concatenate([capacity[capped], -least[bound]]), capped, bound


def _columns(
    chain: Chain, paths: list[tuple[str, ...]], joint: bool
) -> tuple[Float[np.ndarray, "node path"], Float[np.ndarray, " path"]]:
    """What one unit started on each path brings into each node, and what it earns."""
    nodes = chain.nodes
    row = {name: i for i, name in enumerate(nodes)}
    a, earns = np.zeros((len(nodes), len(paths))), np.zeros(len(paths))
    for j, path in enumerate(paths):
        units, passed_back, cost = 1.0, 1.0, 0.0
        for name, following in itertools.zip_longest(path, path[1:]):
            node = nodes[name]
            a[row[name], j] = units
            cost += units * node.holding
            units *= node.conversion
            cost += units * chain.freight.get((name, following), 0.0)
            passed_back *= 1.0 if joint else 1 - node.margin
        earns[j] = chain.prices[path[-1]] * units * passed_back - cost
    return a, earns


def _solve(
    chain: Chain, a: Float[np.ndarray, "node path"], earns: Float[np.ndarray, " path"]
) -> tuple[Float[np.ndarray, " path"], Float[np.ndarray, " row"]]:
    """Flows and duals, found in units of the largest numbers: HiGHS' tolerances are absolute."""
    from scipy.optimize import linprog

    rows, limits, _, bound = _rows(chain, a)
    currency, units = np.abs(earns).max() or 1.0, np.abs(limits).max(initial=0.0) or 1.0
    result = linprog(-earns / currency, A_ub=rows, b_ub=limits / units, method="highs")
    if result.status == 0:
        return units * result.x, -currency * result.ineqlin.marginals
    if not bound.any():
        raise ChainError(f"The linear program could not be solved: {result.message}")
    raise ChainError(_conflict(chain, a))


def _conflict(chain: Chain, a: np.ndarray) -> str:
    """The contracts that cannot be met together, and the capacities that are in their way.

    min Σ s   over   A f ≤ b with each contract short of s ≥ 0: the duals name who is in conflict.
    """
    from scipy.optimize import linprog

    rows, limits, capped, bound = _rows(chain, a)
    n, m = np.count_nonzero(capped), np.count_nonzero(bound)
    slack = np.concatenate([np.zeros((n, m)), -np.eye(m)])
    costs = np.concatenate([np.zeros(a.shape[1]), np.ones(m)])
    units = np.abs(limits).max()
    result = linprog(costs, A_ub=np.hstack([rows, slack]), b_ub=limits / units, method="highs")
    counts = -result.ineqlin.marginals > 1e-9
    names = np.array(list(chain.nodes))
    due = zip(names[bound][counts[n:]], -limits[n:][counts[n:]], strict=True)
    contracts = " and ".join(f"'{name}' ({least:g} units)" for name, least in due)
    full = ", ".join(f"'{name}'" for name in names[capped][counts[:n]])
    why = f"the capacity of {full} is too small" if full else "no open way leads there"
    missing = f"{units * result.fun:g} units are missing at best, because {why}"
    return f"No routing meets the contract of {contracts}: {missing}. Lower `least`, or raise it."


def _require_limits(chain: Chain, paths: list[tuple[str, ...]], earns: np.ndarray) -> None:
    """A way that earns and passes no capacity makes the profit infinite; no other can."""
    nodes = chain.nodes
    for path, r in zip(paths, earns, strict=True):
        if r > 0 and all(math.isinf(nodes[name].capacity) for name in path):
            raise ChainError(
                f"The profit has no limit: {' → '.join(path)} earns {r:g} a unit and passes no "
                "capacity. Give one of its nodes a capacity, the consumers their demand."
            )
