"""A market that no response model describes exactly: people on their way to a purchase.

Of P people, U do not know the brand, A know it, I are interested, B are buyers and L have lapsed:

    U → A   1 − (1 − a)(1 − e_tv r_tv)(1 − e_display r_display)(1 − w B/P)   hearing of it
    A → I   1 − (1 − i d)(1 − e_social r_social)                             wanting it
    I → B   1 − (1 − b √d q)(1 − e_search r_search)                          a first purchase
    A → U,  I → A,  B → L,  L → A                                            at fixed rates

each a share of the people who do not take the other way out of their state in that week. Demand is
d = exp(season + AR(1)); a price p (AR(1)) makes a purchase the factor q = exp(−0.15 p) as likely.
Media reach a share of the people they are for, with diminishing returns:

    r_c = R_c (1 − exp(−x_c / (k_c R_c n_c))),   n_search = I, else P

TV runs in flights, display and social all year. Search spend chases demand: it is
x_search = k_search R_search I d f with a slowly changing effort f, so that it is high when people
buy anyway. The revenue is

    revenue = basket · (purchases of I → B + repeat · √d q · B) + noise

What a channel did last spring lives on in how many people know the brand: neither its carry-over
nor its saturation is any of the response model's forms, and channels work through each other.
Flows are expected values given demand and price, so that two worlds differ by their spend alone.

Source: states of people as in Vaver and Zhang 2017, the aggregate marketing system simulator.
"""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.response.market import MarketData
from channelwise.response.spending import autocorrelated, standardized_spend, weeks_from
from channelwise.response.truth import SimulatedMarket, truth_of

CHANNELS = ("tv", "display", "social", "search")
YOUNG = np.array([0.45, 0.3, 0.03, 0.1, 0.12])  # U, A, I, B, L as shares, before the history
HISTORY = 156
"""Weeks before the record, in which the brand already advertises and its market settles."""

PARAMETERS: MappingProxyType[str, np.ndarray] = MappingProxyType(
    {
        "reach": np.array([0.6, 0.4, 0.4, 0.8]),  # R, most that a week can reach
        "cost": np.array([0.15, 0.08, 0.06, 1.2]),  # k, currency per head and contact
        "effect": np.array([0.03, 0.012, 0.014, 0.05]),  # e, share of those reached who move on
        "discovery": np.asarray(0.01),  # a
        "word_of_mouth": np.asarray(0.05),  # w
        "interest": np.asarray(0.03),  # i
        "purchase": np.asarray(0.15),  # b
        "rates": np.array([0.03, 0.15, 0.05, 0.02]),  # A → U, I → A, B → L, L → A
        "repeat": np.asarray(0.10),  # purchases of a buyer a week
        "basket": np.asarray(40.0),  # currency a purchase
    }
)
"""The numbers of the equations above, by name; media in the order of `CHANNELS`."""


class World(NamedTuple):
    """How the population fares in each scenario.

    Attributes:
      revenue: expected, in currency.
      search: currency spent on search.
      states: U, A, I, B, L at the start of each week, people.
    """

    revenue: Float[np.ndarray, "time scenario"]
    search: Float[np.ndarray, "time scenario"]
    states: Float[np.ndarray, "time state scenario"]


class Chance(NamedTuple):
    """What is drawn once for all worlds.

    Attributes:
      demand: d > 0, 1 on average or so.
      price: p, in standard deviations.
      effort: f of search spend.
      spend: of the channels but search, currency a week.
    """

    demand: Float[np.ndarray, " time"]
    price: Float[np.ndarray, " time"]
    effort: Float[np.ndarray, " time"]
    spend: Float[np.ndarray, "time planned"]


def people_market(
    seed: int,
    *,
    weeks: int = 156,
    people: float = 1e6,
    before: int = 13,
    noise: float = 0.02,
    index_noise: float | None = 0.2,
    search_follows: bool = False,
) -> SimulatedMarket:
    """Draw a national market of people, with search spend that chases demand.

    Args:
      seed: of everything random.
      weeks: with an outcome.
      people: P, all who might ever buy.
      before: weeks in front of them that have media alone.
      noise: standard deviation of the revenue's noise, in shares of its mean.
      index_noise: of the control "demand_index", a noisy reading of ln d, in standard deviations
        of ln d; None leaves the control out, and with it any way to tell search from demand.
      search_follows: whether, in a world with other spend, search goes on to chase the interest
        there is; otherwise it stays as it was, which is what an ROI compares.

    Returns:
      The market, and the truth: worlds rerun with other spend in all weeks, those before the
      record too. With `search_follows`, an ROI still divides by the channel's own spend.

    Raises:
      ValueError: if `before` is longer than the history.
    """
    if not 0 <= before <= HISTORY:
        raise ValueError(f"before is {before}; give 0 to {HISTORY} weeks.")
    rng = np.random.default_rng(seed)
    chance = draw_chance(rng, HISTORY + weeks, people)
    today = run(np.ones((1, 4)), chance, people)
    search = None if search_follows else today.search

    def expected(
        factors: Float[np.ndarray, "scenario channel"],
    ) -> Float[np.ndarray, "scenario geo time"]:
        return run(factors, chance, people, search).revenue[HISTORY:].T[:, None]

    revenue = today.revenue[HISTORY - before :, 0]
    revenue = revenue + noise * revenue.mean() * rng.standard_normal(len(revenue))
    market = _record(chance, revenue, today.search, before, _controls(rng, chance, index_noise))
    known = {**PARAMETERS, "demand": chance.demand[HISTORY:], "people": np.asarray(people)}
    return SimulatedMarket(market, truth_of(expected, market, MappingProxyType(known)))


def _controls(
    rng: np.random.Generator, chance: Chance, index_noise: float | None
) -> dict[str, Float[np.ndarray, " time"]]:
    """Price, and a noisy reading of demand where one is wanted."""
    ln_d = np.log(chance.demand)
    error = (index_noise or 0.0) * ln_d.std() * rng.standard_normal(len(ln_d))
    index = {} if index_noise is None else {"demand_index": ln_d + error}
    return {"price": chance.price} | index


def _record(
    chance: Chance,
    revenue: Float[np.ndarray, " kept"],
    search: Float[np.ndarray, "time 1"],
    before: int,
    controls: dict[str, Float[np.ndarray, " time"]],
) -> MarketData:
    """What an analyst gets: the last weeks of the history and those with an outcome."""
    kept = slice(HISTORY - before, None)
    return MarketData(
        dates=weeks_from("2021-01-04", len(revenue)),
        outcome=np.where(np.arange(len(revenue)) < before, np.nan, revenue)[None],
        spend=np.column_stack([chance.spend, search])[None, kept],
        channels=CHANNELS,
        controls=np.column_stack(list(controls.values()))[None, kept],
        control_names=tuple(controls),
        outcome_name="revenue",
        before=before,
    )


def draw_chance(rng: np.random.Generator, times: int, people: float) -> Chance:
    """Demand, price, effort and planned spend of a world, its history included."""
    year = 2 * np.pi * np.arange(times) / 52.18
    demand = np.exp(0.15 * np.cos(year) + 0.2 * autocorrelated(rng, (times,), 0.9))
    z = standardized_spend(rng, times, 3, 0.2)
    planned = people * np.array([0.06, 0.008, 0.012]) * np.exp(0.5 * z)
    planned[:, 0] *= z[:, 0] > 0
    return Chance(
        demand=demand,
        price=autocorrelated(rng, (times,), 0.8),
        effort=0.6 * np.exp(0.4 * autocorrelated(rng, (times,), 0.7)),
        spend=planned,
    )


def run(
    factors: Float[np.ndarray, "scenario channel"],
    chance: Chance,
    people: float,
    search: Float[np.ndarray, "time #scenario"] | None = None,
    *,
    planned: Float[np.ndarray, "time planned #scenario"] | None = None,
    state: Float[np.ndarray, " state"] | None = None,
) -> World:
    """Follow the population through all weeks of a chance, in every scenario at once.

    Args:
      factors: on the spend of each channel.
      chance: demand, price, effort and planned spend.
      people: P.
      search: currency spent on search where the factor is 1; its rule applies where left out.
      planned: spend of the other channels where the factor is 1; the chance's where left out.
      state: U, A, I, B, L, in people, before the first week; by default those of a young brand.

    Returns:
      Every scenario's world, the history included.
    """
    T, S = len(chance.demand), len(factors)
    world = World(np.empty((T, S)), np.empty((T, S)), np.empty((T, 5, S)))
    planned = chance.spend[:, :, None] if planned is None else planned
    state = (people * YOUNG if state is None else state)[:, None] * np.ones(S)
    ease = np.sqrt(chance.demand) * np.exp(-0.15 * chance.price)
    share = PARAMETERS["cost"][3] * PARAMETERS["reach"][3] * chance.demand * chance.effort
    for t in range(T):
        world.states[t] = state
        rule = share[t] * state[2] if search is None else search[t]
        world.search[t] = factors[:, 3] * rule
        spend = np.vstack([factors[:, :3].T * planned[t], world.search[t]])
        moved = _moved(spend, state[2], people)
        state, world.revenue[t] = _week(state, moved, chance.demand[t], ease[t], people)
    return world


def _moved(
    spend: Float[np.ndarray, "channel scenario"],
    interested: Float[np.ndarray, " scenario"],
    people: float,
) -> Float[np.ndarray, "channel scenario"]:
    """e r: the share of its people whom each channel moves in a week."""
    R, k, e = (PARAMETERS[name][:, None] for name in ("reach", "cost", "effect"))
    n = np.vstack([np.full((3, len(interested)), people), interested])
    return e * R * -np.expm1(-spend / (k * R * n))


def _week(
    state: Float[np.ndarray, "state scenario"],
    moved: Float[np.ndarray, "channel scenario"],
    demand: float,
    ease: float,
    people: float,
) -> tuple[Float[np.ndarray, "state scenario"], Float[np.ndarray, " scenario"]]:
    """U, A, I, B, L after a week, and the week's expected revenue; `ease` is √d q."""
    p, (U, A, I, B, L) = PARAMETERS, state  # noqa: E741
    unaided = (1 - p["discovery"]) * (1 - p["word_of_mouth"] * B / people)
    hear = 1 - unaided * (1 - moved[0]) * (1 - moved[1])
    want = 1 - (1 - p["interest"] * demand) * (1 - moved[2])
    buy = 1 - (1 - p["purchase"] * ease) * (1 - moved[3])
    forget, cool, lapse, remember = p["rates"]
    heard, wanted, bought = U * hear, A * want, I * buy
    forgot, cooled = A * (1 - want) * forget, I * (1 - buy) * cool
    lapsed, remembered = B * lapse, L * remember
    after = (
        U - heard + forgot,
        A + heard - wanted - forgot + cooled + remembered,
        I + wanted - bought - cooled,
        B + bought - lapsed,
        L + lapsed - remembered,
    )
    return np.stack(after), p["basket"] * (bought + p["repeat"] * ease * B)
