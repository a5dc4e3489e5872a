"""Is the response engine calibrated? Simulation-based calibration over hundreds of markets.

    python benchmarks/response_calibration.py hard --markets 500 --results results
    python benchmarks/response_calibration.py figure --results results --figure ranks.png

One market's media stay. Each case draws all parameters from the prior, an outcome from them, fits
that outcome with `fit` as a user would, and asks where the truth ranks among 199 draws of the
posterior, evenly spaced over all chains. If prior, density, sampler and consequences are right, the
ranks of every parameter, ROI, contribution and of the log likelihood are uniform, and intervals
hold the truth as often as they promise.

| name | model |
|---|---|
| hard | geometric, Michaelis–Menten, half-saturation ~ HalfNormal(1), PyMC-Marketing's default |
| roi | prior on ROI, geometric, Hill with free slope |
| delayed | delayed adstock, logistic |
| student | Student-t noise |
| geo | 4 geos of 52 weeks, 2 channels, prior on ROI |

Not here: `prior_on="contribution"`. Its prior is about the share of the *observed* outcome, so the
outcome stands in the prior and there is no joint distribution to draw from.

Every case is reproducible by its number; a run goes on from the cases its file already holds.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from channelwise.response.calibration import (
    chi_square_p,
    ecdf_band,
    ecdf_p,
    interval_coverage,
    ranks,
)
from channelwise.response.design import Units, design
from channelwise.response.diagnostics import convergence
from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model
from channelwise.response.posterior import Posterior
from channelwise.response.prior import prior_draws
from channelwise.response.priors import Prior
from channelwise.response.simulate import family_market

DRAWS = 199
BINS = 20
LEVELS = (0.5, 0.9)

MODELS = {
    "hard": Model(priors={"half_saturation": Prior("half_normal", 1)}),
    "roi": Model(prior_on="roi", saturation="hill"),
    "delayed": Model(adstock="delayed", saturation="logistic"),
    "student": Model(noise="student_t"),
    "geo": Model(prior_on="roi"),
}


class Case(NamedTuple):
    """One market: truths and draws by label, and how the fit went."""

    truth: dict[str, float]
    draws: dict[str, np.ndarray]
    run: tuple[float, float, float, float]  # seconds, largest R-hat, divergences, NUTS took over


def media(name: str) -> MarketData:
    """The media that all cases of a model share."""
    if name == "geo":
        return family_market(7, weeks=52, channels=2, geos=4, controls=1).market
    return family_market(7, weeks=104, channels=3).market


def simulate(name: str, number: int) -> Case:
    """Draw a truth and an outcome, and fit it."""
    market, model = media(name), MODELS[name]
    units = Units(*design(market, model)[2:4])
    effects = Effects(prior_draws(market, model, draws=1, seed=number, units=units))
    noise = effects.noise(1_000_000 + number)
    outcome = (effects.expected() + effects.sigma * noise)[0]
    began = time.perf_counter()
    posterior = fit(replace(market, outcome=outcome), model, seed=number, units=units)
    seconds = time.perf_counter() - began
    found = Effects(posterior, draws=DRAWS)
    truth = dict(scalars(effects)) | {"log likelihood": log_likelihood(effects, noise)}
    draws = dict(scalars(found)) | {"log likelihood": log_likelihood(found, found.residuals())}
    truth = {label: float(value[0]) for label, value in truth.items()}
    return Case(truth, draws, (seconds, *health(posterior)))


def scalars(effects: Effects) -> Iterator[tuple[str, np.ndarray]]:
    """(label, draws) of every scalar."""
    for name in effects.posterior.draws:
        flat = effects.draws_of(name)
        flat = flat.reshape(len(flat), -1)
        yield from zip(effects.posterior.labels(name), flat.T, strict=True)


def log_likelihood(effects: Effects, residuals: np.ndarray) -> np.ndarray:
    """ln p(outcome | parameters) of each draw, up to a constant; residuals in units of σ."""
    from scipy import stats

    sigma = np.broadcast_to(effects.sigma, residuals.shape)
    if effects.posterior.model.noise == "student_t":
        density = stats.t.logpdf(residuals, effects.draws_of("nu")[:, None, None])
    else:
        density = stats.norm.logpdf(residuals)
    return (density - np.log(sigma)).sum(axis=(1, 2))


def health(posterior: Posterior) -> tuple[float, float, float]:
    """Largest R-hat, divergences, and whether the careful sampler took over."""
    r_hat = max(float(convergence(x).rhat.max()) for x in posterior.draws.values())
    careful = posterior.n_chains == 4
    return r_hat, float(posterior.statistics["diverging"].sum()), float(careful)


def run(name: str, markets: int, path: Path) -> None:
    """Simulate up to so many cases, keeping them in a file as they come."""
    rows = list(np.load(path)["rows"]) if path.exists() else []
    for number in range(len(rows), markets):
        case = simulate(name, number)
        labels = list(case.truth)
        rows.append([[case.truth[s], *case.draws[s]] for s in labels] + [pad(case.run)])
        if len(rows) % 25 == 0 or len(rows) == markets:
            np.savez_compressed(path, rows=np.array(rows), labels=labels)
            print(f"{name}: {len(rows)} markets", flush=True)


def pad(numbers: tuple[float, ...]) -> list[float]:
    return [*numbers, *[0.0] * (DRAWS + 1 - len(numbers))]


def table(name: str, path: Path) -> str:
    """A row for each quantity: its scalars, their smallest p-values, their coverage."""
    with np.load(path) as kept:
        rows, labels = kept["rows"], [str(label) for label in kept["labels"]]
    truth, draws, how = rows[:, :-1, 0], np.moveaxis(rows[:, :-1, 1:], 2, 0), rows[:, -1]
    rng = np.random.default_rng(0)
    found = ranks(draws, truth, rng)
    chi = np.array([chi_square_p(r, DRAWS, BINS) for r in found.T])
    ecdf = np.array([ecdf_p(r, DRAWS, BINS) for r in found.T])
    held = [interval_coverage(draws, truth, level) for level in LEVELS]
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        groups.setdefault(label.split("[")[0], []).append(i)
    adjusted = min(1.0, min(chi.min(), ecdf.min()) * 2 * len(labels))
    lines = [
        f"{name}: {len(rows)} markets, {how[:, 0].sum():.0f} s, {len(labels)} scalars. "
        f"Smallest p times the number of tests: {adjusted:.2f}."
        f" Largest R-hat {how[:, 1].max():.3f}; {int((how[:, 2] > 0).sum())} fits diverged; "
        f"NUTS took over in {int(how[:, 3].sum())}.",
        "",
        "| quantity | scalars | smallest p, χ² | smallest p, ECDF | in 50 % | in 90 % |",
        "|---|---|---|---|---|---|",
    ]
    for quantity, at in groups.items():
        cover = " | ".join(spread(100 * h.share[at], 100 * h.error) for h in held)
        lines.append(
            f"| {quantity} | {len(at)} | {chi[at].min():.3f} | {ecdf[at].min():.3f} | {cover} |"
        )
    return "\n".join(lines)


def spread(shares: np.ndarray, error: float) -> str:
    """Lowest to highest share, and the standard error of each."""
    low, high = shares.min(), shares.max()
    ends = f"{low:.1f}" if len(shares) == 1 else f"{low:.1f} to {high:.1f}"
    return f"{ends} ± {error:.1f}"


def kept_cases(folder: Path, name: str) -> int:
    path = folder / f"calibration_{name}.npz"
    return len(np.load(path)["rows"]) if path.exists() else 0


def figure(folder: Path, path: Path) -> None:
    """How far the ranks' distribution functions stray from uniform, all scalars, with their band.

    The band holds all scalars of a panel together with a probability of 95 % (Bonferroni).
    """
    names = [name for name in MODELS if kept_cases(folder, name) >= 100]
    page = Figure(figsize=(2.6 * len(names), 2.9), layout="constrained")
    page.suptitle("Ranks of the truth stay within the band of uniform ranks")
    for axes, name in zip(np.ravel(page.subplots(1, len(names), sharey=True)), names, strict=True):
        with np.load(folder / f"calibration_{name}.npz") as kept:
            rows = kept["rows"]
        found = ranks(
            np.moveaxis(rows[:, :-1, 1:], 2, 0), rows[:, :-1, 0], np.random.default_rng(0)
        )
        band = ecdf_band(len(rows), BINS, 1 - 0.05 / found.shape[1])
        steps = found * BINS // (DRAWS + 1)
        share = np.array([(steps <= k).mean(axis=0) for k in range(BINS)])
        axes.fill_between(
            band.share, band.low - band.share, band.high - band.share, color="#d5d8dd", lw=0
        )
        axes.plot(band.share, share - band.share[:, None], color="#0072b2", lw=0.7, alpha=0.7)
        axes.set(title=f"{name}: {len(rows)} markets", xlabel="share of the ranks")
    page.axes[0].set_ylabel("distribution function − uniform")
    page.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=[*MODELS, "figure"])
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--figure", type=Path, default=Path("calibration.png"))
    options = parser.parse_args()
    if options.model == "figure":
        return figure(options.results, options.figure)
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"calibration_{options.model}.npz"
    run(options.model, options.markets, path)
    print(table(options.model, path))


if __name__ == "__main__":
    main()
