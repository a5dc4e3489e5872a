"""Training, validation and test texts, with the copies of a text never on both sides."""

import numpy as np
from jaxtyping import Int

from channelwise.learning.data.splits import Split
from channelwise.learning.data.text import Texts
from channelwise.learning.data.text_copies import folded
from channelwise.learning.data.text_files import TextError


def split_texts(
    texts: Texts, *, validation: float = 0.2, test: float = 0.2, seed: int = 0
) -> Split:
    """Split texts so that labels keep their shares and all copies of a text go to one part.

    Copies are texts that differ in case and blanks only. Rows with several labels are divided by
    their rarest one. A label of fewer than three different texts stays in training.

    Args:
      texts: from `load_texts` and the like.
      validation: share of the rows that decide when to stop, in [0, 1).
      test: share of the rows kept for the end, in (0, 1); both together below 1.
      seed: of the draw.

    Returns:
      Row numbers, sorted.

    Raises:
      TextError: if the shares leave no training rows, or a part would have no row.
    """
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise TextError(
            f"validation = {validation} and test = {test} must be shares of the rows that leave "
            "some to train on, such as 0.2 and 0.2."
        )
    rng = np.random.default_rng(seed)
    _, copies = np.unique([folded(text) for text in texts.texts], return_inverse=True)
    kinds = _kinds(texts)[np.unique(copies, return_index=True)[1]]
    part_of = np.zeros(copies.max() + 1, int)
    sizes = np.bincount(copies)
    for kind in np.unique(kinds):
        members = rng.permutation(np.flatnonzero(kinds == kind))
        part_of[members] = _deal(sizes[members], validation, test)
    parts = [np.flatnonzero(part_of[copies] == part) for part in range(3)]
    for name, rows in zip(("train", "validation", "test"), parts, strict=True):
        if len(rows) == 0 and (name != "validation" or validation):
            raise TextError(
                f"The {name} part has no row: {len(part_of)} different texts are too few, or "
                "every label has fewer than three. Add texts, or choose other shares."
            )
    return Split(*parts, "stratified, copies together")


def _kinds(texts: Texts) -> Int[np.ndarray, " row"]:
    """What a row is divided by: its label, or the rarest of its labels; −1 if it has none."""
    members = texts.membership > 0
    rarity = np.argsort(np.argsort(-members.sum(0), kind="stable"), kind="stable")
    ranks = np.where(members, rarity[None, :], -1)
    return ranks.max(axis=1)


def _deal(sizes: Int[np.ndarray, " text"], validation: float, test: float) -> np.ndarray:
    """0, 1 or 2 (train, validation, test) for each text of a label, by the rows it stands for."""
    if len(sizes) < 3:
        return np.zeros(len(sizes), int)
    middle = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
    part = np.where(middle < test, 2, np.where(middle < test + validation, 1, 0))
    part[0], part[-1] = 2, 0
    if validation and 1 not in part:
        part[-2] = 1
    return part
