"""Several devices take the steps of one, and a group that loses a process ends instead of waiting.

The devices are virtual ones of a processor; the processes talk over the loopback.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from channelwise.learning import parallel

COMMON = """
import os, signal, sys
import jax, numpy as np
jax.config.update("jax_platforms", "cpu")
from channelwise.foundations import losses
from channelwise.learning import parallel
from channelwise.learning.fit import fit
from channelwise.learning.models.dense import pure_mlp

rng = np.random.default_rng(0)
X = rng.normal(size=(130, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.float32)
MODEL, LOSS = pure_mlp((6, 8, 1)), losses.binary_cross_entropy
WHOLE = (X[:90], Y[:90])

def shaken(key, x, y):
    return x + 0.1 * jax.random.normal(key, x.shape, x.dtype), y

def train(mesh=None, model=MODEL, data=WHOLE, **options):
    options = {"validation": (X[90:], Y[90:]), "epochs": 3, "batch_size": 13, "seed": 3} | options
    options |= {"average": 0.9, "augment": shaken}
    model, history = fit(model, LOSS, data, mesh=mesh, **options)
    told = history.train_loss, history.validation_loss
    return [np.asarray(a) for a in (*jax.tree.leaves(model.params), *told)]
"""

DEVICES = """
seen = set()

def watched(params, x):
    jax.debug.inspect_array_sharding(x, callback=lambda s: seen.add((len(s.device_set),
                                     s.is_fully_replicated)))
    return MODEL.apply(params, x)

def check(name, meshes, **options):
    alone = train(**options)
    for n in meshes:
        shared = train(parallel.mesh(n), **options)
        far = max(np.abs(a - b).max(initial=0.0) for a, b in zip(alone, shared, strict=True))
        print(f"{name} {n} {far}", flush=True)

check("ragged", (4, 8))  # 90 rows in batches of 13, which no number of devices here divides
plain = {"epochs": 1, "validation": None}
check("parts-with-fewer-rows-than-devices", (8,), batch_size=3, microbatches=2, **plain)
check("buckets", (4,), data=[(X[:50], Y[:50]), (X[50:90], Y[50:90])], **plain)
train(parallel.mesh(4), MODEL._replace(apply=watched), **plain)
print("spread", *sorted(seen), flush=True)
"""

PROCESSES = """
address, who, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
parallel.SILENCE_S = 3
devices = parallel.join(address, 2, who)
assert devices.size == 2 and len(jax.local_devices()) == 1
np.savez(f"{out}.{who}.npz", *train(devices))

def die(line):
    if who == 1 and line.startswith("epoch    3/"):
        os.kill(os.getpid(), signal.SIGKILL)

try:
    train(devices, epochs=1000, report=die)
except Exception as error:
    print(type(error).__name__, flush=True)
    raise
"""


def start(code: str, *words: str, flags: str = "") -> subprocess.Popen:
    quick = "--xla_backend_optimization_level=0"
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{flags} {quick}",
        "OPENBLAS_NUM_THREADS": "1",
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.Popen(
        [sys.executable, "-c", COMMON + code, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_batch_shared_by_devices_gives_the_steps_of_one_device():
    process = start(DEVICES, flags="--xla_force_host_platform_device_count=8")
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    *compared, spread = output.splitlines()
    assert len(compared) == 4
    for line in compared:
        assert float(line.split()[-1]) < 2e-6, line
    assert "(4, False)" in spread  # each device had its own rows, and not all of them


def test_two_processes_train_as_one_device_and_a_death_ends_both(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    group = [start(PROCESSES, address, str(who), str(tmp_path / "run")) for who in (0, 1)]
    alone = start("np.savez(sys.argv[1], *train())", str(tmp_path / "alone.npz"))
    try:
        told = [process.communicate(timeout=240) for process in (alone, *group)]
    finally:
        for process in (alone, *group):
            process.kill()
            process.communicate()
    assert alone.returncode == 0, told[0]
    expected = np.load(tmp_path / "alone.npz")
    for who in (0, 1):
        found = np.load(tmp_path / f"run.{who}.npz")
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=2e-6)
    assert group[1].returncode == -9
    output, errors = told[1]
    assert output.splitlines()[-1] == "TrainingError", errors  # at once, from the next step
    assert group[0].returncode != 0
    assert time.monotonic() - began < 200


@pytest.mark.parametrize("devices", [0, 10**6])
def test_more_devices_than_there_are_is_a_sentence(devices):
    seen = len(jax.devices())
    with pytest.raises(ValueError, match=rf"JAX sees {seen}: ask for 1 to {seen}\. On a proc"):
        parallel.mesh(devices)


@pytest.mark.parametrize("process", [-1, 2])
def test_a_process_that_is_none_of_the_group_is_a_sentence(process):
    with pytest.raises(ValueError, match="of 2 processes: they are counted from 0 to 1"):
        parallel.join("127.0.0.1:1", 2, process)
