"""Many markets in one compiled program give what each gives alone."""

import numpy as np
import pytest

from channelwise.response.diagnostics import mcse_mean
from channelwise.response.fit import fit, fit_many
from channelwise.response.mmm import Model, ModelError
from channelwise.response.simulate import family_market

MODEL = Model(lags=4, seasonality=0)


@pytest.fixture(scope="module")
def markets():
    return [family_market(seed, weeks=60, channels=2, controls=0).market for seed in range(3)]


def test_markets_fitted_side_by_side_agree_with_markets_fitted_alone(markets):
    together = fit_many(markets, MODEL, seed=7)
    for i, market in enumerate(markets):
        alone = fit(market, MODEL, seed=7 + i)
        assert together[i].market is market
        assert together[i].draws["roi"].shape == alone.draws["roi"].shape
        for name in ("roi", "alpha", "sigma"):
            a, b = together[i].draws[name], alone.draws[name]
            gap = a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))
            assert (np.abs(gap) < 5 * np.hypot(mcse_mean(a), mcse_mean(b))).all(), (i, name)


def test_markets_of_different_shapes_are_refused_by_number(markets):
    other = family_market(9, weeks=70, channels=2, controls=0).market
    with pytest.raises(ModelError, match="Market 2 differs in shape from market 0"):
        fit_many([*markets[:2], other], MODEL)
