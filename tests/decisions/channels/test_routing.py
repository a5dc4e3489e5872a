"""The best routing, against vertices, duals, re-solved problems and flows on links."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

import chains
from channelwise.decisions.channels.chain import Chain, ChainError, Node
from channelwise.decisions.channels.routing import route

SINGLE = {"maker": {"m": Node(10.0, margin=0.5, holding=2.0)}, "consumer": {"c": Node(7.0)}}


def worth(chain: Chain, path: tuple[str, ...], joint: bool = False) -> tuple[float, dict]:
    """What one unit started on a way earns, and what enters each node: told like a story."""
    units, entering, cost, keeps = 1.0, {}, 0.0, 1.0
    for k, name in enumerate(path):
        node = chain.nodes[name]
        entering[name] = units
        cost += units * node.holding
        units = units * node.conversion
        if k + 1 < len(path):
            cost += units * chain.freight.get((name, path[k + 1]), 0)
        keeps = keeps * (1 if joint else 1 - node.margin)
    return units * chain.prices[path[-1]] * keeps - cost, entering


def best_vertex(chain: Chain) -> float:
    """The best of all vertices of the polytope of flows: brute force over bases."""
    paths = chain.paths()
    earns = np.array([worth(chain, p)[0] for p in paths])
    names = list(chain.nodes)
    a = np.array([[worth(chain, p)[1].get(n, 0.0) for p in paths] for n in names])
    capacity = np.array([chain.nodes[n].capacity for n in names])
    least = np.array([chain.nodes[n].least for n in names])
    rows = np.concatenate([a, -a[least > 0], -np.eye(len(paths))])
    limits = np.concatenate([capacity, -least[least > 0], np.zeros(len(paths))])
    best = -np.inf
    for basis in itertools.combinations(range(len(rows)), len(paths)):
        square = rows[list(basis)]
        if abs(np.linalg.det(square)) > 1e-9:
            f = np.linalg.solve(square, limits[list(basis)])
            if (rows @ f <= limits + 1e-7).all():
                best = max(best, float(earns @ f))
    return best


def test_one_way_earns_what_the_formula_says():
    routing = route(Chain(SINGLE, {"c": 10.0}))
    assert routing.profit == pytest.approx(7 * (10 * 0.5 - 2), rel=1e-12)
    assert routing.shadow == pytest.approx({"m": 0.0, "c": 3.0})
    assert route(Chain(SINGLE, {"c": 10.0}), joint=True).profit == pytest.approx(7 * 8, rel=1e-12)


def test_a_way_that_loses_is_not_used():
    routing = route(Chain(SINGLE, {"c": 3.0}))
    assert routing.profit == 0 and routing.flow == {} and routing.gap == 0


@pytest.mark.parametrize("seed", range(4))
def test_no_vertex_of_the_flows_earns_more(seed):
    chain = chains.drawn(seed, nodes=2, tiers=3)
    assert route(chain).profit == pytest.approx(best_vertex(chain), rel=1e-9)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_the_duals_prove_the_optimum(seed, joint):
    """Weak duality holds way by way, and the two objectives meet."""
    chain = chains.drawn(seed)
    routing = route(chain, joint=joint)
    assert routing.gap < 1e-9
    for path in chain.paths():
        earns, entering = worth(chain, path, joint)
        charged = sum(
            units * (routing.shadow[n] - routing.contract[n]) for n, units in entering.items()
        )
        assert charged >= earns - 1e-7
        if routing.flow.get(path, 0) > 1e-6:
            assert charged == pytest.approx(earns, abs=1e-7)
    assert min(routing.shadow.values()) >= 0 and min(routing.contract.values()) >= 0


@pytest.mark.parametrize("seed", range(5))
def test_flows_add_up_and_keep_every_limit(seed):
    chain = chains.drawn(seed)
    routing = route(chain)
    entering, profit = dict.fromkeys(chain.nodes, 0.0), 0.0
    for path, f in routing.flow.items():
        earns, units = worth(chain, path)
        profit += f * earns
        for name, u in units.items():
            entering[name] += f * u
    assert profit == pytest.approx(routing.profit, rel=1e-9)
    assert entering == pytest.approx(routing.entering, abs=1e-9)
    for name, node in chain.nodes.items():
        assert node.least - 1e-7 <= entering[name] <= node.capacity + 1e-7


def test_a_shadow_price_is_what_one_unit_of_capacity_more_and_less_changes():
    chain = chains.known()
    base = route(chain)
    assert sum(price > 0 for price in base.shadow.values()) >= 5
    for name, price in base.shadow.items():
        capacity = chain.nodes[name].capacity
        more = route(chain.with_node(name, capacity=capacity + 1)).profit - base.profit
        less = base.profit - route(chain.with_node(name, capacity=capacity - 1)).profit
        assert more == pytest.approx(price, abs=1e-8) and less == pytest.approx(price, abs=1e-8)


def test_more_of_a_capacity_is_never_worth_more_than_its_shadow_price_says():
    chain = chains.known()
    base = route(chain)
    for name in ("shop", "web", "city"):
        capacity = chain.nodes[name].capacity
        gain = route(chain.with_node(name, capacity=3 * capacity)).profit - base.profit
        assert 0 < gain < 0.95 * 2 * capacity * base.shadow[name]


def test_a_contract_costs_what_one_unit_less_of_it_brings():
    chain = chains.known().with_node("land", least=450.0)
    base = route(chain)
    assert base.contract["land"] > 1 and base.entering["land"] == pytest.approx(450, abs=1e-9)
    easier = route(chain.with_node("land", least=449.0)).profit - base.profit
    assert easier == pytest.approx(base.contract["land"], abs=1e-8)


def test_the_joint_optimum_equals_a_linear_program_of_links():
    """With margins in the family, flows on links say it all: another formulation, same profit."""
    chain = chains.known()
    tiers = [list(tier) for tier in chain.tiers.values()]
    links = [
        pair
        for upper, lower in itertools.pairwise(tiers)
        for pair in itertools.product(upper, lower)
        if pair not in chain.closed
    ]
    nodes, n = chain.nodes, len(links)
    gain = np.array([-chain.freight.get(pair, 0.0) - nodes[pair[1]].holding for pair in links])
    gain += [chain.prices.get(b, 0.0) * nodes[b].conversion for _, b in links]
    into = {name: np.array([b == name for _, b in links], float) for name in nodes}
    out = {name: np.array([a == name for a, _ in links], float) for name in nodes}
    into["plant"] = out["plant"]
    gain -= out["plant"] * nodes["plant"].holding
    middle = [name for tier in tiers[1:-1] for name in tier]
    found = linprog(
        -gain,
        A_ub=np.array([into[name] for name in nodes]),
        b_ub=[node.capacity for node in nodes.values()],
        A_eq=np.array([out[m] - nodes[m].conversion * into[m] for m in middle]),
        b_eq=np.zeros(len(middle)),
    )
    assert n == 2 + 5 + 6 + 4
    assert route(chain, joint=True).profit == pytest.approx(-found.fun, rel=1e-9)


def test_the_routing_that_is_best_for_all_earns_all_together_no_less():
    for seed in range(5):
        chain = chains.drawn(seed)
        own, joint = route(chain), route(chain, joint=True)
        together = sum(f * worth(chain, path, joint=True)[0] for path, f in own.flow.items())
        assert joint.profit >= together - 1e-9 and together >= own.profit - 1e-9


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_another_unit_of_currency_changes_nothing_else(unit):
    chain = chains.known()
    tiers = {
        tier: {
            n: Node(v.capacity, v.least, v.margin, v.conversion, v.holding * unit)
            for n, v in nodes.items()
        }
        for tier, nodes in chain.tiers.items()
    }
    scaled = Chain(
        tiers,
        {k: v * unit for k, v in chain.prices.items()},
        {k: v * unit for k, v in chain.freight.items()},
        chain.closed,
    )
    one, other = route(chain), route(scaled)
    assert other.profit / unit == pytest.approx(one.profit, rel=1e-9)
    assert other.flow == pytest.approx(one.flow, abs=1e-6)
    assert {k: v / unit for k, v in other.shadow.items()} == pytest.approx(one.shadow, abs=1e-8)


def test_contracts_that_cannot_be_met_are_named_with_what_is_in_their_way():
    chain = chains.known().with_node("city", least=400.0).with_node("land", least=400.0)
    says = r"contract of 'city' \(400 units\) and 'land' \(400 units\): 91 units are missing at "
    with pytest.raises(ChainError, match=says + "best, because the capacity of 'shop', 'web'"):
        route(chain)


def test_a_contract_that_no_way_leads_to_is_named():
    chain = chains.known(closed=frozenset({("shop", "land"), ("web", "land")}))
    with pytest.raises(ChainError, match=r"'land' \(5 units\): 5 .* because no open way"):
        route(chain.with_node("land", least=5.0))


def test_a_profit_without_limit_names_the_way_that_has_none():
    chain = Chain({"maker": {"m": Node()}, "consumer": {"c": Node()}}, {"c": 1.0})
    with pytest.raises(ChainError, match="no limit: m → c earns 1 a unit"):
        route(chain)


def test_a_way_without_a_limit_that_does_not_pay_is_no_error():
    chain = Chain({"maker": {"m": Node(holding=2)}, "consumer": {"c": Node()}}, {"c": 1.0})
    routing = route(chain)
    assert routing.profit == 0 and routing.entering == {"m": 0.0, "c": 0.0}


def test_the_table_has_a_row_for_every_node():
    table = route(chains.known()).table()
    assert list(table["node"]) == list(chains.known().nodes)
    assert table["used, %"].max() == pytest.approx(100, abs=1e-9)
    assert (table["units"] <= table["capacity"] + 1e-9).all()
