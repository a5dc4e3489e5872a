"""A few planned looks: group-sequential boundaries and their error, exactly.

At look k a share t_k of the planned information is in, and Z_k is N(θ √t_k, 1) with independent
increments of S_k = Z_k √t_k. The test stops when |Z_k| ≥ z_k. The density of S_k among the tests
that go on follows by recursion (Armitage, McPherson, Rowe 1969),

    f_k(s) = ∫_{|x| < z_{k−1} √t_{k−1}} f_{k−1}(x) φ((s − x − θ Δ_k) / √Δ_k) / √Δ_k dx

and the probability to stop at look k is its mass beyond ±z_k √t_k. Looks are correlated: five naive
looks at 5 % have an error of 14.2 %, not 1 − 0.95⁵ = 22.6 %.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from channelwise.decisions.experiments.arms import ExperimentError, check_share

NODES_PER_STEP = 12
FARTHEST = 9.0  # standard deviations; P(|Z| > 9) = 2e-19


@dataclass(frozen=True, eq=False)
class Boundary:
    """When to stop: at the first look with |Z| ≥ z.

    Attributes:
      z: critical value of each look, > 0; ∞ for a look that cannot stop.
      information: t, share of the planned units in by then, increasing, the last 1.

    Raises:
      ExperimentError: for shares that do not increase up to 1, or critical values not above 0.
    """

    z: Float[np.ndarray, " look"]
    information: Float[np.ndarray, " each"]

    def __post_init__(self):
        _check_information(self.information)
        if len(self.z) != len(self.information) or not (self.z > 0).all():
            raise ExperimentError(
                f"{len(self.z)} critical values for {len(self.information)} looks; give one above "
                "0 for each."
            )

    @property
    def nominal(self) -> Float[np.ndarray, " look"]:
        """Two-sided p-value at which each look stops: 2 (1 − Φ(z))."""
        return 2 * ndtr(-self.z)

    def stopping(self, drift: float = 0.0) -> Float[np.ndarray, " look"]:
        """Probability to stop at each look, on either side.

        Args:
          drift: θ, expected Z once all information is in; 0 without an effect.
        """
        return _stopping(self.z, self.information, drift)

    @cached_property
    def type_one(self) -> float:
        """Probability to stop if there is no effect."""
        return float(self.stopping().sum())

    def power(self, drift: float) -> float:
        """Probability to stop if the expected final Z is θ = `drift`."""
        return float(self.stopping(drift).sum())

    def drift(self, power: float = 0.8) -> float:
        """θ at which the test has that power."""
        from scipy.optimize import brentq

        if not self.type_one < power < 1:
            raise ExperimentError(
                f"power is {power:g}; give a value between the error ({self.type_one:.3g}) and 1."
            )
        return float(brentq(lambda x: self.power(x) - power, 0.0, 20.0, xtol=1e-10))

    def inflation(self, power: float = 0.8) -> float:
        """What looking costs: the largest sample over that of one look of the same error and power.

        (θ / (z_{1−α/2} + Φ⁻¹(power)))²
        """
        fixed = -ndtri(self.type_one / 2) + ndtri(power)
        return (self.drift(power) / float(fixed)) ** 2

    def expected_share(self, drift: float) -> float:
        """Share of the planned units used on average: Σ t_k P(stop at k) + P(never)."""
        stop = self.stopping(drift)
        return float(stop @ self.information + 1 - stop.sum())


def naive(looks: int, alpha: float = 0.05) -> Boundary:
    """The mistake: every look tests at α. Its `type_one` is what peeking costs.

    Args:
      looks: equally spaced, 1 or more.
      alpha: of each look, in (0, 1).
    """
    check_share("alpha", alpha, 0.05)
    return Boundary(np.full(_looks(looks), -ndtri(alpha / 2)), _equal(looks))


def pocock(looks: int, alpha: float = 0.05) -> Boundary:
    """The same critical value at every look, such that the error of all together is α.

    Args:
      looks: equally spaced, 1 or more.
      alpha: of all looks, two-sided, in (0, 1).

    Source: Pocock 1977.
    """
    return _shaped(np.ones(_looks(looks)), alpha)


def obrien_fleming(looks: int, alpha: float = 0.05) -> Boundary:
    """z_k = c √(K / k): hardly stops early, and ends nearly like a single look.

    Args:
      looks: K, equally spaced, 1 or more.
      alpha: of all looks, two-sided, in (0, 1).

    Source: O'Brien and Fleming 1979.
    """
    return _shaped(1 / np.sqrt(_equal(looks)), alpha)


def spending(
    information: Float[np.ndarray, " look"],
    alpha: float = 0.05,
    kind: str = "obrien_fleming",
) -> Boundary:
    """Looks at times that need not be planned: by t a share α*(t) of the error is spent.

    obrien_fleming: α*(t) = 4 (1 − Φ(z_{1−α/4} / √t)),   pocock: α*(t) = α ln(1 + (e − 1) t)

    Half of it on each side.

    Args:
      information: t, share of the planned units at each look so far, increasing, the last 1.
      alpha: spent at t = 1, two-sided, in (0, 1).
      kind: of spending.

    Source: Lan and DeMets 1983.
    """
    check_share("alpha", alpha, 0.05)
    _check_information(information)
    if kind not in ("obrien_fleming", "pocock"):
        raise ExperimentError(f"kind is {kind!r}; there are obrien_fleming and pocock.")
    if kind == "obrien_fleming":
        spent = 4 * ndtr(ndtri(alpha / 4) / np.sqrt(information))
    else:
        spent = alpha * np.log1p((np.e - 1) * information)
    z = np.empty(0)
    for k, wanted in enumerate(np.diff(spent, prepend=0.0), start=1):
        z = np.append(z, _last_z(z, information[:k], float(wanted)))
    return Boundary(z, information)


def _last_z(
    z: Float[np.ndarray, " before"], information: Float[np.ndarray, " look"], wanted: float
) -> float:
    """Critical value of the last look that stops there with the wanted probability."""
    from scipy.optimize import brentq

    def excess(last: float) -> float:
        return float(_stopping(np.append(z, last), information, 0.0)[-1]) - wanted

    return np.inf if excess(FARTHEST) >= 0 else float(brentq(excess, 1e-9, FARTHEST, xtol=1e-10))


def _shaped(shape: Float[np.ndarray, " look"], alpha: float) -> Boundary:
    """c · shape with c such that the error is α."""
    from scipy.optimize import brentq

    check_share("alpha", alpha, 0.05)
    information = _equal(len(shape))

    def excess(c: float) -> float:
        return float(_stopping(c * shape, information, 0.0).sum()) - alpha

    single = float(-ndtri(alpha / 2))
    c = single if len(shape) == 1 else brentq(excess, single * 0.9, single + 4, xtol=1e-10)
    return Boundary(c * shape, information)


def _stopping(
    z: Float[np.ndarray, " look"], information: Float[np.ndarray, " look"], drift: float
) -> Float[np.ndarray, " look"]:
    """Probability to stop at each look, by the recursion of the module."""
    steps = np.diff(information, prepend=0.0)
    at, mass = np.zeros(1), np.ones(1)  # nodes of S among the tests that go on, f(x) dx at each
    stop = np.empty(len(z))
    for k, (t, step) in enumerate(zip(information, steps, strict=True)):
        limit, root = z[k] * np.sqrt(t), np.sqrt(step)
        centre = at + drift * step
        stop[k] = mass @ (ndtr((-limit - centre) / root) + ndtr((centre - limit) / root))
        if k + 1 < len(z):
            far = FARTHEST * np.sqrt(t)
            low, high = max(-limit, drift * t - far), min(limit, drift * t + far)
            if not low < high:
                stop[k + 1 :] = 0.0
                return stop
            # smooth on the scale of the step that made it and of the step that follows
            nodes, weights = _gauss(low, high, min(root, np.sqrt(steps[k + 1])))
            density = np.exp(-(((nodes[:, None] - centre) / root) ** 2) / 2)
            mass = weights * (density @ mass) / (root * np.sqrt(2 * np.pi))
            at = nodes
    return stop


def _gauss(
    low: float, high: float, step: float
) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Gauss–Legendre nodes and weights, dense enough for functions smooth on the scale `step`."""
    count = 24 + int(np.ceil(NODES_PER_STEP / 4 * (high - low) / step))
    x, w = _legendre(count)
    half = (high - low) / 2
    return (low + high) / 2 + half * x, half * w


@cache
def _legendre(count: int) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    return np.polynomial.legendre.leggauss(count)


def _looks(looks: int) -> int:
    if looks < 1:
        raise ExperimentError(f"looks is {looks}; give 1 or more.")
    return looks


def _equal(looks: int) -> Float[np.ndarray, " look"]:
    return np.arange(1, _looks(looks) + 1) / looks


def _check_information(information: Float[np.ndarray, " look"]) -> None:
    t = information
    if not (len(t) and t[0] > 0 and (np.diff(t) > 0).all() and abs(t[-1] - 1) < 1e-12):
        raise ExperimentError(
            f"information is {t.tolist()}; give increasing shares of the planned units, "
            "above 0, the last 1."
        )
