"""Errors in units of the last place, at spacings known exactly."""

import numpy as np

from channelwise.foundations.ulp import LOST, ulp_error


def error(y, truth):
    return ulp_error(np.asarray(y, np.float32), np.asarray(truth, np.float64))


def test_neighbouring_floats_are_one_apart_at_every_magnitude():
    truth = np.float32([1e-37, 1.0, 1.5, 3.0, 1e30])
    np.testing.assert_array_equal(error(truth, truth), 0)
    np.testing.assert_array_equal(error(np.nextafter(truth, np.float32(np.inf)), truth), 1)
    np.testing.assert_array_equal(error(-np.nextafter(truth, np.float32(np.inf)), -truth), 1)


def test_a_truth_between_two_floats_gives_a_fraction():
    np.testing.assert_allclose(error([1.0], [1 + 2.0**-25]), 0.25)


def test_wrong_zeros_infinities_and_nan_have_lost_every_digit():
    got = error([0.0, np.inf, np.nan, -np.inf], [1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(got, [2.0**23, LOST, LOST, LOST])


def test_nothing_is_asked_where_the_truth_is_no_normal_float32():
    np.testing.assert_array_equal(error([0.0, np.inf], [1e-39, 1e39]), 0)
