"""Files from outside: every separator is found, every unreadable file is a sentence."""

import builtins

import numpy as np
import pandas as pd
import pytest

from channelwise.learning.data.files import SEPARATORS, TableError, find_separator, read_frame


def write(tmp_path, text, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_separator_is_found(tmp_path, separator):
    path = write(tmp_path, f"a{separator}b\n1{separator}x\n2{separator}y\n")
    frame = read_frame(path)
    assert list(frame.columns) == ["a", "b"]
    assert frame["a"].tolist() == [1, 2]


def test_commas_inside_quotes_do_not_separate(tmp_path):
    frame = read_frame(write(tmp_path, 'name;value\n"a, b";1\n"c, d, e";2\n'))
    assert frame["name"].tolist() == ["a, b", "c, d, e"]


def test_a_table_of_one_column_has_no_separator():
    assert find_separator("a\n1\n2\n") is None


def test_a_column_of_one_is_still_read(tmp_path):
    assert read_frame(write(tmp_path, "a\n1\n2\n"))["a"].tolist() == [1, 2]


def test_a_given_separator_wins(tmp_path):
    frame = read_frame(write(tmp_path, "a:b\n1:2\n"), separator=":")
    assert list(frame.columns) == ["a", "b"]


def test_decimal_commas_are_numbers_where_the_comma_does_not_separate(tmp_path):
    frame = read_frame(write(tmp_path, "a;b;c\n1,5;1.234,5;x\n-2;7;y\n"))
    assert frame["a"].tolist() == [1.5, -2.0]
    assert frame["b"].tolist() == [1234.5, 7.0]
    assert frame["c"].tolist() == ["x", "y"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    assert list(read_frame(write(tmp_path, "a,b\n1,2\n", encoding="utf-8-sig"))) == ["a", "b"]


def test_unnamed_columns_are_numbered(tmp_path):
    assert list(read_frame(write(tmp_path, ",b\n0,2\n1,3\n"))) == ["unnamed 1", "b"]


def test_windows_line_ends_and_blanks_around_names_do_no_harm(tmp_path):
    frame = read_frame(write(tmp_path, " a , b \r\n1,2\r\n3,4\r\n"))
    assert list(frame.columns) == ["a", "b"]
    assert frame["b"].tolist() == [2, 4]


BAD = {
    "": "is empty",
    " \n \n": "is empty",
    "a,b\n": "has a header but no rows",
    "a,b,a\n1,2,3\n": "several columns named 'a'",
    "a,b\n1,2\n3,4,5\n": "Expected 2 fields in line 3, saw 3",
    "a,b\n1,2,3\n4,5,6\n": "more fields than the header's 2",
    b"name,y\nM\xfcller,1\n": "not UTF-8: byte 0xfc in line 2",
    "name,y\nx,1\n".encode("utf-16"): "UTF-16",
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR": "not a text file",
}


@pytest.mark.parametrize(("content", "sentence"), BAD.items(), ids=lambda v: repr(v)[:30])
def test_an_unreadable_file_is_a_sentence(tmp_path, content, sentence):
    with pytest.raises(TableError, match=sentence):
        read_frame(write(tmp_path, content))


def test_no_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(TableError, match="does not exist"):
        read_frame(tmp_path / "none.csv")
    with pytest.raises(TableError, match="is a folder"):
        read_frame(tmp_path)


def test_parquet_is_read_like_csv(tmp_path):
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"]})
    frame.to_parquet(tmp_path / "table.parquet")
    assert read_frame(tmp_path / "table.parquet")["b"].tolist() == ["x", "y"]


def test_a_broken_parquet_file_is_a_sentence(tmp_path):
    with pytest.raises(TableError, match="not a readable Parquet file"):
        read_frame(write(tmp_path, b"PAR1 and nothing else", "table.parquet"))


def test_without_pyarrow_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    def refuse(path, engine):
        raise ImportError("No module named 'pyarrow'")

    monkeypatch.setattr(pd, "read_parquet", refuse)
    with pytest.raises(TableError, match=r"channelwise\[parquet\]"):
        read_frame(write(tmp_path, b"PAR1", "table.parquet"))


def test_nothing_of_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.setattr(builtins, "eval", lambda *_: pytest.fail("evaluated"))
    frame = read_frame(write(tmp_path, "a,<script>alert(1)</script>\n__import__('os'),=1+1\n"))
    assert frame.iloc[0].tolist() == ["__import__('os')", "=1+1"]
