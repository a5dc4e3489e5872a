"""A mistake is met by one sentence with a remedy, exit code 2, and nothing written."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from tiny_house import CELLS, PARAMETERS, write_notebook


def a_set(house, text: str) -> str:
    path = house.root / "set.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_an_unknown_parameter_gets_the_nearest_name(house):
    message = house.refused("run", "01", "-p", "rat=1")
    assert "'rat' is no parameter of 01_tiny (did you mean rate?)" in message


def test_every_bad_value_is_named_with_what_is_allowed(house):
    message = house.refused("run", "01", "-p", "n=many", "-p", "rate=-1", "-p", "kind=fany")
    assert "n = 'many' is not a whole number from 1 to 200; the default is 20." in message
    assert "rate = '-1' is not a number greater than 0; the default is 0.5." in message
    assert "kind = 'fany' is not one of 'plain', 'fancy' (did you mean fancy?)" in message


@pytest.mark.parametrize("value", ["0", "201", "2.5", "true", "", "1e3", "[1, 2]"])
def test_a_value_out_of_range_or_of_another_type_is_refused(house, value):
    assert "is not a whole number from 1 to 200" in house.refused("run", "01", "-p", f"n={value}")


@pytest.mark.parametrize("value", ["nan", "NaN", ".nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_refused(house, value):
    assert "is not a number greater than 0" in house.refused("run", "01", "-p", f"rate={value}")
    assert "is not a number greater than 0" in house.refused(
        "run", "01", "-f", a_set(house, f"rate: {value}\n")
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n: [5, 6]\n", "is not a whole number from 1 to 200"),
        ("n: {a: 5}\n", "is not a whole number from 1 to 200"),
        ("n:\n", "n = None is not a whole number from 1 to 200"),
        ("n: 5\nn: 6\n", "set.yaml line 2: n is given twice"),
        ("", "set.yaml is empty"),
        ("nn: 5\n", "'nn' is no parameter of 01_tiny (did you mean n?)"),
        ("a: [1\n", "set.yaml line 2: "),
    ],
)
def test_a_bad_parameter_set_is_refused(house, text, message):
    assert message in house.refused("run", "01", "-f", a_set(house, text))


def test_a_missing_parameter_set_is_refused_with_the_sets_there_are(house):
    (house.root / "params" / "01_tiny").mkdir(parents=True)
    (house.root / "params" / "01_tiny" / "large.yaml").write_text("n: 100\n")
    message = house.refused("run", "01", "-f", "larg")
    assert "there is no parameter file larg" in message
    assert "one of the sets of 01_tiny: large." in message


def test_a_data_file_that_is_not_there_is_refused(house):
    message = house.refused("run", "01", "-p", "data=absent.csv")
    assert "data = absent.csv does not exist; check the path" in message


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "..", ".hidden", "x.failed", "-x", "a b"])
def test_a_name_that_is_no_plain_word_is_refused(house, name):
    if name:
        assert "cannot name a run; use up to 100 letters" in house.refused(
            "run", "01", f"--name={name}"
        )


def test_markup_as_a_name_or_as_the_name_of_a_parameter_set_is_refused(house):
    name = "<script>alert(1)</script>"
    assert "cannot name a run" in house.refused("run", "01", "--name", name)
    odd = house.root / "<script>alert(1)<" / "script>.yaml"
    odd.parent.mkdir()
    odd.write_text("n: 3\n")
    assert "(--name sets it)" in house.refused("run", "01", "-f", str(odd))


def test_an_unknown_notebook_gets_the_nearest_name(house):
    assert "did you mean 01_tiny?" in house.refused("run", "01_tinny")
    assert "there are: 01_tiny." in house.refused("run", "zzz")


def test_an_ambiguous_beginning_is_refused_with_the_choices(house):
    write_notebook(house.root / "notebooks" / "01_twin.ipynb")
    assert "01 may be 01_tiny, 01_twin; write more of the name." in house.refused("run", "01")


def test_a_notebook_without_a_parameters_cell_is_refused(house):
    cells = [cell for cell in CELLS if cell[1] != PARAMETERS]
    write_notebook(house.root / "notebooks" / "02_bare.ipynb", cells)
    message = house.refused("run", "02")
    assert "02_bare.ipynb has no parameters cell; tag the cell" in message
    assert "has no parameters cell" in house.refused("run", "--all")


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '{"nbformat": 3, "worksheets": []}', '{"nbformat": 4}']
)
def test_a_file_that_is_no_notebook_is_refused(house, text):
    (house.root / "notebooks" / "02_odd.ipynb").write_text(text)
    assert "02_odd.ipynb is no notebook" in house.refused("run", "02")


def test_nothing_named_and_both_named_are_refused(house):
    assert "name a notebook, such as 01_activations, or give --all" in house.refused("run")
    assert "either notebooks or --all" in house.refused("run", "01", "--all")


def test_a_folder_that_cannot_be_written_is_refused(house):
    (house.root / "occupied").write_text("a file")
    message = house.refused("run", "01", "--out", "occupied/reports")
    assert "occupied/reports/01_tiny cannot be written: Not a directory" in message
    assert "choose another folder with --out" in message


def test_a_folder_without_permission_is_refused(house, monkeypatch):
    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "cannot be written: Permission denied" in house.refused("run", "01")


def test_a_second_run_of_the_same_name_is_refused(lived_in):
    path = lived_in.runs / ".default.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        message = lived_in.refused("run", "01")
    finally:
        os.close(lock)
    assert "01_tiny/default is being run by another process right now; wait for it" in message
    assert "or give this run another name with --name" in message


def test_a_sweep_refuses_a_bad_point_before_it_starts(house):
    assert "n = '201' is not" in house.refused("sweep", "01", "-g", "n=1,201")
    assert "'m' is no parameter" in house.refused("sweep", "01", "-g", "m=1,2")
    assert "n is given by -g and by -p" in house.refused("sweep", "01", "-g", "n=1,2", "-p", "n=3")
    assert "a sweep needs a grid; add one with -g" in house.refused("sweep", "01")


def test_a_run_and_a_sweep_do_not_take_each_others_place(lived_in):
    message = lived_in.refused("sweep", "01", "-g", "n=1,2", "--name", "default")
    assert "01_tiny/default holds a run; give this sweep another name with --name." in message


def test_a_missing_notebook_folder_is_refused(house):
    assert "absent does not exist; check --notebooks" in house.refused(
        "list", "--notebooks", "absent"
    )


@pytest.mark.parametrize(
    "options", [["--timeout", "0"], ["--timeout", "soon"], ["--jobs", "0"], ["--jobs", "x"]]
)
def test_a_limit_that_makes_no_sense_is_refused(house, options):
    assert "argument --" in house.refused("run", "01", *options)


def test_what_a_user_wrote_stays_out_of_the_terminal_as_control_characters(house):
    message = house.refused("run", "01", "-p", "n=\x1b[31mred")
    assert "\x1b" not in message
    assert json.dumps(message)
