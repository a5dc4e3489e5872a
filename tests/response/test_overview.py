"""The picture of a market: every panel's title says what is seen there."""

import numpy as np
import pytest

from channelwise.response.market import MarketData
from channelwise.response.overview import draw, save, short


def market(times: int = 60, geos: int = 1, channels: int = 3, before: int = 4) -> MarketData:
    spend = np.random.default_rng(0).gamma(2.0, 50.0, (geos, times, channels))
    spend[:, ::2, 0] = 0.0
    spend[:, :, 1] = 2 * spend[:, :, -1]
    outcome = 1000 + spend.sum(axis=-1)
    outcome[:, :before] = np.nan
    dates = np.datetime64("2021-01-04") + 7 * np.arange(times)
    names = tuple(f"channel {k}" for k in range(channels))
    geo_names = tuple(f"geo {g}" for g in range(geos)) if geos > 1 else ("national",)
    return MarketData(dates, outcome, spend, names, geos=geo_names, before=before)


def titles(figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_the_titles_state_what_the_panels_show():
    m = market()
    said = titles(draw(m, "my.csv"))
    highest = m.dates[np.nanargmax(m.outcome[0])]
    assert said[0].endswith(f"on {highest}")
    assert said[1].startswith("channel 0: ")
    assert said[1].endswith("on in 30 of 60 weeks")
    assert said[2].endswith("always on")
    assert said[-1] == "Hard to tell apart:\nchannel 1 and channel 2\n(correlation 1.00)"


def test_geos_are_added_up():
    figure = draw(market(geos=3))
    assert figure.get_suptitle() == "60 weeks from 2021-01-04 to 2022-02-21 in 3 geos, added up"
    np.testing.assert_allclose(
        figure.axes[0].lines[0].get_ydata(), market(geos=3).outcome.sum(axis=0)
    )


@pytest.mark.parametrize("channels", [2, 20])
def test_few_and_many_channels_are_drawn(tmp_path, channels):
    figure = draw(market(channels=channels, before=0))
    assert len(figure.axes) == channels + 2
    save(figure, tmp_path / "my.png")
    assert [path.name for path in tmp_path.iterdir()] == ["my.png"]


def test_a_single_channel_is_compared_with_the_outcome():
    dates = np.datetime64("2021-01-04") + 7 * np.arange(30)
    spend = np.arange(30.0).reshape(1, 30, 1)
    figure = draw(MarketData(dates, 2 * spend[:, :, 0], spend, ("tv",)))
    assert titles(figure)[-1] == "tv and outcome:\ncorrelation 1.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (950, "950"), (999.9, "1k"), (1234, "1.23k"), (-3.4e7, "-34M")],
)
def test_numbers_are_shortened(value, text):
    assert short(value) == text
