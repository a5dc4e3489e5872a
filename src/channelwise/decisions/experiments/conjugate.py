"""The two posteriors an arm can have: of a rate, and of a mean."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincinv, betaln, ndtr, ndtri, xlog1py, xlogy

from channelwise.decisions.experiments.estimate import Numbers


@dataclass(frozen=True)
class Beta:
    """A rate p with density p^(a − 1) (1 − p)^(b − 1) / B(a, b), a and b > 0."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """a / (a + b)."""
        return self.a / (self.a + self.b)

    def cdf(self, x: Numbers) -> Numbers:
        """P(p ≤ x)."""
        return betainc(self.a, self.b, np.clip(x, 0.0, 1.0))

    def pdf(self, x: Numbers) -> Numbers:
        """Density; 0 outside (0, 1)."""
        inside = (x > 0) & (x < 1)
        p = np.where(inside, x, 0.5)
        log = xlogy(self.a - 1, p) + xlog1py(self.b - 1, -p) - betaln(self.a, self.b)
        return np.where(inside, np.exp(log), 0.0)

    def ppf(self, q: Numbers) -> Numbers:
        """The x with P(p ≤ x) = q."""
        return betaincinv(self.a, self.b, q)


@dataclass(frozen=True)
class Normal:
    """A mean m ~ N(mean, sd²), sd > 0."""

    mean: float
    sd: float

    def cdf(self, x: Numbers) -> Numbers:
        """P(m ≤ x)."""
        return ndtr((np.asarray(x) - self.mean) / self.sd)

    def pdf(self, x: Numbers) -> Numbers:
        """Density."""
        z = (np.asarray(x) - self.mean) / self.sd
        return np.exp(-(z**2) / 2) / (self.sd * np.sqrt(2 * np.pi))

    def ppf(self, q: Numbers) -> Numbers:
        """The x with P(m ≤ x) = q."""
        return self.mean + self.sd * ndtri(q)
