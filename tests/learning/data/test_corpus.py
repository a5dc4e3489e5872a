"""The built-in corpus: prose only, no names, no repetition, no file on two sides."""

import ast
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from channelwise.learning.data.corpus import docstrings, split_by_file
from channelwise.learning.data.sentences import docstring_sentences, sentences, source_files
from channelwise.learning.data.text import TextError

FEW = ("optax", "flax", "blackjax")


@pytest.fixture(scope="module")
def corpus():
    return docstrings(FEW, rows=150, more=100)


def test_labels_are_balanced_and_rows_are_mixed(corpus):
    counts = np.bincount(corpus.targets)
    assert (counts == counts[0]).all()
    assert len(corpus.texts) == corpus.rows == counts.sum()
    assert len(set(corpus.targets[: corpus.rows // 3])) == len(FEW)


def test_the_same_arguments_read_the_same_sentences(corpus):
    again = docstrings.__wrapped__(FEW, rows=150, more=100)
    assert again.texts == corpus.texts
    assert again.more == corpus.more
    assert docstrings.__wrapped__(FEW, rows=150, more=100, seed=1).texts != corpus.texts


def test_no_sentence_names_a_package(corpus):
    for text in (*corpus.texts, *corpus.more):
        assert not re.search(r"optax|flax|\bnnx\b|linen|blackjax", text, re.IGNORECASE)


def test_every_row_stands_in_the_file_it_names(corpus):
    for i in range(0, corpus.rows, 25):
        package, _, rest = corpus.file_names[corpus.files[i]].partition("/")
        assert package == corpus.labels[corpus.targets[i]]
        folder = Path(importlib.util.find_spec(package).origin).parent
        assert corpus.texts[i] in set(docstring_sentences((folder / rest).read_text()))


def four_word_runs(text):
    words = re.findall(r"[a-z]+", text.lower())
    return {" ".join(words[i : i + 4]) for i in range(len(words) - 3)}


def test_no_two_sentences_share_most_of_their_words_in_a_row(corpus):
    runs = [four_word_runs(text) for text in (*corpus.texts, *corpus.more)]
    for i, a in enumerate(runs):
        assert all(len(a & b) <= 0.5 * max(len(a), len(b)) for b in runs[:i])


def test_parts_of_a_split_share_no_file_and_hold_every_row_once(corpus):
    split = split_by_file(corpus, seed=4)
    files = [set(corpus.files[part]) for part in split[:3]]
    assert not (files[0] & files[1] or files[0] & files[2] or files[1] & files[2])
    everything = np.sort(np.concatenate(split[:3]))
    np.testing.assert_array_equal(everything, np.arange(corpus.rows))
    assert all(set(corpus.targets[part]) == {0, 1, 2} for part in split[:3])
    assert 0.15 < len(split.test) / corpus.rows < 0.35


def test_unlabelled_sentences_can_be_kept_apart_from_the_test_files(corpus):
    test = split_by_file(corpus).test
    kept = corpus.apart_from(test)
    free = [i for i, f in enumerate(corpus.more_files) if f not in corpus.files[test]]
    assert kept.tolist() == free
    assert 0 < len(kept) < len(corpus.more)


def test_at_most_25_rows_come_from_one_file(corpus):
    assert np.bincount(corpus.files).max() <= 25


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"packages": ("numpy", "pandsa")}, "Did you mean 'pandas'?"),
        ({"packages": ("numpy",)}, "at least two different"),
        ({"packages": ("numpy", "numpy")}, "at least two different"),
        ({"packages": FEW, "rows": 3}, "at least 10"),
        ({"packages": ("optax", "safetensors")}, "safetensors give"),
    ],
)
def test_a_corpus_that_cannot_be_read_is_refused(arguments, says):
    with pytest.raises(TextError) as error:
        docstrings(**arguments)
    assert says in str(error.value)


def test_a_split_that_leaves_nothing_is_refused(corpus):
    with pytest.raises(TextError, match="leave some rows to train on"):
        split_by_file(corpus, validation=0.5, test=0.5)


SOURCE = '''"""A module about numbers and their sums.

Ends here, or nearly so. It has been in use for years!
"""

def f(x):
    """Return the sum of all squares. See `g` for the mean of them.

    Parameters
    ----------
    x : array
        The numbers to be added, one after the other.

    >>> f([1, 2]) # This is an example of its use.
    5
    """
    text = """This string is assigned. It is no docstring at all."""
    return text

class A:
    # A comment may stand between.

    """Holds :class:`B` objects in the order of their age.

    Use f(x) = 3 here and nothing else at all.
    """
'''


def test_sentences_are_prose_of_docstrings_and_nothing_else():
    assert list(docstring_sentences(SOURCE)) == [
        "A module about numbers and their sums.",
        "Ends here, or nearly so.",
        "It has been in use for years!",
        "Return the sum of all squares.",
        "See g for the mean of them.",
        "Holds B objects in the order of their age.",
    ]


def by_parsing(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from sentences(inspect.cleandoc(ast.get_docstring(node, clean=False) or ""))


def test_docstrings_found_by_their_place_are_those_the_parser_finds():
    folder = Path(importlib.util.find_spec("optax").origin).parent
    sources = [path.read_text() for path in source_files(folder)]
    fast = {s for source in sources for s in docstring_sentences(source)}
    parsed = {s for source in sources for s in by_parsing(source)}
    assert len(fast & parsed) >= 0.98 * max(len(fast), len(parsed))


def test_no_test_file_is_read():
    folder = Path(importlib.util.find_spec("numpy").origin).parent
    names = [str(path.relative_to(folder)) for path in source_files(folder)]
    assert "linalg/_linalg.py" in names
    assert not any("tests/" in name or "conftest" in name for name in names)
