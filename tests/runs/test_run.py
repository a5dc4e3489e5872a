"""A run is a fact: notebook, parameters and data become one folder with one manifest."""

import json
import os
import re
import shutil
import sys

import pytest

from channelwise.runs import hashes, kernel, manifest
from channelwise.runs.plan import spell
from tiny_house import CELLS, write_notebook


def notebook_of(house, name: str = "default") -> dict:
    return json.loads((house.runs / name / "notebook.ipynb").read_text(encoding="utf-8"))


def test_a_good_run_is_told_in_full(lived_in):
    record = lived_in.manifest()
    assert record["status"] == "succeeded" and record["error"] is None
    assert record["title"] == "Tiny *book*"
    assert record["question"] == "How much is it?"
    assert record["source"] == "notebooks/01_tiny.ipynb"
    assert record["parameters"] == {
        "n": 20,
        "rate": 0.5,
        "kind": "plain",
        "title": "a title",
        "data": None,
        "sizes": [1, 2],
        "wait": 0.0,
        "act": "",
    }
    assert record["overrides"] == {}
    assert record["schema"][0] == {
        "name": "n",
        "type": "whole number",
        "range": "from 1 to 200",
        "choices": None,
        "default": 20,
        "value": 20,
        "changed": False,
        "meaning": "how many",
    }
    assert record["schema"][2]["choices"] == ["plain", "fancy"]
    assert record["cells"] == {"total": 6, "executed": 6}
    assert record["results"] == [
        {
            "name": "double",
            "value": 40,
            "rtol": 0.1,
            "atol": 0.0,
            "unit": "pieces",
            "meaning": "twice n",
            "cell": 5,
        }
    ]
    assert record["answer"] == "It is **40**."
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["cost"]["cpu_s"] > 0 and record["cost"]["peak_memory_mb"] > 20
    assert record["started"] <= record["finished"]
    assert all(re.fullmatch("[0-9a-f]{64}", record["hashes"][k]) for k in ("notebook", "library"))
    assert record["command"] == "channelwise run 01_tiny"
    assert sorted(p.name for p in (lived_in.runs / "default").iterdir()) == [
        "manifest.json",
        "notebook.ipynb",
        "report.html",
    ]
    assert sorted(p.name for p in lived_in.runs.iterdir()) == ["default"]


def test_explore_cells_stay_out(lived_in):
    sources = ["".join(cell["source"]) for cell in notebook_of(lived_in)["cells"]]
    assert len(sources) == len(CELLS) - 1
    assert not any("explore" in source for source in sources)


def test_what_has_not_changed_is_not_run_again(lived_in):
    before = lived_in.manifest()["finished"], (lived_in.runs / "default").stat().st_ino
    code, output, _ = lived_in.call("run", "01")
    assert code == 0 and output.startswith("unchanged   01_tiny/default")
    assert (lived_in.manifest()["finished"], (lived_in.runs / "default").stat().st_ino) == before


@pytest.mark.parametrize("part", ["notebook", "parameters", "library", "data"])
def test_whatever_changes_calls_for_a_new_run(lived_in, part):
    record = lived_in.manifest()
    fingerprint, versions = record["hashes"], record["versions"]
    assert manifest.same_inputs(record, fingerprint, versions)
    assert not manifest.same_inputs(record, {**fingerprint, part: "other"}, versions)


def test_a_new_version_below_calls_for_a_new_run(lived_in):
    record = lived_in.manifest()
    newer = {**record["versions"], "jax": "99.0"}
    assert not manifest.same_inputs(record, record["hashes"], newer)
    assert not manifest.same_inputs(
        {**record, "status": "failed"}, record["hashes"], record["versions"]
    )


def test_outputs_and_explore_cells_do_not_count_as_a_change():
    cell = {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": []}
    book = {"cells": [cell]}
    done = {"cells": [{**cell, "source": ["x = 1"], "outputs": [{"text": "1"}]}]}
    explored = {"cells": [cell, {**cell, "metadata": {"tags": ["explore"]}, "source": "y"}]}
    other = {"cells": [{**cell, "source": "x = 2"}]}
    assert hashes.of_source(book) == hashes.of_source(done) == hashes.of_source(explored)
    assert hashes.of_source(book) != hashes.of_source(other)


def test_a_report_alone_is_rendered_again_when_reports_look_different(lived_in):
    folder = lived_in.runs / "default"
    record = lived_in.manifest()
    record["hashes"]["report"] = "of an older version"
    manifest.write(folder, record)
    (folder / "report.html").write_text("old")
    executed = (folder / "notebook.ipynb").read_bytes()
    code, output, _ = lived_in.call("run", "01")
    assert code == 0 and output.startswith("succeeded")
    assert (folder / "notebook.ipynb").read_bytes() == executed
    assert lived_in.manifest()["hashes"]["report"] == hashes.of_renderer()
    assert lived_in.manifest()["finished"] == record["finished"]
    assert "40" in (folder / "report.html").read_text()


def test_force_runs_again(lived_in):
    before = (lived_in.runs / "default").stat().st_ino
    code, output, _ = lived_in.call("run", "01", "--force")
    assert code == 0 and output.startswith("succeeded")
    assert (lived_in.runs / "default").stat().st_ino != before


def test_parameters_reach_the_cells_whatever_they_hold(house):
    title = "\"quotes\" 'too' \\n {braces} <script>alert(1)</script> ünïcode $x$ `a`"
    code, output, errors = house.call(
        "run",
        "01_tiny.ipynb",
        *("-p", "n=1_3", "-p", "rate=1e-3", "-p", "sizes=[3, 4]", "-p", f"title={title}"),
        *("-p", "act=warn", "--name", "odd"),
    )
    assert code == 0, output + errors
    record = house.manifest("odd")
    assert record["overrides"] == {
        "n": 13,
        "rate": 0.001,
        "title": title,
        "sizes": [3, 4],
        "act": "warn",
    }
    assert record["results"][0]["value"] == 26
    assert record["warnings"] == [{"cell": 8, "text": "careful\n"}]
    cells = notebook_of(house, "odd")["cells"]
    assert "".join(cells[6]["outputs"][1]["text"]) == title + "\n"
    report = (house.runs / "odd" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in report


def test_a_failing_cell_is_named_and_the_good_run_stays(lived_in):
    code, output, _ = lived_in.call("run", "01", "--name", "default", "-p", "act=fail")
    assert code == 1
    assert "In cell 8 (section “Second part”): ValueError: unlucky number" in output
    assert lived_in.manifest()["status"] == "succeeded"
    error = lived_in.manifest("default.failed")["error"]
    assert (error["cell"], error["ename"], error["evalue"]) == (8, "ValueError", "unlucky number")
    assert (lived_in.runs / "default.failed" / "report.html").is_file()
    code, output, _ = lived_in.call("list")
    assert "failed       default" in output and "succeeded    default" in output


def test_the_command_in_a_manifest_makes_the_same_plan_again(house, monkeypatch):
    from channelwise.runs.locate import Project
    from channelwise.runs.plan import make_plan

    (house.root / "my data.csv").write_text("a\n1\n")
    project = Project.find()
    notebook = project.notebook("01")
    given = {"n": "7", "title": "it's; $(odd)", "data": "my data.csv", "sizes": "5,6"}
    plan = make_plan(project, notebook, given)
    assert plan.parameters["data"] == house.root / "my data.csv"
    import shlex

    words = shlex.split(plan.command)
    assert words[:3] == ["channelwise", "run", "01_tiny"]
    again = dict(word.split("=", 1) for word in words[4::2])
    monkeypatch.chdir("/")
    assert make_plan(project, notebook, again).parameters == plan.parameters
    assert make_plan(project, notebook, again).name == plan.name


def test_a_data_file_is_part_of_what_a_run_depends_on(house):
    from channelwise.runs.locate import Project
    from channelwise.runs.plan import make_plan

    data = house.root / "my.csv"
    project, found = Project.find(), []
    for text in ("a\n1\n", "a\n1\n", "a\n2\n"):
        data.write_text(text)
        plan = make_plan(project, project.notebook("01"), {"data": "my.csv"})
        found.append(plan.fingerprint["data"]["data"]["sha256"])
    assert found[0] == found[1] != found[2]
    assert plan.fingerprint["data"]["data"]["path"] == str(data)


def test_names_come_from_the_parameter_set_or_from_what_is_changed(house):
    from channelwise.runs.locate import Project
    from channelwise.runs.plan import make_plan

    sets = house.root / "params" / "01_tiny"
    sets.mkdir(parents=True)
    (sets / "large.yaml").write_text("n: 100\n")
    project = Project.find()
    notebook = project.notebook("01")

    def name(given: dict[str, str], set_text: str | None = None) -> str:
        return make_plan(project, notebook, given, set_text=set_text).name

    assert name({}) == name({"n": "20"}) == "default"
    assert name({}, "large") == name({}, "params/01_tiny/large.yaml") == "large"
    assert re.fullmatch("large-[0-9a-f]{6}", name({"rate": "1"}, "large"))
    assert re.fullmatch("[0-9a-f]{8}", name({"n": "21"}))
    assert name({"n": "2_1"}) == name({"n": "21.0"}) == name({"n": "21"}) != name({"n": "22"})


def test_several_notebooks_run_at_a_time_and_one_failure_does_not_stop_the_rest(house):
    cells = [c if "act ==" not in c[1] else ("code", "1 / 0") for c in CELLS]
    write_notebook(house.root / "notebooks" / "02_broken.ipynb", cells)
    shutil.copy(house.root / "notebooks/01_tiny.ipynb", house.root / "notebooks/03_last.ipynb")
    code, output, _ = house.call("run", "--all", "--jobs", "2")
    assert code == 1
    status = {line.split()[1]: line.split()[0] for line in output.splitlines() if line[0] != " "}
    assert status == {
        "01_tiny/default": "succeeded",
        "02_broken/default": "failed",
        "03_last/default": "succeeded",
    }
    assert "ZeroDivisionError: division by zero" in output
    assert (house.root / "reports" / "index.html").is_file()


def test_a_notebook_outside_a_project_can_be_run_by_its_path(house, tmp_path, monkeypatch):
    other = tmp_path / "elsewhere"
    write_notebook(other / "mine" / "own.ipynb")
    monkeypatch.chdir(other)
    code, output, errors = house.call("run", "mine/own.ipynb")
    assert code == 0, output + errors
    assert (other / "reports" / "own" / "default" / "report.html").is_file()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "true"), (0.001, "0.001"), ((1, 2), "[1, 2]"), ("a b", "a b")],
)
def test_values_are_spelled_as_the_command_line_reads_them(value, text):
    assert spell(value) == text


def test_compiled_programs_are_kept_in_the_users_cache_unless_set_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = kernel.cache_variables()
    assert found["JAX_COMPILATION_CACHE_DIR"].startswith(str(tmp_path / "channelwise" / "jax"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    assert kernel.cache_variables() == {}


def test_a_manifest_is_strict_json_and_of_our_kind(tmp_path):
    manifest.write(tmp_path, {"value": [float("nan"), float("inf"), -float("inf"), 1.5]})
    assert json.loads((tmp_path / "manifest.json").read_text(), parse_constant=pytest.fail) == {
        "value": ["NaN", "Infinity", "-Infinity", 1.5]
    }
    with pytest.raises(manifest.ManifestError, match="of another kind"):
        manifest.read(tmp_path)
    with pytest.raises(manifest.ManifestError, match="no readable manifest"):
        manifest.read(tmp_path / "absent")


def test_a_process_number_given_out_again_does_not_revive_a_dead_runner(lived_in):
    record = {**lived_in.manifest(), "status": "running", "pid": os.getpid()}
    manifest.write(lived_in.runs / "default", {**record, **manifest.runner()})
    assert manifest.read(lived_in.runs / "default")["status"] == "running"
    manifest.write(lived_in.runs / "default", {**record, "pid_started": "1"})
    assert manifest.read(lived_in.runs / "default")["status"] == "interrupted"


def test_texts_that_steer_a_terminal_are_made_harmless():
    text = "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\rover\tand\n\x9b2Jout"
    assert manifest.plain(text) == "red linkover\tand\n2Jout"
