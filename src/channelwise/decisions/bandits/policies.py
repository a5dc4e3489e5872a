"""Bandit policies: which arm to show next, given what the arms have brought so far.

A policy gives every arm a score and plays the highest. It sees counts and sums alone, so that one
loop (`bandit_runs.play`) serves all of them, many replicas at a time.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.bandits.divergence import kl_upper

Array = np.ndarray


class Seen(NamedTuple):
    """What a policy knows when it chooses.

    Attributes:
      n: plays of each arm whose reward has come in; discounted or windowed plays are fewer.
      s: sum of those rewards, discounted and windowed likewise.
      t: choices made so far, by the calendar.
    """

    n: Float[Array, "replica arm"]
    s: Float[Array, "replica arm"]
    t: int


Scores = Callable[[Seen, np.random.Generator], Float[Array, "replica arm"]]


class Policy(NamedTuple):
    """How to choose an arm: the highest score, or now and then any arm at all.

    Attributes:
      name: as a legend shows it.
      scores: of the arms.
      explore: share of choices made by lot among all arms, in [0, 1].
      trial: choices at the start that are all made by lot.
      discount: γ in (0, 1] by which everything seen fades with each step; 1 forgets nothing.
      window: only the last so many plays count; None for all.
      bernoulli: whether rewards must be 0 or 1.
      random: whether scores are random, so that the chance of an arm is not known.
    """

    name: str
    scores: Scores
    explore: float = 0.0
    trial: int = 0
    discount: float = 1.0
    window: int | None = None
    bernoulli: bool = False
    random: bool = False


def _share(name: str, value: float, good: bool, allowed: str) -> None:
    if not good:
        raise ValueError(f"{name} is {value}; give a value in {allowed}.")


def _mean(seen: Seen) -> Float[Array, "replica arm"]:
    """The mean reward, infinite before the first."""
    tried = seen.n > 0
    return np.where(tried, seen.s / np.where(tried, seen.n, 1.0), np.inf)


def fixed_split(trial: int | None = None) -> Policy:
    """An A/B test: every arm by lot; after `trial` choices the best arm so far, for good.

    Args:
      trial: choices of the test; None tests for ever.

    Raises:
      ValueError: if `trial` is below 1.
    """
    if trial is None:
        return Policy("fixed split", lambda seen, _: _mean(seen), explore=1.0)
    _share("trial", trial, trial >= 1, "[1, ∞)")
    return Policy(
        f"test {trial:,}, then the best", lambda seen, _: _settled(seen, trial), trial=trial
    )


def _settled(seen: Seen, trial: int) -> Float[Array, "replica arm"]:
    """The better arm of a test: judged by its mean, an arm never seen last."""
    return np.where(seen.n > 0, _mean(seen), -np.inf)


def epsilon_greedy(epsilon: float = 0.1) -> Policy:
    """The arm with the best mean so far; in a share ε of the choices any arm.

    Args:
      epsilon: ε in [0, 1]. A fixed ε costs at least ε (K−1)/K Δ̄ a step for ever: regret is linear.

    Raises:
      ValueError: if ε lies outside [0, 1].

    Source: Sutton and Barto 2018, §2.2.
    """
    _share("epsilon", epsilon, 0 <= epsilon <= 1, "[0, 1]")
    return Policy(f"ε-greedy({epsilon:g})", lambda seen, _: _mean(seen), explore=epsilon)


def _optimistic(
    seen: Seen, horizon: float | Float[Array, "replica 1"], width: float
) -> Float[Array, "replica arm"]:
    log_t = np.log(np.maximum(horizon, 1.0))
    return _mean(seen) + np.sqrt(width * log_t / np.maximum(seen.n, 1e-12))


def ucb1() -> Policy:
    """The arm with the highest upper confidence bound.

    score_a = x̄_a + √(2 ln t / n_a)

    For rewards in [0, 1]. An arm without a reward yet comes first.

    Source: Auer, Cesa-Bianchi, Fischer 2002, figure 1.
    """
    return Policy("UCB1", lambda seen, _: _optimistic(seen, seen.t, 2.0))


def sliding_window_ucb(window: int, xi: float = 0.6) -> Policy:
    """UCB from the last `window` plays alone: follows arms that change.

    score_a = x̄_a + √(ξ ln min(t, τ) / n_a),   n_a and x̄_a of the last τ plays

    Args:
      window: τ, at least 1.
      xi: ξ; the theory needs more than ½, the authors play 0.6.

    Raises:
      ValueError: if the window is below 1 or ξ is not positive.

    Source: Garivier and Moulines 2011, "On upper-confidence bound policies for switching bandit
    problems", §3.
    """
    _share("window", window, window >= 1, "[1, ∞)")
    _share("xi", xi, xi > 0, "(0, ∞)")

    def scores(seen: Seen, _) -> Float[Array, "replica arm"]:
        return _optimistic(seen, min(seen.t, window), xi)

    return Policy(f"UCB, last {window:,}", scores, window=window)


def kl_ucb(iterations: int = 12) -> Policy:
    """The arm with the highest rate that the divergence allows: the tight form of UCB1.

    score_a = max{q : n_a kl(x̄_a, q) ≤ ln t}

    Args:
      iterations: halvings of the bisection at every step; 12 leave an error below 3e-4.

    Source: Garivier and Cappé 2011, "The KL-UCB algorithm for bounded stochastic bandits and
    beyond", algorithm 1 with c = 0, as they advise in practice.
    """

    def scores(seen: Seen, _) -> Float[Array, "replica arm"]:
        tried = seen.n > 0
        n = np.where(tried, seen.n, 1.0)
        bound = kl_upper(seen.s / n, np.log(max(seen.t, 1)) / n, iterations)
        return np.where(tried, bound, np.inf)

    return Policy("KL-UCB", scores, bernoulli=True)


def thompson_beta(a: float = 1.0, b: float = 1.0, discount: float = 1.0) -> Policy:
    """Each arm as often as it is probably the best: one draw of every arm's rate.

    score_a ~ Beta(a + s_a, b + n_a − s_a)

    Args:
      a: of the prior, above 0.
      b: of the prior, above 0; a = b = 1 is uniform.
      discount: γ in (0, 1]; below 1, s and n fade by γ a step and the arms may change: about
        1 / (1 − γ) plays are remembered.

    Raises:
      ValueError: if a parameter lies outside its range.

    Source: Thompson 1933; discounted: Raj and Kalyani 2017, "Taming non-stationary bandits".
    """
    _share("a", a, a > 0, "(0, ∞)")
    _share("b", b, b > 0, "(0, ∞)")
    _share("discount", discount, 0 < discount <= 1, "(0, 1]")

    def scores(seen: Seen, rng) -> Float[Array, "replica arm"]:
        return rng.beta(a + seen.s, b + np.maximum(seen.n - seen.s, 0.0))

    name = "Thompson" if discount == 1 else f"Thompson, γ = {discount:g}"
    return Policy(name, scores, discount=discount, bernoulli=True, random=True)


def thompson_gaussian(
    sigma: float, center: float = 0.0, spread: float = 1e3, discount: float = 1.0
) -> Policy:
    """Thompson sampling of means under Gaussian noise of known size.

    score_a ~ N(m_a, v_a),   1/v_a = 1/spread² + n_a/σ²,   m_a = v_a (center/spread² + s_a/σ²)

    Args:
      sigma: σ of one reward, above 0.
      center: of the prior of a mean.
      spread: of that prior, above 0.
      discount: as in `thompson_beta`.

    Raises:
      ValueError: if a parameter lies outside its range.

    Source: Russo et al. 2018, "A tutorial on Thompson sampling", §4.
    """
    _share("sigma", sigma, sigma > 0, "(0, ∞)")
    _share("spread", spread, spread > 0, "(0, ∞)")
    _share("discount", discount, 0 < discount <= 1, "(0, 1]")

    def scores(seen: Seen, rng) -> Float[Array, "replica arm"]:
        v = 1 / (1 / spread**2 + seen.n / sigma**2)
        m = v * (center / spread**2 + seen.s / sigma**2)
        return m + np.sqrt(v) * rng.standard_normal(m.shape)

    name = "Thompson" if discount == 1 else f"Thompson, γ = {discount:g}"
    return Policy(f"{name}, Gaussian", scores, discount=discount, random=True)
