"""Who divides a budget best, and how fast? The same response curves for every tool's optimizer.

    python benchmarks/allocation_peers.py slsqp results/allocation
    python benchmarks/allocation_peers.py pymc results/allocation       # in its own environment
    python benchmarks/allocation_peers.py meridian results/allocation   # likewise
    python benchmarks/allocation_peers.py channelwise results/allocation
    python benchmarks/allocation_peers.py table results/allocation

A problem is a budget, in currency, and draws of Hill curves in currency of spend and of outcome,
f_cs(x) = a_cs x^n / (K_cs^n + x^n); what counts is the mean over draws of the sum over channels.
No bounds but 0 and the budget.

| set | problems | channels | draws | n | budget |
|---|---|---|---|---|---|
| concave | 3 | 5 | 1,000 | 1 | 1e6 |
| s_shaped | 3 | 5 | 1,000 | 1.5 to 3 | 1e6 |
| wide | 1 | 50 | 1,000 | 1 | 1e7 |
| concave_200 | 200 | 5 | 1 | 1 | 1e3 to 1e9 |
| s_shaped_200 | 200 | 5 | 1 | 1.5 to 3 | 1e3 to 1e9 |

| tool | what is run |
|---|---|
| channelwise | `allocate`, to the end of its certificate |
| pymc | PyMC-Marketing's `optimize_budget` as shipped, on a model whose posterior is the draws |
| meridian | Meridian's own `OptimizationGrid.optimize`, default gtol 1e-4, on a grid that is handed to it: the model runs that fill its grid (tens of seconds) are not counted |
| slsqp | SciPy's SLSQP from the equal split, exact derivatives, money in currency: PyMC-Marketing's search rule; `slsqp-scaled` with the outcome in units of its mean, as in a scaled model, at SciPy's ftol 1e-6 and at PyMC-Marketing's 1e-9 |

Lost = 1 - outcome / the best outcome that any tool found, a dynamic program over 2,000 steps of the
budget included where there are 5 channels. "Equal split": spends that differ by less than 0.1 % of
the budget. Seconds: of the search alone for Meridian and PyMC-Marketing, whose models are built
outside of them (compiling the model's graph is part of PyMC-Marketing's search).
"""  # noqa: E501

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

SETS = {
    "concave": (3, 5, 1000, (1.0, 1.0), (6, 6)),
    "s_shaped": (3, 5, 1000, (1.5, 3.0), (6, 6)),
    "wide": (1, 50, 1000, (1.0, 1.0), (7, 7)),
    "concave_200": (200, 5, 1, (1.0, 1.0), (3, 9)),
    "s_shaped_200": (200, 5, 1, (1.5, 3.0), (3, 9)),
}
"""Problems, channels, draws, range of n, range of the budget's decimal logarithm."""


class Problem(NamedTuple):
    """Curves (draw, channel) and a budget."""

    amplitude: np.ndarray
    half: np.ndarray
    slope: np.ndarray
    budget: float

    @property
    def channels(self) -> int:
        return self.amplitude.shape[1]

    def outcome(self, spend: np.ndarray) -> float:
        """The mean outcome of a plan."""
        return float(self._terms(spend).sum(axis=1).mean())

    def by_channel(self, spend: np.ndarray) -> np.ndarray:
        """Mean outcome of each channel, (channel,)."""
        return self._terms(spend).mean(axis=0)

    def gradient(self, spend: np.ndarray) -> np.ndarray:
        x = np.maximum(spend, 1e-12 * self.budget)
        w = (x / self.half) ** self.slope
        return (self.amplitude * self.slope * w / (x * (1 + w) ** 2)).mean(axis=0)

    def _terms(self, spend: np.ndarray) -> np.ndarray:
        w = (np.maximum(spend, 0.0) / self.half) ** self.slope
        return self.amplitude * w / (1 + w)


def problems(name: str) -> list[Problem]:
    """A set of the table above, the same every time."""
    count, C, S, slopes, powers = SETS[name]
    rng = np.random.default_rng(sorted(SETS).index(name))
    return [_drawn(rng, C, S, slopes, powers) for _ in range(count)]


def _drawn(rng, C, S, slopes, powers) -> Problem:
    """Channels of different size and return; draws spread by 20 % around each."""
    budget = 10 ** rng.uniform(*powers)
    half = budget / C * rng.lognormal(0.0, 0.7, C)
    roi = rng.lognormal(0.5, 0.5, C)
    spread = np.exp(0.2 * rng.standard_normal((2, S, C)))
    slope = np.repeat(rng.uniform(*slopes, C)[None], S, axis=0)
    return Problem(2 * roi * half * spread[0], half * spread[1], slope, budget)


# The tools.

Found = tuple[np.ndarray, dict[str, object]]


def channelwise(problem: Problem) -> Found:
    from channelwise.decisions.budget.allocation import allocate
    from channelwise.decisions.budget.constraints import Constraints
    from channelwise.decisions.budget.curves import hill_curves

    even = np.full(problem.channels, problem.budget / problem.channels)
    names = tuple(f"x{i}" for i in range(problem.channels))
    curves = hill_curves(names, *problem[:3], today=even)
    plan = allocate(curves, Constraints(budget=problem.budget))
    about = {"gap": plan.certificate.gap, "bound": plan.certificate.bound}
    return plan.spend, about | {"proven": plan.certificate.proven}


def slsqp(unit: Callable[[Problem], float], ftol: float) -> Callable[[Problem], Found]:
    def run(problem: Problem) -> Found:
        from scipy.optimize import minimize

        C, B, u = problem.channels, problem.budget, unit(problem)
        found = minimize(
            lambda x: (-problem.outcome(x) / u, -problem.gradient(x) / u),
            np.full(C, B / C),
            jac=True,
            method="SLSQP",
            bounds=[(0.0, B)] * C,
            constraints={
                "type": "eq",
                "fun": lambda x: x.sum() - B,
                "jac": lambda x: np.ones_like(x),
            },
            options={"ftol": ftol, "maxiter": 1000},
        )
        return found.x, {"success": bool(found.success), "iterations": int(found.nit)}

    return run


def even_outcome(problem: Problem) -> float:
    return problem.outcome(np.full(problem.channels, problem.budget / problem.channels))


def pymc(problem: Problem) -> Found:
    """Its optimizer on a model of one week's spend, without carry-over."""
    planner, names = pymc_planner(problem)
    began = time.perf_counter()
    plan, result = planner().optimize_budget(budget=problem.budget)
    seconds = time.perf_counter() - began
    about = {"success": bool(result.success), "iterations": int(result.nit), "seconds": seconds}
    return plan.sel(channel=names).values, about


def pymc_planner(problem: Problem):
    """A model whose posterior we write; two weeks of data give it its scales."""
    import arviz as az
    import pandas as pd
    from pymc_marketing import mmm as library
    from pymc_marketing.mmm.multidimensional import MMM, MultiDimensionalBudgetOptimizerWrapper

    names = [f"x{i}" for i in range(problem.channels)]
    weeks = 20
    frame = pd.DataFrame(np.full((weeks, problem.channels), problem.budget), columns=names)
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=weeks, freq="W-MON"))
    target = pd.Series(np.full(weeks, problem.amplitude.sum(axis=1).mean()), name="y")
    model = MMM(
        date_column="date",
        target_column="y",
        channel_columns=names,
        adstock=library.GeometricAdstock(l_max=1),
        saturation=library.HillSaturation(),
    )
    model.build_model(frame, target)
    scale = float(target.max())
    values = {
        "saturation_beta": problem.amplitude / scale,
        "saturation_kappa": problem.half / problem.budget,
        "saturation_slope": problem.slope,
        "adstock_alpha": np.full(problem.amplitude.shape, 1e-9),
        "intercept_contribution": np.full(len(problem.amplitude), 0.1),
        "y_sigma": np.full(len(problem.amplitude), 0.1),
    }
    dims = {n: ["channel"] for n, v in values.items() if v.ndim == 2}
    model.idata = az.from_dict(
        posterior={n: v[None] for n, v in values.items()}, coords={"channel": names}, dims=dims
    )
    return lambda: MultiDimensionalBudgetOptimizerWrapper(model, "2024-06-03", "2024-06-03"), names


def meridian(problem: Problem) -> Found:
    """Its grid, filled with the curves of the problem, and its search over it."""
    import xarray as xr
    from meridian.analysis import optimizer

    C, B = problem.channels, problem.budget
    names = [f"x{i}" for i in range(C)]
    factor = optimizer.get_round_factor(B, 1e-4)
    step = 10 ** (-factor)
    rows = step * np.arange(np.ceil(B / step) + 3)
    outcome = np.stack([problem.by_channel(np.full(C, x)) for x in rows])
    data = xr.Dataset(
        {
            "spend_grid": (("grid_spend_index", "channel"), np.repeat(rows[:, None], C, axis=1)),
            "incremental_outcome_grid": (("grid_spend_index", "channel"), outcome),
        },
        coords={"grid_spend_index": np.arange(len(rows)), "channel": names},
        attrs={"spend_step_size": step},
    )
    grid = optimizer.OptimizationGrid(
        _grid_dataset=data,
        historical_spend=np.full(C, B / C),
        use_kpi=False,
        use_posterior=True,
        use_optimal_frequency=False,
        start_date=None,
        end_date=None,
        gtol=1e-4,
        round_factor=factor,
        optimal_frequency=None,
        selected_geos=None,
        selected_times=None,
    )
    began = time.perf_counter()
    found = grid.optimize(
        optimizer.FixedBudgetScenario(B),
        spend_constraint_lower=1.0,
        spend_constraint_upper=float(C - 1),
    )
    about = {"seconds": time.perf_counter() - began, "rows": len(rows)}
    return found.optimized.values.astype(float), about


TOOLS: dict[str, dict[str, Callable[[Problem], Found]]] = {
    "channelwise": {"channelwise": channelwise},
    "slsqp": {
        "slsqp-currency-1e-6": slsqp(lambda p: 1.0, 1e-6),
        "slsqp-scaled-1e-6": slsqp(even_outcome, 1e-6),
        "slsqp-scaled-1e-9": slsqp(even_outcome, 1e-9),
    },
    "pymc": {"pymc": pymc},
    "meridian": {"meridian": meridian},
}


def solve(tool: str, folder: Path, names: list[str]) -> None:
    """Every problem of some sets; a tool that raises is written down with what it raised."""
    for variant, run in TOOLS[tool].items():
        for name in names:
            answers = [solved(run, problem) for problem in problems(name)]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{variant}_{name}.json").write_text(json.dumps(answers))
            print(variant, name, f"{np.median([a['seconds'] for a in answers]):.4f} s", flush=True)


def solved(run: Callable[[Problem], Found], problem: Problem) -> dict[str, object]:
    began, busy = time.perf_counter(), sum(os.times()[:4])
    try:
        spend, about = run(problem)
    except Exception as error:
        seconds = time.perf_counter() - began
        return {"error": f"{type(error).__name__}: {error}"[:300], "seconds": seconds}
    seconds = time.perf_counter() - began
    plan = {"spend": spend.tolist(), "outcome": problem.outcome(spend), "seconds": seconds}
    return plan | about | {"cpu_s": sum(os.times()[:4]) - busy}


# What the others lost.


def by_grid(problem: Problem, steps: int = 2000) -> float:
    """The best outcome of all plans in steps of budget / steps: dynamic programming."""
    share = np.linspace(0, problem.budget, steps + 1)
    each = np.stack([problem.by_channel(np.full(problem.channels, x)) for x in share])
    best = each[:, 0]
    back = np.arange(steps + 1)
    for c in range(1, problem.channels):
        left = back[:, None] - back  # what is left for the channels before
        rest = np.where(left >= 0, best[np.maximum(left, 0)], -np.inf)
        best = (rest + each[:, c]).max(axis=1)
    return float(best[-1])


def table(folder: Path) -> None:
    """One line for each tool and set."""
    head = ["set", "tool", "median s", "lost: median", "worst", "unspent: worst"]
    head += ["equal split returned", "raised"]
    print("\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head)]))
    for name, (_, C, *_) in SETS.items():
        found = {f.stem: json.loads(f.read_text()) for f in sorted(folder.glob(f"*_{name}.json"))}
        found = {k: v for k, v in found.items() if k.removesuffix(f"_{name}").count("_200") == 0}
        many = problems(name)
        best = np.array([by_grid(p) if C == 5 else -np.inf for p in many])
        for answers in found.values():
            best = np.maximum(best, [kept(a, p) for a, p in zip(answers, many, strict=True)])
        for stem, answers in found.items():
            cells = row(answers, many, best)
            print(f"| {' | '.join([name, stem.removesuffix(f'_{name}'), *cells])} |")


def kept(answer: dict, problem: Problem) -> float:
    """The outcome of a plan that keeps the budget; a grid may round upwards."""
    within = np.sum(answer.get("spend", np.inf)) <= problem.budget * (1 + 1e-9)
    return answer["outcome"] if within else -np.inf


def row(answers: list[dict], many: list[Problem], best: np.ndarray) -> list[str]:
    seconds = f"{np.median([a['seconds'] for a in answers]):.4f}"
    good = [(a, p, b) for a, p, b in zip(answers, many, best, strict=True) if "spend" in a]
    raised = [a["error"] for a in answers if "error" in a]
    words = f"{len(raised)} of {len(answers)}" + (f": {raised[0][:90]}" if raised else "")
    if not good:
        return [seconds, "", "", "", "", words]
    lost = np.array([1 - a["outcome"] / b for a, _, b in good])
    unspent = [1 - np.sum(a["spend"]) / p.budget for a, p, _ in good]
    equal = sum(np.ptp(a["spend"]) < 1e-3 * p.budget for a, p, _ in good)
    cells = [seconds, f"{np.median(lost):.2%}", f"{lost.max():.2%}", f"{max(unspent):.1%}"]
    return [*cells, f"{equal} of {len(good)}", words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=[*TOOLS, "table"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", help=", ".join(SETS))
    options = parser.parse_args()
    if options.tool == "table":
        return table(options.folder)
    solve(options.tool, options.folder, options.sets or list(SETS))


if __name__ == "__main__":
    main()
