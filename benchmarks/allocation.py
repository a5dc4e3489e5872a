"""Dividing a budget: times, gaps and brute force.

    python allocation.py times      channels × draws of several sizes, concave and S-shaped
    python allocation.py brute      500 random problems in any unit beside dynamic programming

Times are of `allocate` from curves to plan and certificate, best and median of several, on curves
that were not seen before (nothing is kept between calls).
"""

import argparse
import statistics
import time

import numpy as np

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.curves import Curves, hill_curves

SIZES = ((5, 4000), (50, 500), (1000, 1000))


def problem(channels: int, draws: int, seed: int, slopes=(1.0, 1.0)) -> Curves:
    """Curves of very different channels, uncertain by 30 %, with a budget of 1."""
    rng = np.random.default_rng(seed)
    spread = lambda width: rng.lognormal(0, width, (draws, channels))  # noqa: E731
    scale = rng.lognormal(-1.5, 1.0, channels) * 5 / max(channels, 5) * spread(0.3)
    amplitude = rng.lognormal(0, 1.0, channels) * spread(0.3)
    slope = 1.0
    if slopes != (1.0, 1.0):
        slope = rng.uniform(*slopes, channels) * spread(0.15)
    today = np.full(channels, 1 / channels)
    names = tuple(f"channel_{i}" for i in range(channels))
    return hill_curves(names, amplitude / amplitude.mean(0).sum(), scale, slope, today=today)


def times(repeats: int) -> None:
    print("| curves | channels × draws | best, ms | median, ms | largest gap | most nodes |")
    print("|---|---|---|---|---|---|")
    for label, slopes in (("concave", (1.0, 1.0)), ("S-shaped", (1.2, 2.5))):
        for channels, draws in SIZES:
            runs = max(3, repeats // (1 + channels // 100))
            took, gaps, nodes = [], [], []
            for seed in range(runs):
                curves = problem(channels, draws, seed, slopes)
                begin = time.perf_counter()
                plan = allocate(curves, Constraints(1.0))
                took.append(1e3 * (time.perf_counter() - begin))
                gaps.append(plan.certificate.gap)
                nodes.append(plan.certificate.method)
            searched = [int(m.split(", ")[-1].split()[0]) for m in nodes if "branch" in m]
            print(
                f"| {label} | {channels:,} × {draws:,} | {min(took):.3g} | "
                f"{statistics.median(took):.3g} | {max(gaps):.1e} | {max(searched, default=0)} |"
            )


def stepwise(curves: Curves, budget: float, steps: int = 1000) -> float:
    """The best division in steps of a thousandth of the budget, by dynamic programming."""
    spends = np.arange(steps + 1) / steps * budget
    each = np.array([curves.expected(np.full(curves.n_channels, x)) for x in spends])
    best = each[:, 0]
    for c in range(1, curves.n_channels):
        best = np.array([(best[k::-1] + each[: k + 1, c]).max() for k in range(steps + 1)])
    return float(best.max())


def brute(problems: int) -> None:
    worst_gap = worst_below = worst_bound = 0.0
    rng = np.random.default_rng(0)
    for seed in range(problems):
        shaped = seed % 2
        curves = problem(2 + seed % 5, 30, seed, (0.7, 4.0) if shaped else (1.0, 1.0))
        unit = 10.0 ** rng.uniform(0, 9)
        plan = allocate(curves.in_units(1 / unit, 10.0 ** rng.uniform(-6, 6)), Constraints(unit))
        value = curves.expected(plan.spend / unit).sum()
        tried = stepwise(curves, 1.0)
        ratio = plan.certificate.bound / plan.certificate.value
        worst_gap = max(worst_gap, plan.certificate.gap)
        worst_below = max(worst_below, tried / value - 1)
        worst_bound = max(worst_bound, tried / (value * ratio) - 1)
    print(f"{problems} problems, half of them S-shaped, budgets from 1 to 1e9 currency units")
    print(f"largest certified gap {worst_gap:.1e}")
    print(f"brute force above the plan by at most {worst_below:.1e}")
    print(f"brute force above the bound by at most {worst_bound:.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("times", "brute"))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--problems", type=int, default=500)
    options = parser.parse_args()
    if options.what == "times":
        times(options.repeats)
    else:
        brute(options.problems)
