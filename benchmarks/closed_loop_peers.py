"""Peers as planners: one process a tool, a JSON line in for every quarter, a JSON line out.

    python benchmarks/closed_loop_peers.py pymc     < questions > answers

In: dates, spend, controls, outcome of the record so far, today's spend a week of each channel and
the share `change` by which it may move. Out: the spend a week of the next 13 weeks, and what the
tool says of its run. `closed_loop.py` starts these processes and plays their plans.

Every tool gets the same columns for the baseline: the controls, a linear trend and two yearly
modes (PyMC-Marketing makes the modes itself). The rest is its own default: priors, curves,
optimizer and the optimizer's settings.

| name | model and search |
|---|---|
| pymc | geometric adstock of 9 weeks, logistic saturation; nutpie, 2 chains of 500 + 500; `optimize_budget` |
| meridian | geometric adstock of 9 weeks, Hill of slope 1, ROI prior; NUTS, see DRAWS; `BudgetOptimizer.optimize` |
"""  # noqa: E501

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

QUARTER = 13
DRAWS = {"n_chains": 4, "n_adapt": 400, "n_burnin": 100, "n_keep": 250}
"""Of Meridian: fewer than its guide takes, as every quarter is fitted anew on two cores."""
LIMIT = {"pymc": 240, "meridian": 1200}
"""Seconds for a quarter, fit and search; a plan that takes longer is no plan."""

Answer = tuple[np.ndarray, dict[str, object]]


def columns(question: dict) -> tuple[np.ndarray, list[str]]:
    """The controls and a trend that goes on from quarter to quarter."""
    controls = np.asarray(question["controls"], float)
    trend = np.arange(len(controls)) / 156
    names = [f"c{i}" for i in range(controls.shape[1])]
    return np.column_stack([controls, trend]), [*names, "trend"]


def pymc(question: dict) -> Answer:
    import arviz as az
    import pandas as pd
    import xarray as xr
    from pymc_marketing import mmm as library
    from pymc_marketing.mmm.multidimensional import MMM, MultiDimensionalBudgetOptimizerWrapper

    channels, dates = question["channels"], pd.to_datetime(question["dates"])
    controls, names = columns(question)
    frame = pd.DataFrame(np.asarray(question["spend"]), columns=channels)
    frame[names] = controls
    frame.insert(0, "date", dates)
    model = MMM(
        date_column="date",
        target_column="y",
        channel_columns=channels,
        control_columns=names,
        adstock=library.GeometricAdstock(l_max=9),
        saturation=library.LogisticSaturation(),
        yearly_seasonality=2,
    )
    data = model.fit(
        frame,
        pd.Series(question["outcome"], name="y"),
        nuts_sampler="nutpie",
        chains=2,
        tune=500,
        draws=500,
        random_seed=1,
        progressbar=False,
    )
    rhat = az.rhat(data, var_names=[v.name for v in model.model.free_RVs])
    about = {
        "r_hat": float(rhat.to_array().max()),
        "divergences": int(data.sample_stats["diverging"].sum()),
    }
    began = time.perf_counter()
    week = pd.Timedelta(weeks=1)
    first, last = (dates[-1] + n * week for n in (1, QUARTER))
    planner = MultiDimensionalBudgetOptimizerWrapper(model, str(first.date()), str(last.date()))
    today, change = np.asarray(question["today"]), question["change"]
    bounds = np.column_stack([(1 - change) * today, (1 + change) * today])
    plan, result = planner.optimize_budget(
        budget=today.sum(),
        budget_bounds=xr.DataArray(
            bounds,
            dims=["channel", "bound"],
            coords={"channel": channels, "bound": ["lower", "upper"]},
        ),
    )
    about |= {"search_s": time.perf_counter() - began, "search": str(result.message)}
    return plan.sel(channel=channels).values, about | {"periods": planner.num_periods}


def meridian(question: dict) -> Answer:
    import arviz as az
    from meridian.analysis.optimizer import BudgetOptimizer
    from meridian.data.nd_array_input_data_builder import NDArrayInputDataBuilder
    from meridian.model import model, spec

    builder = NDArrayInputDataBuilder(kpi_type="revenue")
    builder.time_coords = builder.media_time_coords = question["dates"]
    spend, controls, names = np.asarray(question["spend"])[None], *columns(question)
    days = np.asarray(question["dates"], "datetime64[D]").astype(float)
    angle = 2 * np.pi * days[:, None] / 365.25 * np.array([1, 2])
    controls = np.column_stack([controls, np.sin(angle), np.cos(angle)])
    names = [*names, "sin_1", "sin_2", "cos_1", "cos_2"]
    data = (
        builder.with_kpi(np.asarray(question["outcome"])[None])
        .with_media(spend, spend, question["channels"])
        .with_controls(controls[None], names)
        .build()
    )
    fitted = model.Meridian(input_data=data, model_spec=spec.ModelSpec())
    fitted.sample_posterior(**DRAWS, seed=1)
    result = fitted.inference_data
    rhat = az.rhat(result, var_names=["alpha_m", "ec_m", "roi_m", "sigma", "gamma_c"])
    about = {
        "r_hat": float(rhat.to_array().max()),
        "divergences": int(result.sample_stats["diverging"].sum()),
    }
    began = time.perf_counter()
    plan = meridian_plan(BudgetOptimizer(fitted), question)
    return plan, about | {"search_s": time.perf_counter() - began}


def meridian_plan(planner, question: dict) -> np.ndarray:
    """Its optimizer over the next quarter, today's even spend being the pattern and the centre."""
    from meridian.analysis.tensors import DataTensors

    today = np.asarray(question["today"])
    days = np.asarray(question["dates"][-1:], "datetime64[D]") + 7 * np.arange(1, QUARTER + 1)
    even = np.repeat(today[None, None].astype(np.float32), QUARTER, axis=1)
    new = DataTensors(
        media=even,
        media_spend=even,
        revenue_per_kpi=np.ones((1, QUARTER), np.float32),
        time=[str(day) for day in days],
    )
    found = planner.optimize(
        new_data=new,
        budget=float(QUARTER * today.sum()),
        pct_of_spend=(today / today.sum()).tolist(),
        spend_constraint_lower=question["change"],
        spend_constraint_upper=question["change"],
    )
    data = found.optimized_data
    return data.spend.sel(channel=question["channels"]).values / QUARTER


PEERS: dict[str, Callable[[dict], Answer]] = {"pymc": pymc, "meridian": meridian}


def give_up(*_) -> None:
    raise TimeoutError("no plan within the LIMIT")


def answered(peer: str, question: dict) -> dict[str, object]:
    """The plan, or what the tool raised instead of one."""
    began = time.perf_counter()
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT[peer])
    try:
        plan, about = PEERS[peer](question)
        about["plan"] = np.asarray(plan, float).tolist()
    except Exception as error:
        about = {"error": f"{type(error).__name__}: {error}"[:500]}
    finally:
        signal.alarm(0)
    return about | {"seconds": time.perf_counter() - began}


def main() -> None:
    warnings.simplefilter("ignore")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    answers = os.fdopen(os.dup(1), "w")  # the tools print to what was the standard output
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answered(sys.argv[1], json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
