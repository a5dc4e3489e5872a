"""The command line: light to start, and understandable without reading anything else."""

import json
import subprocess
import sys
import time

import pytest

from channelwise import cli

COMMANDS = ["run", "sweep", "report", "list", "describe", "refresh", "predict", "check", "fit"]
COMMANDS += ["allocate", "plan-test"]


def shell(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "channelwise.cli", *arguments],
        capture_output=True,
        text=True,
        **options,
    )


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from channelwise import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'jax', 'numpy', 'pydantic', 'papermill', 'nbformat', 'yaml', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_help_answers_at_once():
    """Against the interpreter's own start, so that a busy machine does not decide."""

    def seconds(*words: str) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.monotonic()
            subprocess.run([sys.executable, *words], capture_output=True, check=True)
            best = min(best, time.monotonic() - began)
        return best

    assert seconds("-m", "channelwise.cli", "--help") < 0.3 + 2 * seconds("-c", "pass")


def test_help_names_every_command_in_words(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f"    {name} " in text
    assert "channelwise run 01_activations" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  channelwise {name}" in text
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run", "--colour"], ["predict", "model"]])
def test_a_mistake_in_the_command_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: channelwise" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == "channelwise 0.1.0\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of one notebook that is never executed here."""
    source = (
        'n: Annotated[int, Field(ge=1)] = 20  # how many\nkind: Literal["a", "b"] = "a"  # sort'
    )
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "07_thing.ipynb").write_text(json.dumps(book))
    (tmp_path / "params" / "07_thing").mkdir(parents=True)
    (tmp_path / "params" / "07_thing" / "big.yaml").write_text("# a thousand of them\nn: 1000\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["07", "07_thing", "07_thing.ipynb", "notebooks/07_thing.ipynb"])
def test_a_notebook_may_be_named_in_every_usual_way(project, text, capsys):
    assert cli.main(["describe", text]) == 0
    assert capsys.readouterr().out.startswith("07_thing has these parameters")


def test_describe_lists_parameters_and_sets(project, capsys, monkeypatch):
    monkeypatch.chdir(project / "notebooks")
    assert cli.main(["describe", "07"]) == 0
    text = capsys.readouterr().out
    assert "  n = 20\n      whole number, at least 1\n      how many\n" in text
    assert "  kind = a\n      choice, a | b\n      sort\n" in text
    assert "  big             a thousand of them\n" in text


def test_list_tells_what_has_not_been_run(project, capsys):
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out == "07_thing\n  not run yet\n"


def test_report_without_reports_says_how_to_make_some(project, capsys):
    assert cli.main(["report"]) == 2
    assert "make some with `channelwise run --all`" in capsys.readouterr().err


def test_report_writes_the_index(project, capsys):
    (project / "reports").mkdir()
    assert cli.main(["report"]) == 0
    assert "07_thing" not in (project / "reports" / "index.html").read_text()
    assert capsys.readouterr().out.strip() == str(project / "reports" / "index.html")


def test_a_reader_who_leaves_early_is_no_error(project):
    pipe = f"{sys.executable} -m channelwise.cli describe 07 | true"
    done = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, cwd=project)
    assert done.stderr == ""


def test_predict_writes_the_rows_with_their_predictions(tmp_path, capsys):
    from channelwise.foundations import losses
    from channelwise.learning.data.preparation import prepare
    from channelwise.learning.data.simulated import churn
    from channelwise.learning.data.splits import split_table
    from channelwise.learning.fit import fit
    from channelwise.learning.models.dense import pure_mlp
    from channelwise.learning.persist import save_model

    table = churn(200)
    parts = prepare(table, split_table(table))
    net = pure_mlp((parts.train[0].shape[1], 4, 1))
    network, _ = fit(net, losses.binary_cross_entropy, parts.train, epochs=1)
    save_model(tmp_path / "model", network, parts.preparation, name="churn", threshold=0.5)
    table.frame.head(3).assign(extra=1).to_csv(tmp_path / "new.csv", index=False)
    model, new, out = (str(tmp_path / name) for name in ("model", "new.csv", "out.csv"))
    assert cli.main(["predict", model, new, "-o", out, "--threshold", "0"]) == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("probability of yes,predicted churned")
    assert all(line.endswith(",yes") for line in lines[1:])
    assert "channelwise: not used by the model: " in capsys.readouterr().err


def test_predict_refuses_in_a_sentence(tmp_path, capsys):
    assert cli.main(["predict", str(tmp_path / "absent"), "new.csv"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("channelwise: ") and message.count("\n") == 1
    assert "absent" in message


def test_errors_come_without_a_traceback(project):
    done = shell("run", "08_thing", cwd=project)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("channelwise: there is no notebook 08_thing")
    assert done.stderr.count("\n") == 1
