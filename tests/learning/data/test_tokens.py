"""Tokens: every text survives, special tokens stay special, padding is counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.learning.data.text import TextError
from channelwise.learning.data.tokens import (
    CLASSIFY,
    MASK,
    PADDING,
    SEPARATOR,
    UNKNOWN,
    Tokenizer,
    buckets,
    padding_waste,
)

TEXTS = [
    "Compute the mean of the values along an axis.",
    "Return the mean and the standard deviation.",
    "The axis along which the values are computed.",
    "Größe und Übermaß: 测试 of bytes — café.",
] * 3


LEARNT = Tokenizer.train(TEXTS, 320)


@pytest.fixture
def tokenizer():
    return LEARNT


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_every_text_comes_back_in_lower_case_and_nothing_is_unknown(text):
    row = LEARNT.encode([text], 200)[0]
    assert UNKNOWN not in row
    assert LEARNT.decode(row).strip() == text.lower().strip()


def test_a_row_is_start_text_end_padding(tokenizer):
    row = tokenizer.encode(["the mean"], 9)[0]
    n = tokenizer.counts(["the mean"])[0]
    assert row[0] == CLASSIFY
    assert row[n - 1] == SEPARATOR
    assert (row[n:] == PADDING).all()
    assert (row[1 : n - 1] > MASK).all()


def test_a_long_text_loses_its_end_and_the_counts_tell(tokenizer):
    (row,) = tokenizer.encode(TEXTS[:1], 6)
    assert row[-1] == SEPARATOR
    assert tokenizer.counts(TEXTS[:1])[0] > 6
    assert TEXTS[0].lower().startswith(tokenizer.decode(row))


def test_an_empty_text_is_start_and_end(tokenizer):
    assert tokenizer.encode([""], 4).tolist() == [[CLASSIFY, SEPARATOR, PADDING, PADDING]]
    assert tokenizer.encode([], 4).shape == (0, 4)


def test_a_written_special_token_is_text_also_after_loading(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokens.json")
    for each in (tokenizer, Tokenizer.load(tmp_path / "tokens.json")):
        row = each.encode(["[MASK] [PAD]"], 30)[0]
        assert MASK not in row
        assert each.decode(row) == "[mask] [pad]"


def test_the_same_texts_give_the_same_tokens_and_a_saved_one_is_the_same(tokenizer, tmp_path):
    path = tmp_path / "tokens.json"
    tokenizer.save(path)
    again, loaded = Tokenizer.train(TEXTS, 320), Tokenizer.load(path)
    for other in (again, loaded):
        np.testing.assert_array_equal(other.encode(TEXTS, 40), tokenizer.encode(TEXTS, 40))
    assert [p.name for p in tmp_path.iterdir()] == ["tokens.json"]


def test_frequent_words_become_one_token_and_pieces_spell_the_text(tokenizer):
    assert " the" in tokenizer.pieces("the mean")
    assert "".join(tokenizer.pieces("values of axis")).strip() == "values of axis"
    assert tokenizer.vocabulary <= 320


def test_one_repeated_character_is_enough_to_learn_from():
    tokenizer = Tokenizer.train(["aaaa aaaa"], 300)
    assert tokenizer.decode(tokenizer.encode(["aaaa"], 8)[0]) == "aaaa"


def test_upper_case_is_kept_if_wanted():
    tokenizer = Tokenizer.train(TEXTS, 300, lowercase=False)
    assert tokenizer.decode(tokenizer.encode(["The Mean"], 20)[0]) == "The Mean"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t, _: Tokenizer.train(TEXTS, 100), "at least 261"),
        (lambda t, _: Tokenizer.train(["", " "], 300), "no text to learn"),
        (lambda t, _: t.encode(["a"], 2), "at least 3"),
        (lambda t, _: t.decode(np.array([5, 99999])), "99999 is not a token"),
        (lambda t, path: Tokenizer.load(path / "none.json"), "is no file"),
        (lambda t, path: Tokenizer.load(_wrote(path, "{}")), "holds no tokenizer"),
        (lambda t, path: Tokenizer.load(_wrote(path, _foreign())), "numbers its special tokens"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(tokenizer, tmp_path, call, says):
    with pytest.raises(TextError) as error:
        call(tokenizer, tmp_path)
    assert says in str(error.value)


def _wrote(folder, text):
    (folder / "t.json").write_text(text)
    return folder / "t.json"


def _foreign():
    from tokenizers import Tokenizer as Engine
    from tokenizers.models import BPE

    return Engine(BPE()).to_str()


def padded(counts, length):
    rows = np.arange(1, length + 1)[None, :] <= np.asarray(counts)[:, None]
    return np.where(rows, 7, 0).astype(np.int32)


def test_buckets_hold_every_row_once_with_its_target_and_lose_no_token():
    counts = np.array([3, 16, 17, 40, 1, 33, 64, 20])
    tokens, targets = padded(counts, 64), np.arange(8)
    found = buckets(tokens, {"y": targets}, (16, 32))
    assert [x.shape for x, _ in found] == [(3, 16), (2, 32), (3, 64)]
    order = np.concatenate([y["y"] for _, y in found])
    assert sorted(order) == list(range(8))
    used = np.concatenate([(x > 0).sum(1) for x, _ in found])
    np.testing.assert_array_equal(used, counts[order])


def test_padding_waste_is_the_share_of_padding_in_the_buckets():
    counts = np.random.default_rng(0).integers(2, 60, 500)
    for lengths in ((64,), (16, 32, 64), (8, 16, 24, 32, 40, 48, 56, 64)):
        groups = buckets(padded(counts, 64), counts, lengths)
        positions = sum(x.size for x, _ in groups)
        tokens = sum((x > 0).sum() for x, _ in groups)
        assert padding_waste(counts, lengths) == pytest.approx(1 - tokens / positions)


def test_rows_that_are_cut_waste_nothing():
    assert padding_waste(np.array([100, 200]), (16, 32)) == 0


@pytest.mark.parametrize("lengths", [(), (0, 16)])
def test_buckets_without_a_length_are_refused(lengths):
    with pytest.raises(TextError, match="at least 1"):
        buckets(padded([3], 8), np.zeros(1), lengths)
    with pytest.raises(TextError, match="at least 1"):
        padding_waste(np.array([3]), lengths)
    with pytest.raises(TextError, match="no rows"):
        padding_waste(np.zeros(0, int), (8,))


def test_passages_join_the_texts_of_a_document_and_of_no_other(tokenizer):
    texts, documents = [f"{w} {w}" for w in "abcdefghij"], [7, 2, 7, 2, 7, 2, 7, 9, 7, 7]
    rows = tokenizer.passages(texts, documents, 17)
    assert (rows[:, 0] == CLASSIFY).all()
    words = [set(tokenizer.decode(row).replace(" ", "")) for row in rows]
    assert ["".join(sorted(row)) for row in words] == ["bdf", "aceg", "ij", "h"]
    assert (rows == SEPARATOR).sum() == len(texts)


def test_documents_of_one_text_are_rows_of_one_text(tokenizer):
    np.testing.assert_array_equal(
        tokenizer.passages(TEXTS, range(len(TEXTS)), 16), tokenizer.encode(TEXTS, 16)
    )
