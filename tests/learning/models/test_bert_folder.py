"""Hugging Face folders of BERT: equal to `transformers`, written back, and refused by name."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from channelwise.learning.models.bert import Bert, BertClassifier, BertMaskedLanguage
from channelwise.learning.models.bert_config import BertConfig, BertError
from channelwise.learning.models.bert_folder import load_bert, save_bert

FIXTURE = Path(__file__).parent / "bert_fixture"
QUERY = "encoder.layer.1.attention.self.query.weight"


@nnx.jit
def _answer(model, x):
    return model(x)


def answer(model, x):
    return _answer(model, jax.tree.map(jnp.asarray, x))


def expected_of(name):
    with np.load(FIXTURE / name / "expected.npz") as arrays:
        return dict(arrays)


def inputs_of(expected):
    return {name: expected[name] for name in ("tokens", "types")}


@pytest.fixture
def folder(tmp_path):
    """A copy of the encoder's folder, to be damaged."""
    return Path(shutil.copytree(FIXTURE / "encoder", tmp_path / "bert"))


def change_tensors(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def change_config(folder, **changes):
    record = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**record, **changes}))


# Equal to transformers


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("encoder", "encoder"),
        ("classification", "classification"),
        ("masked_language", "masked_language"),
        ("pretraining", "masked_language"),
    ],
)
def test_hidden_states_pooled_and_logits_are_those_of_transformers(name, head):
    expected = expected_of(name)
    loaded = load_bert(FIXTURE / name, head)
    found = answer(loaded.model, inputs_of(expected))
    if head == "encoder":
        np.testing.assert_allclose(found.hidden, expected["hidden"], atol=1e-5)
        np.testing.assert_allclose(found.pooled, expected["pooled"], atol=1e-5)
        return
    np.testing.assert_allclose(found, expected["logits"], atol=1e-5)
    hidden, _ = loaded.model.bert.hidden(jax.tree.map(jnp.asarray, inputs_of(expected)))
    np.testing.assert_allclose(hidden.reshape(4, 9, 16), expected["hidden"], atol=1e-5)


def test_what_is_drawn_and_what_is_left_is_told():
    whole = load_bert(FIXTURE / "pretraining", "masked_language")
    assert whole.drawn == ()
    assert whole.unused == ("cls.seq_relationship.bias", "cls.seq_relationship.weight")
    other = load_bert(FIXTURE / "pretraining", "classification", outputs=5, seed=3)
    assert other.drawn == ("classifier.weight", "classifier.bias")
    assert "cls.predictions.bias" in other.unused
    assert other.labels == tuple(f"LABEL_{i}" for i in range(5))
    assert float(other.model.classifier.kernel[...].std()) == pytest.approx(0.4, rel=0.3)
    np.testing.assert_array_equal(other.model.bert.word[...], whole.model.bert.word[...])
    assert load_bert(FIXTURE / "masked_language", "encoder").drawn == (
        "pooler.dense.weight",
        "pooler.dense.bias",
    )


@pytest.mark.parametrize(("kind", "near"), [("F16", 2e-2), ("BF16", 2e-1)])
def test_half_precision_weights_are_read_and_close(folder, kind, near):
    import ml_dtypes

    types = {"F16": np.float16, "BF16": ml_dtypes.bfloat16}
    change_tensors(folder, lambda t: t.update({k: v.astype(types[kind]) for k, v in t.items()}))
    expected = expected_of("encoder")
    found = answer(load_bert(folder).model, inputs_of(expected))
    assert found.hidden.dtype == jnp.float32
    np.testing.assert_allclose(found.hidden, expected["hidden"], atol=near)


def test_old_names_prefixes_and_positions_are_understood(folder):
    def age(tensors):
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            tensors["bert." + old.replace("LayerNorm.bias", "LayerNorm.beta")] = tensors.pop(name)
        tensors["bert.embeddings.position_ids"] = np.arange(12)[None]

    change_tensors(folder, age)
    expected, loaded = expected_of("encoder"), load_bert(folder)
    found = answer(loaded.model, inputs_of(expected))
    np.testing.assert_allclose(found.hidden, expected["hidden"], atol=1e-5)
    assert loaded.unused == ("bert.embeddings.position_ids",)


def test_weights_in_several_files_are_read(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = {"a.safetensors": list(tensors)[::2], "b.safetensors": list(tensors)[1::2]}
    for file, names in halves.items():
        save_file({n: tensors[n] for n in names}, folder / file)
    index = {"weight_map": {n: file for file, names in halves.items() for n in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    expected = expected_of("encoder")
    found = answer(load_bert(folder).model, inputs_of(expected))
    np.testing.assert_allclose(found.hidden, expected["hidden"], atol=1e-5)
    (folder / "b.safetensors").unlink()
    with pytest.raises(BertError, match=r"names b.safetensors, which is not in the folder"):
        load_bert(folder)
    index["weight_map"]["x"] = "../elsewhere.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BertError, match=r"names ../elsewhere.safetensors"):
        load_bert(folder)


# Refused, by name


def test_a_missing_tensor_is_named_with_its_shape(folder):
    change_tensors(folder, lambda t: t.pop(QUERY))
    with pytest.raises(BertError, match=rf"lacks 1 of the tensors .*{QUERY} \(16, 16\)"):
        load_bert(folder)


def test_half_a_head_is_missing_and_not_drawn(folder):
    change_tensors(folder, lambda t: t.pop("pooler.dense.bias"))
    with pytest.raises(BertError, match=r"pooler.dense.bias \(16,\)"):
        load_bert(folder)


def test_a_misshapen_tensor_is_named_with_both_shapes(folder):
    change_tensors(folder, lambda t: t.update({QUERY: t[QUERY][:, :12].copy()}))
    with pytest.raises(BertError, match=rf"{QUERY} has the shape \(16, 12\), \(16, 16\) was exp"):
        load_bert(folder)


def test_an_unknown_tensor_is_named_with_the_nearest_known_one(folder):
    change_tensors(folder, lambda t: t.update({QUERY.replace("query", "quary"): t[QUERY]}))
    with pytest.raises(
        BertError, match=r"self.quary.weight \(16, 16\).*Did the writer mean .*query"
    ):
        load_bert(folder)


def test_an_adapter_hidden_in_a_layer_is_refused(folder):
    change_tensors(folder, lambda t: t.update({"encoder.layer.0.adapter.up": t[QUERY]}))
    with pytest.raises(BertError, match=r"adapter.up.*would not be the published ones"):
        load_bert(folder)


def test_quantized_weights_are_refused(folder):
    change_tensors(folder, lambda t: t.update({QUERY: t[QUERY].astype(np.int8)}))
    with pytest.raises(BertError, match=rf"{QUERY} holds I8"):
        load_bert(folder)


def test_another_number_of_classes_says_how_to_begin_a_new_head():
    with pytest.raises(BertError, match=r"classifier.weight has the shape \(3, 16\), \(5, 16\)"):
        load_bert(FIXTURE / "classification", "classification", outputs=5)


def test_an_untied_decoder_is_refused(tmp_path):
    folder = Path(shutil.copytree(FIXTURE / "masked_language", tmp_path / "bert"))
    words = "bert.embeddings.word_embeddings.weight"
    decoder = "cls.predictions.decoder.weight"
    change_tensors(folder, lambda t: t.update({decoder: t[words].copy()}))
    assert load_bert(folder, "masked_language").unused == (decoder,)
    change_tensors(folder, lambda t: t.update({decoder: t[words] + 1}))
    with pytest.raises(BertError, match=r"decoder.weight differs from the word embedding"):
        load_bert(folder, "masked_language")


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "roberta"},
        {"position_embedding_type": "relative_key"},
        {"hidden_act": "silu"},
        {"is_decoder": True},
        {"num_attention_heads": 3},
        {"hidden_size": "16"},
    ],
)
def test_an_architecture_that_is_not_this_bert_is_refused_by_name(folder, changes):
    change_config(folder, **changes)
    ((name, value),) = changes.items()
    with pytest.raises(BertError, match=rf"config.json.*{name}.*{value}"):
        load_bert(folder)


@pytest.mark.parametrize("size", [4, 60, 20_000])
def test_a_cut_off_file_is_refused(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BertError, match=r"model.safetensors is damaged or cut off"):
        load_bert(folder)


def test_a_pickle_is_never_read_and_the_remedy_is_named(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BertError, match=r"pickle.*save_pretrained"):
        load_bert(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(BertError, match=r"has no model.safetensors"):
        load_bert(folder)


def test_a_folder_or_a_head_that_is_none_is_a_sentence(folder):
    with pytest.raises(BertError, match="does not exist"):
        load_bert(folder / "nowhere")
    (folder / "config.json").write_text("{")
    with pytest.raises(BertError, match=r"config.json is damaged"):
        load_bert(folder)
    with pytest.raises(BertError, match=r"head 'classifier' is none of.*mean 'classification'"):
        load_bert(folder, "classifier")


# Written back


CONFIG = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=12, max_position_embeddings=6)  # fmt: skip
MODELS = {
    "encoder": lambda: Bert(CONFIG, seed=1),
    "classification": lambda: BertClassifier(CONFIG, 3, seed=1),
    "masked_language": lambda: BertMaskedLanguage(CONFIG, seed=1),
}


@pytest.mark.parametrize("head", MODELS)
def test_what_was_saved_is_loaded_bit_for_bit(tmp_path, head):
    model = MODELS[head]()
    save_bert(tmp_path / "bert", model)
    save_bert(tmp_path / "bert", model)  # a second time in the same place
    loaded = load_bert(tmp_path / "bert", head)
    assert loaded.drawn == loaded.unused == ()
    jax.tree.map(
        np.testing.assert_array_equal,
        nnx.state(model, nnx.Param),
        nnx.state(loaded.model, nnx.Param),
    )
    assert [p.name for p in tmp_path.iterdir()] == ["bert"]


def test_labels_are_kept_and_counted(tmp_path):
    labels = ("no", "yes", "who knows")
    save_bert(tmp_path / "bert", MODELS["classification"](), labels=labels)
    assert load_bert(tmp_path / "bert", "classification").labels == labels
    with pytest.raises(BertError, match="2 labels do not name 3 outputs"):
        save_bert(tmp_path / "bert", MODELS["classification"](), labels=labels[:2])


def test_a_foreign_folder_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BertError, match="is no folder of a BERT: nothing was written"):
        save_bert(tmp_path, MODELS["encoder"]())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


# Beside transformers itself


VARIANTS = {
    "gelu, one head, no padding": ("BertModel", {"num_attention_heads": 1}, 0),
    "tanh gelu, padding": ("BertForSequenceClassification", {"hidden_act": "gelu_new"}, 0.4),
    "one output, many types": ("BertForSequenceClassification", {"num_labels": 1,
                               "type_vocab_size": 4, "hidden_act": "relu"}, 0.6),
    "language": ("BertForMaskedLM", {"layer_norm_eps": 1e-3, "intermediate_size": 10}, 0.3),
}  # fmt: skip
HEADS = {"BertModel": "encoder", "BertForSequenceClassification": "classification"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_live_models_of_transformers_agree_both_ways(tmp_path, variant):
    torch = pytest.importorskip("torch", reason="torch is not installed: fixture tests only")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    kind, changes, padded = VARIANTS[variant]
    head = HEADS.get(kind, "masked_language")
    sizes = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3}
    sizes |= {"intermediate_size": 32, "max_position_embeddings": 16, "initializer_range": 0.3}
    torch.manual_seed(1)
    theirs = getattr(transformers, kind)(transformers.BertConfig(**{**sizes, **changes})).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    rng = np.random.default_rng(1)
    tokens = rng.integers(1, 50, (5, 16)).astype(np.int32)
    tokens[np.arange(16)[None] >= np.round(16 * (1 - padded * rng.random((5, 1))))] = 0
    types = rng.integers(0, changes.get("type_vocab_size", 2), (5, 16)).astype(np.int32)
    ours = load_bert(tmp_path / "theirs", head).model
    _same_answers(torch, theirs, ours, tokens, types)
    save_bert(tmp_path / "ours", ours)
    back = getattr(transformers, kind).from_pretrained(tmp_path / "ours").eval()
    _same_answers(torch, back, ours, tokens, types)


def _same_answers(torch, theirs, ours, tokens, types):
    words = torch.from_numpy(tokens).long()
    with torch.no_grad():
        out = theirs(
            input_ids=words,
            attention_mask=(words != 0).long(),
            token_type_ids=torch.from_numpy(types).long(),
        )
    found = answer(ours, {"tokens": tokens, "types": types})
    if isinstance(ours, Bert):
        np.testing.assert_allclose(found.hidden, out.last_hidden_state.numpy(), atol=1e-5)
        np.testing.assert_allclose(found.pooled, out.pooler_output.numpy(), atol=1e-5)
    else:
        np.testing.assert_allclose(found, out.logits.numpy().reshape(found.shape), atol=1e-5)
