"""What is believed of a market after its data: draws with named dimensions, kept with their model.

`draws["roi"]` has the axes (chain, draw, channel); `dims["roi"]` is ("channel",) and
`coords["channel"]` names the channels. Whether the draws may be used, `gate.judge` says.
"""

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from channelwise.response import diagnostics
from channelwise.response.archive import load_archive, save_archive
from channelwise.response.lift import LiftTest
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model

if TYPE_CHECKING:
    import pandas as pd

FORM = "channelwise posterior"
VERSION = 2
_ARVIZ_NAMES = {"acceptance": "acceptance_rate", "steps": "n_steps"}


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Draws of a model's parameters and of what follows from them, given a market.

    Attributes:
      draws: (chain, draw, …) of each quantity, in its own unit.
      dims: names of the axes after chain and draw; a quantity left out has none.
      coords: labels along each named dimension.
      statistics: (chain, draw) of the sampler: energy, diverging, acceptance, steps.
      market: the data.
      model: the specification.
      state: the scales of the fit and where its sampler stood, from which a later fit may start.
      lift_tests: experiments that the draws are conditioned on beside the market.

    Raises:
      ValueError: if an array does not have the axes its dimensions promise.
    """

    draws: dict[str, np.ndarray]
    dims: dict[str, tuple[str, ...]]
    coords: dict[str, tuple[str, ...]]
    statistics: dict[str, np.ndarray]
    market: MarketData
    model: Model
    state: dict[str, np.ndarray] = field(default_factory=dict)
    lift_tests: tuple[LiftTest, ...] = ()

    def __post_init__(self):
        if not self.draws:
            raise ValueError("A posterior needs draws of at least one quantity, got none.")
        first = next(iter(self.draws.values())).shape[:2]
        for name in self.draws:
            _check_shape(name, self.draws[name], (*first, *self._sizes(name)))
        for name, values in self.statistics.items():
            _check_shape(name, values, first)

    @property
    def n_chains(self) -> int:
        return next(iter(self.draws.values())).shape[0]

    @property
    def n_draws(self) -> int:
        """Draws of each chain."""
        return next(iter(self.draws.values())).shape[1]

    def flat(self, name: str) -> np.ndarray:
        """All draws of a quantity in one row, chain after chain: (chain·draw, …).

        Raises:
          KeyError: naming the quantities there are.
        """
        x = self._named(name)
        return x.reshape(-1, *x.shape[2:])

    def labels(self, name: str) -> list[str]:
        """A label for each scalar of a quantity, in the order of its memory: "roi[tv]"."""
        self._named(name)
        along = [self.coords[dim] for dim in self.dims.get(name, ())]
        return [f"{name}[{', '.join(at)}]" if at else name for at in product(*along)]

    def summary(self, *names: str) -> "pd.DataFrame":
        """One row a scalar: mean, sd, median, 5 %, 95 %, their errors, R-hat, effective sizes.

        Args:
          names: of quantities; all of them if left out.

        Returns:
          Columns mean, sd, median, 5%, 95% and mcse_mean, mcse_sd, mcse_5%, mcse_95% in the unit
          of the quantity, and rhat, ess_bulk, ess_tail; rows are labelled as in `labels`.

        Raises:
          KeyError: naming the quantities there are.
        """
        import pandas as pd

        return pd.concat([self._table(name) for name in names or self.draws])

    def save(self, path: Path | str) -> None:
        """Write everything to one .npz file, whole or not at all; nothing is pickled.

        Raises:
          ArchiveError: if the path holds another kind of file or cannot be written.
        """
        save_archive(path, self, form=FORM, version=VERSION)

    @classmethod
    def load(cls, path: Path | str) -> "Posterior":
        """Read a file from `save`, bit for bit; nothing in it is executed.

        Raises:
          ArchiveError: if it is missing, damaged, foreign or of a newer version.
        """
        return load_archive(path, cls, form=FORM, version=VERSION)

    def to_arviz(self) -> Any:
        """The draws and the sampler's statistics as an ArviZ DataTree.

        Raises:
          ImportError: if arviz-base is not installed.
        """
        try:
            from arviz_base import from_dict
        except ImportError as error:
            raise ImportError(
                "to_arviz needs arviz-base, which is not installed: pip install arviz-base."
            ) from error
        statistics = {_ARVIZ_NAMES.get(k, k): v for k, v in self.statistics.items()}
        groups = {"posterior": self.draws, "sample_stats": statistics}
        dims = {name: list(of) for name, of in self.dims.items()}
        coords = {dim: list(labels) for dim, labels in self.coords.items()}
        return from_dict(groups, dims=dims, coords=coords)

    def __repr__(self) -> str:
        each = (f"{n}[{', '.join(d)}]" if (d := self.dims.get(n)) else n for n in self.draws)
        return f"Posterior({self.n_chains} chains × {self.n_draws} draws of {', '.join(each)})"

    def _named(self, name: str) -> np.ndarray:
        if name not in self.draws:
            raise KeyError(f"No draws are called {name!r}; there are {', '.join(self.draws)}.")
        return self.draws[name]

    def _sizes(self, name: str) -> tuple[int, ...]:
        missing = [dim for dim in self.dims.get(name, ()) if dim not in self.coords]
        if missing:
            raise ValueError(f"{name} has the dimension {missing[0]!r}, which coords do not label.")
        return tuple(len(self.coords[dim]) for dim in self.dims.get(name, ()))

    def _table(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        x, flat = self._named(name), self.flat(name)
        median, low, high = np.quantile(flat, (0.5, 0.05, 0.95), axis=0)
        found = diagnostics.convergence(x)
        columns = {
            "mean": flat.mean(0),
            "sd": flat.std(0, ddof=1),
            "median": median,
            "5%": low,
            "95%": high,
            "mcse_mean": diagnostics.mcse_mean(x),
            "mcse_sd": diagnostics.mcse_sd(x),
            "mcse_5%": diagnostics.mcse_quantile(x, 0.05),
            "mcse_95%": diagnostics.mcse_quantile(x, 0.95),
            **found._asdict(),
        }
        return pd.DataFrame({k: np.ravel(v) for k, v in columns.items()}, self.labels(name))


def _check_shape(name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(
            f"{name} has the shape {values.shape}, but chains, draws and labels make {shape}."
        )
