"""Posterior comparisons against closed forms and draws."""

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import norm

from channelwise.decisions.experiments.arms import Counts, ExperimentError, Moments
from channelwise.decisions.experiments.belief import beliefs

THREE = {"a": Counts(40, 900), "b": Counts(55, 1000), "c": Counts(3, 40)}


def test_the_probability_that_one_rate_is_higher_is_its_finite_sum():
    a, b = (121.0, 1381.0), (151.0, 1351.0)
    i = np.arange(b[0])
    terms = betaln(a[0] + i, a[1] + b[1]) - np.log(b[1] + i) - betaln(1 + i, b[1]) - betaln(*a)
    found = beliefs({"a": Counts(120, 1500), "b": Counts(150, 1500)})
    expected = np.exp(terms).sum()
    assert found.probability_best()["b"] == pytest.approx(expected, rel=1e-10)
    assert found.difference("a", "b").probability == pytest.approx(expected, rel=1e-8)
    assert found.lift("a", "b").probability == pytest.approx(expected, rel=1e-8)


def test_two_normal_means_have_closed_forms():
    found = beliefs({"a": Moments(100, 5.0, 4.0), "b": Moments(400, 5.3, 16.0)})
    s = np.sqrt(4 / 100 + 16 / 400)
    z = 0.3 / s
    assert found.probability_best()["b"] == pytest.approx(norm.cdf(z), rel=1e-10)
    loss = found.expected_loss()
    assert loss["b"] == pytest.approx(s * (norm.pdf(z) - z * norm.sf(z)), rel=1e-10)
    assert loss["a"] - loss["b"] == pytest.approx(0.3)
    d = found.difference("a", "b", 0.9)
    assert (d.low, d.high) == pytest.approx(norm.interval(0.9, 0.3, s), abs=1e-8)


def test_three_arms_equal_their_draws():
    found, rng = beliefs(THREE), np.random.default_rng(0)
    draws = np.column_stack(
        [rng.beta(1 + x.successes, 1 + x.failures, 10**6) for x in THREE.values()]
    )
    best = np.bincount(draws.argmax(1), minlength=3) / 1e6
    loss = (draws.max(1)[:, None] - draws).mean(0)
    np.testing.assert_allclose(list(found.probability_best().values()), best, atol=0.002)
    np.testing.assert_allclose(list(found.expected_loss().values()), loss, rtol=0.01)
    assert sum(found.probability_best().values()) == pytest.approx(1, abs=1e-10)
    ratio = np.quantile(draws[:, 1] / draws[:, 0] - 1, [0.025, 0.5, 0.975])
    lift = found.lift("a", "b")
    np.testing.assert_allclose([lift.low, lift.mean, lift.high], ratio, atol=0.006)


def test_a_needle_beside_a_haystack_is_not_stepped_over():
    found = beliefs({"hay": Counts(3, 10), "needle": Counts(3_000_000, 10**7)})
    best = found.probability_best()
    assert sum(best.values()) == pytest.approx(1, abs=1e-7)
    from scipy.stats import beta

    assert best["hay"] == pytest.approx(beta(4, 8).sf(0.3), abs=1e-6)


def test_equal_arms_are_equally_good():
    found = beliefs({name: Counts(7, 100) for name in "abcde"})
    assert list(found.probability_best().values()) == pytest.approx([0.2] * 5)


def test_a_prior_pulls_and_a_posterior_is_its_conjugate():
    flat = beliefs({"a": Moments(10, 3.0, 5.0), "b": Moments(10, 4.0, 5.0)}).arm("a")
    sure = beliefs({"a": Moments(10, 3.0, 5.0), "b": Moments(10, 4.0, 5.0)}, (0.0, 0.5)).arm("a")
    assert (flat.low, flat.high) == pytest.approx(norm.interval(0.95, 3, np.sqrt(0.5)))
    assert sure.mean == pytest.approx(3 * 2 / (2 + 4))
    counts = beliefs({"a": Counts(0, 10), "b": Counts(1, 10)}, (2.0, 30.0))
    assert counts.arm("a").mean == pytest.approx(2 / 42)


def test_nothing_seen_leaves_the_prior_probabilities():
    found = beliefs({"a": Counts(0, 5), "b": Counts(0, 5)})
    assert found.difference("a", "b").probability == pytest.approx(0.5)
    lift = found.lift("a", "b")
    assert lift.low < -0.95 and lift.high > 20 and lift.mean == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: beliefs({"a": Counts(1, 2)}), "1 arm: a best one needs at least 2"),
        (lambda: beliefs({"a": Counts(1, 2), "b": Moments(3, 1.0, 1.0)}), "some arms hold counts"),
        (lambda: beliefs(THREE, (0.0, 1.0)), "a of the prior is 0; give a finite number"),
        (
            lambda: beliefs({"a": Moments(3, 1.0, 0.0), "b": Moments(3, 1.0, 1.0)}),
            "the outcome of an arm does not vary",
        ),
        (lambda: beliefs(THREE).arm("A1"), "no arm is called 'A1'.*; there are a, b, c"),
        (
            lambda: beliefs({"a": Moments(9, 0.1, 1.0), "b": Moments(9, 1.0, 1.0)}).lift("a", "b"),
            "the mean of 'a' may be 0 or less",
        ),
    ],
)
def test_what_gives_no_belief_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
