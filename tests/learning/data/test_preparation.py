"""Preparation: learnt from the training rows alone, equal to scikit-learn's, rebuilt from JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from channelwise.learning.data import simulated
from channelwise.learning.data.builtin import breast_cancer, diabetes
from channelwise.learning.data.files import TableError
from channelwise.learning.data.preparation import (
    Preparation,
    clean,
    column_transformer,
    fit_preparation,
    prepare,
)
from channelwise.learning.data.splits import split_table
from channelwise.learning.data.tables import make_table


def mixed(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    city = rng.choice(["Kiel", "Ulm", "Bonn"], rows, p=[0.5, 0.45, 0.05]).astype(object)
    city[rng.random(rows) < 0.1] = None
    age = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(40, 9, rows))
    frame = {"age": age, "income": rng.lognormal(3, 1, rows), "city": city}
    return pd.DataFrame(
        {**frame, "rare": ["usual"] * (rows - 3) + ["odd", "strange", "odd"]}
    ).assign(y=rng.integers(0, 2, rows))


@pytest.fixture(scope="module")
def table():
    return make_table(mixed(), "y")


@pytest.mark.parametrize(
    "make",
    [
        breast_cancer,
        diabetes,
        lambda: simulated.churn(600),
        lambda: simulated.machine_failure(900),
        lambda: make_table(mixed(), "y"),
    ],
)
def test_transform_equals_scikit_learn(make):
    table = make()
    split = split_table(table)
    preparation = fit_preparation(table, split.train)
    kinds = {c.name: c.kind for c in table.columns}
    numeric = [n for n in table.features if kinds[n] == "numeric"]
    texts = [n for n in table.features if kinds[n] == "categorical"]
    theirs = column_transformer(numeric, texts).fit(
        clean(table.frame.iloc[split.train], numeric, texts)
    )
    expected = theirs.transform(clean(table.frame.iloc[split.test], numeric, texts))
    ours = preparation.transform(table.frame.iloc[split.test], unseen="other")
    assert ours.dtype == np.float32
    assert ours.shape[1] == len(preparation.features)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_training_rows_come_out_with_mean_zero_and_scale_one():
    table = breast_cancer()
    x, _ = prepare(table, split_table(table)).train
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, atol=1e-4)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_changing_rows_outside_training_changes_nothing_that_was_learnt(table, part):
    split = split_table(table)
    changed = table.frame.copy()
    rows = getattr(split, part)
    changed.iloc[rows, changed.columns.get_loc("age")] = 1e9
    changed.iloc[rows, changed.columns.get_loc("city")] = "Atlantis"
    other = make_table(changed.assign(y=table.target), "y")
    assert fit_preparation(other, split.train) == fit_preparation(table, split.train)


def test_changing_a_training_row_does_change_it(table):
    split = split_table(table)
    changed = table.frame.copy()
    changed.iloc[split.train[0], changed.columns.get_loc("income")] = 1e9
    other = make_table(changed.assign(y=table.target), "y")
    assert fit_preparation(other, split.train) != fit_preparation(table, split.train)


def test_missing_values_become_the_median_and_a_flag(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    names = list(preparation.features)
    assert "age missing" in names
    assert "income missing" not in names
    gap = int(np.flatnonzero(table.frame["age"].isna())[0])
    x = preparation.transform(table.frame)
    age = preparation.numeric[0]
    assert x[gap, names.index("age missing")] == 1
    assert x[gap, names.index("age")] == pytest.approx(
        (age.median - age.mean) / age.scale, abs=1e-6
    )


def test_rare_categories_share_an_input(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    rare = preparation.categorical[1]
    assert rare.categories == ("usual",)
    assert set(rare.pooled) == {"odd", "strange"}
    x = preparation.transform(table.frame)
    names = list(preparation.features)
    assert x[-1, names.index("rare = other")] == 1
    assert x[:-3, names.index("rare = other")].sum() == 0


def test_every_row_has_one_input_of_each_categorical_column(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    x = preparation.transform(table.frame)
    for column in preparation.categorical:
        owned = [i for i, n in enumerate(preparation.features) if n.startswith(f"{column.name} = ")]
        np.testing.assert_array_equal(x[:, owned].sum(1), 1)


def test_an_unseen_category_is_refused_by_name_and_row(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    new = table.frame.head(3).copy()
    new.loc[1, "city"] = "Oz"
    with pytest.raises(
        TableError, match=r"'city' holds 'Oz' in row 2 \(1 such rows\).*unseen='other'"
    ):
        preparation.transform(new)


def test_an_unseen_category_may_count_as_other(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    new = table.frame.head(2).copy()
    new["city"], new["rare"] = "Oz", "unheard"
    x = preparation.transform(new, unseen="other")
    names = list(preparation.features)
    assert (x[:, [i for i, n in enumerate(names) if n.startswith("city = ")]] == 0).all()
    assert (x[:, names.index("rare = other")] == 1).all()


def test_a_missing_category_without_missing_training_rows_counts_as_none_of_them():
    table = make_table(mixed().assign(city="Ulm", town=["a", "b"] * 100), "y")
    preparation = fit_preparation(table, np.arange(table.rows))
    new = table.frame.head(1).assign(town=None)
    owned = [i for i, n in enumerate(preparation.features) if n.startswith("town = ")]
    assert preparation.transform(new)[0, owned].tolist() == [0, 0]


def test_a_missing_column_is_a_sentence_with_the_nearest_name(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    with pytest.raises(TableError, match=r"no column 'income'. Did you mean 'Income'\?"):
        preparation.transform(table.frame.rename(columns={"income": "Income"}))


def test_a_text_where_a_number_belongs_is_a_sentence(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    new = table.frame.head(2).astype({"income": object})
    new.loc[1, "income"] = "a lot"
    with pytest.raises(TableError, match="'income' holds 'a lot' in row 2"):
        preparation.transform(new)


def test_whole_numbers_as_categories_survive_a_column_of_floats():
    frame = mixed().assign(code=np.resize([1, 2, 3, 4], 200))
    table = make_table(frame, "y", kinds={"code": "categorical"})
    preparation = fit_preparation(table, np.arange(table.rows))
    as_floats = table.frame.astype({"code": float})
    np.testing.assert_array_equal(
        preparation.transform(as_floats), preparation.transform(table.frame)
    )


def test_no_rows_give_no_inputs_of_the_right_width(table):
    preparation = fit_preparation(table, np.arange(table.rows))
    assert preparation.transform(table.frame.head(0)).shape == (0, len(preparation.features))


def test_json_brings_the_same_preparation_back(table):
    for each in (table, diabetes()):
        preparation = fit_preparation(each, np.arange(each.rows))
        text = json.dumps(preparation.to_json(), allow_nan=False)
        assert Preparation.from_json(json.loads(text)) == preparation


def test_a_regression_s_target_is_standardized_by_the_training_rows_and_restored():
    table = diabetes()
    split = split_table(table)
    parts = prepare(table, split)
    assert parts.train[1].mean() == pytest.approx(0, abs=1e-5)
    assert parts.train[1].std() == pytest.approx(1, abs=1e-5)
    back = parts.preparation.restore_target(parts.test[1])
    np.testing.assert_allclose(back, table.target[split.test], rtol=1e-5)
