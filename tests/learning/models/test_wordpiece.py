"""The tokenizer of a folder: by hand, and as `transformers` tokenizes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from channelwise.learning.models.bert_config import BertError
from channelwise.learning.models.bert_folder import load_bert, save_bert

FIXTURE = Path(__file__).parent / "bert_fixture" / "encoder"
TEXTS = ["The spending of a, ÉTÉ", "", "abc\x00 \t of\u4e2dthe", "b " * 30, "[MASK] a"]


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(FIXTURE, tmp_path / "bert"))


def test_words_fall_into_pieces_between_the_special_tokens():
    tokenizer = load_bert(FIXTURE).tokenizer
    pad, unknown, cls, sep, mask = (
        tokenizer.number(f"[{t}]") for t in ("PAD", "UNK", "CLS", "SEP", "MASK")
    )
    the, spend, ing, of, a = (tokenizer.number(t) for t in ("the", "spend", "##ing", "of", "a"))
    rows = tokenizer.encode(["The spending of a zebra", "[MASK]"], 10)
    assert rows.dtype == np.int32
    assert rows[0].tolist() == [cls, the, spend, ing, of, a, unknown, sep, pad, pad]
    assert rows[1].tolist()[:4] == [cls, mask, sep, pad]
    assert tokenizer.decode(rows)[0] == "the spending of a"
    assert tokenizer.encode(["a b c d e"], 4).tolist() == [[cls, a, tokenizer.number("b"), sep]]
    assert tokenizer.encode([], 4).shape == (0, 4)


def test_pairs_have_types():
    tokenizer = load_bert(FIXTURE).tokenizer
    found = tokenizer.encode(["a b", "a"], 8, pairs=["c", "d e f g h"])
    assert found["types"].tolist() == [[0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 1, 1]]
    assert (found["tokens"] != 0).sum(1).tolist() == [6, 8]
    with pytest.raises(BertError, match="2 texts have 1 second texts"):
        tokenizer.encode(["a", "b"], 8, pairs=["c"])
    with pytest.raises(BertError, match="length must be above 2"):
        tokenizer.encode(["a"], 2)


def test_the_tokenizer_is_saved_with_the_model_and_read_again(tmp_path):
    loaded = load_bert(FIXTURE)
    save_bert(tmp_path / "new", loaded.model, tokenizer=loaded.tokenizer)
    again = load_bert(tmp_path / "new").tokenizer
    np.testing.assert_array_equal(again.encode(TEXTS, 12), loaded.tokenizer.encode(TEXTS, 12))


def test_a_vocabulary_that_does_not_belong_or_is_damaged_is_refused(folder):
    (folder / "vocab.txt").write_text("\n".join(f"w{i}" for i in range(9)))
    with pytest.raises(BertError, match=r"has no \[UNK\], \[CLS\], \[SEP\]"):
        load_bert(folder)
    many = (FIXTURE / "vocab.txt").read_text() + "\n".join(f"w{i}" for i in range(40))
    (folder / "vocab.txt").write_text(many)
    with pytest.raises(BertError, match=r"tokenizer has 57 tokens.*vocab_size 40"):
        load_bert(folder)
    (folder / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BertError, match="not UTF-8"):
        load_bert(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BertError, match=r"tokenizer.json is damaged"):
        load_bert(folder)


def test_a_folder_without_a_vocabulary_has_no_tokenizer(folder):
    (folder / "vocab.txt").unlink()
    assert load_bert(folder).tokenizer is None


@pytest.mark.parametrize("lower", [True, False])
def test_texts_are_cut_into_the_pieces_of_transformers(folder, lower):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    theirs = transformers.BertTokenizer.from_pretrained(folder)
    how = {"padding": "max_length", "max_length": 12, "truncation": True, "return_tensors": "np"}
    ours = load_bert(folder).tokenizer
    np.testing.assert_array_equal(ours.encode(TEXTS, 12), theirs(TEXTS, **how)["input_ids"])
    pairs = ours.encode(TEXTS, 12, pairs=TEXTS[::-1])
    expected = theirs(TEXTS, TEXTS[::-1], **how)
    np.testing.assert_array_equal(pairs["tokens"], expected["input_ids"])
    np.testing.assert_array_equal(pairs["types"], expected["token_type_ids"])
    theirs.save_pretrained(folder)  # now with a tokenizer.json, which goes first
    (folder / "vocab.txt").unlink()
    np.testing.assert_array_equal(
        load_bert(folder).tokenizer.encode(TEXTS, 12), theirs(TEXTS, **how)["input_ids"]
    )
