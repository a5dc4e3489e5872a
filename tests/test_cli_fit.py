"""`channelwise fit`: the chapter on a user's file; an ROI table, or in full why there is none."""

import json
from pathlib import Path

import numpy as np
import pytest

import market_files as files
from channelwise import cli
from channelwise.response.simulate import family_market

QUICK = ["-p", "chains=4", "-p", "draws=300", "-p", "lags=4"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fit(capsys, *words) -> tuple[int, str, str]:
    """Status, output and errors of a fit whose reports go into the current folder."""
    try:
        status = cli.main(["fit", *map(str, words), "--out", "reports"])
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return status, said.out, said.err


def simulated(folder: Path, walk: float = 0.0) -> Path:
    """A market of two channels in a file, with a random walk in its outcome if asked for."""
    market = family_market(3, weeks=80, channels=2, controls=1, lags=4).market
    steps = np.random.default_rng(0).standard_normal(80)
    outcome = market.outcome[0] + market.outcome.mean() * walk * np.cumsum(steps)
    tv, search = market.spend[0].T
    table = {"week": market.dates.astype(str).tolist(), "sales": outcome.tolist()}
    table |= {"cost of tv": tv.tolist(), "search_spend": search.tolist()}
    return files.write(folder, table | {"price": market.controls[0, :, 0].tolist()})


def run_folder(name: str = "my") -> Path:
    return Path("reports") / "11_channel_response" / name


def test_a_fit_ends_in_a_report_and_its_table_of_roi(here, capsys):
    simulated(here)
    roles = ["--outcome", "sales", "--spend", "TV=cost of tv,Search=search_spend"]
    status, out, err = fit(capsys, "my.csv", *roles, "--controls", "price", *QUICK)
    assert status == 0, err
    assert "usable: 80 weeks" in out
    assert "succeeded" in err + out
    header, tv, search = out[out.index("channel ") :].splitlines()[:3]
    assert "90 % of ROI" in header and "90 % of marginal ROI" in header
    assert tv.startswith("TV ") and search.startswith("Search ")
    page = (run_folder() / "report.html").read_text()
    assert all(word in page for word in ("Response curves", "TV", "cost of tv"))
    found = json.loads((run_folder() / "manifest.json").read_text())
    assert found["overrides"]["spend"] == ["TV=cost of tv", "Search=search_spend"]
    assert {"roi_TV", "mroi_Search"} <= {r["name"] for r in found["results"]}


def test_a_failed_gate_shows_no_roi_says_what_to_do_and_fails(here, capsys):
    simulated(here, walk=0.08)
    status, out, _ = fit(capsys, "my.csv", *QUICK, "--name", "walk")
    assert status == 1
    assert "These draws may not be used yet." in out
    assert "- autocorrelation: Predictive p of autocorrelation" in out
    assert "a more flexible trend" in out and 'override=("autocorrelation",)' in out
    page = (run_folder("walk.failed") / "report.html").read_text()
    assert "Stopped at the gate" in page and "The gate" in page
    found = json.loads((run_folder("walk.failed") / "manifest.json").read_text())
    assert not [r["name"] for r in found["results"] if "roi_" in r["name"][:5]]
    for shown in ("ROI and marginal ROI", "Response curves", "Share of the outcome"):
        assert shown not in out
    assert "90 % of marginal ROI" not in page
    assert not run_folder("walk").exists()


def test_data_that_cannot_be_used_are_refused_as_check_refuses_them(here, capsys):
    table = files.columns()
    table["tv_spend"][3] = "-1"
    files.write(here, table)
    status, out, _ = fit(capsys, "my.csv")
    assert status == 1
    assert "error: Spend column 'tv_spend' is negative in row 5: -1." in out
    assert out.endswith("not usable: 1 error in my.csv\n")
    assert [path.name for path in here.iterdir()] == ["my.csv"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.csv"], "none.csv does not exist"),
        (["my.csv", "--outcome", "revenu"], "no column 'revenu' in my.csv"),
        (["my.csv", "-p", "chians=4"], "did you mean chains?"),
        (["my.csv", "-p", "chains=2"], "chains = '2' is not a whole number from 4"),
        (["my.csv", "-p", "outcome=revenue"], "outcome is an option of its own"),
        (["my.csv", "-p", "data=other.csv"], "data is an option of its own"),
        (["my.csv", "--name", "a/b"], "cannot name a run"),
    ],
)
def test_a_mistake_in_the_command_is_one_sentence_and_status_two(here, capsys, words, says):
    files.write(here, files.columns())
    status, _, err = fit(capsys, *words)
    assert status == 2
    assert says in err
    assert [path.name for path in here.iterdir()] == ["my.csv"]


@files.needs_data
def test_a_small_business_gets_its_report(here, capsys):
    status, out, _ = fit(capsys, files.DATA / "mpr_small_business.csv", *QUICK)
    assert status == 0
    lines = out[out.index("channel ") :].splitlines()
    assert [line.split()[0] for line in lines[1:5]] == [
        "Search-Ads",
        "Social-Media",
        "Local-Ads",
        "Email",
    ]
    assert (run_folder("mpr_small_business") / "report.html").is_file()
