"""`channelwise allocate` and `plan-test`: a plan or a ranking, or a sentence and no file."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import market_files as files
from channelwise import cli
from channelwise.response.fit import fit
from channelwise.response.mmm import Model
from channelwise.response.simulate import family_market


@pytest.fixture(scope="module")
def fitted():
    market = family_market(5, weeks=104, channels=3, controls=1).market
    return fit(market, Model(prior_on="roi"), seed=1)


@pytest.fixture
def here(tmp_path, monkeypatch, fitted):
    monkeypatch.chdir(tmp_path)
    fitted.save(tmp_path / "draws.npz")
    return tmp_path


def said(capsys, *words) -> tuple[int, str, str]:
    try:
        status = cli.main([str(word) for word in words])
    except SystemExit as end:
        status = end.code
    out = capsys.readouterr()
    assert "Traceback" not in out.out + out.err
    return status, out.out, out.err


def written(folder) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"draws.npz"}


def test_a_budget_is_divided_and_the_plan_is_written(here, capsys, fitted):
    channel = fitted.market.channels[0]
    words = ["--change", "0.5", "--lower", f"{channel}=1", "-o", "plan.csv", "--json", "plan.json"]
    status, out, err = said(capsys, "allocate", "draws.npz", *words)
    assert status == 0, err
    assert "marginal ROI" in out and "Proven best" in out and "gain with probability" in out
    assert "change of every channel" in out
    table = pd.read_csv("plan.csv", index_col="channel")
    plan = json.loads((here / "plan.json").read_text())
    assert plan["certificate"]["gap"] <= 1e-9
    np.testing.assert_allclose(table.loc["all", "plan"], table.loc["all", "today"], rtol=1e-9)
    assert (table["plan"][:3] <= 1.5 * table["today"][:3] * (1 + 1e-9)).all()


def test_groups_profit_and_horizons_are_understood(here, capsys, fitted):
    a, b, _ = fitted.market.channels
    words = ["--group", f"both={a}+{b}:0..1000", "--objective", "profit", "--margin", "0.5"]
    status, out, err = said(capsys, "allocate", "draws.npz", "--periods", "13", *words)
    assert status == 0, err
    assert "group both" in out


def test_a_file_is_fitted_on_the_way(here, capsys, fitted):
    market = fitted.market
    table = {"week": market.dates.astype(str).tolist(), "sales": market.outcome[0].tolist()}
    for name, spend in zip(market.channels, market.spend[0].T, strict=True):
        table[f"{name}_spend"] = spend.tolist()
    files.write(here, table)
    status, out, err = said(capsys, "allocate", "my.csv", "--save", "kept.npz", "--lags", "4")
    assert status == 0, err
    assert "usable: 104 weeks" in out and "Proven best" in out
    assert (here / "kept.npz").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--budget", "0"], "The budget is 0"),
        (["--lower", "nobody=5"], "There is no channel 'nobody'"),
        (["--lower", "tv=-5"], "lower bound of tv is -5"),
        (["--lower", "tv=1e12"], "tv must spend at least"),
        (["--change", "much"], "neither a share nor CHANNEL=SHARE"),
        (["--group", "g=tv"], "is not NAME=A+B:LOW..HIGH"),
        (["--target-roi", "1e9"], "No plan within the constraints returns"),
        (["--override", "nothing"], "No check is called 'nothing'"),
        (["--margin", "2", "--objective", "profit"], "The margin is 2"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(here, capsys, words, sentence):
    status, _, err = said(capsys, "allocate", "draws.npz", *words, "-o", "plan.csv")
    assert status in (1, 2)
    assert sentence in err
    assert written(here) == set()


def test_draws_that_failed_the_gate_move_no_money(here, capsys, fitted):
    apart = {
        n: x + 5 * x.std() * (np.arange(8) % 2).reshape(-1, *[1] * (x.ndim - 1))
        for n, x in fitted.draws.items()
    }
    replace(fitted, draws=apart).save(here / "apart.npz")
    for command in ("allocate", "plan-test"):
        status, out, err = said(capsys, command, "apart.npz", "-o", "plan.csv")
        assert status == 1
        assert "may not be used" in err and "rhat" in err
        assert "marginal ROI" not in out
        assert written(here) == {"apart.npz"}


def test_tests_are_ranked_by_what_they_add_to_the_decision(here, capsys, fitted):
    a, b, _ = fitted.market.channels
    words = ["--test", f"{a}=0:8:100", "--test", f"{a}=0+{b}=1.5:4", "-o", "tests.csv"]
    status, out, err = said(capsys, "plan-test", "draws.npz", *words)
    assert status == 0, err
    assert "Knowing everything would add" in out
    table = pd.read_csv("tests.csv", index_col="test")
    assert len(table) == 2
    assert list(table["net value"]) == sorted(table["net value"], reverse=True)


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ("tv", "is not CHANNEL=FACTOR:PERIODS"),
        ("nobody=0:4", "nobody"),
        ("tv=0:0", "periods of 0"),
        ("tv=0:4000", "4000"),
    ],
)
def test_a_test_that_cannot_be_run_is_told(here, capsys, test, sentence):
    status, _, err = said(capsys, "plan-test", "draws.npz", "--test", test, "-o", "tests.csv")
    assert status == 2
    assert sentence in err
    assert written(here) == set()


def test_a_missing_or_foreign_file_of_draws_is_told(here, capsys):
    assert said(capsys, "allocate", "none.npz")[0] == 2
    (here / "foreign.npz").write_bytes(b"not a zip")
    status, _, err = said(capsys, "allocate", "foreign.npz")
    assert status == 2 and "foreign.npz" in err
