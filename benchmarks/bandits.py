"""Regret of bandit policies after 10,000 steps, beside what theory says, and the time of a step.

    python benchmarks/bandits.py            # some two minutes of one core

Rewards are 0 or 1. The line of Lai and Robbins is asymptotic: at a finite time it bounds nothing.
"""

import time

import numpy as np

from channelwise.decisions.bandits import policies as bandits
from channelwise.decisions.bandits.runs import play
from channelwise.decisions.bandits.theory import lai_robbins, ucb1_bound

STEPS, REPLICAS = 10_000, 1_000
POLICIES = (
    bandits.fixed_split(),
    bandits.fixed_split(STEPS // 5),
    bandits.epsilon_greedy(0.1),
    bandits.ucb1(),
    bandits.kl_ucb(),
    bandits.thompson_beta(),
)
ARMS = {".45, .55": np.array([0.45, 0.55]), ".05, .06": np.array([0.05, 0.06])}


def row(policy: bandits.Policy) -> str:
    cells, started = [], time.perf_counter()
    for means in ARMS.values():
        lost = play(policy, means, STEPS, replicas=REPLICAS).regret[-1]
        cells.append(f"{lost.mean():.1f} ± {lost.std() / REPLICAS**0.5:.1f}")
    step = (time.perf_counter() - started) / (len(ARMS) * STEPS * REPLICAS)
    return f"| {policy.name} | {' | '.join(cells)} | {1e9 * step:.0f} |"


def main() -> None:
    print(f"| policy | regret at {' | regret at '.join(ARMS)} | ns a step and replica |")
    print("|---|---|---|---|")
    for policy in POLICIES:
        print(row(policy), flush=True)
    lines = {"Lai–Robbins (asymptotic only)": lai_robbins, "UCB1, upper bound": ucb1_bound}
    for name, bound in lines.items():
        cells = [f"{bound(means, float(STEPS)):.1f}" for means in ARMS.values()]
        print(f"| {name} | {' | '.join(cells)} | |")


if __name__ == "__main__":
    main()
