"""From frames to tables: kinds are detected, can be overruled, and bad tables are sentences."""

import numpy as np
import pandas as pd
import pytest

from channelwise.learning.data.builtin import breast_cancer, diabetes
from channelwise.learning.data.files import TableError
from channelwise.learning.data.tables import load_table, make_table


def frame(rows=60, **columns):
    rng = np.random.default_rng(0)
    base = {
        "amount": rng.normal(size=rows),
        "city": rng.choice(["Kiel", "Ulm"], rows),
        "y": np.arange(rows) % 2,
    }
    return pd.DataFrame(base | columns)


def kinds_of(table):
    return {c.name: c.kind for c in table.columns}


def test_numbers_are_numeric_and_texts_are_categories():
    assert kinds_of(make_table(frame(), "y")) == {"amount": "numeric", "city": "categorical"}


COLUMNS = {
    "no value": (np.full(60, np.nan), "ignore"),
    "constant": (np.full(60, 3), "ignore"),
    "counter": (np.arange(60) + 7, "ignore"),
    "Customer ID": (np.random.default_rng(1).permutation(10**6)[:60], "ignore"),
    "key text": ([f"A{i}" for i in range(60)], "ignore"),
    "dates as text": ([f"2024-01-{i % 28 + 1:02d}" for i in range(60)], "ignore"),
    "dates": (pd.date_range("2024-01-01", periods=60), "ignore"),
    "flag": (np.arange(60) % 3 == 0, "numeric"),
    "flag with gaps": ([True, False, None] * 20, "numeric"),
    "numbers with a mark": ([*map(str, range(57)), "?", "?", "n.a."], "numeric"),
    "codes as numbers": (np.arange(60) % 4, "numeric"),
    "few distinct": (["a", "b", "c"] * 20, "categorical"),
    "<script>alert(1)</script>": (np.random.default_rng(2).normal(size=60), "numeric"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_kind_of_a_column_is_detected(name):
    values, kind = COLUMNS[name]
    table = make_table(frame(**{name: values}), "y")
    assert kinds_of(table)[name] == kind
    assert (name in table.features) == (kind != "ignore")
    if kind == "ignore":
        assert any(name in note and "not used" in note for note in table.notes)


def test_the_user_s_word_wins():
    table = make_table(frame(code=np.arange(60) % 4), "y", kinds={"code": "categorical"})
    assert kinds_of(table)["code"] == "categorical"
    table = make_table(frame(), "y", kinds={"amount": "ignore"})
    assert table.features == ("city",)


def test_every_column_is_described():
    described = make_table(frame(gap=[1.0, np.nan, 3.0] * 20), "y").describe()
    assert described["name"].tolist() == ["amount", "city", "gap"]
    assert described.set_index("name").loc["gap", "missing"] == 20


def test_infinite_numbers_count_as_missing():
    table = make_table(frame(amount=[np.inf, *np.arange(59.0) * 1.5]), "y")
    assert kinds_of(table)["amount"] == "numeric"


def test_a_column_that_gives_the_target_away_is_named():
    y = np.arange(60) % 2
    table = make_table(frame(outcome=np.where(y == 1, "paid late", "paid")), "y")
    assert any("'outcome' alone tells the target" in note for note in table.notes)


@pytest.mark.parametrize(
    ("values", "labels", "ones"),
    [
        (["no", "yes"] * 30, ("no", "yes"), 30),
        ([True, False, False] * 20, ("False", "True"), 20),
        ([1.0, 2.0] * 30, ("1", "2"), 30),
        (["bad", "good", "good"] * 20, ("good", "bad"), 20),
        ([0, 1] * 30, ("0", "1"), 30),
    ],
)
def test_two_values_are_classes_and_the_usual_negative_is_zero(values, labels, ones):
    table = make_table(frame(y=values), "y")
    assert table.task == "classification"
    assert table.labels == labels
    assert table.target.sum() == ones
    assert table.target.dtype == np.float32


def test_numbers_of_many_values_are_a_regression():
    table = make_table(frame(y=np.linspace(0, 1, 60)), "y")
    assert table.task == "regression"
    assert table.labels is None


def test_one_class_against_the_rest():
    table = make_table(frame(y=["a", "b", "c"] * 20), "y", positive="c")
    assert table.labels == ("not c", "c")
    assert table.target.sum() == 20


def test_rows_without_a_target_are_left_out_and_counted():
    table = make_table(frame(y=[0, 1, None] * 20), "y")
    assert table.rows == 40
    assert any(note.startswith("20 rows without 'y'") for note in table.notes)


BAD = {
    "absent target": ({}, {"target": "Y_"}, r"no column 'Y_'. Did you mean 'y'\?"),
    "absent group": ({}, {"group": "cty"}, r"group: there is no column 'cty'. Did you mean 'city'"),
    "absent kind": ({}, {"kinds": {"town": "ignore"}}, "kinds: town: there is no column"),
    "constant target": ({"y": 1}, {}, "is '1' in every row"),
    "empty target": ({"y": np.nan}, {}, "has no value in any row"),
    "one row of a class": ({"y": [1] + [0] * 59}, {}, "class '1' of 'y' has 1 row"),
    "three classes": ({"y": ["a", "b", "c"] * 20}, {}, "3 classes .* positive='c'"),
    "unknown positive": ({}, {"positive": "maybe"}, "'maybe' is no class of 'y'"),
    "text regression": ({"y": ["1", "x"] * 30}, {"task": "regression"}, "holds 'x'"),
    "infinite target": (
        {"y": [np.inf, *range(59)]},
        {"task": "regression"},
        "not a finite number",
    ),
    "no number": ({}, {"kinds": {"city": "numeric"}}, "'city' cannot be numeric"),
    "nothing left": ({"amount": 1, "city": "x"}, {}, "No column is left to learn from"),
    "group and time": ({}, {"group": "city", "time": "amount"}, "not both"),
    "target as group": ({}, {"group": "y"}, "cannot also be the group"),
    "bad time": ({"city": ["2024-01-01", "soon"] * 30}, {"time": "city"}, "holds 'soon'"),
    "gaps in time": ({"amount": [1.0, np.nan] * 30}, {"time": "amount"}, "30 missing values"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_a_sentence(case):
    columns, options, sentence = BAD[case]
    options = {"target": "y"} | options
    with pytest.raises(TableError, match=sentence):
        make_table(frame(**columns), **options)


def test_too_few_rows_are_a_sentence():
    with pytest.raises(TableError, match="Only 4 rows have a target: at least 10"):
        make_table(frame(rows=4), "y")


def test_column_names_that_differ_only_in_blanks_are_a_sentence():
    doubled = pd.DataFrame([[1, 2, 0]] * 20, columns=["a", "a ", "y"])
    with pytest.raises(TableError, match="Several columns are named 'a'"):
        make_table(doubled, "y")


def test_a_file_becomes_a_table(tmp_path):
    frame().to_csv(tmp_path / "loans.csv", sep=";", index=False)
    table = load_table(tmp_path / "loans.csv", "y")
    assert (table.name, table.source, table.rows) == ("loans.csv", "yours", 60)


def test_the_real_tables_are_what_they_are_said_to_be():
    cancer, progression = breast_cancer(), diabetes()
    assert (cancer.rows, len(cancer.features), cancer.source) == (569, 30, "real")
    assert cancer.labels == ("benign", "malignant")
    assert cancer.target.sum() == 212
    assert (progression.rows, len(progression.features)) == (442, 10)
    assert progression.task == "regression"
