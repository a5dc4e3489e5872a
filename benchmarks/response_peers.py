"""One engine fits the task in a process of its own; prints what it cost as JSON.

    python benchmarks/response_peers.py nutpie --prior hard --out nutpie_hard.npz
    python benchmarks/response_peers.py all --prior easy --folder results     one after another

`first` is the time from the first line of this file to a posterior with its R-hat, as a user's
script would see it; compiled programs are kept in --cache (by default a fresh folder: a cold
start). `again` fits once more in the same process with another seed. ESS and R-hat in the answer
come from the same ArviZ functions for all, outside the timed part.
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
MEASURED = ("alpha", "half_saturation", "slope", "beta", "sigma")


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

    chosen = priors(options.prior, options.saturation)
    market, model = our_market(task, chosen), our_model(chosen, options.saturation)
    names = {"half_saturation": "rate"} if options.saturation == "logistic" else {}

    def fit(seed: int) -> Fit:
        posterior = fit_response(market, model, seed=seed)
        found = posterior.draws
        r_hat = max(float(convergence(x).rhat.max()) for x in found.values())
        draws = {n: found[names.get(n, n)] for n in MEASURED if names.get(n, n) in found}
        linear = found["coefficient"]  # the intercept, three controls, four seasons
        draws |= {"intercept": linear[..., 0], "controls": linear[..., 1:4]}
        draws["fourier"] = our_season_scale(chosen) * linear[..., 4:]
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


def numpyro(task, options, dense: bool = False, accept: float = 0.8) -> Engine:
    os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={options.chains}")
    import jax
    import numpyro as npr
    from numpyro.diagnostics import split_gelman_rubin
    from numpyro.infer import MCMC, NUTS
    from response_models import numpyro_arguments, numpyro_model
    from response_task import priors

    npr.enable_x64()
    kernel = NUTS(numpyro_model, dense_mass=dense, target_accept_prob=accept)
    mcmc = MCMC(
        kernel,
        num_warmup=options.tune,
        num_samples=options.draws,
        num_chains=options.chains,
        chain_method=options.chain_method,
        progress_bar=False,
    )
    data = (*numpyro_arguments(task), priors(options.prior, options.saturation))

    def fit(seed: int) -> Fit:
        mcmc.run(jax.random.key(seed), *data, options.saturation, extra_fields=("diverging",))
        draws = {k: np.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}
        r_hat = max(float(np.max(split_gelman_rubin(v))) for v in draws.values())
        return Fit(draws, r_hat, int(mcmc.get_extra_fields()["diverging"].sum()))

    return fit


def numpyro_dense(task, options) -> Engine:
    return numpyro(task, options, dense=True, accept=0.95)


def meridian(task, options) -> Engine:
    import arviz as az
    from response_models import meridian_model, meridian_scales
    from response_task import priors

    model = meridian_model(task, priors(options.prior, options.saturation), options.saturation)
    media, money = meridian_scales(task)
    names = {"alpha": "alpha_m", "half_saturation": "ec_m", "beta": "beta_m", "sigma": "sigma"}
    if options.saturation == "hill":
        names["slope"] = "slope_m"
    scale = {"half_saturation": media, "beta": money, "sigma": money}

    def fit(seed: int) -> Fit:
        adapt = options.tune // 2
        model.sample_posterior(
            options.chains, adapt, options.tune - adapt, options.draws, seed=seed
        )
        data = model.inference_data
        r_hat = float(az.rhat(data, var_names=list(names.values())).to_array().max())
        draws = {
            ours: data.posterior[theirs].values / scale.get(ours, 1.0)
            for ours, theirs in names.items()
        }
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
    "numpyro_dense": numpyro_dense,
    "meridian": meridian,
    "lightweight": lightweight,
}


# The measurement.


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Fit, fit again, and gather the numbers."""
    from response_task import generate

    task = generate(options.weeks, options.channels)
    engine = PEERS[options.peer](task, options)
    first = engine(options.seed)
    answer: dict[str, object] = {"peer": options.peer, "prior": options.prior}
    answer |= {"saturation": options.saturation, "weeks": options.weeks}
    answer |= {"channels": options.channels, "first_s": time.perf_counter() - STARTED}
    answer |= {f"first_{k}_s": v for k, v in first.seconds.items()}
    if not options.once:
        began = time.perf_counter()
        again = engine(options.seed + 1)
        answer["again_s"] = time.perf_counter() - began
        answer |= {f"again_{k}_s": v for k, v in again.seconds.items()}
    answer |= memory() | {"own_r_hat": first.r_hat, "divergences": first.divergences}
    answer |= diagnose(first.draws)
    answer["load"] = os.getloadavg()[0]
    if options.out:
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(options.out, **first.draws)
    return answer


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


def alone(peer: str, words: list[str]) -> None:
    """Run one peer in a fresh process with fresh compilation caches, unless --cache is given."""
    with tempfile.TemporaryDirectory() as fresh:
        cache = Path(words[words.index("--cache") + 1] if "--cache" in words else fresh).resolve()
        environment = os.environ | {
            "PYTENSOR_FLAGS": f"base_compiledir={cache / 'pytensor'}",
            "NUMBA_CACHE_DIR": str(cache / "numba"),
            "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        command = [sys.executable, __file__, peer, *words, "--here"]
        subprocess.run(command, env=environment, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=[*PEERS, "all"])
    parser.add_argument("--prior", choices=["easy", "hard"], default="easy")
    parser.add_argument("--saturation", default="michaelis_menten")
    for name, value in {"chains": 4, "tune": 1000, "draws": 1000, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--weeks", type=int, default=156)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--chain-method", default="parallel", help="NumPyro's")
    parser.add_argument("--once", action="store_true", help="no second fit")
    parser.add_argument("--cache", help="folder of compiled programs to use and to fill")
    parser.add_argument("--out", help="where the draws of the first fit go (.npz)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options)), flush=True)
        return
    words = [w for w in sys.argv[2:] if w != "all"]
    peers = PEERS if options.peer == "all" else [options.peer]
    for peer in peers:
        alone(peer, words)


if __name__ == "__main__":
    main()
