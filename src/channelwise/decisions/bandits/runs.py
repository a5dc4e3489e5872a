"""Play bandit policies on arms with a known truth, many replicas at once, and account for it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from channelwise.decisions.bandits.policies import Policy, Seen


class Plays(NamedTuple):
    """What came of playing a policy.

    Attributes:
      steps: after which the regret was noted.
      regret: Σ_t μ*_t − μ_{a_t,t} by then: what was lost against the best arm of each step, in
        rewards; expected rewards are counted, so that the luck of single rewards drops out.
      pulls: of each arm by the end, those included whose reward is still to come.
      mean: plain mean of each arm's rewards, as an A/B test would report it; NaN if never played.
      weighted: the same mean corrected for how probable each choice was (inverse propensity); NaN
        for policies whose probabilities are unknown.
    """

    steps: Int[np.ndarray, " mark"]
    regret: Float[np.ndarray, "mark replica"]
    pulls: Float[np.ndarray, "replica arm"]
    mean: Float[np.ndarray, "replica arm"]
    weighted: Float[np.ndarray, "replica arm"]


class _Memory:
    """Counts and sums of each arm: what has come in, what is on its way, what is forgotten."""

    def __init__(self, policy: Policy, shape: tuple[int, int], delay: int):
        self.n, self.s = np.zeros(shape), np.zeros(shape)
        self.rows = np.arange(shape[0])
        self.discount, self.delay, self.window = policy.discount, delay, policy.window
        length = 1 + delay + (policy.window or 0)
        self.arms = np.zeros((length, shape[0]), np.intp)
        self.rewards = np.zeros((length, shape[0]))

    def add(self, t: int, arm: np.ndarray, reward: np.ndarray) -> None:
        """Note the play of step t; count the one whose reward comes in now."""
        self.arms[t % len(self.arms)], self.rewards[t % len(self.arms)] = arm, reward
        if self.discount < 1:
            self.n *= self.discount
            self.s *= self.discount
        self._count(t - self.delay, 1.0)
        if self.window is not None:
            self._count(t - self.delay - self.window, -1.0)

    def _count(self, t: int, sign: float) -> None:
        if t >= 0:
            arm, reward = self.arms[t % len(self.arms)], self.rewards[t % len(self.arms)]
            self.n[self.rows, arm] += sign
            self.s[self.rows, arm] += sign * reward


def play(
    policy: Policy,
    means: Float[np.ndarray, "*step arm"],
    steps: int,
    *,
    replicas: int = 500,
    noise: float | None = None,
    delay: int = 0,
    marks: int = 100,
    seed: int = 0,
) -> Plays:
    """Play a policy on arms of known means, in many independent replicas.

    Args:
      policy: from `bandits`.
      means: μ of each arm, or of each step and arm where arms change.
      steps: T, choices made by each replica.
      replicas: independent repetitions.
      noise: standard deviation of Gaussian rewards; None for rewards of 0 and 1 with rates μ.
      delay: choices made before a reward comes in; 0 is at once.
      marks: how many times the regret is noted, evenly spaced, the end included.
      seed: of everything random.

    Raises:
      ValueError: if there are fewer than two arms, a rate lies outside [0, 1], or a policy for
        rewards of 0 and 1 meets Gaussian ones.
    """
    means = _checked(policy, np.asarray(means, np.float64), steps, replicas, noise, delay, marks)
    rng, shape = np.random.default_rng(seed), (replicas, means.shape[-1])
    rows, memory = np.arange(replicas), _Memory(policy, shape, delay)
    prefer = 1e-12 * rng.random(shape)  # equal scores: by lot, once for each replica
    pulls, total, weighted = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    noted = np.unique(np.linspace(0, steps, marks + 1).round().astype(int)[1:])
    at = {int(step): k for k, step in enumerate(noted)}
    lost, regret = np.zeros(replicas), np.zeros((len(noted), replicas))
    for t in range(steps):
        mu = means[min(t, len(means) - 1)]
        greedy = np.argmax(policy.scores(Seen(memory.n, memory.s, t), rng) + prefer, axis=1)
        share = 1.0 if t < policy.trial else policy.explore
        arm = _mixed(greedy, share, shape[1], rng)
        reward = _reward(mu[arm], noise, rng)
        memory.add(t, arm, reward)
        pulls[rows, arm] += 1
        total[rows, arm] += reward
        weighted[rows, arm] += reward / (share / shape[1] + (1 - share) * (arm == greedy))
        lost += mu.max() - mu[arm]
        if t + 1 in at:
            regret[at[t + 1]] = lost
    mean = np.where(pulls > 0, total / np.maximum(pulls, 1), np.nan)
    known = not policy.random and policy.explore > 0
    return Plays(noted, regret, pulls, mean, weighted / steps if known else np.full(shape, np.nan))


def _mixed(
    greedy: Int[np.ndarray, " replica"], share: float, arms: int, rng: np.random.Generator
) -> Int[np.ndarray, " replica"]:
    """The greedy arm, or any arm in a share of the replicas."""
    if share == 0:
        return greedy
    by_lot = rng.integers(arms, size=len(greedy))
    return by_lot if share == 1 else np.where(rng.random(len(greedy)) < share, by_lot, greedy)


def _reward(
    mu: Float[np.ndarray, " replica"], noise: float | None, rng: np.random.Generator
) -> Float[np.ndarray, " replica"]:
    if noise is None:
        return (rng.random(len(mu)) < mu).astype(np.float64)
    return mu + noise * rng.standard_normal(len(mu))


def _checked(
    policy: Policy, means: np.ndarray, steps: int, replicas: int, noise, delay: int, marks: int
) -> Float[np.ndarray, "step arm"]:
    if means.ndim not in (1, 2) or means.shape[-1] < 2:
        raise ValueError(f"means has the shape {means.shape}; give two arms or more.")
    if means.ndim == 2 and len(means) != steps:
        raise ValueError(f"means holds {len(means):,} steps, but {steps:,} are played.")
    for name, value, least in (
        ("steps", steps, 1),
        ("replicas", replicas, 1),
        ("delay", delay, 0),
        ("marks", marks, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}; give {least} or more.")
    if noise is None and not ((means >= 0) & (means <= 1)).all():
        raise ValueError("A rate lies outside [0, 1]; for Gaussian rewards give their `noise`.")
    if noise is not None and policy.bernoulli:
        raise ValueError(
            f"{policy.name} needs rewards of 0 and 1, but noise={noise} makes them Gaussian; "
            "play thompson_gaussian or ucb1."
        )
    return np.atleast_2d(means)
