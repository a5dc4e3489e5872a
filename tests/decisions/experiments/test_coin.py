"""The exact test of conversions, by enumeration of everything that can happen."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, binom

from channelwise.decisions.experiments.arms import Counts, ExperimentError
from channelwise.decisions.experiments.coin import exact_lift, lift_ends, log_e_value
from channelwise.decisions.experiments.sequential import tightest


def ever_rejected(tosses: int, q: float, planned: float, share: float) -> float:
    """P(e ≥ 20 at any of the tosses), exactly, by the distribution of counts that go on."""
    going, stopped = np.array([1.0]), 0.0
    for n in range(1, tosses + 1):
        x_b = np.arange(n + 1.0)
        going = np.append(going, 0) * (1 - q) + np.append(0, going) * q
        reject = log_e_value(n - x_b, x_b, share, planned, 0.05, share) >= np.log(20)
        stopped += going[reject].sum()
        going[reject] = 0
    return stopped


@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("planned", [3.0, 50.0, 2000.0])
def test_the_error_of_looking_at_every_conversion_is_below_alpha_exactly(share, planned):
    assert 0 < ever_rejected(1500, share, planned, share) <= 0.05


def test_a_real_lift_is_found():
    assert ever_rejected(1500, 0.58, 500.0, 0.5) > 0.99


@pytest.mark.parametrize("n", [1, 7, 300])
def test_e_has_the_mean_1_if_the_hypothesis_is_true(n):
    x_b, q = np.arange(n + 1.0), 0.3
    e = np.exp(log_e_value(n - x_b, x_b, q, 40.0, share=0.5))
    assert binom.pmf(x_b, n, q) @ e == pytest.approx(1, rel=1e-10)


def test_e_is_a_likelihood_ratio_averaged_over_its_prior():
    k = 60.0 / tightest(0.05)
    prior = beta(0.2 * k, 0.8 * k)

    def ratio(q: float) -> float:
        return prior.pdf(q) * (q / 0.3) ** 5 * ((1 - q) / 0.7) ** 9

    expected = quad(ratio, 0, 1)[0]
    found = np.exp(log_e_value(9, 5, 0.3, 60.0, share=0.2))
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("x_a, x_b", [(30, 55), (4, 0), (0, 9), (1000, 900)])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_the_ends_are_the_lifts_whose_e_is_one_over_alpha(x_a, x_b, share):
    low, high = lift_ends(x_a, x_b, 100.0, 0.05, share)
    for lift, count in ((low, x_b), (high, x_a)):
        if count:
            odds = (1 + lift) * share / (1 - share)
            log_e = log_e_value(x_a, x_b, odds / (1 + odds), 100.0, 0.05, share)
            assert log_e == pytest.approx(np.log(20), rel=1e-6)
    assert (low == -1) == (x_b == 0) and (high == np.inf) == (x_a == 0)


def test_interval_and_p_value_are_one_test():
    for x_b in range(90, 160, 5):
        found = exact_lift(Counts(100, 2000), Counts(x_b, 2000), 250.0)
        assert (found.low > 0) == found.significant
        assert found.value == pytest.approx(x_b / 100 - 1)


def test_before_the_first_conversion_nothing_is_said():
    found = exact_lift(Counts(0, 50), Counts(0, 60), 100.0)
    assert np.isnan(found.value) and (found.low, found.high, found.p_value) == (-1, np.inf, 1)


def test_an_overwhelming_effect_has_a_p_value_of_0():
    assert exact_lift(Counts(10, 10**6), Counts(10**5, 10**6), 1e5).p_value == 0


def test_swapping_equal_arms_mirrors_the_lift():
    a, b = Counts(40, 1000), Counts(70, 1000)
    there, back = exact_lift(a, b, 100.0), exact_lift(b, a, 100.0)
    assert (1 + there.low) * (1 + back.high) == pytest.approx(1)
    assert there.p_value == pytest.approx(back.p_value)


@pytest.mark.parametrize("rate_a, rate_b", [(0.5, 0.5), (0.02, 0.04)])
def test_the_sequence_holds_the_lift_at_all_times_of_a_randomized_test(rate_a, rate_b):
    rng, cases, n = np.random.default_rng(0), 1000, 1500
    treated = rng.random((cases, n)) < 0.3
    converted = rng.random((cases, n)) < np.where(treated, rate_b, rate_a)
    x_b, x_a = (np.cumsum(converted & arm, 1) for arm in (treated, ~treated))
    odds = rate_b / rate_a * 0.3 / 0.7
    log_e = log_e_value(x_a, x_b, odds / (1 + odds), 60.0, 0.1, 0.3)
    held = (log_e < np.log(10)).all(1).mean()
    assert held >= 0.9 - 2 * np.sqrt(0.09 / cases)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: exact_lift(Counts(1, 9), Counts(1, 9), 9.0, share=1.0), "share is 1; it must"),
        (lambda: exact_lift(Counts(1, 9), Counts(1, 9), 9.0, level=95.0), "level is 95; it must"),
        (lambda: exact_lift(Counts(1, 9), Counts(1, 9), -1.0), "planned is -1; give a finite"),
        (lambda: lift_ends(-1, 3, 9.0), "conversions below 0; give counts"),
    ],
)
def test_settings_outside_their_ranges_are_refused(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
