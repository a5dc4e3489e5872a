"""Texts ready to learn from: each with one label or several, every row checked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["real", "simulated", "yours"]


class TextError(ValueError):
    """Texts that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Texts:
    """Texts to learn from and what is known about them.

    Attributes:
      name: shown in reports.
      source: "real" (texts that come with libraries), "simulated" or "yours".
      texts: one a row, none of them empty.
      targets: int32, the number of the row's label; with several labels a row float32, one column
        a label, 1 where the row has it and 0 where not.
      labels: their names, in the order of the numbers or columns.
      multi: whether a row can have several labels, or none.
      notes: what a reader of the results should know about how the texts were read.
    """

    name: str
    source: Source
    texts: tuple[str, ...]
    targets: Int[np.ndarray, " row"] | Float[np.ndarray, "row label"]
    labels: tuple[str, ...]
    multi: bool
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.texts)

    @property
    def membership(self) -> Float[np.ndarray, "row label"]:
        """1 where the row has the label, whether rows have one or several."""
        if self.multi:
            return self.targets
        return np.eye(len(self.labels), dtype=np.float32)[self.targets]

    def describe(self) -> "pd.DataFrame":
        """One row a label: its texts, their share, and how long they are in words."""
        import pandas as pd

        words = np.array([len(text.split()) for text in self.texts])
        members = self.membership > 0
        lengths = [words[column] if column.any() else np.zeros(1) for column in members.T]
        return pd.DataFrame(
            {
                "label": list(self.labels),
                "texts": members.sum(0),
                "share": members.mean(0),
                "median words": [float(np.median(n)) for n in lengths],
                "longest": [int(n.max()) for n in lengths],
            }
        )
