"""`channelwise check`: what it prints, draws and returns; never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

import market_files as files
from channelwise import cli

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(capsys, *words: str) -> tuple[int, str, str]:
    """Status, output and errors of a check."""
    try:
        status = cli.main(["check", *map(str, words)])
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return status, said.out, said.err


def test_a_healthy_file_gives_roles_a_summary_and_a_picture(here, capsys):
    files.write(here, files.columns())
    status, out, _ = check(capsys, "my.csv")
    assert status == 0
    assert "tv_spend     spend of tv     its name says spend" in out
    assert "usable: 120 weeks from 2021-01-04 to 2023-04-17, 2 channels, 1 control\n" in out
    assert out.endswith("picture: my.check.png\n")
    assert (here / "my.check.png").read_bytes().startswith(PNG)
    assert sorted(path.name for path in here.iterdir()) == ["my.check.png", "my.csv"]


def test_warnings_are_printed_and_counted(here, capsys):
    files.write(here, files.columns(60))
    status, out, _ = check(capsys, "my.csv")
    assert status == 0
    assert "\nwarning: The record covers 1.1 years" in out
    assert "1 control, 1 warning\n" in out


def test_errors_in_the_data_are_all_printed_and_nothing_is_drawn(here, capsys):
    table = files.columns()
    table["tv_spend"][3], table["price"][5] = "-1", ""
    files.write(here, table)
    status, out, _ = check(capsys, "my.csv")
    assert status == 1
    assert "error: Spend column 'tv_spend' is negative in row 5: -1." in out
    assert "error: Control column 'price' has no value in row 7." in out
    assert out.endswith("not usable: 2 errors in my.csv\n")
    assert [path.name for path in here.iterdir()] == ["my.csv"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.csv"], "none.csv does not exist"),
        (["my.csv", "--outcome", "revenu"], "no column 'revenu' in my.csv"),
        (["my.csv", "--spend", "tv_spend,radiospend"], "did you mean 'radio_spend'?"),
        (["my.csv", "--exposure", "telly=price"], "'telly', which is no channel"),
        (["my.csv", "--exposure", "price"], "'price' is not CHANNEL=COLUMN"),
        (["my.csv", "--controls", "price", "--events", "price"], "named twice"),
        (["my.csv", "--value-per-conversion", "0"], "not a number greater than 0"),
        (["my.csv", "--outcome-kind", "joy"], "invalid choice"),
        (["my.csv", "--picture", "my.doc"], "must end in .png, .svg or .pdf"),
        (["my.csv", "--picture", "nowhere/my.png"], "nowhere/my.png cannot be written"),
    ],
)
def test_a_mistake_in_the_command_is_one_sentence_and_status_two(here, capsys, words, says):
    files.write(here, files.columns())
    status, out, err = check(capsys, *words)
    assert (status, out) == (2, "")
    assert says in err


def test_remedies_are_spelt_as_options(here, capsys):
    table = files.columns()
    table["net_revenue"] = table["gross_revenue"] = table.pop("revenue")
    files.write(here, table)
    status, out, _ = check(capsys, "my.csv")
    assert status == 1
    assert "name one with --outcome." in out
    assert "outcome=" not in out


def test_every_role_can_be_named(here, capsys):
    table = files.columns()
    table |= {"where": ["A"] * 60 + ["B"] * 60, "week": files.weeks(60) * 2}
    table |= {"people": [1000] * 60 + [900] * 60, "mail": table["price"]}
    table |= {"seen": table["tv_spend"], "fair": [0] * 59 + [1] + [0] * 60}
    files.write(here, table)
    words = (
        "my.csv --date week --outcome revenue --spend TV=tv_spend,Radio=radio_spend "
        "--exposure TV=seen --controls price --organic mail --events fair --geo where "
        "--population people --outcome-kind conversions --value-per-conversion 20 "
        "--picture chart.svg"
    )
    status, out, _ = check(capsys, *words.split())
    assert status == 0
    assert "seen         exposure of TV  you named it" in out
    assert "2 geos, 2 channels, 1 organic channel, 1 control, 1 event" in out
    assert "<svg" in (here / "chart.svg").read_text()


def test_an_empty_list_names_no_column(here, capsys):
    files.write(here, files.columns())
    status, out, _ = check(capsys, "my.csv", "--controls", "")
    assert status == 0
    assert "not among the control columns you named" in out


def test_names_with_a_comma_can_be_quoted(here, capsys):
    table = files.columns()
    table["tv, paid"] = table.pop("tv_spend")
    files.write(here, table)
    status, out, _ = check(capsys, "my.csv", "--spend", '"tv, paid",radio_spend')
    assert status == 0
    assert "tv, paid     spend" in out


def test_an_old_picture_stays_where_the_new_one_cannot_be_drawn(here, capsys, monkeypatch):
    from matplotlib.figure import Figure

    files.write(here, files.columns())
    (here / "my.check.png").write_bytes(b"old")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    status, _, err = check(capsys, "my.csv")
    assert status == 2
    assert "No space left on device" in err
    assert (here / "my.check.png").read_bytes() == b"old"
    assert len(list(here.iterdir())) == 2


def test_a_check_needs_neither_pandas_nor_jax_nor_pyplot(here):
    path = files.write(here, files.columns())
    code = (
        "import sys; from channelwise import cli\n"
        f"cli.main(['check', {str(path)!r}])\n"
        "heavy = {'pandas', 'jax', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=here)
    assert done.stderr.strip() == "[]"


@files.needs_data
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mpr_small_business", "104 weeks from 2020-01-05 to 2021-12-26, 4 channels, 2 controls\n"),
        ("pymc_mmm_example", "179 weeks from 2018-04-02 to 2021-08-30, 2 channels, 2 events"),
        ("robyn_dt_simulated_weekly", "208 weeks from 2015-11-23 to 2019-11-11, 5 channels"),
        ("pymc_case_study_data", "10 channels, 3 organic channels, 9 controls, 22 events"),
    ],
)
def test_every_marketing_file_at_hand_is_usable_and_drawn(here, capsys, name, says):
    status, out, _ = check(capsys, files.DATA / f"{name}.csv")
    assert status == 0
    assert says in out
    assert (here / f"{name}.check.png").read_bytes().startswith(PNG)


@files.needs_data
def test_a_table_of_loans_is_not_usable(here, capsys):
    status, out, _ = check(capsys, files.DATA / "german_credit.csv")
    assert status == 1
    assert "german_credit.csv has no column of dates" in out
    assert not list(here.iterdir())
