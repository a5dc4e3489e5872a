"""What every committed chapter keeps to, and what plain papermill does with it."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from channelwise.notebook.outputs import ANSWER, RECORD
from channelwise.notebook.parameters import Schema

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SETS = sorted((ROOT / "params").glob("*/*.yaml"))
LONGEST_CELL = 15

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [c for c in read(path).cells if c.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    return [o for cell in code_cells(path) for o in cell.outputs]


def data_of(path: Path, mime: str) -> list:
    return [o.data[mime] for o in outputs(path) if mime in o.get("data", {})]


def test_the_first_five_chapters_are_there():
    assert [p.stem[:2] for p in CHAPTERS[:5]] == ["00", "01", "02", "03", "04"]


@each_chapter
def test_a_chapter_opens_with_a_title_and_a_question(path):
    first = read(path).cells[0].source
    assert first.startswith("# ")
    assert "**Question.**" in first


@each_chapter
def test_a_chapter_ends_in_its_answer_and_an_explore_cell_without_output(path):
    last = code_cells(path)[-1]
    if path.stem != "00_start_here":
        assert {"explore", "nbval-skip"} <= set(tags(last))
        assert len(data_of(path, ANSWER)) == 1
    assert all(not c.outputs for c in code_cells(path) if "explore" in tags(c))


@each_chapter
def test_every_parameter_has_a_meaning(path):
    schema = Schema.from_notebook(path)
    assert all(p.meaning for p in schema.parameters)


@each_chapter
def test_a_chapter_is_committed_as_one_clean_run(path):
    counts = [c.execution_count for c in code_cells(path) if "explore" not in tags(c)]
    assert counts == list(range(1, len(counts) + 1))
    assert all(o.get("name") != "stderr" for o in outputs(path))
    assert all(o.output_type != "error" for o in outputs(path))
    assert str(Path.home()) not in path.read_text()


@each_chapter
def test_every_figure_has_an_alt_text(path):
    pictures = [o for o in outputs(path) if "image/png" in o.get("data", {})]
    assert all(o.metadata["image/png"]["alt"] for o in pictures)


@each_chapter
def test_recorded_names_are_unique(path):
    names = [r["name"] for r in data_of(path, RECORD)]
    assert len(names) == len(set(names))


@each_chapter
def test_cells_are_short_enough_to_read(path):
    for cell in code_cells(path):
        if "parameters" not in tags(cell):
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= LONGEST_CELL, cell.source


@pytest.mark.parametrize("path", SETS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_parameter_set_fits_its_notebook(path):
    schema = Schema.from_notebook(ROOT / "notebooks" / f"{path.parent.name}.ipynb")
    schema.validate(yaml.safe_load(path.read_text()))


def papermill(folder: Path, *options: str) -> subprocess.CompletedProcess:
    source = ROOT / "notebooks" / "01_activations.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(source), "out.ipynb"]
    return subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, timeout=300
    )


def test_plain_papermill_runs_a_chapter_from_any_folder(tmp_path):
    small = ROOT / "params" / "01_activations" / "small.yaml"
    result = papermill(tmp_path, "-f", str(small))
    assert result.returncode == 0, result.stderr
    assert data_of(tmp_path / "out.ipynb", ANSWER)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("depth", "0"), "depth = 0 is not a whole number from 1 to 200"),
        (("dpeth", "3"), "'dpeth' is no parameter"),
    ],
)
def test_plain_papermill_fails_as_clearly_on_a_bad_value(tmp_path, option, says):
    result = papermill(tmp_path, "-p", *option)
    assert result.returncode != 0
    assert says in result.stderr
