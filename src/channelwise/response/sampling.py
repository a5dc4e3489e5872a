"""From a problem to draws: warm up until the chains agree, then sample until they say enough.

All decisions are taken on the host between chunks of `hmc.chunk`: the metric (from all chains
together), the step size, whether the warm-up is over, whether more draws are needed, and whether
the job has to be handed to the slower, more careful sampler (`nuts`).
"""

from collections.abc import Generator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from channelwise.response import hmc
from channelwise.response.density import unpacked
from channelwise.response.design import Problem
from channelwise.response.diagnostics import RHAT_LIMIT, Convergence, convergence, rank_rhat

ACCEPTANCES = (0.8, 0.95, 0.99)
"""Mean acceptance aimed at; the next one where a transition diverged."""

EXTENSIONS = 4
"""How often the draws are doubled while they are not enough."""

_LENGTH = 2.2  # of a trajectory in the metric's units; times U(0.3, 1)
_AGREE = 1.1  # R-hat of a warm-up window that counts as agreement
_WINDOWS = (4, 24)  # fewest and most warm-up chunks


class Request(NamedTuple):
    """A chunk that a sampler asks for: the arguments of `hmc.chunk` but for data and layout."""

    position: Float[np.ndarray, "chain dimension"]
    tuning: hmc.Tuning
    noise: hmc.Noise
    adapt: np.ndarray
    target: np.ndarray


Sampler = Generator[Request, tuple[hmc.Tuning, hmc.Trace], "Samples"]
"""Asks for chunks and ends with the draws, so that many samplers can share a compiled program."""


class Adaptation(NamedTuple):
    """Where a sampler stood at its end: enough to go on, or to start next week's fit."""

    position: Float[np.ndarray, "chain dimension"]
    root: Float[np.ndarray, "dimension dimension"]
    log_step: float


class Samples(NamedTuple):
    """Draws of all chains (chain, draw, …) and how they came about."""

    position: Float[np.ndarray, "chain draw dimension"]
    rhat: float  # the largest of any coordinate
    values: tuple  # density.Values with leading axes (chain, draw)
    energy: Float[np.ndarray, "chain draw"]
    acceptance: Float[np.ndarray, "chain draw"]
    diverging: np.ndarray
    steps: Float[np.ndarray, "chain draw"]
    adaptation: Adaptation
    warmup: int  # iterations a chain


def sample(
    problem: Problem,
    *,
    chains: int = 8,
    draws: int = 500,
    seed: int = 0,
    start: Adaptation | None = None,
    extensions: int = EXTENSIONS,
    acceptance: float = ACCEPTANCES[0],
) -> Samples:
    """Draws from the posterior of a problem by cross-chain HMC.

    Args:
        problem: the market and the model.
        chains: number of chains, at least 4: the metric is estimated from all of them.
        draws: draws a chain, rounded up to a multiple of `hmc.CHUNK`.
        seed: of the random numbers.
        start: where an earlier fit of the same layout ended, to skip most of the warm-up.
        extensions: how often the draws may be doubled while `is_enough` says no.
        acceptance: mean acceptance that the step size aims at; higher means smaller steps.

    Returns:
        The draws, which may still not be enough (the caller decides what then).
    """
    sampler = _sampler(problem, chains, draws, seed, start, extensions, acceptance)
    request = next(sampler)
    try:
        while True:
            answer = hmc.chunk(*request, problem.design, layout=problem.layout)
            request = sampler.send(jax.device_get(answer))
    except StopIteration as end:
        return end.value


def sample_many(
    problems: list[Problem], *, chains: int = 8, draws: int = 500, seed: int = 0
) -> list[Samples]:
    """`sample` for many problems of one layout at once, in one compiled program.

    On an accelerator, which one market cannot fill, this costs little more than one of them; on a
    processor it costs what they cost one after another. Each problem has its own metric, step size
    and random numbers; one that is done waits for the others.

    Args:
        problems: markets in a model's units, all of the same layout.
        chains: of each.
        draws: a chain.
        seed: the i-th problem is drawn with seed + i, as `sample` would with that seed but for the
            rounding of a batched program.
    """
    layouts = {problem.layout for problem in problems}
    if len(layouts) != 1:
        raise ValueError(f"sample_many needs problems of one layout, not of {len(layouts)}.")
    data = jax.tree.map(lambda *x: np.stack(x), *(problem.design for problem in problems))
    samplers = [
        _sampler(problem, chains, draws, seed + i, None, EXTENSIONS, ACCEPTANCES[0])
        for i, problem in enumerate(problems)
    ]
    requests = [next(sampler) for sampler in samplers]
    done: dict[int, Samples] = {}
    while len(done) < len(samplers):
        stacked = jax.tree.map(lambda *x: np.stack(x), *requests)
        answers = jax.device_get(hmc.chunk_many(*stacked, data, layout=problems[0].layout))
        for i, sampler in enumerate(samplers):
            if i in done:
                continue
            try:
                requests[i] = sampler.send(jax.tree.map(lambda x, i=i: x[i], answers))
            except StopIteration as end:
                done[i] = end.value
    return [done[i] for i in range(len(samplers))]


def _sampler(
    problem: Problem,
    chains: int,
    draws: int,
    seed: int,
    start: Adaptation | None,
    extensions: int,
    acceptance: float,
) -> Sampler:
    rng = np.random.default_rng(seed)
    if start is None:
        position = _scattered(problem, chains, rng)
        position, tuning, warmup = yield from _warm_up(position, rng, acceptance)
    else:
        position, tuning, warmup = yield from _go_on(start, chains, rng, acceptance)
    traces: list[hmc.Trace] = []
    wanted = -(-draws // hmc.CHUNK)
    for _ in range(extensions + 1):
        while len(traces) < wanted:
            _, trace = yield _request(position, tuning, rng, 0.0)
            position = trace.position[-1]
            traces.append(trace)
        drawn = np.concatenate([t.position for t in traces]).swapaxes(0, 1)
        known = convergence(drawn)
        if is_enough(known):
            break
        wanted *= 2
    joined = jax.tree.map(lambda *parts: np.concatenate(parts), *traces)
    steps = np.broadcast_to(joined.steps[:, None], joined.energy.shape)
    by_chain = joined._replace(steps=steps.astype(float))
    by_chain = jax.tree.map(lambda x: x.swapaxes(0, 1), by_chain)
    return Samples(
        position=by_chain.position,
        rhat=float(known.rhat.max()),
        values=unpacked(by_chain.values, problem.layout),
        energy=by_chain.energy,
        acceptance=by_chain.acceptance,
        diverging=by_chain.error > hmc.DIVERGENT,
        steps=by_chain.steps,
        adaptation=Adaptation(position, np.asarray(tuning.root), float(tuning.log_step)),
        warmup=warmup,
    )


def is_enough(known: Convergence) -> bool:
    """R-hat at most 1.01 and at least 1,000 effective draws of the bulk, 400 of the tails."""
    return bool(
        known.rhat.max() <= RHAT_LIMIT
        and known.ess_bulk.min() >= 1000
        and known.ess_tail.min() >= 400
    )


def _scattered(problem: Problem, chains: int, rng: np.random.Generator) -> np.ndarray:
    """Starts spread around the prior's middle."""
    return 0.5 * rng.standard_normal((chains, problem.layout.dimension))


def _warm_up(position: np.ndarray, rng: np.random.Generator, acceptance: float):
    """Windows of one chunk each: after each a new metric, until a window's chains agree."""
    dimension = position.shape[1]
    tuning = _fresh(np.eye(dimension), np.log(0.1))
    history: list[np.ndarray] = []
    for window in range(1, _WINDOWS[1] + 1):
        tuning, trace = yield _request(position, tuning, rng, acceptance)
        position = trace.position[-1]
        history.append(trace.position)
        kept = np.concatenate(history[len(history) // 2 :])
        root = metric_root(kept.reshape(-1, dimension))
        settled = window >= _WINDOWS[0] and rank_rhat(kept.swapaxes(0, 1)).max() < _AGREE
        first = window == 1
        tuning = _fresh(root, np.log(0.5) if first else float(tuning.averaged))
        if settled:
            break
    tuning, trace = yield _request(position, tuning, rng, acceptance)
    return trace.position[-1], _settled(tuning), (window + 1) * hmc.CHUNK


def _go_on(start: Adaptation, chains: int, rng: np.random.Generator, acceptance: float):
    """One chunk to settle from an earlier fit's end."""
    position = start.position[np.arange(chains) % len(start.position)]
    tuning = _fresh(start.root, float(start.log_step))
    tuning, trace = yield _request(position, tuning, rng, acceptance)
    return trace.position[-1], _settled(tuning), hmc.CHUNK


def _fresh(root: np.ndarray, log_step: float) -> hmc.Tuning:
    """Dual averaging from the beginning."""
    return hmc.Tuning(root, log_step, log_step, log_step, 0.0, 0.0)


def _settled(tuning: hmc.Tuning) -> hmc.Tuning:
    """The averaged step size, for good."""
    return tuning._replace(log_step=tuning.averaged)


def _request(
    position: np.ndarray, tuning: hmc.Tuning, rng: np.random.Generator, aim: float
) -> Request:
    """One chunk, its random numbers drawn here; the step adapts where an acceptance is aimed at."""
    n, (chains, dimension) = hmc.CHUNK, position.shape
    noise = hmc.Noise(
        rng.standard_normal((n, chains, dimension)),
        np.log1p(-rng.random((n, chains))),
        _LENGTH * rng.uniform(0.3, 1.0, n),
    )
    # Plain float64 arrays throughout: a Python number would be another type, and compile anew.
    given = Request(position, tuning, noise, float(aim > 0), aim)
    return jax.tree.map(lambda x: np.asarray(x, np.float64), given)


def metric_root(draws: Float[np.ndarray, "draw dimension"]) -> np.ndarray:
    """L with L L′ near the covariance of the draws, shrunk towards its diagonal.

    The draws of one window are correlated: about one in ten counts.
    """
    n = len(draws) / 10
    covariance = np.atleast_2d(np.cov(draws.T))
    spread = np.sqrt(np.diag(covariance)) + 1e-9
    correlation = covariance / np.outer(spread, spread)
    share = n / (n + 5 + 0.5 * draws.shape[1])
    correlation = share * correlation + (1 - share) * np.eye(len(spread))
    return np.linalg.cholesky(correlation + 1e-9 * np.eye(len(spread))) * spread[:, None]
