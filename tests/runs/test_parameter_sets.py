"""Every committed parameter set is one that its notebook allows, and says what it is for."""

from pathlib import Path

import pytest

from channelwise.runs.locate import Project
from channelwise.runs.plan import make_plan
from channelwise.runs.values import read_yaml

ROOT = Path(__file__).parents[2]
SETS = sorted(ROOT.glob("params/*/*"))


@pytest.mark.parametrize("path", SETS, ids=[f"{p.parent.name}/{p.name}" for p in SETS])
def test_a_parameter_set_fits_its_notebook(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if data := read_yaml(path).get("data"):
        (tmp_path / data).touch()  # a set for the user's own file
    project = Project.find(ROOT / "notebooks")
    notebook = project.notebook(path.parent.name)
    assert path in project.parameter_sets(notebook)
    plan = make_plan(project, notebook, {}, set_text=path.stem)
    assert plan.name == path.stem
    assert path.read_text(encoding="utf-8").startswith("# ")
