"""Texts from files: what is read, and a sentence with place and remedy for what cannot be."""

import csv
import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channelwise.learning.data.text import MOST_CHARACTERS, TextError, Texts, load_texts
from channelwise.learning.data.text_copies import shared_texts
from channelwise.learning.data.text_splits import split_texts

GOOD = [(f"a good film, number {i}", "good") for i in range(7)]
BAD = [(f"a bad film, number {i}", "bad") for i in range(5)]
ROWS = GOOD + BAD


def write(tmp_path, content, name="reviews.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def as_csv(rows, header=("text", "label"), separator=","):
    quoted = [[f'"{str(v).replace(chr(34), chr(34) * 2)}"' for v in row] for row in rows]
    return "\n".join([separator.join(header), *(separator.join(row) for row in quoted)])


def as_json(rows, header=("text", "label")):
    return "\n".join(json.dumps(dict(zip(header, row, strict=True))) for row in rows)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.ndjson", "a.txt", "a"])
@pytest.mark.parametrize("form", [as_csv, as_json])
def test_the_content_decides_how_a_file_is_read_whatever_its_ending(tmp_path, form, name):
    texts = load_texts(write(tmp_path, form(ROWS), name))
    assert texts.texts == tuple(t for t, _ in ROWS)
    assert texts.labels == ("bad", "good")
    assert texts.targets.tolist() == [1] * 7 + [0] * 5
    assert texts.targets.dtype == np.int32
    assert (texts.name, texts.source, texts.multi, texts.notes) == (name, "yours", False, ())


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_from_the_header_though_texts_hold_others(tmp_path, separator):
    rows = [(f"one, two; three | four\t{i}", label) for i, (_, label) in enumerate(ROWS)]
    texts = load_texts(write(tmp_path, as_csv(rows, separator=separator)))
    assert texts.texts[3] == "one, two; three | four\t3"


def test_quotes_line_ends_and_emoji_inside_texts_survive(tmp_path):
    rows = [('He said "no",\nthen left. 🦊', "x"), *((f"y {i}", "y") for i in range(10))]
    content = as_csv(rows).replace("\n", "\r\n")
    texts = load_texts(write(tmp_path, content, encoding="utf-8-sig"))
    assert texts.texts[0] == 'He said "no",\r\nthen left. 🦊'
    assert texts.rows == 11


def test_columns_with_common_names_are_found_and_said(tmp_path):
    texts = load_texts(write(tmp_path, as_csv(ROWS, header=("Review", "Sentiment"))))
    assert texts.notes == ("the text is column 'Review'", "the label is column 'Sentiment'")


def test_columns_can_be_named(tmp_path):
    rows = [("x", *row) for row in ROWS]
    content = as_csv(rows, header=("text", "what", "kind"))
    assert load_texts(write(tmp_path, content), text="what", label="kind").texts[0] == ROWS[0][0]


def test_numeric_labels_stand_in_the_order_of_numbers(tmp_path):
    rows = [(f"t {i}", stars) for i, stars in enumerate([10, 9, 2, 1] * 5)]
    for form in (as_csv, as_json):
        assert load_texts(write(tmp_path, form(rows))).labels == ("1", "2", "9", "10")


def test_a_list_in_json_is_several_labels_a_row(tmp_path):
    rows = [(f"t {i}", [["a", "b"], [], ["b"]][i % 3]) for i in range(12)]
    texts = load_texts(write(tmp_path, as_json(rows), "a.jsonl"))
    assert texts.multi
    assert texts.labels == ("a", "b")
    assert texts.targets.dtype == np.float32
    np.testing.assert_array_equal(texts.targets[:3], [[1, 1], [0, 0], [0, 1]])


def test_a_separator_inside_a_cell_is_several_labels_a_row(tmp_path):
    rows = [(f"t {i}", ["a | b", "", "b"][i % 3]) for i in range(12)]
    texts = load_texts(write(tmp_path, as_csv(rows)), label_separator="|")
    assert texts.labels == ("a", "b")
    np.testing.assert_array_equal(texts.targets[:3], [[1, 1], [0, 0], [0, 1]])


def test_columns_of_ones_and_zeros_are_several_labels_a_row(tmp_path):
    rows = [(f"t {i}", i % 2, "true" if i % 3 else "False", 0) for i in range(12)]
    path = write(tmp_path, as_csv(rows, header=("text", "odd", "third", "none")))
    texts = load_texts(path, label=("odd", "third", "none"))
    np.testing.assert_array_equal(texts.targets[:3], [[0, 0, 0], [1, 1, 0], [0, 1, 0]])
    assert texts.notes == ("label 'none' is the same in every row",)


def test_rows_without_text_or_label_are_left_out_and_their_lines_named(tmp_path):
    rows = [*ROWS, ("  ", "good"), ("no label", ""), ("nor here", " ")]
    texts = load_texts(write(tmp_path, as_csv(rows)))
    assert texts.rows == len(ROWS)
    assert "1 row without text left out (line 14)" in texts.notes
    assert "2 rows without label left out (lines 15, 16)" in texts.notes


def test_json_rows_that_lack_a_field_or_hold_null_are_left_out(tmp_path):
    lines = [as_json(ROWS), '{"label": "good"}', '{"text": "x"}', '{"text": null, "label": NaN}']
    texts = load_texts(write(tmp_path, "\n".join(lines), "a.jsonl"))
    assert texts.rows == len(ROWS)
    assert "2 rows without text left out (lines 13, 15)" in texts.notes
    assert "1 row without label left out (line 14)" in texts.notes


def test_mostly_unlabelled_rows_still_give_the_labelled_ones(tmp_path):
    rows = ROWS + [(f"unlabelled {i}", "") for i in range(100)]
    assert load_texts(write(tmp_path, as_csv(rows))).rows == len(ROWS)


def test_a_label_whose_texts_are_all_left_out_is_no_label(tmp_path):
    texts = load_texts(write(tmp_path, as_csv([*ROWS, ("", "another")])))
    assert texts.labels == ("bad", "good")
    assert texts.targets.tolist() == [1] * 7 + [0] * 5


@pytest.mark.parametrize("form", [as_csv, as_json])
def test_a_line_of_ten_megabytes_is_cut_with_a_note_in_bounded_time(tmp_path, form):
    before = csv.field_size_limit()
    path = write(tmp_path, form([*ROWS, ("word " * 2_000_000, "good")]))
    start = time.process_time()
    texts = load_texts(path)
    assert time.process_time() - start < 5
    assert len(texts.texts[-1]) == MOST_CHARACTERS
    line = 14 if form is as_csv else 13
    assert f"1 text cut after 100,000 characters (line {line})" in texts.notes
    assert csv.field_size_limit() == before


def test_copies_and_copies_with_another_label_are_noted(tmp_path):
    rows = [*ROWS, ("A  GOOD film, number 1", "good"), ("a bad film, number 2", "good")]
    texts = load_texts(write(tmp_path, as_csv(rows)))
    assert "2 texts occur more than once, in 4 rows" in texts.notes
    assert "1 texts occur with different labels, such as 'a bad film, number 2'" in texts.notes


def test_half_a_surrogate_pair_becomes_a_question_mark(tmp_path):
    line = '{"text": "half \\ud83e of it", "label": "good"}'
    texts = load_texts(write(tmp_path, f"{as_json(ROWS)}\n{line}"))
    assert texts.texts[-1] == "half ? of it"
    assert "halves of characters became '?' in 1 text" in texts.notes


def test_another_encoding_can_be_named(tmp_path):
    rows = [("Müller", "good"), *ROWS]
    for encoding in ("cp1252", "utf-16", "utf-8"):
        path = write(tmp_path, as_csv(rows), encoding=encoding)
        assert load_texts(path, encoding=encoding).texts[0] == "Müller"


TEN = "\n".join(f"t{i},{'ab'[i % 2]}" for i in range(10))
REFUSED = {
    "empty": ("", "is empty"),
    "blank": (" \n\t\n", "is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "is empty"),
    "only separators": (",,\n,,", "nothing but separators"),
    "no rows": ("text,label\n", "a header but no rows"),
    "one class": (
        "text,label\n" + "\n".join(f"t{i},a" for i in range(10)),
        r"every row has the same label \('a'\).*Add texts of another class",
    ),
    "one class of several": (
        "\n".join(f'{{"text": "t{i}", "label": ["a"]}}' for i in range(10)),
        r"every row has the same label \('a'\)",
    ),
    "no class at all": (
        "\n".join(f'{{"text": "t{i}", "label": []}}' for i in range(10)),
        r"every row has the same label \(none\)",
    ),
    "labels that are names of rows": (
        "text,label\n" + "\n".join(f"t{i},id{i}" for i in range(10)),
        "10 different labels in 10 rows, such as 'id0'",
    ),
    "no text": ("text,label\n" + ",a\n" * 10, "10 of 10 rows have no text in 'text'.*line"),
    "no label": ("text,label\n" + "x,\n" * 10, "10 of 10 rows have no label in 'label'.*label="),
    "too few": ("text,label\na,1\nb,0", "only 2 rows .* at least 10"),
    "other fields": (f"text,label\n{TEN}\nx,y,z", "line 12 has 3 fields, the header has 2"),
    "a column twice": (f"text,label,text\n{TEN}", "several columns named 'text'"),
    "an open quote": (
        f'text,label\n{TEN}\n"open,a\nb,b',
        "line 12: a quote that opens there is never closed",
    ),
    "a quote inside": (f'text,label\n{TEN}\n"5" disk",a', "line 12: ',' expected after '\"'"),
    "not UTF-8": (
        f"text,label\n{TEN}\nM\xfcller,a".encode("latin-1"),
        r"byte 0xfc at offset 62, line 12.*looks like cp1252.*encoding='cp1252'",
    ),
    "cut off": (f"text,label\n{TEN}\nM\xfc".encode()[:-1], "ends in the middle of a character"),
    "UTF-16": (f"text,label\n{TEN}".encode("utf-16"), "looks like utf-16"),
    "UTF-16 without mark": (f"text,label\n{TEN}".encode("utf-16-le"), "looks like utf-16-le"),
    "a NUL byte": (f"text,label\n{TEN}\nx\x00y,a", "NUL byte in line 12"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "not utf-8: byte 0x89 at offset 0, line 1"),
    "no JSON": (f'{as_json(ROWS)}\n{{"text": }}', "line 13 is no JSON: Expecting value"),
    "JSON no object": (f"{as_json(ROWS)}\n[1, 2]", r"line 13 holds \[1, 2\], which is no object"),
    "JSON array": ('[\n{"text": "a"}\n]', "line 1 is a JSON document over several lines"),
    "JSON array on a line": ('[{"text": "a"}]', "line 1 holds .*which is no object"),
    "deep JSON": ("[" * 100_000, "line 1 is no JSON: maximum recursion"),
    "a long number": ('{"text": ' + "1" * 5000 + "}", "line 1 is no JSON: Exceeds the limit"),
    "a text that is none": (f'{as_json(ROWS)}\n{{"text": ["a"]}}', r"line 13: 'text' is \['a'\]"),
    "a label that is none": (
        f'{as_json(ROWS)}\n{{"text": "a", "label": {{"b": 1}}}}',
        "line 13: 'label' is {'b': 1}",
    ),
}


@pytest.mark.parametrize(("content", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_learnt_from_is_a_sentence(tmp_path, content, sentence):
    with pytest.raises(TextError, match=f"(?s){sentence}"):
        load_texts(write(tmp_path, content))


def test_a_json_file_that_begins_with_a_text_is_a_sentence_about_json(tmp_path):
    with pytest.raises(TextError, match="line 1 is no JSON"):
        load_texts(write(tmp_path, "hello world\n", "a.jsonl"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"text": "txt"}, "text: there is no column 'txt'. Did you mean 'text'"),
        ({"label": "lable"}, "label: there is no column 'lable'. Did you mean 'label'"),
        ({"label": ("label", "b")}, "label: there is no column 'b'"),
        ({"label": "text"}, "none of them the text column 'text'"),
        ({"label": ()}, "must name one column or several"),
        ({"label": ("label",)}, "line 2: 'label' is 'good', but with several label columns"),
        ({"label_separator": ""}, "label_separator is empty"),
        ({"separator": "::"}, "must be one character"),
        ({"encoding": "utf-9"}, "no encoding 'utf-9'"),
    ],
)
def test_wrong_names_are_sentences(tmp_path, options, sentence):
    with pytest.raises(TextError, match=sentence):
        load_texts(write(tmp_path, as_csv(ROWS)), **options)


def test_columns_that_are_not_found_are_listed(tmp_path):
    path = write(tmp_path, as_csv(ROWS, header=("A", "B")))
    with pytest.raises(TextError, match=r"Name it with text=: the columns are 'A', 'B'"):
        load_texts(path)
    with pytest.raises(TextError, match="Name it with label="):
        load_texts(path, text="A")


def test_no_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(TextError, match="does not exist"):
        load_texts(tmp_path / "none.csv")
    with pytest.raises(TextError, match="is a folder"):
        load_texts(tmp_path)


def test_a_file_beyond_memory_is_refused_unread(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(2**30 + 1)  # a hole: it takes no space
    with pytest.raises(TextError, match=r"1\.0 GiB.*Take a sample"):
        load_texts(path)


ANY_TEXT = st.text(alphabet=st.sampled_from('ab,;|\t"\n\r{}[]:\\ 01é\u2028\ufeff\x00'), max_size=60)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    start=st.sampled_from(
        ["", "text,label\n", as_csv(ROWS) + "\n", as_json(ROWS) + "\n", "{", "["]
    ),
    rest=st.one_of(ANY_TEXT.map(str.encode), st.binary(max_size=40)),
    name=st.sampled_from(["a.csv", "a.jsonl"]),
    split=st.sampled_from([None, "|"]),
)
def test_whatever_a_file_holds_the_answer_is_texts_or_a_sentence(
    tmp_path, start, rest, name, split
):
    path = write(tmp_path, start.encode() + rest, name)
    try:
        texts = load_texts(path, label_separator=split)
    except TextError as error:
        assert str(error).endswith((".", "?"))
    else:
        assert texts.rows == len(texts.targets) >= 10
        assert all(texts.texts)
        assert texts.targets.max() >= texts.targets.min() + 1


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.fixed_dictionaries({}, optional={"text": JSON, "label": JSON})))
def test_whatever_json_values_are_the_answer_is_texts_or_a_sentence(tmp_path, values):
    lines = "\n".join(map(json.dumps, values))
    try:
        texts = load_texts(write(tmp_path, f"{as_json(ROWS)}\n{lines}"))
    except TextError as error:
        assert "line" in str(error) or "different labels" in str(error)
    else:
        assert texts.rows == len(texts.targets)
        "".join((*texts.texts, *texts.labels, *texts.notes)).encode("utf-8")


def test_the_description_counts_texts_and_words(tmp_path):
    told = load_texts(write(tmp_path, as_csv(ROWS))).describe()
    assert told["label"].tolist() == ["bad", "good"]
    assert told["texts"].tolist() == [5, 7]
    assert told["share"].tolist() == pytest.approx([5 / 12, 7 / 12])
    assert told["median words"].tolist() == [5, 5]
    assert told["longest"].tolist() == [5, 5]


def many(rows=200, copies=3, seed=0):
    """Each text several times, in different writing, a fifth of them positive."""
    labels = (np.arange(rows) % 5 == 0).astype(np.int32)
    texts = [f"Text {i}" for i in range(rows)]
    everything = [t.upper() if k else f" {t}" for k in range(copies) for t in texts]
    order = np.random.default_rng(seed).permutation(rows * copies)
    return Texts(
        *("many", "yours", tuple(everything[i] for i in order)),
        targets=np.tile(labels, copies)[order],
        labels=("no", "yes"),
        multi=False,
    )


def test_copies_never_cross_a_split_and_labels_keep_their_shares():
    texts = many()
    split = split_texts(texts, validation=0.2, test=0.3, seed=1)
    rows = np.concatenate(split[:3])
    assert sorted(rows) == list(range(600))
    parts = [[texts.texts[i] for i in part] for part in split[:3]]
    assert [len(part) for part in parts] == [300, 120, 180]
    assert [texts.targets[part].mean() for part in split[:3]] == pytest.approx([0.2] * 3)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert len(shared_texts(parts[a], parts[b])) == 0
    assert split.how == "stratified, copies together"


def test_the_seed_decides_the_split():
    texts = many()
    one, again, other = (split_texts(texts, seed=s).test for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_rare_label_is_in_every_part_if_three_texts_have_it_else_in_training():
    targets = np.array([0] * 50 + [1] * 3 + [2] * 2, np.int32)
    texts = Texts("rare", "yours", tuple(map(str, range(55))), targets, ("a", "b", "c"), False)
    split = split_texts(texts)
    assert all(1 in targets[part] for part in split[:3])
    assert [np.sum(targets[part] == 2) for part in split[:3]] == [2, 0, 0]


def test_rows_with_several_labels_are_divided_by_their_rarest():
    targets = np.zeros((100, 2), np.float32)
    targets[:80, 0] = 1
    targets[:10, 1] = 1
    texts = Texts("several", "yours", tuple(map(str, range(100))), targets, ("a", "b"), True)
    split = split_texts(texts, validation=0.2, test=0.2)
    assert [int(targets[part, 1].sum()) for part in split[:3]] == [6, 2, 2]
    assert [int(targets[part, 0].sum()) for part in split[:3]] == [48, 16, 16]


def test_no_validation_part_is_empty_only_if_asked():
    assert len(split_texts(many(), validation=0.0).validation) == 0


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.2), (0.2, 0.0)])
def test_shares_that_leave_nothing_are_a_sentence(shares):
    with pytest.raises(TextError, match="must be shares of the rows"):
        split_texts(many(), validation=shares[0], test=shares[1])


def test_texts_too_few_to_divide_are_a_sentence():
    texts = Texts("few", "yours", ("a", "A", "b"), np.array([0, 0, 1], np.int32), ("x", "y"), False)
    with pytest.raises(TextError, match="The validation part has no row: 2 different texts"):
        split_texts(texts)


def test_shared_texts_are_found_but_for_case_and_blanks():
    assert shared_texts(["One  two", "three"], ["x", "one TWO\n", "THREE"]).tolist() == [1, 2]
    assert shared_texts([], ["x"]).tolist() == []
    assert shared_texts(["x"], []).tolist() == []


@settings(max_examples=60, deadline=None)
@given(copies=st.lists(st.integers(1, 30), min_size=3, max_size=8), seed=st.integers(0, 9))
def test_three_texts_are_enough_for_three_parts_however_often_one_is_copied(copies, seed):
    rows = tuple(str(i) for i, n in enumerate(copies) for _ in range(n))
    texts = Texts("t", "yours", rows, np.zeros(len(rows), np.int32), ("a",), False)
    split = split_texts(texts, validation=0.3, test=0.4, seed=seed)
    parts = [{rows[i] for i in part} for part in split[:3]]
    assert all(parts)
    assert sum(map(len, parts)) == len(copies)
