"""What each channel brings for its spend: response curves, one for every posterior draw.

    f_cs(x) = Σ_j a_csj φ(x / k_csj; n_cs)          currency back for x currency spent on channel c

for draw s, where j counts the periods (and geos) among which the spend is divided: each has its own
size a and its own spend k at which z = x/k = 1. The forms φ are

    hill    zⁿ/(1 + zⁿ)     Michaelis–Menten where n = 1; S-shaped where n > 1
    tanh    tanh(zⁿ)        the logistic and the tanh curve where n = 1
    power   zⁿ              the root curve; linear where n = 1

All three are functions of w = zⁿ, and n ln z is linear in ln x: prices that rise with volume as a
power, and other units of currency, stay within the family.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.shapes import FORMS, Form

_TINY = 1e-250  # stands for no spend at all, in units of the scale


class Moments(NamedTuple):
    """A curve's weighted mean over draws, and its first two derivatives in spend."""

    value: Float[np.ndarray, " channel"]  # currency
    slope: Float[np.ndarray, " channel"]  # currency back for the next unit of currency
    bend: Float[np.ndarray, " channel"]  # change of the slope with the spend


@dataclass(frozen=True, eq=False)
class Curves:
    """Draws of the response curves of several channels over one horizon.

    Attributes:
      channels: names.
      forms: of each channel, one of `FORMS`.
      amplitude: a, currency; 0 for terms that are not there.
      scale: k > 0, currency of spend over the horizon.
      slope: n > 0.
      today: spend over the same horizon as things are, currency.
      weights: of the draws, at least 0 and of sum 1; None for equal ones.
      most: largest spend over such a horizon that the data saw; beyond it we extrapolate.
      stamp: what every plan made of them must show: a failed check that was overridden.

    Raises:
      ValueError: if shapes, names or numbers do not fit together.
    """

    channels: tuple[str, ...]
    forms: tuple[str, ...]
    amplitude: Float[np.ndarray, "channel draw term"]
    scale: Float[np.ndarray, "channel draw term"]
    slope: Float[np.ndarray, "channel draw"]
    today: Float[np.ndarray, " channel"]
    weights: Float[np.ndarray, " draw"] | None = None
    most: Float[np.ndarray, " channel"] | None = None
    stamp: str = ""

    def __post_init__(self):
        C, S, _ = self.amplitude.shape
        given = {"channels": len(self.channels), "forms": len(self.forms), "today": len(self.today)}
        for name, n in given.items():
            if n != C:
                raise ValueError(f"{name} has {n} entries for the curves of {C} channels.")
        if self.scale.shape != self.amplitude.shape or self.slope.shape != (C, S):
            raise ValueError("scale must have the shape of amplitude, and slope one entry a draw.")
        if len(set(self.channels)) < C:
            raise ValueError(f"Each channel needs a name of its own, not {self.channels}.")
        for form in self.forms:
            if form not in FORMS:
                raise ValueError(f"No curve is called {form!r}; there are {', '.join(FORMS)}.")
        if not (np.isfinite(self.amplitude).all() and (self.scale > 0).all()):
            raise ValueError("Amplitudes must be finite, and scales above 0.")
        if not (self.slope > 0).all():
            raise ValueError(f"Slopes must be above 0; the least is {self.slope.min():.4g}.")
        if not (np.isfinite(self.today).all() and (self.today >= 0).all()):
            raise ValueError(f"Today's spend must be at least 0 everywhere, not {self.today}.")
        if self.weights is not None and not _is_mean(self.weights, S):
            raise ValueError(f"weights must be {S} numbers of at least 0 that sum to 1.")

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    @property
    def n_draws(self) -> int:
        return self.amplitude.shape[1]

    @functools.cached_property
    def concave(self) -> np.ndarray:
        """Of each channel: whether the curve is concave in every draw, (channel,) bool."""
        return (self.slope <= 1).all(axis=1) & (self.amplitude >= 0).all(axis=(1, 2))

    def values(self, spend: Float[np.ndarray, " channel"]) -> Float[np.ndarray, "draw channel"]:
        """f_cs(x_c) in currency, for the spend of each channel."""
        w, _ = self._reduced(spend)
        return self._sum(self.amplitude, self._form(w).value).T

    def marginals(self, spend: Float[np.ndarray, " channel"]) -> Float[np.ndarray, "draw channel"]:
        """f′_cs(x_c): currency back for the next unit of currency (marginal ROI)."""
        w, x = self._reduced(spend)
        return (self.slope * self._sum(self.amplitude, self._form(w).first)).T / x

    def expected(self, spend: Float[np.ndarray, " channel"]) -> Float[np.ndarray, " channel"]:
        """The weighted mean of `values` over the draws."""
        w, _ = self._reduced(spend)
        return np.einsum("csj,csj->c", self.weighted, self._form(w).value)

    def moments(self, spend: Float[np.ndarray, " channel"]) -> Moments:
        """The mean curve at a spend, with its slope and bend."""
        w, x = self._reduced(spend)
        n = self.slope[:, :, None]
        phi, first, kappa = self._form(w)
        first = n * first
        second = first * (n * (1 - 2 * kappa) - 1)
        value, slope, bend = (
            np.einsum("csj,csj->c", self.weighted, part) for part in (phi, first, second)
        )
        with np.errstate(over="ignore"):  # at no spend at all a slope may be infinite
            return Moments(value, slope / x, bend / x / x)

    def reweighted(self, weights: Float[np.ndarray, " draw"]) -> "Curves":
        """The same draws under other weights, scaled to sum to 1."""
        return replace(self, weights=weights / weights.sum())

    def only(self, draws: np.ndarray) -> "Curves":
        """Some of the draws, by their indices, with equal weights."""
        parts = {name: getattr(self, name)[:, draws] for name in ("amplitude", "scale", "slope")}
        return replace(self, **parts, weights=None)

    def in_units(self, spend: float, value: float) -> "Curves":
        """The same curves, spend counted in units of `spend` and the outcome in units of `value`.

        Args:
          spend: currency a unit of spend, > 0.
          value: currency a unit of value, > 0.
        """
        most = None if self.most is None else self.most / spend
        return replace(
            self,
            amplitude=self.amplitude / value,
            scale=self.scale / spend,
            today=self.today / spend,
            most=most,
        )

    def with_rising_prices(self, elasticity: float | Mapping[str, float]) -> "Curves":
        """Curves where the unit price of a channel rises with its volume, from today's price on.

        price ∝ volume^e, so spend ∝ volume^(1 + e) and volume ∝ spend^(1/(1 + e)): at today's spend
        nothing changes, twice the spend buys 2^(1/(1 + e)) times the volume.

        Args:
          elasticity: e ≥ 0 of every channel, or by name (0 for those left out).

        Raises:
          ValueError: for a channel without spend today, an unknown one, or a negative elasticity.
        """
        each = (
            elasticity
            if isinstance(elasticity, Mapping)
            else dict.fromkeys(self.channels, elasticity)
        )
        unknown = set(each) - set(self.channels)
        if unknown:
            raise ValueError(f"No channel is called {sorted(unknown)[0]!r}; see {self.channels}.")
        e = np.array([each.get(name, 0.0) for name in self.channels])
        for name, value, today in zip(self.channels, e, self.today, strict=True):
            if value < 0 or (value > 0 and today == 0):
                raise ValueError(
                    f"The price of {name} cannot rise by a power of {value:g} from a spend of "
                    f"{today:g} today: give elasticities of at least 0 to channels in use."
                )
        today = np.where(e > 0, self.today, 1.0)[:, None, None]
        power = 1 + e[:, None, None]
        scale = np.where(power > 1, today * (self.scale / today) ** power, self.scale)
        return replace(self, scale=scale, slope=self.slope / (1 + e[:, None]))

    @functools.cached_property
    def weighted(self) -> Float[np.ndarray, "channel draw term"]:
        if self.weights is None:
            return self.amplitude / self.n_draws
        return self.amplitude * self.weights[:, None]

    @functools.cached_property
    def _plain(self) -> bool:
        """Whether no power needs to be taken."""
        return bool((self.slope == 1).all())

    @functools.cached_property
    def log_scale(self) -> Float[np.ndarray, "channel draw term"]:
        return np.log(self.scale)

    def _reduced(self, spend: Float[np.ndarray, " channel"]):
        """w = (x/k)ⁿ, and x with the smallest positive number in place of 0."""
        floor = _TINY * self._largest_scale
        x = np.maximum(spend, floor)
        if self._plain:
            return x[:, None, None] / self.scale, x
        log_z = np.log(x)[:, None, None] - self.log_scale
        return np.exp(np.clip(self.slope[:, :, None] * log_z, -700, 700)), x

    @functools.cached_property
    def _largest_scale(self) -> Float[np.ndarray, " channel"]:
        return self.scale.max(axis=(1, 2))

    def _form(self, w: Float[np.ndarray, "channel draw term"]) -> Form:
        """Each channel's own form."""
        if len(set(self.forms)) == 1:
            return FORMS[self.forms[0]](w)
        out = Form(*(np.empty_like(w) for _ in Form._fields))
        for form in set(self.forms):
            rows = [i for i, f in enumerate(self.forms) if f == form]
            for whole, part in zip(out, FORMS[form](w[rows]), strict=True):
                whole[rows] = part
        return out

    @staticmethod
    def _sum(amplitude, shape) -> Float[np.ndarray, "channel draw"]:
        return np.einsum("csj,csj->cs", amplitude, shape)


def hill_curves(
    channels: tuple[str, ...],
    amplitude: Float[np.ndarray, "... channel"],
    half_saturation: Float[np.ndarray, "... channel"],
    slope: Float[np.ndarray, "... channel"] | float = 1.0,
    *,
    today: Float[np.ndarray, " channel"],
) -> Curves:
    """Hill curves of known parameters, or of draws of them.

    f(x) = a xⁿ / (Kⁿ + xⁿ)

    Args:
      channels: names.
      amplitude: a, the most a channel can bring over the horizon, currency; of shape (channel,), or
        (draw, channel), as are the other parameters.
      half_saturation: K > 0, the spend that brings half of it, currency.
      slope: n > 0; S-shaped above 1.
      today: spend as things are, currency.
    """
    a, k, n = np.broadcast_arrays(
        np.atleast_2d(np.asarray(amplitude, float)), half_saturation, np.asarray(slope, float)
    )
    return Curves(
        channels=tuple(channels),
        forms=("hill",) * len(channels),
        amplitude=a.T[:, :, None].copy(),
        scale=k.T[:, :, None].astype(float),
        slope=n.T.astype(float),
        today=np.asarray(today, float),
    )


def _is_mean(weights: np.ndarray, draws: int) -> bool:
    sums_to_one = abs(weights.sum() - 1) < 1e-9
    return weights.shape == (draws,) and bool((weights >= 0).all()) and bool(sums_to_one)
