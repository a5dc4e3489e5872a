"""Many small models at once: seeds, step sizes and other settings, side by side."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PyTree, Shaped

from channelwise.learning.batches import shuffled
from channelwise.learning.checks import (
    Pair,
    TrainingError,
    as_inputs,
    check_settings,
    groups_of,
    rows_of,
)
from channelwise.learning.models.apart import Module, Pure, take_apart
from channelwise.learning.program import Program, Rows, State, begin, stretch


class Many(NamedTuple):
    """Trained models of one form.

    Attributes:
      first: the first member, untrained; the others have its form.
      params: parameters, the leading axis counts members; the best ones if there was validation.
      rest: the members' other state (running means), stacked like the parameters.
      train_loss: of each member after each epoch; NaN from where a member diverged.
      validation_loss: the same for the validation rows; no columns without them.
      seeds: of each member.
      settings: of each member, by name.
    """

    first: Any
    params: PyTree
    rest: PyTree
    train_loss: Float[np.ndarray, "member epoch"]
    validation_loss: Float[np.ndarray, "member epoch"]
    seeds: tuple[int, ...]
    settings: dict[str, tuple[float, ...]]

    def model(self, member: int) -> Any:
        """One of them, of the kind that `build` makes."""
        own = jax.tree.map(lambda a: a[member], (self.params, self.rest))
        return take_apart(self.first)[0].rebuild(self.first, *own)

    def predict(self, x: PyTree) -> Float[np.ndarray, "member row *output"]:
        """The outputs of every member for every row."""
        how = take_apart(self.first)[0]
        return np.asarray(_outputs(how, self.params, self.rest, as_inputs(x)))


def fit_many(
    build: Callable[[int], Any],
    loss: Callable[..., Array],
    data: Pair,
    *,
    seeds: Sequence[int],
    settings: dict[str, Sequence[float]] | None = None,
    optimizer: Callable[..., optax.GradientTransformation] | None = None,
    validation: Pair | None = None,
    augment: Callable[..., tuple[PyTree, PyTree]] | None = None,
    epochs: int = 10,
    batch_size: int = 32,
) -> Many:
    """Train one model for each seed (and setting) to the same data; each as `fit` would alone.

    On a processor the members are dealt out to the cores and each core keeps two at a time in its
    cache; on an accelerator all of them advance together (`vmap`).

    Args:
      build: makes the untrained model of a seed, a `flax.nnx` module or a `PureModel`; all must
        have the same form.
      loss: a loss of `foundations.losses`.
      data: (x, y), arrays or trees of arrays, the same for all; every member shuffles them by its
        own seed.
      seeds: one for each member, ≥ 0.
      settings: arguments of `optimizer`, one value for each member, such as
        {"learning_rate": [1e-4, 1e-3, 1e-2]}; step size 1e-3 for all if None.
      optimizer: makes an optax transformation from one member's settings; `optax.adam` if None.
      validation: (x, y); the parameters kept are those of each member's best epoch.
      augment: (key, x, y) to (x, y), applied to each training batch; keys by the member's seed.
      epochs: passes over the data, ≥ 1; nobody stops early.
      batch_size: rows a step, ≥ 1.

    Returns:
      The members in the order of `seeds`. A member that diverges has NaN losses; the others are
      not touched.

    Raises:
      TrainingError: if the data, the seeds or the settings cannot be trained with.
    """
    settings = settings or {"learning_rate": [1e-3] * len(seeds)}
    _check_members(seeds, settings)
    check_settings(epochs, batch_size, min(seeds), None, 0.0, validation, 1)
    rows = rows_of(data, "data")
    held_out = () if validation is None else groups_of(validation, "validation")
    models = [build(seed) for seed in seeds]
    apart = [take_apart(model) for model in models]
    form = _Form(apart[0][0], loss, optimizer or optax.adam, augment)
    train = partial(_train, form, rows, held_out, epochs, min(batch_size, rows.count))
    parts = [
        (
            _stacked([apart[i][1:] for i in group]),
            {name: np.asarray([v[i] for i in group], np.float32) for name, v in settings.items()},
            [seeds[i] for i in group],
        )
        for group in _groups(len(seeds))
    ]
    with ThreadPoolExecutor(len(parts)) as pool:
        trained = list(pool.map(lambda part: train(*part), parts))
    (params, rest), losses = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trained)
    losses = np.asarray(losses, np.float64)
    return Many(
        models[0],
        params,
        rest,
        losses[..., 0],
        losses[..., 1:].reshape(len(seeds), -1),
        tuple(seeds),
        {name: tuple(map(float, values)) for name, values in settings.items()},
    )


class _Form(NamedTuple):
    """What all members share when they are compiled."""

    model: Pure | Module
    loss: Callable[..., Array]
    optimizer: Callable[..., optax.GradientTransformation]
    augment: Callable[..., tuple[PyTree, PyTree]] | None

    def program(self, setting: dict[str, Array]) -> Program:
        return Program(self.model, self.loss, self.optimizer(**setting), self.augment)


def _train(
    form: _Form,
    data: Rows,
    validation: tuple[Rows, ...],
    epochs: int,
    batch_size: int,
    model: tuple[PyTree, PyTree],
    settings: dict[str, np.ndarray],
    seeds: list[int],
) -> tuple[PyTree, Float[Array, "member epoch loss"]]:
    """A group of members through all epochs; the orders of the next one are drawn meanwhile."""
    state = _begin(form, settings, model, bool(validation))

    def draw(number: int) -> tuple[Int[np.ndarray, "member step slot"], np.ndarray]:
        drawn = [shuffled(data.count, batch_size, seed, number) for seed in seeds]
        return np.stack([order for order, _ in drawn]), drawn[0][1]

    own, (order, weights), seen = np.asarray(seeds, np.uint32), draw(0), []
    for number in range(1, epochs + 1):
        state, losses = _epoch(form, state, settings, own, data, validation, order, weights)
        order, _ = draw(number)
        seen.append(np.asarray(losses))
    final = state.best if validation else (state.params, state.rest)
    return final, jnp.asarray(np.stack(seen, axis=1))


@partial(jax.jit, static_argnames=("form", "keep_best"))
def _begin(
    form: _Form, settings: dict[str, Array], model: tuple[PyTree, PyTree], keep_best: bool
) -> State:
    def one(setting: dict[str, Array], own: tuple[PyTree, PyTree]) -> State:
        return begin(form.program(setting), *own, keep_best)

    return _each(one)(settings, model)


@partial(jax.jit, static_argnames="form", donate_argnames="state")
def _epoch(
    form: _Form,
    state: State,
    settings: dict[str, Array],
    seeds: Shaped[Array, " member"],
    data: Rows,
    validation: tuple[Rows, ...],
    order: Int[Array, "member step slot"],
    weights: Float[Array, "step slot"],
) -> tuple[State, Float[Array, "member loss"]]:
    def one(own: State, setting: dict[str, Array], seed: Array, rows: Array) -> Any:
        program = form.program(setting)
        own, told = stretch(program, own, data, validation, rows, weights, seed, jnp.float32(0))
        return own, told[jnp.array([0, 3] if validation else [0])]

    return _each(one)(state, settings, seeds, order)


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """Pair after pair in the cache of a core (measured: 15 % less time than one by one, and less
    than fours), or all together on an accelerator."""
    if jax.default_backend() == "cpu":
        return lambda *args: lax.map(lambda own: function(*own), args, batch_size=2)
    return jax.vmap(function)


def _groups(members: int) -> list[np.ndarray]:
    """Members of each thread: one thread a core on a processor, one in all on an accelerator."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = (cores or 1) if jax.default_backend() == "cpu" else 1
    return np.array_split(np.arange(members), min(threads, members))


def _check_members(seeds: Sequence[int], settings: dict[str, Sequence[float]]) -> None:
    if len(seeds) == 0:
        raise TrainingError("seeds is empty: give at least one, such as range(8).")
    for name, values in settings.items():
        if len(values) != len(seeds):
            raise TrainingError(
                f"settings[{name!r}] has {len(values)} values for {len(seeds)} seeds: give one "
                "value for each seed (repeat the seeds to make a grid)."
            )


def _stacked(trees: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@partial(jax.jit, static_argnames="how")
def _outputs(how: Pure | Module, params: PyTree, rest: PyTree, x: PyTree) -> Array:
    return jax.vmap(how.evaluate, in_axes=(0, 0, None))(params, rest, x)
