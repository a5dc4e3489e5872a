"""Who finds the true ROAS of `mpr_small_business.csv`? One tool a process, one JSON file a tool.

    python benchmarks/response_recovery.py pymc-logistic DATA.csv results
    python benchmarks/response_recovery.py table DATA.csv results

Inputs are date, spend (x1, x2, ...), controls (c1, c2, ...) and y; the columns of true
contributions are read by `table` alone. Every tool runs with its own default priors, and these are
not of one kind: on coefficients in our first two and in PyMC-Marketing, on the ROI in our others
and in Meridian.

| name | model |
|---|---|
| channelwise, channelwise-hill | the default Model, and the same with the slope free |
| channelwise-hill-roi | the slope free, and the prior of Meridian on the ROI |
| channelwise-knots | the same with 12 knots in the trend, as the gate advises where errors linger |
| pymc-logistic | PyMC-Marketing: geometric adstock of 9 weeks, logistic, two yearly modes |
| pymc-michaelis_menten, pymc-hill | the same with the other saturations |
| meridian | Meridian: geometric adstock, Hill of slope 1, ROI prior LogNormal(.2, .9), one knot |
| meridian-aks | the same with automatically selected knots |
"""

import argparse
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Found = tuple[np.ndarray, dict[str, object]]
"""Total contribution per channel (chain, draw, channel), and what the tool says of the run."""


def read(path: Path):
    """The inputs and the names of the channels."""
    import pandas as pd

    frame = pd.read_csv(path, parse_dates=["date"])
    channels = [c for c in frame if c.startswith("x")]
    return frame[["date", *channels, *controls_of(frame), "y"]], channels


def controls_of(frame) -> list[str]:
    """c1, c2_price, ..., and not c1_effect, which is part of a truth."""
    return [c for c in frame if re.match(r"c\d", c) and not c.endswith("_effect")]


def truth(path: Path) -> np.ndarray:
    """Total contribution of each channel."""
    import pandas as pd

    frame = pd.read_csv(path)
    return frame[[c for c in frame if c.startswith("contribution_")]].sum().to_numpy()


def channelwise(**assumed: str | int) -> Callable[..., Found]:
    def run(frame, channels: list[str]) -> Found:
        from channelwise.response.diagnostics import convergence
        from channelwise.response.examine import examine
        from channelwise.response.fit import fit
        from channelwise.response.market import MarketData
        from channelwise.response.mmm import Model

        controls = controls_of(frame)
        market = MarketData(
            dates=frame["date"].to_numpy(),
            outcome=frame["y"].to_numpy()[None],
            spend=frame[channels].to_numpy()[None],
            channels=tuple(channels),
            controls=frame[controls].to_numpy()[None],
            control_names=tuple(controls),
        )
        posterior = fit(market, Model(**assumed))
        r_hat = max(float(convergence(x).rhat.max()) for x in posterior.draws.values())
        about = {"r_hat": r_hat, "divergences": int(posterior.statistics["diverging"].sum())}
        gate = examine(posterior)
        about["gate"] = {
            "failed": [v.check for v in gate.failures],
            "caution": [v.check for v in gate.cautions],
            "says": str(gate),
        }
        return posterior.draws["contribution"], about

    return run


def pymc(saturation: str) -> Callable[..., Found]:
    def run(frame, channels: list[str]) -> Found:
        import arviz as az
        from pymc_marketing import mmm as library
        from pymc_marketing.mmm.multidimensional import MMM

        curves = {
            "logistic": library.LogisticSaturation,
            "michaelis_menten": library.MichaelisMentenSaturation,
            "hill": library.HillSaturation,
        }
        model = MMM(
            date_column="date",
            target_column="y",
            channel_columns=channels,
            control_columns=controls_of(frame),
            adstock=library.GeometricAdstock(l_max=9),
            saturation=curves[saturation](),
            yearly_seasonality=2,
        )
        data = model.fit(
            frame.drop(columns="y"),
            frame["y"],
            nuts_sampler="nutpie",
            chains=4,
            tune=1500,
            draws=1000,
            target_accept=0.95,
            random_seed=1,
            progressbar=False,
        )
        weekly = data.posterior["channel_contribution"] * np.abs(frame["y"]).max()
        total = weekly.sum("date").transpose("chain", "draw", "channel").values
        names = [v.name for v in model.model.free_RVs]
        r_hat = float(az.rhat(data, var_names=names).to_array().max())
        divergences = int(data.sample_stats["diverging"].sum())
        return total, {"r_hat": r_hat, "divergences": divergences}

    return run


def meridian(aks: bool) -> Callable[..., Found]:
    def run(frame, channels: list[str]) -> Found:
        import arviz as az
        from meridian.analysis.analyzer import Analyzer
        from meridian.analysis.review.results import Status
        from meridian.analysis.review.reviewer import ModelReviewer
        from meridian.data.nd_array_input_data_builder import NDArrayInputDataBuilder
        from meridian.model import model, spec

        builder = NDArrayInputDataBuilder(kpi_type="revenue")
        days = frame["date"].dt.strftime("%Y-%m-%d").tolist()
        builder.time_coords = builder.media_time_coords = days
        spend, controls = frame[channels].to_numpy()[None], controls_of(frame)
        data = (
            builder.with_kpi(frame["y"].to_numpy()[None])
            .with_media(spend, spend, channels)
            .with_controls(frame[controls].to_numpy()[None], controls)
            .build()
        )
        fitted = model.Meridian(input_data=data, model_spec=spec.ModelSpec(enable_aks=aks))
        fitted.sample_posterior(n_chains=4, n_adapt=1000, n_burnin=500, n_keep=1000, seed=1)
        fitted.sample_prior(500, seed=1)
        result = fitted.inference_data
        names = ["alpha_m", "ec_m", "roi_m", "sigma", "gamma_c", "knot_values"]
        fit = {"model_context": fitted.model_context, "inference_data": result}
        roi, review = np.asarray(Analyzer(**fit).roi()), ModelReviewer(**fit).run()

        def checks(status: Status) -> list[str]:
            found = [r for r in review.results if r.case.status is status]
            return [type(r).__name__.removesuffix("CheckResult") for r in found]

        about = {
            "r_hat": float(az.rhat(result, var_names=names).to_array().max()),
            "divergences": int(result.sample_stats["diverging"].sum()),
            "knots": int(result.posterior["knot_values"].shape[-1]),
            "gate": {
                "failed": checks(Status.FAIL),
                "caution": checks(Status.REVIEW),
                "says": f"{review.summary_message} Health score {review.health_score:.0f}.",
            },
        }
        return roi * spend[0].sum(0), about

    return run


TOOLS: dict[str, Callable[..., Found]] = {
    "channelwise": channelwise(),
    "channelwise-hill": channelwise(saturation="hill"),
    "channelwise-hill-roi": channelwise(saturation="hill", prior_on="roi"),
    "channelwise-knots": channelwise(saturation="hill", prior_on="roi", trend="knots", knots=12),
    **{f"pymc-{name}": pymc(name) for name in ("logistic", "michaelis_menten", "hill")},
    "meridian": meridian(False),
    "meridian-aks": meridian(True),
}


def summary(x: np.ndarray) -> dict[str, list[float]]:
    """Of draws (chain, draw, channel)."""
    flat = x.reshape(-1, x.shape[-1])
    low, middle, high = np.quantile(flat, (0.05, 0.5, 0.95), axis=0)
    return {
        "mean": flat.mean(0).tolist(),
        "median": middle.tolist(),
        "5%": low.tolist(),
        "95%": high.tolist(),
    }


def recover(tool: str, path: Path, folder: Path) -> None:
    began = time.perf_counter()
    frame, channels = read(path)
    total, about = TOOLS[tool](frame, channels)
    spend = frame[channels].to_numpy().sum(0)
    about |= {"tool": tool, "seconds": time.perf_counter() - began, "channels": channels}
    about |= {"roas": summary(total / spend), "contribution": summary(total)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{tool}.json").write_text(json.dumps(about, indent=1))
    print(json.dumps(about))


def table(path: Path, folder: Path) -> None:
    """Median and 90 % interval beside the truth, and the errors over channels."""
    frame, channels = read(path)
    spend, true = frame[channels].to_numpy().sum(0), truth(path)
    roas = true / spend
    print("| tool | R-hat | diverging | " + " | ".join(channels) + " | error | inside |")
    print("|---|---|---|" + "---|" * (len(channels) + 2))
    print("| truth | | | " + " | ".join(f"{r:.2f}" for r in roas) + " | | |")
    for file in sorted(folder.glob("*.json")):
        found = json.loads(file.read_text())
        middle, low, high = (np.array(found["roas"][k]) for k in ("median", "5%", "95%"))
        error = np.abs(np.log(middle / roas)).mean()
        inside = int(((low <= roas) & (roas <= high)).sum())
        cells = [f"{m:.2f} ({a:.2f} to {b:.2f})" for m, a, b in zip(middle, low, high, strict=True)]
        print(
            f"| {found['tool']} | {found['r_hat']:.3f} | {found['divergences']} | "
            + " | ".join(cells)
            + f" | {np.expm1(error):.0%} | {inside} of {len(roas)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=[*TOOLS, "table"])
    parser.add_argument("data", type=Path)
    parser.add_argument("results", type=Path)
    options = parser.parse_args()
    if options.tool == "table":
        return table(options.data, options.results)
    recover(options.tool, options.data, options.results)


if __name__ == "__main__":
    main()
