"""The chain itself: its ways, and what it refuses."""

import pytest

import chains
from channelwise.decisions.channels.chain import Chain, ChainError, Node, tier


def test_every_way_passes_one_node_of_each_tier_and_no_closed_pair():
    chain = chains.known()
    paths = chain.paths()
    assert len(paths) == 1 * (2 * 3 - 1) * 2 * 2 == len(set(paths))
    assert all(path[0] == "plant" and path[-1] in ("city", "land") for path in paths)
    assert not any(path[1:3] == ("north", "dealer") for path in paths)


def test_changing_one_node_leaves_all_others_and_the_chain_itself():
    chain = chains.known()
    changed = chain.with_node("shop", capacity=7.0)
    assert changed.nodes["shop"] == Node(7.0, margin=0.25, conversion=0.9, holding=3)
    assert chain.nodes["shop"].capacity == 450
    assert {n: v for n, v in changed.nodes.items() if n != "shop"} == {
        n: v for n, v in chain.nodes.items() if n != "shop"
    }


def test_a_tier_is_made_of_columns_and_of_numbers_for_all():
    made = tier(["a", "b"], capacity=[1.0, 2.0], margin=0.1)
    assert made == {"a": Node(1.0, margin=0.1), "b": Node(2.0, margin=0.1)}
    assert tier(["a"]) == {"a": Node()} and tier([], capacity=[]) == {}


def test_a_column_of_another_length_is_named():
    with pytest.raises(ChainError, match=r"margin has 1 values for 2 nodes: a, b\."):
        tier(["a", "b"], capacity=3.0, margin=[0.1])


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (Node(-1.0), "'shop': capacity = -1 must be at least 0"),
        (Node(10.0, margin=1.0), "'shop': margin = 1 must be from 0 to below 1"),
        (Node(10.0, conversion=0.0), "'shop': conversion = 0 must be above 0, at most 1"),
        (Node(10.0, holding=float("nan")), "'shop': holding = nan must be at least 0"),
        (Node(10.0, least=11.0), "'shop' must take 11 units and has a capacity of 10"),
    ],
)
def test_a_node_outside_its_range_is_named(node, says):
    with pytest.raises(ChainError, match=says):
        Chain({"maker": {"shop": node}, "consumer": {"all": Node(1.0)}}, {"all": 1.0})


def test_unknown_and_repeated_names_are_named_with_the_nearest():
    with pytest.raises(ChainError, match="'shp'; did you mean 'shop'"):
        chains.known().with_node("shp", capacity=1.0)
    with pytest.raises(ChainError, match="'citty'; did you mean 'city'"):
        chains.known(freight={("shop", "citty"): 1.0})
    with pytest.raises(ChainError, match="No price is given for consumers 'land'"):
        chains.known(prices={"city": 1.0})
    with pytest.raises(ChainError, match="The name 'a' stands for two nodes"):
        Chain({"maker": {"a": Node(1.0)}, "consumer": {"a": Node(1.0)}}, {"a": 1.0})


def test_a_chain_that_is_shut_says_so():
    shut = frozenset({("plant", "north"), ("plant", "south")})
    with pytest.raises(ChainError, match="No way leads from maker to consumers"):
        chains.known(closed=shut).paths()


def test_a_chain_with_too_many_ways_is_refused_before_they_are_listed():
    tiers = {f"t{t}": {f"{t}-{i}": Node(1.0) for i in range(20)} for t in range(5)}
    with pytest.raises(ChainError, match="3,200,000 ways through; 100,000 can be routed"):
        Chain(tiers, {f"4-{i}": 1.0 for i in range(20)}).paths()
