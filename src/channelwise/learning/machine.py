"""What this machine can do: its matrix rate and its memory's bandwidth, measured."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

DType = Literal["float32", "bfloat16"]

_LONG_ENOUGH = 6e-3
"""Seconds of one run: well above what it takes to start it."""
_LARGEST = 16384
_ARRAY_BYTES = {"cpu": 2**26}
_ARRAY_BYTES_ELSEWHERE = 2**30


@dataclass(frozen=True)
class Machine:
    """The roof over every computation on a machine.

    Attributes:
      name: of the processor or the accelerator.
      matmul_f32: FLOP/s of float32 matrix products, as JAX runs them by default.
      matmul_bf16: the same with bfloat16 operands, summed in whichever of bfloat16 and float32
        is faster here.
      bandwidth: bytes/s between memory and the cores, read and written.
      cores: processor cores this process may use.
    """

    name: str
    matmul_f32: float
    matmul_bf16: float
    bandwidth: float
    cores: int

    def peak(self, dtype: DType = "float32") -> float:
        """The matrix rate of a type, FLOP/s."""
        return {"float32": self.matmul_f32, "bfloat16": self.matmul_bf16}[dtype]

    def ridge(self, dtype: DType = "float32") -> float:
        """FLOPs for each byte from which the cores, and not the memory, are the limit."""
        return self.peak(dtype) / self.bandwidth

    def roof(self, intensity: float, dtype: DType = "float32") -> float:
        """The highest rate at so many FLOPs for each byte: min(peak, intensity · bandwidth).

        Source: Williams, Waterman, Patterson 2009.
        """
        return min(self.peak(dtype), intensity * self.bandwidth)

    def best(self, other: "Machine") -> "Machine":
        """The higher of each rate: of two measurements, what was slower was disturbed."""
        rates = ("matmul_f32", "matmul_bf16", "bandwidth")
        return replace(self, **{r: max(getattr(self, r), getattr(other, r)) for r in rates})

    def share(self, flops: float, seconds: float, dtype: DType = "float32") -> float:
        """The share of the matrix rate that a computation achieved: flops / seconds / peak."""
        return flops / seconds / self.peak(dtype)


def measure() -> Machine:
    """Measure this machine, in less than a second where nothing else runs.

    The rate is that of the best square product, up to one large enough to take 6 ms, and the
    bandwidth that of scaling an array in place (64 MB; 1 GB on an accelerator): each number is read
    and written. All are compiled and run before the clock is started, and waited for; the best of
    several runs counts.

    Returns:
      Rates as programs of this library meet them. On a shared machine a second measurement may
      differ by tens of percent.

    Numerical note: on a processor whose cache holds 64 MB the bandwidth is the cache's.
    """
    return Machine(
        name=_name(),
        matmul_f32=_matrix_rate(_product, jnp.float32),
        matmul_bf16=max(
            _matrix_rate(way, jnp.bfloat16) for way in (_product, _product_summed_in_f32)
        ),
        bandwidth=_bandwidth(),
        cores=_cores(),
    )


def best_seconds(function: Callable[..., object], *args: object, repeats: int = 5) -> float:
    """The shortest of several runs, waited for to the end; one run before warms up and compiles.

    Args:
      function: of `args`; its results may be on the device.
      repeats: runs with the clock on, ≥ 1.

    Numerical note: without `block_until_ready` the clock would stop when the work has been
      ordered, not when it is done.
    """
    jax.block_until_ready(function(*args))
    return min(_seconds(function, *args) for _ in range(repeats))


def _seconds(function: Callable[..., object], *args: object) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - start


def _matrix_rate(product: Callable[[Array], Array], dtype: Any) -> float:
    """The best 2 n³ / seconds, n doubled until one product takes long enough to time."""
    n, seconds, rates = 256, 0.0, []
    while seconds < _LONG_ENOUGH and n <= _LARGEST:
        seconds = best_seconds(product, jnp.full((n, n), 0.5, dtype), repeats=10)
        rates.append(2 * n**3 / seconds)
        n *= 2
    return max(rates)


@jax.jit
def _product(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return a @ a


@jax.jit
def _product_summed_in_f32(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return jnp.matmul(a, a, preferred_element_type=jnp.float32)


def _bandwidth() -> float:
    """Bytes read and written a second by a ← c a in place, so that no new memory is mapped."""
    size = _ARRAY_BYTES.get(jax.default_backend(), _ARRAY_BYTES_ELSEWHERE)
    a = _scale(jnp.ones(size // 4, jnp.float32))
    times = []
    for _ in range(12):
        start = time.perf_counter()
        a = jax.block_until_ready(_scale(a))
        times.append(time.perf_counter() - start)
    return 2 * size / min(times)


@partial(jax.jit, donate_argnums=0)
def _scale(a: Float[Array, " n"]) -> Float[Array, " n"]:
    return a * 0.999999


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name() -> str:
    kind = jax.devices()[0].device_kind
    return _processor() if jax.default_backend() == "cpu" else kind


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
