"""Real texts that every installation has: sentences from the docstrings of its packages."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from channelwise.learning.data.packages import folder_of, names_of, version_of
from channelwise.learning.data.sentences import docstring_sentences, source_files
from channelwise.learning.data.splits import Split
from channelwise.learning.data.text import TextError, Texts

PACKAGES = ("numpy", "scipy", "pandas", "sklearn", "matplotlib", "jax", "IPython", "blackjax")
"""The labels without a choice of one's own: all of them are needed by this library."""

MOST_OF_A_FILE = 25
WORDS_COMPARED = 4


class Sentence(NamedTuple):
    """A sentence and the file it stands in, such as "scipy/stats/_stats_py.py"."""

    text: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Corpus(Texts):
    """Texts that come in files, and further ones without a label.

    Attributes:
      files: of each row, its file's place in `file_names`.
      file_names: all files that a sentence comes from.
      more: sentences without a label.
      more_files: of each of those, its file's place in `file_names`.
    """

    files: Int[np.ndarray, " row"]
    file_names: tuple[str, ...]
    more: tuple[str, ...]
    more_files: Int[np.ndarray, " sentence"]

    def apart_from(self, rows: Int[np.ndarray, " some"]) -> Int[np.ndarray, " sentence"]:
        """Which sentences without a label stand in no file of these rows: places in `more`."""
        return np.flatnonzero(~np.isin(self.more_files, self.files[rows]))


@cache
def docstrings(
    packages: tuple[str, ...] | None = None, *, rows: int = 750, more: int = 1250, seed: int = 0
) -> Corpus:
    """Which package does a sentence describe?  Sentences from docstrings, labelled by package.

    The files are read as text, never imported. A sentence that names one of the packages
    is left out: reading "NumPy" is not understanding. A sentence is also left out if half of its
    runs of four words stood in an earlier one, so that no row repeats another, in whatever
    package or part. At most 25 rows come from one file; all labels have the same number of rows.

    Args:
      packages: import names of installed packages, at least two; the labels. `PACKAGES` if None.
      rows: of each package at most, ≥ 10.
      more: further sentences of each package, without their label, at most, ≥ 0.
      seed: of the order in which files are read and rows chosen.

    Returns:
      The corpus, its rows in a drawn order. The same arguments give the same object. The
      versions of the packages, in `notes`, decide the texts.

    Raises:
      TextError: if a package is not installed, or one gives too few sentences.
    """
    packages = PACKAGES if packages is None else packages
    _check(packages, rows)
    rng, named, seen = np.random.default_rng(seed), names_of(packages), set()
    chosen, spare = {}, []
    for package in packages:
        fresh = _read(package, seed, named, seen)
        chosen[package], beyond = _choose(fresh, rows, more, rng)
        spare += beyond
    least = min(map(len, chosen.values()))
    _check_yield(chosen)
    labelled = [(s, i) for i, found in enumerate(chosen.values()) for s in found[:least]]
    return _corpus(packages, _mixed(labelled, rng), _mixed(spare, rng))


def split_by_file(
    corpus: Corpus, *, validation: float = 0.15, test: float = 0.25, seed: int = 0
) -> Split:
    """Split so that no two parts share a file; each package's files are dealt out on their own.

    Args:
      corpus: from `docstrings`.
      validation: share of each package's rows that decide when to stop, in (0, 1), about.
      test: share of them that is looked at once, in (0, 1), about; both together below 1.
      seed: of the draw.

    Returns:
      Row numbers, sorted.

    Raises:
      TextError: if the shares leave nothing, or a package has fewer than three files.
    """
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise TextError(
            f"validation = {validation} and test = {test} must be shares that leave some rows to "
            "train on, such as 0.15 and 0.25."
        )
    rng, parts = np.random.default_rng(seed), ([], [], [])
    for label, name in enumerate(corpus.labels):
        members = np.flatnonzero(corpus.targets == label)
        files = rng.permutation(np.unique(corpus.files[members]))
        if len(files) < 3:
            raise TextError(
                f"The sentences of {name} come from {len(files)} files: three are needed, one "
                "each to train, to stop and to test. Choose another package."
            )
        for part, own in zip(
            parts, _deal(corpus.files[members], files, validation, test), strict=True
        ):
            part.append(members[np.isin(corpus.files[members], own)])
    return Split(*(np.sort(np.concatenate(part)) for part in parts), "by file")


def _deal(
    of_row: np.ndarray, files: np.ndarray, validation: float, test: float
) -> list[np.ndarray]:
    """Files in order, cut where their rows reach the shares; no part is left without a file."""
    counts = np.array([(of_row == file).sum() for file in files])
    before = (np.cumsum(counts) - counts / 2) / counts.sum()
    first = np.clip(np.searchsorted(before, test), 1, len(files) - 2)
    second = np.clip(np.searchsorted(before, test + validation), first + 1, len(files) - 1)
    for_test, for_validation, for_training = np.split(files, [first, second])
    return [for_training, for_validation, for_test]


def _read(
    package: str, seed: int, named: re.Pattern, seen: set[tuple[str, ...]]
) -> Iterator[list[Sentence]]:
    """The new sentences of one file after another, in an order drawn from the files' names."""
    folder = folder_of(package)
    files = {
        path: f"{package}/{path.relative_to(folder).as_posix()}" for path in source_files(folder)
    }
    draw = {
        path: hashlib.sha256(f"{seed} {name}".encode()).digest() for path, name in files.items()
    }
    for path in sorted(files, key=draw.__getitem__):
        source = path.read_text(encoding="utf-8", errors="replace")
        fresh = [s for s in docstring_sentences(source) if not named.search(s) and _is_new(s, seen)]
        yield [Sentence(text, files[path]) for text in fresh]


def _is_new(sentence: str, seen: set[tuple[str, ...]]) -> bool:
    """Whether fewer than half of the sentence's runs of four words are known; they are from now."""
    words = re.findall(r"[a-z]+", sentence.lower())
    runs = {tuple(words[i : i + WORDS_COMPARED]) for i in range(len(words) - WORDS_COMPARED + 1)}
    new = len(runs - seen) > len(runs) / 2
    seen |= runs
    return new


def _choose(
    files: Iterator[list[Sentence]], rows: int, more: int, rng: np.random.Generator
) -> tuple[list[Sentence], list[Sentence]]:
    """Rows, few from each file, and further sentences; no more files are read than needed."""
    chosen, spare = [], []
    for found in files:
        order = rng.permutation(len(found))
        wanted = order[: min(MOST_OF_A_FILE, rows - len(chosen))]
        chosen += [found[i] for i in wanted]
        spare += [found[i] for i in order[len(wanted) :]]
        if len(chosen) == rows and len(spare) >= more:
            break
    return chosen, spare[:more]


def _corpus(
    packages: tuple[str, ...], rows: list[tuple[Sentence, int]], more: list[Sentence]
) -> Corpus:
    place: dict[str, int] = defaultdict(lambda: len(place))
    files = np.array([place[s.file] for s, _ in rows], np.int32)
    more_files = np.array([place[s.file] for s in more], np.int32)
    return Corpus(
        name="docstrings",
        source="real",
        texts=tuple(s.text for s, _ in rows),
        targets=np.array([label for _, label in rows], np.int32),
        labels=packages,
        multi=False,
        notes=("sentences from " + ", ".join(map(version_of, packages)),),
        files=files,
        file_names=tuple(place),
        more=tuple(s.text for s in more),
        more_files=more_files,
    )


def _mixed(items: list, rng: np.random.Generator) -> list:
    return [items[i] for i in rng.permutation(len(items))]


def _check(packages: Sequence[str], rows: int) -> None:
    if len(set(packages)) < max(2, len(packages)):
        raise TextError(
            f"packages must be at least two different import names, such as ('numpy', 'pandas'): "
            f"got {tuple(packages)}."
        )
    if rows < 10:
        raise TextError(f"rows must be at least 10 of each package, got {rows}.")


def _check_yield(chosen: dict[str, list[Sentence]]) -> None:
    for package, found in chosen.items():
        if len(found) < 10:
            raise TextError(
                f"The docstrings of {package} give {len(found)} sentences: at least 10 are needed. "
                "Choose a package with more documentation."
            )
