"""Metrics of predictions as weighted formulas, so that a thousand bootstrap samples are one call.

A bootstrap sample of n rows is a row of whole-numbered weights that add up to n. Every function
takes such weights, one line for each sample, and returns one value for each; with all weights 1 it
is the ordinary metric, and equals scikit-learn's.
"""

import numpy as np
from jaxtyping import Float, Shaped

Weights = Float[np.ndarray, "sample row"]
PerSample = Float[np.ndarray, " sample"]


def accuracy(w: Weights, y: np.ndarray, hit: np.ndarray) -> PerSample:
    """Share of rows decided right: Σ w [ŷ = y] / Σ w, where `hit` is the decision ŷ."""
    return (w @ (hit == y)) / w.sum(1)


def precision(w: Weights, y: np.ndarray, hit: np.ndarray) -> PerSample:
    """Of the rows called positive, the share that are: TP / (TP + FP); 0 if none is called."""
    return _ratio(w @ (hit & y), w @ hit)


def recall(w: Weights, y: np.ndarray, hit: np.ndarray) -> PerSample:
    """Of the positive rows, the share that are found: TP / (TP + FN)."""
    return _ratio(w @ (hit & y), w @ y)


def f1(w: Weights, y: np.ndarray, hit: np.ndarray) -> PerSample:
    """Harmonic mean of precision and recall (not accuracy): 2 TP / (2 TP + FP + FN)."""
    return _ratio(2 * (w @ (hit & y)), w @ hit + w @ y)


def roc_auc(w: Weights, y: np.ndarray, p: np.ndarray) -> PerSample:
    """Probability that a positive row scores above a negative one, ties counting half.

    AUC = Σ_i∈P w_i (N_{<p_i} + ½ N_{=p_i}) / (W_P W_N),   N: weight of negatives below, at p_i

    A sample without one of the classes has none: NaN.

    Source: Hanley and McNeil 1982.
    """
    order = np.argsort(p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) > 0])
    positive = np.add.reduceat((w * y)[:, order], starts, axis=1)
    negative = np.add.reduceat((w * ~y)[:, order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(1) * negative.sum(1)
    won = (positive * (below + negative / 2)).sum(1)
    return np.divide(won, pairs, out=np.full(len(w), np.nan), where=pairs > 0)


def log_loss(w: Weights, y: np.ndarray, p: np.ndarray) -> PerSample:
    """Mean of −ln of the probability given to what happened; p is kept 2⁻⁵² away from 0 and 1."""
    tiny = np.finfo(np.float64).eps
    q = np.clip(np.where(y, p, 1 - p), tiny, 1 - tiny)
    return -(w @ np.log(q)) / w.sum(1)


def brier(w: Weights, y: np.ndarray, p: np.ndarray) -> PerSample:
    """Mean squared error of the probabilities, (p − y)²."""
    return (w @ (p - y) ** 2) / w.sum(1)


def mse(w: Weights, y: np.ndarray, y_hat: np.ndarray) -> PerSample:
    """Mean squared error."""
    return (w @ (y_hat - y) ** 2) / w.sum(1)


def rmse(w: Weights, y: np.ndarray, y_hat: np.ndarray) -> PerSample:
    """Root of the mean squared error, in the unit of the target."""
    return np.sqrt(mse(w, y, y_hat))


def mae(w: Weights, y: np.ndarray, y_hat: np.ndarray) -> PerSample:
    """Mean absolute error, in the unit of the target."""
    return (w @ np.abs(y_hat - y)) / w.sum(1)


def r2(w: Weights, y: np.ndarray, y_hat: np.ndarray) -> PerSample:
    """1 − Σ w (ŷ − y)² / Σ w (y − ȳ)²: 0 for the mean of these rows, 1 for a perfect answer.

    The target is centred first, so that its level does not eat the digits of its variance.
    """
    total = w.sum(1)
    d = y - y.mean()
    variance = (w @ d**2) / total - ((w @ d) / total) ** 2
    varies = variance > 0
    return 1 - np.divide(mse(w, y, y_hat), variance, out=np.full(len(w), np.nan), where=varies)


OF_DECISIONS = {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1}
OF_PROBABILITIES = {"roc_auc": roc_auc, "log_loss": log_loss, "brier": brier}
OF_VALUES = {"r2": r2, "mse": mse, "rmse": rmse, "mae": mae}


def _ratio(part: Shaped[np.ndarray, " sample"], whole: Shaped[np.ndarray, " sample"]) -> PerSample:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
