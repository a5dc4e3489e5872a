"""Thresholds from costs, against a loop over rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.learning.decision import cost_threshold, decision_costs

rows = st.lists(
    st.tuples(st.sampled_from(np.linspace(0, 1, 11).tolist()), st.integers(0, 1)),
    min_size=1,
    max_size=40,
)


@given(rows, st.floats(0.1, 100), st.floats(0.1, 100))
@settings(deadline=None)
def test_costs_agree_with_a_loop_over_rows_even_where_a_forecast_is_the_threshold(
    rows, miss, alarm
):
    p, y = (np.array(column) for column in zip(*rows, strict=True))
    thresholds = np.array([0.0, 0.3, 0.5, 1.0, 1.1])
    expected = [
        sum(alarm * (label == 0) if q >= t else miss * (label == 1) for q, label in rows)
        / len(rows)
        for t in thresholds
    ]
    found = decision_costs(p, y, thresholds, miss=miss, alarm=alarm)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("miss", [1.0, 5.0, 100.0])
def test_no_threshold_is_cheaper_for_calibrated_forecasts_than_the_one_from_the_costs(miss):
    rng = np.random.default_rng(0)
    p = rng.random(400_000)
    y = (rng.random(p.size) < p).astype(int)
    grid = np.linspace(0.001, 0.999, 999)
    costs = decision_costs(p, y, grid, miss=miss)
    best = grid[costs.argmin()]
    ours = decision_costs(p, y, np.array([cost_threshold(miss)]), miss=miss)[0]
    assert best == pytest.approx(cost_threshold(miss), abs=0.03)
    assert ours <= costs.min() * 1.005


def test_equal_costs_put_the_threshold_in_the_middle_and_no_cost_is_refused():
    assert cost_threshold(3.0, 3.0) == 0.5
    with pytest.raises(ValueError, match="miss = 0 and alarm = 1"):
        cost_threshold(0)
