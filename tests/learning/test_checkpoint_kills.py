"""Training that is really killed, at any moment, ends in the bits of training that was not.

A template process imports everything once, and starts neither a thread nor JAX's backend; it
forks the runs that are killed, so that each costs a fraction of a second to start.
"""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

KILLS = 11
"""Kills of each kind of run, at least."""
TORN = 2
"""Of them in the middle of writing a save, at least."""
STEPS = 6
"""Steps an epoch of the runs below."""

RUNS = """
import contextlib, os, signal, sys, traceback
import jax, numpy as np, optax
from flax import nnx
from orbax import checkpoint as orbax  # imported here, not after every fork
from channelwise.foundations import losses
from channelwise.learning.fit import fit
from channelwise.learning.models.dense import pure_mlp

class Noisy(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.norm(self.first(x)))))[:, 0]

def shaken(key, x, y):
    return x + 0.1 * jax.random.normal(key, x.shape, x.dtype), y

def run(kind, folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(130, 6)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.float32)
    options = {"epochs": 12, "batch_size": 16, "seed": 3, "validation": (x[90:], y[90:])}
    if kind == "pure":
        model, options["augment"], options["average"] = pure_mlp((6, 8, 1)), shaken, 0.9
        options |= {"patience": 3, "epochs": 40, "optimizer": optax.adam(0.05)}
    else:
        model = Noisy()
    options |= {"checkpoint": folder, "checkpoint_steps": 4}  # and so in the middle of an epoch
    lines = open(folder + ".lines", "a", buffering=1)
    options["report"] = lambda line: lines.write(line + "\\n")
    model, history = fit(model, losses.binary_cross_entropy, (x[:90], y[:90]), **options)
    state = model.params if kind == "pure" else nnx.to_pure_dict(nnx.state(model))
    leaves = [np.asarray(jax.random.key_data(a) if jax.dtypes.issubdtype(a.dtype,
              jax.dtypes.prng_key) else a) for a in jax.tree.leaves(state)]
    told = history.train_loss, history.validation_loss, history.best_epoch, history.stopped_early
    return {f"{k:02}": a for k, a in enumerate([*told, *leaves])}

def clear_away(number, frame):
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass

signal.signal(signal.SIGCHLD, clear_away)
for line in sys.stdin:
    kind, folder, out = line.rstrip("\\n").split("\\t")
    assert len(os.listdir("/proc/self/task")) == 1, "a fork would lose the other threads"
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    try:
        np.savez(out + ".part.npz", **run(kind, folder))
        os.rename(out + ".part.npz", out)
    except BaseException:
        with open(out + ".error", "w") as file:
            traceback.print_exc(file=file)
    os._exit(0)
"""


class Template:
    """The process that forks runs."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(RUNS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "OPENBLAS_NUM_THREADS": "1",
                "JAX_PLATFORMS": "cpu",
                "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiles in half the time
                "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            },
        )

    def start(self, kind: str, saves: Path, out: Path) -> "Run":
        with self.lock:
            self.process.stdin.write(f"{kind}\t{saves}\t{out}\n")
            self.process.stdin.flush()
            return Run(int(self.process.stdout.readline()), saves, out)


class Run:
    """One training run, a process that may be killed."""

    def __init__(self, pid: int, saves: Path, out: Path) -> None:
        self.pid, self.saves, self.out = pid, saves, out
        self.began = time.monotonic()

    @property
    def alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def writing(self) -> bool:
        """Whether a save is being written just now."""
        return any(self.saves.glob("*tmp*"))

    def watch(self, enough: Callable[[], bool]) -> bool:
        """Waits for something, or for the end; whether the run is still going on."""
        while self.alive and not enough():
            time.sleep(0.005)
        return self.alive

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.watch(never)

    def result(self) -> list[np.ndarray]:
        self.watch(never)
        error = Path(f"{self.out}.error")
        assert not error.exists(), error.read_text()
        return [array for _, array in sorted(np.load(self.out).items())]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    made = Template(tmp_path_factory.mktemp("template"))
    yield made
    made.process.communicate()


def saved(folder: Path) -> list[int]:
    """The steps of the saves that are in place."""
    return sorted(int(p.name) for p in folder.glob("*") if p.name.isdigit())


def lines_of(folder: Path) -> list[str]:
    file = Path(f"{folder}.lines")
    return file.read_text().splitlines() if file.exists() else []


def epoch_of(line: str) -> int:
    """12 of "epoch 12/40  loss …"."""
    return int(line.split("/")[0].split()[1])


def chased(template: Template, kind: str, folder: Path, whole: list) -> list[bool]:
    """Kills runs of a kind, one after the other; whether each was writing a save just then.

    Every run must go on from the newest save, and the last one, which is left alone, end in the
    arrays of the run that was never killed.
    """
    rng, kills, chains = np.random.default_rng(), [], 0
    while len(kills) < KILLS or sum(kills) < TORN:
        chains += 1
        saves, out = folder / f"{kind}{chains}", folder / f"{kind}{chains}.npz"
        going_on = True
        while going_on:
            before, told = saved(saves), len(lines_of(saves))
            run = template.start(kind, saves, out)
            enough = len(kills) >= KILLS and sum(kills) >= TORN
            going_on = run.watch(never if enough else moment(rng, run, before, len(kills)))
            if going_on:
                run.kill()
                kills.append(run.writing())
            new = lines_of(saves)[told:]
            assert not new or epoch_of(new[0]) == max(before, default=0) // STEPS + 1
        for one, other in zip(run.result(), whole, strict=True):
            np.testing.assert_array_equal(one, other)
    return kills


def moment(rng: np.random.Generator, run: Run, before: list[int], number: int) -> Callable:
    """When to kill: in a write, while starting, or some time after a number of saves."""
    saves, later = int(rng.integers(1, 5)), rng.uniform(0.0, 0.1)
    ends = []

    def new() -> int:
        return len(set(saved(run.saves)) - set(before))

    def after_saves() -> bool:
        if new() >= saves and not ends:
            ends.append(time.monotonic() + later)
        return bool(ends) and time.monotonic() > ends[0]

    return (
        lambda: run.writing() and new() >= saves - 1,
        lambda: time.monotonic() - run.began > 10 * later,
        after_saves,
    )[number % 3]


def never() -> bool:
    return False


def test_runs_killed_at_any_moment_end_in_the_same_bits(template, tmp_path):
    kinds = ("pure", "module")
    runs = {kind: template.start(kind, tmp_path / kind, tmp_path / f"{kind}.npz") for kind in kinds}
    whole = {kind: run.result() for kind, run in runs.items()}
    assert whole["pure"][3] and not whole["module"][3]  # one stops early, one runs to its end
    with ThreadPoolExecutor(len(kinds)) as pool:
        told = [pool.submit(chased, template, kind, tmp_path, whole[kind]) for kind in kinds]
        kills = [torn for one in told for torn in one.result()]
    assert len(kills) >= 2 * KILLS and sum(kills) >= 2 * TORN
