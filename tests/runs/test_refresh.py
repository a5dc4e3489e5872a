"""Committed notebooks are refreshed in place, stable to the byte, or left as they were."""

import json

from channelwise.runs.refresh import refreshed
from tiny_house import CELLS, write_notebook


def test_a_refreshed_notebook_holds_its_outputs_and_does_not_change_again(house):
    path = house.root / "notebooks" / "01_tiny.ipynb"
    code, output, errors = house.call("refresh")
    assert code == 0, output + errors
    first = path.read_bytes()
    book = json.loads(first)
    assert len(book["cells"]) == len(CELLS)
    assert [cell["id"] for cell in book["cells"]] == [f"cell{k}" for k in range(len(CELLS))]
    assert "".join(book["cells"][5]["outputs"][1]["text"]) == "a title\n"
    assert book["cells"][-1]["metadata"]["tags"] == ["explore"]
    assert book["cells"][-1]["outputs"] == []
    assert book["metadata"] == {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    assert b"papermill" not in first and b"injected" not in first
    stamp = path.stat().st_mtime_ns
    code, _, _ = house.call("refresh", "01")
    assert code == 0
    assert path.read_bytes() == first and path.stat().st_mtime_ns == stamp
    assert [p.name for p in path.parent.iterdir()] == ["01_tiny.ipynb"]
    assert not (house.root / "reports").exists()


def test_a_notebook_that_fails_is_left_as_it_was(house):
    cells = [c if "act ==" not in c[1] else ("code", "1 / 0") for c in CELLS]
    path = write_notebook(house.root / "notebooks" / "02_broken.ipynb", cells)
    before = path.read_bytes()
    code, output, _ = house.call("refresh", "02")
    assert code == 1
    assert "ZeroDivisionError: division by zero The notebook is left as it was." in output
    assert path.read_bytes() == before


def test_what_jupyterlab_and_papermill_leave_behind_is_stripped():
    cell = {
        "cell_type": "code",
        "source": "x\ny",
        "metadata": {"papermill": {"duration": 1}, "execution": {}, "tags": ["kept"]},
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "old"}],
        "execution_count": 99,
    }
    done = {**cell, "outputs": [{"output_type": "stream", "name": "stdout", "text": "a\nb\n"}]}
    done["execution_count"] = 1
    book = {"nbformat": 4, "nbformat_minor": 4, "metadata": {"widgets": {}}, "cells": [cell]}
    result = refreshed(book, {"cells": [done]})
    (fresh,) = result["cells"]
    assert fresh["metadata"] == {"tags": ["kept"]}
    assert fresh["source"] == ["x\n", "y"]
    assert fresh["outputs"][0]["text"] == ["a\n", "b\n"]
    assert fresh["execution_count"] == 1
    assert fresh["id"] == refreshed(book, {"cells": [done]})["cells"][0]["id"]
    assert result["nbformat_minor"] == 5
    assert "widgets" not in result["metadata"]
    assert cell["execution_count"] == 99
