"""How the cost of a fit grows with weeks, channels and geos: a table and a figure.

    python benchmarks/response_scaling.py --figure benchmarks/response_scaling.png

Each market is fitted twice in one process: the first fit compiles, the second does not. The cost is
that of `fit.fit` from data to draws, at its defaults, by the wall clock.
"""

import argparse
import time
from pathlib import Path

import jax
from matplotlib.figure import Figure

from channelwise.response.diagnostics import convergence
from channelwise.response.fit import fit
from channelwise.response.mmm import Model
from channelwise.response.simulate import family_market

BASE = {"weeks": 156, "channels": 5, "geos": 1}
SIZES = {
    "weeks": (52, 104, 156, 260, 520, 1040),
    "channels": (2, 5, 10, 20),
    "geos": (2, 5, 10, 20, 40),
}
UNITS = {
    "weeks": "weeks (5 channels)",
    "channels": "channels (156 weeks)",
    "geos": "geos (104 weeks, 5 channels)",
}


def measured(**size) -> dict[str, float]:
    """Seconds of a first and a second fit, and what the second one's draws are worth."""
    market = family_market(1, **{**BASE, **size}).market
    seconds = []
    jax.clear_caches()
    for seed in (0, 1):
        began = time.perf_counter()
        posterior = fit(market, Model(prior_on="roi"), seed=seed)
        seconds.append(time.perf_counter() - began)
    known = [convergence(x) for x in posterior.draws.values()]
    return {
        "first_s": seconds[0],
        "again_s": seconds[1],
        "min_bulk_ess": float(min(k.ess_bulk.min() for k in known)),
        "rhat": float(max(k.rhat.max() for k in known)),
        "diverging": int(posterior.statistics["diverging"].sum()),
    }


def drawn(found: dict[str, dict[int, dict]]) -> Figure:
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    figure.suptitle(
        "Cost grows about in proportion to the data; compilation adds one to three seconds"
    )
    for axes, (name, rows) in zip(figure.subplots(1, 3), found.items(), strict=True):
        sizes = list(rows)
        for key, label, color in (
            ("first_s", "first fit, compilation included", "#8a8f98"),
            ("again_s", "next fit of the same shape", "#0072b2"),
        ):
            axes.loglog(sizes, [rows[n][key] for n in sizes], "o-", color=color, label=label)
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.minorticks_off()
        axes.set(xlabel=UNITS[name], ylabel="seconds")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7, loc="upper left")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[int, dict]] = {}
    print("| size | first s | again s | min bulk ESS | R-hat | divergences |")
    print("|---|---|---|---|---|---|")
    for name, sizes in SIZES.items():
        found[name] = {}
        for n in sizes:
            row = measured(**{name: n}, **({"weeks": 104} if name == "geos" else {}))
            found[name][n] = row
            print(
                f"| {n} {name} | {row['first_s']:.2f} | {row['again_s']:.2f} | "
                f"{row['min_bulk_ess']:,.0f} | {row['rhat']:.4f} | {row['diverging']} |",
                flush=True,
            )
    if options.figure:
        drawn(found).savefig(options.figure, dpi=150)


if __name__ == "__main__":
    main()
