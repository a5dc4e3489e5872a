"""Training a small table classifier: Channelwise beside torch, Keras, scikit-learn and plain nnx.

    python benchmarks/tabular.py                  everything, as Markdown (about ten minutes)
    python benchmarks/tabular.py steady           time of one epoch, after warming up
    python benchmarks/tabular.py cold             a process from import to trained model
    python benchmarks/tabular.py many             64 seeds at once and one after another

Every library runs in a process of its own. In `steady` all of them are alive together and take
turns, so that a busy moment of the machine hits all alike; the smallest of several turns counts.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np

TASKS = {"569 x 30": (569, 30, 20, 8), "100,000 x 20": (100_000, 20, 1, 2)}
"""Name: rows, columns, epochs a turn, turns."""
SEEDS, EPOCHS, COLD_RUNS = 64, 10, 2
HERE = Path(__file__).parent
CACHE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def data(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal inputs and a target with an interaction and label noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, columns), np.float32)
    signal = x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * rng.standard_normal(rows)
    return x, (signal > 0).astype(np.float32)


# The processes that are measured.


def serve(peer: str, rows: int, columns: int) -> None:
    """Train as many epochs as each line of input says; answer with seconds and the loss."""
    from tabular_peers import PEERS

    train = PEERS[peer][1](*data(rows, columns))
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        loss = train(int(line))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"wall": wall, "cpu": cpu, "loss": float(loss)}), flush=True)


def once(peer: str, path: str) -> None:
    """From import to a trained model, and the loss."""
    from tabular_peers import PEERS

    with np.load(path) as arrays:
        x, y = arrays["x"], arrays["y"]
    print(PEERS[peer][1](x, y)(EPOCHS))


def many(peer: str) -> None:
    """Train 64 seeds twice and print the seconds of each time."""
    x, y = data(569, 30)
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        _train_seeds(peer, x, y)
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)


def _train_seeds(peer: str, x: np.ndarray, y: np.ndarray) -> None:
    if peer != "channelwise":
        from tabular_peers import PEERS

        for seed in range(SEEDS):
            PEERS[peer][1](x, y, seed)(EPOCHS)
        return
    from channelwise.foundations.losses import binary_cross_entropy
    from channelwise.learning.fit_many import fit_many
    from channelwise.learning.models.dense import pure_mlp

    fit_many(
        lambda seed: pure_mlp((30, 128, 64, 1), seed=seed),
        binary_cross_entropy,
        (x, y),
        seeds=range(SEEDS),
        epochs=EPOCHS,
    )


# The measurements.


def start(peer: str, *words: object, env: dict[str, str] | None = None) -> subprocess.Popen:
    from tabular_peers import PEERS

    return subprocess.Popen(
        [sys.executable, __file__, *map(str, words)],
        env={**os.environ, **PEERS[peer][0], **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def steady(task: str) -> dict[str, dict[str, float]]:
    """Milliseconds of an epoch: the smallest of the turns, warm."""
    from tabular_peers import PEERS

    rows, columns, epochs, turns = TASKS[task]
    processes = {peer: start(peer, "--serve", peer, rows, columns) for peer in PEERS}
    seen: dict[str, list[dict[str, float]]] = {peer: [] for peer in PEERS}
    for turn in range(turns + 1):
        for peer, process in processes.items():
            process.stdin.write(f"{epochs if turn else 1}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            if turn:
                seen[peer].append(answer)
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return {
        peer: {
            "wall": min(a["wall"] for a in answers) * 1e3 / epochs,
            "cpu": min(a["cpu"] for a in answers) * 1e3 / epochs,
            "loss": answers[-1]["loss"],
        }
        for peer, answers in seen.items()
    }


def cold(peer: str, path: Path, env: dict[str, str]) -> dict[str, float]:
    """Import to trained model in a fresh process: CPU seconds, wall seconds, peak memory."""
    began = time.perf_counter()
    process = start(peer, "--once", peer, path, env=env)
    loss = float(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{peer} ended with status {status}")
    wall = time.perf_counter() - began
    cpu = usage.ru_utime + usage.ru_stime
    return {"cpu": cpu, "wall": wall, "mb": usage.ru_maxrss / 1024, "loss": loss}


def cold_table() -> None:
    """Every library cold; those on JAX also with the programs of an earlier process."""
    from tabular_peers import PEERS

    on_jax = ("channelwise", "channelwise, nnx module", "plain nnx.jit loop", "Keras, JAX")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        x, y = data(569, 30)
        np.savez(path, x=x, y=y)
        runs = {(peer, ""): {} for peer in PEERS if peer != "torch, all threads"}
        runs |= {
            (peer, "warm compilation cache"): {
                "JAX_COMPILATION_CACHE_DIR": f"{folder}/{peer}",
                **CACHE,
            }
            for peer in on_jax
        }
        print("| process | CPU s | wall s | peak MB |\n|---|---|---|---|", flush=True)
        for (peer, kind), env in runs.items():
            if kind:
                cold(peer, path, env)
            results = [cold(peer, path, env) for _ in range(COLD_RUNS)]
            best = {k: min(r[k] for r in results) for k in ("cpu", "wall")}
            peak = max(r["mb"] for r in results)
            name = f"{peer}, {kind}" if kind else peer
            print(f"| {name} | {best['cpu']:.2f} | {best['wall']:.2f} | {peak:.0f} |", flush=True)


def steady_table(task: str) -> str:
    results = steady(task)
    ours = results["channelwise"]
    lines = [
        f"| {task} | ms an epoch | beside ours | CPU ms | beside ours | loss at the end |",
        "|---|---|---|---|---|---|",
    ]
    for peer, r in results.items():
        wall, cpu = r["wall"] / ours["wall"], r["cpu"] / ours["cpu"]
        lines.append(
            f"| {peer} | {r['wall']:.2f} | {wall:.1f} x | {r['cpu']:.2f} | {cpu:.1f} x "
            f"| {r['loss']:.4f} |"
        )
    return "\n".join(lines)


def many_table() -> str:
    """64 seeds, 10 epochs each, on 569 x 30."""
    names = ("channelwise", "torch, 1 thread")
    seen: dict[str, list[list[float]]] = {}
    for _ in range(2):
        for peer in names:
            answers = start(peer, "--many", peer).communicate()[0].splitlines()
            seen.setdefault(peer, []).append([json.loads(line) for line in answers])
    lines = [
        "| 64 seeds | first time, s | again, s | beside ours | CPU s |",
        "|---|---|---|---|---|",
    ]
    again = {peer: min(run[1][0] for run in runs) for peer, runs in seen.items()}
    for peer, runs in seen.items():
        first, cpu = min(run[0][0] for run in runs), min(run[1][1] for run in runs)
        ratio = again[peer] / again["channelwise"]
        lines.append(f"| {peer} | {first:.2f} | {again[peer]:.2f} | {ratio:.1f} x | {cpu:.2f} |")
    return "\n".join(lines)


def heading() -> str:
    names = ["jax", "flax", "optax", "torch", "keras", "tensorflow-cpu", "scikit-learn"]
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in names)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return (
        f"Python {platform.python_version()}, {versions}; {cores} cores, load {load:.1f} at the "
        f"start. 128-64-1, ReLU, Adam, batch 32, {EPOCHS} epochs where nothing else is said."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["all", "steady", "cold", "many"], default="all")
    for hidden in ("--serve", "--once", "--many"):
        parser.add_argument(hidden, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        peer, rows, columns = options.serve
        return serve(peer, int(rows), int(columns))
    if options.once:
        return once(*options.once)
    if options.many:
        return many(*options.many)
    print(heading(), flush=True)
    if options.what in ("all", "steady"):
        for task in TASKS:
            print("\n" + steady_table(task), flush=True)
    if options.what in ("all", "cold"):
        print()
        cold_table()
    if options.what in ("all", "many"):
        print("\n" + many_table(), flush=True)


if __name__ == "__main__":
    main()
