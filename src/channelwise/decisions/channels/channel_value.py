"""What channels are worth together: V = f(η, β, γ; u, m, p).

Spend on channels buys three strengths, each with diminishing returns; together they bring
customers, trust and data, and from these comes a value in currency per period. Spend is in
currency per period too, so that a marginal value of 1 is where the next unit just pays for itself.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import ArrayLike, Float, Shaped

from channelwise.decisions.channels.strength import Precision, Strength, StrengthError, check


@dataclass(frozen=True, eq=False)
class ChannelValue:
    """What channels are worth: V = f(η, β, γ; u, m, p), in currency per period.

    V = v · m · B · K · u · p(D)
    B = 1 − Π_c (1 − β_c)            share of the market that some channel reaches
    K = κ₀ + (κ₁ − κ₀) G             share of those who buy, with
    G = 1 − Π_c (1 − γ_c)            the share who know the brand from some channel
    D = m Σ_c β_c η_c                examples a period that those reached leave behind

    Channels reach and persuade independently of each other (two that reach 60 % reach 84 %), so
    that they compete for the same people, share one brand, and all feed one model: V is coupled.
    It does not fall with any spend.

    Attributes:
      channels: names.
      eta: data efficiency η: usable examples per customer reached and period.
      beta: user coverage β: share of the market reached.
      gamma: brand γ: share of the market that a channel makes trust the brand.
      market: m, customers there are.
      satisfaction: u in (0, 1], share of buyers who are content and pay.
      precision: p, the model's precision as a function of data.
      margin: v > 0, currency per paying customer and period at precision 1.
      buying: κ₀ ≤ κ₁ in [0, 1]: share of those reached who buy from a stranger, and from a brand.

    Raises:
      StrengthError: if a number lies outside its range or does not fit the channels.

    Source: the arguments of f are those of article 003 §4.1, which leaves f open; coverage by
      several channels as in the independence rule of media planning (Sainsbury's formula).
    """

    channels: tuple[str, ...]
    eta: Strength
    beta: Strength
    gamma: Strength
    market: float
    satisfaction: float
    precision: Precision
    margin: float
    buying: tuple[float, float]

    def __post_init__(self) -> None:
        for kind in ("eta", "beta", "gamma"):
            n = getattr(self, kind).most.size
            if n != len(self.channels):
                raise StrengthError(f"{kind} has {n} values for {len(self.channels)} channels.")
        check("market", self.market, self.market > 0, "above 0, in customers")
        check("satisfaction", self.satisfaction, 0 < self.satisfaction <= 1, "above 0, at most 1")
        check("margin", self.margin, self.margin > 0, "above 0, in currency per customer")
        stranger, brand = self.buying
        check("buying", self.buying, 0 <= stranger <= brand <= 1, "two rising shares from 0 to 1")

    @property
    def most(self) -> float:
        """v · m · u: what every customer of the market would bring if all were won and served."""
        return self.margin * self.market * self.satisfaction

    def factors(
        self,
        eta: Float[ArrayLike, "*batch channel"],
        beta: Float[ArrayLike, "*batch channel"],
        gamma: Float[ArrayLike, "*batch channel"],
    ) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """Coverage B, buying K and data D of given strengths."""
        stranger, brand = self.buying
        buying = stranger + (brand - stranger) * _any(gamma)
        return _any(beta), buying, self.market * (beta * eta).sum(-1)

    def of(
        self,
        eta: Float[ArrayLike, "*batch channel"],
        beta: Float[ArrayLike, "*batch channel"],
        gamma: Float[ArrayLike, "*batch channel"],
    ) -> Shaped[ArrayLike, "*batch"]:
        """f itself: the value of given strengths, currency per period."""
        coverage, buying, data = self.factors(eta, beta, gamma)
        return self.most * coverage * buying * self.precision.at(data)

    def value(self, x: Float[ArrayLike, "*batch channel"]) -> Shaped[ArrayLike, "*batch"]:
        """V of a spend x ≥ 0 on every channel, currency per period; x itself is not subtracted."""
        return self.of(self.eta.at(x), self.beta.at(x), self.gamma.at(x))

    def marginal(
        self, x: Float[np.ndarray, "*batch channel"]
    ) -> Float[np.ndarray, "*batch channel"]:
        """∂V/∂x: what the next unit of currency on each channel brings."""
        return self.marginal_within(x, x)[0]

    def marginal_within(
        self,
        lower: Float[np.ndarray, "*batch channel"],
        upper: Float[np.ndarray, "*batch channel"],
    ) -> tuple[Float[np.ndarray, "*batch channel"], Float[np.ndarray, "*batch channel"]]:
        """Bounds of ∂V/∂x over all spends between two spends; with lower = upper, the gradient.

        ∂V/∂x_c = v m u [ β_c' Π_{i≠c}(1 − β_i) K p  +  B (κ₁ − κ₀) γ_c' Π_{i≠c}(1 − γ_i) p
                          + B K p'(D) m (β_c' η_c + β_c η_c') ]

        Every factor is ≥ 0 and monotone in spend, but for the slopes, whose range is known: the
        product of the least factors bounds it from below, that of the largest from above.
        """
        low, high = _Ends(self, lower), _Ends(self, upper)
        rises = [getattr(self, kind).rise_within(lower, upper) for kind in ("eta", "beta", "gamma")]
        least, largest = zip(*rises, strict=True)
        return self._marginal(low, high, least), self._marginal(high, low, largest)

    def _marginal(
        self, near: "_Ends", far: "_Ends", rises: tuple[np.ndarray, ...]
    ) -> Float[np.ndarray, "*batch channel"]:
        """The gradient's formula: what grows with spend from one end, what falls from the other."""
        eta_rise, beta_rise, gamma_rise = rises
        B, K, p = (part[..., None] for part in (near.coverage, near.buying, near.precision))
        lift = self.buying[1] - self.buying[0]
        learned = self.market * (beta_rise * near.eta + near.beta * eta_rise)
        reached = beta_rise * far.not_elsewhere_reached * K * p
        trusted = B * lift * gamma_rise * far.not_elsewhere_known * p
        return self.most * (reached + trusted + B * K * far.precision_rise[..., None] * learned)


class _Ends:
    """All factors of the value at one spend."""

    def __init__(self, value: ChannelValue, x: np.ndarray) -> None:
        self.eta, self.beta, gamma = value.eta.at(x), value.beta.at(x), value.gamma.at(x)
        self.coverage, self.buying, data = value.factors(self.eta, self.beta, gamma)
        self.precision, self.precision_rise = value.precision.at(data), value.precision.rise(data)
        self.not_elsewhere_reached = _others(1 - self.beta)
        self.not_elsewhere_known = _others(1 - gamma)


def _any(shares: ArrayLike) -> ArrayLike:
    """1 − Π_c (1 − s_c), term by term, so that small shares keep all their digits."""
    total = 0.0 * shares[..., 0]
    for c in range(shares.shape[-1]):
        total = total + shares[..., c] * (1 - total)
    return total


def _others(shares: np.ndarray) -> np.ndarray:
    """Π_{i≠c} of each channel; no share is 0, for every `most` is below 1."""
    return shares.prod(-1, keepdims=True) / shares
