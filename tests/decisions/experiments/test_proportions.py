"""Score tests of two rates against published examples, brute force and simulation."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import xlog1py, xlogy
from scipy.stats import binom, chi2_contingency

from channelwise.decisions.experiments.arms import Counts, ExperimentError
from channelwise.decisions.experiments.proportions import (
    Rates,
    Table,
    difference_ends,
    difference_score,
    rates_at_difference,
    rates_at_ratio,
    ratio_ends,
    ratio_score,
)

TABLES = [
    (48, 80, 56, 70),
    (3, 900, 11, 1200),
    (0, 40, 2, 50),
    (7, 7, 30, 41),
    (50, 10**7, 90, 9e6),
]
each_table = pytest.mark.parametrize("table", [Table(*map(float, t)) for t in TABLES])


def rates(table: Table) -> Rates:
    return Rates(Counts(table.x_a, table.n_a), Counts(table.x_b, table.n_b))


def log_likelihood(table: Table, p_a: float, p_b: float) -> float:
    x_a, n_a, x_b, n_b = table
    a = xlogy(x_a, p_a) + xlog1py(n_a - x_a, -p_a)
    return a + xlogy(x_b, p_b) + xlog1py(n_b - x_b, -p_b)


def test_the_difference_has_the_interval_newcombe_printed():
    found = rates(Table(48.0, 80.0, 56.0, 70.0)).difference()
    assert (found.low, found.high) == pytest.approx((0.0528, 0.3382), abs=5e-5)


def test_the_ratio_has_nearly_the_interval_koopman_printed():
    found = rates(Table(16.0, 80.0, 36.0, 40.0)).lift()
    assert (found.low + 1, found.high + 1) == pytest.approx((2.939, 7.152), rel=0.003)


@each_table
@pytest.mark.parametrize("d", [-0.4, -1e-3, 0.0, 2e-5, 0.3, 0.9])
def test_the_rates_at_a_difference_are_the_likeliest(table, d):
    found = rates_at_difference(table, d)
    assert found[1] - found[0] == pytest.approx(d, abs=1e-15)
    best = minimize_scalar(
        lambda p: -log_likelihood(table, p, p + d),
        bounds=(max(0, -d), min(1, 1 - d)),
        method="bounded",
        options={"xatol": 1e-13},
    )
    inside = np.clip(found, 0, 1)
    assert log_likelihood(table, *inside) >= -best.fun - 1e-7 * (1 + abs(best.fun))


@each_table
@pytest.mark.parametrize("r", [1e-3, 0.4, 1.0, 1.7, 300.0])
def test_the_rates_at_a_ratio_are_the_likeliest(table, r):
    found = rates_at_ratio(table, r)
    best = minimize_scalar(
        lambda p: -log_likelihood(table, p, r * p),
        bounds=(0, min(1, 1 / r)),
        method="bounded",
        options={"xatol": 1e-14},
    )
    assert found[1] == pytest.approx(r * found[0])
    assert log_likelihood(table, *found) >= -best.fun - 1e-7 * (1 + abs(best.fun))


@each_table
def test_the_p_value_is_pearsons_with_one_degree_of_freedom_less(table):
    x_a, n_a, x_b, n_b = table
    n = n_a + n_b
    square = chi2_contingency([[x_a, n_a - x_a], [x_b, n_b - x_b]], correction=False).statistic
    assert difference_score(table, 0.0) ** 2 == pytest.approx(square * (n - 1) / n, rel=1e-6)
    assert ratio_score(table, 1.0) == pytest.approx(difference_score(table, 0.0), rel=1e-6)


@each_table
def test_intervals_are_what_the_tests_accept(table):
    low, high = difference_ends(table, 1.7)
    scores = [difference_score(table, d) for d in (low, high)]
    assert scores == pytest.approx([1.7, -1.7], abs=1e-5)
    low, high = ratio_ends(table, 1.7)
    assert (
        ratio_score(table, high) == pytest.approx(-1.7, abs=1e-5) if table.x_a else high == np.inf
    )
    if low > 0:
        assert ratio_score(table, low) == pytest.approx(1.7, abs=1e-5)


@each_table
def test_naming_the_arms_the_other_way_mirrors_everything(table):
    there, back = rates(table), Rates(rates(table).treatment, rates(table).control)
    a, b = there.difference(0.9), back.difference(0.9)
    assert (a.low, a.high) == pytest.approx((-b.high, -b.low), abs=1e-9)
    assert there.p_value() == pytest.approx(back.p_value(), rel=1e-5)
    c, d = there.lift(0.9), back.lift(0.9)
    assert (1 + c.low) * (1 + d.high) == pytest.approx(1, rel=1e-6) or c.low == -1
    assert there.p_value(0.01, "greater") == pytest.approx(back.p_value(-0.01, "less"), rel=1e-5)


def test_without_conversions_the_difference_is_bounded_and_the_lift_unknown():
    none = Rates(Counts(0, 100), Counts(0, 300))
    difference, lift = none.difference(), none.lift()
    assert difference.p_value == lift.p_value == 1
    assert -0.04 < difference.low < 0 == difference.value < difference.high < 0.04
    assert np.isnan(lift.value) and (lift.low, lift.high) == (-1, np.inf)
    assert str(lift).startswith("lift unknown (95% score: -100.0% to no upper limit")


def test_a_control_without_conversions_still_bounds_the_lift_from_below():
    lift = Rates(Counts(0, 1000), Counts(12, 1000)).lift()
    assert lift.value == lift.high == np.inf and 1 < lift.low < 12
    mirrored = Rates(Counts(12, 1000), Counts(0, 1000)).lift()
    assert mirrored.low == -1 and mirrored.high == pytest.approx(1 / (1 + lift.low) - 1, rel=1e-6)


@pytest.mark.parametrize("p_a, p_b, n_a, n_b", [(0.05, 0.07, 150, 90), (0.5, 0.4, 30, 30)])
def test_intervals_of_few_units_hold_the_truth_as_often_as_they_say(p_a, p_b, n_a, n_b):
    """Exactly, over all tables: the mean over base rates nearby is 95 %, give or take lattices."""
    x_a, x_b = np.meshgrid(np.arange(n_a + 1.0), np.arange(n_b + 1.0), indexing="ij")
    table = Table(x_a, np.full_like(x_a, n_a), x_b, np.full_like(x_a, n_b))
    d_low, d_high = difference_ends(table, 1.959963984540054)
    r_low, r_high = ratio_ends(table, 1.959963984540054)
    held = []
    for s in np.linspace(0.85, 1.15, 13):
        a, b = s * p_a, s * p_b
        w = binom.pmf(x_a, n_a, a) * binom.pmf(x_b, n_b, b)
        held.append(
            [
                w[(d_low <= b - a) & (b - a <= d_high)].sum(),
                w[(r_low <= b / a) & (b / a <= r_high)].sum(),
            ]
        )
    np.testing.assert_allclose(np.mean(held, axis=0), 0.95, atol=0.008)
    assert np.min(held) > 0.93


def test_a_margin_outside_all_differences_is_refused():
    with pytest.raises(ExperimentError, match="null is 1; a difference of rates lies in"):
        Rates(Counts(1, 2), Counts(1, 2)).p_value(null=1.0)
