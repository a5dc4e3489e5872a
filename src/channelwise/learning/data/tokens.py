"""Tokens: byte-pair encoding learnt from the training texts, rows of numbers, length buckets."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, PyTree, Shaped

from channelwise.learning.data.text import TextError

PADDING, UNKNOWN, CLASSIFY, SEPARATOR, MASK = range(5)
"""Numbers of the special tokens: filling up, not in the vocabulary, start, end, hidden."""

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SMALLEST = len(SPECIAL) + 256
"""The special tokens and one token for each byte: with those, every text can be written."""


class Tokenizer:
    """Texts as numbers: byte-level byte-pair encoding.

    A text is a string of bytes. Training merges the most frequent pair of neighbours into a new
    token, again and again, until there are as many tokens as wanted; a word that was frequent is
    then one token, a rare one several, and nothing is unknown.

    Made by `Tokenizer.train` or `Tokenizer.load`.

    Source: Sennrich, Haddow, Birch 2016, §3.2; Radford et al. 2019, §2.2 (bytes).
    """

    def __init__(self, engine: Any):
        self._engine = engine
        self._engine.encode_special_tokens = True  # a written "[MASK]" is text, not the mask

    @classmethod
    def train(
        cls, texts: Iterable[str], vocabulary: int = 2000, *, lowercase: bool = True
    ) -> "Tokenizer":
        """Learn the merges from texts: of the training rows only, or the test leaks.

        Args:
          texts: at least one that is not blank.
          vocabulary: tokens at most, ≥ 261 (five special ones and 256 bytes); short texts give
            fewer, since a pair has to occur twice to be merged.
          lowercase: whether "The" and "the" are the same.

        Returns:
          The tokenizer; the same texts in the same order give the same one.

        Raises:
          TextError: if there is no text, or the vocabulary is too small.
        """
        from tokenizers import models, normalizers, pre_tokenizers, trainers

        texts = [texts] if isinstance(texts, str) else list(texts)
        if not any(text.strip() for text in texts):
            raise TextError("There is no text to learn tokens from: give the training texts.")
        if vocabulary < SMALLEST:
            raise TextError(
                f"vocabulary must be at least {SMALLEST} (five special tokens and 256 bytes), got "
                f"{vocabulary}."
            )
        engine = _engine(models.BPE(unk_token=SPECIAL[UNKNOWN]))
        if lowercase:
            engine.normalizer = normalizers.Lowercase()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            min_frequency=2,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        engine.train_from_iterator(texts, trainer)
        return cls(engine)

    @property
    def vocabulary(self) -> int:
        """How many tokens there are, special ones included."""
        return self._engine.get_vocab_size()

    def pieces(self, text: str) -> list[str]:
        """The tokens of a text as one reads them, a blank before each that begins a word."""
        return [
            self._engine.decode([n], skip_special_tokens=False) for n in self._numbers([text])[0]
        ]

    def counts(self, texts: Sequence[str]) -> Int[np.ndarray, " row"]:
        """Tokens of each text before any is cut, start and end included."""
        return np.array([len(numbers) + 2 for numbers in self._numbers(texts)], np.int32)

    def encode(self, texts: Sequence[str], length: int) -> Int[np.ndarray, "row length"]:
        """Rows of numbers: start, the text, end, then padding.

        Args:
          texts: any; an empty one is start and end.
          length: of every row, ≥ 3; longer texts lose their end (`counts` tells how many do).

        Returns:
          int32.

        Raises:
          TextError: if the length leaves no room for a token.
        """
        numbers = self._numbers(texts)
        return _padded([[CLASSIFY, *row[: length - 2], SEPARATOR] for row in numbers], length)

    def passages(
        self, texts: Sequence[str], documents: Sequence[int], length: int
    ) -> Int[np.ndarray, "passage length"]:
        """Texts of one document side by side in full rows: what a model is pre-trained on.

        A row is start, then text, end, text, end, … as long as the next one fits. In a row of one
        sentence a hidden word can be guessed from a dozen others; in a passage, from what the
        document is about. Rows hold less padding, too.

        Args:
          texts: in the order in which they are joined.
          documents: the number of the document each text belongs to; all different: one text a
            row.
          length: of every row, ≥ 3; a longer text is cut.

        Returns:
          int32, documents in the order of their numbers.

        Source: Liu et al. 2019 (RoBERTa), §4.2, "doc-sentences".
        """
        numbers, rows = self._numbers(texts), []
        members: dict[int, list[int]] = defaultdict(list)
        for i, document in enumerate(documents):
            members[int(document)].append(i)
        for document in sorted(members):
            row = [CLASSIFY]
            for i in members[document]:
                text = [*numbers[i][: length - 2], SEPARATOR]
                if len(row) + len(text) > length:
                    rows.append(row)
                    row = [CLASSIFY]
                row = row + text
            rows.append(row)
        return _padded(rows, length)

    def decode(self, tokens: Int[np.ndarray, " length"]) -> str:
        """The text of a row, without special tokens; a byte that is not UTF-8 becomes �."""
        tokens = np.asarray(tokens)
        wrong = tokens[(tokens < 0) | (tokens >= self.vocabulary)]
        if len(wrong):
            raise TextError(
                f"{wrong[0]} is not a token: this vocabulary has the numbers 0 to "
                f"{self.vocabulary - 1}."
            )
        return self._engine.decode(tokens.tolist(), skip_special_tokens=True).removeprefix(" ")

    def save(self, path: Path | str) -> None:
        """Write everything to one JSON file; written beside it and renamed, so never half."""
        path = Path(path)
        beside = path.with_name(f"{path.name}.{os.getpid()}.part")
        beside.write_text(self._engine.to_str(), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """Read what `save` wrote.

        Raises:
          TextError: if there is no such file, or it holds no tokenizer of this kind.
        """
        from tokenizers import Tokenizer as Engine

        path = Path(path)
        if not path.is_file():
            raise TextError(f"{path} is no file. Give the path that Tokenizer.save wrote to.")
        try:
            engine = Engine.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:
            raise TextError(f"{path.name} holds no tokenizer ({error}).") from error
        if [engine.token_to_id(token) for token in SPECIAL] != list(range(len(SPECIAL))):
            raise TextError(
                f"{path.name} numbers its special tokens differently: expected "
                f"{', '.join(SPECIAL)} as 0 to {len(SPECIAL) - 1}. Train one with Tokenizer.train."
            )
        return cls(engine)

    def _numbers(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._engine.encode_batch(list(texts), add_special_tokens=False)
        return [row.ids for row in encoded]


def _padded(rows: list[list[int]], length: int) -> Int[np.ndarray, "row length"]:
    if length < 3:
        raise TextError(f"length must be at least 3 (start, one token, end), got {length}.")
    padded = np.full((len(rows), length), PADDING, np.int32)
    for line, row in zip(padded, rows, strict=True):
        line[: len(row)] = row
    return padded


def _engine(model: Any) -> Any:
    from tokenizers import Tokenizer as Engine
    from tokenizers import decoders, pre_tokenizers

    engine = Engine(model)
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    engine.decoder = decoders.ByteLevel()
    return engine


def buckets(
    tokens: Int[np.ndarray, "row length"],
    targets: PyTree[Shaped[np.ndarray, "row ..."]],
    lengths: Sequence[int] = (16, 32, 64, 128),
) -> list[tuple[Int[np.ndarray, "..."], PyTree]]:
    """Rows of about the same length together, each group cut to its own: less padding to compute.

    Args:
      tokens: padded at the end with 0.
      targets: an array or a tree of arrays, one entry a row.
      lengths: of the buckets; a row goes to the shortest that holds it. Rows longer than all of
        them go to one as wide as `tokens`.

    Returns:
      (x, y) of each bucket that has rows, from short to long: `data` for `fit`.

    Raises:
      TextError: if there are no lengths, or one is below 1.
    """
    ends = _ends(lengths, tokens.shape[1])
    own = np.searchsorted(ends, _used(tokens))
    groups = [(ends[i], np.flatnonzero(own == i)) for i in np.unique(own)]
    return [
        (tokens[rows, :end], jax.tree.map(lambda a, rows=rows: np.asarray(a)[rows], targets))
        for end, rows in groups
    ]


def padding_waste(counts: Int[np.ndarray, " row"], lengths: Sequence[int]) -> float:
    """Share of the computed positions that are padding: 1 − Σ_i n_i / Σ_i b(n_i).

    Args:
      counts: n_i, tokens of each row; more than the longest length are cut.
      lengths: of the buckets; b(n) is the shortest that holds n. One length: every row padded to
        it.

    Raises:
      TextError: if there are no rows, no lengths, or one is below 1.
    """
    if len(counts) == 0:
        raise TextError("There are no rows to count padding of.")
    ends = _ends(lengths, max(lengths, default=0))
    kept = np.minimum(counts, ends[-1])
    return float(1 - kept.sum() / ends[np.searchsorted(ends, kept)].sum())


def _ends(lengths: Sequence[int], longest: int) -> Int[np.ndarray, " bucket"]:
    if len(lengths) == 0 or min(lengths) < 1:
        raise TextError(f"lengths must be whole numbers of at least 1, got {tuple(lengths)}.")
    return np.unique(np.minimum([*lengths, longest], longest))


def _used(tokens: Int[np.ndarray, "row length"]) -> Int[np.ndarray, " row"]:
    """Positions up to the last token of each row, at least one."""
    last = (tokens != PADDING)[:, ::-1].argmax(1)
    return np.where((tokens != PADDING).any(1), tokens.shape[1] - last, 1)
