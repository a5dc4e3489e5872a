"""How biased is a right model on two years of data? The experiment of Jin et al. 2017.

    python benchmarks/response_jin.py 104 --markets 100 --results results
    python benchmarks/response_jin.py 3120 --markets 8 --results results
    python benchmarks/response_jin.py table --results results

Many markets with the same parameters (`simulate.jin_market`) are fitted with the very model that
made them and the priors of the paper: α ~ Beta(3, 3), θ ~ U(0, 12), K ~ Beta(2, 2),
S ~ Gamma(3, 1), β ~ HalfNormal(1), price ~ N(0, 1), intercept ~ N(0, 5); only the noise has another
vague prior, σ ~ HalfNormal(1) for an inverse gamma. The table holds, for each parameter, the truth
and the mean of the posterior medians with its standard error.

Source: Jin, Wang, Sun, Chan, Koehler 2017, "Bayesian methods for media mix modeling with carryover
and shape effects", where the bias is strong at 2 years and nearly gone with 60 times the data.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from channelwise.response.design import Units
from channelwise.response.diagnostics import convergence
from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.mmm import Model
from channelwise.response.priors import Prior
from channelwise.response.simulate import jin_market

MODEL = Model(
    adstock="delayed",
    lags=12,
    saturation="hill",
    trend="none",
    seasonality=0,
    priors={
        "alpha": Prior("beta", 3, 3),
        "theta": Prior("uniform", 0, 12),
        "half_saturation": Prior("beta", 2, 2),
        "slope": Prior("gamma", 3, 1),
        "effect": Prior("half_normal", 1),
        "control": Prior("normal", 0, 1),
        "intercept": Prior("normal", 0, 5),
        "sigma": Prior("half_normal", 1),
    },
)
NAMES = ("alpha", "theta", "half_saturation", "slope", "beta", "roi", "marginal_roi")
SYMBOLS = ("α", "θ", "K", "S", "β", "ROAS", "marginal ROAS")


def replicate(weeks: int, seed: int) -> np.ndarray:
    """(name, medium, [truth, median, 5 %, 95 %]) of one market, and how the fit went."""
    known = jin_market(seed, weeks)
    truth = known.truth
    begun = time.perf_counter()
    posterior = fit(known.market, MODEL, seed=seed, units=Units(1.0, np.ones(3)))
    seconds = time.perf_counter() - begun
    draws = {name: posterior.flat(name) for name in NAMES if name in posterior.draws}
    draws["marginal_roi"] = Effects(posterior, 1000).marginal_roi()
    true = {"roi": truth.roi, "marginal_roi": truth.marginal_roi, **truth.parameters}
    rows = [
        np.stack([true[n], *np.quantile(draws[n], (0.5, 0.05, 0.95), axis=0)], axis=1)
        for n in NAMES
    ]
    r_hat = max(float(convergence(x).rhat.max()) for x in posterior.draws.values())
    diverged = float(posterior.statistics["diverging"].sum())
    return np.stack([*rows, np.broadcast_to([seconds, r_hat, diverged, 0.0], (3, 4))])


def run(weeks: int, markets: int, path: Path) -> None:
    """Fit up to so many markets, keeping them in a file as they come."""
    rows = list(np.load(path)["rows"]) if path.exists() else []
    for seed in range(len(rows), markets):
        rows.append(replicate(weeks, seed))
        np.savez_compressed(path, rows=np.array(rows))
        print(f"{weeks} weeks: {len(rows)} markets, {rows[-1][-1, 0, 0]:.1f} s", flush=True)


def table(folder: Path) -> str:
    """Truth and mean medians beside each other, one column for each length."""
    files = {int(p.stem.split("_")[1]): np.load(p)["rows"] for p in folder.glob("jin_*.npz")}
    weeks = sorted(files)
    lines = [
        "| | medium | truth | " + " | ".join(f"{w:,} weeks" for w in weeks) + " |",
        "|---|---|---|" + "---|" * len(weeks),
    ]
    for i, symbol in enumerate(SYMBOLS):
        for m in range(3):
            cells = [cell(files[w][:, i, m]) for w in weeks]
            true = files[weeks[0]][:, i, m, 0].mean()
            lines.append(f"| {symbol} | {m + 1} | {true:.3g} | " + " | ".join(cells) + " |")
    lines.append("| bias, all | | | " + " | ".join(overall(files[w]) for w in weeks) + " |")
    return "\n".join([*lines, "", *(health(w, files[w]) for w in weeks)])


def cell(x: np.ndarray) -> str:
    """Mean median ± its standard error, and the relative bias."""
    bias = (x[:, 1] - x[:, 0]) / x[:, 0]
    error = x[:, 1].std(ddof=1) / np.sqrt(len(x))
    return f"{x[:, 1].mean():.3g} ± {error:.2g} ({bias.mean():+.0%})"


def overall(rows: np.ndarray) -> str:
    """Root mean square of the relative bias less its Monte-Carlo variance; coverage of 90 %."""
    x = rows[:, : len(NAMES)]
    off = (x[..., 1] - x[..., 0]) / x[..., 0]
    square = off.mean(axis=0) ** 2 - off.var(axis=0, ddof=1) / len(off)
    inside = ((x[..., 2] <= x[..., 0]) & (x[..., 0] <= x[..., 3])).mean()
    return f"{np.sqrt(max(square.mean(), 0)):.0%}; {inside:.0%} in 90 %"


def health(weeks: int, rows: np.ndarray) -> str:
    seconds, r_hat, diverged = rows[:, -1, 0, :3].T
    return (
        f"{weeks:,} weeks: {len(rows)} markets, {np.median(seconds):.1f} s each, largest R-hat "
        f"{r_hat.max():.3f}, {int((diverged > 0).sum())} fits diverged."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weeks", help="length of the markets, or table")
    parser.add_argument("--markets", type=int, default=100)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    if options.weeks != "table":
        path = options.results / f"jin_{options.weeks}.npz"
        return run(int(options.weeks), options.markets, path)
    print(table(options.results))


if __name__ == "__main__":
    main()
