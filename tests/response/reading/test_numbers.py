"""Numbers are read as they were meant, or not at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.response.reading.numbers import read_numbers

AMOUNTS = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20)
SIGNS = ["{}", "$ {}", "€{}", "{} EUR", "usd {}"]


def written(cents: int, thousands: str, decimal: str) -> str:
    """12345 is 123.45 in one convention and 123,45 in another."""
    plain = f"{cents / 100:,.2f}"
    return plain.replace(",", "T").replace(".", decimal).replace("T", thousands)


@given(AMOUNTS, st.sampled_from([",.", ".,", "'.", " .", " ,", "\u00a0,"]), st.sampled_from(SIGNS))
@settings(max_examples=150, deadline=None)
def test_money_is_read_back_in_every_convention(cents, convention, sign):
    thousands, decimal = convention
    texts = [sign.format(written(c, thousands, decimal)) for c in cents]
    numbers = read_numbers(texts)
    assert not numbers.missing + numbers.unreadable
    np.testing.assert_array_equal(numbers.values, [float(f"{c / 100:.2f}") for c in cents])


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_what_python_prints_is_read_back_exactly(values):
    np.testing.assert_array_equal(read_numbers([repr(v) for v in values]).values, values)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=10))
@settings(max_examples=150, deadline=None)
def test_every_text_is_a_number_or_missing_or_unreadable_and_only_one_of_them(texts):
    numbers = read_numbers(texts)
    without = sorted(numbers.missing + numbers.unreadable)
    assert without == np.flatnonzero(np.isnan(numbers.values)).tolist()


@pytest.mark.parametrize("text", ["", "n/a", "NA", "nan", "NULL", "-", "#N/A", "?"])
def test_the_usual_words_for_nothing_are_missing(text):
    numbers = read_numbers(["1", text])
    assert (numbers.missing, numbers.unreadable) == ([1], [])


@pytest.mark.parametrize("text", ["12%", "abc", "1,2,3", "1.2.3", "1,23,456", "--3", "3-4", "0x10"])
def test_what_is_no_number_is_unreadable(text):
    assert read_numbers(["1.5", text]).unreadable == [1]


@pytest.mark.parametrize(
    ("column", "sheet", "value"),
    [
        (["1,234"], None, np.nan),
        (["1,234"], ",", 1.234),
        (["1,234"], ".", 1234.0),
        (["1.234"], None, 1.234),
        (["1.234"], ",", 1234.0),
        (["0.25"], ",", 0.25),
        (["1,234", "1.5"], ",", 1234.0),
        (["1,5", "2.5"], None, np.nan),
    ],
)
def test_a_doubtful_sign_is_settled_by_the_column_then_by_the_sheet(column, sheet, value):
    np.testing.assert_equal(read_numbers(column, sheet).values[0], value)


def test_truth_is_one_and_zero():
    assert read_numbers(["True", "false", "yes"]).values.tolist() == [1.0, 0.0, 1.0]


def test_an_accountants_brackets_are_negative():
    assert read_numbers(["(7)", "($1,200.50)"]).values.tolist() == [-7.0, -1200.5]
