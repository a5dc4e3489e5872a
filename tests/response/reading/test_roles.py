"""What each column is for: from its name and content, unless the user says otherwise."""

import re

import pytest

import market_files as files
from channelwise.response.market import read_market
from channelwise.response.reading import patterns
from channelwise.response.reading.columns import Named, Roles
from channelwise.response.reading.findings import MarketError
from channelwise.response.reading.roles import find_roles
from channelwise.response.reading.sheet import read_sheet
from channelwise.response.reading.table import Table


def roles(folder, table: files.Columns, **named) -> Roles:
    return find_roles(Table(read_sheet(files.write(folder, table))), Named(**named))


def role(folder, name: str, values: list | None = None, **named) -> str:
    """The role of one more column in a market."""
    table = files.columns()
    table[name] = values or [v + 1 for v in table["price"]]
    found = roles(folder, table, **named)
    return next(r.role for r in found.all if r.column == name)


ZERO_ONE = [0] * 110 + [1] * 10


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spend_tiktok", "spend"),
        ("TikTok Spend", "spend"),
        ("tiktokSpend", "spend"),
        ("cost_tiktok", "spend"),
        ("tiktok_cost_usd", "spend"),
        ("tiktok_S", "spend"),
        ("mdsp_tiktok", "spend"),
        ("Cost", "spend"),
        ("total_spend", "ignored"),
        ("tv_impressions", "exposure"),
        ("impressions_tv", "exposure"),
        ("tv_clicks_P", "exposure"),
        ("tv_I", "exposure"),
        ("mdip_tv", "exposure"),
        ("mdip_email", "organic"),
        ("newsletter", "organic"),
        ("organic_social", "organic"),
        ("competitor_sales", "control"),
        ("rival_B", "control"),
        ("c1", "control"),
        ("gqv_control", "control"),
        ("temperature", "control"),
        ("sales", "ignored"),
        ("contribution_tv", "ignored"),
        ("c1_effect", "ignored"),
        ("base_sales", "ignored"),
        ("baseline_sales", "ignored"),
        ("trend", "ignored"),
        ("seasonal", "ignored"),
        ("dayofyear", "ignored"),
        ("wk_in_yr_nbr", "ignored"),
        ("t", "ignored"),
        ("revenue_per_conversion", "ignored"),
        ("population", "population"),
        ("tiktok", "control"),
    ],
)
def test_a_name_tells_the_role(tmp_path, name, expected):
    assert role(tmp_path, name) == expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("hldy_Easter", ZERO_ONE, "event"),
        ("event_1", ZERO_ONE, "event"),
        ("holiday", ["none"] * 119 + ["Easter"], "event"),
        ("seas_week_40", ZERO_ONE, "ignored"),
        ("promo", ZERO_ONE, "control"),
        ("event_hours", list(range(5, 125)), "control"),
        ("anything", list(range(120)), "ignored"),
        ("comment", ["free text"] * 120, "ignored"),
        ("delivered", files.weeks(120), "ignored"),
        ("geo", ["Local"] * 120, "geo"),
        ("empty", [""] * 120, "ignored"),
    ],
)
def test_content_tells_what_the_name_leaves_open(tmp_path, name, values, expected):
    assert role(tmp_path, name, values) == expected


def test_without_a_column_that_says_spend_media_words_and_numbered_columns_are_spend(tmp_path):
    table = files.columns()
    table["x1_Search-Ads"] = table.pop("tv_spend")
    table["TV"] = table.pop("radio_spend")
    assert roles(tmp_path, table).channels == {"Search-Ads": "x1_Search-Ads", "TV": "TV"}


def test_channels_that_would_be_called_the_same_keep_their_whole_names(tmp_path):
    table = files.columns()
    table["tv_cost"] = table.pop("radio_spend")
    assert roles(tmp_path, table).channels == {"tv_spend": "tv_spend", "tv_cost": "tv_cost"}


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("tv_spend", "tv"),
        ("mdsp_auddig", "auddig"),
        ("search_clicks_P", "search"),
        ("Channel0_impression", "Channel0"),
        ("TV Cost", "TV"),
        ("tvSpend", "tv"),
        ("x12", "x12"),
        ("spend", "spend"),
    ],
)
def test_the_channel_is_found_inside_a_name(name, channel):
    assert patterns.channel_of(name) == channel


def test_of_several_exposures_impressions_are_used(tmp_path):
    table = files.columns()
    table["tv_clicks"] = table["tv_impressions"] = [5 * v for v in table["tv_spend"]]
    found = roles(tmp_path, table)
    assert found.exposure == {"tv": "tv_impressions"}
    assert "tv already has tv_impressions" in found.table()


def test_of_several_outcomes_the_kind_decides(tmp_path):
    table = files.columns()
    table["conversions"] = table["revenue"]
    assert roles(tmp_path, table).column("outcome") == "revenue"
    assert roles(tmp_path, table, conversions=True).column("outcome") == "conversions"


def test_two_outcomes_of_the_same_rank_must_be_chosen_from(tmp_path):
    table = files.columns()
    table["net_revenue"] = table["gross_revenue"] = table.pop("revenue")
    with pytest.raises(MarketError, match="'gross_revenue' and 'net_revenue' may be the outcome"):
        roles(tmp_path, table)
    assert roles(tmp_path, table, outcome="net_revenue").column("outcome") == "net_revenue"


def test_two_columns_of_dates_must_be_chosen_from_unless_one_is_called_so(tmp_path):
    table = files.columns()
    table["month_start"] = table["week"]
    with pytest.raises(MarketError, match="'week' and 'month_start' hold dates"):
        roles(tmp_path, table)
    assert roles(tmp_path, table, date="week").column("date") == "week"
    table["delivered"] = table.pop("month_start")
    assert roles(tmp_path, table).column("date") == "week"


def test_what_the_user_names_overrules(tmp_path):
    table = files.columns()
    table["temperature"] = table["price"]
    found = roles(
        tmp_path,
        table,
        outcome="tv_spend",
        spend={"wireless": "radio_spend"},
        controls=["revenue"],
        organic=["temperature"],
    )
    assert [(r.column, r.role) for r in found.all] == [
        ("week", "date"),
        ("revenue", "control"),
        ("tv_spend", "outcome"),
        ("radio_spend", "spend"),
        ("price", "ignored"),
        ("temperature", "organic"),
    ]
    assert found.channels == {"wireless": "radio_spend"}


def test_channels_come_in_the_order_in_which_they_are_named(tmp_path):
    found = roles(tmp_path, files.columns(), spend=["radio_spend", "tv_spend"])
    assert list(found.channels) == ["radio", "tv"]


def test_a_single_name_is_a_list_of_one(tmp_path):
    found = roles(tmp_path, files.columns(), spend="tv_spend", controls="radio_spend")
    assert (found.channels, found.columns("control")) == ({"tv": "tv_spend"}, ("radio_spend",))


def test_an_empty_list_names_none(tmp_path):
    assert roles(tmp_path, files.columns(), controls=[]).columns("control") == ()


def test_the_exposure_of_a_channel_left_out_does_not_become_organic(tmp_path):
    table = files.columns()
    table["tv_I"] = table["tv_spend"]
    found = roles(tmp_path, table, spend=["radio_spend"])
    assert found.columns("organic") == ()


@pytest.mark.parametrize("of", ["tv", "TV", "tv_spend"])
def test_exposure_may_be_named_by_channel_or_by_spend_column(tmp_path, of):
    found = roles(tmp_path, files.columns(), exposure={of: "price"})
    assert found.exposure == {"tv": "price"}


def test_an_unknown_column_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(MarketError, match=r"no column 'tv_spent' .* did you mean 'tv_spend'\?"):
        roles(tmp_path, files.columns(), spend=["tv_spent", "radio_spend"])


def test_exposure_of_an_unknown_channel_is_refused(tmp_path):
    with pytest.raises(MarketError, match=r"'radioo', which is no channel: did you mean 'radio'\?"):
        roles(tmp_path, files.columns(), exposure={"radioo": "price"})


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"date": "price"}, "'price' is named as date, but holds no dates"),
        ({"spend": ["week"]}, "'week' is named as spend, but holds dates (such as '2021-01-04')"),
        ({"geo": "week"}, "'week' is named as geo, but holds dates"),
    ],
)
def test_a_column_named_for_what_it_cannot_be_is_refused(tmp_path, named, says):
    with pytest.raises(MarketError, match=re.escape(says)):
        roles(tmp_path, files.columns(), **named)


def test_a_column_with_two_roles_is_refused(tmp_path):
    with pytest.raises(MarketError, match="'price' is named twice: as control and organic"):
        roles(tmp_path, files.columns(), controls=["price"], organic=["price"])


@pytest.mark.parametrize("missing", ["week", "revenue"])
def test_a_table_without_dates_or_outcome_is_refused(tmp_path, missing):
    table = files.columns()
    del table[missing]
    with pytest.raises(MarketError, match="has no column"):
        roles(tmp_path, table)


def test_the_table_of_roles_says_why(tmp_path):
    lines = roles(tmp_path, files.columns()).table().splitlines()
    assert lines[0].split() == ["column", "role", "why"]
    assert re.split(r" {2,}", lines[3]) == ["tv_spend", "spend of tv", "its name says spend"]


def test_the_columns_of_a_meridian_table_are_told_apart(tmp_path):
    table = files.columns()
    values = table.pop("price")
    table = {
        "geo": ["Geo0"] * 120,
        "time": table["week"],
        "Channel0_impression": [100 * v for v in values],
        "Channel0_spend": table["tv_spend"],
        "Organic_channel0_impression": [50 * v for v in values],
        "Promo": values,
        "sentiment_score_control": values,
        "conversions": table["revenue"],
        "revenue_per_conversion": values,
        "population": [1000] * 120,
    }
    found = roles(tmp_path, table, conversions=True)
    assert found.exposure == {"Channel0": "Channel0_impression"}
    assert found.columns("organic") == ("Organic_channel0_impression",)
    assert found.columns("control") == ("Promo", "sentiment_score_control")
    assert found.columns("ignored") == ("revenue_per_conversion",)


@files.needs_data
def test_the_exposure_of_the_case_study_is_paired_by_stem():
    _, found, _ = read_market(files.DATA / "pymc_case_study_data.csv")
    assert found.channels["so"] == "mdsp_so"
    assert found.exposure == {c: f"mdip_{c}" for c in found.channels}
    assert found.columns("organic") == ("mdip_em", "mdip_sms", "mdip_aff")


@files.needs_data
def test_columns_of_truth_are_never_used():
    _, found, _ = read_market(files.DATA / "mpr_small_business.csv")
    used = {r.column for r in found.all if r.role != "ignored"}
    assert not any("contribution" in c or "effect" in c or "base" in c for c in used)
    assert used == {"date", "geo", "c1", "c2", "y", *found.channels.values()}
