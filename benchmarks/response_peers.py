"""One engine fits the task in a process of its own; says as JSON what it cost.

    python benchmarks/response_peers.py nutpie --prior hard --folder results
    python benchmarks/response_peers.py channelwise --geos 20 --weeks 104
    python benchmarks/response_peers.py table --folder results

The times, all on the same data and priors (`response_task.py`):

first_s     from the first line of this file, imports included, to a posterior with its R-hat as
            the tool itself computes it; no compiled program of an earlier process is there
cached_s    the same in a second process that finds the first one's compiled programs
again_s     one more fit in the same process with another seed
*_sampling_s    what the tool says of its sampling alone, where it says it

ESS, R-hat and memory come from the same functions for all, outside the timed part. --folder keeps
the answer (.json) and the draws of the first fit (.npz) as PEER_PRIOR.
"""

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

Draws = dict[str, np.ndarray]
MEASURED = ("alpha", "half_saturation", "slope", "beta", "sigma", "tau", "eta")


@dataclass
class Fit:
    """Draws (chain, draw, …), the tool's own R-hat and what it says of the run."""

    draws: Draws
    r_hat: float
    divergences: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)


Engine = Callable[[int], Fit]


# The engines: each builds its model once and returns a function of the seed.


def channelwise(task, options) -> Engine:
    """With its own numbers of chains and draws, and R-hat of every scalar."""
    from response_models import our_market, our_model, our_season_scale
    from response_task import priors

    from channelwise.response.diagnostics import convergence
    from channelwise.response.fit import fit as fit_response

    chosen = priors(options.prior, options.saturation, geo=options.geos > 0)
    market, model = our_market(task, chosen), our_model(chosen, options.saturation)
    names = {"half_saturation": "rate"} if options.saturation == "logistic" else {}

    def fit(seed: int) -> Fit:
        posterior = fit_response(market, model, seed=seed)
        found = posterior.draws
        r_hat = max(float(convergence(x).rhat.max()) for x in found.values())
        draws = {n: found[names.get(n, n)] for n in MEASURED if names.get(n, n) in found}
        linear = found["coefficient"]  # the intercept, three controls, four seasons
        draws |= {"intercept": linear[..., 0], "controls": linear[..., 1:-4]}
        draws["fourier"] = our_season_scale(chosen) * linear[..., -4:]
        return Fit(draws, r_hat, int(posterior.statistics["diverging"].sum()))

    return fit


def pymc(task, options, sampler: str = "pymc") -> Engine:
    import arviz as az
    from response_models import PYMC_CURVES, PYMC_NAMES, pymc_mmm
    from response_task import priors

    mmm, x, y = pymc_mmm(task, priors(options.prior, options.saturation), options.saturation)
    names = PYMC_NAMES | PYMC_CURVES[options.saturation]

    def fit(seed: int) -> Fit:
        data = mmm.fit(
            x,
            y,
            nuts_sampler=sampler,
            chains=options.chains,
            tune=options.tune,
            draws=options.draws,
            random_seed=seed,
            progressbar=False,
            compute_convergence_checks=False,
        )
        r_hat = float(az.rhat(data, var_names=list(names.values())).to_array().max())
        draws = {ours: data.posterior[theirs].values for ours, theirs in names.items()}
        sampling = data.posterior.attrs.get("sampling_time")
        seconds = {} if sampling is None else {"sampling": float(sampling)}
        return Fit(draws, r_hat, int(data.sample_stats["diverging"].sum()), seconds)

    return fit


def nutpie(task, options) -> Engine:
    return pymc(task, options, "nutpie")


def numpyro(task, options, dense=False, accept=0.8, program="numpyro_model") -> Engine:
    os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={options.chains}")
    import jax
    import numpyro as npr
    import response_models
    from numpyro.diagnostics import split_gelman_rubin
    from numpyro.infer import MCMC, NUTS
    from response_task import priors

    npr.enable_x64()
    kernel = NUTS(getattr(response_models, program), dense_mass=dense, target_accept_prob=accept)
    mcmc = MCMC(
        kernel,
        num_warmup=options.tune,
        num_samples=options.draws,
        num_chains=options.chains,
        chain_method=options.chain_method,
        progress_bar=False,
    )
    chosen = priors(options.prior, options.saturation, geo=options.geos > 0)
    data = (*response_models.numpyro_arguments(task), chosen)

    def fit(seed: int) -> Fit:
        mcmc.run(jax.random.key(seed), *data, options.saturation, extra_fields=("diverging",))
        draws = {k: np.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}
        r_hat = max(float(np.max(split_gelman_rubin(v))) for v in draws.values())
        return Fit(draws, r_hat, int(mcmc.get_extra_fields()["diverging"].sum()))

    return fit


def numpyro_collapsed(task, options) -> Engine:
    """What a NumPyro expert would write: the linear part integrated out, a dense metric."""
    return numpyro(task, options, dense=True, accept=0.9, program="numpyro_collapsed")


def meridian(task, options) -> Engine:
    """With several geos: its own hierarchy and priors, draws in its own units."""
    import arviz as az
    from response_models import meridian_geo_model, meridian_model, meridian_scales
    from response_task import priors

    names = {"alpha": "alpha_m", "half_saturation": "ec_m", "beta": "beta_m", "sigma": "sigma"}
    scale = {}
    if options.geos:
        model = meridian_geo_model(task)
    else:
        model = meridian_model(task, priors(options.prior, options.saturation), options.saturation)
        media, money = meridian_scales(task)
        scale = {"half_saturation": media, "beta": money, "sigma": money}
        names |= {"slope": "slope_m"} if options.saturation == "hill" else {}

    def fit(seed: int) -> Fit:
        adapt = options.tune // 2
        model.sample_posterior(
            options.chains, adapt, options.tune - adapt, options.draws, seed=seed
        )
        data = model.inference_data
        r_hat = float(az.rhat(data, var_names=list(names.values())).to_array().max())
        draws = {n: data.posterior[its].values / scale.get(n, 1.0) for n, its in names.items()}
        draws["sigma"] = draws["sigma"].reshape(draws["sigma"].shape[:2])
        return Fit(draws, r_hat, int(data.sample_stats["diverging"].sum()))

    return fit


def lightweight(task, options) -> Engine:
    """LightweightMMM's own model: recursive adstock, Hill with slope, its default priors."""
    os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={options.chains}")
    from lightweight_mmm.lightweight_mmm import LightweightMMM
    from numpyro.diagnostics import split_gelman_rubin

    names = {
        "alpha": "lag_weight",
        "half_saturation": "half_max_effective_concentration",
        "slope": "slope",
        "beta": "coef_media",
        "sigma": "sigma",
    }

    def fit(seed: int) -> Fit:
        mmm = LightweightMMM(model_name="hill_adstock")
        mmm.fit(
            media=task.spend / task.spend.mean(0),
            media_prior=task.spend.sum(0) / task.spend.sum(),
            target=task.outcome / task.outcome.mean(),
            extra_features=task.controls[:, :2],
            number_warmup=options.tune,
            number_samples=options.draws,
            number_chains=options.chains,
            seed=seed,
        )
        trace = mmm._mcmc.get_samples(group_by_chain=True)
        draws = {ours: np.asarray(trace[theirs]) for ours, theirs in names.items()}
        draws["sigma"] = draws["sigma"][..., 0]
        r_hat = max(float(np.max(split_gelman_rubin(v))) for v in draws.values())
        return Fit(draws, r_hat, int(mmm._mcmc.get_extra_fields()["diverging"].sum()))

    return fit


PEERS: dict[str, Callable[..., Engine]] = {
    "channelwise": channelwise,
    "pymc": pymc,
    "nutpie": nutpie,
    "numpyro": numpyro,
    "numpyro_collapsed": numpyro_collapsed,
    "meridian": meridian,
    "lightweight": lightweight,
}


# The measurement.


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Fit, fit again, and gather the numbers."""
    from response_task import generate, generate_geo

    size = (options.weeks, options.channels)
    task = generate_geo(options.geos, *size) if options.geos else generate(*size)
    engine = PEERS[options.peer](task, options)
    first = engine(options.seed)
    seconds = {"first_s": time.perf_counter() - STARTED}
    seconds |= {f"first_{k}_s": v for k, v in first.seconds.items()}
    if not options.once:
        began = time.perf_counter()
        again = engine(options.seed + 1)
        seconds["again_s"] = time.perf_counter() - began
        seconds |= {f"again_{k}_s": v for k, v in again.seconds.items()}
    own = {"own_r_hat": first.r_hat, "divergences": first.divergences}
    if options.out:
        np.savez_compressed(options.out, **first.draws)
    return seconds | memory() | own | diagnose(first.draws)


def memory() -> dict[str, float]:
    """Peak megabytes of this process and of the largest process it started."""
    peak = {"peak_mb": resource.RUSAGE_SELF, "peak_child_mb": resource.RUSAGE_CHILDREN}
    return {name: resource.getrusage(who).ru_maxrss / 1024 for name, who in peak.items()}


def diagnose(draws: Draws) -> dict[str, float]:
    """Smallest bulk and tail ESS and largest rank R-hat of the measured parameters."""
    import arviz as az

    data = az.convert_to_dataset({k: v for k, v in draws.items() if k in MEASURED})
    smallest = {
        f"min_{kind}_ess": float(az.ess(data, method=kind).to_array().min())
        for kind in ("bulk", "tail")
    }
    return smallest | {"r_hat": float(az.rhat(data).to_array().max())}


def alone(options: argparse.Namespace) -> dict[str, object]:
    """A fresh process without compiled programs, then one that finds those of the first."""
    with tempfile.TemporaryDirectory() as fresh:
        cache = Path(options.cache or fresh).resolve()
        answer = child(cache, options.once)
        answer["load"] = os.getloadavg()[0]
        if not options.once:
            answer["cached_s"] = child(cache, once=True)["first_s"]
    about = ("peer", "prior", "saturation", "geos", "weeks", "channels")
    return {name: getattr(options, name) for name in about} | answer


def child(cache: Path, once: bool) -> dict[str, object]:
    """One measurement with the compilation caches of all tools in a folder."""
    environment = os.environ | {
        "PYTENSOR_FLAGS": f"base_compiledir={cache / 'pytensor'}",
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "XDG_CACHE_HOME": str(cache),
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, __file__, *sys.argv[1:], "--here", *(["--once"] if once else [])]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


COLUMNS = ("first s", "cached s", "again s", "sampling s", "bulk ESS", "tail ESS", "bulk ESS/s")
COLUMNS += ("R-hat", "diverging", "peak MB", "load")


def table(folder: Path) -> None:
    """One line for each answer. ESS per second counts sampling alone where a tool tells it."""
    print(f"| {' | '.join(('engine', 'task', *COLUMNS))} |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for file in sorted(folder.glob("*.json")):
        a = json.loads(file.read_text())
        sampling = a.get("again_sampling_s", a.get("again_s"))
        rate = "" if sampling is None else f"{a['min_bulk_ess'] / sampling:,.0f}"
        times = [a.get(k) for k in ("first_s", "cached_s", "again_s", "again_sampling_s")]
        task = f"{a['prior']}, {a['saturation']}, {max(1, a['geos'])} × {a['weeks']}"
        cells = [a["peer"], f"{task} × {a['channels']}"]
        cells += ["" if t is None else f"{t:.2f}" for t in times]
        cells += [f"{a['min_bulk_ess']:,.0f}", f"{a['min_tail_ess']:,.0f}", rate]
        cells += [f"{a['r_hat']:.3f}", str(a["divergences"])]
        cells += [f"{max(a['peak_mb'], a['peak_child_mb']):.0f}", f"{a['load']:.1f}"]
        print(f"| {' | '.join(cells)} |")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=[*PEERS, "table"])
    parser.add_argument("--prior", choices=["easy", "hard"], default="easy")
    parser.add_argument("--saturation", default="michaelis_menten")
    for name, value in {"chains": 4, "tune": 1000, "draws": 1000, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--weeks", type=int, default=156)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--geos", type=int, default=0, help="0: one national market")
    parser.add_argument("--chain-method", default="parallel", help="NumPyro's")
    parser.add_argument("--once", action="store_true", help="no second fit, no second process")
    parser.add_argument("--cache", help="folder of compiled programs to use and to fill")
    parser.add_argument("--folder", type=Path, help="where answer and draws go")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    if options.peer == "table":
        return table(options.folder)
    stem = f"{options.peer}_{options.prior}"
    if (options.saturation, options.geos) != ("michaelis_menten", 0) or options.channels != 5:
        stem += f"_{options.saturation}_{options.geos}_{options.weeks}_{options.channels}"
    options.out = options.folder / f"{stem}.npz" if options.folder else None
    if options.here:
        print(json.dumps(measure(options)), flush=True)
        return
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    answer = json.dumps(alone(options))
    print(answer, flush=True)
    if options.folder:
        (options.folder / f"{stem}.json").write_text(answer)


if __name__ == "__main__":
    main()
