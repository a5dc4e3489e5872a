"""Training a text classifier: Channelwise beside torch, Keras and plain nnx, as Markdown.

    python benchmarks/text.py bilstm                      5,000 texts of 64 tokens
    python benchmarks/text.py bilstm --rows 640 --turns 1     a quick look

Every library runs in a process of its own. All are alive together and take turns, so that a busy
moment of the machine hits all alike; the smallest of several turns counts. They begin with the same
weights and see the same batches: their losses after the first turn, which is not timed, must agree,
or the run fails. Keras adds Adam's 1e-8 at another place of the formula, which the first steps of a
large embedding feel; it is allowed more.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata

import numpy as np

ROWS, LENGTH, VOCABULARY, TURNS = 5_000, 64, 10_000, 5
FIRST_EPOCHS = 2
AGREEMENT = {"Keras, JAX": 5e-3, "Keras, TensorFlow": 5e-3}
"""Most that a loss may be away from ours; 1e-4, rounding, for the others."""


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens; a text is positive if more of its tokens are even than odd, with noise."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, VOCABULARY, (rows, LENGTH)).astype(np.int32)
    signal = (tokens % 2 == 0).mean(1) - 0.5 + 0.03 * rng.standard_normal(rows)
    return tokens, (signal > 0).astype(np.float32)


def serve(peer: str, rows: int) -> None:
    """Train as many epochs as each line of input says; answer with seconds, loss and memory."""
    from text_peers import PEERS

    train = PEERS[peer][1](*data(rows))
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        loss = train(int(line))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer = {"wall": wall, "cpu": cpu, "loss": float(loss), "mb": peak}
        print(json.dumps(answer), flush=True)


def start(peer: str, rows: int) -> subprocess.Popen:
    from text_peers import PEERS

    return subprocess.Popen(
        [sys.executable, __file__, "bilstm", "--serve", peer, "--rows", str(rows)],
        env={**os.environ, **PEERS[peer][0]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def take_turn(process: subprocess.Popen, epochs: int) -> dict[str, float]:
    process.stdin.write(f"{epochs}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def measure(peers: list[str], rows: int, turns: int) -> dict[str, dict[str, float]]:
    """Seconds of an epoch: the smallest of the turns, warm; the loss after the first turn."""
    processes = {peer: start(peer, rows) for peer in peers}
    try:
        first = {peer: take_turn(p, FIRST_EPOCHS) for peer, p in processes.items()}
        seen = {peer: [] for peer in peers}
        for _ in range(turns):
            for peer, process in processes.items():
                seen[peer].append(take_turn(process, 1))
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return {
        peer: {
            "cpu": min(a["cpu"] for a in answers),
            "wall": min(a["wall"] for a in answers),
            "mb": answers[-1]["mb"],
            "loss": first[peer]["loss"],
        }
        for peer, answers in seen.items()
    }


def table(results: dict[str, dict[str, float]], rows: int) -> str:
    ours = results["channelwise"]
    lines = [
        f"| {rows:,} x {LENGTH} tokens | CPU s an epoch | beside ours | wall s | beside ours "
        f"| peak MB | loss, epoch {FIRST_EPOCHS} |",
        "|---|---|---|---|---|---|---|",
    ]
    for peer, r in results.items():
        cpu, wall = r["cpu"] / ours["cpu"], r["wall"] / ours["wall"]
        lines.append(
            f"| {peer} | {r['cpu']:.2f} | {cpu:.2f} x | {r['wall']:.2f} | {wall:.2f} x "
            f"| {r['mb']:.0f} | {r['loss']:.5f} |"
        )
    return "\n".join(lines)


def heading() -> str:
    names = ["jax", "flax", "optax", "torch", "keras", "tensorflow-cpu"]
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in names)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return (
        f"Python {platform.python_version()}, {versions}; {cores} cores, load {load:.1f} at the "
        "start. Embedding(10000, 32), BiLSTM(64), one logit, Adam, batch 32, float32."
    )


def main() -> None:
    from text_peers import PEERS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["bilstm"])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.rows)
    print(heading(), flush=True)
    peers = ["channelwise", *(peer for peer in options.peers if peer != "channelwise")]
    results = measure(peers, options.rows, options.turns)
    print("\n" + table(results, options.rows), flush=True)
    check(results)


def check(results: dict[str, dict[str, float]]) -> None:
    ours = results["channelwise"]["loss"]
    apart = {peer: abs(r["loss"] - ours) for peer, r in results.items()}
    wrong = {peer: d for peer, d in apart.items() if not d <= AGREEMENT.get(peer, 1e-4)}
    if wrong:
        sys.exit(f"Not the same training: the losses are away from ours by {wrong}")


if __name__ == "__main__":
    main()
