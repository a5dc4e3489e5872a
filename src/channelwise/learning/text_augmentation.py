"""Changed texts for training: tokens deleted, swapped or hidden, anew for every batch.

Each maker returns a function for `fit`'s `augment`: (key, x, y) → (x, y) with x int32 token ids,
0 = padding. Everything stays on the device. Padding stays where it is or moves to the end, the
special ids below `FIRST_WORD` are never touched, and no text loses its last word.
"""

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

FIRST_WORD = 5
"""Ids below it are padding (0), unknown (1), start (2), separator (3) and mask (4)."""
PADDING, UNKNOWN = 0, 1

Tokens = Int[Array, "row length"]
Augment = Callable[[Array, Tokens, PyTree], tuple[Tokens, PyTree]]


class AugmentationError(ValueError):
    """An augmentation that makes no sense; the message says which values do."""


def is_word(tokens: Tokens) -> Bool[Array, "row length"]:
    """True where a token is neither padding nor special."""
    return tokens >= FIRST_WORD


@cache
def random_deletion(share: float = 0.1) -> Augment:
    """Leave out each word with probability p; what follows moves up, padding fills the end.

    Args:
      share: p in [0, 1). If every word of a text would go, one of them, drawn evenly, stays.

    Raises:
      AugmentationError: if p is not such a share.

    Source: Wei, Zou 2019 (EDA), §2.
    """
    _check(share)

    def augment(key: Array, x: Tokens, y: PyTree) -> tuple[Tokens, PyTree]:
        return moved_up(x, _drawn(key, x, share)), y

    return augment


@cache
def random_swap(share: float = 0.1) -> Augment:
    """Give a share p of a text's words each other's places, drawn evenly among them.

    Args:
      share: p in [0, 1): how probable each word takes part. One word alone has nobody to swap
        with and stays.

    Raises:
      AugmentationError: if p is not such a share.

    Source: Wei, Zou 2019 (EDA), §2, which swaps pairs; here those drawn are permuted.
    """
    _check(share)

    def augment(key: Array, x: Tokens, y: PyTree) -> tuple[Tokens, PyTree]:
        which, order = jax.random.split(key)
        chosen = is_word(x) & (jax.random.uniform(which, x.shape) < share)
        return shuffled_among(order, x, chosen), y

    return augment


@cache
def random_hiding(share: float = 0.1, *, hidden: int = UNKNOWN) -> Augment:
    """Replace each word with probability p by the unknown token; every token keeps its place.

    Args:
      share: p in [0, 1). If every word of a text would go, one of them, drawn evenly, stays.
      hidden: the id put in its place: 1 (unknown) or 4 (mask).

    Raises:
      AugmentationError: if p is not such a share, or the id is a word or padding.

    Source: Xie et al. 2017 (blank noising); Iyyer et al. 2015, §3.2 (word dropout).
    """
    _check(share)
    if not PADDING < hidden < FIRST_WORD:
        raise AugmentationError(
            f"hidden = {hidden} is no special token: give 1 (unknown) or 4 (mask)."
        )

    def augment(key: Array, x: Tokens, y: PyTree) -> tuple[Tokens, PyTree]:
        return jnp.where(_drawn(key, x, share), jnp.full_like(x, hidden), x), y

    return augment


@cache
def in_turn(*augments: Augment) -> Augment:
    """One augmentation after the other, each with a key of its own."""

    def augment(key: Array, x: Tokens, y: PyTree) -> tuple[Tokens, PyTree]:
        for part, one in zip(jax.random.split(key, len(augments)), augments, strict=True):
            x, y = one(part, x, y)
        return x, y

    return augment


def moved_up(tokens: Tokens, gone: Bool[Array, "row length"]) -> Tokens:
    """The tokens that stay, in their order, and padding behind them in the place of the others."""
    order = jnp.argsort(gone, axis=1, stable=True)
    left = jnp.where(gone, jnp.full_like(tokens, PADDING), tokens)
    return jnp.take_along_axis(left, order, axis=1)


def shuffled_among(key: Array, tokens: Tokens, chosen: Bool[Array, "row length"]) -> Tokens:
    """The chosen tokens of each row in an even draw of their orders, on the chosen places."""
    last = jnp.where(chosen, jax.random.uniform(key, tokens.shape), jnp.full(tokens.shape, 2.0))
    drawn = jnp.take_along_axis(tokens, jnp.argsort(last, axis=1), axis=1)
    rank = jnp.clip(jnp.cumsum(chosen, axis=1) - 1, 0)
    return jnp.where(chosen, jnp.take_along_axis(drawn, rank, axis=1), tokens)


def _drawn(key: Array, tokens: Tokens, share: float) -> Bool[Array, "row length"]:
    """Words drawn with probability `share`; never all the words of a text.

    The word with the largest number of its row stays: u < p for all of them says max u < p.
    """
    u = jnp.where(
        is_word(tokens), jax.random.uniform(key, tokens.shape), jnp.full(tokens.shape, -1.0)
    )
    largest = u == u.max(axis=1, keepdims=True)
    return (u >= 0) & (u < share) & ~largest


def _check(share: float) -> None:
    if not 0 <= share < 1:
        raise AugmentationError(
            f"share = {share} must be a probability in [0, 1), such as 0.1: the share of words "
            "that change."
        )
