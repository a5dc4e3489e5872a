"""Who earns most of a market that goes on? Fit, allocate, play the quarter, refit: 8 times over.

    python benchmarks/closed_loop.py play channelwise s_shaped 0 1 2 results/loop
    python benchmarks/closed_loop.py play pymc people 0 results/loop --python PEERS_PYTHON
    python benchmarks/closed_loop.py table results/loop

The worlds (`channelwise.response.play`), each with a record of 156 weeks:

concave    5 channels of the additive family: geometric carry-over, Michaelis-Menten, 2 controls
s_shaped   the same with delayed carry-over (the peak up to 3 weeks after the spend) and Hill of
           slopes 0.8 to 2
people     4 channels, in nobody's family: people on their way to a purchase; search chases demand

Every strategy has the same money every quarter (what was usual in the record's last year), spreads
it evenly over the 13 weeks, may move each channel by 40 % of the quarter before, and meets the same
noise and demand. What it could expect is then compared with an oracle's plan, who knows the truth,
has the same money and no bounds: regret in currency over 8 quarters and the tail (8 weeks; people
a year), in which all spend as usual. Unspent money is not given back; a column tells of it.

as it is            the usual spend, for ever
truth in bounds     knows the truth, and has the same bounds as everyone: what the bounds cost
channelwise         Hill with its slope free, ROI prior, linear trend, two yearly modes; where the
                    gate shuts, the plan stays
channelwise-knots   the same, and where the gate shuts, with 12 knots in the trend, as it advises
channelwise-delayed the same as the first, and where the gate shuts, with delayed carry-over
channelwise-ungated the plan is made of every fit, whatever the gate says
pymc, meridian      see `closed_loop_peers.py`
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from channelwise.decisions.budget.closed_loop import (
    Played,
    as_it_is,
    knows_the_truth,
    play_oracle,
    play_quarters,
)
from channelwise.response.play import QUARTER, World, family_world, people_world

CHANGE = 0.4
KINDS: dict[str, Callable[[int], World]] = {
    "concave": family_world,
    "s_shaped": lambda seed: family_world(seed, adstock="delayed", saturation="hill"),
    "people": people_world,
}
PEERS = ("pymc", "meridian")
OURS = ("channelwise", "channelwise-knots", "channelwise-delayed", "channelwise-ungated")
NAMES = ("as it is", "truth in bounds", *OURS)


def ours(name: str, notes: list[dict]):
    """Our planner, which notes what the gate said."""
    from channelwise.decisions.budget.planner import planner
    from channelwise.response.mmm import Model

    first = {"saturation": "hill", "prior_on": "roi"}
    models = [Model(**first)]
    if name == "channelwise-knots":
        models.append(Model(**first, trend="knots", knots=12))
    if name == "channelwise-delayed":
        models.append(Model(**first, adstock="delayed"))
    return noted(planner(models, change=CHANGE, gated=name != "channelwise-ungated"), notes)


def noted(strategy, notes: list[dict]):
    def timed(market, today):
        began = time.perf_counter()
        plan = strategy(market, today)
        about = {"seconds": time.perf_counter() - began, "stayed": bool((plan == today).all())}
        notes.append(about)
        return plan

    return timed


class Peer:
    """Asks another tool in a process of its own; where it raises, the plan stays.

    Its answers are kept line by line, and asked for only once: a run that was broken off goes on.
    """

    def __init__(self, name: str, python: str, kept: Path):
        self.command = [python, str(Path(__file__).with_name("closed_loop_peers.py")), name]
        self.kept, self.tool = kept, None
        self.notes = [json.loads(x) for x in kept.read_text().splitlines()] if kept.exists() else []
        self.quarter = 0

    def __call__(self, market, today):
        if self.quarter == len(self.notes):
            self.notes.append(self._asked(market, today))
        answer = self.notes[self.quarter]
        self.quarter += 1
        plan = np.array(answer.get("plan", today))
        return plan * min(1.0, today.sum() / plan.sum())  # a grid may round upwards

    def _asked(self, market, today) -> dict:
        if self.tool is None:
            self.tool = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        question = {
            "dates": [str(day) for day in market.dates],
            "channels": list(market.channels),
            "spend": market.spend[0].tolist(),
            "controls": market.controls[0].tolist(),
            "outcome": market.outcome[0].tolist(),
            "today": today.tolist(),
            "change": CHANGE,
        }
        self.tool.stdin.write(json.dumps(question) + "\n")
        self.tool.stdin.flush()
        line = self.tool.stdout.readline()
        with self.kept.open("a") as file:
            file.write(line)
        print(self.kept.stem, line[line.find('"plan"') :][-150:], end="", flush=True)
        return json.loads(line)


def play(options: argparse.Namespace, seed: int) -> dict[str, object]:
    """One strategy in one world."""
    name, kind = options.strategy, options.kind
    world, notes = KINDS[kind](seed), []
    if name in PEERS:
        strategy = Peer(name, options.python, options.folder / f"{name}_{kind}_{seed}.jsonl")
        notes = strategy.notes
    elif name == "as it is":
        strategy = as_it_is
    elif name == "truth in bounds":
        strategy = knows_the_truth(world, CHANGE)
    else:
        strategy = ours(name, notes)
    oracle = play_oracle(world, options.quarters)
    played = play_quarters(world, strategy, options.quarters)
    return answer(name, kind, seed, played, oracle) | {"notes": notes}


def answer(name: str, kind: str, seed: int, played: Played, oracle: Played) -> dict[str, object]:
    return {
        "strategy": name,
        "kind": kind,
        "seed": seed,
        "budget": played.budget,
        "spend": played.spend.tolist(),
        "expected": played.expected.tolist(),
        "oracle": oracle.expected.tolist(),
        "oracle_spend": oracle.spend.tolist(),
        "regret": played.regret(oracle).tolist(),
    }


def read(folder: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def table(folder: Path) -> None:
    """All worlds of each strategy, then what everyone gained in the worlds of each peer."""
    every = read(folder)
    print("Regret, with the tail, over all quarters played:\n")
    summary(every)
    for name in PEERS:
        beside(name, every)


def beside(name: str, every: list[dict]) -> None:
    """Every strategy in the worlds of one peer, over as many quarters as it played, and the tail.

    What the first quarters' plans of a longer run were, they would have been in a shorter one.
    """
    own = sorted((a for a in every if a["strategy"] == name), key=played_quarters)
    longest = {(a["kind"], a["seed"]): len(a["spend"]) for a in own}
    if not longest:
        return
    full = {(a["strategy"], a["kind"], a["seed"]): a for a in sorted(every, key=played_quarters)}
    names = [n for n in (*NAMES[1:], *PEERS) if any((n, *w) in full for w in longest)]
    print(f"\nGain over leaving it as it is, in % of the money spent, in the worlds of {name}:\n")
    print(f"| world | seed | quarters | {' | '.join(names)} |\n|{'---|' * (len(names) + 3)}")
    for (kind, seed), quarters in sorted(longest.items()):
        made = KINDS[kind](seed)
        cells = [gained(made, full.get((n, kind, seed)), quarters) for n in names]
        print(f"| {kind} | {seed} | {quarters} | {' | '.join(cells)} |")


def gained(made: World, played: dict | None, quarters: int) -> str:
    """What the first plans bring over the usual one, as a share of their money."""
    if played is None or len(played["spend"]) < quarters:
        return ""
    plan = np.array(played["spend"][:quarters])
    both = np.stack([np.repeat(made.usual[None], quarters, axis=0), plan])
    usual, found = made.expected(np.repeat(both, QUARTER, axis=1))
    return f"{(found - usual) / (quarters * QUARTER * made.usual.sum()):+.2%}"


def played_quarters(played: dict) -> int:
    return len(played["spend"])


def world(played: dict) -> tuple[str, int, int]:
    return played["kind"], played["seed"], len(played["spend"])


def summary(every: list[dict]) -> None:
    """Regret as a share of the money spent, so that worlds of all sizes count alike."""
    head = ["world", "quarters", "strategy", "worlds", "regret in 1,000", "regret / budget"]
    head += ["of as it is, recovered", "better than as it is", "stayed", "unspent", "s a quarter"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    usual = {world(a): sum(a["regret"]) for a in every if a["strategy"] == "as it is"}
    names = [*NAMES, *PEERS]
    order = list(KINDS)
    groups = {(order.index(a["kind"]), len(a["spend"]), names.index(a["strategy"])) for a in every}
    for kind, quarters, name in sorted(groups):
        key = (order[kind], quarters, names[name])
        some = [a for a in every if (a["kind"], len(a["spend"]), a["strategy"]) == key]
        print(f"| {' | '.join([key[0], str(quarters), key[2], *cells(some, usual)])} |")


def cells(some: list[dict], usual: dict) -> list[str]:
    regret = np.array([sum(a["regret"]) for a in some])
    budget = np.array([a["budget"] for a in some])
    unspent = [1 - QUARTER * np.sum(a["spend"]) / a["budget"] for a in some]
    share = regret / budget
    many = len(share) > 1
    spread = f" ± {share.std(ddof=1) / np.sqrt(len(share)):.2%}" if many else ""
    answer = [str(len(some)), f"{regret.mean() / 1e3:,.0f}", f"{share.mean():.2%}{spread}"]
    if all(world(a) in usual for a in some):
        stay = np.array([usual[world(a)] for a in some])
        won = f"{(regret < stay * (1 - 1e-9)).sum()} of {len(some)}"
        answer += [f"{1 - share.sum() / (stay / budget).sum():.0%}", won]
    else:
        answer += ["", ""]
    notes = [note for a in some for note in a["notes"][: played_quarters(a)]]
    kept = [note.get("stayed", "error" in note) for note in notes]
    stayed = f"{np.mean(kept):.0%}" if notes else ""
    seconds = f"{np.median([note['seconds'] for note in notes]):.1f}" if notes else ""
    return [*answer, stayed, f"{max(0, *unspent, 0):.1%}", seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("play")
    run.add_argument("strategy", choices=[*NAMES, *PEERS])
    run.add_argument("kind", choices=KINDS)
    run.add_argument("seeds", type=int, nargs="+")
    run.add_argument("folder", type=Path)
    run.add_argument("--quarters", type=int, default=8)
    run.add_argument("--python", default=sys.executable, help="of the peer's environment")
    show = commands.add_parser("table")
    show.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "table":
        return table(options.folder)
    options.folder.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        stem = f"{options.strategy.replace(' ', '_')}_{options.kind}_{seed}_{options.quarters}"
        file = options.folder / f"{stem}.json"
        if not file.exists():
            found = play(options, seed)
            file.write_text(json.dumps(found))
            print(stem, f"regret {sum(found['regret']):,.0f}", flush=True)


if __name__ == "__main__":
    main()
