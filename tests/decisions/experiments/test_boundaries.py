"""Group-sequential boundaries against published tables, the multivariate normal and simulation."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from channelwise.decisions.experiments.arms import ExperimentError
from channelwise.decisions.experiments.boundaries import (
    Boundary,
    naive,
    obrien_fleming,
    pocock,
    spending,
)


@pytest.mark.parametrize(
    "looks, percent", [(1, 5.0), (2, 8.3), (3, 10.7), (5, 14.2), (10, 19.3), (20, 24.8), (50, 32.0)]
)
def test_naive_looks_err_as_often_as_armitage_mcpherson_and_rowe_printed(looks, percent):
    assert 100 * naive(looks).type_one == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize(
    "looks, nominal", [(1, 0.05), (2, 0.0294), (3, 0.0221), (4, 0.0182), (5, 0.0158), (10, 0.0106)]
)
def test_pococks_nominal_levels_are_as_published(looks, nominal):
    found = pocock(looks)
    np.testing.assert_allclose(found.nominal, nominal, atol=6e-5)
    assert found.type_one == pytest.approx(0.05, abs=1e-9)


def test_obrien_and_flemings_boundary_is_as_published():
    found = obrien_fleming(5)
    np.testing.assert_allclose(found.z, 2.040 * np.sqrt(5 / np.arange(1, 6)), rtol=1e-4)
    assert found.type_one == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(
    "boundary, factor", [(pocock(5), 1.229), (obrien_fleming(5), 1.028), (pocock(1), 1.0)]
)
def test_what_looking_costs_in_sample_is_as_jennison_and_turnbull_printed(boundary, factor):
    assert boundary.inflation(0.8) == pytest.approx(factor, abs=0.0011)
    assert boundary.power(boundary.drift(0.8)) == pytest.approx(0.8)


def test_two_uneven_looks_are_a_bivariate_normal():
    z, t, drift = np.array([2.2, 2.0]), np.array([0.3, 1.0]), 1.7
    joint = multivariate_normal(drift * np.sqrt(t), [[1, np.sqrt(0.3)], [np.sqrt(0.3), 1]])
    stay = joint.cdf(z, lower_limit=-z)
    first = 1 - np.diff(norm.cdf([-z[0], z[0]], drift * np.sqrt(0.3)))[0]
    found = Boundary(z, t).stopping(drift)
    assert found == pytest.approx([first, 1 - stay - first], abs=1e-6)


def test_stopping_equals_a_simulation():
    rng, boundary, drift = np.random.default_rng(0), spending(np.array([0.1, 0.5, 0.6, 1.0])), 2.5
    steps = np.diff(boundary.information, prepend=0)
    s = np.cumsum(drift * steps + np.sqrt(steps) * rng.normal(size=(400_000, 4)), axis=1)
    beyond = np.abs(s / np.sqrt(boundary.information)) >= boundary.z
    first = np.where(beyond.any(1), beyond.argmax(1), 4)
    shares = np.bincount(first, minlength=5) / len(first)
    np.testing.assert_allclose(boundary.stopping(drift), shares[:4], atol=0.003)
    used = np.append(boundary.information, 1.0)[first].mean()
    assert boundary.expected_share(drift) == pytest.approx(used, abs=0.002)


@pytest.mark.parametrize("kind", ["obrien_fleming", "pocock"])
def test_spending_spends_what_it_says_at_any_times(kind):
    t = np.array([0.05, 0.2, 0.21, 0.7, 1.0])
    found = spending(t, 0.05, kind)
    if kind == "pocock":
        spent = 0.05 * np.log1p((np.e - 1) * t)
    else:
        spent = 4 * norm.sf(norm.isf(0.0125) / np.sqrt(t))
    np.testing.assert_allclose(np.cumsum(found.stopping()), spent, atol=1e-9)


def test_spending_like_obrien_and_fleming_is_close_to_them():
    # Lan and DeMets' boundary for five equal looks, as gsDesign and rpact print it
    expected = [4.877, 3.357, 2.680, 2.290, 2.031]
    np.testing.assert_allclose(spending(np.arange(1, 6) / 5).z, expected, atol=0.0015)


def test_more_looks_stop_earlier_and_need_more_at_most():
    drift = 2.8
    few, many = pocock(2), pocock(20)
    assert many.expected_share(3 * drift) < few.expected_share(3 * drift)
    assert many.inflation() > few.inflation() > 1


def test_a_huge_effect_stops_at_the_first_look():
    found = pocock(4).stopping(60.0)
    assert found[0] == pytest.approx(1) and found.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: pocock(0), "looks is 0; give 1 or more"),
        (lambda: obrien_fleming(3, 1.0), "alpha is 1; it must lie strictly"),
        (lambda: naive(3, 0.0), "alpha is 0; it must lie strictly"),
        (lambda: spending(np.array([0.5, 0.4, 1.0])), "give increasing shares"),
        (lambda: spending(np.array([0.5])), "above 0, the last 1"),
        (lambda: spending(np.array([1.0]), kind="x"), "kind is 'x'; there are obrien_fleming"),
        (lambda: Boundary(np.array([2.0]), np.array([0.5, 1.0])), "1 critical values for 2 looks"),
        (lambda: pocock(2).drift(0.04), "give a value between the error"),
    ],
)
def test_looks_that_cannot_be_are_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
