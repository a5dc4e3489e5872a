"""Masked language: which tokens are hidden, the loss of guessing them, and its score."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from channelwise.foundations.reduction import Reduction, reduce_losses
from channelwise.learning.data.tokens import CLASSIFY, MASK, PADDING, SEPARATOR, SPECIAL
from channelwise.learning.fit import predict

IGNORED = -1
"""Target of a position that is not to be guessed."""

SCORED_ROWS = 512
"""Rows scored at once: their logits over the whole vocabulary have to fit in memory."""


class Hidden(NamedTuple):
    """Rows with tokens hidden.

    Attributes:
      x: "tokens" as the model sees them and "positions", the places to guess.
      y: what stood there; −1 where a place only fills up its row.
    """

    x: dict[str, Int[Array, "row ..."]]
    y: Int[Array, "row position"]


class Masking(NamedTuple):
    """BERT's masking, drawn anew for every batch: `augment=Masking(vocabulary)` of `fit`.

    Of the n tokens of a row that are no special ones, m = max(1, round(s n)) are drawn without
    replacement. Each becomes the mask with probability 0.8, a token drawn from the vocabulary with
    0.1, and stays as it is with 0.1: what is fine-tuned later never sees a mask, so the model must
    not learn that only masks matter.

    Every row has the same number of places to guess, k = max(1, ⌈s (L − 2)⌉), so that the product
    with the vocabulary is over k columns and not over L; places beyond m have the target −1.

    Attributes:
      vocabulary: tokens, of which the random ones are drawn.
      share: s, in (0, 1).

    Source: Devlin, Chang, Lee, Toutanova 2019, §3.1 and appendix A.1.
    """

    vocabulary: int
    share: float = 0.15

    def __call__(
        self, key: PRNGKeyArray, x: Int[Array, "row length"], y: Any
    ) -> tuple[dict[str, Array], Int[Array, "row position"]]:
        """(key, tokens, anything) to ({"tokens", "positions"}, targets); the y given is not used.

        Raises:
          ValueError: if the share or the vocabulary leaves nothing to hide or to draw.
        """
        self._check()
        L, k = x.shape[1], self.places(x.shape[1])
        u = jax.random.uniform(key, (x.shape[0], L + 2 * k))
        order, how, draw = jnp.split(u, [L, L + k], axis=1)
        positions, counted = self._choose(order, x)
        targets = jnp.take_along_axis(x, positions, axis=1)
        drawn = len(SPECIAL) + jnp.floor(draw * (self.vocabulary - len(SPECIAL))).astype(jnp.int32)
        shown = jnp.where(how < 0.8, MASK, jnp.where(how < 0.9, drawn, targets))
        rows = jnp.arange(x.shape[0])[:, None]
        tokens = x.at[rows, positions].set(jnp.where(counted, shown, targets))
        return Hidden(
            {"tokens": tokens, "positions": positions}, jnp.where(counted, targets, IGNORED)
        )

    def places(self, length: int) -> int:
        """k, the places to guess in a row of this length."""
        return min(length, max(1, math.ceil(self.share * (length - 2))))

    def _choose(
        self, order: Float[Array, "row length"], x: Int[Array, "row length"]
    ) -> tuple[Int[Array, "row position"], Bool[Array, "row position"]]:
        """k distinct places a row, those that may be hidden first, and whether each counts."""
        may = (x != PADDING) & (x != CLASSIFY) & (x != SEPARATOR)
        k, n = self.places(x.shape[1]), may.sum(1)
        _, positions = lax.top_k(jnp.where(may, order, -1.0), k)
        m = jnp.round(self.share * n.astype(jnp.float32)).astype(jnp.int32)
        m = jnp.minimum(jnp.maximum(m, 1), n)
        return positions, jnp.arange(k)[None, :] < m[:, None]

    def _check(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share must lie in (0, 1), such as BERT's 0.15: got {self.share}.")
        if self.vocabulary <= len(SPECIAL):
            raise ValueError(
                f"vocabulary must be above {len(SPECIAL)}, the special tokens: got "
                f"{self.vocabulary}."
            )


def hide(tokens: Int[np.ndarray, "row length"], masking: Masking, seed: int = 0) -> Hidden:
    """Masks drawn once: what two evaluations must share to be compared.

    With new masks at every evaluation, part of each difference is which tokens happened to be
    hidden.

    Args:
      tokens: rows from `Tokenizer.encode`.
      masking: how many and how.
      seed: of the draw.

    Returns:
      (x, y) for `validation=` of `fit` and for `score`.
    """
    return Hidden(*jax.tree.map(np.asarray, tuple(_draw(masking, seed, tokens))))


@partial(jax.jit, static_argnames="masking")
def _draw(masking: Masking, seed: Int[Array, ""], tokens: Int[Array, "row length"]) -> tuple:
    return masking(jax.random.key(seed), tokens, None)


def masked_cross_entropy(
    logits: Float[Array, "row position vocabulary"],
    targets: Int[Array, "row position"],
    *,
    weights: Float[Array, " row"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Cross-entropy of guessed tokens; padding and places that only fill up a row do not count.

    l_i = Σ_j [t_ij ≥ 0] (ln Σ_v exp z_ijv − z_ij,t_ij) / Σ_j [t_ij ≥ 0]

    Args:
      logits: z, from `BertMaskedLanguage`.
      targets: t: token numbers, −1 where nothing is guessed.
      weights: one a row, w ≥ 0.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in nats, or one loss a row for "none".

    Raises:
      ValueError: if the reduction is unknown.

    Numerical note: float32 whatever the type of the logits. A row without targets counts 0. Each
    row counts the same, however many tokens it hides: sums over rows then do not depend on how a
    batch is cut into parts. `score` counts each token the same.
    """
    losses, counted = _losses(logits, targets)
    of_row = losses.sum(1) / jnp.maximum(counted.sum(1), 1).astype(jnp.float32)
    return reduce_losses(of_row, weights, reduction)


def _losses(
    logits: Float[Array, "row position vocabulary"], targets: Int[Array, "row position"]
) -> tuple[Float[Array, "row position"], Bool[Array, "row position"]]:
    """−log p of each target, 0 where there is none; and where there is one."""
    z, counted = logits.astype(jnp.float32), targets >= 0
    chosen = jnp.take_along_axis(z, jnp.maximum(targets, 0)[..., None], axis=-1)[..., 0]
    return jnp.where(counted, jax.nn.logsumexp(z, axis=-1) - chosen, 0.0), counted


class Score(NamedTuple):
    """How well hidden tokens are guessed.

    Attributes:
      tokens: how many were guessed.
      cross_entropy: mean −log p over them, nats a token.
      perplexity: exp of it: as uncertain as a choice among so many equally likely tokens. Of a
        masked model: not comparable with a model that reads from left to right, nor with another
        vocabulary.
      accuracy: share of them for which the likeliest token is the right one.
    """

    tokens: int
    cross_entropy: float
    perplexity: float
    accuracy: float


def score(model: Any, hidden: Hidden) -> Score:
    """Cross-entropy, perplexity and accuracy over all hidden tokens, each counted once.

    Args:
      model: answers with logits at "positions".
      hidden: from `hide`, the same for all models compared.

    Raises:
      ValueError: if nothing is hidden.
    """
    x, y = hidden
    if not (y >= 0).any():
        raise ValueError("No token is hidden: every target is -1. Give texts that are not empty.")
    sums = np.zeros(3)
    for first in range(0, len(y), SCORED_ROWS):
        part = jax.tree.map(lambda a, i=first: a[i : i + SCORED_ROWS], (x, y))
        sums += np.array(_count(predict(model, part[0]), part[1]), np.float64)
    loss, right, tokens = sums / [sums[2], sums[2], 1]
    return Score(int(tokens), float(loss), float(np.exp(loss)), float(right))


@jax.jit
def _count(
    logits: Float[Array, "row position vocabulary"], targets: Int[Array, "row position"]
) -> tuple[Array, Array, Array]:
    losses, counted = _losses(logits, targets)
    right = counted & (logits.argmax(-1) == targets)
    return losses.sum(), right.sum(), counted.sum()
