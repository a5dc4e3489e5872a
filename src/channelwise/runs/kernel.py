"""The kernel a run executes in: IPython's own, in this very Python, ending with its runner.

Started as `python -P -m channelwise.runs.kernel -f <connection file>`. Which kernels are
installed on the machine plays no part.
"""

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_PARENT = "CHANNELWISE_PARENT_PID"
_SET_PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def environment() -> dict[str, str]:
    """The environment for a process that is to end with this one."""
    return {**os.environ, _PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Makes this process die when the one that started it dies, even by `kill -9`.

    On Linux the system does it; elsewhere a thread looks every half second.
    """
    parent = int(os.environ.pop(_PARENT, "0"))
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def cache_variables() -> dict[str, str]:
    """Where JAX keeps compiled programs between runs, unless the user has said so already.

    The folder is one per kind of processor, as programs are compiled for it.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return {}
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return {
        "JAX_COMPILATION_CACHE_DIR": str(Path(home) / "channelwise" / "jax" / _processor()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def probe() -> dict[str, Any]:
    """What only the kernel knows of itself: its cost so far, and the device JAX used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    known: dict[str, Any] = {
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_memory_mb": peak_memory_mb(os.getpid()),
    }
    if "jax" in sys.modules:
        devices = sys.modules["jax"].local_devices()
        known |= {
            "platform": devices[0].platform,
            "kind": devices[0].device_kind,
            "count": len(devices),
        }
    return known


def peak_memory_mb(pid: int) -> float | None:
    """The most memory a process has had resident, in MiB; None where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def _processor() -> str:
    import hashlib
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Starts the kernel."""
    end_with_parent()
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance()


if __name__ == "__main__":
    main()
