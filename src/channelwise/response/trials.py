"""Lift tests as arrays in a model's units, for the log density.

A cell is one test in one geo. Only the test's periods and its tail are kept, filled up to whole
quarters, so that a test that is some weeks longer reuses the compiled program.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.response.layout import QUARTER
from channelwise.response.lift import LiftTest, changed_media, periods, tested_geos
from channelwise.response.market import MarketData


class Trials(NamedTuple):
    """The numbers of all lift tests (all float64)."""

    lagged: Float[np.ndarray, "world_cell medium lag period"]  # all changed cells, then as recorded
    geo: Float[np.ndarray, "cell geo"]  # 1 where the cell lies
    weight: Float[np.ndarray, "trial cell"]  # standard errors per unit of response and effect
    lift: Float[np.ndarray, " trial"]  # measured, in standard errors
    error: Float[np.ndarray, " trial"]  # standard errors, in units of the outcome

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the compiled program: tests, cells, periods."""
        return (*self.weight.shape, self.lagged.shape[-1])


def trials(
    tests: Sequence[LiftTest],
    market: MarketData,
    heads: Float[np.ndarray, " geo"],
    outcome_scale: float,
    media_scale: Float[np.ndarray, " medium"],
    lags: int,
) -> Trials | None:
    """The arrays of lift tests, None if there are none.

    Args:
        tests: in the order of the first axis.
        market: the record they are compared with.
        heads: people of each geo, as the model counts them.
        outcome_scale: outcome per head at the value 1.
        media_scale: exposure per head at the value 1.
        lags: longest lag.

    Raises:
        LiftError: if a test does not fit the market.
    """
    if not tests:
        return None
    media = np.concatenate([market.exposure, market.organic], axis=2)
    size = max(stop - first for first, _, stop in (periods(t, market) for t in tests))
    size += -size % QUARTER
    changed, recorded, geo, weight = [], [], [], []
    for i, test in enumerate(tests):
        where, (first, _, stop) = tested_geos(test, market), periods(test, market)
        unit = heads[where, None, None] * media_scale
        shifted = partial(_lagged, lags=lags, first=first, stop=stop, size=size)
        changed.append(shifted(changed_media(test, market, heads) / unit))
        recorded.append(shifted(media[where] / unit))
        geo.append(np.eye(market.n_geos)[where])
        each = test.share * heads[where] * outcome_scale / test.standard_error
        weight.append(np.outer(np.arange(len(tests)) == i, each))
    return Trials(
        np.concatenate(changed + recorded),
        np.concatenate(geo),
        np.concatenate(weight, axis=1),
        np.array([t.lift / t.standard_error for t in tests]),
        np.array([t.standard_error for t in tests]),
    )


def _lagged(media: np.ndarray, lags: int, first: int, stop: int, size: int) -> np.ndarray:
    """Exposure 0 … L periods before each of the periods, (geo, medium, lag, period)."""
    padded = np.pad(media, ((0, 0), (lags, 0), (0, 0)))
    at = lags + np.arange(first, stop) - np.arange(lags + 1)[:, None]
    filled = [(0, 0), (0, 0), (0, 0), (0, size - (stop - first))]
    return np.pad(np.moveaxis(padded[:, at], 3, 1), filled)
