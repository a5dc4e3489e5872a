"""Sentences that belong together: pairs from one document, and the loss of finding the partner."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from channelwise.foundations.reduction import Reduction, reduce_losses
from channelwise.learning.data.tokens import CLASSIFY, PADDING, SEPARATOR

EXCLUDED = -1e9
"""A similarity of what must not count as wrong: finite, so that its gradient is zero, not NaN."""


def document_pairs(
    tokens: Int[np.ndarray, "row length"], documents: Int[np.ndarray, " row"], seed: int = 0
) -> tuple[Int[np.ndarray, "pair 2 length"], Int[np.ndarray, " pair"]]:
    """Each row with another row of its document; a row that is alone, its halves.

    What BERT's second task, "is this the next sentence?", asks of one pair at a time, can be asked
    of a whole batch: which of these belongs to that one? No label is needed, only which sentences
    stood together.

    Args:
      tokens: from `Tokenizer.encode`.
      documents: the number of the document of each row.
      seed: of the partners.

    Returns:
      The pairs, and the document of each, for `fit` with `pair_cross_entropy`. Rows that are alone
      and have fewer than two tokens are left out.

    Source: Devlin, Chang, Lee, Toutanova 2019, §3.1, task 2; Giorgi et al. 2021 (DeCLUTR), §3.
    """
    rng, pairs, kept = np.random.default_rng(seed), [], []
    order = rng.permutation(len(tokens))
    order = order[np.argsort(np.asarray(documents)[order], kind="stable")]
    cuts = np.flatnonzero(np.diff(np.asarray(documents)[order])) + 1
    for rows in np.split(order, cuts):
        pair = _halves(tokens[rows[0]]) if len(rows) == 1 else tokens[[rows, np.roll(rows, 1)]]
        if pair is not None:
            pairs.append(pair.reshape(2, -1, tokens.shape[1]).transpose(1, 0, 2))
            kept.append(np.asarray(documents)[rows])
    if not pairs:
        raise ValueError("No pairs: every row is alone in its document and has under two tokens.")
    return np.concatenate(pairs), np.concatenate(kept).astype(np.int32)


def _halves(row: Int[np.ndarray, " length"]) -> Int[np.ndarray, "2 length"] | None:
    """A row's first and second half, each a row of its own."""
    inner = row[(row != PADDING) & (row != CLASSIFY) & (row != SEPARATOR)]
    if len(inner) < 2:
        return None
    halves = np.full((2, len(row)), PADDING, row.dtype)
    for half, part in zip(halves, np.array_split(inner, 2), strict=True):
        half[: len(part) + 2] = [CLASSIFY, *part, SEPARATOR]
    return halves


def pair_cross_entropy(
    similarities: Float[Array, "pair pair"],
    documents: Int[Array, " pair"],
    *,
    weights: Float[Array, " pair"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """Cross-entropy of finding each first sentence's partner among the second ones of its batch.

    l_i = ln Σ_{j in N_i} exp s_ij − s_ii,   N_i = {i} ∪ {j : another document, w_j > 0}

    Args:
      similarities: s, from `SentencePairs`.
      documents: of each pair: sentences of the same document are not wrong answers.
      weights: one a pair, w ≥ 0; a pair of weight zero is nobody's wrong answer either.
      reduction: "mean" (Σwl/Σw), "sum" or "none".

    Returns:
      A scalar in nats, or one loss a pair for "none"; ln of the batch size is guessing.

    Raises:
      ValueError: if the reduction is unknown.

    Numerical note: float32. The loss depends on who else is in the batch: small parts of a batch
    (`microbatches`) make an easier task, not the same one.

    Source: van den Oord, Li, Vinyals 2018, eq. 4 (InfoNCE).
    """
    s = similarities.astype(jnp.float32)
    own = jnp.eye(s.shape[0], dtype=bool)
    wrong = documents[:, None] != documents[None, :]
    if weights is not None:
        wrong = wrong & (weights > 0)[None, :]
    s_counted = jnp.where(own | wrong, s, EXCLUDED)
    return reduce_losses(jax.nn.logsumexp(s_counted, axis=1) - jnp.diagonal(s), weights, reduction)
