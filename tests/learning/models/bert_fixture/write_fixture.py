"""Write the folders beside this script: tiny random BERTs of `transformers` and what they answer.

    python tests/learning/models/bert_fixture/write_fixture.py

Needs torch and transformers. Every folder holds `config.json`, `model.safetensors` and
`expected.npz`: the inputs, and the hidden states, pooled outputs and logits of `transformers`.
"""

from pathlib import Path

import numpy as np
import torch
import transformers

HERE = Path(__file__).parent
TINY = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "initializer_range": 0.4,
}
MODELS = {
    "encoder": ("BertModel", {}),
    "classification": (
        "BertForSequenceClassification",
        {"hidden_act": "gelu_new", "num_labels": 3},
    ),
    "masked_language": ("BertForMaskedLM", {"layer_norm_eps": 1e-5, "type_vocab_size": 3}),
    "pretraining": ("BertForPreTraining", {"hidden_act": "relu", "num_attention_heads": 2}),
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", "the", "spend", "##ing", "of"]


def inputs(types: int) -> dict[str, np.ndarray]:
    """Rows with and without padding, one with a single token, and two kinds of token."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, TINY["vocab_size"], (4, 9)).astype(np.int32)
    tokens[1, 6:], tokens[2, 1:] = 0, 0
    kinds = (np.arange(9)[None, :] >= np.array([[4], [2], [9], [7]])).astype(np.int32)
    kinds[3, 8] = types - 1
    return {"tokens": tokens, "types": kinds}


def answers(model: torch.nn.Module, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Hidden states, pooled outputs and logits, where the model has them; in float64, rounded."""
    tokens, kinds = (torch.from_numpy(x[name]).long() for name in ("tokens", "types"))
    with torch.no_grad():
        out = model.double().eval()(
            input_ids=tokens,
            attention_mask=(tokens != 0).long(),
            token_type_ids=kinds,
            output_hidden_states=True,
        )
    found = {
        "hidden": out.hidden_states[-1],
        "pooled": getattr(out, "pooler_output", None),
        "logits": getattr(out, "logits", getattr(out, "prediction_logits", None)),
    }
    return {k: v.numpy().astype(np.float32) for k, v in found.items() if v is not None}


def main() -> None:
    for name, (kind, changes) in MODELS.items():
        torch.manual_seed(0)
        config = transformers.BertConfig(**{**TINY, **changes})
        model = getattr(transformers, kind)(config)
        with torch.no_grad():  # biases and norms that differ from 0 and 1
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.2 * torch.randn_like(parameter))
        model.save_pretrained(HERE / name)
        x = inputs(config.type_vocab_size)
        np.savez_compressed(HERE / name / "expected.npz", **x, **answers(model, x))
    (HERE / "encoder" / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
