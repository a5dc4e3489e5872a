"""Would the model have foreseen what came next? Forecasts of periods that the fit did not see.

Fold by fold the model is fitted to a window of periods and asked for the next `horizon`, with the
media, controls and events that they really had. A forecast is a set of draws, so it is scored as
one: by CRPS, beside that of a naive forecast, and by how often its intervals hold the outcome.

A forecast keeps the frame of its fit. The longer market is put into the fit's units; the trend runs
on beyond ½; controls are standardized by the mean and spread of the periods seen; and media spent
in the window carry into the first periods forecast. Nothing of the held-out outcome is read.

What this can show, and what not: a model that forecasts badly has baseline or media wrong. One that
forecasts well may still have them exchanged, since both move the same outcome.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from channelwise.response.calibration import crps
from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model
from channelwise.response.posterior import Posterior

_LEVELS = (0.5, 0.9)
_NAIVE_ERRORS = 8  # fewest year-on-year changes that the seasonal forecast learns from


@dataclass(frozen=True, eq=False)
class Fold:
    """One window, and the forecast of what followed.

    Attributes:
      dates: of the periods forecast.
      observed: their outcome.
      forecast: draws of it.
      naive: draws of the naive forecast, see `naive_forecast`.
      crps: mean over geos and periods, in units of the outcome; 0 is perfect.
      naive_crps: the same of the naive forecast.
    """

    dates: np.ndarray
    observed: Float[np.ndarray, "geo time"]
    forecast: Float[np.ndarray, "draw geo time"]
    naive: Float[np.ndarray, "case geo time"]

    @property
    def crps(self) -> float:
        return float(crps(self.forecast, self.observed).mean())

    @property
    def naive_crps(self) -> float:
        return float(crps(self.naive, self.observed).mean())

    def coverage(self, level: float) -> float:
        """Share of geos and periods whose central interval holds the outcome."""
        low, high = np.quantile(self.forecast, ((1 - level) / 2, (1 + level) / 2), axis=0)
        return float(((low <= self.observed) & (self.observed <= high)).mean())


@dataclass(frozen=True, eq=False)
class Validation:
    """All folds, the earliest first."""

    folds: tuple[Fold, ...]

    @property
    def crps(self) -> float:
        """Mean over the folds, in units of the outcome."""
        return float(np.mean([fold.crps for fold in self.folds]))

    @property
    def naive_crps(self) -> float:
        return float(np.mean([fold.naive_crps for fold in self.folds]))

    @property
    def skill(self) -> float:
        """1 − CRPS / naive CRPS: 1 is perfect, 0 as good as naive, below 0 worse."""
        return 1 - self.crps / self.naive_crps

    def coverage(self, level: float) -> float:
        """Share of all held-out outcomes inside their interval; periods of a fold are dependent."""
        return float(np.mean([fold.coverage(level) for fold in self.folds]))

    def __str__(self) -> str:
        rows = [_row(f"{f.dates[0]} to {f.dates[-1]}", f) for f in self.folds]
        skill = f"The error is {abs(self.skill):.0%} {'below' if self.skill >= 0 else 'above'}"
        return "\n".join([*rows, _row("all", self), f"{skill} that of the naive forecast."])


def _row(name: str, scored: Fold | Validation) -> str:
    cover = ", ".join(f"{scored.coverage(p):.0%} in the {p:.0%} interval" for p in _LEVELS)
    return f"{name:25}CRPS {scored.crps:,.4g} (naive {scored.naive_crps:,.4g}); {cover}"


def validate(
    market: MarketData,
    model: Model | None = None,
    *,
    folds: int = 3,
    horizon: int = 8,
    draws: int = 1000,
    seed: int = 0,
) -> Validation:
    """Time-slice cross-validation: fit a window, forecast what follows, move on, again.

    All windows have the same length, n − folds · horizon of the n periods with an outcome, so that
    folds are comparable and one compiled program serves them all; together the forecasts cover the
    last folds · horizon periods, each once. Media before a window act as its carry-in.

    Args:
      market: the data.
      model: the specification; by default `Model()`.
      folds: windows, at least 1.
      horizon: periods that each forecasts, at least 1.
      draws: of each forecast.
      seed: of fits and forecasts.

    Raises:
      ValueError: if the windows would hold fewer than 8 periods.
      ModelError: if the model does not fit the market.
    """
    length = market.n_observed - folds * horizon
    if folds < 1 or horizon < 1 or length < 8:
        raise ValueError(
            f"{folds} folds of {horizon} periods leave {length} of {market.n_observed} to fit; "
            "give at least 1 of each, and few enough to leave 8."
        )
    starts = range(0, folds * horizon, horizon)
    every = [market.window(start, start + length + horizon) for start in starts]
    return Validation(tuple(_fold(whole, model, length, draws, seed) for whole in every))


def _fold(whole: MarketData, model: Model | None, length: int, draws: int, seed: int) -> Fold:
    seen = _first(whole, length)
    held_out = whole.before + length
    return Fold(
        dates=whole.dates[held_out:],
        observed=whole.outcome[:, held_out:],
        forecast=forecast(fit(seen, model, seed=seed), whole, draws=draws, seed=seed + 1),
        naive=naive_forecast(seen, whole.n_observed - length),
    )


def _first(market: MarketData, length: int) -> MarketData:
    """The first periods with an outcome; what is carried in stays."""
    return market.window(0, length)


def forecast(
    posterior: Posterior, market: MarketData, *, draws: int = 1000, seed: int = 0
) -> Float[np.ndarray, "draw geo time"]:
    """The outcome of the periods that follow a fit, as its model foresees it, noise included.

    Args:
      posterior: of `fit`.
      market: the posterior's own market and the periods after it, with their media, controls and
        events; the outcome of those periods is not read.
      draws: at most so many of the posterior are used.
      seed: of the noise.

    Raises:
      ValueError: if the market does not begin as the posterior's own.
    """
    foreseen = Effects(posterior, draws, market).predicted(seed)
    return foreseen[:, :, posterior.market.n_observed :]


def naive_forecast(market: MarketData, horizon: int) -> Float[np.ndarray, "case geo time"]:
    """What happened a year before, give or take as much as years have differed so far.

    y_t = y_{t−S} + (y_s − y_{s−S}),   S periods a year, one draw for each s of the past

    Where fewer than a year and 8 periods are known, every outcome so far is a draw instead.

    Args:
      market: what is known.
      horizon: periods to forecast.
    """
    known = market.outcome[:, market.before :]
    year, n = round(365.25 / market.period_days), known.shape[1]
    if n < year + _NAIVE_ERRORS:
        return np.repeat(known.T[:, :, None], horizon, axis=2)
    change = known[:, year:] - known[:, :-year]
    ahead = np.arange(n, n + horizon)
    last = known[:, ahead - year * np.ceil((ahead - n + 1) / year).astype(int)]
    return last[None] + change.T[:, :, None]
