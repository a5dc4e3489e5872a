"""Distillation: a small model learns what a large one has learnt, from its probabilities."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, TypedDict

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, Shaped

from channelwise.foundations.losses import kl_divergence, softmax_cross_entropy
from channelwise.foundations.reduction import Reduction
from channelwise.learning.fit import predict


class Taught(TypedDict):
    """What a student learns from: the targets of `distillation`.

    Keys:
      label: the class of each row.
      teacher: the teacher's logits.
    """

    label: Int[Array | np.ndarray, " row"]
    teacher: Float[Array | np.ndarray, "row class"]


def taught_by(
    teachers: Sequence[Any], x: PyTree, labels: Int[Array | np.ndarray, " row"]
) -> Taught:
    """The targets of a student: the labels beside the mean of the teachers' logits.

    Args:
      teachers: trained classifiers with one logit a class; several are better than their best.
      x: inputs, one row each; they need not be rows the teachers were trained on.
      labels: class numbers, which a loss with `share` 1 does not look at.

    Raises:
      ValueError: if there is no teacher.
    """
    if not teachers:
        raise ValueError("teachers is empty: give at least one trained model.")
    logits = np.mean([predict(teacher, x) for teacher in teachers], axis=0)
    return {"label": np.asarray(labels, np.int32), "teacher": logits}


@cache
def distillation(temperature: float = 4.0, share: float = 0.9) -> Callable[..., Array]:
    """The loss of a student, as `fit` takes it; the same object for the same numbers.

    L = (1 − a) CE(z, y) + a T² KL(softmax(t / T) ‖ softmax(z / T))

    for logits z of the student and t of the teacher. T > 1 shows how the teacher ranks the wrong
    classes; T² undoes the 1 / T² by which the softened gradient shrinks, so that `share` means
    the same at every temperature.

    Args:
      temperature: T > 0.
      share: a in [0, 1], of the teacher; 0 is training on labels alone.

    Returns:
      A function of (logits, targets of `taught_by`, weights=, reduction=).

    Raises:
      ValueError: if the temperature or the share is out of range.

    Source: Hinton, Vinyals, Dean 2015, §2.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature}.")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}.")
    return partial(_distillation, temperature=temperature, share=share)


def _distillation(
    logits: Float[Array, "row class"],
    targets: Taught,
    *,
    temperature: float,
    share: float,
    weights: Shaped[Array, " row"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    T, how = temperature, {"weights": weights, "reduction": reduction}
    soft = jnp.exp(_log_softmax(jnp.asarray(targets["teacher"], logits.dtype) / T))
    of_labels = softmax_cross_entropy(logits, targets["label"], **how)
    of_teacher = kl_divergence(logits / T, soft, **how)
    return (1 - share) * of_labels + share * T**2 * of_teacher


def _log_softmax(z: Float[Array, "row class"]) -> Float[Array, "row class"]:
    shifted = z - z.max(-1, keepdims=True)
    return shifted - jnp.log(jnp.exp(shifted).sum(-1, keepdims=True))
