"""Splits: every row once, classes in proportion, groups whole, time forward."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.learning.data.builtin import breast_cancer, diabetes
from channelwise.learning.data.files import TableError
from channelwise.learning.data.splits import split_table
from channelwise.learning.data.tables import make_table

CANCER = breast_cancer()


def table(rows=100, **options):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "patient": np.arange(rows) // 5,
            "day": rng.permutation(rows) // 4,
            "y": rng.integers(0, 2, rows),
        }
    )
    return make_table(frame, "y", **options)


def parts(split):
    return split.train, split.validation, split.test


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.integers(0, 10**6))
def test_every_row_is_in_one_part_and_classes_keep_their_shares(validation, test, seed):
    split = split_table(CANCER, validation=validation, test=test, seed=seed)
    assert np.array_equal(np.sort(np.concatenate(parts(split))), np.arange(569))
    for rows, share in ((split.validation, validation), (split.test, test)):
        assert abs(len(rows) / 569 - share) < 2 / 569
        assert abs(CANCER.target[rows].sum() - 212 * share) <= 0.5 + 1e-9


def test_the_seed_decides_and_only_the_seed():
    first, again, other = (split_table(CANCER, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_a_regression_is_split_at_random():
    split = split_table(diabetes())
    assert split.how == "random"
    assert [len(rows) for rows in parts(split)] == [266, 88, 88]


def test_groups_stay_whole():
    grouped = table(group="patient")
    split = split_table(grouped, seed=3)
    seen = [set(grouped.group[rows]) for rows in parts(split)]
    assert split.how == "by group"
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert "patient" not in grouped.features


def test_the_newest_rows_are_the_test_rows_and_one_moment_stays_together():
    dated = table(time="day")
    split = split_table(dated)
    assert split.how == "by time"
    assert dated.time[split.train].max() < dated.time[split.validation].min()
    assert dated.time[split.validation].max() < dated.time[split.test].min()
    assert abs(len(split.test) - 20) <= 4


def test_no_validation_part_can_be_asked_for():
    split = split_table(CANCER, validation=0)
    assert len(split.validation) == 0
    assert len(split.train) + len(split.test) == 569


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.2, 0), (0, 1)])
def test_shares_that_leave_nothing_to_train_on_are_a_sentence(validation, test):
    with pytest.raises(TableError, match="must be shares of the rows"):
        split_table(CANCER, validation=validation, test=test)


def test_two_groups_are_a_sentence():
    frame = pd.DataFrame({"x": np.arange(20.5, 40), "g": [0, 1] * 10, "y": [0, 0, 1, 1] * 5})
    with pytest.raises(TableError, match="There are 2 groups"):
        split_table(make_table(frame, "y", group="g"))


def test_a_part_of_one_class_is_a_sentence():
    frame = pd.DataFrame(
        {"x": np.sin(np.arange(40)), "day": np.arange(40.0), "y": [0] * 30 + [1] * 10}
    )
    with pytest.raises(
        TableError, match=r"The \w+ part of a split by time has rows of one class only"
    ):
        split_table(make_table(frame, "y", time="day"), validation=0.1, test=0.2)
