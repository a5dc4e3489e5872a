"""Whatever is really killed: the manifest tells the truth, the last good report stays, and the
next run works."""

import os
import signal
import time
from pathlib import Path

import pytest

from channelwise.runs import manifest


def good_report(house) -> bytes:
    return (house.runs / "default" / "report.html").read_bytes()


def check_next_run_works(house) -> None:
    code, output, errors = house.call("run", "01", "--name", "default", "-p", "n=7")
    assert code == 0, output + errors
    assert house.manifest()["parameters"]["n"] == 7
    leftovers = [p.name for p in house.runs.iterdir() if p.name != "default"]
    assert leftovers == []


def sleeping(house, ours) -> dict:
    """The manifest of a run that has reached its second section and sleeps there."""
    running = house.runs / ".default.running"
    house.wait_for(
        lambda: (
            len(ours()) == 2
            and (running / "notebook.ipynb").is_file()
            and '"double"' in (running / "notebook.ipynb").read_text()
        )
    )
    time.sleep(0.5)  # the cell is saved as begun just before the runner hears of it
    return manifest.read(running)


def kernel_of(pids: set[int]) -> int:
    return next(p for p in pids if b"runs.kernel" in Path(f"/proc/{p}/cmdline").read_bytes())


def test_a_killed_kernel(lived_in, ours):
    before = good_report(lived_in)
    code, output, _ = lived_in.call("run", "01", "--name", "default", "-p", "act=die")
    assert code == 1
    assert output.startswith("kernel_died")
    assert good_report(lived_in) == before
    record = lived_in.manifest("default.failed")
    assert record["status"] == "kernel_died"
    assert record["error"]["cell"] == 8
    assert record["error"]["section"] == "Second part"
    assert "The kernel was ended by SIGKILL in cell 8" in record["error"]["message"]
    assert record["finished"] and record["cost"]["wall_s"] > 0
    assert record["results"][0]["value"] == 40  # what was computed before is not lost
    check_next_run_works(lived_in)


def test_a_killed_runner_leaves_no_process_and_is_told_as_interrupted(lived_in, ours):
    before = good_report(lived_in)
    runner = lived_in.spawn("run", "01", "--name", "default", "-p", "wait=60")
    assert sleeping(lived_in, ours)["status"] == "running"
    code, _, errors = lived_in.call("run", "01", "--name", "default")
    assert code == 2 and "is being run by another process right now" in errors
    runner.send_signal(signal.SIGKILL)
    runner.communicate()
    lived_in.wait_for(lambda: not ours(), seconds=20)
    assert good_report(lived_in) == before
    assert lived_in.manifest(".default.running")["status"] == "running"  # as it was left …
    code, output, _ = lived_in.call("list")  # … and as it is told
    assert code == 0
    assert "succeeded    default" in output
    assert "interrupted  default" in output
    assert "The runner was killed before the run ended; run it again." in output
    check_next_run_works(lived_in)


def test_a_killed_worker(lived_in, ours):
    before = good_report(lived_in)
    runner = lived_in.spawn("run", "01", "--name", "default", "-p", "wait=60")
    sleeping(lived_in, ours)
    (worker,) = ours() - {kernel_of(ours())}
    os.kill(worker, signal.SIGKILL)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 1
    assert "The worker was ended by SIGKILL in cell 8 (section “Second part”)" in output
    assert lived_in.manifest("default.failed")["status"] == "kernel_died"
    assert good_report(lived_in) == before
    check_next_run_works(lived_in)


def test_a_run_that_takes_too_long(lived_in, ours):
    before = good_report(lived_in)
    # Enough to reach the cell that sleeps, on a busy machine too: the good run took a quarter.
    limit = round(max(4.0, 4 * lived_in.manifest()["cost"]["wall_s"]), 1)
    code, output, _ = lived_in.call(
        "run", "01", "--name", "default", "-p", "wait=600", "--timeout", str(limit)
    )
    assert code == 1
    assert output.startswith("timed_out")
    assert good_report(lived_in) == before
    record = lived_in.manifest("default.failed")
    assert record["status"] == "timed_out"
    assert record["error"]["cell"] == 8
    assert f"after {limit:g} seconds, its limit; raise --timeout" in record["error"]["message"]
    assert limit <= record["cost"]["wall_s"] < 2 * limit
    assert record["cost"]["peak_memory_mb"] > 20
    check_next_run_works(lived_in)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run(lived_in, ours, number):
    before = good_report(lived_in)
    runner = lived_in.spawn("run", "01", "--name", "default", "-p", "wait=60")
    sleeping(lived_in, ours)
    runner.send_signal(number)
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted; the reports of before are still in place" in errors
    assert not ours()
    assert good_report(lived_in) == before
    record = lived_in.manifest("default.failed")
    assert record["status"] == "interrupted"
    assert record["error"]["cell"] == 8
    assert record["results"][0]["value"] == 40
    check_next_run_works(lived_in)


def test_an_interrupted_sweep(house, ours):
    runner = house.spawn("sweep", "01", "-g", "wait=0,60,61", "--name", "s", "--jobs", "1")
    house.wait_for((house.runs / "s" / "points").is_dir)
    house.wait_for(lambda: [p for p in (house.runs / "s" / "points").iterdir() if p.name[0] != "."])
    runner.send_signal(signal.SIGINT)
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert "Traceback" not in errors
    record = house.manifest("s")
    assert record["status"] == "interrupted"
    assert [p["status"] for p in record["points"]] == ["succeeded", "interrupted", "interrupted"]
    assert "2 of 3 points did not succeed" in record["error"]["message"]


def test_a_kill_between_the_two_renames_loses_nothing(lived_in):
    """The old run was set aside, the new one had not taken its place yet."""
    before = good_report(lived_in)
    (lived_in.runs / "default").rename(lived_in.runs / ".default.old")
    code, output, _ = lived_in.call("run", "01")
    assert code == 0
    assert output.startswith("unchanged")
    assert good_report(lived_in) == before
    assert [p.name for p in lived_in.runs.iterdir()] == ["default"]
