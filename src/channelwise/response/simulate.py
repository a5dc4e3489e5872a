"""Markets with a known truth, to test a model before it is trusted with a real one.

`family_market` and `jin_market` belong to the response model's own family, and `simulate_from`
puts any media and parameters of that family together; `people_market` lies outside of it.
"""

from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from channelwise.response import adstock as carry
from channelwise.response import saturation as curves
from channelwise.response.additive import Parameters, geo_factor, heads, responses, simulate_from
from channelwise.response.market import MarketData
from channelwise.response.people import people_market
from channelwise.response.spending import NAMES, autocorrelated, weekly_spend, weeks_from
from channelwise.response.truth import SimulatedMarket, Truth

__all__ = [
    "SimulatedMarket",
    "Truth",
    "family_market",
    "jin_market",
    "people_market",
    "simulate_from",
]

RANGES: dict[str, tuple[float, float]] = {
    "alpha": (0.1, 0.7),
    "theta": (0.0, 3.0),
    "weibull_shape": (0.8, 3.0),
    "weibull_scale": (1.0, 4.0),
    "half_saturation": (0.2, 0.8),
    "slope": (0.8, 2.0),
    "rate": (1.0, 4.0),
    "scale": (0.3, 1.0),
    "exponent": (0.4, 0.9),
}
"""Where `family_market` draws the parameters of carry-over and saturation from, uniformly."""

_LEVEL = 0.7  # mean of the outcome where its expected maximum is about 1


def family_market(
    seed: int,
    *,
    weeks: int = 156,
    channels: int = 5,
    geos: int = 1,
    controls: int = 2,
    organic: int = 0,
    before: int = 0,
    adstock: str = "geometric",
    saturation: str = "michaelis_menten",
    lags: int = 8,
    collinearity: float = 0.0,
    noise: float = 0.04,
    media_share: float = 0.3,
    parameters: Parameters = MappingProxyType({}),
) -> SimulatedMarket:
    """Draw a weekly market that the response model describes exactly.

    Spend is autocorrelated, seasonal and of very different sizes; every other channel runs in
    flights (`spending.weekly_spend`). The parameters of carry-over and saturation are uniform on
    `RANGES`, ROIs log-normal around 1.5; trend and season move the outcome by about a tenth, each
    control by a twentieth. Geos differ in population, level and in what a channel does there.

    Args:
      seed: of everything random; the same arguments give the same market.
      weeks: with an outcome.
      channels: paid media.
      geos: regions.
      controls: columns of mean 0 and standard deviation 1.
      organic: media without spend.
      before: weeks in front that have media alone.
      adstock: form of the carry-over, see `simulate_from`.
      saturation: form of the curve, see `simulate_from`.
      lags: longest lag in weeks.
      collinearity: correlation of the log spend of any two channels, in [0, 1), as planned: before
        flights are cut and geos stray from the plan.
      noise: σ, where the outcome's mean is 0.7.
      media_share: share of the paid channels in the outcome, in (0, 1).
      parameters: take the place of those drawn, by the names and in the units of `simulate_from`.

    Raises:
      ValueError: if the collinearity or the share lies outside its range.
    """
    _check_share("collinearity", collinearity, 0 <= collinearity < 1, "[0, 1)")
    _check_share("media_share", media_share, 0 < media_share < 1, "(0, 1)")
    rng = np.random.default_rng(seed)
    counts = (before + weeks, channels, geos, organic, controls)
    market = _calendar(rng, *counts, before, collinearity)
    p = _drawn(rng, geos, channels + organic, controls, (adstock, saturation), noise)
    p |= {name: np.asarray(value, np.float64) for name, value in parameters.items()}
    forms = {"adstock": adstock, "saturation": saturation, "lags": lags}
    reach = heads(market)[:, None] * geo_factor(p) * responses(market, p, **forms).sum(axis=1)
    spend = market.total_spend
    target = rng.lognormal(np.log(1.5), 0.5, channels) * spend
    people = heads(market).sum() * weeks
    scale = target.sum() / media_share / people / _LEVEL
    unpaid = rng.uniform(0.02, 0.08, organic)
    p = {"beta": np.concatenate([target / (scale * reach.sum(axis=0)[:channels]), unpaid])} | p
    p = {"intercept": np.asarray(_LEVEL - (p["beta"] * reach.sum(axis=0)).sum() / people)} | p
    return simulate_from(market, p, rng, **forms, outcome_scale=scale)


def _check_share(name: str, value: float, good: bool, allowed: str) -> None:
    if not good:
        raise ValueError(f"{name} is {value}; give a value in {allowed}.")


def _calendar(
    rng: np.random.Generator,
    times: int,
    channels: int,
    geos: int,
    organic: int,
    controls: int,
    before: int,
    collinearity: float,
) -> MarketData:
    """A market of media and controls, without an outcome."""
    population = rng.lognormal(14, 0.8, geos) if geos > 1 else None
    share = np.ones(1) if population is None else population / population.sum()
    paid = weekly_spend(rng, times, channels, geos, collinearity) * share[:, None, None]
    unpaid = weekly_spend(rng, times, organic, geos, 0.0) * share[:, None, None]
    context = autocorrelated(rng, (times, geos, controls), 0.7).swapaxes(0, 1)
    context = (context - context.mean(axis=(0, 1))) / context.std(axis=(0, 1))
    more = tuple(f"channel_{i}" for i in range(len(NAMES) + 1, channels + 1))
    return MarketData(
        dates=weeks_from("2021-01-04", times),
        outcome=np.zeros((geos, times)),
        spend=paid,
        channels=(NAMES + more)[:channels],
        controls=context,
        control_names=tuple(f"control_{i + 1}" for i in range(controls)),
        organic=unpaid,
        organic_names=tuple(f"organic_{i + 1}" for i in range(organic)),
        geos=("national",) if geos == 1 else tuple(f"geo_{i + 1:02d}" for i in range(geos)),
        population=population,
        outcome_name="revenue",
        before=before,
    )


def _drawn(
    rng: np.random.Generator,
    geos: int,
    media: int,
    controls: int,
    forms: tuple[str, str],
    noise: float,
) -> dict[str, np.ndarray]:
    """Parameters of the family but for the intercept and what media are worth."""
    names = (*carry.PARAMETERS[forms[0]], *curves.PARAMETERS[forms[1]])
    p = {name: rng.uniform(*RANGES[name], media) for name in names}
    p["sigma"] = np.asarray(noise)
    p["trend"] = np.asarray(rng.normal(0.1, 0.05))
    p["seasonality"] = 0.05 * rng.standard_normal(4) / np.repeat([1, 2], 2)
    p["control"] = 0.03 * rng.standard_normal(controls)
    if geos > 1:
        p["u"] = 0.1 * rng.standard_normal(geos)
        p["eta"] = np.full(media, 0.3)
        p["z"] = rng.standard_normal((geos, media))
    return p


def jin_market(seed: int, weeks: int = 104) -> SimulatedMarket:
    """Draw the market of Jin et al. 2017: three media with a delayed, S-shaped effect, and price.

    sales_t = 4 + Σ_m β_m Hill(adstock_t(x_m); K_m, S_m) − 0.5 price_t + ε_t,   Var ε = 0.05²

    | medium | α | θ | K | S | β |
    |---|---|---|---|---|---|
    | 1 | 0.6 | 5 | 0.2 | 1 | 0.8 |
    | 2 | 0.8 | 3 | 0.2 | 2 | 0.6 |
    | 3 | 0.8 | 4 | 0.2 | 2 | 0.3 |

    The adstock is normalized and delayed, over the L = 13 lags 0 … 12. The paper says that media
    are a sinusoid of one year plus white noise, scaled to lie in [0, 1], and that price is an
    AR(1) series. It leaves open what we chose as follows: a year has 52 weeks; all media peak
    together, and the white noise has the standard deviation ½ of a wave of amplitude 1; price has
    autocorrelation 0.7, mean 0 and variance 1; before the first week there were no media.

    Args:
      seed: of everything random.
      weeks: 104 in the paper, which compares them with large samples.

    Returns:
      The market, where a unit of media costs a unit of currency, and the truth.

    Source: Jin, Wang, Sun, Chan, Koehler 2017, "Bayesian methods for media mix modeling with
    carryover and shape effects", section on the simulated data set.
    """
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(weeks) / 52)[:, None]
    media = _unit(wave + 0.5 * rng.standard_normal((weeks, 3)))
    market = MarketData(
        dates=weeks_from("2015-01-05", weeks),
        outcome=np.zeros((1, weeks)),
        spend=media[None],
        channels=("media_1", "media_2", "media_3"),
        controls=autocorrelated(rng, (weeks, 1), 0.7)[None],
        control_names=("price",),
        outcome_name="sales",
    )
    p = {
        "alpha": np.array([0.6, 0.8, 0.8]),
        "theta": np.array([5.0, 3.0, 4.0]),
        "half_saturation": np.full(3, 0.2),
        "slope": np.array([1.0, 2.0, 2.0]),
        "beta": np.array([0.8, 0.6, 0.3]),
        "intercept": np.asarray(4.0),
        "control": np.array([-0.5]),
        "sigma": np.asarray(0.05),
    }
    return simulate_from(market, p, rng, adstock="delayed", saturation="hill", lags=12)


def _unit(x: Float[np.ndarray, "time medium"]) -> Float[np.ndarray, "time medium"]:
    return (x - x.min(axis=0)) / np.ptp(x, axis=0)
