"""An outcome for given media under given parameters, in the response model's own family."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import jax
import numpy as np
from jaxtyping import Array, Float

from channelwise.response import adstock as carry
from channelwise.response import saturation as curves
from channelwise.response.market import MarketData
from channelwise.response.truth import SimulatedMarket, truth_of

Parameters = Mapping[str, np.ndarray | float]


def simulate_from(
    market: MarketData,
    parameters: Parameters,
    rng: np.random.Generator,
    *,
    adstock: str = "geometric",
    saturation: str = "michaelis_menten",
    lags: int = 8,
    normalized: bool = True,
    outcome_scale: float = 1.0,
    media_scale: Float[np.ndarray, " medium"] | None = None,
) -> SimulatedMarket:
    """Give media an outcome under known parameters.

    For geo g with h_g heads, period t and the media m, paid channels first, then organic ones:

        outcome_gt = h_g · outcome_scale · (μ_gt + σ ε_gt),   ε ~ N(0, 1)
        μ_gt = intercept + u_g + trend · τ_t + Σ_k (a_k sin 2πk y_t + b_k cos 2πk y_t)
               + Σ_j control_j c_gtj + Σ_j event_j e_gtj + Σ_m β_m exp(η_m z_gm) f(s_gtm)
        s_gtm = Σ_l w_l x_{g,t−l,m},   x = exposure / (h_g · media_scale_m)

    τ rises from −½ to ½ over the observed periods; y is the date in years of 365.25 days since
    1970. A single geo, or geos of unknown population, have one head each.

    Args:
      market: media, controls and events; its outcome is not read.
      parameters: by name: those of the two forms (`PARAMETERS` in `adstock` and `saturation`) and
        "beta", one a medium; "sigma" and "intercept"; and, where wanted, "trend", "seasonality"
        (a_1, b_1, a_2, b_2, …), "control" and "event" (one a column, per unit of the column),
        "u" (geo), "eta" (medium) and "z" (geo, medium).
      rng: for ε.
      adstock: form of the carry-over, or "none".
      saturation: form of the curve, or "none".
      lags: longest lag L ≥ 0 in periods.
      normalized: whether the weights w sum to 1.
      outcome_scale: outcome per head where μ = 1.
      media_scale: exposure per head where x = 1; each medium's largest by default.

    Returns:
      The market with its outcome, NaN in the `before` periods, and the truth, whose parameters
      hold both scales.

    Raises:
      KeyError: naming a parameter that is missing.
    """
    p = _arrays(parameters)
    stock, scale = _carried(market, p, media_scale, adstock, lags, normalized)
    C = market.n_channels
    head = heads(market)[:, None] * outcome_scale
    organic = _worth(stock[..., C:], market, p, saturation, slice(C, None))
    context = head * (_context(market, p) + organic)

    def expected(
        factors: Float[np.ndarray, "scenario channel"],
    ) -> Float[np.ndarray, "scenario geo time"]:
        paid = stock[..., :C] * factors[:, None, None]
        return context + head * _worth(paid, market, p, saturation, slice(C))

    kept = {**p, "outcome_scale": np.asarray(outcome_scale), "media_scale": scale}
    truth = truth_of(expected, market, MappingProxyType(kept))
    mean = truth.baseline + truth.contribution_over_time.sum(axis=-1)
    noise = head * p["sigma"] * rng.standard_normal(mean.shape)
    hidden = np.full((market.n_geos, market.before), np.nan)
    outcome = np.concatenate([hidden, mean + noise], axis=1)
    return SimulatedMarket(replace(market, outcome=outcome), truth)


def contribution_of(
    exposure: Float[np.ndarray, "scenario time channel"],
    market: MarketData,
    parameters: Parameters,
    *,
    adstock: str = "geometric",
    saturation: str = "michaelis_menten",
    lags: int = 8,
) -> Float[np.ndarray, "scenario time"]:
    """What the paid channels of a national market would bring for other exposure, period by period.

    Args:
      exposure: of every period of the market, the `before` ones included.
      market: one geo.
      parameters: of the truth of `simulate_from`, with its scales.
      adstock: form of the carry-over, as the market was made with.
      saturation: form of the curve, likewise.
      lags: longest lag in periods, likewise.
    """
    p, C = _arrays(parameters), market.n_channels
    given = [p[name][:C] for name in carry.PARAMETERS[adstock]]
    with jax.enable_x64(True):
        media = exposure / p["media_scale"][:C]
        stock = np.asarray(_stock(media, given, adstock, lags, True, market.before))
    return p["outcome_scale"] * _worth(stock[:, None], market, p, saturation, slice(C))[:, 0]


def responses(
    market: MarketData, p: Parameters, *, adstock: str, saturation: str, lags: int
) -> Float[np.ndarray, "geo time medium"]:
    """f(s) of every medium in the observed periods, as `simulate_from` weighs it."""
    stock, _ = _carried(market, p, None, adstock, lags, True)
    return _saturated(stock, [p[name] for name in curves.PARAMETERS[saturation]], saturation)


def heads(market: MarketData) -> Float[np.ndarray, " geo"]:
    """People of each geo; 1 for a single geo and where the population is unknown."""
    alone = market.n_geos == 1 or market.population is None
    return np.ones(market.n_geos) if alone else market.population


def geo_factor(p: Parameters) -> Float[np.ndarray, "#geo #medium"]:
    """exp(η z): what a medium does in a geo over what it does on the whole."""
    return np.exp(p["eta"] * p["z"]) if "eta" in p else np.ones((1, 1))


def _arrays(parameters: Parameters) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float64) for name, value in parameters.items()}


def _worth(
    stock: Float[np.ndarray, "*scenario geo time some"],
    market: MarketData,
    p: Parameters,
    saturation: str,
    media: slice,
) -> Float[np.ndarray, "*scenario geo time"]:
    """Σ_m β_m exp(η_m z_gm) f(s_gtm) over some of the media, whose adstock is given."""
    beta = (np.ones((market.n_geos, 1)) * p["beta"] * geo_factor(p))[:, media]
    given = [p[name][media] for name in curves.PARAMETERS[saturation]]
    return np.einsum("...gtc,gc->...gt", _saturated(stock, given, saturation), beta)


def _carried(
    market: MarketData,
    p: Parameters,
    media_scale: Float[np.ndarray, " medium"] | None,
    adstock: str,
    lags: int,
    normalized: bool,
) -> tuple[Float[np.ndarray, "geo time medium"], Float[np.ndarray, " medium"]]:
    """The adstock s of every medium in the observed periods, and the scale of the media."""
    media = np.concatenate([market.exposure, market.organic], axis=2)
    media = media / heads(market)[:, None, None]
    largest = media.max(axis=(0, 1))
    scale = np.where(largest > 0, largest, 1.0) if media_scale is None else media_scale
    given = [p[name] for name in carry.PARAMETERS[adstock]]
    with jax.enable_x64(True):
        stock = _stock(media / scale, given, adstock, lags, normalized, market.before)
    return np.asarray(stock), scale


@partial(jax.jit, static_argnames=("form", "lags", "normalized", "before"))
def _stock(
    media: Float[Array, "geo time medium"],
    given: list[Float[Array, " medium"]],
    form: str,
    lags: int,
    normalized: bool,
    before: int,
) -> Float[Array, "geo kept medium"]:
    if form == "none":
        return media[:, before:]
    weights = getattr(carry, form)(*given, lags, normalized=normalized)
    return carry.carry_over(carry.lagged(media, lags, before), weights)


def _saturated(
    s: Float[np.ndarray, "*shape medium"], given: list[np.ndarray], saturation: str
) -> Float[np.ndarray, "*shape medium"]:
    """The curve f(s) of every medium."""
    if saturation == "none" or s.size == 0:
        return s
    with jax.enable_x64(True):
        return np.asarray(_curve(s, given, saturation))


@partial(jax.jit, static_argnames=("form",))
def _curve(
    s: Float[Array, "*shape medium"], given: list[Float[Array, " medium"]], form: str
) -> Float[Array, "*shape medium"]:
    return getattr(curves, form)(s, *given)


def _context(market: MarketData, p: Parameters) -> Float[np.ndarray, "geo time"]:
    """μ without media."""
    start = market.before
    year = 2 * np.pi * market.dates[start:].astype(float) / 365.25
    waves = np.reshape(p.get("seasonality", ()), (-1, 2))
    season = sum(a * np.sin(k * year) + b * np.cos(k * year) for k, (a, b) in enumerate(waves, 1))
    trend = p.get("trend", 0.0) * np.linspace(-0.5, 0.5, market.n_observed)
    mean = p["intercept"] + trend + season + np.zeros((market.n_geos, 1))
    if "u" in p:
        mean = mean + p["u"][:, None]
    for name, columns in (("control", market.controls), ("event", market.events)):
        if name in p:
            mean = mean + columns[:, start:] @ p[name]
    return mean
