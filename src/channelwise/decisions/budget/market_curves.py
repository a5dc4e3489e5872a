"""Response curves of a fitted market: what the posterior says each channel brings for its spend."""

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.curves import Curves
from channelwise.response.effects import Effects, per_draw
from channelwise.response.examine import examine
from channelwise.response.layout import Layout
from channelwise.response.market import MarketData
from channelwise.response.media import carried
from channelwise.response.posterior import Posterior

_FORM = {"hill": "hill", "michaelis_menten": "hill", "logistic": "tanh", "tanh": "tanh"}


def curves_of(
    posterior: Posterior,
    *,
    draws: int = 500,
    periods: int | None = None,
    override: tuple[str, ...] = (),
) -> Curves:
    """The response curves of a market's channels, for a horizon of so many periods.

    A channel's spend is divided over the periods (and geos) as it was in the record, so that with m
    times the spend every week has m times as much, what it carries into later weeks included:

        f(x) = H/T Σ_gt value β_g sat(m stock_gt),   m = x T / (H · spend in the record)

    for a horizon of H periods out of a record of T.

    Args:
        posterior: of `fit`; must pass the gate.
        draws: at most so many are used, evenly spaced over the chains.
        periods: of the horizon; by default as many as the record has.
        override: names of failed checks that are accepted; every plan then bears a stamp.

    Raises:
        GateError: if a check of the posterior failed and is not overridden.
        ValueError: if a channel was never spent on, or there are no periods.
    """
    market = posterior.market
    horizon = market.n_observed if periods is None else periods
    if horizon < 1:
        raise ValueError(f"A horizon of {horizon} periods is none; give 1 or more.")
    require_spend(market)
    stamp = examine(posterior).require(override)
    effects = Effects(posterior, draws=draws)
    share = horizon / market.n_observed
    amplitude, stock = _terms(effects)
    forms, unit, slope = shapes_of(effects)
    present = stock > 0
    scale = market.total_spend[:, None, None] * unit[:, :, None] / np.where(present, stock, 1.0)
    return Curves(
        channels=market.channels,
        forms=forms,
        amplitude=np.where(present, market.value * share * amplitude, 0.0),
        scale=share * scale,
        slope=slope,
        today=today_of(market, horizon),
        most=_most(market, horizon),
        stamp=stamp,
    )


def require_spend(market: MarketData) -> None:
    """Stops where a channel was never spent on.

    Raises:
        ValueError: naming the channel.
    """
    for name, total in zip(market.channels, market.total_spend, strict=True):
        if total == 0:
            raise ValueError(
                f"{name} was never spent on in the periods with an outcome, so nothing is known of "
                "what it brings: leave it out, or try it in a test first."
            )


def today_of(market: MarketData, periods: int) -> Float[np.ndarray, " channel"]:
    """What each channel spends over so many periods at the record's rate, currency."""
    return periods / market.n_observed * market.total_spend


def _terms(effects: Effects) -> tuple[np.ndarray, np.ndarray]:
    """What a unit of response is worth and what is carried over, (channel, draw, geo·time)."""
    market, (named, beta, problem) = effects.market, effects.parameters
    C, T = market.n_channels, market.n_observed
    stock = per_draw(carried, named, problem)[:, :, :C, :T]  # draw geo channel time
    worth = np.broadcast_to(beta[:, :, :C, None], stock.shape)
    rows = lambda x: x.transpose(2, 0, 1, 3).reshape(C, len(x), -1)  # noqa: E731
    return rows(worth), rows(stock)


def shapes_of(effects: Effects) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Each channel's form, and by draw the stock at which z = 1 and the power n."""
    named, _, problem = effects.parameters
    layout = problem.layout
    forms, unit, slope = [], [], []
    for c in range(effects.market.n_channels):
        own = own_parameters(named, layout, c)
        form, ones = layout.saturation[c], np.ones(len(next(iter(named.values()))))
        forms.append(_FORM.get(form, "power"))
        at = {"logistic": lambda o: 2 / o["rate"], "tanh": lambda o: o["scale"]}
        at |= dict.fromkeys(("hill", "michaelis_menten"), lambda o: o["half_saturation"])
        unit.append(at[form](own) if form in at else ones)
        slope.append(own.get("slope", own.get("exponent", ones)))
    return tuple(forms), np.array(unit), np.array(slope)


def own_parameters(
    named: dict[str, np.ndarray], layout: Layout, c: int
) -> dict[str, Float[np.ndarray, " draw"]]:
    """The parameters of one channel, by name."""
    return {n: x[:, layout.owners(n).index(c)] for n, x in named.items() if c in layout.owners(n)}


def _most(market: MarketData, horizon: int) -> Float[np.ndarray, " channel"]:
    """The largest spend in any stretch of the horizon's length, or what that makes at its rate."""
    spend = market.spend[:, market.before :].sum(axis=0)
    length = min(horizon, len(spend))
    total = np.concatenate([np.zeros((1, market.n_channels)), np.cumsum(spend, axis=0)])
    return (total[length:] - total[:-length]).max(axis=0) * horizon / length
