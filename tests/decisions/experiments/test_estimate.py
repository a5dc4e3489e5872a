"""Differences and lifts of means against scipy, brute force and simulation."""

import numpy as np
import pytest
from scipy import stats

from channelwise.decisions.experiments.arms import ExperimentError, Moments
from channelwise.decisions.experiments.estimate import Comparison, fieller_ends, log_ratio_ends
from channelwise.decisions.experiments.experiment import compare


def two(seed: int = 0, shift: float = 0.5, n: tuple[int, int] = (40, 90)) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return rng.normal(4, 1, n[0]), rng.normal(4 + shift, 3, n[1])


def of(a: np.ndarray, b: np.ndarray) -> Comparison:
    return compare(Moments.of(a), Moments.of(b))


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("null", [0.0, -0.3, 1.2])
def test_the_p_value_is_that_of_welch_also_against_a_margin(null, alternative):
    a, b = two()
    welch = stats.ttest_ind(b - null, a, equal_var=False, alternative=alternative)
    assert of(a, b).p_value(null, alternative) == pytest.approx(welch.pvalue, rel=1e-10)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_interval_of_the_difference_is_that_of_welch(level):
    a, b = two(1)
    found = of(a, b).difference(level)
    ends = stats.ttest_ind(b, a, equal_var=False).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx(tuple(ends), rel=1e-10)
    assert found.value == pytest.approx(b.mean() - a.mean())


def test_fieller_keeps_the_ratios_that_a_test_accepts():
    a, b = two(2)
    pair, c = of(a, b), 2.1
    low, high = fieller_ends(pair.control, pair.treatment, pair.covariance, c)
    ratios = np.linspace(low - 0.2, high + 0.2, 4001)
    error = np.sqrt(pair.covariance[1, 1] + ratios**2 * pair.covariance[0, 0])
    accepted = ratios[np.abs(pair.treatment - ratios * pair.control) <= c * error]
    assert (accepted[0], accepted[-1]) == pytest.approx((low, high), abs=2e-4)


def test_fieller_counts_an_error_that_both_means_share():
    v = np.array([[0.04, 0.03], [0.03, 0.05]])
    low, high = fieller_ends(2.0, 3.0, v, 1.96)
    for r in (low, high):
        error = np.sqrt(v[1, 1] - 2 * r * v[0, 1] + r**2 * v[0, 0])
        assert abs(3.0 - r * 2.0) == pytest.approx(1.96 * error)


@pytest.mark.parametrize("seed", range(25))
def test_a_lift_excludes_zero_exactly_when_the_difference_does(seed):
    pair = of(*two(seed, shift=0.9))
    lift, difference = pair.lift(), pair.difference()
    assert (
        (lift.low > 0)
        == (difference.low > 0)
        == (pair.treatment > pair.control) * (lift.p_value < 0.05)
    )


def test_dividing_the_ends_of_the_difference_is_too_narrow():
    pair = Comparison(10.0, 15.0, np.diag([1.0, 1.0]), 100, 98.0)
    lift, difference = pair.lift(), pair.difference()
    assert lift.high > difference.high / 10 + 0.1
    assert lift.low < difference.low / 10 - 0.02


def test_the_log_ratio_is_its_delta_method():
    pair = Comparison(10.0, 15.0, np.array([[1.0, 0.3], [0.3, 2.0]]), 100, 98.0)
    slope = np.array([-1 / 10, 1 / 15])
    s = np.sqrt(slope @ pair.covariance @ slope)
    low, high = log_ratio_ends(10.0, 15.0, pair.covariance, 2.0)
    assert (low, high) == pytest.approx((1.5 * np.exp(-2 * s), 1.5 * np.exp(2 * s)))
    assert pair.lift(method="log").low == pytest.approx(pair.lift().low, abs=0.05)


def test_a_control_that_may_be_zero_bounds_no_lift():
    lift = Comparison(1.0, 5.0, np.diag([1.0, 1.0]), 100, 98.0).lift()
    assert (lift.low, lift.high, lift.value) == (-np.inf, np.inf, 4.0)
    assert "no lower limit to no upper limit" in str(lift)


def test_the_unit_does_not_matter():
    a, b = two(3)
    small, large = of(a, b), of(1e9 * a, 1e9 * b)
    assert large.lift().low == pytest.approx(small.lift().low, rel=1e-9)
    assert large.difference().high == pytest.approx(1e9 * small.difference().high)
    assert large.p_value() == pytest.approx(small.p_value())


@pytest.mark.parametrize("true", [0.0, 0.5])
def test_intervals_hold_the_truth_as_often_as_they_say(true):
    rng, cases, n = np.random.default_rng(4), 20_000, 60
    a = rng.gamma(4, 1, (cases, n))
    b = rng.gamma(4, 1 + true, (cases, n))
    means, v = (a.mean(1), b.mean(1)), np.zeros((2, 2, cases))
    v[0, 0], v[1, 1] = a.var(1, ddof=1) / n, b.var(1, ddof=1) / n
    c = stats.t.ppf(0.95, 2 * n - 2)
    for ends in (fieller_ends, log_ratio_ends):
        low, high = ends(*means, v, c)
        assert ((low <= 1 + true) & (1 + true <= high)).mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: of(np.ones(5), np.ones(9)), "the outcome does not vary in either arm"),
        (lambda: of(*two()).difference(1.0), "level is 1; it must lie strictly"),
        (lambda: of(*two()).lift(method="fiehler"), "method is 'fiehler'; there are fieller and"),
        (lambda: of(-two()[0], two()[1]).lift(), "a lift needs a control above 0"),
        (lambda: of(*two()).p_value(0.0, "larger"), "alternative is 'larger'; there are"),
    ],
)
def test_what_has_no_answer_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
