"""What spend by period will bring in a fitted market, from the period after its record on."""

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.market_curves import own_parameters, require_spend, shapes_of
from channelwise.decisions.periods.curves import PeriodCurves
from channelwise.response import adstock
from channelwise.response.effects import Effects
from channelwise.response.examine import examine
from channelwise.response.layout import Layout
from channelwise.response.market import MarketData
from channelwise.response.posterior import Posterior


def period_curves_of(
    posterior: Posterior,
    periods: int,
    *,
    draws: int = 500,
    discount: float = 0.0,
    elasticity: float = 0.0,
    tail: bool = True,
    override: tuple[str, ...] = (),
) -> PeriodCurves:
    """The response of a market's channels over the periods that follow its record.

    A channel's spend is split over geos, and turned into exposure, as in the whole record: by its
    shares of spend, and at its mean price. Today's plan is the record's last `periods` periods, or
    the record repeated where it is shorter.

    Args:
        posterior: of `fit`; must pass the gate.
        periods: of the plan, at least 1.
        draws: at most so many are used, evenly spaced over the chains.
        discount: rate a period: 0.002 a week is about 11 % a year.
        elasticity: e ≥ 0: a unit's price rises with volume^e, from today's mean price on.
        tail: whether what comes back after the plan's last period counts.
        override: names of failed checks that are accepted; every plan then bears a stamp.

    Raises:
        GateError: if a check of the posterior failed and is not overridden.
        ValueError: if a channel was never spent on, or there are no periods.
    """
    if periods < 1:
        raise ValueError(f"A plan of {periods} periods is none; give 1 or more.")
    market = posterior.market
    require_spend(market)
    stamp = examine(posterior).require(override)
    effects = Effects(posterior, draws=draws)
    named, beta, problem = effects.parameters
    layout, C = problem.layout, market.n_channels
    forms, unit, slope = shapes_of(effects)
    carry = np.stack([_weights(named, layout, c) for c in range(C)])
    exposure = problem.design.lagged[:, :C, 0, : market.n_observed]  # geo channel time
    split, price = _split(market, exposure)
    by_unit = (split * price).T[:, None, :] / unit[:, :, None]
    past = _past(exposure, problem.design.lagged, market.n_observed, layout.lags)
    return PeriodCurves(
        channels=market.channels,
        forms=forms,
        amplitude=market.value * beta[:, :, :C].transpose(2, 0, 1),
        reach=by_unit,
        slope=slope,
        carry=carry,
        carry_in=_carry_in(past, carry, periods) / unit[:, :, None, None],
        today=_today(market, periods),
        discount=discount,
        elasticity=elasticity,
        tail=tail,
        stamp=stamp,
    )


def _weights(named: dict, layout: Layout, c: int) -> Float[np.ndarray, "draw lag"]:
    """Carry-over of a channel; nothing but lag 0 where it has none."""
    import jax

    form, own = layout.adstock[c], own_parameters(named, layout, c)
    if form == "none":
        draws = len(next(iter(named.values())))
        return np.repeat(np.eye(1, layout.lags + 1), draws, axis=0)
    given = [own[name] for name in adstock.PARAMETERS[form]]
    with jax.enable_x64(True):
        w = getattr(adstock, form)(*given, layout.lags, normalized=layout.normalized)
    return np.asarray(w)


def _split(market: MarketData, exposure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of each geo in a channel's spend, and exposure in model units per currency there."""
    spend = market.spend[:, market.before :].sum(axis=1)  # geo channel
    total = exposure.sum(axis=2)
    return spend / spend.sum(axis=0), np.where(spend > 0, total / np.where(spend > 0, spend, 1), 0)


def _past(exposure: np.ndarray, lagged: np.ndarray, times: int, lags: int) -> np.ndarray:
    """Exposure of the record's last L periods, (geo, channel, L), oldest first."""
    C = exposure.shape[1]
    back = [lagged[:, :C, lag, times - 1] for lag in range(lags - 1, -1, -1)]
    return np.stack(back, axis=2) if back else np.zeros((*exposure.shape[:2], 0))


def _carry_in(
    past: Float[np.ndarray, "geo channel past"],
    carry: Float[np.ndarray, "channel draw lag"],
    periods: int,
) -> Float[np.ndarray, "channel draw geo horizon"]:
    """Σ_l w_l x_{h−l} over periods before the plan, for each period h of it and of its tail."""
    C, S, lags = carry.shape
    into = np.zeros((C, S, len(past), periods + lags - 1))
    for h in range(lags - 1):
        later = carry[:, :, h + 1 :]  # acts on period h from 1 … L − h periods before the plan
        ago = past[:, :, ::-1][:, :, : later.shape[2]]
        into[..., h] = np.einsum("csl,gcl->csg", later, ago)
    return into


def _today(market: MarketData, periods: int) -> Float[np.ndarray, "channel period"]:
    """Spend of the record's last periods, repeated where the record is shorter."""
    record = market.spend[:, market.before :].sum(axis=0).T
    back = np.arange(-periods, 0) % record.shape[1]
    return record[:, back]
