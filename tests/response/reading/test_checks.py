"""What is wrong with a table is said in sentences that name the rows; nothing slips through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import market_files as files
from channelwise.response.market import read_market
from channelwise.response.reading.cautions import correlations, follows, variance_inflation
from channelwise.response.reading.findings import MarketError, in_rows, listed
from channelwise.response.reading.units import scale_jump


def spoiled(column: str, row: int, value) -> files.Columns:
    """A market with one cell replaced; row 2 is the first below the header."""
    table = files.columns()
    table[column][row - 2] = value
    return table


def test_a_healthy_market_has_no_errors_and_no_warnings(tmp_path):
    assert files.read(tmp_path, files.columns())[1] == []


# --- the file -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "empty", "is empty"),
        (b"\xef\xbb\xbf\r\n ", "empty", "is empty"),
        (b"week,revenue,tv_spend\n", "no-rows", "a header but no rows"),
        (b"week\n2021-01-04\n", "one-column", "one column only, 'week'"),
        (b"week,tv,tv\n2021-01-04,1,2\n", "column-twice", "several columns named 'tv'"),
        (b"week,y\n2021-01-04,1\n2021-01-11,1,3\n", "uneven", "row 3 has another number"),
        ("week,Erlös\n2021-01-04,1\n".encode("latin-1"), "encoding", "0xf6 in row 1"),
        ("week,y\n2021-01-04,1\n".encode("utf-16"), "encoding", "UTF-16"),
        (b"PK\x03\x04\x00\x00", "binary", "not a text file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, code, says):
    path = tmp_path / "my.csv"
    path.write_bytes(content)
    with pytest.raises(MarketError, match=says) as caught:
        read_market(path)
    assert files.codes(caught.value.findings) == [code]


def test_a_missing_file_a_folder_and_a_broken_parquet_are_refused(tmp_path):
    with pytest.raises(MarketError, match="does not exist"):
        read_market(tmp_path / "none.csv")
    with pytest.raises(MarketError, match="is a folder"):
        read_market(tmp_path)
    (tmp_path / "my.parquet").write_bytes(b"week,y\n")
    pytest.importorskip("pyarrow")
    with pytest.raises(MarketError, match="not a readable Parquet file"):
        read_market(tmp_path / "my.parquet")


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused_in_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("m") / "my.csv"
    path.write_bytes(content)
    with pytest.raises(MarketError, match=r"\w+.*\."):
        read_market(path)


CELLS = st.sampled_from(["", "n/a", "1", "-3", "1,5", "$2", "inf", "2021-01-04", "x", "é", "1e400"])


@given(st.integers(0, 4), st.lists(CELLS, min_size=40, max_size=40))
@settings(max_examples=30, deadline=None)
def test_any_cells_in_any_column_are_read_or_refused(tmp_path_factory, at, cells):
    table = files.columns(40)
    table[list(table)[at]] = cells
    path = files.write(tmp_path_factory.mktemp("m"), table)
    try:
        market, _, _ = read_market(path)
    except MarketError as refused:
        assert any(f.level == "error" for f in refused.findings)
    else:
        assert np.isfinite(market.spend).all()


def test_one_row_is_too_few(tmp_path):
    table = {name: values[:1] for name, values in files.columns().items()}
    assert files.refused(tmp_path, table)


def test_everything_wrong_is_said_at_once(tmp_path):
    table = spoiled("tv_spend", 5, -1)
    table["price"][3] = "inf"
    table["week"][9] = "soon"
    found = files.refused(tmp_path, table)
    assert files.codes(found) == ["no-date", "negative", "infinite"]


# --- dates --------------------------------------------------------------------------------------


def test_an_unreadable_date_is_named_with_its_row(tmp_path):
    found = files.one(files.refused(tmp_path, spoiled("week", 7, "soon")), "no-date")
    assert found.rows == (7,)
    assert "'week' holds no date in row 7: 'soon'" in found.message


def test_a_repeated_date_is_named_with_its_rows(tmp_path):
    table = files.columns()
    table["week"][8] = table["week"][7]
    found = files.one(files.refused(tmp_path, table), "date-twice")
    assert found.rows == (9, 10)
    assert table["week"][7] in found.message


def test_repeated_dates_suggest_the_column_that_tells_them_apart(tmp_path):
    table = files.columns()
    table |= {"week": files.weeks(60) * 2, "shop": ["A"] * 60 + ["B"] * 60}
    assert "If column 'shop' tells regions apart" in files.refused(tmp_path, table)[0].message
    assert files.read(tmp_path, table, geo="shop")[0].geos == ("A", "B")


def test_a_table_with_a_row_for_each_channel_is_refused_with_the_remedy(tmp_path):
    table = files.columns()
    table |= {"week": files.weeks(60) * 2, "channel": ["tv"] * 60 + ["radio"] * 60}
    message = files.refused(tmp_path, table)[0].message
    assert "Bring each channel into a column of its own." in message


def test_a_gap_is_named_with_its_dates_and_the_row_before(tmp_path):
    table = {name: values[:30] + values[32:] for name, values in files.columns().items()}
    found = files.one(files.refused(tmp_path, table), "gap")
    assert found.rows == (31,)
    assert "2 are missing: 2021-08-02 and 2021-08-09, after row 31" in found.message


def test_a_date_out_of_rhythm_is_named(tmp_path):
    found = files.refused(tmp_path, spoiled("week", 12, "2021-03-16"))
    assert files.one(found, "odd-date").rows == (12,)
    assert "2021-03-16 in row 12 falls out" in found[0].message


def test_weeks_that_turn_into_days_are_mixed_frequencies(tmp_path):
    table = files.columns()
    table["week"] = files.weeks(60) + files.weeks(60, files.date(2022, 2, 22), days=1)
    found = files.one(files.refused(tmp_path, table), "mixed-frequency")
    assert found.rows == (62,)
    assert "60 steps of about 1 day and 59 of about 7 days" in found.message


@pytest.mark.parametrize("form", ["{d:02}/{m:02}/{y}", "{m:02}/{d:02}/{y}", "{d}.{m}.{y}"])
def test_the_order_of_day_and_month_is_found_from_the_dates(tmp_path, form):
    table = files.columns()
    expected = np.array(table["week"], "datetime64[D]")
    parts = [map(int, day.split("-")) for day in table["week"]]
    table["week"] = [form.format(y=y, m=m, d=d) for y, m, d in parts]
    np.testing.assert_array_equal(files.read(tmp_path, table)[0].dates, expected)


def test_an_order_that_only_regularity_tells_is_noted(tmp_path):
    table = files.columns(36)
    table["week"] = [f"01/{1 + i % 12:02}/{2020 + i // 12}" for i in range(36)]
    market, findings = files.read(tmp_path, table)
    assert market.period_days == pytest.approx(365.25 / 12)
    assert "day/month/year" in files.one(findings, "date-order").message


def test_an_order_that_nothing_tells_is_refused(tmp_path):
    table = files.columns(12)
    table["week"] = [f"{1 + i:02}/{1 + i:02}/2020" for i in range(11)] + ["01/02/2021"]
    assert "could be day/month or month/day" in files.refused(tmp_path, table)[0].message


def test_geos_with_different_calendars_are_named_with_what_they_lack(tmp_path):
    table = files.columns()
    table |= {"week": files.weeks(60) * 2, "region": ["north"] * 60 + ["south"] * 60}
    table = {name: values[:-3] for name, values in table.items()}
    found = files.one(files.refused(tmp_path, table), "geo-calendar")
    assert "'south' has no row for 3 of the 60 dates: 2022-02-07" in found.message
    assert found.rows == tuple(range(62, 119))


def test_a_date_twice_in_one_geo_is_named(tmp_path):
    table = files.columns()
    table |= {"week": files.weeks(60) * 2, "region": ["north"] * 60 + ["south"] * 60}
    table["week"][70] = table["week"][69]
    assert files.one(files.refused(tmp_path, table), "date-twice").rows == (71, 72)


# --- cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        ("-4.5", "negative", "negative in row 20: -4.5"),
        ("n/a", "missing", "no value in row 20. Write 0 where nothing was spent"),
        ("", "missing", "no value in row 20"),
        ("inf", "infinite", "infinite in row 20"),
        ("lots", "not-numeric", "no number in row 20: 'lots'"),
        ("12%", "not-numeric", "no number in row 20: '12%'"),
        ("1,2,3", "not-numeric", "write 1234.5"),
    ],
)
def test_a_bad_cell_of_spend_is_named(tmp_path, value, code, says):
    found = files.one(files.refused(tmp_path, spoiled("tv_spend", 20, value)), code)
    assert found.rows == (20,)
    assert says in found.message
    assert "'tv_spend'" in found.message


def test_a_comma_that_could_be_both_is_refused(tmp_path):
    table = files.columns()
    table["tv_spend"] = [str(100 + i) for i in range(120)]
    table["tv_spend"][4] = "1,234"
    assert "'1,234'. A comma could part" in files.refused(tmp_path, table)[0].message


@pytest.mark.parametrize(
    ("written", "value"), [("1,234.5", 1234.5), ("$1,234.50", 1234.5), ("€ 99", 99), ("99 EUR", 99)]
)
def test_money_that_can_be_read_in_one_way_is_read_and_noted(tmp_path, written, value):
    market, findings = files.read(tmp_path, spoiled("tv_spend", 20, written))
    assert market.spend[0, 18, 0] == value
    found = files.one(findings, "number-format")
    assert (found.level, found.rows) == ("note", (20,))
    assert f"{written!r} is read as {value:g}" in found.message


@pytest.mark.parametrize("value", ["-3", "(3)"])
def test_a_control_may_be_negative(tmp_path, value):
    market, _ = files.read(tmp_path, spoiled("price", 4, value))
    assert market.controls[0, 2, 0] == -3


@pytest.mark.parametrize("column", ["price", "newsletter", "tv_impressions"])
def test_missing_values_of_context_are_named(tmp_path, column):
    table = files.columns()
    table[column] = [1.5 + i % 7 for i in range(120)]
    table[column][8] = table[column][30] = ""
    found = files.one(files.refused(tmp_path, table), "missing")
    assert found.rows == (10, 32)


def test_a_hole_in_the_outcome_is_named_with_its_date(tmp_path):
    found = files.one(files.refused(tmp_path, spoiled("revenue", 20, "")), "missing")
    assert "in row 20 (2021-05-10)" in found.message


# --- columns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "says"), [(0, "never has any spend"), (7, "always spends 7")])
def test_a_channel_that_never_changes_is_refused(tmp_path, value, says):
    table = files.columns()
    table["tv_spend"] = [value] * 120
    assert says in files.one(files.refused(tmp_path, table), "constant-channel").message


def test_context_that_never_changes_is_left_out_with_a_note(tmp_path):
    table = files.columns()
    table |= {"stores": [12] * 120, "event_flood": [0] * 120}
    market, findings = files.read(tmp_path, table)
    assert (market.control_names, market.event_names) == (("price",), ())
    assert files.codes(findings) == ["constant", "constant"]


@pytest.mark.parametrize(
    ("outcome", "values", "says"),
    [
        ("when", files.weeks(120, files.date(2021, 1, 5)), "holds dates"),
        ("who", ["anna", "bert"] * 60, "holds texts ('anna' and 'bert')"),
        ("number", list(range(1, 121)), "only counts the rows"),
        ("flat", [5] * 120, "is 5 in every row"),
        ("empty", [""] * 120, "no value in any row"),
        ("copy", None, "equals the spend on tv_spend"),
    ],
)
def test_an_outcome_in_the_wrong_column_is_refused(tmp_path, outcome, values, says):
    table = files.columns()
    table[outcome] = values or table["tv_spend"]
    found = files.refused(tmp_path, table, outcome=outcome)
    assert says in files.one(found, "wrong-outcome").message


def test_an_outcome_that_is_all_spend_together_is_refused(tmp_path):
    table = files.columns()
    pairs = zip(table["tv_spend"], table["radio_spend"], strict=True)
    table["revenue"] = [a + b for a, b in pairs]
    assert "all channels together" in files.refused(tmp_path, table)[0].message


def test_an_outcome_called_like_spend_is_doubted(tmp_path):
    _, findings = files.read(tmp_path, files.columns(), outcome="tv_spend")
    assert "is it what came back?" in files.one(findings, "wrong-outcome").message


def test_conversions_read_as_revenue_are_doubted(tmp_path):
    table = files.columns()
    table["orders"] = table.pop("revenue")
    _, findings = files.read(tmp_path, table)
    assert "outcome_kind=" in files.one(findings, "outcome-kind").message
    options = {"outcome_kind": "conversions", "value_per_conversion": 30.0}
    market, findings = files.read(tmp_path, table, **options)
    assert (market.value, findings) == (30.0, [])


def test_fewer_periods_than_parameters_are_refused(tmp_path):
    _, findings = files.read(tmp_path, files.columns(15))
    assert "15 observations for about 14" in files.one(findings, "too-few").message
    found = files.one(files.refused(tmp_path, files.columns(14)), "too-few")
    assert "only 14 observations for about 14 parameters" in found.message


def test_a_population_that_is_zero_is_refused_and_one_that_changes_is_averaged(tmp_path):
    table = files.columns()
    table["population"] = [0] * 120
    assert files.codes(files.refused(tmp_path, table)) == ["population"]
    table["population"] = [100] * 60 + [200] * 60
    market, findings = files.read(tmp_path, table)
    assert market.population.tolist() == [150.0]
    assert "its mean is used" in files.one(findings, "population").message


def test_spend_without_exposure_is_named(tmp_path):
    table = files.columns()
    table["tv_impressions"] = [0 if i < 10 else 7 * v for i, v in enumerate(table["tv_spend"])]
    found = files.one(files.read(tmp_path, table)[1], "spend-without-exposure")
    assert found.rows == tuple(range(2, 12))


# --- units --------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [100, 1000, 0.01, 0.001])
@pytest.mark.parametrize("column", ["revenue", "tv_spend"])
def test_a_scale_that_jumps_part_way_is_named_with_its_row(tmp_path, column, factor):
    table = files.columns()
    table[column][70:] = [factor * value for value in table[column][70:]]
    found = [f for f in files.read(tmp_path, table)[1] if f.code == "units"]
    assert found[0].rows == (72,)
    assert f"Column {column!r} is about" in found[0].message


def test_a_campaign_that_grows_is_no_jump_where_its_exposure_grows_too(tmp_path):
    table = files.columns()
    table["tv_spend"][:60] = [value / 300 for value in table["tv_spend"][:60]]
    assert "units" in files.codes(files.read(tmp_path, table)[1])
    table["tv_impressions"] = [9 * value for value in table["tv_spend"]]
    assert "units" not in files.codes(files.read(tmp_path, table)[1])


@given(st.integers(0, 2**32 - 1), st.integers(5, 95))
@settings(max_examples=30, deadline=None)
def test_the_jump_is_found_where_it_was_made_and_nowhere_else(seed, at):
    values = np.random.default_rng(seed).gamma(4.0, 25.0, 100)
    assert scale_jump(values) is None
    assert scale_jump(np.where(np.arange(100) < at, values, 1000 * values)) == at


def test_spend_beyond_the_revenue_and_scaled_spend_are_doubted(tmp_path):
    table = files.columns()
    table["revenue"] = [value / 1000 for value in table["revenue"]]
    _, findings = files.read(tmp_path, table)
    assert "exceeds the outcome" in files.one(findings, "units").message
    counted = files.read(tmp_path, table, outcome_kind="conversions", value_per_conversion=1000.0)
    assert "units" not in files.codes(counted[1])
    table = files.columns()
    for name in ("tv_spend", "radio_spend"):
        table[name] = [value / max(table[name]) for value in table[name]]
    assert "scaled-spend" in files.codes(files.read(tmp_path, table)[1])


# --- cautions -----------------------------------------------------------------------------------


def test_channels_that_move_together_are_named_as_a_pair(tmp_path):
    table = files.columns()
    draw = np.random.default_rng(1)
    table["web_spend"] = [
        2 * v + e for v, e in zip(table["tv_spend"], draw.random(120), strict=True)
    ]
    found = files.one(files.read(tmp_path, table)[1], "collinear")
    assert "'tv' and 'web' move together (correlation 1.00" in found.message
    assert "'radio'" not in found.message


def test_a_channel_that_the_others_add_up_to_is_found_without_a_correlated_pair(tmp_path):
    table = files.columns(400)
    draw = np.random.default_rng(1)
    others = draw.gamma(2.0, 50.0, (3, 400))
    for name, values in zip(("a", "b", "c"), others, strict=True):
        table[f"{name}_spend"] = values.tolist()
    table["sum_of_three_spend"] = (others.sum(axis=0) + draw.random(400)).tolist()
    named = [name for name in table if name.endswith("_spend")]
    _, findings = files.read(tmp_path, table, spend=named)
    assert any("'sum_of_three'" in f.message for f in findings if f.code == "collinear")


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_variance_inflation_is_that_of_the_regressions(seed, channels):
    draw = np.random.default_rng(seed)
    spend = draw.normal(size=(2, 40, channels)) @ draw.normal(size=(channels, channels))
    x = (spend - spend.mean(axis=1, keepdims=True)).reshape(-1, channels)
    for k in range(channels):
        others = np.delete(x, k, axis=1)
        rest = x[:, k] - others @ np.linalg.lstsq(others, x[:, k])[0]
        expected = (x[:, k] ** 2).sum() / (rest**2).sum()
        np.testing.assert_allclose(variance_inflation(spend)[k], expected, rtol=1e-6)


def test_variance_inflation_of_exact_copies_is_infinite_and_of_the_others_is_not():
    x = np.random.default_rng(0).normal(size=(50, 3))
    spend = np.stack([x[:, 0], x[:, 0], x[:, 1], np.ones(50)], axis=1)[None]
    inflation = variance_inflation(spend)
    assert np.isinf(inflation[:2]).all()
    assert 1.0 <= inflation[2] < 1.2
    assert inflation[3] == 1.0


def test_correlations_are_those_of_numpy_and_zero_for_what_never_moves():
    x = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_allclose(correlations(x[None]), np.corrcoef(x.T), atol=1e-12)
    x[:, 1] = 0.1
    np.testing.assert_array_equal(correlations(x[None])[1], [0.0, 1.0, 0.0])


def test_a_channel_that_barely_moves_is_named(tmp_path):
    table = files.columns()
    table["tv_spend"] = [100 + 0.05 * value for value in table["tv_spend"]]
    assert "'tv' barely moves" in files.one(files.read(tmp_path, table)[1], "barely-moves").message


@pytest.mark.parametrize(("on", "expected"), [(3, True), (11, True), (13, False)])
def test_a_channel_that_is_rarely_on_is_named(tmp_path, on, expected):
    table = files.columns()
    table["tv_spend"] = [100 + i if i % 9 == 0 and i < 9 * on else 0 for i in range(120)]
    assert ("sparse" in files.codes(files.read(tmp_path, table)[1])) == expected


def test_spend_that_chases_the_outcome_is_named_and_spend_that_makes_it_is_not(tmp_path):
    table = files.columns()
    draw = np.random.default_rng(5)
    demand = draw.normal(3000, 300, 120)
    chasing = 0.05 * np.concatenate([[3000], demand[:-1]]) + draw.normal(0, 5, 120)
    table["revenue"] = (demand + 4 * np.array(table["radio_spend"])).tolist()
    table["tv_spend"] = chasing.tolist()
    found = files.one(files.read(tmp_path, table)[1], "follows-outcome")
    assert "Spend on 'tv' follows" in found.message


def test_the_test_for_following_errs_as_often_as_it_says():
    """Under carry-over of autocorrelated spend, without any feedback: p is about uniform."""
    draw, ps = np.random.default_rng(0), []
    for _ in range(300):
        spend = np.zeros(120)
        for t in range(1, 120):
            spend[t] = 0.6 * spend[t - 1] + draw.normal()
        outcome = spend + 0.7 * np.roll(spend, 1) + draw.normal(size=120)
        ps.append(follows(spend[None], outcome[None], 52.18))
    assert 0.02 < np.mean(np.array(ps) < 0.05) < 0.10
    assert 0.4 < np.median(ps) < 0.6


@pytest.mark.parametrize(("event", "expected"), [(0, True), (1, False)])
def test_an_outlying_outcome_is_named_unless_an_event_explains_it(tmp_path, event, expected):
    table = spoiled("revenue", 52, 9000)
    table["event_fair"] = [int(i == 90 or (event and i == 50)) for i in range(120)]
    found = [f for f in files.read(tmp_path, table)[1] if f.code == "outlier"]
    assert bool(found) == expected
    assert all("2021-12-20" in f.message for f in found)


def test_less_than_two_years_are_too_short_for_a_season(tmp_path):
    assert "1.1 years" in files.one(files.read(tmp_path, files.columns(60))[1], "short").message


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([5], "row 5"),
        ([9, 5], "rows 5 and 9"),
        ([3, 4, 5, 6], "rows 3 to 6"),
        ([1, 3, 5, 7, 9, 11, 13], "rows 1, 3, 5, 7, 9 and 2 more"),
    ],
)
def test_rows_are_put_in_words(rows, words):
    assert in_rows(rows) == words


def test_a_list_is_not_cut_for_a_single_word():
    assert listed("abcdef") == "a, b, c, d, e and f"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
