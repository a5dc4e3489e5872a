"""Arms: what they hold, what they refuse, and the delta method against brute force."""

import numpy as np
import pytest

from channelwise.decisions.experiments.arms import Counts, ExperimentError, Moments, ratio_moments


def test_counts_have_the_moments_of_a_coin():
    arm = Counts(30, 120)
    assert (arm.n, arm.failures, arm.mean, arm.variance) == (120, 90, 0.25, 0.1875)
    assert Counts(np.int64(3), 5.0) == Counts(3, 5)


def test_moments_are_those_of_the_values():
    y = np.array([3.0, 1.0, 2.0, 6.0])
    assert Moments.of(y) == Moments(4, 3.0, y.var(ddof=1))
    assert Moments.of(np.array([1, 2, 4])).mean == pytest.approx(7 / 3)


def test_a_ratio_of_one_denominator_each_is_a_mean():
    y = np.random.default_rng(0).gamma(2, size=500)
    found, plain = ratio_moments(y, np.ones(500)), Moments.of(y)
    assert found.mean == pytest.approx(plain.mean) and found.variance == pytest.approx(
        plain.variance
    )


def test_the_error_of_a_ratio_equals_the_jackknife():
    rng = np.random.default_rng(1)
    x = rng.poisson(rng.gamma(2, 2, 3000)) + 0.0
    y = rng.binomial(x.astype(int), rng.beta(2, 20, 3000)) + 0.0
    found = ratio_moments(y, x)
    leave_one_out = (y.sum() - y) / (x.sum() - x)
    jackknife = (len(x) - 1) * leave_one_out.var()
    assert found.mean == y.sum() / x.sum()
    assert found.variance / found.n == pytest.approx(jackknife, rel=0.005)
    naive = found.mean * (1 - found.mean) / x.sum()
    assert found.variance / found.n > 1.2 * naive  # clicks of one user resemble each other


def test_the_unit_of_a_ratio_does_not_matter():
    rng = np.random.default_rng(2)
    y, x = rng.gamma(1, size=100), rng.gamma(3, size=100)
    small, large = ratio_moments(y, x), ratio_moments(1e6 * y, 1e3 * x)
    assert large.mean == pytest.approx(1e3 * small.mean)
    assert large.variance == pytest.approx(1e6 * small.variance)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: Counts(6, 5), "6 successes in 5 trials; give 0 to 5"),
        (lambda: Counts(-1, 5), "-1 successes in 5 trials"),
        (lambda: Counts(0, 0), "trials is 0; an arm needs at least 1 unit"),
        (lambda: Counts(1.5, 5), "successes is 1.5; give a whole number"),
        (lambda: Moments(1, 2.0, 0.0), "n is 1; a variance needs at least 2"),
        (lambda: Moments(5, 2.0, -1.0), "variance is -1; both must be finite"),
        (lambda: Moments.of(np.array([1.0, np.nan, 2.0])), "values hold 1 .* first in row 1"),
        (lambda: Moments.of(np.array([])), "0 values; a variance needs"),
        (lambda: ratio_moments(np.ones(3), np.ones(2)), "3 numerators but 2 denominators"),
        (lambda: ratio_moments(np.ones(3), np.zeros(3)), "the denominators sum to 0 or less"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_arm_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
