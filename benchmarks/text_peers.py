"""One text classifier for each library: Embedding(10000, 32), BiLSTM(64), one logit, Adam 1e-3.

Each function takes (tokens, labels) and returns `train(epochs) -> mean loss of the last epoch`,
which goes on from where it stopped. All begin with the same weights and visit the rows in the same
orders, in batches of 32, so that their losses must agree.
"""

from collections.abc import Callable

import numpy as np

VOCABULARY, EMBEDDING, HIDDEN, BATCH, RATE = 10_000, 32, 64, 32, 1e-3
Train = Callable[[int], float]


def order(rows: int, epoch: int) -> np.ndarray:
    """The order of the rows that `fit` draws at seed 0."""
    return np.random.default_rng((0, epoch)).permutation(rows)


def weights() -> dict[str, np.ndarray]:
    """First weights: of the embedding, of both directions (input, hidden, bias), of the head."""
    from channelwise.learning.models.recurrent import draw_bilstm

    drawn = draw_bilstm(VOCABULARY, EMBEDDING, HIDDEN, 1, seed=0)
    return {
        **drawn._asdict(),
        "input": drawn.W[:, :EMBEDDING],
        "hidden": drawn.W[:, EMBEDDING:],
    }


def channelwise(tokens: np.ndarray, labels: np.ndarray) -> Train:
    """`fit` with the `nnx` module, as a user calls it."""
    from channelwise.foundations.losses import binary_cross_entropy
    from channelwise.learning.fit import fit
    from channelwise.learning.models.recurrent import BiLSTM

    model = BiLSTM(VOCABULARY, EMBEDDING, HIDDEN)

    def train(epochs: int) -> float:
        nonlocal model
        data = (tokens, labels)
        model, history = fit(model, binary_cross_entropy, data, epochs=epochs, batch_size=BATCH)
        return history.train_loss[-1]

    return train


def nnx_loop(tokens: np.ndarray, labels: np.ndarray) -> Train:
    """flax.nnx as its documentation shows it: `Bidirectional` of two `RNN`s, a jitted step."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    first = weights()

    class Net(nnx.Module):
        def __init__(self, rngs):
            cells = [nnx.OptimizedLSTMCell(EMBEDDING, HIDDEN, rngs=rngs) for _ in range(2)]
            for d, cell in enumerate(cells):
                cell.dense_i.kernel[...] = jnp.asarray(first["input"][d])
                cell.dense_h.kernel[...] = jnp.asarray(first["hidden"][d])
                cell.dense_h.bias[...] = jnp.asarray(first["b"][d])
            self.embedding = nnx.Embed(VOCABULARY, EMBEDDING, rngs=rngs)
            self.embedding.embedding[...] = jnp.asarray(first["embedding"])
            self.both = nnx.Bidirectional(*map(nnx.RNN, cells), return_carry=True)
            self.head = nnx.Linear(2 * HIDDEN, 1, rngs=rngs)
            self.head.kernel[...] = jnp.asarray(first["head"])

        def __call__(self, tokens):
            ((_, forward), (_, backward)), _ = self.both(self.embedding(tokens))
            return self.head(jnp.concatenate([forward, backward], -1))[:, 0]

    net = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(net, optax.adam(RATE), wrt=nnx.Param)
    xs, ys, epochs_seen = *jax.device_put((tokens, labels)), 0

    @nnx.jit
    def step(net, optimizer, rows):
        def loss(net):
            return optax.sigmoid_binary_cross_entropy(net(xs[rows]), ys[rows]).mean()

        value, gradient = nnx.value_and_grad(loss)(net)
        optimizer.update(net, gradient)
        return value

    def train(epochs: int) -> float:
        nonlocal epochs_seen
        for _ in range(epochs):
            rows = jnp.asarray(order(len(xs), epochs_seen))
            epochs_seen += 1
            parts = [rows[i : i + BATCH] for i in range(0, len(xs), BATCH)]
            losses = [step(net, optimizer, part) for part in parts]
        return float(np.average([float(v) for v in losses], weights=[len(p) for p in parts]))

    return train


def torch_loop(threads: int | None, tokens: np.ndarray, labels: np.ndarray) -> Train:
    """The fastest plain form: rows ordered once an epoch, slices of tensors, fused Adam."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    first = {name: torch.from_numpy(values) for name, values in weights().items()}

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(VOCABULARY, EMBEDDING)
            self.lstm = torch.nn.LSTM(EMBEDDING, HIDDEN, bidirectional=True, batch_first=True)
            self.head = torch.nn.Linear(2 * HIDDEN, 1)

        def forward(self, tokens):
            _, (h, _) = self.lstm(self.embedding(tokens))
            return self.head(torch.cat([h[0], h[1]], -1))[:, 0]

    net = Net()
    with torch.no_grad():
        net.embedding.weight.copy_(first["embedding"])
        net.head.weight.copy_(first["head"].T)
        net.head.bias.zero_()
        for d, suffix in enumerate(("", "_reverse")):
            getattr(net.lstm, f"weight_ih_l0{suffix}").copy_(first["input"][d].T)
            getattr(net.lstm, f"weight_hh_l0{suffix}").copy_(first["hidden"][d].T)
            getattr(net.lstm, f"bias_ih_l0{suffix}").copy_(first["b"][d])
            second = getattr(net.lstm, f"bias_hh_l0{suffix}")
            second.zero_().requires_grad_(False)  # two biases would take two steps
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=RATE, fused=True)
    loss_of = torch.nn.BCEWithLogitsLoss()
    xs, ys, epochs_seen = torch.from_numpy(tokens).long(), torch.from_numpy(labels), 0

    def train(epochs: int) -> float:
        nonlocal epochs_seen
        for _ in range(epochs):
            rows = torch.from_numpy(order(len(xs), epochs_seen))
            epochs_seen += 1
            x, y, total = xs[rows], ys[rows], torch.zeros(())
            for i in range(0, len(xs), BATCH):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(net(x[i : i + BATCH]), y[i : i + BATCH])
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(y[i : i + BATCH])
        return float(total) / len(xs)

    return train


def keras_fit(tokens: np.ndarray, labels: np.ndarray) -> Train:
    """Keras' own `fit`; the backend is chosen by KERAS_BACKEND."""
    import keras

    first, epochs_seen = weights(), 0
    lstm = keras.layers.Bidirectional(keras.layers.LSTM(HIDDEN))
    net = keras.Sequential(
        [
            keras.Input((tokens.shape[1],), dtype="int32"),
            keras.layers.Embedding(VOCABULARY, EMBEDDING),
            lstm,
            keras.layers.Dense(1),
        ]
    )
    both = [first[name][d] for d in (0, 1) for name in ("input", "hidden", "b")]
    net.set_weights([first["embedding"], *both, first["head"], first["head_bias"]])
    net.compile(
        keras.optimizers.Adam(RATE, epsilon=1e-8), keras.losses.BinaryCrossentropy(from_logits=True)
    )

    def train(epochs: int) -> float:
        nonlocal epochs_seen
        for _ in range(epochs):
            rows = order(len(tokens), epochs_seen)
            epochs_seen += 1
            seen = net.fit(
                *(tokens[rows], labels[rows, None]),
                **{"batch_size": BATCH, "epochs": 1, "shuffle": False, "verbose": 0},
            )
        return seen.history["loss"][-1]

    return train


def _torch(threads: int | None) -> Callable[..., Train]:
    return lambda *args: torch_loop(threads, *args)


PEERS: dict[str, tuple[dict[str, str], Callable[..., Train]]] = {
    "channelwise": ({}, channelwise),
    "plain nnx": ({}, nnx_loop),
    "torch, 1 thread": ({}, _torch(1)),
    "torch, all threads": ({}, _torch(None)),
    "Keras, JAX": ({"KERAS_BACKEND": "jax"}, keras_fit),
    "Keras, TensorFlow": ({"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}, keras_fit),
}
"""Name to (environment of its process, builder)."""
