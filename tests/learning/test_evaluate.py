"""Metrics equal scikit-learn's, intervals cover what they promise, tests keep their level."""

import math

import numpy as np
import pytest
from sklearn import metrics

from channelwise.learning.evaluate import (
    Estimate,
    baselines,
    classification_report,
    confusion,
    mcnemar,
    paired_bootstrap,
    regression_report,
    roc,
    wilson,
)
from channelwise.learning.metrics import OF_DECISIONS, OF_PROBABILITIES, OF_VALUES

rng = np.random.default_rng(0)
Y = (rng.random(300) < 0.3).astype(float)
P = np.clip(0.3 + 0.35 * (Y - 0.3) + 0.2 * rng.normal(size=300), 0, 1).round(2)
Q = np.clip(P + 0.1 * rng.normal(size=300), 0, 1)


def test_every_classification_metric_is_scikit_learn_s():
    report = classification_report(Y, P, threshold=0.4, replicates=2)
    hit = P >= 0.4
    expected = {
        "accuracy": metrics.accuracy_score(Y, hit),
        "precision": metrics.precision_score(Y, hit),
        "recall": metrics.recall_score(Y, hit),
        "f1": metrics.f1_score(Y, hit),
        "roc_auc": metrics.roc_auc_score(Y, P),
        "log_loss": metrics.log_loss(Y, P),
        "brier": metrics.brier_score_loss(Y, P),
    }
    assert {name: estimate.value for name, estimate in report.items()} == pytest.approx(expected)


def test_every_regression_metric_is_scikit_learn_s():
    y, y_hat = 1e4 + rng.normal(size=80), 1e4 + 0.5 * rng.normal(size=80)
    report = regression_report(y, y_hat, replicates=2)
    expected = {
        "r2": metrics.r2_score(y, y_hat),
        "mse": metrics.mean_squared_error(y, y_hat),
        "rmse": metrics.root_mean_squared_error(y, y_hat),
        "mae": metrics.mean_absolute_error(y, y_hat),
    }
    assert {name: estimate.value for name, estimate in report.items()} == pytest.approx(expected)


def test_weights_are_repeated_rows():
    """A bootstrap sample as weights gives what the resampled rows themselves give."""
    w = rng.multinomial(300, np.full(300, 1 / 300), 3).astype(float)
    truth, hit = Y.astype(bool), P >= 0.4
    for i in range(3):
        rows = np.repeat(np.arange(300), w[i].astype(int))
        ones = np.ones((1, 300))
        for metric in OF_DECISIONS.values():
            assert metric(w, truth, hit)[i] == pytest.approx(
                metric(ones, truth[rows], hit[rows])[0]
            )
        for metric in OF_PROBABILITIES.values():
            assert metric(w, truth, P)[i] == pytest.approx(metric(ones, truth[rows], P[rows])[0])
        for metric in OF_VALUES.values():
            assert metric(w, Q, P)[i] == pytest.approx(metric(ones, Q[rows], P[rows])[0])


def test_wilson_reproduces_the_book_and_its_edges():
    assert tuple(wilson(111, 114)) == pytest.approx((0.97368, 0.92548, 0.99100), abs=2e-5)
    assert wilson(0, 10)[:2] == (0, 0)
    assert wilson(10, 10)[0] == wilson(10, 10)[2] == 1
    nothing = wilson(0, 0)
    assert math.isnan(nothing.value)
    assert nothing[1:] == (0, 1)
    with pytest.raises(ValueError, match=r"successes must be in 0 … 3"):
        wilson(4, 3)


def test_wilson_ends_solve_the_score_equation():
    p, low, high = wilson(37, 120, 0.9)
    z = 1.6448536269514722
    for end in (low, high):
        assert abs(p - end) == pytest.approx(z * math.sqrt(end * (1 - end) / 120), rel=1e-12)


def test_the_intervals_cover_the_truth_about_as_often_as_they_promise():
    draws = np.random.default_rng(1)
    covered = {"brier": 0, "roc_auc": 0}
    for i in range(120):
        y = (draws.random(150) < 0.5).astype(float)
        p = np.clip(0.5 + 0.25 * (2 * y - 1) * (draws.random(150) < 0.8) - 0.0, 0.25, 0.75)
        p = np.where(p == 0.5, draws.choice([0.25, 0.75], 150), p)
        report = classification_report(y, p, replicates=200, seed=i, confidence=0.9)
        for name, truth in (("brier", 0.9 * 0.0625 + 0.1 * 0.5625), ("roc_auc", 0.9)):
            covered[name] += report[name].low <= truth <= report[name].high
    assert 0.80 <= covered["brier"] / 120 <= 0.98
    assert 0.80 <= covered["roc_auc"] / 120 <= 0.98


def test_the_interval_holds_the_value_and_shrinks_with_rows():
    few, many = (classification_report(np.tile(Y, k), np.tile(P, k)) for k in (1, 9))
    for name in few:
        assert few[name].low <= few[name].value <= few[name].high
        width = {k: r[name].high - r[name].low for k, r in (("few", few), ("many", many))}
        assert width["many"] == pytest.approx(width["few"] / 3, rel=0.25)


def test_an_auc_without_one_class_is_unknown_and_ties_count_half():
    one = np.ones((1, 2))
    assert np.isnan(OF_PROBABILITIES["roc_auc"](one, np.array([True, True]), np.array([0.1, 0.9])))
    assert OF_PROBABILITIES["roc_auc"](one, np.array([True, False]), np.array([0.5, 0.5])) == 0.5


def test_confusion_counts_the_four_cells():
    y, p = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.2, 0.5, 0.4, 0.1])
    assert confusion(y, p) == (2, 1, 1, 1)


def test_roc_runs_from_nothing_called_to_everything_called():
    alarms, found, thresholds = roc(Y, P)
    assert (alarms[0], found[0], alarms[-1], found[-1]) == (0, 0, 1, 1)
    assert metrics.auc(alarms, found) == pytest.approx(metrics.roc_auc_score(Y, P))
    assert (np.diff(thresholds) < 0).all()


def test_mcnemar_is_the_exact_sign_test_of_the_rows_that_differ():
    y = np.ones(20)
    a = np.r_[np.ones(12), np.zeros(8)]
    b = np.r_[np.ones(4), np.zeros(8), np.ones(2), np.zeros(6)]
    paired = mcnemar(y, a, b)
    assert paired.difference == pytest.approx((8 - 2) / 20)
    assert paired.p_value == pytest.approx(2 * sum(math.comb(10, k) for k in range(3)) / 2**10)
    assert paired.low < paired.difference < paired.high


def test_mcnemar_of_a_model_with_itself_finds_no_difference():
    paired = mcnemar(Y, P, P)
    assert (paired.difference, paired.p_value) == (0, 1)
    assert paired.low < 0 < paired.high


def test_mcnemar_rejects_a_true_null_at_its_level():
    draws, rejected = np.random.default_rng(2), 0
    for _ in range(400):
        y = (draws.random(120) < 0.5).astype(float)
        a, b = (np.where(draws.random(120) < 0.8, y, 1 - y) for _ in range(2))
        rejected += mcnemar(y, a, b).p_value < 0.05
    assert rejected / 400 < 0.06


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "log_loss", "brier"])
def test_paired_bootstrap_gives_the_difference_of_the_reports(metric):
    a, b = (classification_report(Y, s, replicates=2)[metric].value for s in (P, Q))
    paired = paired_bootstrap(metric, Y, P, Q)
    assert paired.difference == pytest.approx(a - b)
    assert paired.low <= paired.difference <= paired.high
    assert (paired.p_value < 0.05) == (paired.low > 0 or paired.high < 0)


def test_paired_bootstrap_is_narrower_than_two_separate_intervals():
    report = classification_report(Y, P)["brier"]
    paired = paired_bootstrap("brier", Y, P, Q)
    assert paired.high - paired.low < report.high - report.low


def test_paired_bootstrap_of_regressions():
    y = rng.normal(size=60)
    paired = paired_bootstrap("mae", y, y + 0.1, y + 0.3)
    assert paired.difference == pytest.approx(-0.2)
    assert paired.p_value == pytest.approx(2 / 1001)


def test_baselines_are_the_share_and_the_line():
    x = rng.normal(size=(400, 2))
    y = x @ [2.0, -1.0] + 3
    simple = baselines("regression", (x, y), x)
    assert np.unique(simple["mean"]) == pytest.approx(y.mean())
    np.testing.assert_allclose(simple["linear"], y, rtol=1e-6)
    simple = baselines("classification", (x, (y > 3).astype(float)), x)
    assert np.unique(simple["majority"]) == pytest.approx((y > 3).mean())
    assert ((simple["logistic"] > 0.5) == (y > 3)).mean() > 0.97


BAD = [
    (([0, 1, 2], [0.1, 0.2, 0.3]), "Labels must be 0 or 1, got 2"),
    (([0, 1], [0.1, 1.2]), r"Probabilities must be in \[0, 1\], got 1.2"),
    (([0, 1], [0.1, np.nan]), "Probabilities must be"),
    (([0, 1, 1], [0.1, 0.2]), "two lists of one length"),
    (([], []), "at least 1"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_what_cannot_be_evaluated_is_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        classification_report(*(np.asarray(a, float) for a in arguments))


def test_an_unknown_metric_is_a_sentence_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown metric 'auc'.*roc_auc"):
        paired_bootstrap("auc", Y, P, Q)


def test_an_estimate_reads_as_value_and_interval():
    assert str(Estimate(0.97368, 0.92549, 0.99101)) == "0.974 [0.925, 0.991]"
