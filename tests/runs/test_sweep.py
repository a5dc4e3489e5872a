"""A sweep runs every point of its grid and ends in one comparison."""

import json


def record_of(house, name: str) -> dict:
    return json.loads((house.runs / name / "manifest.json").read_text(encoding="utf-8"))


def test_a_failing_point_does_not_stop_the_others_and_good_points_are_not_run_again(house, ours):
    grid = ("-g", "n=1..2", "-g", "act=,fail", "-p", "rate=1e-2")
    assert "lacks a value" in house.refused("sweep", "01", *grid)
    grid = ("-g", "n=1..2", "-g", "act=no,fail", "-p", "rate=1e-2")
    code, output, errors = house.call("sweep", "01", *grid, "--name", "mine", "--jobs", "2")
    assert code == 1, errors
    record = record_of(house, "mine")
    assert record["kind"] == "sweep" and record["status"] == "failed"
    assert record["grid"] == {"n": [1, 2], "act": ["no", "fail"]}
    assert record["fixed"] == {"rate": 0.01}
    assert [
        (p["parameters"], p["status"], [r["value"] for r in p["results"]]) for p in record["points"]
    ] == [
        ({"n": 1, "act": "no"}, "succeeded", [2]),
        ({"n": 1, "act": "fail"}, "failed", [2]),
        ({"n": 2, "act": "no"}, "succeeded", [4]),
        ({"n": 2, "act": "fail"}, "failed", [4]),
    ]
    assert "2 of 4 points did not succeed; the first: In cell 8" in record["error"]["message"]
    assert record["error"]["message"] in output
    for point in record["points"]:
        assert (house.runs / "mine" / point["folder"] / "report.html").is_file()
    assert (house.runs / "mine" / "report.html").is_file()
    assert "channelwise sweep 01_tiny -p rate=0.01 -g n=1,2 -g act=no,fail" in record["command"]

    wider = ("-g", "n=1..3", "-g", "act=no", "-p", "rate=1e-2")
    code, output, _ = house.call("sweep", "01", *wider, "--name", "mine")
    assert code == 0
    assert output.count("unchanged") == 2 and output.count("succeeded") == 2
    record = record_of(house, "mine")
    assert record["status"] == "succeeded" and record["error"] is None
    assert [p["results"][0]["value"] for p in record["points"]] == [2, 4, 6]
    code, output, _ = house.call("list")
    assert "succeeded    mine" in output
    assert "points" not in output


def test_a_single_point_is_a_sweep_too(house):
    code, output, _ = house.call("sweep", "01", "-g", "n=5")
    assert code == 0
    (folder,) = house.runs.glob("sweep-*")
    assert record_of(house, folder.name)["points"][0]["results"][0]["value"] == 10
    assert f"01_tiny/{folder.name}" in output
