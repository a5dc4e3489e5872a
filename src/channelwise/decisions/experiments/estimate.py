"""Two means and the errors of both: their difference, their ratio, and intervals for either."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from channelwise.decisions.experiments.arms import ExperimentError, check_share

Numbers = float | np.number | Real[np.ndarray, "..."]
"""One number, or arrays of many experiments that go together by broadcasting."""


@dataclass(frozen=True)
class Estimate:
    """An effect with its interval.

    Attributes:
      value: the estimate; a lift is a share of the control's mean, 0.1 for 10 % more.
      low: lower end of the interval, −∞ if the data set no limit.
      high: upper end, ∞ if the data set no limit.
      p_value: of no effect, two-sided.
      level: of the interval, such as 0.95.
      scale: "difference" in the metric's unit, or "lift".
      method: how the interval was made.
    """

    value: float
    low: float
    high: float
    p_value: float
    level: float
    scale: str
    method: str

    @property
    def significant(self) -> bool:
        """Whether "no effect" is rejected at 1 − level."""
        return self.p_value <= 1 - self.level

    def __str__(self) -> str:
        show = "{:+.1%}".format if self.scale == "lift" else "{:+.4g}".format
        low = show(self.low) if np.isfinite(self.low) else "no lower limit"
        high = show(self.high) if np.isfinite(self.high) else "no upper limit"
        value = show(self.value) if np.isfinite(self.value) else "unknown"
        p = "p < 0.0001" if self.p_value < 1e-4 else f"p = {self.p_value:.2g}"
        return f"{self.scale} {value} ({self.level:.0%} {self.method}: {low} to {high}; {p})"


@dataclass(frozen=True, eq=False)
class Comparison:
    """The means of two arms and the covariance of their errors, from `compare`, `cuped`,
    `stratified`.

    t = (m_B − m_A) / √(V_A + V_B − 2 C)

    Attributes:
      control: m_A, in the metric's unit.
      treatment: m_B.
      covariance: [[V_A, C], [C, V_B]] of the two estimates; C ≠ 0 if they share a correction.
      n: units of both arms together.
      df: degrees of freedom of the error.
      explained: ρ², share of the variance that a covariate or strata removed.
      theta: slope on each covariate, where there are any.

    Raises:
      ExperimentError: if the difference has no error: then no interval exists.
    """

    control: float
    treatment: float
    covariance: Float[np.ndarray, "2 2"]
    n: int
    df: float
    explained: float = 0.0
    theta: tuple[float, ...] = ()

    def __post_init__(self):
        scale = max(abs(self.control), abs(self.treatment))
        if not self.error > 1e-12 * scale:
            raise ExperimentError(
                "the outcome does not vary in either arm, so no error can be estimated. "
                "Check that the metric was filled; for a yes-or-no outcome give Counts."
            )

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        (a, c), (_, b) = self.covariance
        return float(np.sqrt(max(a + b - 2 * c, 0.0)))

    def p_value(self, null: float = 0.0, alternative: str = "two-sided") -> float:
        """Of the difference being `null`, in the metric's unit; t distribution.

        For a guardrail with margin m: `p_value(null=-m, alternative="greater")`.
        """
        from scipy.special import stdtr

        t = (self.treatment - self.control - null) / self.error
        return tail_p(t, alternative, lambda x: float(stdtr(self.df, x)))

    def difference(self, level: float = 0.95) -> Estimate:
        """m_B − m_A ± t_(1+level)/2 · error, Welch's interval.

        Args:
          level: in (0, 1).
        """
        c = self._critical(level)
        value = self.treatment - self.control
        low, high = value - c * self.error, value + c * self.error
        return Estimate(value, low, high, self.p_value(), level, "difference", "Welch")

    def lift(self, level: float = 0.95, method: str = "fieller") -> Estimate:
        """m_B / m_A − 1, with an interval for the ratio itself.

        The ends of the difference divided by m_A would take the control's mean for known.

        Args:
          level: in (0, 1).
          method: "fieller", see `fieller_ends`, or "log": e^(ln R ± c s), s by the delta method.

        Raises:
          ExperimentError: if the control's mean is not positive, or for "log" the treatment's.

        Numerical note: Fieller's set excludes 0 exactly when the t test rejects. If the control's
        mean may be 0 it is not an interval, and the ends are −∞ and ∞.
        """
        c = self._critical(level)
        ends = _METHODS[self._checked(method)]
        low, high = ends(self.control, self.treatment, self.covariance, c)
        value = self.treatment / self.control - 1
        p = self.p_value()
        return Estimate(value, float(low) - 1, float(high) - 1, p, level, "lift", method.title())

    def _critical(self, level: float) -> float:
        from scipy.special import stdtrit

        check_share("level", level, 0.95)
        return float(stdtrit(self.df, (1 + level) / 2))

    def _checked(self, method: str) -> str:
        if method not in _METHODS:
            raise ExperimentError(f"method is {method!r}; there are {' and '.join(_METHODS)}.")
        means = (self.control, self.treatment) if method == "log" else (self.control,)
        if not min(means) > 0:
            raise ExperimentError(
                f"the means are {self.control:g} and {self.treatment:g}: a lift needs a control "
                "above 0 (and its logarithm a treatment above 0). Look at the difference instead."
            )
        return method


def fieller_ends(
    control: Numbers,
    treatment: Numbers,
    covariance: Float[np.ndarray, "2 2 ..."],
    critical: Numbers,
) -> tuple[Numbers, Numbers]:
    """All ratios R that a test of m_B − R m_A = 0 accepts.

    (m_B − R m_A)² ≤ c² (V_B − 2 R C + R² V_A)

    Args:
      control: m_A.
      treatment: m_B.
      covariance: [[V_A, C], [C, V_B]].
      critical: c, of the test.

    Returns:
      Lower and upper end; −∞ and ∞ where c² V_A ≥ m_A², as the set is unbounded there.

    Source: Fieller 1954, "Some problems in interval estimation".
    """
    (v_a, c_ab), (_, v_b) = covariance
    a = control**2 - critical**2 * v_a
    b = control * treatment - critical**2 * c_ab
    k = treatment**2 - critical**2 * v_b
    bounded = np.asarray(a) > 0
    root = np.sqrt(np.maximum(b**2 - a * k, 0))
    a = np.where(bounded, a, 1.0)
    return (
        np.where(bounded, (b - root) / a, -np.inf)[()],
        np.where(bounded, (b + root) / a, np.inf)[()],
    )


def log_ratio_ends(
    control: Numbers,
    treatment: Numbers,
    covariance: Float[np.ndarray, "2 2 ..."],
    critical: Numbers,
) -> tuple[Numbers, Numbers]:
    """e^(ln R ± c s),   s² = V_A / m_A² + V_B / m_B² − 2 C / (m_A m_B): the delta method."""
    (v_a, c_ab), (_, v_b) = covariance
    s = np.sqrt(v_a / control**2 + v_b / treatment**2 - 2 * c_ab / (control * treatment))
    ratio = treatment / control
    return ratio * np.exp(-critical * s), ratio * np.exp(critical * s)


_METHODS = {"fieller": fieller_ends, "log": log_ratio_ends}


def tail_p(t: float, alternative: str, cdf) -> float:
    """p-value of a statistic whose distribution is symmetric."""
    if alternative not in ("two-sided", "greater", "less"):
        raise ExperimentError(
            f"alternative is {alternative!r}; there are two-sided, greater and less."
        )
    if alternative == "two-sided":
        return min(1.0, 2 * cdf(-abs(t)))
    return cdf(-t) if alternative == "greater" else cdf(t)
