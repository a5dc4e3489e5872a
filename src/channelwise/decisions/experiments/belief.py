"""A Bayesian reading of an experiment: which arm is best, and what a wrong choice would cost.

With independent posteriors of the arms' means m_k, density f_k and distribution function F_k,

    P(k is best) = ∫ f_k(x) Π_{j≠k} F_j(x) dx
    E[what choosing k loses] = E[(max_{j≠k} m_j − m_k)⁺] = ∫ F_k(x) (1 − Π_{j≠k} F_j(x)) dx

by quadrature: no draws, no seed, no digits lost where a loss is tiny. These numbers weigh a
decision *given these data and this prior*. They do not hold an error rate for people who stop as
soon as a probability looks good: see `sequential` for that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.experiments.arms import (
    Arm,
    Counts,
    ExperimentError,
    Moments,
    check_positive,
    check_share,
    nearest,
)
from channelwise.decisions.experiments.conjugate import Beta, Normal

NODES = 12
TAIL = np.array([1e-14, 1e-10, 1e-7, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.15, 0.3, 0.5])
QUANTILES = np.concatenate([TAIL, 1 - TAIL[-2::-1]])


class Credible(NamedTuple):
    """A posterior mean, its central interval, and the probability of being above 0.

    For an arm the last is the probability that its mean is; for a difference or a lift, that the
    treatment is better.
    """

    mean: float
    low: float
    high: float
    probability: float


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Posteriors of the arms' means, from `beliefs`.

    Attributes:
      posteriors: a distribution for each arm, by name.
    """

    posteriors: Mapping[str, Beta | Normal]

    def arm(self, name: str, level: float = 0.95) -> Credible:
        """The mean of one arm."""
        check_share("level", level, 0.95)
        f = self._named(name)
        low, high = f.ppf(np.array([(1 - level) / 2, (1 + level) / 2]))
        return Credible(float(f.mean), float(low), float(high), float(1 - f.cdf(0.0)))

    def probability_best(self) -> dict[str, float]:
        """P(k is best) of each arm; they sum to 1."""
        x, w = _nodes([f.ppf(QUANTILES) for f in self.posteriors.values()])
        return {
            name: float(w @ (f.pdf(x) * self._below(x, name)))
            for name, f in self.posteriors.items()
        }

    def expected_loss(self) -> dict[str, float]:
        """What choosing each arm loses on average against the best, in the metric's unit."""
        x, w = _nodes([f.ppf(QUANTILES) for f in self.posteriors.values()])
        return {
            name: float(w @ (f.cdf(x) * (1 - self._below(x, name))))
            for name, f in self.posteriors.items()
        }

    def difference(self, control: str, treatment: str, level: float = 0.95) -> Credible:
        """m_treatment − m_control: P(difference ≤ d) = ∫ f_A(x) F_B(x + d) dx.

        Args:
          control: name of arm A.
          treatment: name of arm B.
          level: of the central interval, in (0, 1).
        """
        a, b = self._named(control), self._named(treatment)
        q_a, q_b = a.ppf(QUANTILES), b.ppf(QUANTILES)

        def below(d: float) -> float:
            x, w = _nodes([q_a, q_b - d])
            return float(w @ (a.pdf(x) * b.cdf(x + d)))

        span = (q_b[0] - q_a[-1], q_b[-1] - q_a[0])
        low, high = _quantiles(below, span, level)
        return Credible(float(b.mean - a.mean), low, high, 1 - below(0.0))

    def lift(self, control: str, treatment: str, level: float = 0.95) -> Credible:
        """m_treatment / m_control − 1: P(ratio ≤ r) = ∫ f_A(x) F_B(r x) dx.

        Args:
          control: name of arm A; its mean must surely be positive.
          treatment: name of arm B.
          level: of the central interval, in (0, 1).

        Returns:
          The mean field holds the median: the mean of a ratio need not exist.

        Raises:
          ExperimentError: if the control's mean may be 0 or less.
        """
        a, b = self._named(control), self._named(treatment)
        q_a, q_b = a.ppf(QUANTILES), b.ppf(QUANTILES)
        if not (q_a[0] > 0 and q_b[-1] > 0):
            raise ExperimentError(
                f"the mean of {control!r} may be 0 or less: a lift has no meaning then. "
                "Look at the difference instead."
            )

        def below(log_r: float) -> float:
            x, w = _nodes([q_a, q_b * np.exp(-log_r)])
            return float(w @ (a.pdf(x) * b.cdf(np.exp(log_r) * x)))

        floor = max(q_b[0], 1e-12 * q_b[-1])
        span = (np.log(floor / q_a[-1]), np.log(q_b[-1] / q_a[0]))
        low, high = _quantiles(below, span, level)
        middle, _ = _quantiles(below, span, 1e-9)
        low, middle, high = np.expm1([low, middle, high])
        return Credible(float(middle), float(low), float(high), 1 - below(0.0))

    def _named(self, name: str) -> Beta | Normal:
        if name not in self.posteriors:
            raise ExperimentError(nearest("arm", name, self.posteriors))
        return self.posteriors[name]

    def _below(self, x: Float[np.ndarray, " node"], name: str) -> Float[np.ndarray, " node"]:
        """Π_{j≠k} F_j(x)."""
        others = [f.cdf(x) for other, f in self.posteriors.items() if other != name]
        return np.prod(others, axis=0)


def beliefs(arms: Mapping[str, Arm], prior: tuple[float, float] | None = None) -> Beliefs:
    """Posteriors of the arms' means.

    Counts: p ~ Beta(a, b) gives Beta(a + s, b + n − s)
    Moments: m ~ N(μ, τ²) gives N((μ/τ² + n ȳ/σ²) / (1/τ² + n/σ²), 1 / (1/τ² + n/σ²))

    Args:
      arms: `Counts` or `Moments` of each arm, by name; 2 or more, of one kind.
      prior: (a, b) > 0 of counts, (1, 1) where left out; (μ, τ) of moments, flat where left out.

    Raises:
      ExperimentError: for one arm, arms of two kinds, a prior that is none, means that do not vary.

    Numerical note: for moments σ² is taken as known: the posterior is normal, fit for some 30
    units or more in each arm.
    """
    if len(arms) < 2:
        raise ExperimentError(f"{len(arms)} arm: a best one needs at least 2 to choose from.")
    kinds = {isinstance(arm, Counts) for arm in arms.values()}
    if len(kinds) > 1:
        raise ExperimentError("some arms hold counts, others means; give all as the same kind.")
    posterior = _beta if kinds.pop() else _normal
    return Beliefs({name: posterior(arm, prior) for name, arm in arms.items()})


def _beta(arm: Counts, prior: tuple[float, float] | None) -> Beta:
    a, b = (1.0, 1.0) if prior is None else prior
    check_positive("a of the prior", a)
    check_positive("b of the prior", b)
    return Beta(float(a + arm.successes), float(b + arm.failures))


def _normal(arm: Moments, prior: tuple[float, float] | None) -> Normal:
    if not arm.variance > 0:
        raise ExperimentError(
            "the outcome of an arm does not vary, so its mean would be certain. "
            "Check that the metric was filled; for a yes-or-no outcome give Counts."
        )
    precision, weighted = arm.n / arm.variance, arm.mean * arm.n / arm.variance
    if prior is not None:
        check_positive("standard deviation of the prior", prior[1])
        precision, weighted = precision + prior[1] ** -2, weighted + prior[0] * prior[1] ** -2
    return Normal(weighted / precision, precision**-0.5)


def _nodes(
    quantiles: list[Float[np.ndarray, " quantile"]],
) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Gauss–Legendre nodes and weights between all quantiles, so that no arm is stepped over."""
    edges = np.unique(np.concatenate(quantiles))
    x, w = np.polynomial.legendre.leggauss(NODES)
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()


def _quantiles(
    below: Callable[[float], float], span: tuple[float, float], level: float
) -> tuple[float, float]:
    """The ends of the central interval of a distribution function."""
    from scipy.optimize import brentq

    check_share("level", level, 0.95)
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = (brentq(lambda v, t=t: below(v) - t, *span, rtol=1e-10) for t in tails)
    return float(low), float(high)
