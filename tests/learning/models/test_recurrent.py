"""The BiLSTM: its equations in a plain loop, its gradient, its padding, and torch's answer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from channelwise.foundations.losses import binary_cross_entropy
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.lstm import gates, last_states
from channelwise.learning.models.recurrent import BiLSTM, BiLSTMParameters, bilstm, draw_bilstm

SIZES = (30, 5, 6, 3)  # vocabulary, embedding, hidden, outputs


def batch(rows=7, length=9, vocabulary=30, seed=0):
    """Texts of 1 to `length` tokens, padded at the end."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, vocabulary, (rows, length)).astype(np.int32)
    lengths = np.concatenate([[1, length], rng.integers(1, length + 1, rows - 2)])
    tokens[np.arange(length) >= lengths[:, None]] = 0
    return tokens


def parameters(seed=0):
    """Weights with no zero among them, so that a forgotten bias is seen."""
    rng = np.random.default_rng(seed + 100)
    drawn = draw_bilstm(*SIZES, seed=seed)
    return BiLSTMParameters(*(a + 0.1 * rng.standard_normal(a.shape, np.float32) for a in drawn))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_hand(params, tokens):
    """The equations in float64: one text, one token, one direction at a time, padding cut off."""
    E, W, b, V, v = (np.asarray(a, np.float64) for a in params)
    answers = []
    for row in tokens:
        x = E[row[row != 0]]
        states = []
        for W_d, b_d, inputs in zip(W, b, (x, x[::-1]), strict=True):
            h = c = np.zeros(W.shape[2] // 4)
            for x_t in inputs:
                z_i, z_f, z_g, z_o = np.split(np.concatenate([x_t, h]) @ W_d + b_d, 4)
                c = sigmoid(z_f) * c + sigmoid(z_i) * np.tanh(z_g)
                h = sigmoid(z_o) * np.tanh(c)
            states.append(h)
        answers.append(np.concatenate(states) @ V + v)
    return np.array(answers)


def plainly(params, tokens):
    """The same equations as a scan that JAX differentiates by itself."""

    def direction(W, b, x, seen):
        def step(state, at):
            h, c = state
            x_t, m = at
            z = jnp.concatenate([x_t, h], -1) @ W + b[None]
            i, f, g, o = jnp.split(z, 4, -1)
            c_new = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h_new = jax.nn.sigmoid(o) * jnp.tanh(c_new)
            return (jnp.where(m, h_new, h), jnp.where(m, c_new, c)), None

        zero = jnp.zeros((x.shape[1], W.shape[1] // 4))
        return jax.lax.scan(step, (zero, zero), (x, seen))[0][0]

    E, W, b, V, v = params
    x, seen = E[tokens.T], (tokens.T != 0)[..., None]
    ends = [direction(W[0], b[0], x, seen), direction(W[1], b[1], x[::-1], seen[::-1])]
    return jnp.concatenate(ends, -1) @ V + v[None]


def test_the_answer_is_that_of_the_equations_one_token_at_a_time():
    tokens, params = batch(), parameters()
    answers = jax.jit(bilstm)(jax.tree.map(jnp.asarray, params), jnp.asarray(tokens))
    np.testing.assert_allclose(answers, by_hand(params, tokens), rtol=0, atol=2e-6)


def test_torch_gives_the_same_answer_and_gradient_with_the_same_weights():
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    tokens, params = batch(), parameters()
    _, embedding, hidden, _ = SIZES
    lstm = torch.nn.LSTM(embedding, hidden, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for d, suffix in enumerate(("", "_reverse")):
            W, b = torch.tensor(params.W[d].T), torch.tensor(params.b[d])
            getattr(lstm, f"weight_ih_l0{suffix}").copy_(W[:, :embedding])
            getattr(lstm, f"weight_hh_l0{suffix}").copy_(W[:, embedding:])
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(b)
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
    table = torch.tensor(params.embedding, requires_grad=True)
    lengths = torch.tensor((tokens != 0).sum(1))
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        table[torch.tensor(tokens, dtype=torch.long)],
        lengths,
        batch_first=True,
        enforce_sorted=False,
    )
    h = lstm(packed)[1][0]
    theirs = torch.cat([h[0], h[1]], 1) @ torch.tensor(params.head) + torch.tensor(params.head_bias)
    theirs.sin().sum().backward()

    def total(p):
        answers = bilstm(p, jnp.asarray(tokens))
        return jnp.sin(answers).sum(), answers

    ours = jax.tree.map(jnp.asarray, params)
    gradient, answers = jax.jit(jax.grad(total, has_aux=True))(ours)
    np.testing.assert_allclose(answers, theirs.detach().numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(gradient.embedding, table.grad.numpy(), rtol=0, atol=1e-5)
    for d, suffix in enumerate(("", "_reverse")):
        parts = [getattr(lstm, f"weight_{kind}_l0{suffix}").grad.numpy().T for kind in ("ih", "hh")]
        np.testing.assert_allclose(gradient.W[d], np.vstack(parts), rtol=0, atol=1e-5)


def test_the_gradient_is_that_of_the_plain_form_for_several_models_at_once():
    tokens = jnp.asarray(batch(seed=3))
    models = [jax.tree.map(jnp.asarray, parameters(s)) for s in (3, 4)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *models)
    ours, plain = (
        jax.jit(jax.vmap(jax.grad(lambda p, f=f: jnp.sin(f(p, tokens)).sum())))(stacked)
        for f in (bilstm, plainly)
    )
    for name, a, b in zip(stacked._fields, ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5, err_msg=name)
    assert not ours.embedding[:, 0].any(), "the padding's vector must not move"


def test_padding_changes_nothing_wherever_it_stands():
    tokens, params = batch(), jax.tree.map(jnp.asarray, parameters())
    after = np.pad(tokens, ((0, 0), (0, 9)))
    before = np.pad(tokens, ((0, 0), (9, 0)))
    between = np.stack([tokens, np.zeros_like(tokens)], 2).reshape(len(tokens), -1)
    answer, apply = jax.jit(bilstm)(params, jnp.asarray(tokens)), jax.jit(bilstm)
    for other in (after, before, between):
        np.testing.assert_allclose(apply(params, jnp.asarray(other)), answer, rtol=0, atol=1e-6)


def test_a_text_of_padding_alone_gets_the_last_bias():
    params = jax.tree.map(jnp.asarray, parameters())
    answer = bilstm(params, jnp.zeros((2, 4), jnp.int32))
    np.testing.assert_array_equal(answer, np.tile(params.head_bias, (2, 1)))


def test_the_direction_matters():
    params = jax.tree.map(jnp.asarray, parameters())
    tokens = jnp.asarray(batch(rows=2)[1:])
    assert not np.allclose(bilstm(params, tokens), bilstm(params, tokens[:, ::-1]))


def test_the_gates_are_sigmoids_and_one_tanh_also_far_out():
    z = np.array([-200, -20, -3, -1e-4, 0, 0.5, 7, 200], np.float32)
    parts = gates(jnp.asarray(np.concatenate([z] * 4))[None, None])
    for part, exact in zip(parts, (sigmoid, sigmoid, np.tanh, sigmoid), strict=True):
        np.testing.assert_allclose(part[0, 0], exact(z.astype(np.float64)), rtol=0, atol=2e-7)


def test_the_parameters_are_counted_as_published():
    count = sum(a.size for a in BiLSTM().pure().params)
    assert count == 320_000 + 49_664 + 129 == 369_793


def test_the_module_and_the_pure_form_are_the_same_network():
    module, tokens = BiLSTM(*SIZES, seed=4), jnp.asarray(batch())
    np.testing.assert_array_equal(module(tokens), module.pure()(tokens))
    assert module(tokens).shape == (7, 3)
    assert BiLSTM(30, 5, 6)(tokens).shape == (7,)


def test_first_weights_follow_the_seed_and_keep_the_state_and_its_memory():
    one, again, other = (draw_bilstm(*SIZES, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one.W, other.W)
    U = one.W[0, 5:, 6:12].astype(np.float64)
    np.testing.assert_allclose(U.T @ U, np.eye(6), atol=1e-6)
    assert one.b[:, 6:12].min() == 1
    assert one.b.sum() == 12


def test_it_learns_whether_the_first_and_the_last_token_agree():
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 3, (256, 8)).astype(np.int32)
    tokens[:, 6:] *= rng.integers(0, 2, (256, 1)).astype(np.int32)
    last = tokens[np.arange(256), (tokens != 0).sum(1) - 1]
    agree = (tokens[:, 0] == last).astype(np.float32)
    data = (tokens, agree)
    model, history = fit(
        BiLSTM(3, 4, 8), binary_cross_entropy, data, epochs=30, optimizer=optax.adam(1e-2)
    )
    assert history.train_loss[-1] < 0.1
    assert ((predict(model, tokens) > 0) == agree).mean() > 0.95


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ((1, 5, 6), r"vocabulary = 1 .* at least 2 \(the padding and a token\)"),
        ((30, 0, 6), "embedding = 0 .* at least 1"),
        ((30, 5, 0), "hidden = 0 .* at least 1"),
        ((30, 5, 6, 0), "outputs = 0 .* at least 1"),
    ],
)
def test_sizes_that_make_no_network_are_a_sentence(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        BiLSTM(*sizes)


def test_half_precision_weights_give_half_precision_states():
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16), parameters())
    x = params.embedding[jnp.ones((4, 2, 3), jnp.int32)]
    h = last_states(x, jnp.ones((4, 2, 3, 1), bool), params.W, params.b)
    assert h.dtype == jnp.bfloat16
