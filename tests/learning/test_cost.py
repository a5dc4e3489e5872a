"""Parameters, operations and bytes against closed forms and against the compiler's own count."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from channelwise.foundations import losses
from channelwise.learning import cost
from channelwise.learning.cost import CostError, count
from channelwise.learning.models.bert import BertClassifier
from channelwise.learning.models.bert_config import BertConfig
from channelwise.learning.models.convolution import CNN
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.models.mlp import MLP
from channelwise.learning.models.recurrent import BiLSTM

F32 = jnp.float32


def shape(*sizes, dtype=F32):
    return jax.ShapeDtypeStruct(sizes, dtype)


class TestParameters:
    def test_an_mlp_has_inputs_times_outputs_plus_outputs(self):
        found = cost.parameters(pure_mlp((30, 128, 64, 1)))
        assert found.total == 31 * 128 + 129 * 64 + 65
        assert found.bytes == 4 * found.total

    def test_a_module_and_its_pure_form_have_the_same(self):
        module = MLP((30, 16, 1))
        assert cost.parameters(module).total == cost.parameters(module.pure()).total

    def test_an_lstm_with_one_bias_a_gate_has_four_times_h_times_d_plus_h_plus_one(self):
        d, h = 32, 64
        cell = nnx.eval_shape(lambda: nnx.OptimizedLSTMCell(d, h, rngs=nnx.Rngs(0)))
        sizes = [np.zeros(a.shape) for a in jax.tree.leaves(nnx.state(cell, nnx.Param))]
        assert cost.parameters(sizes).total == 4 * (h * (d + h) + h)

    def test_a_shared_tensor_counts_once(self):
        W = np.ones((5, 3), np.float32)
        tree = {"embedding": W, "head": W, "own": W.copy()}
        found = cost.parameters(tree)
        assert found.total == 30
        assert [part.name for part in found.parts] == ["embedding", "own"]

    def test_bytes_follow_the_type(self):
        tree = {"codes": np.ones(10, np.int8), "half": jnp.ones(10, jnp.bfloat16)}
        assert cost.parameters(tree).bytes == 30

    def test_the_table_adds_up_by_part(self):
        table = cost.parameters(pure_mlp((4, 3, 2))).table()
        assert list(table["parameters"]) == [15, 8]
        assert table["share"].sum() == pytest.approx(1)
        assert len(cost.parameters(pure_mlp((4, 3, 2))).table(depth=2)) == 4

    def test_what_is_no_model_is_refused(self):
        with pytest.raises(CostError, match="holds a str"):
            cost.parameters({"a": "weights"})


class TestProducts:
    def test_a_dense_layer_counts_two_m_n_k(self):
        found = count(lambda x, W: x @ W, shape(32, 100), shape(100, 7))
        assert found.matmul == found.flops == 2 * 32 * 100 * 7

    def test_batched_products_count_every_batch(self):
        found = count(lambda q, k: jnp.einsum("bhqd,bhkd->bhqk", q, k), *[shape(2, 3, 5, 8)] * 2)
        assert found.matmul == 2 * 2 * 3 * 5 * 5 * 8

    @pytest.mark.parametrize(("padding", "places"), [("SAME", 64), ("VALID", 36)])
    def test_a_convolution_counts_every_place(self, padding, places):
        def conv(x, W):
            return lax.conv_general_dilated(
                x, W, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        found = count(conv, shape(2, 8, 8, 5), shape(3, 3, 5, 6))
        assert found.convolution == found.flops == 2 * (2 * 9 * 5 * 6 * places)

    @pytest.mark.parametrize("stride", [1, 2])
    def test_a_convolution_costs_as_much_again_for_each_of_its_two_gradients(self, stride):
        def energy(x, W):
            z = lax.conv_general_dilated(
                x, W, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            return (z**2).sum()

        x, W = shape(2, 8, 8, 5), shape(3, 3, 5, 6)
        once = count(energy, x, W).convolution
        assert count(jax.grad(energy, (0, 1)), x, W).convolution == 3 * once

    def test_groups_divide_the_work(self):
        def conv(x, W):
            numbers = ("NHWC", "HWIO", "NHWC")
            return lax.conv_general_dilated(
                x, W, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=6
            )

        assert count(conv, shape(1, 4, 4, 6), shape(3, 3, 1, 6)).convolution == 2 * 16 * 6 * 9


class TestControl:
    def test_a_scan_counts_as_often_as_it_turns(self):
        def power(W, x):
            return lax.scan(lambda c, _: (c @ W, None), x, None, length=7)[0]

        assert count(power, shape(8, 8), shape(3, 8)).matmul == 7 * 2 * 3 * 8 * 8

    def test_a_loop_between_fixed_numbers_is_a_scan(self):
        def power(W, x):
            return lax.fori_loop(0, 5, lambda _, c: c @ W, x)

        assert count(power, shape(8, 8), shape(3, 8)).matmul == 5 * 2 * 3 * 8 * 8

    def test_a_while_needs_its_turns(self):
        def halve(x):
            return lax.while_loop(lambda v: v.sum() > 1, lambda v: v * 0.5, x)

        with pytest.raises(CostError, match="give turns="):
            count(halve, shape(10))
        assert count(halve, shape(10), turns=3).flops == 3 * (10 + 9)

    def test_a_condition_counts_its_dearest_branch(self):
        def either(x, W):
            return lax.cond(x.sum() > 0, lambda: x @ W, lambda: x + 1)

        found = count(either, shape(4, 4), shape(4, 4))
        assert (found.matmul, found.elementwise) == (2 * 4 * 4 * 4, 15)

    def test_jit_checkpoint_and_custom_gradients_are_followed(self):
        @jax.custom_vjp
        def twice(x, W):
            return x @ W

        twice.defvjp(
            lambda x, W: (x @ W, (x, W)), lambda kept, g: (g @ kept[1].T, kept[0].T @ g + 1.0)
        )

        def loss(x, W):
            return jax.jit(jax.checkpoint(lambda a: jnp.tanh(twice(a, W))))(x).sum()

        product = 2 * 4 * 5 * 5
        assert count(loss, shape(4, 5), shape(5, 5)).matmul == product
        found = count(jax.value_and_grad(loss, (0, 1)), shape(4, 5), shape(5, 5))
        assert found.matmul == 4 * product  # forward, forward again, two backward

    def test_what_no_result_needs_counts_nothing(self):
        def wasteful(x):
            x @ x.T
            return x + 1

        assert count(wasteful, shape(6, 6)).flops == 36

    def test_every_device_of_a_mesh_counts(self):
        mesh = Mesh(np.array(jax.devices()[:1]), ("row",))
        rows = PartitionSpec("row")
        sharded = jax.shard_map(lambda x: x * 2.0, mesh=mesh, in_specs=rows, out_specs=rows)
        assert count(sharded, shape(8)).flops == 8


class TestElements:
    def test_kinds_are_kept_apart(self):
        found = count(lambda x: jnp.tanh(x * 2 + 1).sum(), shape(100))
        assert (found.elementwise, found.transcendental) == (200 + 99, 100)

    def test_whole_numbers_and_moves_count_nothing(self):
        found = count(
            lambda i, x: (i + 1, x[::-1].reshape(5, 2)), shape(4, dtype=jnp.int32), shape(10)
        )
        assert found.flops == 0

    def test_what_has_no_rule_is_named(self):
        assert count(jnp.sort, shape(100)).uncounted == ("sort",)

    def test_bytes_are_arguments_and_results(self):
        found = count(lambda x, W: x @ W, shape(32, 100), shape(100, 7, dtype=F32))
        assert found.bytes == 4 * (32 * 100 + 100 * 7 + 32 * 7)
        assert found.intensity == found.flops / found.bytes


class TestAgainstTheCompiler:
    def test_products_agree(self):
        def two(x, A, B):
            return (x @ A) @ B

        args = [shape(64, 32), shape(32, 16), shape(16, 8)]
        assert count(two, *args).flops == xla_flops(two, *args)

    @pytest.mark.parametrize("sizes", [(30, 64, 32, 1), (64, 128, 10)])
    def test_a_training_gradient_agrees_within_its_elementwise_part(self, sizes):
        model = pure_mlp(sizes)
        x = shape(256, sizes[0])

        def loss(params, x):
            return (model.apply(params, x) ** 2).mean()

        gradient = jax.grad(loss)
        found = count(gradient, model.params, x)
        theirs = xla_flops(gradient, model.params, x)
        assert found.matmul < theirs
        assert found.flops == pytest.approx(theirs, rel=0.03)


def xla_flops(function, *args):
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]


class TestModels:
    def test_a_step_costs_three_forwards_less_the_gradient_of_the_inputs(self):
        sizes = (64, 256, 256, 10)
        model = pure_mlp(sizes)
        x, y = np.zeros((32, 64), np.float32), np.zeros(32, np.int32)
        layers = [2 * 32 * a * b for a, b in pairwise(sizes)]
        assert cost.forward(model, x).matmul == sum(layers)
        step = cost.training_step(model, losses.softmax_cross_entropy, x, y)
        assert step.matmul == 3 * sum(layers) - layers[0]

    def test_a_step_reads_and_writes_parameters_and_moments(self):
        model = pure_mlp((8, 4, 2))
        x, y = np.zeros((3, 8), np.float32), np.zeros(3, np.int32)
        n = cost.parameters(model).total
        step = cost.training_step(
            model, losses.softmax_cross_entropy, x, y, optimizer=optax.sgd(0.1)
        )
        assert step.bytes == 4 * (2 * n + x.size + y.size + 1)

    def test_a_module_costs_what_its_pure_form_costs(self):
        module, x = MLP((8, 4, 2)), np.zeros((3, 8), np.float32)
        assert cost.forward(module, x) == cost.forward(module.pure(), x)

    def test_the_rule_of_thumb_is_six_n_d(self):
        assert cost.rule_of_thumb(70e9, 15e12) == pytest.approx(6.3e24)

    def test_the_rule_holds_for_a_stack_of_matrices_and_fails_for_a_looked_up_table(self):
        W = [np.zeros((64, 64), np.float32) for _ in range(8)]
        table = np.zeros((5000, 64), np.float32)

        def loss(weights, tokens):
            table, W = weights
            h = table[tokens]
            for w in W:
                h = h @ w
            return h.sum()

        tokens = shape(100, dtype=jnp.int32)
        found = count(jax.grad(loss), (table, W), tokens).matmul
        assert found == pytest.approx(cost.rule_of_thumb(8 * 64 * 64, 100), rel=0.07)
        assert found < 0.1 * cost.rule_of_thumb(8 * 64 * 64 + table.size, 100)


class TestEveryModel:
    def test_lenet_has_the_parameters_that_its_paper_form_has(self):
        lenet = CNN((28, 28, 1), (6, 16), kernel=5, padding=("same", "valid"), hidden=(120, 84))
        assert cost.parameters(lenet).total == 61_706

    def test_a_convolutional_network_costs_two_k_squared_for_each_place(self):
        model, rows = CNN((8, 8, 1), (4, 6), 10), 3
        found = cost.forward(model, np.zeros((rows, 8, 8, 1), np.float32))
        assert found.flops > 2 * rows * (9 * 1 * 4 * 64 + 9 * 4 * 6 * 16)
        kernels = {p.name: p.shape for p in cost.parameters(model).parts if len(p.shape) == 4}
        assert sorted(kernels.values()) == [(3, 3, 1, 4), (3, 3, 4, 6)]

    def test_the_text_model_of_the_sources_has_369_793_parameters(self):
        assert cost.parameters(BiLSTM(10_000, 32, 64, 1)).total == 320_000 + 49_664 + 129

    def test_an_lstm_multiplies_every_weight_once_a_token(self):
        vocabulary, d, h, rows, length = 20, 3, 4, 2, 7
        tokens = np.ones((rows, length), np.int32)
        found = cost.forward(BiLSTM(vocabulary, d, h, 1), tokens).matmul
        gates = 2 * 2 * rows * length * (d + h) * 4 * h
        assert found == pytest.approx(gates + 2 * rows * 2 * h, rel=0.15)

    @pytest.mark.parametrize("length", [8, 64])
    def test_a_transformer_costs_its_products_and_its_attention(self, length):
        d, f, layers, rows = 16, 40, 2, 3
        sizes = {"hidden_size": d, "intermediate_size": f, "num_hidden_layers": layers}
        config = BertConfig(**sizes, num_attention_heads=2, vocab_size=30)
        x, y = np.ones((rows, length), np.int32), np.zeros(rows, np.int32)
        model = BertClassifier(config)
        tokens = rows * length
        products = 2 * tokens * layers * (4 * d * d + 2 * d * f)
        attention = 2 * tokens * layers * 2 * length * d
        once = cost.forward(model, x).matmul
        assert once == pytest.approx(products + attention, rel=0.02)
        step = cost.training_step(model, losses.softmax_cross_entropy, x, y).matmul
        assert step == pytest.approx(3 * once, rel=0.02)
