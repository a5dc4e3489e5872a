"""Channel values to test with: a known one, and random ones of every shape."""

import numpy as np

from channelwise.decisions.channels.channel_value import ChannelValue
from channelwise.decisions.channels.strength import Precision, Strength


def known(*, slope: float = 2.0, unit: float = 1.0, margin: float = 8.0) -> ChannelValue:
    """Three channels with several local optima for slopes above 1; money in another unit."""
    half = unit * 1e3 * np.array([[30, 40, 15], [20, 45, 40], [25, 50, 30]])
    return ChannelValue(
        ("website", "app", "platform"),
        eta=Strength([0.8, 0.9, 0.6], half[0], [1, 1, 1]),
        beta=Strength([0.45, 0.35, 0.7], half[1], [1, slope, slope]),
        gamma=Strength([0.6, 0.7, 0.2], half[2], [slope, slope, 1]),
        market=1e5,
        satisfaction=0.9,
        precision=Precision(0.6, 0.97, 5e3, 0.3),
        margin=margin * unit,
        buying=(0.1, 0.5),
    )


def drawn(seed: int, channels: int = 3) -> ChannelValue:
    """A random value: concave and S-shaped strengths, some worth nothing, some several budgets."""
    rng = np.random.default_rng(seed)

    def strength() -> Strength:
        slope = np.where(rng.random(channels) < 0.5, 1.0, rng.uniform(1, 6, channels))
        return Strength(rng.uniform(0, 0.95, channels), rng.uniform(0.05, 1.5, channels), slope)

    untrained, best = np.sort(rng.uniform(0.2, 1, 2))
    return ChannelValue(
        tuple(f"c{i}" for i in range(channels)),
        strength(),
        strength(),
        strength(),
        market=rng.uniform(10, 1000),
        satisfaction=rng.uniform(0.3, 1),
        precision=Precision(untrained, best, rng.uniform(1, 100), rng.uniform(0.05, 1)),
        margin=rng.uniform(1, 10) / 100,
        buying=tuple(np.sort(rng.uniform(0, 1, 2)).tolist()),
    )
