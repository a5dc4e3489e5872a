"""Folds keep to the table's own rule, checked row by row."""

import numpy as np
import pandas as pd
import pytest

from channelwise.learning.data.builtin import breast_cancer
from channelwise.learning.data.files import TableError
from channelwise.learning.data.folds import fold_splits
from channelwise.learning.data.preparation import prepare
from channelwise.learning.data.tables import Table, make_table


def visits(**roles: str) -> Table:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.standard_normal(60),
            "person": np.repeat(np.arange(12), 5),
            "day": rng.permutation(60),
            "y": rng.standard_normal(60),
        }
    )
    return make_table(frame, "y", **roles)


def test_every_row_is_tested_once_and_never_trained_on_in_its_own_fold():
    table, rows = breast_cancer(), np.arange(0, 569, 2)
    splits = fold_splits(table, rows, folds=5)
    tested = np.concatenate([s.test for s in splits])
    assert sorted(tested.tolist()) == rows.tolist()
    for s in splits:
        assert sorted([*s.train, *s.test]) == rows.tolist()
        assert s.validation.size == 0


def test_each_fold_has_the_classes_in_their_shares():
    table = breast_cancer()
    shares = [table.target[s.test].mean() for s in fold_splits(table, np.arange(569), folds=5)]
    np.testing.assert_allclose(shares, table.target.mean(), atol=0.01)


def test_a_group_is_never_on_both_sides():
    table = visits(group="person")
    for s in fold_splits(table, np.arange(60), folds=4):
        assert not set(table.group[s.train]) & set(table.group[s.test])


def test_with_time_no_training_row_is_newer_than_a_tested_one():
    table = visits(time="day")
    for s in fold_splits(table, np.arange(60), folds=4):
        assert table.time[s.train].max() <= table.time[s.test].min()


def test_the_seed_draws_the_folds():
    table, rows = visits(), np.arange(60)
    first, again, other = (fold_splits(table, rows, seed=k)[0].test.tolist() for k in (0, 0, 1))
    assert first == again != other


def test_a_fold_can_be_prepared_though_it_has_no_validation_rows():
    table = breast_cancer()
    parts = prepare(table, fold_splits(table, np.arange(569))[0])
    assert parts.validation[0].shape == (0, 30)


@pytest.mark.parametrize(("folds", "says"), [(1, "at least 2"), (13, "13 folds cannot be cut")])
def test_impossible_folds_are_refused_in_a_sentence(folds, says):
    with pytest.raises(TableError, match=says):
        fold_splits(visits(group="person"), np.arange(60), folds=folds)
