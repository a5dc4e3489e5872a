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
from jaxtyping import Array, ArrayLike, Float, Int, PyTree

from channelwise.learning.checks import TrainingError, as_input, check_settings, rows_of
from channelwise.learning.fit import shuffled
from channelwise.learning.models.pure import PureModel
from channelwise.learning.program import Program, Pure, Rows, State, begin, one_epoch


class Many(NamedTuple):
    """Trained models of one form.

    Attributes:
      first: the first member; the others differ from it in their parameters alone.
      params: parameters, the leading axis counts members; the best ones if there was validation.
      train_loss: of each member after each epoch; NaN from where a member diverged.
      validation_loss: the same for the validation rows; no columns without them.
      seeds: of each member.
      settings: of each member, by name.
    """

    first: PureModel
    params: PyTree
    train_loss: Float[np.ndarray, "member epoch"]
    validation_loss: Float[np.ndarray, "member epoch"]
    seeds: tuple[int, ...]
    settings: dict[str, tuple[float, ...]]

    def model(self, member: int) -> PureModel:
        """One of them."""
        return self.first._replace(params=jax.tree.map(lambda a: a[member], self.params))

    def predict(self, x: ArrayLike) -> Float[np.ndarray, "member row *output"]:
        """The outputs of every member for every row."""
        return np.asarray(_outputs(self.first.apply, self.params, as_input(x)))


def fit_many(
    build: Callable[[int], PureModel],
    loss: Callable[..., Array],
    data: tuple[ArrayLike, ArrayLike],
    *,
    seeds: Sequence[int],
    settings: dict[str, Sequence[float]] | None = None,
    optimizer: Callable[..., optax.GradientTransformation] | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    epochs: int = 10,
    batch_size: int = 32,
) -> Many:
    """Train one model for each seed (and setting) to the same data; each as `fit` would alone.

    On a processor the members are dealt out to the cores and each core keeps two at a time in its
    cache; on an accelerator all of them advance together (`vmap`).

    Args:
      build: makes the untrained model of a seed; all must have the same form.
      loss: a loss of `foundations.losses`.
      data: (x, y), the same for all; every member shuffles them by its own seed.
      seeds: one for each member, ≥ 0.
      settings: arguments of `optimizer`, one value for each member, such as
        {"learning_rate": [1e-4, 1e-3, 1e-2]}; step size 1e-3 for all if None.
      optimizer: makes an optax transformation from one member's settings; `optax.adam` if None.
      validation: (x, y); the parameters kept are those of each member's best epoch.
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
    held_out = None if validation is None else rows_of(validation, "validation")
    models = [build(seed) for seed in seeds]
    form = _Form(Pure(models[0].apply), loss, optimizer or optax.adam)
    batch = min(batch_size, len(rows.x))
    train = partial(_train, form, rows, held_out, epochs, batch)
    groups = _groups(len(seeds))
    parts = [
        (
            jax.tree.map(lambda *leaves: np.stack(leaves), *(models[i].params for i in group)),
            {name: np.asarray([v[i] for i in group], np.float32) for name, v in settings.items()},
            [seeds[i] for i in group],
        )
        for group in groups
    ]
    with ThreadPoolExecutor(len(parts)) as pool:
        trained = list(pool.map(lambda part: train(*part), parts))
    params, losses = jax.tree.map(lambda *leaves: np.concatenate(leaves), *trained)
    return Many(
        models[0],
        params,
        losses[..., 0],
        losses[..., 1] if held_out is not None else losses[..., :0].reshape(len(seeds), 0),
        tuple(seeds),
        {name: tuple(map(float, values)) for name, values in settings.items()},
    )


class _Form(NamedTuple):
    """What all members share when they are compiled."""

    model: Pure
    loss: Callable[..., Array]
    optimizer: Callable[..., optax.GradientTransformation]

    def program(self, setting: dict[str, Array]) -> Program:
        return Program(self.model, self.loss, self.optimizer(**setting))


def _train(
    form: _Form,
    data: Rows,
    validation: Rows | None,
    epochs: int,
    batch_size: int,
    params: PyTree,
    settings: dict[str, np.ndarray],
    seeds: list[int],
) -> tuple[PyTree, Float[np.ndarray, "member epoch loss"]]:
    """A group of members through all epochs; the orders of the next one are drawn meanwhile."""
    state = _begin(form, settings, params, validation is not None)

    def draw(number: int) -> tuple[Int[np.ndarray, "member step batch"], np.ndarray]:
        drawn = [shuffled(len(data.x), batch_size, seed, number) for seed in seeds]
        return np.stack([order for order, _ in drawn]), drawn[0][1]

    order, seen = draw(0), []
    for number in range(1, epochs + 1):
        state, losses = _epoch(form, state, settings, data, validation, *order)
        order = draw(number)
        seen.append(np.stack([np.asarray(value) for value in losses[:2]], axis=-1))
    final = state.params if validation is None else state.best[0]
    return jax.tree.map(np.asarray, final), np.stack(seen, axis=1).astype(np.float64)


@partial(jax.jit, static_argnames=("form", "keep_best"))
def _begin(form: _Form, settings: dict[str, Array], params: PyTree, keep_best: bool) -> State:
    def one(setting: dict[str, Array], own: PyTree) -> State:
        return begin(form.program(setting), own, (), keep_best)

    return _each(one)(settings, params)


@partial(jax.jit, static_argnames="form", donate_argnames="state")
def _epoch(
    form: _Form,
    state: State,
    settings: dict[str, Array],
    data: Rows,
    validation: Rows | None,
    order: Int[Array, "member step batch"],
    weights: Float[Array, "step batch"],
) -> tuple[State, tuple[Array, ...]]:
    def one(own: State, setting: dict[str, Array], rows: Array) -> tuple[State, tuple[Array, ...]]:
        program = form.program(setting)
        return one_epoch(program, own, data, validation, rows, weights, jnp.float32(0))

    return _each(one)(state, settings, order)


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


@partial(jax.jit, static_argnames="apply")
def _outputs(apply: Callable[..., Array], params: PyTree, x: Array) -> Array:
    return jax.vmap(apply, in_axes=(0, None))(params, x)
