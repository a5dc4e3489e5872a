"""Texts that occur twice: in one file, or in training and in the test."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from channelwise.learning.data.text_files import shown


def folded(text: str) -> str:
    """A text as copies are recognized: without its case and the width of its blanks."""
    return " ".join(text.casefold().split())


def shared_texts(seen: Iterable[str], tested: Iterable[str]) -> Int[np.ndarray, " shared"]:
    """Which of the tested texts also stand among the seen ones, but for case and blanks.

    Args:
      seen: the texts trained on.
      tested: the texts a score is to be computed on.

    Returns:
      Their places in `tested`, ascending: a score on them is memory, not understanding.
    """
    known = {folded(text) for text in seen}
    return np.flatnonzero(np.array([folded(text) in known for text in tested], bool))


def notes_on_copies(
    texts: Sequence[str], targets: Int[np.ndarray, " row"] | Float[np.ndarray, "row label"]
) -> list[str]:
    """Notes on texts that occur more than once, and on those whose copies differ in label."""
    places = defaultdict(list)
    for i, text in enumerate(texts):
        places[folded(text)].append(i)
    again = [rows for rows in places.values() if len(rows) > 1]
    torn = [rows for rows in again if len(np.unique(targets[rows], axis=0)) > 1]
    notes = []
    if again:
        notes.append(f"{len(again)} texts occur more than once, in {sum(map(len, again))} rows")
    if torn:
        first = shown(texts[torn[0][0]])
        notes.append(f"{len(torn)} texts occur with different labels, such as {first}")
    return notes
