"""Who finds the true ROI of a market that is in nobody's family? `simulate.people_market`.

    python benchmarks/response_people.py write 1 results/people/1
    python benchmarks/response_recovery.py channelwise results/people/1/market.csv results/people/1
    python benchmarks/response_people.py table results/people/1 results/people/2

`write` draws 156 weeks of four channels as one CSV, which every tool of `response_recovery.py`
reads alike: date, spend (x1_tv, x2_display, x3_social, x4_search), the controls of the simulator
(c1_price, and c2_demand_index, a noisy reading of the demand that search spend chases) and y.
Beside it is the truth, which the tools do not see: what the same people would have bought had the
channel never spent anything, in the weeks before the record too.

The tools' priors differ in kind, so this compares them as their users get them, not their
engines. `channelwise` and PyMC-Marketing put theirs on coefficients; `channelwise-hill-roi` and
Meridian on the ROI, LogNormal(0.2, 0.9), whose median of 1.2 and 90 % interval of 0.3 to 5.4
happen to suit this simulator: its true ROIs are 1.0 to 2.3. The baselines differ too: two yearly
modes in ours (with a linear trend) and PyMC-Marketing's, one constant in Meridian's. The gate
(`examine.examine`) is asked of ours alone, for only ours has one.

In the table: ROI error = exp(mean |ln(median / truth)|) - 1, share error = mean |median - truth| of
contribution / outcome in percentage points, width = mean of (95 % - 5 % quantile) / truth.
"""

import argparse
import json
from pathlib import Path

import numpy as np

WEEKS = 156
ORDER = ("channelwise-hill-roi", "channelwise", "pymc-logistic", "pymc-hill", "meridian")


def write(seed: int, folder: Path) -> None:
    """`market.csv` and `truth.json`."""
    import pandas as pd

    from channelwise.response.simulate import people_market

    known = people_market(seed, weeks=WEEKS, before=0)
    market, truth = known.market, known.truth
    channels = [f"x{i}_{name}" for i, name in enumerate(market.channels, 1)]
    controls = [f"c{i}_{name}" for i, name in enumerate(market.control_names, 1)]
    frame = pd.DataFrame({"date": market.dates})
    frame[channels], frame[controls] = market.spend[0], market.controls[0]
    frame["y"] = market.outcome[0]
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "market.csv", index=False)
    about = {
        "seed": seed,
        "channels": channels,
        "outcome": float(market.outcome.sum()),
        "contribution": truth.contribution.tolist(),
        "roas": truth.roi.tolist(),
        "marginal_roas": truth.marginal_roi.tolist(),
    }
    (folder / "truth.json").write_text(json.dumps(about, indent=1))


def row(found: dict, truth: dict) -> list[str]:
    """How near one tool came, as cells."""
    roas, total = np.array(truth["roas"]), np.array(truth["contribution"])
    middle, low, high = (np.array(found["roas"][k]) for k in ("median", "5%", "95%"))
    error = np.expm1(np.abs(np.log(middle / roas)).mean())
    missed = np.abs(found["contribution"]["median"] - total).mean() / truth["outcome"]
    inside = ((low <= roas) & (roas <= high)).sum()
    return [
        found["tool"],
        f"{found['r_hat']:.3f}",
        str(found["divergences"]),
        *(f"{m:.2f} ({a:.2f} to {b:.2f})" for m, a, b in zip(middle, low, high, strict=True)),
        f"{error:.0%}",
        f"{100 * missed:.1f} pp",
        f"{inside} of {len(roas)}",
        f"{((high - low) / roas).mean():.0%}",
        gate(found),
    ]


def gate(found: dict) -> str:
    """What ours said of its own draws; nothing for a tool without a gate."""
    if "gate" not in found:
        return ""
    failed = found["gate"]["failed"]
    return f"failed: {', '.join(failed)}" if failed else "passed"


def rows(folder: Path) -> list[list[str]]:
    """Of one market: the truth, then every tool that has been run on it."""
    truth = json.loads((folder / "truth.json").read_text())
    seed, roas = str(truth["seed"]), [f"**{r:.2f}**" for r in truth["roas"]]
    found = [json.loads(f.read_text()) for f in folder.glob("*.json") if f.stem != "truth"]
    found.sort(key=lambda each: ORDER.index(each["tool"]) if each["tool"] in ORDER else 99)
    cells = [[seed, "truth", "", "", *roas, "", "", "", "", ""]]
    return cells + [[seed, *row(each, truth)] for each in found]


def table(folders: list[Path]) -> None:
    """Every market and tool, a line each."""
    truth = json.loads((folders[0] / "truth.json").read_text())
    head = ["seed", "tool", "R-hat", "diverging", *truth["channels"]]
    head += ["ROI error", "share error", "inside", "width", "gate"]
    lines = [head, ["---"] * len(head)] + [line for folder in folders for line in rows(folder)]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("write")
    draw.add_argument("seed", type=int)
    draw.add_argument("folder", type=Path)
    show = commands.add_parser("table")
    show.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "write":
        return write(options.seed, options.folder)
    table(options.folders)


if __name__ == "__main__":
    main()
