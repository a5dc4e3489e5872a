"""Which rows each step sees, drawn on the host from (seed, epoch) alone: a run can resume."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

GATHERED_BYTES = 32 * 2**20
"""Most bytes of shuffled rows that lie beside the data at a time."""

Order = Int[np.ndarray, "step slot"]
Weights = Float[np.ndarray, "step slot"]


class Piece(NamedTuple):
    """Steps that are compiled and run as one.

    Attributes:
      group: which group of rows they draw from.
      order: the row in each slot of each step.
      weights: 1, or 0 for a slot that only fills up its batch.
    """

    group: int
    order: Order
    weights: Weights


class Layout(NamedTuple):
    """How an epoch is cut up.

    Attributes:
      rows: of each group; a group is all rows of one shape.
      batch_size: rows a step, at most.
      multiple: slots of a step are a multiple of this (parts of a batch × devices).
      steps: most steps in a piece; None for as many as there are.
    """

    rows: tuple[int, ...]
    batch_size: int
    multiple: int = 1
    steps: int | None = None

    def epoch(self, seed: int, number: int) -> list[Piece]:
        """The pieces of an epoch, all rows once; batches of several groups in a drawn order."""
        drawn = [
            self._slots(*shuffled(n, min(self.batch_size, n), seed, number, group))
            for group, n in enumerate(self.rows)
        ]
        if len(drawn) == 1:
            return list(self._cut(0, *drawn[0], self.steps or len(drawn[0][0])))
        singles = [
            piece for group, batches in enumerate(drawn) for piece in self._cut(group, *batches, 1)
        ]
        mixed = np.random.default_rng((seed, number, len(drawn))).permutation(len(singles))
        return [singles[i] for i in mixed]

    def _slots(
        self, order: Int[np.ndarray, "step row"], weights: Float[np.ndarray, "step row"]
    ) -> tuple[Order, Weights]:
        """Steps filled up to a multiple of slots, with row 0 of weight zero."""
        more = -order.shape[1] % self.multiple
        if not more:
            return order, weights
        return np.pad(order, ((0, 0), (0, more))), np.pad(weights, ((0, 0), (0, more)))

    def _cut(self, group: int, order: Order, weights: Weights, steps: int) -> Iterator[Piece]:
        for first in range(0, len(order), steps):
            yield Piece(group, order[first : first + steps], weights[first : first + steps])


def layout(
    groups: Sequence[tuple[int, int]], batch_size: int, multiple: int, steps: int | None
) -> Layout:
    """The layout of data whose groups have these rows of these many bytes.

    A piece's rows are gathered before it runs, which is faster than one gather a step; pieces end
    where that copy would pass `GATHERED_BYTES`.
    """
    (rows, size), *others = groups
    if not others:
        whole = -(-rows // batch_size)
        affordable = max(GATHERED_BYTES // (size * batch_size), 1)
        limit = min(affordable, steps or whole)
        steps = None if limit >= whole else math.ceil(whole / math.ceil(whole / limit))
    return Layout(tuple(n for n, _ in groups), batch_size, multiple, steps)


def shuffled(
    rows: int, batch_size: int, seed: int, epoch: int, group: int = 0
) -> tuple[Order, Weights]:
    """The rows of each batch of an epoch and their weights.

    The last batch is filled up with the first rows of the order, at weight zero.
    """
    steps = -(-rows // batch_size)
    drawn_from = (seed, group, epoch) if group else (seed, epoch)
    order = np.random.default_rng(drawn_from).permutation(rows)
    weights = np.ones(steps * batch_size, np.float32)
    weights[rows:] = 0
    shape = (steps, batch_size)
    return np.resize(order.astype(np.int32), shape), weights.reshape(shape)
