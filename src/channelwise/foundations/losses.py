"""Loss functions, each the negative logarithm of a likelihood or a bound on a decision's cost.

Every loss takes the model's answer first and the truth second, and ends in the same two keywords:
`weights`, one a sample, and `reduction`, the (weighted) "mean", "sum" or "none". Classifiers
answer in *logits* z, real numbers before the sigmoid or softmax, because probabilities round to
0 and 1 where logits still hold every digit.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Shaped

from channelwise.foundations.activations import relu, sigmoid, softplus
from channelwise.foundations.categorical import cross_entropy, divergence
from channelwise.foundations.reduction import Reduction, floating, paired, reduce_losses, times

_REGRESSION = ("predictions", "targets")
_BINARY = ("logits", "labels")


def squared_error(
    predictions: Float[ArrayLike, "..."],
    targets: Shaped[ArrayLike, "..."],
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Squared error: the Gaussian likelihood; its minimizer is the conditional mean.

    l(ŷ, y) = (ŷ − y)²,   ∂l/∂ŷ = 2 (ŷ − y)

    There is no factor ½, so the mean over a batch is the MSE of textbooks and of scikit-learn.

    Args:
      predictions: ŷ, any shape, in the unit of the target.
      targets: y, the same shape.
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in the square of the target's unit, or one loss a sample for "none".

    Raises:
      TypeError: if the predictions are not floating-point numbers.
      ValueError: if the shapes differ.

    Source: Gauss 1809; Hastie, Tibshirani, Friedman 2009, §2.4.
    """
    y_hat, y = paired(_REGRESSION, predictions, targets)
    return reduce_losses(jnp.square(y_hat - y), weights, reduction)


def absolute_error(
    predictions: Float[ArrayLike, "..."],
    targets: Shaped[ArrayLike, "..."],
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Absolute error: the Laplace likelihood; its minimizer is the conditional median.

    l(ŷ, y) = |ŷ − y|,   ∂l/∂ŷ = sign(ŷ − y), 0 at ŷ = y

    Args:
      predictions: ŷ, any shape, in the unit of the target.
      targets: y, the same shape.
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in the unit of the target, or one loss a sample for "none".

    Raises:
      TypeError: if the predictions are not floating-point numbers.
      ValueError: if the shapes differ.

    Source: Laplace 1774; Koenker 2005, §1.2.
    """
    y_hat, y = paired(_REGRESSION, predictions, targets)
    return reduce_losses(jnp.abs(y_hat - y), weights, reduction)


def huber(
    predictions: Float[ArrayLike, "..."],
    targets: Shaped[ArrayLike, "..."],
    *,
    delta: Float[ArrayLike, ""] = 1.0,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Huber loss: squared error near the target, absolute error beyond `delta`.

    l(ŷ, y) = ½ d²  where |d| ≤ δ,  δ (|d| − ½ δ)  beyond;   d = ŷ − y
    ∂l/∂ŷ = min(δ, max(−δ, d))

    Args:
      predictions: ŷ, any shape, in the unit of the target.
      targets: y, the same shape.
      delta: δ > 0, in the unit of the target: errors beyond it count as outliers.
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in the square of the target's unit, or one loss a sample for "none".

    Raises:
      TypeError: if the predictions are not floating-point numbers.
      ValueError: if the shapes differ.

    Source: Huber 1964, §3.
    """
    y_hat, y = paired(_REGRESSION, predictions, targets)
    d = jnp.abs(y_hat - y)
    near = jnp.minimum(d, jnp.asarray(delta, d.dtype))
    return reduce_losses(0.5 * near**2 + delta * (d - near), weights, reduction)


def pinball(
    predictions: Float[ArrayLike, "..."],
    targets: Shaped[ArrayLike, "..."],
    *,
    level: Float[ArrayLike, ""] = 0.5,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Pinball (quantile) loss: its minimizer is the conditional `level`-quantile.

    l(ŷ, y) = τ max(0, y − ŷ) + (1 − τ) max(0, ŷ − y)

    Args:
      predictions: ŷ, any shape, in the unit of the target.
      targets: y, the same shape.
      level: τ in (0, 1); 0.5 gives half the absolute error.
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in the unit of the target, or one loss a sample for "none".

    Raises:
      TypeError: if the predictions are not floating-point numbers.
      ValueError: if the shapes differ.

    Source: Koenker and Bassett 1978; Koenker 2005, §1.3.
    """
    y_hat, y = paired(_REGRESSION, predictions, targets)
    d = y - y_hat
    return reduce_losses(level * relu(d) + (1 - level) * relu(-d), weights, reduction)


def binary_cross_entropy(
    logits: Float[ArrayLike, "..."],
    labels: Shaped[ArrayLike, "..."],
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Binary cross-entropy from logits: the Bernoulli likelihood; its minimizer is P(y = 1).

    l(z, y) = −y ln σ(z) − (1 − y) ln(1 − σ(z)) = y ln(1 + e⁻ᶻ) + (1 − y) ln(1 + eᶻ)
    ∂l/∂z = σ(z) − y

    Args:
      logits: z, any shape, on the whole real line, ±∞ included.
      labels: y in [0, 1], the same shape; 0 or 1, or a probability (soft label).
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in nats, or one loss a sample for "none".

    Raises:
      TypeError: if the logits are not floating-point numbers.
      ValueError: if the shapes differ.

    Numerical note: both terms are ≥ 0, so no digit is lost to cancellation: a loss of 1e-30 has
    as many right digits as a loss of 1. l(∞, 1) = 0 with gradient 0; l(∞, 0) = ∞ with gradient 1.

    Source: Bishop 2006, §4.3.2; Good 1952 for the score.
    """
    z, y = paired(_BINARY, logits, labels)
    return reduce_losses(times(y, softplus(-z)) + times(1 - y, softplus(z)), weights, reduction)


def binary_cross_entropy_probabilities(
    probabilities: Float[ArrayLike, "..."],
    labels: Shaped[ArrayLike, "..."],
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Binary cross-entropy (log loss) of probabilities that someone else has computed.

    l(p, y) = −y ln p − (1 − y) ln(1 − p),   ∂l/∂p = (1 − y)/(1 − p) − y/p,   0 ln 0 = 0

    For training use `binary_cross_entropy`: in float32 every p above 1 − 3e-8 is already 1.

    Args:
      probabilities: p in [0, 1], any shape. Nothing is clipped: outside, the loss is NaN.
      labels: y in [0, 1], the same shape; 0 or 1, or a probability (soft label).
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in nats, or one loss a sample for "none"; ∞ for a certain and wrong answer.

    Raises:
      TypeError: if the probabilities are not floating-point numbers.
      ValueError: if the shapes differ.

    Source: Good 1952, §6.
    """
    p, y = paired(("probabilities", "labels"), probabilities, labels)
    p1 = jnp.where((y == 0) & (p == 0), 1, p)
    p0 = jnp.where((y == 1) & (p == 1), 0, p)
    return reduce_losses(-y * jnp.log(p1) - (1 - y) * jnp.log1p(-p0), weights, reduction)


def focal(
    logits: Float[ArrayLike, "..."],
    labels: Shaped[ArrayLike, "..."],
    *,
    gamma: Float[ArrayLike, ""] = 2.0,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Binary focal loss from logits: cross-entropy that fades where the model is already right.

    l(z, y) = y f(z) + (1 − y) f(−z),   f(t) = (1 − σ(t))^γ · (−ln σ(t))

    Not a proper score for γ > 0: its minimizer is *not* P(y = 1), it is pulled towards ½. For
    the α-balanced form give α and 1 − α as `weights`.

    Args:
      logits: z, any shape, on the whole real line, ±∞ included.
      labels: y in [0, 1], the same shape.
      gamma: γ ≥ 0, how fast easy samples fade; 0 is binary cross-entropy.
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in nats, or one loss a sample for "none".

    Raises:
      TypeError: if the logits are not floating-point numbers.
      ValueError: if the shapes differ.

    Numerical note: the derivative is written out, −(1 − σ)^γ [γ σ (−ln σ) + (1 − σ)], because
    autodiff of the power gives 0 · ∞ in both tails.

    Source: Lin, Goyal, Girshick, He, Dollár 2017, eq. 4.
    """
    z, y = paired(_BINARY, logits, labels)
    γ = jnp.broadcast_to(jnp.asarray(gamma, z.dtype), z.shape)
    return reduce_losses(times(y, _fade(z, γ)) + times(1 - y, _fade(-z, γ)), weights, reduction)


@jax.custom_jvp
@jax.jit
def _fade(t: Array, γ: Array) -> Array:
    return times(sigmoid(-t) ** γ, softplus(-t))


@_fade.defjvp
def _fade_jvp(primals, tangents):
    (t, γ), (dt, dγ) = primals, tangents
    miss = sigmoid(-t) ** γ
    slope = -miss * (γ * times(sigmoid(t), softplus(-t)) + sigmoid(-t))
    return _fade(t, γ), slope * dt - times(softplus(t), _fade(t, γ)) * dγ


def hinge(
    logits: Float[ArrayLike, "..."],
    labels: Shaped[ArrayLike, "..."],
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Hinge loss of the support vector machine: its minimizer is the likelier class, ±1.

    l(z, y) = max(0, 1 − s z),   s = 2y − 1 = ±1;   ∂l/∂z = −s where s z < 1, else 0

    Labels are 0 or 1 as in the other losses here, not ±1.

    Args:
      logits: z, any shape: the signed score.
      labels: y, 0 or 1, the same shape.
      weights: one weight a sample, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar without unit, or one loss a sample for "none".

    Raises:
      TypeError: if the logits are not floating-point numbers.
      ValueError: if the shapes differ.

    Source: Cortes and Vapnik 1995; Bartlett, Jordan, McAuliffe 2006.
    """
    z, y = paired(_BINARY, logits, labels)
    return reduce_losses(relu(1 - (2 * y - 1) * z), weights, reduction)


def softmax_cross_entropy(
    logits: Float[ArrayLike, "*batch class"],
    labels: Shaped[ArrayLike, "..."],
    *,
    smoothing: Float[ArrayLike, ""] = 0.0,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Softmax cross-entropy: the categorical likelihood; its minimizer is P(class).

    l(z, y) = −Σ_j y_j ln p_j,   p_j = e^{z_j} / Σ_i e^{z_i},   ∂l/∂z_j = p_j Σ_i y_i − y_j

    Args:
      logits: z, classes on the last axis, on the whole real line, ±∞ included.
      labels: either integers in [0, class) of shape `batch`, or one-hot or soft labels y ≥ 0 of
        the shape of the logits.
      smoothing: ε in [0, 1]: replaces y by (1 − ε) y + ε / K, see `smooth_labels`.
      weights: one weight a sample, w ≥ 0, of shape `batch`.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in nats, or one loss a sample for "none". NaN for an integer outside [0, class).

    Raises:
      TypeError: if the logits are not floating-point numbers, or class numbers are no integers.
      ValueError: if the shapes do not fit.

    Numerical note: −ln p_j = (m − z_j) + ln(1 + Σ_{i≠k} e^{z_i − m}) with m = z_k the largest
    logit. Both terms are ≥ 0, so a loss of 1e-30 keeps its digits, where the usual
    logsumexp(z) − z_j rounds every loss below 6e-8 max(1, |z|) to zero. Largest logits that are
    both +∞ share the probability equally.

    Source: Bridle 1990; Bishop 2006, §4.3.4.
    """
    z = floating("logits", logits)
    y = smooth_labels(_distributions(labels, z), smoothing)
    return reduce_losses(cross_entropy(z, y), weights, reduction)


def smooth_labels(
    labels: Float[ArrayLike, "*batch class"], smoothing: Float[ArrayLike, ""]
) -> Float[Array, "*batch class"]:
    """Label smoothing: gives every class a share ε / K of the probability.

    y' = (1 − ε) y + ε / K: the best answer to a certain label is now 1 − ε + ε / K, and the best
    logits are finite: they stand ln(1 + K (1 − ε) / ε) apart.

    Args:
      labels: y ≥ 0, one-hot or soft, summing to one over the last axis.
      smoothing: ε in [0, 1].

    Returns:
      Distributions of the same shape.

    Raises:
      ValueError: if `smoothing` is a number outside [0, 1].

    Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016, §7.
    """
    if isinstance(smoothing, float | int) and not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing must lie in [0, 1], got {smoothing}.")
    y = floating("labels", labels)
    return (1 - smoothing) * y + smoothing / y.shape[-1]


def kl_divergence(
    logits: Float[ArrayLike, "*batch class"],
    targets: Shaped[ArrayLike, "*batch class"],
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence of the softmax of the logits from given distributions.

    D(y ‖ p) = Σ_j y_j ln(y_j / p_j),   p = softmax(z),   ∂D/∂z_j = p_j Σ_i y_i − y_j

    The excess of the cross-entropy over the entropy of the labels: zero if and only if p = y.

    Args:
      logits: z, classes on the last axis, on the whole real line, ±∞ included.
      targets: y ≥ 0, distributions over the last axis, of the shape of the logits.
      weights: one weight a sample, w ≥ 0, of shape `batch`.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar ≥ 0 in nats, or one divergence a sample for "none".

    Raises:
      TypeError: if the logits are not floating-point numbers.
      ValueError: if the shapes differ.

    Numerical note: summed as y_j ln(y_j / p_j) + p_j − y_j, which is the same because
    Σ p_j = Σ y_j, but has no negative term: a divergence of 1e-10 is not lost between terms of
    0.1, and no rounding makes it negative.

    Source: Kullback and Leibler 1951.
    """
    z, y = paired(("logits", "targets"), logits, targets)
    return reduce_losses(divergence(z, y), weights, reduction)


def _distributions(labels: ArrayLike, z: Array) -> Array:
    """Class numbers as one-hot rows, distributions as they are; NaN rows outside [0, class)."""
    labels = jnp.asarray(labels)
    if labels.shape == z.shape:
        return labels.astype(z.dtype)
    if labels.shape != z.shape[:-1]:
        raise ValueError(
            f"Logits and labels do not fit: got {z.shape} and {labels.shape}. Labels are class "
            f"numbers of shape {z.shape[:-1]} or distributions of shape {z.shape}."
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"Class numbers must be integers, got {labels.dtype}.")
    classes = z.shape[-1]
    inside = (labels >= 0) & (labels < classes)
    return jnp.where(inside[..., None], jax.nn.one_hot(labels, classes, dtype=z.dtype), math.nan)
