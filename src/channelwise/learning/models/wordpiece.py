"""The tokenizer of a Hugging Face BERT folder: text to token numbers and back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from channelwise.learning.models.bert_config import BertConfig, BertError

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


class WordPiece:
    """Text to rows of token numbers: [CLS] text [SEP], or [CLS] first [SEP] second [SEP].

    Args:
      tokenizer: a `tokenizers.Tokenizer` that puts the special tokens in itself.
      padding: the number that fills up a row.

    Source: Wu et al. 2016, §4.1; Devlin, Chang, Lee, Toutanova 2019, §3.
    """

    def __init__(self, tokenizer: Any, padding: int = 0):
        self._tokenizer, self.padding = tokenizer, padding

    @property
    def size(self) -> int:
        """Tokens in the vocabulary, those added later included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def number(self, token: str) -> int | None:
        """The number of a token, such as "[MASK]"; None if there is none."""
        return self._tokenizer.token_to_id(token)

    def encode(
        self, texts: Sequence[str], length: int, *, pairs: Sequence[str] | None = None
    ) -> Int[np.ndarray, "row length"] | dict[str, Int[np.ndarray, "row length"]]:
        """Rows of token numbers, cut and filled up to one length.

        Args:
          texts: one a row.
          length: tokens a row, special ones included, ≥ 3.
          pairs: the second text of each row; the longer of the two is cut first.

        Returns:
          int32 rows; with `pairs` a dictionary of them, "tokens" and "types".

        Raises:
          BertError: if the length leaves no room, or there is not one pair for each text.
        """
        least = 2 if pairs is None else 3
        if length <= least:
            raise BertError(
                f"length must be above {least}, the special tokens of a row, got {length}."
            )
        if pairs is not None and len(pairs) != len(texts):
            raise BertError(
                f"{len(texts)} texts have {len(pairs)} second texts: give one for each."
            )
        self._tokenizer.enable_truncation(length)
        self._tokenizer.no_padding()
        rows = texts if pairs is None else list(zip(texts, pairs, strict=True))
        found = self._tokenizer.encode_batch(list(rows))
        tokens = _filled([row.ids for row in found], length, self.padding)
        if pairs is None:
            return tokens
        return {"tokens": tokens, "types": _filled([row.type_ids for row in found], length, 0)}

    def decode(self, tokens: Int[np.ndarray, "row length"]) -> list[str]:
        """The text of each row, without special tokens."""
        return self._tokenizer.decode_batch(np.asarray(tokens).tolist(), skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`."""
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "BertTokenizer", **SPECIAL}
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), "utf-8")


def load_wordpiece(folder: Path, config: BertConfig) -> WordPiece | None:
    """The tokenizer of a folder: its `tokenizer.json`, else its `vocab.txt`; None without either.

    Raises:
      BertError: if the file is damaged, or the vocabulary does not fit the configuration.
    """
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").is_file():
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises plain Exception
            raise BertError(f"{folder}/tokenizer.json is damaged ({error}).") from error
    elif (folder / "vocab.txt").is_file():
        tokenizer = _of_vocabulary(folder)
    else:
        return None
    found = WordPiece(tokenizer, config.pad_token_id)
    if found.size > config.vocab_size:
        raise BertError(
            f"{folder}: the tokenizer has {found.size} tokens, config.json says vocab_size "
            f"{config.vocab_size}: tokenizer and model do not belong together."
        )
    return found


def _of_vocabulary(folder: Path) -> Any:
    """The tokenizer that `vocab.txt` and `tokenizer_config.json` describe."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    try:
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    except ValueError as error:
        raise BertError(f"{folder}/vocab.txt is not UTF-8 text ({error}).") from error
    vocabulary = {line.rstrip("\r"): i for i, line in enumerate(lines) if line}
    how = _how(folder)
    missing = [
        how[name] for name in ("unk_token", "cls_token", "sep_token") if how[name] not in vocabulary
    ]
    if missing:
        raise BertError(
            f"{folder}/vocab.txt has no {', '.join(missing)}: it is no BERT vocabulary."
        )
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=how["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=how["tokenize_chinese_chars"],
        strip_accents=how["strip_accents"],
        lowercase=how["do_lower_case"],
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([how[name] for name in SPECIAL if how[name] in vocabulary])
    cls, sep = how["cls_token"], how["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
    )
    return tokenizer


def _how(folder: Path) -> dict[str, Any]:
    """The settings of `tokenizer_config.json`, with BERT's own where it is silent."""
    usual = {
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        **SPECIAL,
    }
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return usual
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BertError(f"{path} is damaged ({error}).") from error
    for name, value in said.items():
        if name in usual:
            usual[name] = value["content"] if isinstance(value, dict) else value
    return usual


def _filled(rows: list[list[int]], length: int, filling: int) -> Int[np.ndarray, "row length"]:
    table = np.full((len(rows), length), filling, np.int32)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table
