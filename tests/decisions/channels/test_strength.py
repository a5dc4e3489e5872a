"""Channel strength: the formulas against other ways to the same numbers."""

import numpy as np
import pytest

from channelwise.decisions.channels.strength import Precision, Strength, StrengthError

ALIKE = {"most": [0.5], "half": [2.0], "slope": [1.0]}


def test_half_of_the_most_is_reached_at_the_half_saturation_whatever_the_slope():
    strength = Strength([0.8] * 4, [3.0] * 4, [1, 2, 5, 10])
    assert np.allclose(strength.at(np.full(4, 3.0)), 0.4, rtol=1e-15)


def test_a_strength_is_nothing_without_spend_and_its_most_for_endless_spend():
    strength = Strength([0.8, 0.3], [3.0, 1e6], [1, 4])
    assert np.array_equal(strength.at(np.zeros(2)), np.zeros(2))
    assert np.allclose(strength.at(np.full(2, 1e20)), [0.8, 0.3], rtol=1e-12)


def test_the_slope_of_a_strength_agrees_with_differences():
    strength = Strength([0.8, 0.3, 0.5], [3.0, 0.2, 1.0], [1, 4, 2])
    x, h = np.array([1.3, 0.25, 0.0]), 1e-6
    differences = (strength.at(x + h) - strength.at(x)) / h
    assert np.allclose(strength.rise(x), differences, atol=3e-5)


@pytest.mark.parametrize("slope", [1.0, 1.5, 3.0, 10.0])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.2, 0.4), (0.9, 5), (3, 3), (0, 0)])
def test_the_range_of_a_slope_holds_every_slope_between_two_spends_and_is_reached(slope, low, high):
    strength = Strength([0.7], [1.1], [slope])
    least, largest = strength.rise_within(np.array([float(low)]), np.array([float(high)]))
    between = strength.rise(np.linspace(low, high, 20001)[:, None])
    assert least <= between.min() + 1e-15 and between.max() <= largest + 1e-15
    assert np.isclose(least, between.min(), atol=1e-7)
    assert np.isclose(largest, between.max(), atol=1e-7)


def test_the_models_error_falls_as_a_power_of_its_data():
    precision = Precision(0.6, 0.95, examples=100, power=0.5)
    assert precision.at(np.array(0.0)) == pytest.approx(0.6, rel=1e-15)
    errors = 0.95 - precision.at(np.array([300.0, 1500.0]))  # (1 + D/D₀) is 4 and 16
    assert np.allclose(errors, [0.35 / 2, 0.35 / 4], rtol=1e-12)
    assert np.isclose(precision.rise(np.array(0.0)), 0.35 * 0.5 / 100, rtol=1e-14)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"most": [1.0]}, "most = 1 must be from 0 to below 1"),
        ({"half": [0.0]}, "half = 0 must be above 0, in currency"),
        ({"half": [np.inf]}, "half = inf must be above 0"),
        ({"slope": [0.5]}, "slope = 0.5 must be from 1 to 10"),
        ({"slope": [np.nan]}, "slope = nan must be from 1 to 10"),
    ],
)
def test_a_strength_outside_its_range_is_named(changes, says):
    with pytest.raises(StrengthError, match=says):
        Strength(**(ALIKE | changes))


def test_curves_for_different_numbers_of_channels_are_refused():
    with pytest.raises(StrengthError, match="they have 2, 1 and 1"):
        Strength([0.1, 0.2], [1.0], [1.0])


def test_a_precision_that_falls_with_data_is_refused():
    with pytest.raises(StrengthError, match=r"untrained = 0\.9 and best = 0\.8"):
        Precision(0.9, 0.8, 10, 0.3)
    with pytest.raises(StrengthError, match="power = 0 must be above 0"):
        Precision(0.5, 0.8, 10, 0)
