"""Training a BERT-type encoder: Channelwise beside torch and plain JAX, on CPU and GPU.

    python benchmarks/transformer.py              the small encoder on CPU, float32 and bfloat16
    python benchmarks/transformer.py cpu --threads 1      all on one core
    python benchmarks/transformer.py gpu          BERT-base, rows of 128 and 512 tokens, bfloat16
    python benchmarks/transformer.py gpu --tiny   the same with tiny sizes, to try the script

Every library runs in a process of its own and begins with the same weights. On the CPU all of them
are alive together and take turns, so that a busy moment of the machine hits all alike, and the
smallest of several turns counts; on a GPU, one after another, each alone on the card. Before the
clock runs, each takes three steps on one batch; the losses after them must agree.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

PEAK = 989e12
"""Dense bfloat16 operations a second of an H200 (and H100 SXM), from NVIDIA's data sheet."""


class Task(NamedTuple):
    """Sizes of a measurement; `steps` a turn, over as many batches of rows."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    length: int
    batch: int
    steps: int
    turns: int

    def parameters(self) -> int:
        """Of the layers, which is what tokens are multiplied with."""
        return self.layers * (4 * self.width**2 + 2 * self.width * self.hidden)

    def operations(self) -> float:
        """Additions and multiplications of products in a step: three times the way forward."""
        attention = 4 * self.length * self.width * self.layers
        return 3 * (2 * self.parameters() + attention) * self.length * self.batch


SMALL = Task(8192, 256, 4, 4, 1024, 128, 32, 4, 5)
BASE = {
    "BERT-base, 128 tokens": Task(30522, 768, 12, 12, 3072, 128, 256, 20, 3),
    "BERT-base, 512 tokens": Task(30522, 768, 12, 12, 3072, 512, 64, 20, 3),
}
TINY = {
    "tiny, 16 tokens": Task(200, 32, 2, 2, 64, 16, 4, 2, 1),
    "tiny, 32 tokens": Task(200, 32, 2, 2, 64, 32, 2, 2, 1),
}


def data(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens, every eighth row a quarter padding, and labels."""
    rng = np.random.default_rng(0)
    rows = task.batch * task.steps
    x = rng.integers(1, task.vocabulary, (rows, task.length)).astype(np.int32)
    x[::8, -task.length // 4 :] = 0
    return x, rng.integers(0, 2, rows).astype(np.int32)


def write_weights(folder: str, task: Task) -> None:
    """The first weights, as a folder that every library reads."""
    from channelwise.learning.models.bert import BertClassifier
    from channelwise.learning.models.bert_config import BertConfig
    from channelwise.learning.models.bert_folder import save_bert

    config = BertConfig(
        vocab_size=task.vocabulary,
        hidden_size=task.width,
        num_hidden_layers=task.layers,
        num_attention_heads=task.heads,
        intermediate_size=task.hidden,
        max_position_embeddings=task.length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    save_bert(folder, BertClassifier(config, 2))


# The processes that are measured.


def serve(peer: str, folder: str, sizes: str, half: str) -> None:
    """Three steps on one batch, then as many passes as each line says; answer in JSON."""
    from transformer_peers import PEERS

    task = Task(*json.loads(sizes))
    train = PEERS[peer](folder, *data(task), task.batch, half == "half")
    print(json.dumps({"loss": float(train(3, task.batch))}), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        train(task.steps, task.batch * task.steps)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer = {"wall": wall / task.steps, "cpu": cpu / task.steps, "mb": peak}
        print(json.dumps(answer), flush=True)


# The measurements.


def start(peer: str, folder: str, task: Task, half: bool) -> subprocess.Popen:
    words = ["--serve", peer, folder, json.dumps(task), "half" if half else "full"]
    return subprocess.Popen(
        [sys.executable, __file__, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ask(process: subprocess.Popen) -> dict[str, float]:
    """One turn of a process."""
    process.stdin.write("go\n")
    process.stdin.flush()
    return answer_of(process)


def answer_of(process: subprocess.Popen) -> dict[str, float]:
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args[3]} ended with status {process.wait()}")
    return json.loads(line)


def finish(process: subprocess.Popen) -> None:
    process.stdin.close()
    process.wait()


def best(answers: list[dict[str, float]], loss: float) -> dict[str, float]:
    """The smallest times, the largest memory."""
    found = {k: min(a[k] for a in answers) for k in ("wall", "cpu")}
    return found | {"mb": max(a["mb"] for a in answers), "loss": loss}


def together(task: Task, runs: list[tuple[str, bool]]) -> list[dict[str, float]]:
    """All processes alive, taking turns; the first turn of each is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        write_weights(f"{folder}/bert", task)
        processes = [start(peer, f"{folder}/bert", task, half) for peer, half in runs]
        losses = [answer_of(process)["loss"] for process in processes]
        turns = [[ask(process) for process in processes] for _ in range(task.turns + 1)][1:]
        for process in processes:
            finish(process)
    return [best(list(a), loss) for a, loss in zip(zip(*turns, strict=True), losses, strict=True)]


def alone(task: Task, runs: list[tuple[str, bool]]) -> list[dict[str, float]]:
    """One process after another, each alone on the device."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_weights(f"{folder}/bert", task)
        for peer, half in runs:
            process = start(peer, f"{folder}/bert", task, half)
            loss = answer_of(process)["loss"]
            answers = [ask(process) for _ in range(task.turns + 1)][1:]
            finish(process)
            found.append(best(answers, loss))
    return found


def check_losses(found: list[dict[str, float]], runs: list[tuple[str, bool]]) -> None:
    """All float32 losses after three steps agree, and those in bfloat16 nearly."""
    for result, (peer, half) in zip(found, runs, strict=True):
        if abs(result["loss"] - found[0]["loss"]) > (0.05 if half or runs[0][1] else 1e-3):
            raise RuntimeError(f"{peer}: the loss {result['loss']} is not {found[0]['loss']}")


def cpu_table(task: Task) -> str:
    """The small encoder: seconds a step, beside torch, with the achieved rate of products."""
    from transformer_peers import PEERS

    runs = [(peer, False) for peer in PEERS]
    runs += [("channelwise", True), ("torch, transformers", True)]
    found = together(task, runs)
    check_losses(found, runs)
    torch = found[runs.index(("torch, transformers", False))]
    lines = [
        "| a step | CPU s | beside torch | wall s | Gflop/s of products | peak MB | loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for (peer, half), r in zip(runs, found, strict=True):
        name = f"{peer}, bfloat16" if half else peer
        lines.append(
            f"| {name} | {r['cpu']:.3f} | {r['cpu'] / torch['cpu']:.2f} | {r['wall']:.3f} | "
            f"{task.operations() / r['cpu'] / 1e9:.0f} | {r['mb']:.0f} | {r['loss']:.5f} |"
        )
    return "\n".join(lines)


def gpu_table(tasks: dict[str, Task], peak: float) -> str:
    """Tokens a second in bfloat16 and the share of the card's peak."""
    lines = [
        "| bfloat16 | tokens / s | share of peak | ms a step | beside torch | loss |",
        "|---|---|---|---|---|---|",
    ]
    runs = [(peer, True) for peer in ("channelwise", "plain JAX", "torch, transformers")]
    for title, task in tasks.items():
        found = alone(task, runs)
        check_losses(found, runs)
        for (peer, _), r in zip(runs, found, strict=True):
            rate, share = task.batch * task.length / r["wall"], task.operations() / r["wall"] / peak
            lines.append(
                f"| {title}: {peer} | {rate:,.0f} | {share:.1%} | {r['wall'] * 1e3:.1f} | "
                f"{found[-1]['wall'] / r['wall']:.2f} x | {r['loss']:.4f} |"
            )
    return "\n".join(lines)


def heading() -> str:
    names = ["jax", "flax", "optax", "torch", "transformers"]
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in names)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return (
        f"Python {platform.python_version()}, {versions}; {cores} cores, load {load:.1f} at the "
        "start. AdamW, no dropout; every step with gradient and update."
    )


def main() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--threads", type=int, help="cores to use; all if not given")
    parser.add_argument("--turns", type=int, default=SMALL.turns, help="turns of each, on the CPU")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--peak", type=float, default=PEAK, help="operations a second of the card")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(*options.serve)
    if options.threads:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    print(heading() + "\n", flush=True)
    if options.what == "cpu":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        task = next(iter(TINY.values())) if options.tiny else SMALL
        return print(cpu_table(task._replace(turns=options.turns)))
    return print(gpu_table(TINY if options.tiny else BASE, options.peak))


if __name__ == "__main__":
    main()
