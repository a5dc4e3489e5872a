"""What spend by channel and period brings: carry-over within, into and out of the plan.

    F_s(x) = Σ_c Σ_g Σ_h d_h a_csg φ_c(z_csgh),   z_csgh = q_csgh + r_csg Σ_l w_csl v_c(x_c,h−l)

for draw s, geos g and periods h = 0 … H − 1, of which the first T are the plan's: what is spent in
them acts on for L periods more. q is what earlier media still bring, w the weights of carry-over, v
the volume bought (the spend, or less where prices rise with it), φ the forms of `curves` and d the
discount. Everything is separable by channel: second derivatives are one block a channel.
"""

import functools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.shapes import FORMS, TINY, shape, value
from channelwise.decisions.periods.majorant import Majorant, majorant


class Bent(NamedTuple):
    """An expected outcome and its derivatives in the spend."""

    value: float
    gradient: Float[np.ndarray, "channel period"]
    hessian: Float[np.ndarray, "channel period period"]  # within a channel; 0 between channels


@dataclass(frozen=True, eq=False)
class PeriodCurves:
    """Draws of what spend by channel and period brings.

    Attributes:
      channels: names.
      forms: of each channel, one of `curves.FORMS`.
      amplitude: a, currency a period.
      reach: r ≥ 0, per unit of currency: 1/r of spend, carried over, is z = 1.
      slope: n > 0, the power in φ; S-shaped above 1.
      carry: w ≥ 0, the weights of lags 0 … L.
      carry_in: q ≥ 0, from media before the plan.
      today: spend by channel and period as things are, currency.
      discount: rate a period, ≥ 0: d_h = (1 + discount)^−h.
      elasticity: e ≥ 0: a unit's price rises with volume^e, from today's mean price on.
      tail: whether what comes back after the plan's last period counts.
      weights: of the draws, of sum 1; None for equal ones.
      stamp: what every plan made of them must show.

    Raises:
      ValueError: if shapes or numbers do not fit together.
    """

    channels: tuple[str, ...]
    forms: tuple[str, ...]
    amplitude: Float[np.ndarray, "channel draw geo"]
    reach: Float[np.ndarray, "channel draw geo"]
    slope: Float[np.ndarray, "channel draw"]
    carry: Float[np.ndarray, "channel draw lag"]
    carry_in: Float[np.ndarray, "channel draw geo horizon"]
    today: Float[np.ndarray, "channel period"]
    discount: float = 0.0
    elasticity: float = 0.0
    tail: bool = True
    weights: Float[np.ndarray, " draw"] | None = None
    stamp: str = ""

    def __post_init__(self):
        C, S, _ = self.amplitude.shape
        horizon = self.n_periods + self.carry.shape[2] - 1
        expected = {
            "reach": self.amplitude.shape,
            "slope": (C, S),
            "carry": (C, S, self.carry.shape[2]),
            "carry_in": (*self.amplitude.shape, horizon),
            "today": (C, self.n_periods),
        }
        for name, size in expected.items():
            if getattr(self, name).shape != size:
                got = getattr(self, name).shape
                raise ValueError(f"{name} has the shape {got}; with the other arrays it is {size}.")
        if not len(self.channels) == len(self.forms) == C:
            raise ValueError(f"{C} channels need as many names and forms.")
        for form in self.forms:
            if form not in FORMS:
                raise ValueError(f"No curve is called {form!r}; there are {', '.join(FORMS)}.")
        for name in ("reach", "carry", "carry_in", "today"):
            if not (getattr(self, name) >= 0).all():
                raise ValueError(f"{name} must be at least 0 everywhere.")
        if not ((self.slope > 0).all() and self.discount >= 0 and self.elasticity >= 0):
            raise ValueError("Slopes must be above 0, discount and elasticity at least 0.")
        if self.elasticity > 0 and not (self.today.sum(axis=1) > 0).all():
            raise ValueError("Rising prices start from today's spend: every channel needs some.")

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    @property
    def n_draws(self) -> int:
        return self.amplitude.shape[1]

    @property
    def n_periods(self) -> int:
        """Periods of the plan, T."""
        return self.today.shape[1]

    @property
    def horizon(self) -> int:
        """Periods in which the plan acts, T + L."""
        return self.carry_in.shape[3]

    @property
    def concave(self) -> bool:
        """Whether the outcome is concave in the spend, in every draw."""
        return bool((self.slope <= 1).all() and (self.amplitude >= 0).all())

    @functools.cached_property
    def discounts(self) -> Float[np.ndarray, " horizon"]:
        """d_h; 0 for the periods that do not count."""
        d = (1 + self.discount) ** -np.arange(self.horizon, dtype=float)
        return d if self.tail else np.where(np.arange(self.horizon) < self.n_periods, d, 0.0)

    def by_period(
        self, spend: Float[np.ndarray, "channel period"]
    ) -> Float[np.ndarray, "draw channel horizon"]:
        """What the plan brings in each period, not discounted; 0 where nothing is spent."""
        z, none = self._stock(spend), np.broadcast_to(self.carry_in, self.carry_in.shape)
        gain = [self._phi(c, z[c]) - self._phi(c, none[c]) for c in range(self.n_channels)]
        each = np.einsum("csg,csgh->sch", self.amplitude, np.stack(gain))
        return np.where(self.discounts > 0, each, 0.0)

    def outcome(self, spend: Float[np.ndarray, "channel period"]) -> Float[np.ndarray, " draw"]:
        """F_s(x) − F_s(0): what the plan brings in each draw, discounted, currency."""
        return (self.by_period(spend) @ self.discounts).sum(axis=1)

    def expected(
        self, spend: Float[np.ndarray, "channel period"], above: list[Majorant] | None = None
    ) -> float:
        """The mean of `outcome` over the draws, or of a concave majorant of it."""
        z, total = self._stock(spend), 0.0
        for c in range(self.n_channels):
            phi = self._phi(c, z[c]) if above is None else above[c].values(z[c], self._phi(c, z[c]))
            total += np.einsum("sgh,sgh", self._weighted(c), phi)
        return float(total) - self._baseline

    def derivatives(
        self, spend: Float[np.ndarray, "channel period"], above: list[Majorant] | None = None
    ) -> Bent:
        """`expected` with its first and second derivatives.

        ∂F/∂v_t = Σ_l Σ_s w_sl (r a φ′)_s,t+l,   ∂²F/∂v_t∂v_u = Σ_h Σ_s w_s,h−t w_s,h−u (r² a φ″)_sh
        """
        z, C, T = self._stock(spend), self.n_channels, self.n_periods
        total, gradient, hessian = 0.0, np.empty((C, T)), np.empty((C, T, T))
        for c in range(C):
            phi, first, second = self._shape(c, z[c])
            if above is not None:
                phi, first, second = above[c].derivatives(z[c], phi, first, second)
            a = self._weighted(c)
            total += np.einsum("sgh,sgh", a, phi)
            r = self.reach[c][:, :, None]
            gradient[c] = _back(self.carry[c], (a * r * first).sum(axis=1), T)
            hessian[c] = _band(self._pairs[c], (a * r * r * second).sum(axis=1), T)
        _, slope, bend = self._volume(spend)
        hessian *= slope[:, :, None] * slope[:, None, :]
        t = np.arange(T)
        hessian[:, t, t] += gradient * bend
        return Bent(float(total) - self._baseline, gradient * slope, hessian)

    def majorants(self, most: Float[np.ndarray, "channel period"]) -> list[Majorant]:
        """Concave functions of z above every term, for spends up to `most` in each period."""
        top, found = self._stock(most), []
        for c in range(self.n_channels):
            sign = np.sign(self.amplitude[c])[:, :, None]
            of_c = functools.partial(self._shape, c)
            n = np.broadcast_to(self.slope[c][:, None, None], top[c].shape)
            found.append(majorant(of_c, self.carry_in[c], top[c], n, sign))
        return found

    def with_tail(self, tail: bool) -> "PeriodCurves":
        """The same, with or without what comes back after the plan's last period."""
        return replace(self, tail=tail)

    def thinned(self, draws: int) -> "PeriodCurves":
        """At most so many of the draws, evenly spaced, each with its weight."""
        kept = np.linspace(0, self.n_draws - 1, min(draws, self.n_draws)).astype(int)
        names = ("amplitude", "reach", "slope", "carry", "carry_in")
        parts = {name: getattr(self, name)[:, kept] for name in names}
        weights = None if self.weights is None else self.weights[kept] / self.weights[kept].sum()
        return replace(self, **parts, weights=weights)

    @functools.cached_property
    def _baseline(self) -> float:
        """What media before the plan bring within the horizon."""
        each = (self._weighted(c) * self._phi(c, self.carry_in[c]) for c in range(self.n_channels))
        return float(sum(part.sum() for part in each))

    def _weighted(self, c: int) -> Float[np.ndarray, "draw geo horizon"]:
        """Probability · amplitude · discount."""
        p = 1 / self.n_draws if self.weights is None else self.weights[:, None]
        return (self.amplitude[c] * p)[:, :, None] * self.discounts

    def _volume(self, spend: Float[np.ndarray, "channel period"]) -> tuple:
        """v(x) with v′ and v″: m (x/m)^(1/(1+e)) around today's mean spend m of a period."""
        if self.elasticity == 0:
            return spend, np.ones_like(spend), np.zeros_like(spend)
        power = 1 / (1 + self.elasticity)
        m = self.today.mean(axis=1)[:, None]
        u = np.maximum(spend / m, TINY)
        slope = power * u ** (power - 1)
        return m * np.maximum(spend / m, 0) ** power, slope, (power - 1) * slope / (u * m)

    def _stock(self, spend: Float[np.ndarray, "channel period"]) -> np.ndarray:
        """z, (channel, draw, geo, horizon)."""
        lags = self.carry.shape[2] - 1
        v = np.pad(self._volume(spend)[0], ((0, 0), (lags, lags)))
        shifted = np.stack([v[:, lags - l : lags - l + self.horizon] for l in range(lags + 1)], 1)  # noqa: E741
        return self.carry_in + self.reach[..., None] * (self.carry @ shifted)[:, :, None]

    @functools.cached_property
    def _pairs(self) -> Float[np.ndarray, "channel pair draw"]:
        """w_l w_m for all lags l ≤ m."""
        low, high = np.triu_indices(self.carry.shape[2])
        return np.ascontiguousarray((self.carry[..., low] * self.carry[..., high]).swapaxes(1, 2))

    def _phi(self, c: int, z: np.ndarray) -> np.ndarray:
        return value(self.forms[c], z, self.slope[c][:, None, None])

    def _shape(self, c: int, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return shape(self.forms[c], z, self.slope[c][:, None, None])


def _back(carry: np.ndarray, pull: np.ndarray, periods: int) -> Float[np.ndarray, " period"]:
    """Σ_l Σ_s w_sl pull_s,t+l."""
    by_lag = carry.T @ pull
    return sum(row[lag : lag + periods] for lag, row in enumerate(by_lag))


def _band(pairs: np.ndarray, bend: np.ndarray, periods: int) -> np.ndarray:
    """Σ_h Σ_s w_s,h−t w_s,h−u bend_sh, as a full symmetric matrix over t and u."""
    lags = int((np.sqrt(8 * len(pairs) + 1) - 1) / 2)
    low, high = np.triu_indices(lags)
    rows, H = pairs @ bend, np.zeros((periods, periods))
    for i, j, row in zip(low, high, rows, strict=True):
        apart = j - i  # spend at t = h − i and, earlier, at u = h − j
        t = np.arange(apart, periods)
        H[t, t - apart] += row[t + i]
    return H + np.tril(H, -1).T
