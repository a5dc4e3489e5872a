"""Whole analyses: arms compared, adjusted by covariates and strata, and checked for mismatch."""

import numpy as np
import pytest
from scipy.stats import binomtest

from channelwise.decisions.experiments.arms import Counts, ExperimentError, Moments
from channelwise.decisions.experiments.estimate import Comparison
from channelwise.decisions.experiments.experiment import compare, cuped, sample_ratio, stratified
from channelwise.decisions.experiments.proportions import Rates


def users(seed: int, n: int, rho: float, lift: float, mean: float = 5.0):
    """Outcomes and a covariate of correlation ρ, in two arms of n."""
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 1, (2, n))
    y = mean + 2 * (rho * (x - 3) + np.sqrt(1 - rho**2) * rng.normal(size=(2, n)))
    return y[0], x[0], y[1] + lift, x[1]


def test_the_kind_of_the_arms_decides_the_test():
    assert isinstance(compare(Counts(1, 9), Counts(2, 9)), Rates)
    assert isinstance(compare(Moments(9, 1.0, 1.0), Moments(9, 2.0, 1.0)), Comparison)


def test_a_lopsided_split_is_as_unlikely_as_published():
    assert sample_ratio([50_600, 49_400]) == pytest.approx(1.5e-4, rel=0.02)


def test_a_mismatch_of_two_arms_is_nearly_the_exact_binomial():
    exact = binomtest(90_200, 100_000, 0.9).pvalue
    assert sample_ratio([9_800, 90_200], [1, 9]) == pytest.approx(exact, rel=0.05)
    assert sample_ratio([100, 200, 100], [0.25, 0.5, 0.25]) == 1


def test_cuped_is_the_regression_on_treatment_and_covariates():
    rng = np.random.default_rng(0)
    n, x = 30, rng.normal(size=(60, 2))
    y = x @ [1.0, -2.0] + rng.normal(size=60)
    design = np.column_stack([np.ones(60), np.repeat([0.0, 1.0], n), x])
    beta, rss, *_ = np.linalg.lstsq(design, y)
    error = np.sqrt(rss[0] / (60 - 4) * np.linalg.inv(design.T @ design)[1, 1])
    found = cuped(y[:n], x[:n], y[n:], x[n:])
    assert found.treatment - found.control == pytest.approx(beta[1])
    assert found.theta == pytest.approx(tuple(beta[2:]))
    assert found.error == pytest.approx(error)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_cuped_removes_the_squared_correlation_of_the_variance(rho):
    data = users(1, 20_000, rho, 0.1)
    plain, found = compare(Moments.of(data[0]), Moments.of(data[2])), cuped(*data)
    assert found.explained == pytest.approx(rho**2, abs=0.01)
    assert (found.error / plain.error) ** 2 == pytest.approx(1 - found.explained, abs=0.002)


@pytest.mark.parametrize("lift", [0.1, 4.0])
def test_adjusted_intervals_hold_the_truth_as_often_as_they_say(lift):
    differences, lifts = [], []
    for seed in range(600):
        found = cuped(*users(100 + seed, 25, 0.9, lift))
        d, r = found.difference(0.9), found.lift(0.9)
        differences.append(d.low <= lift <= d.high)
        lifts.append(r.low <= lift / 5 <= r.high)
    assert np.mean(differences) == pytest.approx(0.9, abs=0.037)
    assert np.mean(lifts) == pytest.approx(0.9, abs=0.037)


def test_one_stratum_is_no_stratum():
    a, b = Moments(40, 3.0, 2.0), Moments(60, 4.0, 5.0)
    plain, found = compare(a, b), stratified({"all": a}, {"all": b})
    assert found.difference() == plain.difference() and found.explained == 0


def test_strata_undo_a_mix_that_differs_by_arm():
    control = {"phone": Counts(20, 1000), "desktop": Counts(900, 9000)}
    treatment = {"phone": Counts(198, 9000), "desktop": Counts(110, 1000)}
    crude = compare(Counts(920, 10_000), Counts(308, 10_000)).lift()
    fair = stratified(control, treatment).lift()
    assert crude.value < -0.6 and fair.value == pytest.approx(0.1)


def test_known_shares_give_the_textbook_variance():
    control = {"a": Moments(10, 1.0, 4.0), "b": Moments(20, 5.0, 9.0)}
    treatment = {"a": Moments(15, 2.0, 4.0), "b": Moments(10, 7.0, 16.0)}
    found = stratified(control, treatment, {"a": 3, "b": 1})
    variance = 0.75**2 * (4 / 10 + 4 / 15) + 0.25**2 * (9 / 20 + 16 / 10)
    assert found.treatment - found.control == pytest.approx(0.75 * 1 + 0.25 * 2)
    assert found.error**2 == pytest.approx(variance)


@pytest.mark.parametrize("known", [True, False])
def test_stratified_intervals_hold_the_truth_as_often_as_they_say(known):
    rng, names, held = np.random.default_rng(2), ("s", "m", "l"), []
    share, base, effect = np.array([0.5, 0.3, 0.2]), np.array([1.0, 4, 9]), np.array([0.0, 1, 4])
    truth = share @ (base + effect) / (share @ base) - 1
    for _ in range(600):
        arms = []
        for mean in (base, base + effect):
            n = (100 * share).astype(int) if known else rng.multinomial(94, share) + 2
            arms.append(
                {s: Moments.of(rng.normal(m, 2, k)) for s, m, k in zip(names, mean, n, strict=True)}
            )
        weights = dict(zip(names, share, strict=True)) if known else None
        lift = stratified(*arms, weights).lift(0.9)
        held.append(lift.low <= truth <= lift.high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.037)


M = Moments(9, 1.0, 1.0)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: compare(Counts(1, 9), M), "one arm holds counts, the other means"),
        (lambda: compare(Moments(9, 1.0, 0.0), Moments(9, 2.0, 0.0)), "does not vary in either"),
        (lambda: sample_ratio([100]), "1 arm: a ratio needs at least 2"),
        (lambda: sample_ratio([0, 0]), "give counts of 0 or more, not all 0"),
        (lambda: sample_ratio([5, 5], [1.0, 0.0]), "give one above 0 for each"),
        (lambda: stratified({}, {}), "no strata; give an arm for each"),
        (lambda: stratified({"a": M}, {"a": M, "b": M}), "'b' is not in both control and treat"),
        (lambda: stratified({"a": M}, {"a": M}, {"b": 1}), "'a' is not in both control and shares"),
        (lambda: stratified({"a": M}, {"a": M}, {"a": 0}), "shares are .* must be above 0"),
        (lambda: stratified({"a": Counts(0, 1)}, {"a": Counts(0, 9)}), "an arm of 1 unit; merge"),
    ],
)
def test_an_analysis_without_an_answer_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda y, x: (y, x[:-1]), "control: 20 outcomes but 19 rows of covariates"),
        (lambda y, x: (y, np.ones(20)), "a covariate does not vary, or repeats another"),
        (lambda y, x: (y, np.column_stack([x, 2 * x])), "control has 2 covariates, treatment 1"),
        (lambda y, x: (np.where(y > 5, np.nan, y), x), "outcomes hold .* not finite"),
        (lambda y, x: (y[:1], x[:1]), "control: 1 units; at least 2"),
    ],
)
def test_covariates_that_do_not_fit_are_refused_in_a_sentence(change, sentence):
    y, x, *treatment = users(3, 20, 0.5, 0.0)
    if "does not vary" in sentence:
        treatment[1] = np.ones(20)
    with pytest.raises(ExperimentError, match=sentence):
        cuped(*change(y, x), *treatment)
