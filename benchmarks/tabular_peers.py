"""One classifier, 128-64-1 with ReLU, Adam 1e-3 and batches of 32, written for each library.

Each function takes (x, y, seed) and returns `train(epochs) -> final loss`, which goes on from
where it stopped. Every library shuffles anew each epoch and keeps its data where it trains.
"""

import itertools
from collections.abc import Callable

import numpy as np

HIDDEN, BATCH, RATE = (128, 64), 32, 1e-3
Train = Callable[[int], float]


def channelwise(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Train:
    """`fit` with the pure model."""
    from channelwise.foundations.losses import binary_cross_entropy
    from channelwise.learning.fit import fit
    from channelwise.learning.models.dense import pure_mlp

    model = pure_mlp((x.shape[1], *HIDDEN, 1), seed=seed)

    def train(epochs: int) -> float:
        nonlocal model
        model, history = fit(
            model, binary_cross_entropy, (x, y), epochs=epochs, batch_size=BATCH, seed=seed
        )
        return history.train_loss[-1]

    return train


def channelwise_nnx(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Train:
    """`fit` with the flax.nnx module."""
    from channelwise.foundations.losses import binary_cross_entropy
    from channelwise.learning.fit import fit
    from channelwise.learning.models.mlp import MLP

    model = MLP((x.shape[1], *HIDDEN, 1), seed=seed)

    def train(epochs: int) -> float:
        nonlocal model
        model, history = fit(
            model, binary_cross_entropy, (x, y), epochs=epochs, batch_size=BATCH, seed=seed
        )
        return history.train_loss[-1]

    return train


def nnx_loop(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Train:
    """The loop of the flax.nnx documentation: one `nnx.jit` step a batch."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            sizes = (x.shape[1], *HIDDEN)
            pairs = itertools.pairwise(sizes)
            self.hidden = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairs])
            self.last = nnx.Linear(HIDDEN[-1], 1, rngs=rngs)

        def __call__(self, h):
            for layer in self.hidden:
                h = nnx.relu(layer(h))
            return self.last(h)[:, 0]

    net = Net(nnx.Rngs(seed))
    optimizer = nnx.Optimizer(net, optax.adam(RATE), wrt=nnx.Param)
    xs, ys = jax.device_put((x, y))
    rng = np.random.default_rng(seed)

    @nnx.jit
    def step(net, optimizer, rows):
        def loss(net):
            return optax.sigmoid_binary_cross_entropy(net(xs[rows]), ys[rows]).mean()

        value, gradient = nnx.value_and_grad(loss)(net)
        optimizer.update(net, gradient)
        return value

    def train(epochs: int) -> float:
        for _ in range(epochs):
            order = jnp.asarray(rng.permutation(len(x)))
            losses = [step(net, optimizer, order[i : i + BATCH]) for i in range(0, len(x), BATCH)]
        return float(np.mean([float(v) for v in losses]))

    return train


def torch_loop(threads: int | None, x: np.ndarray, y: np.ndarray, seed: int = 0) -> Train:
    """The fastest plain form: rows shuffled once an epoch, slices of tensors, fused Adam."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    sizes = (x.shape[1], *HIDDEN)
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN[-1], 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
    loss_of = torch.nn.BCEWithLogitsLoss()
    xs, ys = torch.from_numpy(x), torch.from_numpy(y)[:, None]

    def train(epochs: int) -> float:
        for _ in range(epochs):
            order = torch.randperm(len(xs))
            shuffled_x, shuffled_y, losses = xs[order], ys[order], []
            for i in range(0, len(xs), BATCH):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(net(shuffled_x[i : i + BATCH]), shuffled_y[i : i + BATCH])
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    return train


def keras_fit(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Train:
    """Keras' own `fit`; the backend is chosen by KERAS_BACKEND."""
    import keras

    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(n, activation="relu") for n in HIDDEN]
    net = keras.Sequential([keras.Input((x.shape[1],)), *hidden, keras.layers.Dense(1)])
    net.compile(keras.optimizers.Adam(RATE), keras.losses.BinaryCrossentropy(from_logits=True))

    def train(epochs: int) -> float:
        seen = net.fit(x, y[:, None], batch_size=BATCH, epochs=epochs, verbose=0)
        return seen.history["loss"][-1]

    return train


def scikit(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Train:
    """MLPClassifier, one `partial_fit` an epoch (no penalty, so that the loss is the same)."""
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(
        HIDDEN, learning_rate_init=RATE, batch_size=BATCH, alpha=0, random_state=seed
    )

    def train(epochs: int) -> float:
        for _ in range(epochs):
            net.partial_fit(x, y, classes=np.array([0.0, 1.0]))
        return net.loss_

    return train


def _torch(threads: int | None) -> Callable[..., Train]:
    return lambda *args: torch_loop(threads, *args)


PEERS: dict[str, tuple[dict[str, str], Callable[..., Train]]] = {
    "channelwise": ({}, channelwise),
    "channelwise, nnx module": ({}, channelwise_nnx),
    "plain nnx.jit loop": ({}, nnx_loop),
    "torch, 1 thread": ({}, _torch(1)),
    "torch, all threads": ({}, _torch(None)),
    "Keras, JAX": ({"KERAS_BACKEND": "jax"}, keras_fit),
    "Keras, TensorFlow": ({"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}, keras_fit),
    "scikit-learn": ({}, scikit),
}
"""Name to (environment of its process, builder)."""
