"""A text classifier that reads each text from both ends: embedding, two LSTMs, one affine map."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from channelwise.learning.models.lstm import GATES, last_states
from channelwise.learning.models.pure import PureModel

PADDING = 0


class BiLSTMParameters(NamedTuple):
    """The arrays of a `BiLSTM`.

    Attributes:
      embedding: one vector a token; the padding's is never read.
      W: of both directions: input rows, then hidden rows; columns i, f, g, o.
      b: of both directions' gates.
      head: from the two last states (forward, backward) to the outputs.
      head_bias: of the outputs.
    """

    embedding: Shaped[Array | np.ndarray, "token feature"]
    W: Shaped[Array | np.ndarray, "direction feature_and_hidden gates"]
    b: Shaped[Array | np.ndarray, "direction gates"]
    head: Shaped[Array | np.ndarray, "states output"]
    head_bias: Shaped[Array | np.ndarray, " output"]


def draw_bilstm(
    vocabulary: int, embedding: int, hidden: int, outputs: int, seed: int
) -> BiLSTMParameters:
    """First weights, drawn with NumPy so that nothing is compiled.

    Vectors of length about 1 for the tokens; W ~ N(0, 1/n_in) from the inputs, orthogonal from
    the hidden state (which keeps its length over many steps); b = 0 but for the forget gate's 1,
    so that the cell remembers at first.

    Raises:
      ValueError: if a size makes no network.

    Source: Saxe, McClelland, Ganguli 2014; Jozefowicz, Zaremba, Sutskever 2015, §2.2.
    """
    sizes = {"vocabulary": vocabulary, "embedding": embedding, "hidden": hidden, "outputs": outputs}
    for name, size in sizes.items():
        if size < (2 if name == "vocabulary" else 1):
            least = "2 (the padding and a token)" if name == "vocabulary" else "1"
            raise ValueError(f"{name} = {size} makes no network: give at least {least}.")
    rng = np.random.default_rng(seed)

    def normal(rows: int, columns: int, n_in: int) -> np.ndarray:
        return rng.standard_normal((rows, columns), np.float32) / np.float32(np.sqrt(n_in))

    def direction() -> np.ndarray:
        recurrent = [np.linalg.qr(rng.standard_normal((hidden, hidden)))[0] for _ in range(GATES)]
        return np.vstack([normal(embedding, GATES * hidden, embedding), np.hstack(recurrent)])

    b = np.zeros((2, GATES * hidden), np.float32)
    b[:, hidden : 2 * hidden] = 1
    return BiLSTMParameters(
        embedding=normal(vocabulary, embedding, embedding),
        W=np.stack([direction(), direction()]).astype(np.float32),
        b=b,
        head=normal(2 * hidden, outputs, 2 * hidden),
        head_bias=np.zeros(outputs, np.float32),
    )


def bilstm(
    params: BiLSTMParameters, tokens: Int[Array, "row length"]
) -> Float[Array, "row *output"]:
    """z = [h→, h←] V + v with h→, h← the last states of `last_states` over the embedded tokens.

    Args:
      params: the weights.
      tokens: ids in [0, vocabulary), 0 = padding: wherever it stands, it changes nothing. A text
        of padding alone gets the answer v.

    Returns:
      Logits: one a row if there is one output, else a row of them.
    """
    both = jnp.stack([tokens.T, tokens.T[::-1]], axis=1)
    seen = (both != PADDING)[..., None]
    h = last_states(params.embedding[both], seen, params.W, params.b)
    z = jnp.concatenate([h[0], h[1]], axis=-1) @ params.head + params.head_bias[None, :]
    return z[:, 0] if z.shape[1] == 1 else z


class BiLSTM(nnx.Module):
    """Bidirectional LSTM: embedding, one LSTM from each end, an affine map of their last states.

    parameters: vocabulary·e + 2·4h(e + h + 1) + outputs (2h + 1); 369,793 at the defaults

    Args:
      vocabulary: number of token ids, padding (0) included, ≥ 2.
      embedding: e, numbers a token, ≥ 1.
      hidden: h, numbers in each direction's state, ≥ 1.
      outputs: logits a row: 1 for two classes, else one a class or label.
      seed: of the first weights.

    Raises:
      ValueError: if a size makes no network.

    Source: Graves, Schmidhuber 2005.
    """

    def __init__(
        self,
        vocabulary: int = 10000,
        embedding: int = 32,
        hidden: int = 64,
        outputs: int = 1,
        *,
        seed: int = 0,
    ):
        self.config = (vocabulary, embedding, hidden, outputs)
        drawn = draw_bilstm(*self.config, seed=seed)
        for name, values in drawn._asdict().items():
            setattr(self, name, nnx.Param(jnp.asarray(values)))

    def __call__(self, tokens: Int[Array, "row length"]) -> Float[Array, "row *output"]:
        return bilstm(self._parameters(), tokens)

    def pure(self) -> PureModel:
        """This network, with its present weights, as a function and its parameters."""
        names = ("vocabulary", "embedding", "hidden", "outputs")
        config = {"kind": "bilstm", **dict(zip(names, self.config, strict=True))}
        return PureModel(bilstm, self._parameters(), config)

    def _parameters(self) -> BiLSTMParameters:
        return BiLSTMParameters(*(getattr(self, name)[...] for name in BiLSTMParameters._fields))
