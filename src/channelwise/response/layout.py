"""The static shape of a model: what makes two compiled programs different."""

from dataclasses import dataclass

from channelwise.response import adstock, saturation
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model, ModelError
from channelwise.response.priors import Prior

QUARTER = 13
"""Periods are filled up to a multiple of this."""

Slot = tuple[str, int]
"""A scalar parameter: its name and its medium's index (0 where it belongs to no medium)."""


@dataclass(frozen=True)
class Layout:
    """The static shape of a model: which scalar stands where, and which forms are computed."""

    interval: tuple[Slot, ...]
    positive: tuple[Slot, ...]
    adstock: tuple[str, ...]  # per medium
    saturation: tuple[str, ...]
    lags: int
    normalized: bool
    channels: int  # paid media; the others are organic
    prior_on: str
    signed: bool  # effects may be negative (normal priors)
    geos: int
    times: int  # periods, filled up to a whole number of quarters
    linear: int  # columns of the baseline
    student_t: bool
    trials: tuple[int, ...] = ()  # lift tests, their cells and periods; empty without tests

    @property
    def media(self) -> int:
        return len(self.adstock)

    @property
    def hierarchical(self) -> bool:
        return self.geos > 1

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each block of the position vector, in order."""
        return {
            "interval": len(self.interval),
            "positive": len(self.positive),
            "effect": self.media,
            "sigma": 1,
            "z": self.geos * self.media if self.hierarchical else 0,
            "linear": (self.linear + self.geos * self.hierarchical) if self.student_t else 0,
        }

    @property
    def dimension(self) -> int:
        """Length of the position vector."""
        return sum(self.sizes.values())

    def slots(self, name: str) -> list[int]:
        """Where a parameter's scalars stand in (interval, positive), in the order of media."""
        every = [*self.interval, *self.positive]
        return sorted((i for i, s in enumerate(every) if s[0] == name), key=lambda i: every[i][1])

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters in `interval` and `positive`."""
        return tuple(dict.fromkeys(name for name, _ in (*self.interval, *self.positive)))

    def owners(self, name: str) -> tuple[int, ...]:
        """The media that have the parameter, ascending."""
        return tuple(sorted(m for n, m in (*self.interval, *self.positive) if n == name))


def layout_of(market: MarketData, model: Model, media: tuple[str, ...], linear: int) -> Layout:
    """The layout of a market with so many columns of the baseline.

    Raises:
        ModelError: if a prior has the wrong support.
    """
    forms = [(model.adstock_of(m), model.saturation_of(m)) for m in media]
    owned = [adstock.PARAMETERS[a] + saturation.PARAMETERS[s] for a, s in forms]
    order = dict.fromkeys(name for form in _FORMS for name in form)
    slots = [(name, i) for name in order for i in range(len(media)) if name in owned[i]]
    if market.n_geos > 1:
        slots += [("eta", i) for i in range(len(media))] + [("tau", 0)]
    if model.noise == "student_t":
        slots.append(("nu", 0))
    support = {slot: own_prior(model, slot, media).support for slot in slots}
    for slot, where in support.items():
        if where == "real" or (slot[0] in ("alpha", "exponent") and where != "interval"):
            prior = own_prior(model, slot, media)
            raise ModelError(f"The prior of {slot[0]} cannot be {prior.label}: wrong support.")
    return Layout(
        interval=tuple(s for s in slots if support[s] == "interval"),
        positive=tuple(s for s in slots if support[s] == "positive"),
        adstock=tuple(a for a, _ in forms),
        saturation=tuple(s for _, s in forms),
        lags=model.lags,
        normalized=model.normalized,
        channels=market.n_channels,
        prior_on=model.prior_on,
        signed=effect_priors(model, market)[0].support == "real",
        geos=market.n_geos,
        times=market.n_observed + -market.n_observed % QUARTER,
        linear=linear,
        student_t=model.noise == "student_t",
    )


_FORMS = (*adstock.PARAMETERS.values(), *saturation.PARAMETERS.values())


def own_prior(model: Model, slot: Slot, media: tuple[str, ...]) -> Prior:
    """The prior of a parameter that is not an effect."""
    name, index = slot
    return model.prior(name, media[index] if name not in ("tau", "nu") else None)


def effect_priors(model: Model, market: MarketData) -> list[Prior]:
    """Of each medium's effect; all on positive numbers, or all on the real line."""
    priors = [model.prior("effect", c) for c in market.channels]
    priors += [model.prior("organic", o) for o in market.organic_names]
    if not priors:
        raise ModelError("The market has no media; name at least one spend or organic column.")
    if len({p.support for p in priors}) > 1 or priors[0].support == "interval":
        raise ModelError(
            "Effects need priors that are all positive (half_normal, log_normal, gamma) or all "
            f"normal, not {', '.join(sorted({p.label for p in priors}))}."
        )
    return priors
