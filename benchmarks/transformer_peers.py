"""One BERT classifier, the same first weights, AdamW 1e-4, written for each library.

Each function takes (folder, x, y, batch, half): a Hugging Face folder with the first weights, the
token numbers and labels, the rows a step and whether to multiply in bfloat16. It returns
`train(steps, rows) -> loss of the last step`, one batch of the first `rows` rows after another.
Dropout is off everywhere, so that the losses can be compared.
"""

import os
from collections.abc import Callable
from functools import partial

import numpy as np

RATE, DECAY = 1e-4, 1e-4
Train = Callable[[int, int], float]


def channelwise(folder: str, x: np.ndarray, y: np.ndarray, batch: int, half: bool) -> Train:
    """`fit` with `BertClassifier`, as anybody would call it."""
    import optax

    from channelwise.foundations.losses import softmax_cross_entropy
    from channelwise.learning.fit import fit
    from channelwise.learning.models.bert_folder import load_bert

    model = load_bert(folder, "classification").model
    optimizer = optax.adamw(RATE, weight_decay=DECAY)
    precision = "bfloat16" if half else "float32"

    def train(steps: int, rows: int) -> float:
        nonlocal model
        epochs = max(steps * batch // rows, 1)
        model, history = fit(
            model,
            softmax_cross_entropy,
            (x[:rows], y[:rows]),
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch,
            precision=precision,
        )
        return history.train_loss[-1]

    return train


def channelwise_memory(*args: object) -> Train:
    """The same with the memory of a step kept for the next."""
    from channelwise.learning.memory import keep_memory

    keep_memory()
    return channelwise(*args)


def plain_jax(folder: str, x: np.ndarray, y: np.ndarray, batch: int, half: bool) -> Train:
    """As tutorials write it: activations [row, token, feature], jax.nn's attention and gelu."""
    import jax
    import jax.numpy as jnp
    import optax
    from safetensors.numpy import load_file

    params = {k: jnp.asarray(v) for k, v in load_file(f"{folder}/model.safetensors").items()}
    layers = sum(name.endswith("attention.self.query.weight") for name in params)
    heads = _heads(folder)
    optimizer = optax.adamw(RATE, weight_decay=DECAY)

    def dense(p, name, h):
        return h @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(p, name, h):
        mean, variance = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
        return (h - mean) * jax.lax.rsqrt(variance + 1e-12) * p[f"{name}.weight"] + p[
            f"{name}.bias"
        ]

    def forward(p, tokens):
        e = "bert.embeddings."
        h = p[e + "word_embeddings.weight"][tokens]
        h = h + p[e + "position_embeddings.weight"][: tokens.shape[1]]
        h = norm(p, e + "LayerNorm", h + p[e + "token_type_embeddings.weight"][0])
        mask = (tokens != 0)[:, None, None, :]
        for i in range(layers):
            name = f"bert.encoder.layer.{i}."
            q, k, v = (
                dense(p, f"{name}attention.self.{part}", h).reshape(*h.shape[:2], heads, -1)
                for part in ("query", "key", "value")
            )
            a = jax.nn.dot_product_attention(q, k, v, mask=mask).reshape(h.shape)
            a = dense(p, name + "attention.output.dense", a)
            h = norm(p, name + "attention.output.LayerNorm", h + a)
            f = jax.nn.gelu(dense(p, name + "intermediate.dense", h), approximate=False)
            h = norm(p, name + "output.LayerNorm", h + dense(p, name + "output.dense", f))
        return dense(p, "classifier", jnp.tanh(dense(p, "bert.pooler.dense", h[:, 0])))

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(p, moments, tokens, labels):
        def loss(p):
            p = jax.tree.map(lambda a: a.astype(jnp.bfloat16), p) if half else p
            logits = forward(p, tokens).astype(jnp.float32)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        value, gradient = jax.value_and_grad(loss)(p)
        updates, moments = optimizer.update(gradient, moments, p)
        return optax.apply_updates(p, updates), moments, value

    moments = optimizer.init(params)
    xs, ys = jax.device_put((x, y))

    def train(steps: int, rows: int) -> float:
        nonlocal params, moments
        for i in range(steps):
            part = slice(i * batch % rows, i * batch % rows + batch)
            params, moments, value = step(params, moments, xs[part], ys[part])
        return float(value)

    return train


def torch_transformers(folder: str, x: np.ndarray, y: np.ndarray, batch: int, half: bool) -> Train:
    """`BertForSequenceClassification` with its fused attention and torch's fused AdamW."""
    import transformers

    model = transformers.BertForSequenceClassification.from_pretrained(folder)
    return _torch_loop(model, lambda m, t: m(input_ids=t, attention_mask=t != 0).logits)(
        x, y, batch, half
    )


def torch_encoder(folder: str, x: np.ndarray, y: np.ndarray, batch: int, half: bool) -> Train:
    """torch's own `nn.TransformerEncoder` with the same weights."""
    import torch
    import transformers

    bert = transformers.BertForSequenceClassification.from_pretrained(folder)
    c = bert.config
    layer = torch.nn.TransformerEncoderLayer(
        *(c.hidden_size, c.num_attention_heads, c.intermediate_size, 0.0),
        activation="gelu",
        layer_norm_eps=c.layer_norm_eps,
        batch_first=True,
    )
    encoder = torch.nn.TransformerEncoder(layer, c.num_hidden_layers, enable_nested_tensor=False)
    for ours, theirs in zip(encoder.layers, bert.bert.encoder.layer, strict=True):
        _copy_layer(ours, theirs)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.encoder = bert.bert.embeddings, encoder
            self.pooler, self.classifier = bert.bert.pooler, bert.classifier

        def forward(self, tokens):
            padding = tokens == 0
            padding = padding if bool(padding.any()) else None
            h = self.encoder(self.embed(tokens), src_key_padding_mask=padding)
            return self.classifier(self.pooler(h))

    return _torch_loop(Model(), lambda m, t: m(t))(x, y, batch, half)


def _copy_layer(ours: object, theirs: object) -> None:
    import torch

    attention = theirs.attention
    parts = [getattr(attention.self, n) for n in ("query", "key", "value")]
    pairs = [
        (ours.self_attn.in_proj_weight, torch.cat([p.weight for p in parts])),
        (ours.self_attn.in_proj_bias, torch.cat([p.bias for p in parts])),
    ]
    modules = [
        (ours.self_attn.out_proj, attention.output.dense),
        (ours.norm1, attention.output.LayerNorm),
        (ours.linear1, theirs.intermediate.dense),
        (ours.linear2, theirs.output.dense),
        (ours.norm2, theirs.output.LayerNorm),
    ]
    pairs += [(a.weight, b.weight) for a, b in modules] + [(a.bias, b.bias) for a, b in modules]
    with torch.no_grad():
        for to, source in pairs:
            to.copy_(source)


def _torch_loop(model: object, logits_of: Callable) -> Callable[..., Train]:
    """A loop over slices of tensors that stay on the device, bfloat16 by autocast."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cuda.matmul.allow_tf32 = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)

    def start(x: np.ndarray, y: np.ndarray, batch: int, half: bool) -> Train:
        xs, ys = torch.from_numpy(x).long().to(device), torch.from_numpy(y).long().to(device)

        def train(steps: int, rows: int) -> float:
            for i in range(steps):
                part = slice(i * batch % rows, i * batch % rows + batch)
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device, torch.bfloat16, enabled=half):
                    logits = logits_of(model, xs[part])
                loss = torch.nn.functional.cross_entropy(logits.float(), ys[part])
                loss.backward()
                optimizer.step()
            return float(loss)

        return train

    return start


def _heads(folder: str) -> int:
    import json
    from pathlib import Path

    return json.loads((Path(folder) / "config.json").read_text())["num_attention_heads"]


PEERS: dict[str, Callable[..., Train]] = {
    "channelwise": channelwise,
    "channelwise, memory kept": channelwise_memory,
    "plain JAX": plain_jax,
    "torch, transformers": torch_transformers,
    "torch, nn.TransformerEncoder": torch_encoder,
}
"""Name to builder."""
