"""Recorded results, claims, answers and tables: what is stored and what is escaped."""

import numpy as np
import pandas as pd
import pytest
from IPython.utils.capture import capture_output

from channelwise.notebook import Claim, answer, claims, record, table
from channelwise.notebook.outputs import ANSWER, CLAIMS, RECORD, TABLE, short

ATTACK = "<script>alert(1)</script>"


def shown(function, *args, **kwargs) -> dict:
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance()
    with capture_output() as captured:
        function(*args, **kwargs)
    return captured.outputs[0].data


def test_a_record_keeps_value_tolerance_and_unit():
    data = shown(record, "roi", np.float32(8.25), rtol=0.05, unit="per unit")[RECORD]
    assert data["value"] == 8.25
    assert isinstance(data["value"], float)
    assert (data["name"], data["rtol"], data["unit"]) == ("roi", 0.05, "per unit")


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("a b", 1.0, ValueError, "'a b' is no name"),
        ("a", float("nan"), ValueError, "nan is no result"),
        ("a", np.ones(3), TypeError, "an array of 3 values"),
        ("a", object(), TypeError, "a object cannot be recorded"),
    ],
)
def test_a_record_that_is_no_result_is_refused(name, value, error, says):
    with pytest.raises(error, match=says):
        record(name, value)


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ValueError, match="rtol = -1"):
        record("a", 1.0, rtol=-1)


def test_claims_are_stored_for_the_ledger_and_escaped():
    row = Claim(1, "000 §4.1", ATTACK, "0.5", holds=False, why="because")
    data = shown(claims, [row])
    assert data[CLAIMS]["claims"][0]["claim"] == ATTACK
    assert "<script>" not in data["text/html"]
    assert "wrong" in data["text/plain"]


def test_an_answer_is_stored():
    assert shown(answer, "It is **42**.")[ANSWER] == {"markdown": "It is **42**."}


def test_a_table_escapes_names_and_values_and_rounds():
    frame = pd.DataFrame({ATTACK: [1.23456789, np.nan], "b": ["<b>", None]})
    data = shown(table, frame, caption="c")
    assert "<script>" not in data["text/html"]
    assert "<b>" not in data["text/html"]
    assert data[TABLE]["rows"][0][0] == "1.235"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (12345, "12 345"),
        (0.000123456, "0.0001235"),
        (1e-12, "1e-12"),
        (float("inf"), "∞"),
        (float("nan"), "–"),
        (None, "–"),
        (True, "True"),
        ("a", "a"),
        (np.int64(7), "7"),
    ],
)
def test_numbers_are_written_short(value, text):
    assert short(value) == text
