"""Who finds the true ROI of a market that is in nobody's family? `simulate.people_market`.

    python benchmarks/response_people.py write 1 results/people/1
    python benchmarks/response_recovery.py channelwise results/people/1/market.csv results/people/1
    python benchmarks/response_people.py table results/people/1 results/people/2

`write` draws 156 weeks of four channels as one CSV, which every tool of `response_recovery.py`
reads alike: date, spend (x1_tv, x2_display, x3_social, x4_search), the controls of the simulator
(c1_price, and c2_demand_index, a noisy reading of the demand that search spend chases) and y.
Beside it is the truth, which the tools do not see: what the same people would have bought had the
channel never spent anything, in the weeks before the record too.

People stay aware of a brand and stay buyers for longer than any tool here looks back, which is the
week of the spend and the 8 after it: a tenth of what tv and display bring comes in that time, half
of social's and four fifths of search's. So there is a second truth, of those 9 weeks alone:

    ROI_9 = sum_t [revenue of t ... t + 8, less the same without the spend of week t] / spend

A tool that misses the first and meets the second is right about what it can see, and its user is
still wrong about the channel.

The tools' priors differ in kind, so this compares them as their users get them, not their
engines. `channelwise` and PyMC-Marketing put theirs on coefficients; `channelwise-hill-roi`,
`channelwise-knots` and Meridian on the ROI, LogNormal(0.2, 0.9), whose median of 1.2 and 90 %
interval of 0.3 to 5.4 happen to suit this simulator: its true ROIs are 1.0 to 2.3. The baselines
differ too: two yearly modes and a trend in ours, two yearly modes in PyMC-Marketing's, one
constant in Meridian's or, in `meridian-aks`, as many knots as it selects. The last column is what a
tool says of its own fit: ours by the gate (`examine.examine`), Meridian's by its `ModelReviewer`.

In the table: off by = exp(mean |ln(median / truth)|), the factor between found and true ROI;
share error = mean |median - truth| of contribution / outcome in percentage points; inside = true
ROIs within the 90 % interval; width = mean of (95 % quantile - 5 % quantile) / truth. The columns
of 9 weeks measure the same draws by ROI_9.
"""

import argparse
import json
from pathlib import Path

import numpy as np

WEEKS, WINDOW = 156, 9
ORDER = (
    "channelwise-hill-roi",
    "channelwise-knots",
    "channelwise",
    "pymc-logistic",
    "meridian",
    "meridian-aks",
)


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
        "roas_9_weeks": short_roi(seed).tolist(),
    }
    (folder / "truth.json").write_text(json.dumps(about, indent=1))


def short_roi(seed: int) -> np.ndarray:
    """ROI_9 of each channel: every week's spend is taken out of an otherwise equal world."""
    from channelwise.response import people

    P, start = 1e6, people.HISTORY
    chance = people.draw_chance(np.random.default_rng(seed), start + WEEKS, P)  # the market's own
    today = people.run(np.ones((1, 4)), chance, P)
    spend = np.column_stack([chance.spend, today.search])
    gained = np.zeros(4)
    paid = np.argwhere(spend > 0)
    for t, c in paid[paid[:, 0] >= start]:
        other = spend.copy()
        other[t, c] = 0
        world = people.run(np.ones((1, 4)), chance._replace(spend=other[:, :3]), P, other[:, 3:])
        gained[c] += (today.revenue - world.revenue)[t : t + WINDOW].sum()
    return gained / spend[start:].sum(0)


def off_by(middle: np.ndarray, roas: np.ndarray) -> str:
    return f"{np.exp(np.abs(np.log(middle / roas)).mean()):.1f} times"


def inside(low: np.ndarray, high: np.ndarray, roas: np.ndarray) -> str:
    return f"{((low <= roas) & (roas <= high)).sum()} of {len(roas)}"


def row(found: dict, truth: dict) -> list[str]:
    """How near one tool came, as cells."""
    roas, short = np.array(truth["roas"]), np.array(truth["roas_9_weeks"])
    middle, low, high = (np.array(found["roas"][k]) for k in ("median", "5%", "95%"))
    missed = np.subtract(found["contribution"]["median"], truth["contribution"])
    return [
        found["tool"],
        f"{found['r_hat']:.3f}",
        str(found["divergences"]),
        *(f"{m:.2f} ({a:.2f} to {b:.2f})" for m, a, b in zip(middle, low, high, strict=True)),
        off_by(middle, roas),
        f"{100 * np.abs(missed).mean() / truth['outcome']:.1f} pp",
        inside(low, high, roas),
        f"{((high - low) / roas).mean():.0%}",
        off_by(middle, short),
        inside(low, high, short),
        gate(found),
    ]


def gate(found: dict) -> str:
    """What a tool says of its own fit; nothing where it has not been asked."""
    if "gate" not in found:
        return ""
    kinds = {kind: ", ".join(found["gate"].get(kind, [])) for kind in ("failed", "caution")}
    said = [f"{kind}: {names}" for kind, names in kinds.items() if names]
    return "; ".join(said if kinds["failed"] else ["passed", *said])


def rows(folder: Path) -> list[list[str]]:
    """Of one market: the truth, then every tool that has been run on it."""
    truth = json.loads((folder / "truth.json").read_text())
    seed = str(truth["seed"])
    known = {"truth": truth["roas"], "truth, 9 weeks": truth["roas_9_weeks"]}
    found = [json.loads(f.read_text()) for f in folder.glob("*.json") if f.stem != "truth"]
    found.sort(key=lambda each: ORDER.index(each["tool"]) if each["tool"] in ORDER else 99)
    cells = [
        [seed, name, "", "", *(f"**{r:.2f}**" for r in roas), *[""] * 7]
        for name, roas in known.items()
    ]
    return cells + [[seed, *row(each, truth)] for each in found]


def table(folders: list[Path]) -> None:
    """Every market and tool, a line each."""
    truth = json.loads((folders[0] / "truth.json").read_text())
    head = ["seed", "tool", "R-hat", "diverging", *truth["channels"]]
    head += [
        "off by",
        "share error",
        "inside",
        "width",
        "off by, 9 weeks",
        "inside, 9 weeks",
        "own checks",
    ]
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
