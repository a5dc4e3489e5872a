"""Several devices on one batch: those of one process, or of many joined by `jax.distributed`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

SILENCE_S = 30
"""Seconds of silence after which a process of a group counts as dead, and the others end."""


def mesh(devices: int | Sequence[Any] | None = None) -> Mesh:
    """The devices that share each batch, along one axis named `batch`, for `fit(..., mesh=)`.

    Args:
      devices: how many of the devices JAX sees, or the devices themselves; all of them if None.

    Raises:
      ValueError: if there are not that many.
    """
    seen = jax.devices()
    if isinstance(devices, int) and not 1 <= devices <= len(seen):
        raise ValueError(
            f"devices = {devices}, but JAX sees {len(seen)}: ask for 1 to {len(seen)}. "
            "On a processor, XLA_FLAGS=--xla_force_host_platform_device_count=N, set before JAX "
            "starts, makes N virtual ones."
        )
    chosen = seen if devices is None else seen[:devices] if isinstance(devices, int) else devices
    return Mesh(np.asarray(chosen), ("batch",))


def join(address: str, processes: int, process: int) -> Mesh:
    """Joins this process to a group that trains together; every process runs the same program.

    All processes read the same data and call `fit` with the same arguments and the mesh that is
    returned; each computes its share of every batch, and all end with the same parameters. If one
    dies, the next step of the others raises, and they end within `SILENCE_S`; with a checkpoint,
    starting all again goes on from the last save.

    Args:
      address: host:port of process 0, reachable by all.
      processes: how many there are, ≥ 1.
      process: which of them this is, from 0.

    Returns:
      The mesh of all devices of all processes.

    Raises:
      ValueError: if `process` is not one of them.
      RuntimeError: if the others do not come, or JAX has already started computing here.

    Source: the `jax.distributed` module of JAX, whose engine this is.
    """
    if not 0 <= process < processes:
        raise ValueError(
            f"process = {process} of {processes} processes: they are counted from 0 to "
            f"{processes - 1}."
        )
    jax.distributed.initialize(address, processes, process, heartbeat_timeout_seconds=SILENCE_S)
    return mesh()


def everywhere(devices: Mesh | None, tree: PyTree) -> PyTree:
    """The arrays on every device of the mesh; as they are without one.

    In a group of processes, JAX's own arrays (data, states) are compared between the processes,
    and an error says if they differ. NumPy's (the order of each epoch, drawn from the seed) are
    not: a comparison is a round of messages, too much for every stretch of steps.
    """
    if devices is None:
        return tree
    there = NamedSharding(devices, PartitionSpec())
    if there.is_fully_addressable:
        return jax.device_put(tree, there)
    return jax.tree.map(partial(_from_here, there), tree)


def _from_here(there: NamedSharding, a: Any) -> Array:
    if isinstance(a, jax.Array):
        return jax.device_put(a, there)
    return jax.make_array_from_process_local_data(there, np.asarray(a))


def on_this_device(devices: Mesh | None, tree: PyTree) -> PyTree:
    """Arrays that lie on every device of the mesh, as this process's own."""
    if devices is None:
        return tree
    return jax.tree.map(lambda a: jnp.asarray(a.addressable_data(0)), tree)
