"""The careful sampler: NUTS with a dense metric and an acceptance of 0.95, each chain on its own.

It is ten to a hundred times slower than `sampling.sample` and is asked only where that one's chains
did not agree: several modes, or a posterior that one metric cannot straighten. The log density and
the coordinates are the same.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from channelwise.response.density import log_density
from channelwise.response.design import Design, Problem
from channelwise.response.diagnostics import rank_rhat
from channelwise.response.layout import Layout
from channelwise.response.sampling import Adaptation, Samples


class _Info(NamedTuple):
    """What NUTS tells of its iterations."""

    energy: Array
    acceptance_rate: Array
    is_divergent: Array
    num_integration_steps: Array


def sample_carefully(
    problem: Problem,
    *,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 1000,
    seed: int = 0,
    acceptance: float = 0.95,
) -> Samples:
    """Draws from the posterior of a problem by NUTS (blackjax, window adaptation).

    Args:
        problem: the market and the model.
        chains: independent chains, each with a metric and a step size of its own.
        warmup: iterations a chain that adapt them and are thrown away.
        draws: iterations a chain that are kept.
        seed: of the random numbers.
        acceptance: mean acceptance that the step size aims at.
    """
    positions = 0.5 * np.random.default_rng(seed).standard_normal(
        (chains, problem.layout.dimension)
    )
    keys = jax.random.split(jax.random.key(seed), chains)
    given = (jnp.asarray(positions), keys, jax.tree.map(jnp.asarray, problem.design))
    # blackjax adds booleans and integers, which JAX can be told to refuse.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        (position, info, step, root), values = jax.device_get(
            _chains(*given, problem.layout, warmup, draws, acceptance)
        )
    adaptation = Adaptation(position[:, -1], root[0], float(np.log(step).mean()))
    rhat = float(rank_rhat(position).max())
    return Samples(
        position, rhat, values, info.energy, info.acceptance_rate, info.is_divergent,
        info.num_integration_steps.astype(float), adaptation, warmup,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("layout", "warmup", "draws", "acceptance"))
def _chains(positions, keys, data: Design, layout: Layout, warmup, draws, acceptance):
    """All chains, and what each of their positions stands for."""
    run = functools.partial(
        _chain, layout=layout, warmup=warmup, draws=draws, acceptance=acceptance
    )
    found = jax.vmap(run, in_axes=(0, 0, None))(positions, keys, data)
    values_at = lambda q: log_density(q, data, layout)[1]  # noqa: E731
    return found, jax.vmap(jax.vmap(values_at))(found[0])


def _chain(position, key, data: Design, *, layout: Layout, warmup, draws, acceptance):
    import blackjax

    density = lambda q: log_density(q, data, layout)[0]  # noqa: E731
    adapting, sampling = jax.random.split(key)
    window = blackjax.window_adaptation(
        blackjax.nuts, density, is_mass_matrix_diagonal=False, target_acceptance_rate=acceptance
    )
    (state, parameters), _ = window.run(adapting, position, num_steps=warmup)
    kernel = blackjax.nuts(density, **parameters)

    def move(state, key):
        state, info = kernel.step(key, state)
        kept = (info.energy, info.acceptance_rate, info.is_divergent, info.num_integration_steps)
        return state, (state.position, _Info(*kept))

    _, (path, info) = jax.lax.scan(move, state, jax.random.split(sampling, draws))
    root = jnp.linalg.cholesky(parameters["inverse_mass_matrix"])
    return path, info, parameters["step_size"], root
