"""Dates are read in the order in which they were written; a rhythm finds what it lacks."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.response.reading.dates import read_dates, rhythm

FORMS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%Y-%m-%d 00:00:00",
    "%Y-%m-%dT00:00:00Z",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%m-%d-%y",
    "%m/%d/%Y 12:00:00 AM",
    "%d %b %Y",
    "%B %d, %Y",
    "%d-%b-%y",
    "%a, %d %b %Y",
]
DAYS = st.dates(date(1990, 1, 1), date(2060, 1, 1))


def days(first: date, step: int, n: int) -> list[date]:
    return [first + timedelta(days=step * i) for i in range(n)]


def months(n: int, day: int = 1, step: int = 1) -> list[date]:
    return [date(2020 + step * i // 12, 1 + step * i % 12, day) for i in range(n)]


def numpy_dates(written: list[date]) -> np.ndarray:
    return np.array(written, "datetime64[D]")


@given(st.sampled_from(FORMS), st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.randoms())
@settings(max_examples=80, deadline=None)
def test_weeks_are_read_back_in_every_way_of_writing_and_any_order(form, first, random):
    written = days(first, 7, 60)
    random.shuffle(written)
    read = read_dates([day.strftime(form) for day in written])
    np.testing.assert_array_equal(read.values, numpy_dates(written))
    assert not read.doubt


def test_iso_weeks_and_months_start_on_their_first_day():
    assert read_dates(["2020-W01", "2020W53"]).values.astype(str).tolist() == [
        "2019-12-30",
        "2020-12-28",
    ]
    assert read_dates(["2020-01", "Feb 2020"]).values[0] == np.datetime64("2020-01-01")


@pytest.mark.parametrize("text", ["", "soon", "31", "2020-13-01", "2021-02-29", "1.5", "x 2020"])
def test_what_is_no_date_is_not_a_time(text):
    assert np.isnat(read_dates(["2020-01-06", text]).values).tolist() == [False, True]


def test_months_written_as_numbers_are_told_by_their_rhythm():
    read = read_dates([day.strftime("%m/%d/%Y") for day in months(30)])
    np.testing.assert_array_equal(read.values, numpy_dates(months(30)))
    assert "month/day/year" in read.note


def test_a_year_of_months_as_numbers_could_be_days_and_is_doubted():
    assert read_dates([day.strftime("%d/%m/%Y") for day in months(12)]).doubt


@given(DAYS, st.integers(1, 40), st.integers(6, 80), st.data())
@settings(max_examples=60, deadline=None)
def test_the_missing_dates_are_those_taken_out(first, step, n, data):
    whole = days(first, step, n)
    out = data.draw(st.sets(st.integers(1, n - 2), max_size=max(0, n // 4 - 1)))
    found = rhythm(numpy_dates([day for i, day in enumerate(whole) if i not in out]))
    assert found.days == step
    np.testing.assert_array_equal(found.missing, numpy_dates([whole[i] for i in sorted(out)]))
    assert len(found.odd) == 0


@pytest.mark.parametrize(
    ("dates", "name", "length"),
    [
        (days(date(2020, 1, 1), 1, 50), "daily", 1),
        (days(date(2020, 1, 1), 7, 50), "weekly", 7),
        (days(date(2020, 1, 1), 28, 50), "four-weekly", 28),
        (days(date(2020, 1, 1), 3, 50), "every 3 days", 3),
        (months(50), "monthly", 365.25 / 12),
        (months(50, day=15), "monthly", 365.25 / 12),
        ([day - timedelta(days=1) for day in months(50)], "monthly", 365.25 / 12),
        (months(20, step=3), "quarterly", 365.25 / 4),
        (months(10, step=12), "yearly", 365.25),
    ],
)
def test_a_rhythm_has_its_name_and_length(dates, name, length):
    found = rhythm(numpy_dates(dates))
    assert found.regular
    assert (found.name, found.days) == (name, pytest.approx(length))


@pytest.mark.parametrize("last", [0, 1])
def test_a_missing_month_is_found_at_its_first_or_last_day(last):
    whole = [day - timedelta(days=last) for day in months(30)]
    found = rhythm(numpy_dates(whole[:7] + whole[8:]))
    np.testing.assert_array_equal(found.missing, numpy_dates([whole[7]]))


def test_a_date_beside_the_rhythm_is_odd():
    whole = days(date(2020, 1, 6), 7, 30)
    whole[12] += timedelta(days=1)
    found = rhythm(numpy_dates(whole))
    np.testing.assert_array_equal(found.odd, numpy_dates([whole[12]]))
