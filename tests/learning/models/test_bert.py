"""BERT: parameter counts, invariances, inputs that are refused, heads, dropout and training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from channelwise.foundations.losses import softmax_cross_entropy
from channelwise.learning.fit import fit
from channelwise.learning.models.bert import Bert, BertClassifier, BertMaskedLanguage
from channelwise.learning.models.bert_config import (
    BERT_BASE,
    BERT_LARGE,
    BertConfig,
    BertError,
    layer_parameters,
    parameter_count,
)

TINY = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=10,
    initializer_range=0.5,
)
TOKENS = np.random.default_rng(0).integers(1, 30, (4, 6)).astype(np.int32)
TOKENS[1, 4:], TOKENS[2, 1:] = 0, 0


@nnx.jit
def _answer(model, x):
    return model(x)


def answer(model, x):
    return _answer(model, jax.tree.map(jnp.asarray, x))


def numbers_of(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.fixture(scope="module")
def bert():
    return Bert(TINY)


def test_the_published_sizes_have_the_published_parameters():
    assert layer_parameters(BERT_BASE) == 7_087_872
    assert parameter_count(BERT_BASE) == 109_482_240
    assert parameter_count(BERT_LARGE) == 335_141_888
    assert parameter_count(BERT_BASE, "masked_language") - 109_482_240 == 622_650
    assert parameter_count(BERT_BASE, "classification", 2) - 109_482_240 == 2 * 769


def test_the_count_is_that_of_the_model():
    assert numbers_of(Bert(TINY)) == parameter_count(TINY)
    assert numbers_of(BertClassifier(TINY, 3)) == parameter_count(TINY, "classification", 3)
    assert numbers_of(BertMaskedLanguage(TINY)) == parameter_count(TINY, "masked_language")
    with pytest.raises(BertError, match="head must be"):
        parameter_count(TINY, "regression")


def test_padding_changes_nothing_for_the_tokens_before_it(bert):
    padded = np.pad(TOKENS, ((0, 0), (0, 3)))
    short, long = answer(bert, TOKENS), answer(bert, padded)
    real = TOKENS != 0
    np.testing.assert_allclose(long.hidden[:, :6][real], short.hidden[real], atol=2e-6)
    np.testing.assert_allclose(long.pooled, short.pooled, atol=2e-6)


def test_rows_do_not_see_each_other(bert):
    together = answer(bert, TOKENS)
    other = np.where(np.arange(4)[:, None] == 2, TOKENS, 7).astype(np.int32)
    np.testing.assert_allclose(answer(bert, other).hidden[2], together.hidden[2], atol=2e-6)


def test_no_types_are_types_of_zero_and_other_types_matter(bert):
    zero = answer(bert, {"tokens": TOKENS, "types": np.zeros_like(TOKENS)})
    one = answer(bert, {"tokens": TOKENS, "types": np.ones_like(TOKENS)})
    np.testing.assert_allclose(zero.hidden, answer(bert, TOKENS).hidden, atol=2e-6)
    assert np.abs(one.hidden - zero.hidden).max() > 0.01


def test_a_row_of_padding_alone_and_no_rows_at_all_are_answered(bert):
    assert np.isfinite(answer(bert, np.zeros((2, 6), np.int32)).pooled).all()
    assert answer(bert, np.zeros((0, 6), np.int32)).pooled.shape == (0, 8)


@pytest.mark.parametrize("token", [30, -1])
def test_a_token_outside_the_vocabulary_makes_its_row_not_a_number_and_no_other(bert, token):
    tokens = TOKENS.copy()
    tokens[0, 2] = token
    pooled = np.asarray(answer(bert, tokens).pooled)
    assert np.isnan(pooled[0]).all()
    assert np.isfinite(pooled[1:]).all()


def test_inputs_a_model_cannot_use_are_sentences(bert):
    with pytest.raises(BertError, match=r"rows have 11 tokens.*knows 10 positions"):
        bert(jnp.ones((1, 11), jnp.int32))
    with pytest.raises(BertError, match=r"dictionary with tokens, types; got 'tokens', 'type'"):
        bert({"tokens": jnp.asarray(TOKENS), "type": jnp.asarray(TOKENS)})
    with pytest.raises(BertError, match=r"types has the shape \(4, 5\), tokens \(4, 6\)"):
        bert({"tokens": jnp.asarray(TOKENS), "types": jnp.asarray(TOKENS[:, :5])})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hidden_size": 9}, "hidden_size 9 is no multiple of num_attention_heads 12"),
        ({"vocab_size": 0}, "vocab_size must be a whole number of at least 1, got 0"),
        ({"pad_token_id": 40_000}, "pad_token_id 40000 is outside"),
        ({"hidden_act": "gelu_nwe"}, "'gelu_nwe' is not supported.*Did you mean 'gelu_new'"),
        ({"hidden_dropout_prob": 1.0}, r"hidden_dropout_prob must lie in \[0, 1\)"),
        ({"layer_norm_eps": 0.0}, r"layer_norm_eps must lie in \(0, 1\)"),
    ],
)
def test_a_configuration_that_makes_no_bert_is_a_sentence(changes, sentence):
    with pytest.raises(BertError, match=sentence):
        BertConfig(**changes)


def test_logits_at_chosen_positions_are_those_of_all_positions():
    model = BertMaskedLanguage(TINY)
    everywhere = np.asarray(answer(model, TOKENS))
    assert everywhere.shape == (4, 6, 30)
    positions = np.array([[0, 5], [3, 3], [2, 1], [4, 0]], np.int32)
    there = answer(model, {"tokens": TOKENS, "positions": positions})
    expected = np.take_along_axis(everywhere, positions[:, :, None], axis=1)
    np.testing.assert_allclose(there, expected, atol=2e-6)
    beyond = answer(model, {"tokens": TOKENS, "positions": positions + 6})
    assert np.isnan(beyond).all()


def test_a_classifier_begins_from_the_encoder_that_learned_the_language():
    language = BertMaskedLanguage(TINY, seed=5)
    classifier = BertClassifier(TINY, 3, seed=6, encoder=language.bert)
    np.testing.assert_array_equal(classifier.bert.word[...], language.bert.word[...])
    classifier.bert.word[...] = classifier.bert.word[...] + 1  # a copy: the other stays
    assert np.abs(classifier.bert.word[...] - language.bert.word[...]).min() > 0.5
    other = BertConfig(vocab_size=31, hidden_size=8, num_attention_heads=2)
    with pytest.raises(BertError, match=r"vocab_size 30 instead of 31"):
        BertClassifier(other, encoder=language.bert)


def test_one_output_is_one_number_a_row():
    assert answer(BertClassifier(TINY, 1), TOKENS).shape == (4,)
    with pytest.raises(BertError, match="outputs must be at least 1"):
        BertClassifier(TINY, 0)


def test_the_seed_decides_the_first_weights_and_their_spread():
    one, same, other = (Bert(TINY, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.word[...], same.word[...])
    assert np.abs(one.word[...] - other.word[...]).max() > 0.1
    assert float(one.word[...].std()) == pytest.approx(0.5, rel=0.15)


def test_dropout_is_off_until_training_and_then_differs_from_step_to_step():
    model = BertClassifier(TINY, 2)
    still = answer(model, TOKENS)
    np.testing.assert_array_equal(still, answer(model, TOKENS))
    model.train()
    first, second = answer(model, TOKENS), answer(model, TOKENS)
    assert np.abs(first - second).max() > 1e-3
    model.eval()
    np.testing.assert_array_equal(still, answer(model, TOKENS))


def test_fit_learns_which_token_stands_first():
    rng = np.random.default_rng(1)
    x = rng.integers(3, 30, (64, 6)).astype(np.int32)
    y = rng.integers(0, 2, 64).astype(np.int32)
    x[:, 0] = 1 + y
    config = BertConfig(**{**vars(TINY), "initializer_range": 0.2})
    model, history = fit(
        BertClassifier(config), softmax_cross_entropy, (x, y), epochs=40, batch_size=16
    )
    again, _ = fit(BertClassifier(config), softmax_cross_entropy, (x, y), epochs=40, batch_size=16)
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    np.testing.assert_array_equal(answer(model, x), answer(again, x))


@pytest.mark.parametrize("kind", [BertClassifier, BertMaskedLanguage])
def test_half_precision_goes_through_every_layer_and_its_gradient_and_dropout(kind):
    model = kind(TINY)
    model.train()
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    narrow = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)

    def total(p):
        outputs = nnx.merge(graph, p, rest, copy=True)(jnp.asarray(TOKENS))
        assert outputs.dtype == jnp.bfloat16
        return outputs.astype(jnp.float32).sum()

    gradient = jax.eval_shape(jax.grad(total), narrow)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype(jnp.bfloat16)}
