"""A market: its arrays fit together, its windows cut time, its files are read as written."""

import subprocess
import sys

import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import market_files as files
from channelwise.response.market import MarketData, read_market
from channelwise.response.reading.findings import MarketError


def market(times: int = 10, before: int = 0, **options) -> MarketData:
    dates = np.datetime64("2021-01-04") + 7 * np.arange(times)
    outcome = np.arange(float(times))[None]
    outcome[:, :before] = np.nan
    spend = np.arange(2.0 * times).reshape(1, times, 2)
    return MarketData(dates, outcome, spend, ("tv", "radio"), before=before, **options)


def test_what_is_left_out_has_no_columns_and_the_exposure_is_the_spend():
    m = market()
    assert m.controls.shape == m.organic.shape == m.events.shape == (1, 10, 0)
    np.testing.assert_array_equal(m.exposure, m.spend)
    assert m.exposure_names == (None, None)


def test_a_window_keeps_its_periods_and_carries_in_all_earlier_ones():
    m = market(controls=np.arange(10.0).reshape(1, 10, 1), control_names=("price",))
    w = m.window(3, 8)
    assert (w.before, w.n_times, w.n_observed) == (3, 8, 5)
    np.testing.assert_array_equal(w.outcome[0, 3:], m.outcome[0, 3:8])
    assert np.isnan(w.outcome[0, :3]).all()
    np.testing.assert_array_equal(w.spend, m.spend[:, :8])
    np.testing.assert_array_equal(w.controls, m.controls[:, :8])
    assert not np.isnan(m.outcome).any()


def test_windows_of_windows_are_windows():
    m = market(before=2)
    files.assert_same(m.window(1, 7).window(2, 5), m.window(3, 6))
    files.assert_same(m.window(0, m.n_observed), m)


@pytest.mark.parametrize("window", [(0, 0), (3, 3), (4, 2), (-1, 3), (0, 9), (8, 9)])
def test_a_window_without_periods_is_refused_with_the_range(window):
    with pytest.raises(ValueError, match="0 <= start < stop <= 8"):
        market(before=2).window(*window)


def test_the_value_of_an_outcome_is_one_for_revenue_and_the_worth_of_a_conversion():
    assert market(value_per_conversion=30.0).value == 1.0
    assert market(outcome_kind="conversions", value_per_conversion=30.0).value == 30.0


@pytest.mark.parametrize(
    ("first", "unit", "days"),
    [("2021-01-01", "D", 1), ("2021-01", "M", 365.25 / 12), ("2010", "Y", 365.25)],
)
def test_the_days_of_a_period_are_those_of_its_calendar(first, unit, days):
    dates = np.arange(np.datetime64(first, unit), np.datetime64(first, unit) + 15)
    m = MarketData(dates, np.ones((1, 15)), np.ones((1, 15, 1)), ("tv",))
    assert m.period_days == pytest.approx(days)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"control_names": ("price",)}, "controls has the shape"),
        ({"geos": ("a", "b")}, "outcome has the shape"),
        ({"exposure": np.full((1, 10, 2), -1.0)}, "exposure must be at least 0"),
        ({"organic": np.full((1, 10, 1), np.nan), "organic_names": ("mail",)}, "organic must be"),
        ({"before": 10}, "leaves none"),
        ({"value_per_conversion": 0.0}, "must be above 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, says):
    m = market()
    with pytest.raises(ValueError, match=says):
        MarketData(m.dates, m.outcome, m.spend, m.channels, **change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"exposure": np.ones((1, 9, 2))}, r"exposure has the shape \(1, 9, 2\)"),
        ({"population": np.ones(2)}, "there are 1 geos"),
    ],
)
def test_without_a_type_checker_wrong_shapes_are_refused_in_a_sentence(change, says):
    m = market()
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(ValueError, match=says):
            MarketData(m.dates, m.outcome, m.spend, m.channels, **change)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_dates_out_of_order_and_holes_in_the_outcome_are_refused():
    m = market()
    with pytest.raises(ValueError, match="ascend"):
        MarketData(m.dates[::-1], m.outcome, m.spend, m.channels)
    hole = m.outcome.copy()
    hole[0, 4] = np.nan
    with pytest.raises(ValueError, match="finite in every period"):
        MarketData(m.dates, hole, m.spend, m.channels)


def test_a_file_becomes_the_arrays_that_stand_in_it(tmp_path):
    table = files.columns()
    m, _ = files.read(tmp_path, table)
    np.testing.assert_array_equal(m.dates.astype(str), table["week"])
    np.testing.assert_array_equal(m.outcome[0], table["revenue"])
    np.testing.assert_array_equal(m.spend[0, :, 0], table["tv_spend"])
    np.testing.assert_array_equal(m.controls[0, :, 0], table["price"])
    assert m.channels == ("tv", "radio")
    assert (m.control_names, m.outcome_name, m.geos) == (("price",), "revenue", ("national",))


@given(rows=st.permutations(range(60)), order=st.permutations(range(5)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_rows_and_of_columns_does_not_matter(tmp_path_factory, rows, order):
    folder, table = tmp_path_factory.mktemp("m"), files.columns(60)
    names = [list(table)[i] for i in order]
    shuffled = {name: [table[name][i] for i in rows] for name in names}
    spend = ["tv_spend", "radio_spend"]
    files.assert_same(
        files.read(folder, shuffled, spend=spend)[0], files.read(folder, table, spend=spend)[0]
    )
    assert set(files.read(folder, shuffled)[0].channels) == {"tv", "radio"}


@given(rows=st.permutations(range(80)))
@settings(max_examples=8, deadline=None)
def test_rows_of_geos_find_their_place_in_any_order(tmp_path_factory, rows):
    folder, table = tmp_path_factory.mktemp("m"), files.columns(80)
    table |= {"week": files.weeks(40) * 2, "region": ["south"] * 40 + ["north"] * 40}
    table["population"] = [5] * 40 + [3] * 40
    m, _ = files.read(folder, {name: [column[i] for i in rows] for name, column in table.items()})
    assert m.geos == ("north", "south")
    np.testing.assert_array_equal(m.outcome[1], table["revenue"][:40])
    np.testing.assert_array_equal(m.spend[0, :, 1], table["radio_spend"][40:])
    np.testing.assert_array_equal(m.population, [3.0, 5.0])


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_separators_byte_order_marks_and_line_ends_do_not_matter(
    tmp_path, separator, mark, newline
):
    table = files.columns(60)
    expected, _ = files.read(tmp_path, table)
    raw = files.text(table, separator).replace('"', "").replace("\n", newline).encode()
    (tmp_path / "other.csv").write_bytes(mark + raw)
    files.assert_same(read_market(tmp_path / "other.csv")[0], expected)


def test_decimal_commas_are_understood_where_the_separator_is_a_semicolon(tmp_path):
    table = files.columns(60)
    expected, _ = files.read(tmp_path, table)
    comma = files.text(table, ";").replace('"', "").replace(".", ",")
    (tmp_path / "comma.csv").write_text(comma)
    files.assert_same(read_market(tmp_path / "comma.csv")[0], expected)


def test_parquet_gives_the_same_market_as_csv(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    table = files.columns(60)
    frame = pandas.DataFrame(table).assign(week=pandas.to_datetime(table["week"]))
    frame.to_parquet(tmp_path / "my.parquet")
    expected, _ = files.read(tmp_path, table)
    files.assert_same(read_market(tmp_path / "my.parquet")[0], expected)


def test_leading_rows_without_an_outcome_are_carried_in(tmp_path):
    table = files.columns()
    table["revenue"][:6] = [""] * 6
    m, findings = files.read(tmp_path, table)
    assert (m.before, m.n_observed) == (6, 114)
    np.testing.assert_array_equal(m.spend[0, :, 0], table["tv_spend"])
    assert files.one(findings, "carry-in").rows == (2, 3, 4, 5, 6, 7)


def test_rows_behind_the_last_outcome_are_left_out(tmp_path):
    table = files.columns()
    table["revenue"][-2:] = ["", ""]
    m, findings = files.read(tmp_path, table)
    assert m.n_times == 118
    assert files.one(findings, "no-outcome-yet").rows == (120, 121)


def test_texts_that_name_events_become_dummies(tmp_path):
    table = files.columns()
    table["events"] = ["na"] * 120
    table["events"][7] = table["events"][60] = "fair"
    table["events"][9] = "strike"
    m, _ = files.read(tmp_path, table)
    assert m.event_names == ("fair", "strike")
    np.testing.assert_array_equal(np.flatnonzero(m.events[0, :, 0]), [7, 60])
    np.testing.assert_array_equal(np.flatnonzero(m.events[0, :, 1]), [9])


def test_exposure_stands_beside_the_spend_of_its_channel(tmp_path):
    table = files.columns()
    table["radio_impressions"] = [round(30 * value) for value in table["radio_spend"]]
    m, _ = files.read(tmp_path, table)
    assert m.exposure_names == (None, "radio_impressions")
    np.testing.assert_array_equal(m.exposure[0, :, 0], table["tv_spend"])
    np.testing.assert_array_equal(m.exposure[0, :, 1], table["radio_impressions"])


def test_a_value_per_conversion_that_is_no_price_is_refused(tmp_path):
    with pytest.raises(MarketError, match=r"value_per_conversion=-1\.0"):
        read_market(files.write(tmp_path, files.columns()), value_per_conversion=-1.0)


@files.needs_data
@pytest.mark.parametrize(
    ("name", "times", "channels", "controls", "organic", "events"),
    [
        ("mpr_small_business", 104, 4, 2, 0, 0),
        ("pymc_mmm_example", 179, 2, 0, 0, 2),
        ("robyn_dt_simulated_weekly", 208, 5, 1, 1, 2),
        ("pymc_case_study_data", 209, 10, 9, 3, 22),
    ],
)
def test_every_marketing_file_at_hand_is_read(name, times, channels, controls, organic, events):
    m, _, findings = read_market(files.DATA / f"{name}.csv")
    assert m.spend.shape == (1, times, channels)
    assert (len(m.control_names), len(m.organic_names)) == (controls, organic)
    assert len(m.event_names) == events
    assert m.period_days == 7
    assert "error" not in {finding.level for finding in findings}


@files.needs_data
def test_numbers_are_those_that_pandas_reads():
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(files.DATA / "robyn_dt_simulated_weekly.csv")
    m, roles, _ = read_market(files.DATA / "robyn_dt_simulated_weekly.csv")
    np.testing.assert_array_equal(m.spend[0], frame[list(roles.channels.values())])
    np.testing.assert_array_equal(m.exposure[0, :, 4], frame["facebook_I"])


@files.needs_data
def test_a_table_of_loans_is_refused_in_sentences():
    with pytest.raises(MarketError, match="no column of dates") as caught:
        read_market(files.DATA / "german_credit.csv")
    assert files.codes(caught.value.findings) == ["no-date", "no-outcome", "no-spend"]


def test_three_years_of_weeks_are_read_at_once(tmp_path):
    """In a process of its own, where no type checker looks on."""
    path = files.write(tmp_path, files.columns(156))
    code = (
        "import time; from channelwise.response.market import read_market\n"
        "def seconds():\n"
        f"    began = time.perf_counter(); read_market({str(path)!r})\n"
        "    return time.perf_counter() - began\n"
        "print(min(seconds() for _ in range(5)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.1
