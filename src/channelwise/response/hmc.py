"""Cross-chain Hamiltonian Monte Carlo: many short trajectories, one metric, one step size.

All chains move at once through one compiled program of fixed length: no tree, no recompilation, and
between its calls the host re-estimates the metric from all chains together. In the metric's
coordinates the posterior is near N(0, I), where a trajectory of about a quarter turn decorrelates
best; its length is jittered so that no period of the target is met. Chains share the step size
(dual averaging towards a mean acceptance of 0.8, Hoffman & Gelman 2014) and the number of steps, so
no chain waits for another.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from channelwise.response.density import packed, packed_size
from channelwise.response.design import Design
from channelwise.response.layout import Layout

CHUNK = 50
"""Iterations of one call of the compiled program."""

DIVERGENT = 1000.0
"""Energy error of a divergence, as in Stan."""

_MAX_STEPS = 100  # of a trajectory: bounds what a step size gone small can cost
_GAMMA, _T0, _KAPPA = 0.05, 10.0, 0.75  # dual averaging


class Tuning(NamedTuple):
    """What the chains share. `root` L: velocities are L p, the metric's inverse is L L′."""

    root: Float[Array | np.ndarray, "dimension dimension"]
    log_step: Float[Array, ""] | float
    averaged: Float[Array, ""] | float  # ln step, averaged over the adapting iterations
    centre: Float[Array, ""] | float  # ln step that dual averaging is drawn to
    error: Float[Array, ""] | float
    count: Float[Array, ""] | float


class Trace(NamedTuple):
    """What a chunk recorded, iteration first."""

    position: Float[Array, "draw chain dimension"]
    values: Float[Array, "draw chain packed"]  # see density.unpacked
    energy: Float[Array, "draw chain"]
    acceptance: Float[Array, "draw chain"]
    error: Float[Array, "draw chain"]  # of the energy, along the trajectory
    steps: Float[Array, " draw"]


class Noise(NamedTuple):
    """Random numbers of a chunk, drawn on the host: nothing of them is compiled."""

    momentum: Float[np.ndarray, "draw chain dimension"]
    log_uniform: Float[np.ndarray, "draw chain"]
    length: Float[np.ndarray, " draw"]  # trajectory lengths


def _chunk(
    position: Float[Array, "chain dimension"],
    tuning: Tuning,
    noise: Noise,
    adapt: Float[Array, ""],
    target: Float[Array, ""],
    data: Design,
    layout: Layout,
) -> tuple[Tuning, Trace]:
    """CHUNK iterations of all chains; the step size adapts where `adapt` is 1."""
    gradients = packed(layout)
    chains = position.shape[0]
    root = tuning.root

    def leapfrog(_, carry):
        q, p, _, g, step = carry
        q = q + step * (p + 0.5 * step * (g @ root)) @ root.T
        (value, values), new = gradients(q, data)
        p = p + 0.5 * step * ((g + new) @ root)
        return q, p, jnp.concatenate([value[:, None], values], axis=1), new, step

    def iterate(carry, given):
        (q, known, g), tuning = carry
        # The first evaluation is a move of no length: the density then stands once in the program.
        begun = jnp.isfinite(known[0, 0])
        step = jnp.where(begun, jnp.exp(tuning.log_step), 0.0)
        steps = jnp.clip(jnp.ceil(given.length / jnp.exp(tuning.log_step)), 1, _MAX_STEPS)
        steps = jnp.where(begun, steps, 1).astype(jnp.int32)
        start = (q, given.momentum, known, g, step)
        new_q, p, new, new_g, _ = jax.lax.fori_loop(0, steps, leapfrog, start)
        kinetic = 0.5 * jnp.sum(given.momentum**2, axis=1)
        error = 0.5 * jnp.sum(p**2, axis=1) - new[:, 0] - kinetic + known[:, 0]
        error = jnp.where(begun, jnp.where(jnp.isnan(error), jnp.inf, error), 0.0)
        accepted = (given.log_uniform < -error)[:, None]
        q, known, g = (jnp.where(accepted, b, a) for a, b in ((q, new_q), (known, new), (g, new_g)))
        acceptance = jnp.exp(jnp.minimum(0.0, -error))
        tuning = _tuned(tuning, jnp.mean(acceptance), target, jnp.where(begun, adapt, 0.0))
        energy = kinetic - known[:, 0]
        return ((q, known, g), tuning), Trace(q, known[:, 1:], energy, acceptance, error, steps)

    unknown = jnp.full((chains, 1 + packed_size(layout)), -jnp.inf)
    (_, tuning), trace = jax.lax.scan(
        iterate, ((position, unknown, jnp.zeros_like(position)), tuning), noise
    )
    return tuning, trace


def _chunk_many(*given, layout: Layout) -> tuple[Tuning, Trace]:
    """`chunk` for many problems of one layout: every array has a leading axis of problems."""
    return jax.vmap(functools.partial(_chunk, layout=layout))(*given)


_compiled = functools.partial(
    jax.jit,
    static_argnames="layout",
    compiler_options={"xla_cpu_use_fusion_emitters": False},  # compiles in two thirds of the time
)


def _tuned(tuning: Tuning, acceptance: Array, target: Array, adapt: Array) -> Tuning:
    """One step of dual averaging on ln step; nothing where `adapt` is 0."""
    count = tuning.count + adapt
    weight = adapt / (count + _T0)
    error = (1 - weight) * tuning.error + weight * (target - acceptance)
    fresh = tuning.centre - jnp.sqrt(count) / _GAMMA * error
    log_step = jnp.where(adapt > 0, fresh, tuning.log_step)
    share = adapt * jnp.exp(-_KAPPA * jnp.log(jnp.maximum(count, 1.0)))
    averaged = (1 - share) * tuning.averaged + share * log_step
    return tuning._replace(log_step=log_step, averaged=averaged, error=error, count=count)


chunk = _compiled(_chunk)
chunk_many = _compiled(_chunk_many)
