"""Several devices on one batch: those of one process, or of many joined by `jax.distributed`."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree


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
    returned; each computes its share of every batch, and all end with the same parameters.

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
    jax.distributed.initialize(address, processes, process)
    return mesh()


def everywhere(devices: Mesh | None, tree: PyTree) -> PyTree:
    """The arrays on every device of the mesh; as they are without one."""
    if devices is None:
        return tree
    return jax.device_put(tree, NamedSharding(devices, PartitionSpec()))


def on_this_device(devices: Mesh | None, tree: PyTree) -> PyTree:
    """Arrays that lie on every device of the mesh, as this process's own."""
    if devices is None:
        return tree
    return jax.tree.map(lambda a: jnp.asarray(a.addressable_data(0)), tree)
