"""An epoch of the small CNN: ours, the same network with XLA's convolution, and torch.

Run in the benchmarks' environment: `python benchmarks/images.py [side] [channels]`.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import numpy as np
import optax
from jax import lax

from channelwise.foundations import losses
from channelwise.learning.fit import fit
from channelwise.learning.models import convolution

ROWS, BATCH, EPOCHS, ROUNDS = 1280, 32, 10, 5


def by_xla(x, kernel, *, stride=1, padding="same"):
    p = (kernel.shape[0] - 1) // 2 if padding == "same" else 0
    layout = ("NHWC", "HWIO", "NHWC")
    border = [(p, p), (p, p)]
    return lax.conv_general_dilated(x, kernel, (stride, stride), border, dimension_numbers=layout)


def channelwise(x, y, convolve=convolution.convolve) -> Callable[[], None]:
    model, optimizer = convolution.CNN(x.shape[1:]), optax.adam(1e-2)

    def train():
        convolution.convolve, ours = convolve, convolution.convolve
        fit(
            model, losses.softmax_cross_entropy, (x, y),
            epochs=EPOCHS, batch_size=BATCH, optimizer=optimizer,
        )  # fmt: skip
        convolution.convolve = ours

    return train


def torch_cnn(x, y) -> Callable[[], None]:
    import torch
    from torch import nn

    side, channels = x.shape[1], x.shape[3]
    images, labels = torch.tensor(x).permute(0, 3, 1, 2).contiguous(), torch.tensor(y).long()
    net = nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear((side // 4) ** 2 * 32, 10),
    )  # fmt: skip
    adam, loss = torch.optim.Adam(net.parameters(), 1e-2), nn.CrossEntropyLoss()

    def train():
        for _ in range(EPOCHS):
            for rows in torch.randperm(ROWS).split(BATCH):
                adam.zero_grad()
                loss(net(images[rows]), labels[rows]).backward()
                adam.step()

    return train


def main(side: int = 8, channels: int = 1) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, side, side, channels), np.float32)
    y = rng.integers(0, 10, ROWS).astype(np.int32)
    peers = {"channelwise": channelwise(x, y), "torch": torch_cnn(x, y)}
    best = dict.fromkeys([*peers, "XLA's convolution"], (np.inf, np.inf))

    def measure(name: str, train: Callable[[], None]) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        train()
        spent = (time.process_time() - cpu, time.perf_counter() - wall)
        best[name] = tuple(map(min, best[name], spent))

    for _ in range(ROUNDS + 1):  # the first round compiles, and is slower
        for name, train in peers.items():
            measure(name, train)
    jax.clear_caches()
    plain = channelwise(x, y, by_xla)
    for _ in range(2 if side > 8 else ROUNDS):
        measure("XLA's convolution", plain)
    print(f"| {side} x {side} x {channels}, an epoch of {ROWS} | CPU ms | wall ms |\n|---|---|---|")
    for name, (cpu, wall) in best.items():
        print(f"| {name} | {cpu / EPOCHS * 1e3:.1f} | {wall / EPOCHS * 1e3:.1f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
