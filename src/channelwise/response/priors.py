"""Prior distributions, and the maps that make a standard normal look like each of them.

A sampler moves best where the posterior looks like N(0, I). Every parameter x is therefore written
as x = g(w(e)) with a monotone warp

    w(e) = a + b e − c s(−e)² + d s(e)²,   s(e) = ln(1 + exp(e)),   b, c, d ≥ 0

and a link g that puts x on its support: x = k s(w) for positive values,
x = low + (high − low) σ(w) for an interval, x = w for the real line. The four numbers are fitted so
that e ~ N(0, 1) gives nearly the prior; the log density uses the prior itself and the exact
Jacobian, so the fit decides how fast the sampler is and never what it samples.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import special

Support = Literal["real", "positive", "interval"]


Numbers = Float[Array | np.ndarray, " value"]


class PriorError(ValueError):
    """A prior whose numbers do not make a distribution."""


@dataclass(frozen=True)
class Prior:
    """A named distribution with at most two numbers.

    | family | a | b | support |
    |---|---|---|---|
    | normal | mean | standard deviation > 0 | all reals |
    | half_normal | scale > 0 | unused | x > 0 |
    | log_normal | mean of ln x | standard deviation of ln x > 0 | x > 0 |
    | gamma | shape > 0 | rate > 0 | x > 0 |
    | beta | a > 0 | b > 0 | 0 < x < 1 |
    | uniform | low | high > low | low < x < high |

    Raises:
        PriorError: if the family is unknown or a number lies outside its range.
    """

    family: str
    a: float
    b: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "a", float(self.a))
        object.__setattr__(self, "b", float(self.b))
        if self.family not in _SUPPORT:
            raise PriorError(f"{self.family!r} is not a prior; there are {', '.join(_SUPPORT)}.")
        positive = {"half_normal": ("a",), "gamma": ("a", "b"), "beta": ("a", "b")}
        for name in positive.get(self.family, ("b",) if self.family != "uniform" else ()):
            if not 0 < getattr(self, name) < np.inf:
                value = getattr(self, name)
                raise PriorError(f"{self.family}: {name} must be positive and finite, not {value}.")
        if self.family == "uniform" and not self.a < self.b:
            raise PriorError(f"uniform: low {self.a} must be less than high {self.b}.")
        if not np.isfinite((self.a, self.b)).all():
            raise PriorError(f"{self}: both numbers must be finite.")

    @property
    def support(self) -> Support:
        """Where the distribution lives."""
        return _SUPPORT[self.family]

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value."""
        if self.family == "uniform":
            return self.a, self.b
        return {"real": (-np.inf, np.inf), "positive": (0.0, np.inf), "interval": (0.0, 1.0)}[
            self.support
        ]

    def quantile(self, p: np.ndarray | float) -> np.ndarray | np.floating:
        """The x below which the prior holds the share p, 0 < p < 1."""
        p, a, b = np.asarray(p, float), self.a, self.b
        match self.family:
            case "normal":
                return a + b * special.ndtri(p)
            case "half_normal":
                return a * special.ndtri((1 + p) / 2)
            case "log_normal":
                return np.exp(a + b * special.ndtri(p))
            case "gamma":
                return special.gammaincinv(a, p) / b
            case "beta":
                return special.betaincinv(a, b, p)
            case _:
                return a + (b - a) * p

    def sample(self, rng: np.random.Generator, size: tuple[int, ...] = ()) -> np.ndarray | float:
        """Independent draws of the given shape."""
        match self.family:
            case "normal":
                return rng.normal(self.a, self.b, size)
            case "half_normal":
                return np.abs(rng.normal(0.0, self.a, size))
            case "log_normal":
                return rng.lognormal(self.a, self.b, size)
            case "gamma":
                return rng.gamma(self.a, 1 / self.b, size)
            case "beta":
                return rng.beta(self.a, self.b, size)
            case _:
                return rng.uniform(self.a, self.b, size)

    @property
    def scale(self) -> float:
        """A typical size of x: half the width of the central 68 %, or the median where larger."""
        low, middle, high = self.quantile(np.array([0.1587, 0.5, 0.8413]))
        return float((high - low) / 2 if self.support == "real" else max((high - low) / 2, middle))

    @property
    def label(self) -> str:
        """As it is written in a report: `beta(1, 3)`."""
        numbers = f"{self.a:g}" if self.family == "half_normal" else f"{self.a:g}, {self.b:g}"
        return f"{self.family}({numbers})"


_SUPPORT: dict[str, Support] = {
    "normal": "real",
    "half_normal": "positive",
    "log_normal": "positive",
    "gamma": "positive",
    "beta": "interval",
    "uniform": "interval",
}


class Kernel(NamedTuple):
    """ln p(x) of several priors as numbers, so that one compiled program serves them all.

    positive:  ln p = log_power ln x − rate x − square x² − curvature (ln x − centre)² + constant
    interval:  ln p = log_power ln u + rate ln(1 − u) + constant,   u = (x − low)/(high − low)
    real:      ln p = −square (x − centre)² + constant
    """

    log_power: Numbers
    rate: Numbers
    square: Numbers
    curvature: Numbers
    centre: Numbers
    constant: Numbers


def kernel(priors: list[Prior]) -> Kernel:
    """The numbers of `Kernel` for a list of priors of one support."""
    rows = np.array([_kernel(prior) for prior in priors], float).reshape(-1, len(Kernel._fields))
    return Kernel(*rows.T)


def _kernel(prior: Prior) -> tuple[float, ...]:
    a, b, ln2pi = prior.a, prior.b, np.log(2 * np.pi)
    match prior.family:
        case "normal":
            return 0, 0, 1 / (2 * b**2), 0, a, -np.log(b) - ln2pi / 2
        case "half_normal":
            return 0, 0, 1 / (2 * a**2), 0, 0, np.log(2) - np.log(a) - ln2pi / 2
        case "log_normal":
            return -1, 0, 0, 1 / (2 * b**2), a, -np.log(b) - ln2pi / 2
        case "gamma":
            return a - 1, b, 0, 0, 0, a * np.log(b) - special.gammaln(a)
        case "beta":
            return a - 1, b - 1, 0, 0, 0, -special.betaln(a, b)
        case _:
            return 0, 0, 0, 0, 0, -np.log(b - a)


def log_positive(x: Numbers, k: Kernel) -> Numbers:
    """ln p(x) of priors on x > 0; x at least the smallest normal number."""
    ln = jnp.log(x)
    return (
        k.log_power * ln - k.rate * x - k.square * x**2 - k.curvature * (ln - k.centre) ** 2
    ) + k.constant


def log_real(x: Numbers, k: Kernel) -> Numbers:
    """ln p(x) of normal priors."""
    return k.constant - k.square * (x - k.centre) ** 2


class Warp(NamedTuple):
    """The numbers of w(e), and `low` and `scale` of the link."""

    a: Numbers
    b: Numbers
    c: Numbers
    d: Numbers
    low: Numbers
    scale: Numbers


def warp(priors: list[Prior]) -> Warp:
    """The fitted warps of a list of priors."""
    rows = np.array([_warp(prior) for prior in priors], float).reshape(-1, len(Warp._fields))
    return Warp(*rows.T)


@cache
def _warp(prior: Prior) -> tuple[float, ...]:
    """Least squares of the link's inverse of the prior's quantiles on (1, e, −s(−e)², s(e)²).

    Errors count in units of e: divided by the slope, so that no long tail outweighs the middle.
    """
    e = np.linspace(-4, 4, 81)
    x = prior.quantile(special.ndtr(e))
    low, scale = 0.0, 1.0
    if prior.support == "interval":
        low, high = prior.bounds
        scale = high - low
        target = _logit_quantile(prior, e)
    elif prior.support == "positive":
        scale = float(prior.quantile(0.5))
        ratio = np.maximum(x / scale, 1e-290)
        target = ratio + np.log(-np.expm1(-ratio))  # the inverse of s
    else:
        return prior.a, prior.b, 0.0, 0.0, 0.0, 1.0
    s = lambda v: np.logaddexp(0, v)  # noqa: E731
    columns = np.stack([np.ones_like(e), e, -(s(-e) ** 2), s(e) ** 2], axis=1)
    weight = (np.exp(-(e**2) / 8) / np.gradient(target, e))[:, None]
    kept = [0, 1, 2, 3]
    while True:
        fitted = np.zeros(4)
        fitted[kept] = np.linalg.lstsq(columns[:, kept] * weight, target * weight[:, 0])[0]
        negative = [i for i in kept if i > 0 and fitted[i] < 0]
        if not negative:
            break
        kept.remove(min(negative, key=lambda i: fitted[i]))
    fitted[1] = max(fitted[1], 1e-3)
    return *fitted, low, scale


def _logit_quantile(prior: Prior, e: Float[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
    """ln u − ln(1 − u) of the quantile u at Φ(e); 1 − u is the mirrored prior's, exact near 1."""
    a, b = (prior.a, prior.b) if prior.family == "beta" else (1.0, 1.0)
    below, above = (
        np.maximum(special.betaincinv(*given), 1e-300)
        for given in ((a, b, special.ndtr(e)), (b, a, special.ndtr(-e)))
    )
    return np.log(below) - np.log(above)


@jax.custom_jvp
def rise(e: Numbers) -> tuple[Numbers, Numbers]:
    """s(e) = ln(1 + exp(e)) and its slope σ(e), from one exponential and one logarithm."""
    small = jnp.exp(-jnp.abs(e))
    slope = jnp.where(e > 0, 1.0, small) / (1.0 + small)
    return jnp.maximum(e, 0.0) + jnp.log1p(small), slope


@rise.defjvp
def _rise_jvp(primals, tangents):
    value, slope = rise(*primals)
    return (value, slope), (slope * tangents[0], slope * (1.0 - slope) * tangents[0])


class Bent(NamedTuple):
    """A warped coordinate: w(e), s(w), σ(w) and ln w′(e)."""

    w: Numbers
    rise: Numbers
    share: Numbers
    log_slope: Numbers


def bend(e: Numbers, w: Warp) -> Bent:
    """Warps coordinates of any support; `interval` and `positive` put them there."""
    up, rising = rise(e)
    down = up - e
    value = w.a + w.b * e - w.c * down**2 + w.d * up**2
    slope = w.b + 2.0 * w.c * down * (1.0 - rising) + 2.0 * w.d * up * rising
    return Bent(value, *rise(value), jnp.log(slope))


def positive(bent: Bent, scale: Numbers) -> tuple[Numbers, Numbers]:
    """x = scale · s(w(e)) > 0 and ln dx/de."""
    return scale * bent.rise, jnp.log(scale) + bent.log_slope + bent.w - bent.rise


def interval(bent: Bent, w: Warp, k: Kernel) -> tuple[Numbers, Numbers]:
    """x = low + scale · σ(w(e)) and ln p(x) + ln dx/de under a beta or uniform prior."""
    below, above = bent.w - bent.rise, -bent.rise  # ln σ(w), ln σ(−w)
    density = k.log_power * below + k.rate * above + k.constant
    x = w.low + w.scale * bent.share
    return x, density + below + above + jnp.log(w.scale) + bent.log_slope
