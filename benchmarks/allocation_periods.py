"""Plans of 10 channels by 52 weeks over 500 draws: time, certificate, and other solvers beside.

python allocation_periods.py [--channels 10 --periods 52 --draws 500] [--seconds 120]
"""

import argparse
import time

import numpy as np
from scipy import optimize

from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.periods.curves import PeriodCurves
from channelwise.decisions.periods.pacing import Pacing
from channelwise.decisions.periods.schedule import plan_periods

LAGS = 8


def curves(channels: int, periods: int, draws: int, slope: tuple[float, float]) -> PeriodCurves:
    """Hill curves around today's spend, geometric carry-over, carry-in of a channel in use."""
    rng = np.random.default_rng(0)
    C, T, S = channels, periods, draws
    alpha = rng.uniform(0.1, 0.7, (C, S, 1))
    carry = alpha ** np.arange(LAGS + 1)
    level = rng.lognormal(np.log(20_000), 0.8, C)[:, None]
    fade = np.where(np.arange(T + LAGS) < LAGS, alpha ** np.arange(T + LAGS), 0.0)
    return PeriodCurves(
        channels=tuple(f"channel {c + 1}" for c in range(C)),
        forms=("hill",) * C,
        amplitude=level[:, :, None] * rng.lognormal(1.0, 0.6, (C, S, 1)),
        reach=1 / (level[:, :, None] * rng.lognormal(0.3, 0.4, (C, S, 1))),
        slope=rng.uniform(*slope, (C, S)),
        carry=carry / carry.sum(axis=2, keepdims=True),
        carry_in=(rng.uniform(0, 1, (C, S, 1)) * fade)[:, :, None],
        today=level * np.exp(0.5 * rng.standard_normal((C, T))),
    )


class OutOfTimeError(Exception):
    """The solver had its seconds."""


def other(c: PeriodCurves, method: str, unit: float, seconds: float, options: dict):
    """Best expected outcome a solver of scipy finds under the same budget, and its time."""
    shape, budget = c.today.shape, c.today.sum()
    size = c.expected(c.today) if unit != 1 else 1.0
    began, best = time.perf_counter(), [c.expected(np.full(shape, budget / c.today.size))]

    def f(x):
        if time.perf_counter() - began > seconds:
            raise OutOfTimeError
        value = c.expected(np.maximum(x, 0).reshape(shape) * unit)
        if x.sum() * unit <= budget * (1 + 1e-9):
            best[0] = max(best[0], value)
        return -value / size

    def g(x):
        return -c.derivatives(np.maximum(x, 0).reshape(shape) * unit).gradient.ravel() * unit / size

    n = c.today.size
    linear = optimize.LinearConstraint(np.ones((1, n)), -np.inf, budget / unit)
    how = {"jac": g, "method": method, "options": options, "constraints": linear}
    if method == "trust-constr":
        how["hess"] = optimize.BFGS()
    try:
        found = optimize.minimize(
            f, np.full(n, budget / n / unit), bounds=[(0, budget / unit)] * n, **how
        )
        said = f"success={found.success}, {found.nit} iterations"
    except OutOfTimeError:
        said = f"stopped after {seconds:.0f} s"
    return best[0], time.perf_counter() - began, said


def ours(name: str, c: PeriodCurves, pacing: Pacing | None, change: float | None) -> float:
    began = time.perf_counter()
    plan = plan_periods(c, Constraints(c.today.sum(), change=change), pacing)
    took = time.perf_counter() - began
    gap = f"{plan.certificate.gap:.1e}"
    print(
        f"| {name} | {took:.1f} s | {gap} | {plan.expected_gain / plan.outcome_today.mean():+.2%} |"
    )
    return plan.certificate.bound


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__)
    for name, default in (("channels", 10), ("periods", 52), ("draws", 500)):
        read.add_argument(f"--{name}", type=int, default=default)
    read.add_argument("--seconds", type=float, default=120.0)
    given = read.parse_args()
    shape = given.channels, given.periods, given.draws
    concave, shaped = curves(*shape, (1.0, 1.0)), curves(*shape, (1.2, 2.5))
    print("| plan | time | proven gap | beside today's |\n|---|---:|---:|---:|")
    bound = ours("concave, budget", concave, None, None)
    ours("concave, ±50 % a channel", concave, None, 0.5)
    ours("concave, ±50 %, pacing 25 %", concave, Pacing(change=0.25), 0.5)
    ours("S-shaped, ±50 %", shaped, None, 0.5)
    ours("S-shaped, ±50 %, pacing 25 %", shaped, Pacing(change=0.25), 0.5)
    print("\n| solver, concave, budget | time | short of the proven bound | it says |")
    print("|---|---:|---:|---|")
    cell = concave.today.mean()
    for name, method, unit, options in (
        ("SLSQP as it comes, in currency", "SLSQP", 1.0, {}),
        ("SLSQP, scaled, ftol 1e-10", "SLSQP", cell, {"ftol": 1e-10, "maxiter": 1000}),
        ("trust-constr, scaled", "trust-constr", cell, {"gtol": 1e-8, "maxiter": 5000}),
    ):
        best, took, said = other(concave, method, unit, given.seconds, options)
        print(f"| {name} | {took:.1f} s | {1 - best / bound:.1e} | {said} |")


if __name__ == "__main__":
    main()
