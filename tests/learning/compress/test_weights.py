"""What counts as a weight in the models of this library, and what stays as it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.learning.compress.prune import prune
from channelwise.learning.compress.quantize import quantized
from channelwise.learning.compress.weights import weight_mask, weights_of
from channelwise.learning.cost import parameters, tree_of
from channelwise.learning.fit import predict
from channelwise.learning.models.bert import BertClassifier
from channelwise.learning.models.bert_config import BertConfig
from channelwise.learning.models.convolution import CNN
from channelwise.learning.models.mlp import MLP
from channelwise.learning.models.recurrent import BiLSTM

SMALL = {"vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
TOKENS = np.random.default_rng(0).integers(1, 50, size=(6, 12)).astype(np.int32)
MODELS = {
    "MLP": (lambda: MLP((12, 8, 3)), TOKENS.astype(np.float32), 2, 2),
    "CNN": (lambda: CNN((8, 8, 1), (4, 6), 3), np.ones((6, 8, 8, 1), np.float32), None, None),
    "BiLSTM": (lambda: BiLSTM(50, 4, 5, 1), TOKENS, 3, 2),
    "BERT": (
        lambda: BertClassifier(BertConfig(**SMALL, intermediate_size=16)),
        TOKENS,
        3 + 2 * 4 + 1 + 1,
        None,
    ),
}


@pytest.fixture(params=MODELS)
def case(request):
    build, x, weights, others = MODELS[request.param]
    return build(), x, weights, others


def test_biases_and_norms_are_no_weights_even_when_they_are_stacked(case):
    model, _, weights, others = case
    mask = jax.tree.leaves(weight_mask(tree_of(model)))
    if weights is not None:
        assert sum(mask) == weights
    if others is not None:
        assert len(mask) - sum(mask) == others
    vectors = [part for part in parameters(model).parts if len(part.shape) < 2]
    assert vectors
    assert len(vectors) <= len(mask) - sum(mask)


def test_every_model_can_be_pruned_and_quantized_and_still_answers(case):
    model, x, *_ = case
    full = predict(model, x)
    pruned = prune(model, 0.5, scope="layer")
    zeros = sum(int((w == 0).sum()) for w in weights_of(pruned))
    total = sum(w.size for w in weights_of(model))
    assert zeros == pytest.approx(0.5 * total, rel=0.05)
    close = predict(quantized(model, 8), x)
    assert close.shape == full.shape
    assert np.abs(close - full).max() < 0.1 * max(1.0, np.abs(full).max())


def test_names_decide_where_shapes_do_not():
    tree = {"b": jnp.ones((2, 3)), "gate_bias": jnp.ones((2, 3)), "W": jnp.ones((2, 3))}
    assert weight_mask(tree) == {"b": False, "gate_bias": False, "W": True}
