"""The response model: what a market's outcome owes to each channel, written down.

For geo g, period t, media m (the paid channels, then the organic ones), in the model's units
(outcome per head over its largest value, exposure per head over each medium's largest value):

    y_gt = intercept + u_g + trend_t + season_t + controls_gt·γ + events_gt·δ
           + Σ_m β_gm · saturation(Σ_l w_l(adstock) x_{g,t−l,m}) + ε_gt
    u_g ~ N(0, τ²),   β_gm = β_m exp(η_m z_gm),  z_gm ~ N(0, 1)         (with several geos)
    ε_gt ~ N(0, σ²)  or  σ · Student-t(ν)

What is linear and normal a priori (intercept, trend, season, controls, events) is called the
baseline. `Model` says which adstock, which saturation, which priors; `design.Design` holds a
market's numbers for it and `density.log_density` its posterior density.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from channelwise.response.priors import Prior

Adstock = Literal["none", "geometric", "delayed", "binomial", "weibull_pdf", "weibull_cdf"]
Saturation = Literal["none", "hill", "michaelis_menten", "logistic", "tanh", "root"]
PriorOn = Literal["coefficient", "roi", "marginal_roi", "contribution"]

DEFAULT_PRIORS: dict[str, Prior] = {
    "alpha": Prior("beta", 1, 3),
    "theta": Prior("uniform", 0, 4),
    "weibull_shape": Prior("gamma", 4, 2),
    "weibull_scale": Prior("gamma", 3, 1),
    "half_saturation": Prior("gamma", 3, 5),
    "slope": Prior("gamma", 6, 4),
    "rate": Prior("gamma", 3, 1),
    "scale": Prior("gamma", 3, 3),
    "exponent": Prior("beta", 4, 3),
    "organic": Prior("half_normal", 0.3),
    "intercept": Prior("normal", 0.5, 0.5),
    "trend": Prior("normal", 0, 0.3),
    "seasonality": Prior("normal", 0, 0.15),
    "control": Prior("normal", 0, 0.15),
    "event": Prior("normal", 0, 0.3),
    "sigma": Prior("half_normal", 0.2),
    "tau": Prior("half_normal", 0.3),
    "eta": Prior("half_normal", 0.3),
    "nu": Prior("gamma", 2, 0.1),
}
"""Priors on the model's units; `effect` has one for each `prior_on`, in `EFFECT_PRIORS`."""

EFFECT_PRIORS: dict[str, Prior] = {
    "coefficient": Prior("half_normal", 0.5),
    "roi": Prior("log_normal", 0.2, 0.9),
    "marginal_roi": Prior("log_normal", 0.0, 0.5),
    "contribution": Prior("half_normal", 0.1),
}
"""Default prior of a paid channel's effect. ROI and marginal ROI: those of Meridian."""


class ModelError(ValueError):
    """A specification that does not make a model, or does not fit the market."""


@dataclass(frozen=True)
class Model:
    """What is assumed about a market before its outcome is seen.

    Args:
        adstock: form of the carry-over, one for all media or a mapping from medium to form (a
            medium left out takes "geometric").
        lags: longest lag L, in periods; an exposure acts in the periods 0 … L after it.
        normalized: whether the adstock weights are scaled to sum to 1.
        saturation: form of the diminishing return, likewise ("michaelis_menten" if left out).
        prior_on: what the prior named "effect" is about, for the paid channels: the coefficient
            β, the ROI, the marginal ROI, or the share of the outcome.
        priors: by parameter name, in place of `DEFAULT_PRIORS`; also a mapping from medium, or
            from the column of a baseline's parameter, to prior, such as
            `{"effect": {"tv": Prior("log_normal", 0, 0.3)}}`.
        trend: "none", "linear" or "knots".
        knots: number of inner knots of a "knots" trend, where its slope may change.
        seasonality: order of the yearly Fourier series, 0 for none.
        noise: "gaussian" or "student_t" (unknown degrees of freedom ν).

    Raises:
        ModelError: if a form or a parameter is unknown, or a number is out of its range.
    """

    adstock: str | Mapping[str, str] = "geometric"
    lags: int = 8
    normalized: bool = True
    saturation: str | Mapping[str, str] = "michaelis_menten"
    prior_on: PriorOn = "coefficient"
    priors: Mapping[str, Prior | Mapping[str, Prior]] = field(default_factory=dict)
    trend: Literal["none", "linear", "knots"] = "linear"
    knots: int = 0
    seasonality: int = 2
    noise: Literal["gaussian", "student_t"] = "gaussian"

    def __post_init__(self):
        _check_forms("adstock", self.adstock, get_args(Adstock))
        _check_forms("saturation", self.saturation, get_args(Saturation))
        _check_form("prior_on", self.prior_on, get_args(PriorOn))
        _check_form("trend", self.trend, ("none", "linear", "knots"))
        _check_form("noise", self.noise, ("gaussian", "student_t"))
        _check_range("lags", self.lags, 0, 104)
        _check_range("seasonality", self.seasonality, 0, 26)
        _check_range("knots", self.knots, *((1, 100) if self.trend == "knots" else (0, 0)))
        known = {*DEFAULT_PRIORS, "effect"}
        for name in self.priors:
            if name not in known:
                raise ModelError(f"No prior is called {name!r}; there are {', '.join(known)}.")
        object.__setattr__(self, "priors", {k: _rebuilt(v) for k, v in self.priors.items()})

    def prior(self, name: str, medium: str | None = None) -> Prior:
        """The prior of a parameter; of one medium's, where it has one of its own."""
        default = EFFECT_PRIORS[self.prior_on] if name == "effect" else DEFAULT_PRIORS[name]
        given = self.priors.get(name, default)
        return given if isinstance(given, Prior) else given.get(medium, default)

    def adstock_of(self, medium: str) -> str:
        """The form of a medium's carry-over."""
        given = self.adstock
        return given if isinstance(given, str) else given.get(medium, "geometric")

    def saturation_of(self, medium: str) -> str:
        """The form of a medium's diminishing return."""
        given = self.saturation
        return given if isinstance(given, str) else given.get(medium, "michaelis_menten")


def _check_form(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ModelError(f"{name} cannot be {value!r}; there are {', '.join(allowed)}.")


def _check_forms(name: str, value: str | Mapping[str, str], allowed: tuple[str, ...]) -> None:
    for form in [value] if isinstance(value, str) else value.values():
        _check_form(name, form, allowed)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        remedy = " without trend='knots'" if name == "knots" and high == 0 else ""
        raise ModelError(f"{name} must lie between {low} and {high}{remedy}, not {value}.")


def _rebuilt(given: Prior | Mapping) -> Prior | dict[str, Prior]:
    """A prior, also from the plain mapping that a saved model holds."""
    if isinstance(given, Prior):
        return given
    if set(given) <= {"family", "a", "b"}:
        return Prior(**given)
    return {medium: _rebuilt(prior) for medium, prior in given.items()}
