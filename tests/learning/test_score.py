"""One metric without its interval: the same number as the report gives and scikit-learn finds."""

import numpy as np
import pytest
from sklearn import metrics

from channelwise.learning.evaluate import classification_report, regression_report, score

rng = np.random.default_rng(0)
y = (rng.random(80) < 0.4).astype(float)
p = np.clip(0.5 * y + 0.6 * rng.random(80), 0, 1)
value = rng.standard_normal(80)
guess = value + rng.standard_normal(80)


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "roc_auc", "brier"])
def test_a_score_of_probabilities_is_the_report_s(metric):
    report = classification_report(y, p, threshold=0.6, replicates=2)
    assert score(metric, y, p, threshold=0.6) == pytest.approx(report[metric].value, rel=1e-12)


@pytest.mark.parametrize("metric", ["r2", "mse", "rmse", "mae"])
def test_a_score_of_values_is_the_report_s(metric):
    report = regression_report(value, guess, replicates=2)
    assert score(metric, value, guess) == pytest.approx(report[metric].value, rel=1e-12)


def test_scores_equal_scikit_learn_s():
    assert score("f1", y, p) == pytest.approx(metrics.f1_score(y, p >= 0.5), rel=1e-12)
    assert score("roc_auc", y, p) == pytest.approx(metrics.roc_auc_score(y, p), rel=1e-12)
    assert score("r2", value, guess) == pytest.approx(metrics.r2_score(value, guess), rel=1e-12)


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="choose one of accuracy"):
        score("precison", y, p)
