"""Sizes, power and detectable effects against published figures, their inverses and simulation."""

import numpy as np
import pytest
from scipy.stats import chi2, norm, t

from channelwise.decisions.experiments.arms import ExperimentError
from channelwise.decisions.experiments.power import (
    Mean,
    Proportion,
    detectable,
    power_of,
    rule_of_16,
    sample_size,
)

METRICS = [
    (Proportion(0.05, "unpooled"), 0.01),
    (Proportion(0.05, "pooled"), 0.01),
    (Proportion(0.05, "arcsine"), 0.01),
    (Proportion(0.5), -0.07),
    (Mean(30.0), 2.0),
    (Mean(30.0, 45.0), -2.0),
]
each_metric = pytest.mark.parametrize("metric, effect", METRICS)


@pytest.mark.parametrize("method, n", [("unpooled", 8155), ("pooled", 8158), ("arcsine", 8143)])
def test_five_against_six_percent_needs_the_textbook_size(method, n):
    size = sample_size(Proportion(0.05, method), 0.01)
    assert size == (n, n) and size.total == 2 * n


def test_the_rule_of_16_rounds_the_factor_up():
    assert rule_of_16(Proportion(0.05), 0.01) == 8316
    assert rule_of_16(Proportion(0.05, "unpooled"), 0.01) == 8316
    assert rule_of_16(Mean(3.0), 0.5) == 16 * 9 / 0.25


@pytest.mark.parametrize("sd, effect, power, n", [(1.0, 1.0, 0.9, 23), (1.0, 1.0, 0.8, 17)])
def test_a_mean_needs_as_many_units_as_the_t_test_of_other_programs(sd, effect, power, n):
    # R: power.t.test(delta=1, power=.9) gives n = 22.02, with .8 n = 16.71
    assert sample_size(Mean(sd), effect, power=power).control == n


def test_a_large_mean_test_needs_twice_the_squared_sum_of_quantiles():
    exact = 2 * (1.959963984540054 + 0.8416212335729143) ** 2 * 50**2
    assert sample_size(Mean(50.0), 1.0).control == pytest.approx(exact, abs=2)


@each_metric
@pytest.mark.parametrize("ratio, sides, explained", [(1, 2, 0.0), (0.25, 1, 0.0), (3, 2, 0.64)])
def test_size_power_and_effect_are_inverse(metric, effect, ratio, sides, explained):
    how = {"ratio": float(ratio), "sides": sides, "explained": explained, "alpha": 0.02}
    n = sample_size(metric, effect, power=0.9, **how).control
    assert power_of(metric, effect, n, **how) >= 0.9 > power_of(metric, effect, 0.995 * n, **how)
    found = detectable(metric, n, power=0.9, down=effect < 0, **how)
    assert found == pytest.approx(effect, rel=0.01) and abs(found) <= abs(effect)
    assert power_of(metric, found, n, **how) == pytest.approx(0.9, abs=1e-9)


@each_metric
def test_without_an_effect_the_power_is_alpha(metric, effect):
    assert power_of(metric, 0.0, 1000.0, alpha=0.03) == pytest.approx(0.03, abs=1e-12)
    assert power_of(metric, 0.0, 1000.0, alpha=0.03, sides=1) == pytest.approx(0.03, abs=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
def test_a_covariate_saves_its_squared_correlation(rho):
    plain, saved = (sample_size(Mean(100.0), 1.0, explained=e).control for e in (0.0, rho**2))
    assert saved / plain == pytest.approx(1 - rho**2, rel=2e-4)


def test_equal_arms_are_the_smallest_experiment_and_the_noisier_arm_deserves_more():
    def total(metric: Mean, ratio: float) -> int:
        return sample_size(metric, 0.1, ratio=ratio).total

    ratios = np.linspace(0.3, 4, 75)
    equal = [total(Mean(5.0), r) for r in ratios]
    noisy = [total(Mean(5.0, 10.0), r) for r in ratios]
    assert ratios[np.argmin(equal)] == pytest.approx(1, abs=0.05)
    assert ratios[np.argmin(noisy)] == pytest.approx(2, abs=0.05)


def test_power_takes_many_sizes_at_once_and_grows_to_one():
    n = np.geomspace(10, 1e7, 30)
    power = power_of(Proportion(0.05), 0.01, n)
    assert (np.diff(power) >= 0).all() and power[-1] == 1
    assert power[7] == power_of(Proportion(0.05), 0.01, float(n[7]))


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("n, ratio", [(3, 1.0), (20, 1.0), (12, 4.0), (3000, 0.5)])
@pytest.mark.parametrize("away", [0.0, 0.7, 2.8, 6.0, 25.0])
def test_the_power_for_means_is_an_integral_over_the_estimated_variance(n, ratio, away, sides):
    a, b = 1 / (1 + 4 / ratio), 4 / (ratio + 4)
    df = 1 / (a**2 / (n - 1) + b**2 / (ratio * n - 1))
    c = t.ppf(1 - 0.05 / sides, df)
    scale = np.sqrt(chi2.ppf((np.arange(20_000) + 0.5) / 20_000, df) / df)
    expected = (norm.sf(c * scale - away) + (sides == 2) * norm.cdf(-c * scale - away)).mean()
    effect = away * np.sqrt((1 + 4 / ratio) / n)
    found = power_of(Mean(1.0, 2.0), effect, n, ratio=ratio, sides=sides)
    assert found == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("base, effect", [(0.05, 0.01), (0.5, 0.03), (0.02, -0.006)])
def test_simulated_power_is_within_a_point_of_the_formula(base, effect):
    rng, n = np.random.default_rng(1), sample_size(Proportion(base), effect).control
    a, b = (rng.binomial(n, p, 40_000) / n for p in (base, base + effect))
    mean = (a + b) / 2
    rejected = np.abs(b - a) > 1.959963984540054 * np.sqrt(2 * mean * (1 - mean) / n)
    assert rejected.mean() == pytest.approx(power_of(Proportion(base), effect, n), abs=0.01)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: Proportion(0.0), "base is 0; it must lie strictly between 0 and 1"),
        (lambda: Mean(0.0), "sd is 0; give a finite number above 0"),
        (lambda: Mean(1.0, float("nan")), "sd_treatment is nan"),
        (lambda: sample_size(Proportion(0.05), 0.0), "no experiment is large enough"),
        (lambda: sample_size(Proportion(0.05), 0.96), "a rate of 1.01; give an absolute effect"),
        (lambda: sample_size(Mean(1.0), 0.1, alpha=1.5), "alpha is 1.5; it must lie strictly"),
        (lambda: sample_size(Mean(1.0), 0.1, power=0.01), r"between alpha \(0.05\) and 1"),
        (lambda: sample_size(Mean(1.0), 0.1, ratio=0.0), "ratio is 0; give a finite number"),
        (lambda: sample_size(Mean(1.0), 0.1, explained=1.0), "explained is 1; give the share"),
        (lambda: power_of(Proportion(0.1), 0.1, 0), "n is 0; give a number of units above 0"),
        (lambda: power_of(Mean(1.0), 0.1, 1.0), "n is 1.0; give a number of units above 1"),
        (lambda: detectable(Proportion(0.01), 50, down=True), "not even the largest possible"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
