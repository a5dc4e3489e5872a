"""Is it better than the simplest rule, and by how much? Metrics with intervals, paired tests."""

import math
from collections.abc import Callable
from functools import partial
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float, Int, Shaped

from channelwise.learning.metrics import OF_DECISIONS, OF_PROBABILITIES, OF_VALUES

_WEIGHTS_AT_ONCE = 2_000_000
"""Bootstrap weights held in memory at a time (16 MB)."""


class Estimate(NamedTuple):
    """A metric on the test rows and where it may lie on rows like them.

    Attributes:
      value: on these rows.
      low: lower end of the interval.
      high: upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Confusion(NamedTuple):
    """Rows by what was and what was decided.

    Attributes:
      tn: negative, called negative.
      fp: negative, called positive: a false alarm.
      fn: positive, called negative: a miss.
      tp: positive, called positive.
    """

    tn: int
    fp: int
    fn: int
    tp: int


class Paired(NamedTuple):
    """Two models on the same rows.

    Attributes:
      difference: the first model's metric minus the second's.
      low: lower end of its interval.
      high: upper end.
      p_value: two-sided, for "no difference".
    """

    difference: float
    low: float
    high: float
    p_value: float


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """A share with the Wilson score interval.

    (p̂ + z²/2n ± z √(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n),   p̂ = successes / trials

    Args:
      successes: in 0 … trials.
      trials: n ≥ 0; with none the share is unknown: NaN in [0, 1].
      confidence: in (0, 1).

    Raises:
      ValueError: if there are more successes than trials, or fewer than none.

    Source: Wilson 1927; Brown, Cai, DasGupta 2001.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be in 0 … {trials} (trials), got {successes}.")
    if trials == 0:
        return Estimate(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    n, p = trials, successes / trials
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Estimate(p, low, high)


def classification_report(
    y: Shaped[ArrayLike, " row"],
    p: Float[ArrayLike, "..."],
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Metrics of a classifier, each with an interval.

    Shares of counted rows (accuracy, precision, recall) have Wilson's interval; F1, ROC AUC, log
    loss and Brier score the percentile interval of a bootstrap over rows.

    Args:
      y: 0 or 1.
      p: probability of 1.
      threshold: rows with p ≥ threshold are called positive.
      confidence: of each interval, in (0, 1).
      replicates: bootstrap samples, ≥ 1.
      seed: of the bootstrap.

    Returns:
      accuracy, precision, recall, f1, roc_auc, log_loss, brier.

    Raises:
      ValueError: if the lengths differ, a label is not 0 or 1 or a probability is outside [0, 1].

    Source: Wilson 1927; Efron and Tibshirani 1993, ch. 13.
    """
    y, p = _labels_and_probabilities(y, p)
    hit = p >= threshold
    cells = confusion(y, p, threshold)
    share = partial(wilson, confidence=confidence)
    shares = {
        "accuracy": share(cells.tn + cells.tp, y.size),
        "precision": share(cells.tp, cells.tp + cells.fp),
        "recall": share(cells.tp, cells.tp + cells.fn),
    }
    metrics = {"f1": partial(OF_DECISIONS["f1"], y=y, hit=hit)}
    metrics |= {name: partial(metric, y=y, p=p) for name, metric in OF_PROBABILITIES.items()}
    return shares | _bootstrap(metrics, y.size, confidence, replicates, seed)


def regression_report(
    y: Float[ArrayLike, " row"],
    y_hat: Float[ArrayLike, "..."],
    *,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """R², MSE, RMSE and MAE, each with the percentile interval of a bootstrap over rows.

    Args:
      y: true values.
      y_hat: predictions, in the same unit.
      confidence: of each interval, in (0, 1).
      replicates: bootstrap samples, ≥ 1.
      seed: of the bootstrap.

    Raises:
      ValueError: if the lengths differ or there are no rows.
    """
    y, y_hat = _same_length(y, y_hat)
    metrics = {name: partial(metric, y=y, y_hat=y_hat) for name, metric in OF_VALUES.items()}
    return _bootstrap(metrics, y.size, confidence, replicates, seed)


def confusion(
    y: Shaped[ArrayLike, " row"], p: Float[ArrayLike, "..."], threshold: float = 0.5
) -> Confusion:
    """Count the rows by label and by the decision p ≥ threshold."""
    y, p = _labels_and_probabilities(y, p)
    hit = p >= threshold
    return Confusion(*(int(np.sum(cell)) for cell in (~y & ~hit, ~y & hit, y & ~hit, y & hit)))


def roc(
    y: Shaped[ArrayLike, " row"], p: Float[ArrayLike, "..."]
) -> tuple[
    Float[np.ndarray, " threshold"],
    Float[np.ndarray, " threshold"],
    Float[np.ndarray, " threshold"],
]:
    """Share of false alarms, share of positives found, threshold: from the strictest down."""
    from sklearn.metrics import roc_curve

    y, p = _labels_and_probabilities(y, p)
    return roc_curve(y, p)


def mcnemar(
    y: Shaped[ArrayLike, " row"],
    p_a: Float[ArrayLike, "..."],
    p_b: Float[ArrayLike, "..."],
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Paired:
    """Do two classifiers differ in accuracy? The exact test on the rows where only one is right.

    b rows only A right, c rows only B right; without a difference b ~ Binomial(b + c, ½).
    The interval of (b − c)/n adds half a row to each cell of the 2×2 table.

    Args:
      y: 0 or 1.
      p_a: A's probabilities.
      p_b: B's probabilities, for the same rows.
      threshold: of both.
      confidence: of the interval, in (0, 1).

    Source: McNemar 1947; Agresti and Min 2005, §4.
    """
    y, p_a = _labels_and_probabilities(y, p_a)
    _, p_b = _labels_and_probabilities(y, p_b)
    right_a, right_b = (p_a >= threshold) == y, (p_b >= threshold) == y
    b, c = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    n, discordant = y.size, b + c
    tail = sum(math.comb(discordant, k) for k in range(min(b, c) + 1))
    p_value = min(1.0, 2 * tail / 2**discordant)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (b - c) / (n + 2)
    half = z * math.sqrt((discordant + 1) - (b - c) ** 2 / (n + 2)) / (n + 2)
    return Paired((b - c) / n, max(-1.0, centre - half), min(1.0, centre + half), p_value)


def paired_bootstrap(
    metric: str,
    y: Shaped[ArrayLike, " row"],
    a: Float[ArrayLike, "..."],
    b: Float[ArrayLike, "..."],
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> Paired:
    """The difference of two models' metric on the same bootstrap samples of the rows.

    Args:
      metric: a name of `classification_report` or `regression_report`.
      y: labels or true values.
      a: the first model's probabilities or predictions.
      b: the second's, for the same rows.
      threshold: for accuracy, precision, recall and F1.
      confidence: of the interval, in (0, 1).
      replicates: bootstrap samples, ≥ 1.
      seed: of the bootstrap.

    Returns:
      The difference a − b; p_value is twice the smaller share of samples at or beyond zero, and
      never below 1 / (replicates + 1).

    Raises:
      ValueError: if the metric is unknown or the lengths differ.

    Source: Efron and Tibshirani 1993, ch. 13 and 16.
    """
    of_a, of_b = (_metric(metric, y, scores, threshold) for scores in (a, b))
    n = np.asarray(y).size
    value = float((of_a(np.ones((1, n))) - of_b(np.ones((1, n))))[0])
    draws = _resample(lambda w: of_a(w) - of_b(w), n, replicates, seed)
    draws = draws[~np.isnan(draws)]
    tail = min(np.sum(draws <= 0), np.sum(draws >= 0))
    p_value = min(1.0, 2 * (tail + 1) / (len(draws) + 1))
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Paired(value, float(low), float(high), float(p_value))


def score(
    metric: str,
    y: Float[ArrayLike, " row"],
    guess: Float[ArrayLike, " row"],
    *,
    threshold: float = 0.5,
) -> float:
    """One metric without its interval, for loops over folds, seeds and splits.

    Args:
      metric: a name of `classification_report` or `regression_report`.
      y: labels or true values.
      guess: probabilities or predictions.
      threshold: for accuracy, precision, recall and F1.

    Raises:
      ValueError: if the metric is unknown or the lengths differ.
    """
    return float(_metric(metric, y, guess, threshold)(np.ones((1, np.asarray(y).size)))[0])


def baselines(
    task: Literal["classification", "regression"],
    train: tuple[np.ndarray, np.ndarray],
    x: Float[np.ndarray, "row feature"],
) -> dict[str, Float[np.ndarray, " row"]]:
    """What the simplest rules say of the rows x: to beat them is the least a network must do.

    Args:
      task: decides which rules.
      train: (x, y) they are fitted to.
      x: rows to predict.

    Returns:
      "majority" (every row gets the share of positives) and "logistic" probabilities, or "mean"
      and "linear" predictions.
    """
    from sklearn.linear_model import LinearRegression, LogisticRegression

    inputs, y = train
    constant = np.full(len(x), y.mean(), np.float64)
    if task == "regression":
        return {"mean": constant, "linear": LinearRegression().fit(inputs, y).predict(x)}
    logistic = LogisticRegression(max_iter=5000).fit(inputs, y)
    return {"majority": constant, "logistic": logistic.predict_proba(x)[:, 1]}


def _metric(name: str, y: ArrayLike, scores: ArrayLike, threshold: float) -> Callable:
    if name in OF_VALUES:
        y, y_hat = _same_length(y, scores)
        return partial(OF_VALUES[name], y=y, y_hat=y_hat)
    if name not in OF_DECISIONS | OF_PROBABILITIES:
        known = ", ".join([*OF_DECISIONS, *OF_PROBABILITIES, *OF_VALUES])
        raise ValueError(f"Unknown metric {name!r}: choose one of {known}.")
    y, p = _labels_and_probabilities(y, scores)
    if name in OF_DECISIONS:
        return partial(OF_DECISIONS[name], y=y, hit=p >= threshold)
    return partial(OF_PROBABILITIES[name], y=y, p=p)


def _bootstrap(
    metrics: dict[str, Callable], rows: int, confidence: float, replicates: int, seed: int
) -> dict[str, Estimate]:
    """Percentile intervals of several metrics from the same samples."""
    ones = np.ones((1, rows))
    draws = _resample(lambda w: np.stack([m(w) for m in metrics.values()]), rows, replicates, seed)
    ends = np.nanquantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return {
        name: Estimate(float(metric(ones)[0]), float(low), float(high))
        for (name, metric), low, high in zip(metrics.items(), *ends, strict=True)
    }


def _resample(
    statistic: Callable[[Int[np.ndarray, "sample row"]], np.ndarray],
    rows: int,
    replicates: int,
    seed: int,
) -> np.ndarray:
    """The statistic of `replicates` bootstrap samples, a few at a time."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _WEIGHTS_AT_ONCE // rows)
    sizes = [min(at_once, replicates - i) for i in range(0, replicates, at_once)]
    weights = (rng.multinomial(rows, np.full(rows, 1 / rows), size).astype(float) for size in sizes)
    return np.concatenate([statistic(w) for w in weights], axis=-1)


def _labels_and_probabilities(y: ArrayLike, p: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y, p = _same_length(y, p)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"Labels must be 0 or 1, got {y[~np.isin(y, (0, 1))][0]:g}.")
    if not ((p >= 0) & (p <= 1)).all():
        bad = p[~((p >= 0) & (p <= 1))][0]
        raise ValueError(
            f"Probabilities must be in [0, 1], got {bad:g}. Pass logits through the sigmoid first."
        )
    return y.astype(bool), p


def _same_length(y: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y, scores = np.asarray(y, np.float64), np.asarray(scores, np.float64)
    if y.shape != scores.shape or y.ndim != 1 or y.size == 0:
        raise ValueError(
            f"Truth and predictions must be two lists of one length, at least 1: got shapes "
            f"{y.shape} and {scores.shape}."
        )
    return y, scores
