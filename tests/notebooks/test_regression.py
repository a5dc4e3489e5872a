"""nbval with tolerances: what must pass, and what a changed number must do."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from channelwise.notebook.outputs import RECORD, TABLE
from nbval_tolerance import outputs_agree, texts_agree

TESTS = Path(__file__).parents[1]
CELLS = [
    "from channelwise.notebook import record\nimport sys",
    "print('the mean is', 2 / 3)",
    "record('third', 1 / 3, rtol=0.01)",
    "print('noise', file=sys.stderr)",
]


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Path:
    """A small notebook, executed as the committed ones are."""
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    NotebookClient(notebook, kernel_name="python3").execute()
    path = tmp_path_factory.mktemp("regression") / "small.ipynb"
    nbformat.write(notebook, path)
    return path


def nbval(path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "nbval_tolerance", "--rootdir"]
    command += [str(path.parent), "--nbval", "--nbval-current-env", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        command, cwd=path.parent, env=environment, capture_output=True, text=True, timeout=120
    )


def changed_copy(executed: Path, folder: Path, old: str, new: str) -> Path:
    text = executed.read_text()
    assert old in text
    path = folder / "changed.ipynb"
    path.write_text(text.replace(old, new))
    return path


def test_an_unchanged_notebook_passes(executed):
    result = nbval(executed)
    assert result.returncode == 0, result.stdout
    assert "4 passed" in result.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("the mean is 0.6666666666666666", "the mean is 0.6686666666666666"),
        ('"value": 0.3333333333333333', '"value": 0.3383333333333333'),
        ("the mean is 0.6666666666666666", "a mean is 0.6666666666666666"),
    ],
    ids=["printed number", "recorded result", "word"],
)
def test_a_deliberately_changed_notebook_fails(executed, tmp_path, old, new):
    result = nbval(changed_copy(executed, tmp_path, old, new))
    assert result.returncode == 1
    assert "1 failed, 3 passed" in result.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("the mean is 0.6666666666666666", "the mean is 0.6667"),
        ('"value": 0.3333333333333333', '"value": 0.3353333333333333'),
        ("noise", "other noise"),
    ],
    ids=["printed number", "recorded result", "stderr"],
)
def test_a_difference_within_tolerance_passes(executed, tmp_path, old, new):
    result = nbval(changed_copy(executed, tmp_path, old, new))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("fresh", "committed", "agree"),
    [
        ("loss 0.3334", "loss 0.3333", True),
        ("loss 0.340", "loss 0.333", False),
        ("step 4", "step 5", False),
        ("1.234e-05", "1.235e-05", True),
        ("1.234e-05", "1.24e-06", False),
        ("-0.5", "0.5", False),
        ("x1 = 2.0", "x2 = 2.0", False),
    ],
)
def test_texts_agree_if_words_are_equal_and_numbers_close(fresh, committed, agree):
    assert texts_agree(fresh, committed) is agree


def bundle(mime: str, data: dict) -> dict:
    return {"output_type": "display_data", "data": {mime: data, "text/plain": "x"}}


def test_a_record_is_held_to_its_own_tolerance():
    base = {"name": "a", "value": 1.0, "rtol": 0.0, "atol": 0.1, "unit": "", "meaning": ""}
    assert outputs_agree(bundle(RECORD, base | {"value": 1.09}), bundle(RECORD, base))
    assert not outputs_agree(bundle(RECORD, base | {"value": 1.11}), bundle(RECORD, base))
    assert not outputs_agree(bundle(RECORD, base | {"name": "b"}), bundle(RECORD, base))
    assert not outputs_agree(bundle(RECORD, base | {"rtol": 1.0}), bundle(RECORD, base))


def test_a_table_of_times_is_compared_by_its_columns_alone():
    table = {"caption": "t", "columns": ["s"], "rows": [["1"]], "compare": False}
    other_rows = table | {"rows": [["2"]]}
    assert outputs_agree(bundle(TABLE, other_rows), bundle(TABLE, table))
    assert not outputs_agree(bundle(TABLE, table | {"columns": ["m"]}), bundle(TABLE, table))
