"""One posterior density, three programs: PyMC-Marketing's graph, plain NumPyro, and ours.

    python benchmarks/response_exact.py

At 50 random points of the shared task's parameters theta (alpha, lambda, beta, sigma and the
baseline's coefficients gamma), on their natural scale:

    PyMC      mmm.model, value transforms removed, compile_logp()            ln p(y, theta, gamma)
    NumPyro   numpyro.infer.util.log_density                                 ln p(y, theta, gamma)
    ours      density.log_density(e) - ln |det d theta / d e|                ln p(y, theta)

Ours has gamma integrated out, so the two are joined by the conditional density of gamma, a normal
one, which is computed here by itself with dense linear algebra:

    ln p(y, theta) = ln p(y, theta, gamma) - ln N(gamma; m(theta), S(theta))      for every gamma

The points are drawn in the coordinates e of our sampler, about its prior, so that the transforms
and their Jacobians are tested too. No constant is fitted: all differences must vanish themselves.
Exits with 1 if one exceeds 1e-8.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from response_models import (
    PYMC_CURVES,
    PYMC_NAMES,
    conditional,
    numpyro_arguments,
    numpyro_model,
    our_market,
    our_model,
    pymc_mmm,
)
from response_task import Prior, Saturation, Task, generate, priors

POINTS, BOUND = 50, 1e-8
Point = dict[str, np.ndarray]


def ours(task: Task, chosen: dict[str, Prior], saturation: Saturation):
    """e -> ln p(y, theta) and theta, from the library's density and its Jacobian."""
    from channelwise.response.density import log_density
    from channelwise.response.design import design

    problem = design(our_market(task, chosen), our_model(chosen, saturation))
    names = {"half_saturation": "rate"} if saturation == "logistic" else {}
    shapes = [n for n in ("alpha", "half_saturation", "slope") if n in chosen]

    def theta(values):
        parts = {n: values.named[names.get(n, n)] for n in shapes}
        return parts | {"beta": values.beta, "sigma": values.sigma}

    def flat(e):
        values = theta(log_density(e, problem.design, problem.layout)[1])
        return jnp.concatenate([jnp.ravel(v) for v in values.values()])

    @jax.jit
    def evaluate(e):
        density, values = log_density(e, problem.design, problem.layout)
        return density - jnp.linalg.slogdet(jax.jacfwd(flat)(e))[1], theta(values)

    return evaluate, problem.layout.dimension


def normal_density(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    lower = np.linalg.cholesky(covariance)
    z = np.linalg.solve(lower, x - mean)
    return -0.5 * z @ z - np.log(np.diag(lower)).sum() - 0.5 * len(x) * np.log(2 * np.pi)


def numpyro_density(task: Task, chosen: dict[str, Prior], saturation: Saturation):
    from numpyro.infer.util import log_density

    data = (*numpyro_arguments(task), chosen, saturation)
    return jax.jit(lambda point: log_density(numpyro_model, data, {}, point)[0])


def pymc_density(task: Task, chosen: dict[str, Prior], saturation: Saturation):
    from pymc.model.transform.conditioning import remove_value_transforms

    mmm, x, y = pymc_mmm(task, chosen, saturation)
    mmm.build_model(x, y)
    model = remove_value_transforms(mmm.model)
    logp = model.compile_logp(jacobian=False)
    names = PYMC_NAMES | PYMC_CURVES[saturation]
    wanted = {v.name: v for v in model.value_vars}
    return lambda point: float(logp({names[n]: v for n, v in point.items() if names[n] in wanted}))


def compare(kind: str, saturation: Saturation) -> float:
    """The largest difference between any two of the three at any point."""
    task, chosen = generate(), priors(kind, saturation)
    evaluate, dimension = ours(task, chosen, saturation)
    peers = {
        "NumPyro": numpyro_density(task, chosen, saturation),
        "PyMC": pymc_density(task, chosen, saturation),
    }
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(POINTS):
        density, theta = evaluate(rng.standard_normal(dimension))
        point = {name: np.asarray(v) for name, v in theta.items()}
        mean, covariance = conditional(task, chosen, point, saturation)
        gamma = mean + np.linalg.cholesky(covariance) @ rng.standard_normal(len(mean))
        whole = point | {"intercept": gamma[0], "controls": gamma[1:4], "fourier": gamma[4:]}
        for name, peer in peers.items():
            collapsed = float(peer(whole)) - normal_density(gamma, mean, covariance)
            found[name].append(float(density) - collapsed)
    for name, differences in found.items():
        worst = np.abs(differences).max()
        print(f"{saturation}, {kind}: ours - {name}: at most {worst:.1e} at {POINTS} points")
    return max(np.abs(d).max() for d in found.values())


def main() -> int:
    jax.config.update("jax_enable_x64", True)
    cases = [("easy", "michaelis_menten"), ("hard", "michaelis_menten")]
    cases += [("easy", "logistic"), ("hard", "hill")]
    return int(max(compare(*case) for case in cases) > BOUND)


if __name__ == "__main__":
    sys.exit(main())
