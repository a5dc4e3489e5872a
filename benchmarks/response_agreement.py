"""Does the fast sampler draw from the same posterior as a long run of NUTS? Means and spreads.

    python benchmarks/response_agreement.py FILE.csv … [--draws 5000]

Each file is fitted twice with the same model: by `fit` at its defaults, and by NUTS with a dense
metric and an acceptance of 0.95, 4 chains of --draws. For every scalar the difference of the two
means, and of the two standard deviations, is divided by its Monte-Carlo error. If both samplers are
right these z are near N(0, 1): their root mean square is near 1, the largest of 40 near 3.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from channelwise.response.diagnostics import convergence, mcse_mean, mcse_sd
from channelwise.response.fit import fit
from channelwise.response.market import read_market
from channelwise.response.mmm import Model

NAMES = ("alpha", "half_saturation", "slope", "beta", "sigma", "contribution", "coefficient")


def compared(path: Path, draws: int) -> str:
    """One row of the table."""
    market, model = read_market(path)[0], Model(saturation="hill")
    began = time.perf_counter()
    fast = fit(market, model, seed=1)
    middle = time.perf_counter()
    long = fit(market, model, chains=4, draws=draws, seed=2, careful=True)
    seconds = middle - began, time.perf_counter() - middle
    names = [name for name in NAMES if name in fast.draws]
    means, spreads = [], []
    for name in names:
        # Contributions are compared as logarithms: their means have heavy tails where K is free.
        of = np.log if name in ("beta", "contribution", "sigma") else np.asarray
        a, b = of(fast.draws[name]), of(long.draws[name])
        error = np.hypot(mcse_mean(a), mcse_mean(b))
        means.append(np.ravel((a.mean((0, 1)) - b.mean((0, 1))) / error))
        error = np.hypot(mcse_sd(a), mcse_sd(b))
        spreads.append(np.ravel((a.std((0, 1)) - b.std((0, 1))) / error))
    z, s = np.concatenate(means), np.concatenate(spreads)
    rhat = max(convergence(x).rhat.max() for x in long.draws.values())
    return (
        f"| {path.name} | {len(z)} | {_rms(z):.2f} | {np.abs(z).max():.1f} | {_rms(s):.2f} | "
        f"{np.abs(s).max():.1f} | {rhat:.4f} | {seconds[0]:.1f} | {seconds[1]:.0f} |"
    )


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=5000)
    options = parser.parse_args()
    print("| file | scalars | means: rms z | largest | spreads: rms z | largest | ", end="")
    print("R-hat of the long run | fast s | long s |\n|---|---|---|---|---|---|---|---|---|")
    for path in options.files:
        print(compared(path, options.draws), flush=True)


if __name__ == "__main__":
    main()
