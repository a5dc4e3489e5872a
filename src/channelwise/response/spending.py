"""Series that look like a marketer's calendar: autocorrelated spend in seasons and flights."""

import numpy as np
from jaxtyping import Float

NAMES = (
    "tv",
    "search",
    "social",
    "display",
    "video",
    "radio",
    "print",
    "out_of_home",
    "affiliate",
    "email",
)
_DARK = -0.5  # a flighted channel spends nothing where its standardized log spend is below


def autocorrelated(
    rng: np.random.Generator, shape: tuple[int, ...], memory: float
) -> Float[np.ndarray, "time ..."]:
    """Stationary AR(1) series along the first axis, with mean 0 and variance 1.

    x_t = φ x_{t−1} + √(1 − φ²) ε_t,   ε ~ N(0, 1),   x_0 ~ N(0, 1)

    Args:
      rng: for ε.
      shape: periods first.
      memory: φ in [0, 1).
    """
    x = rng.standard_normal(shape)
    for t in range(1, shape[0]):
        x[t] = memory * x[t - 1] + np.sqrt(1 - memory**2) * x[t]
    return x


def standardized_spend(
    rng: np.random.Generator, times: int, channels: int, collinearity: float
) -> Float[np.ndarray, "time channel"]:
    """Series of mean 0, variance 1 and, of any two, exactly the given correlation.

    √ρ q_0 + √(1 − ρ) q_c, where the q are AR(1) series plus a yearly wave of random phase, made
    orthogonal to each other.

    Raises:
      ValueError: if there are too few periods to hold so many orthogonal series.
    """
    if times < channels + 3:
        raise ValueError(f"{times} periods are too few for {channels} channels; give more weeks.")
    year = 2 * np.pi * np.arange(times)[:, None] / 52.18
    raw = autocorrelated(rng, (times, channels + 1), 0.8)
    raw += np.sin(year + rng.uniform(0, 2 * np.pi, channels + 1))
    q, r = np.linalg.qr(raw - raw.mean(axis=0))
    q *= np.sqrt(times) * np.sign(np.diag(r))
    return np.sqrt(collinearity) * q[:, :1] + np.sqrt(1 - collinearity) * q[:, 1:]


def weekly_spend(
    rng: np.random.Generator, times: int, channels: int, geos: int, collinearity: float
) -> Float[np.ndarray, "geo time channel"]:
    """Currency a week that each geo would get if it were the whole nation.

    The logarithm varies by ½ around a level, itself log-normal around 20,000; channels 1, 3, …
    run in flights: nothing in their weakest weeks. Geos stray by 30 % from the national plan.
    """
    z = standardized_spend(rng, times, channels, collinearity)
    level = rng.lognormal(np.log(20_000), 0.8, channels)
    dark = (z < _DARK) & (np.arange(channels) % 2 == 0)
    national = np.where(dark, 0.0, level * np.exp(0.5 * z))
    own = 0.3 * autocorrelated(rng, (times, geos, channels), 0.5).swapaxes(0, 1) * (geos > 1)
    return national * np.exp(own)


def weeks_from(start: str, times: int) -> np.ndarray:
    """The first days of consecutive weeks."""
    return np.datetime64(start) + 7 * np.arange(times)
