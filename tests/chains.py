"""Distribution chains to test with: one of five tiers, and random ones."""

import numpy as np

from channelwise.decisions.channels.chain import Chain, Node


def known(**changes: object) -> Chain:
    """Maker → first tier → second tier → retailer → consumer, with several nodes a tier."""
    tiers = {
        "maker": {"plant": Node(1000, holding=20)},
        "first tier": {
            "north": Node(400, margin=0.1, holding=2),
            "south": Node(500, margin=0.08, holding=3),
        },
        "second tier": {
            "agent": Node(300, margin=0.12, conversion=0.98, holding=1),
            "broker": Node(350, margin=0.1, conversion=0.97, holding=1),
            "dealer": Node(250, margin=0.1, holding=2),
        },
        "retailer": {
            "shop": Node(450, margin=0.25, conversion=0.9, holding=3),
            "web": Node(380, margin=0.15, conversion=0.8, holding=1),
        },
        "consumer": {"city": Node(400), "land": Node(500)},
    }
    numbers = {
        "prices": {"city": 100.0, "land": 90.0},
        "freight": {("shop", "land"): 4.0, ("web", "land"): 2.0, ("web", "city"): 1.0},
        "closed": frozenset({("north", "dealer")}),
    }
    return Chain(tiers, **(numbers | changes))


def drawn(seed: int, *, nodes: int = 2, tiers: int = 4) -> Chain:
    """A random chain; every second consumer group has a contract that can be met."""
    rng = np.random.default_rng(seed)

    def node(tier: int, i: int) -> Node:
        last = tier == tiers - 1
        return Node(
            capacity=rng.uniform(20, 100),
            least=rng.uniform(0, 2) if last and i % 2 else 0.0,
            margin=0.0 if last else rng.uniform(0, 0.3),
            conversion=rng.uniform(0.7, 1),
            holding=rng.uniform(0, 5),
        )

    names = [[f"{'mdrscx'[t]}{i}" for i in range(nodes)] for t in range(tiers)]
    built = {f"tier {t}": {n: node(t, i) for i, n in enumerate(names[t])} for t in range(tiers)}
    prices = {name: rng.uniform(10, 60) for name in names[-1]}
    freight = {(a, b): rng.uniform(0, 3) for a in names[0] for b in names[1]}
    return Chain(built, prices, freight)
