"""Sentences that belong together: whose partner is whose, and the loss of finding it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.learning.data.tokens import CLASSIFY, SEPARATOR
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.bert import Bert
from channelwise.learning.models.bert_config import BertConfig
from channelwise.learning.models.sentence import (
    SentenceClassifier,
    SentencePairs,
    sentence_vectors,
)
from channelwise.learning.pairs import document_pairs, pair_cross_entropy

SMALL = BertConfig(
    vocab_size=60,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=16,
    type_vocab_size=1,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.2,
)


def rows(count, length=10, seed=0):
    rng = np.random.default_rng(seed)
    x = np.zeros((count, length), np.int32)
    for i, n in enumerate(rng.integers(2, length - 1, count)):
        x[i, : n + 2] = [CLASSIFY, *rng.integers(5, 60, n), SEPARATOR]
    return x


def test_every_row_gets_another_row_of_its_document():
    x, documents = rows(40), np.random.default_rng(1).integers(0, 6, 40)
    pairs, of = document_pairs(x, documents)
    place = {row.tobytes(): i for i, row in enumerate(x)}
    first, second = ([place[row.tobytes()] for row in pairs[:, side]] for side in (0, 1))
    assert sorted(first) == sorted(second) == list(range(40))
    assert all(a != b for a, b in zip(first, second, strict=True))
    np.testing.assert_array_equal(documents[first], of)
    np.testing.assert_array_equal(documents[second], of)


def test_a_row_that_is_alone_is_paired_with_its_other_half():
    x = np.array([[CLASSIFY, 7, 8, 9, SEPARATOR, 0], [CLASSIFY, 7, SEPARATOR, 0, 0, 0]], np.int32)
    pairs, of = document_pairs(x, np.array([4, 5]))
    assert pairs.tolist() == [
        [[CLASSIFY, 7, 8, SEPARATOR, 0, 0], [CLASSIFY, 9, SEPARATOR, 0, 0, 0]]
    ]
    assert of.tolist() == [4]
    with pytest.raises(ValueError, match="No pairs"):
        document_pairs(x[1:], np.array([5]))


def test_the_loss_counts_other_documents_of_positive_weight_as_wrong_answers():
    rng = np.random.default_rng(2)
    s, documents = rng.standard_normal((6, 6)).astype(np.float32), np.array([1, 2, 1, 3, 3, 4])
    w = np.array([1, 2, 0.5, 0, 1, 1], np.float32)
    expected = []
    for i in range(6):
        wrong = [j for j in range(6) if documents[j] != documents[i] and w[j] > 0]
        expected.append(np.log(np.exp(s[i, [i, *wrong]]).sum()) - s[i, i])
    got = [
        pair_cross_entropy(
            jnp.asarray(s), jnp.asarray(documents), weights=jnp.asarray(w), reduction=r
        )
        for r in ("none", "sum", "mean")
    ]
    total = (w * expected).sum()
    np.testing.assert_allclose(got[0], w * expected, rtol=1e-5)
    np.testing.assert_allclose(got[1:], [total, total / w.sum()], rtol=1e-5)


def test_sentences_of_the_same_document_are_not_pushed_apart():
    documents = jnp.array([1, 1, 2])
    gradient = np.asarray(jax.jit(jax.grad(pair_cross_entropy))(jnp.ones((3, 3)), documents))
    assert gradient[0, 1] == gradient[1, 0] == 0
    assert gradient[0, 2] > 0
    assert gradient[0, 0] < 0


BERT = Bert(SMALL, seed=3)
states = jax.jit(lambda x: BERT(x).hidden)
vectors = jax.jit(lambda x: sentence_vectors(BERT, x))


def test_a_vector_is_the_mean_of_the_hidden_states_of_real_tokens_whatever_the_padding():
    x = np.pad(rows(6), ((0, 0), (0, 2)))
    x[5] = [CLASSIFY, SEPARATOR] + [0] * 10
    got, wider = np.asarray(vectors(x)), vectors(np.pad(x, ((0, 0), (0, 3))))
    hidden = np.asarray(states(x))
    expected = [h[1 : (row > 0).sum() - 1].mean(0) for h, row in zip(hidden[:5], x, strict=False)]
    np.testing.assert_allclose(got[:5], expected, atol=1e-6)
    np.testing.assert_allclose(wider, got, atol=1e-6)
    assert (got[5] == 0).all()


def test_similarities_are_cosines_over_the_temperature():
    x = np.pad(rows(6), ((0, 0), (0, 2)))
    v = np.asarray(vectors(x))
    v = v / np.linalg.norm(v, axis=1, keepdims=True)
    model = SentencePairs(SMALL, temperature=0.5, encoder=BERT)
    got = jax.jit(model)(x.reshape(3, 2, -1))
    np.testing.assert_allclose(got, v[::2] @ v[1::2].T / 0.5, atol=1e-4)
    with pytest.raises(ValueError, match="temperature"):
        SentencePairs(SMALL, temperature=0.0)


def test_pairs_teach_what_a_few_labels_then_tell():
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 2, 240)
    x = np.zeros((240, 8), np.int32)
    words = np.where(topic == 0, 5, 30)[:, None] + rng.integers(0, 25, (240, 6))
    x[:, 0], x[:, 1:7], x[:, 7] = CLASSIFY, words, SEPARATOR
    pairs = document_pairs(x, topic * 100 + np.arange(240) % 40)
    model, history = fit(
        SentencePairs(SMALL, seed=2), pair_cross_entropy, pairs, epochs=15, batch_size=32
    )
    assert history.train_loss[-1] < history.train_loss[0] - 0.3
    classifier = SentenceClassifier(SMALL, 1, encoder=model.bert)
    assert predict(classifier, x).shape == (240,)
    v = np.asarray(jax.jit(lambda x: sentence_vectors(model.bert, x))(x))
    v = v - v.mean(0)
    guess = v @ (v[topic == 1][:2].mean(0) - v[topic == 0][:2].mean(0)) > 0
    assert (guess == topic).mean() > 0.95
