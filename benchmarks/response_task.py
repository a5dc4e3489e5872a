"""The shared task of the response benchmarks: data with a known truth, and one specification.

    python benchmarks/response_task.py            what the task looks like

Every engine fits the same model. Media are divided by their own maximum, the outcome by its
largest absolute value, and with x the scaled media and z the scaled outcome

    w_l   = alpha^l / sum_k alpha^k                    l = 0 … 8, per channel
    s_t   = sum_l w_l x_(t-l)                          zeros before the record
    f(s)  = s / (lambda + s)                           Michaelis–Menten
          | (1 - exp(-lambda s)) / (1 + exp(-lambda s))    logistic
          | s^n / (lambda^n + s^n)                     Hill
    z_t  ~ Normal(a + sum_c beta_c f(s_tc) + sum_j gamma_j u_tj + sum_k delta_k v_tk, sigma)

u are two controls and the trend t / (T - 1), unscaled; v are sin 1, sin 2, cos 1, cos 2 of the
yearly angle 2 pi dayofyear / 365.25. The priors:

| name here | symbol | prior | in PyMC-Marketing |
|---|---|---|---|
| intercept | a | Normal(0, 2) | its default |
| controls | gamma (trend last) | Normal(0, 2) | its default |
| fourier | delta | Normal(0, 1) | default is Laplace(0, 1) |
| alpha | alpha | Beta(1, 3) | its default |
| half_saturation | lambda, easy | Gamma(3, rate 5) | |
| half_saturation | lambda, hard | HalfNormal(1) | its default |
| half_saturation | lambda of logistic | Gamma(3, rate 1) | its default |
| slope | n, Hill only | Gamma(6, rate 4) | default is HalfNormal(1.5) |
| beta | beta | HalfNormal(0.5) | default is Gamma(mean 2, sd 1), logistic HalfNormal(2) |
| sigma | sigma | HalfNormal(2) | its default |

With several geos every quantity is per head (of `population`), scaled by the largest over all
geos and weeks; there is no trend, and

    a_g = a + u_g,  u_g ~ Normal(0, tau)          tau ~ HalfNormal(0.3)
    beta_gc = beta_c exp(eta_c z_gc),  z_gc ~ Normal(0, 1)     eta_c ~ HalfNormal(0.3)

A prior is a tuple (family, a, b): normal mean and sd, half_normal scale, gamma shape and rate, beta
a and b, log_normal mean and sd of the logarithm.
"""

from typing import Literal, NamedTuple

import numpy as np

LAGS = 8
PriorKind = Literal["easy", "hard"]
Saturation = Literal["michaelis_menten", "logistic", "hill"]
Prior = tuple[str, float, float]
SCALE = 50_000.0  # currency a week: what an outcome of 1 means before noise
TRUE_ALPHA = (0.3, 0.6, 0.2, 0.7, 0.4)
TRUE_HALF = (0.3, 0.5, 0.2, 0.8, 0.4)
TRUE_BETA = (0.30, 0.20, 0.15, 0.10, 0.03)
TRUE_NOISE = 0.03


class Task(NamedTuple):
    """Weekly data of one market, in its own units."""

    dates: np.ndarray  # (time,) datetime64[D]
    spend: np.ndarray  # (time, channel) currency
    outcome: np.ndarray  # (time,) currency
    controls: np.ndarray  # (time, control): two controls and the trend
    fourier: np.ndarray  # (time, 4)
    roi: np.ndarray  # (channel,) the truth

    @property
    def channels(self) -> list[str]:
        return [f"channel_{i + 1}" for i in range(self.spend.shape[1])]

    @property
    def control_names(self) -> list[str]:
        return ["control_1", "control_2", "trend"]

    @property
    def media(self) -> np.ndarray:
        """Spend divided by each channel's maximum."""
        return self.spend / self.spend.max(0)

    @property
    def scale(self) -> float:
        """Currency of a scaled outcome of 1."""
        return float(np.abs(self.outcome).max())

    @property
    def target(self) -> np.ndarray:
        return self.outcome / self.scale


def priors(
    kind: PriorKind, saturation: Saturation = "michaelis_menten", *, geo: bool = False
) -> dict[str, Prior]:
    """The priors of the table above by name."""
    half = {"easy": ("gamma", 3.0, 5.0), "hard": ("half_normal", 1.0, 0.0)}[kind]
    table = {
        "intercept": ("normal", 0.0, 2.0),
        "controls": ("normal", 0.0, 2.0),
        "fourier": ("normal", 0.0, 1.0),
        "alpha": ("beta", 1.0, 3.0),
        "half_saturation": ("gamma", 3.0, 1.0) if saturation == "logistic" else half,
        "beta": ("half_normal", 0.5, 0.0),
        "sigma": ("half_normal", 2.0, 0.0),
    }
    if saturation == "hill":
        table["slope"] = ("gamma", 6.0, 4.0)
    if geo:
        table |= dict.fromkeys(("tau", "eta"), ("half_normal", 0.3, 0.0))
    return table


def fourier(dates: np.ndarray, order: int = 2) -> np.ndarray:
    """sin 1, …, sin order, cos 1, …, cos order of the yearly angle: (time, 2 order)."""
    day = (dates - dates.astype("datetime64[Y]")).astype(float) + 1
    angle = 2 * np.pi * day[:, None] / 365.25 * np.arange(1, order + 1)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def carry_over(media: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """s_t = sum_l w_l x_(t-l) with w_l = alpha^l / sum_k alpha^k; media (…, time, channel)."""
    weights = alpha ** np.arange(LAGS + 1)[:, None]
    weights = weights / weights.sum(0)
    padded = np.concatenate([np.zeros_like(media[..., :LAGS, :]), media], axis=-2)
    time = media.shape[-2]
    return sum(w * padded[..., LAGS - i : LAGS - i + time, :] for i, w in enumerate(weights))


def generate(weeks: int = 156, channels: int = 5, seed: int = 0) -> Task:
    """A market from the model itself: flights and always-on channels, the last one weak."""
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2022-01-03") + 7 * np.arange(weeks)
    spend = _spend(rng, (), weeks, channels)
    controls = np.column_stack([rng.standard_normal((weeks, 2)), np.arange(weeks) / (weeks - 1)])
    seasons = fourier(dates)
    alpha, half, beta = _truth(channels)
    response = beta * _saturated(spend, alpha, half)
    base = 0.4 + controls @ (0.02, -0.03, 0.1) + seasons @ (0.05, 0.02, -0.04, 0.01)
    noise = TRUE_NOISE * rng.standard_normal(weeks)
    outcome = SCALE * (base + response.sum(-1) + noise)
    roi = SCALE * response.sum(0) / spend.sum(0)
    return Task(dates, spend, outcome, controls, seasons, roi)


def _spend(rng: np.random.Generator, geos: tuple[int, ...], weeks: int, channels: int):
    """Gamma-distributed spend; every other channel runs in flights of six weeks."""
    flights = rng.random((*geos, weeks // 6 + 1, channels)) < 0.6
    flights = np.repeat(flights, 6, axis=-2)[..., :weeks, :]
    on = np.where(np.arange(channels) % 2, 1.0, flights)
    level = 1_000.0 * (1 + np.arange(channels) % 5)
    return level * on * rng.gamma(2.0, 0.5, (*geos, weeks, channels))


def _truth(channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """alpha, lambda, beta of each channel; more than five repeat with smaller effects."""
    alpha, half, beta = (np.resize(v, channels) for v in (TRUE_ALPHA, TRUE_HALF, TRUE_BETA))
    return alpha, half, beta * 5 / max(5, channels)


def _saturated(spend: np.ndarray, alpha: np.ndarray, half: np.ndarray) -> np.ndarray:
    stock = carry_over(spend / spend.max(-2, keepdims=True), alpha)
    return stock / (half + stock)


class GeoTask(NamedTuple):
    """Weekly data of several geos, in their own units."""

    dates: np.ndarray  # (time,)
    spend: np.ndarray  # (geo, time, channel) currency
    outcome: np.ndarray  # (geo, time) currency
    controls: np.ndarray  # (geo, time, control)
    fourier: np.ndarray  # (time, 4)
    population: np.ndarray  # (geo,)
    roi: np.ndarray  # (channel,) over all geos

    @property
    def channels(self) -> list[str]:
        return [f"channel_{i + 1}" for i in range(self.spend.shape[2])]

    @property
    def media(self) -> np.ndarray:
        """Spend per head divided by each channel's maximum over geos and weeks."""
        head = self.spend / self.population[:, None, None]
        return head / head.max((0, 1))

    @property
    def target(self) -> np.ndarray:
        head = self.outcome / self.population[:, None]
        return head / np.abs(head).max()


def generate_geo(geos: int = 20, weeks: int = 104, channels: int = 5, seed: int = 0) -> GeoTask:
    """beta_gc = beta_c exp(0.3 e_gc), geo intercepts Normal(0.4, 0.05), everything per head."""
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2022-01-03") + 7 * np.arange(weeks)
    people = rng.lognormal(0.0, 0.6, geos)
    spend = _spend(rng, (geos,), weeks, channels)
    controls = rng.standard_normal((geos, weeks, 2))
    alpha, half, beta = _truth(channels)
    effect = beta * np.exp(0.3 * rng.standard_normal((geos, 1, channels)))
    stock = carry_over(spend / spend.max((0, 1)), alpha)
    response = effect * stock / (half + stock)
    intercept = 0.4 + 0.05 * rng.standard_normal((geos, 1))
    noise = TRUE_NOISE * rng.standard_normal((geos, weeks))
    seasons = fourier(dates)
    head = intercept + controls @ (0.02, -0.03) + seasons @ (0.05, 0.02, -0.04, 0.01)
    money = SCALE * people[:, None]
    roi = (money[..., None] * response).sum((0, 1)) / (people[:, None, None] * spend).sum((0, 1))
    spend = people[:, None, None] * spend
    outcome = money * (head + response.sum(-1) + noise)
    return GeoTask(dates, spend, outcome, controls, seasons, 1e6 * people, roi)


if __name__ == "__main__":
    task = generate()
    print(f"{len(task.dates)} weeks; outcome {task.outcome.min():,.0f} to {task.scale:,.0f}")
    for name, total, roi in zip(task.channels, task.spend.sum(0), task.roi, strict=True):
        print(f"{name}: spend {total:,.0f}, true ROI {roi:.3f}")
