"""A sweep on a Dask cluster: a real scheduler, real workers, and real kills.

The notebook waits where a file `hold` is present, so that a test decides what is under way.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

import channelwise
from channelwise.runs import preflight, remote
from tiny_house import House, write_notebook

PARAMETERS = """\
n: int = 1  # how many
act: str = "no"  # what to do
folder: str = ""  # where the test looks
data: Path | None = None  # your file
"""

CELLS = [
    ("markdown", "# Tiny\n\n**Question.** How much?"),
    ("code", "from pathlib import Path"),
    ("code", PARAMETERS, "parameters"),
    ("code", "from channelwise.notebook import record, start\nstart(globals())"),
    (
        "code",
        "import os, time\n"
        "Path(folder, f'began-{n}-{os.getpid()}').touch()\n"
        "while Path(folder, 'hold').exists(): time.sleep(0.05)\n"
        "if act == 'fail': raise ValueError('unlucky number')",
    ),
    ("code", "record('double', 2 * n)\nrecord('read', data.read_text() if data else 'nothing')"),
]


class Cluster:
    """A Dask scheduler and its workers, each a process of its own on the loopback."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        self.file = folder / "scheduler.json"
        folder.mkdir()
        self.scheduler = self._start("scheduler", "--port", "0", **environment)
        House.wait_for(None, self._written)
        self.address = json.loads(self.file.read_text())["address"]

    def worker(self, **environment: str) -> subprocess.Popen:
        place = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder))
        return self._start("worker", *place, **environment)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.communicate()

    def _written(self) -> bool:
        return self.file.is_file() and self.file.read_text().rstrip().endswith("}")

    def _start(self, kind: str, *words: str, **environment: str) -> subprocess.Popen:
        address = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(self.file))
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *address, *words],
            env={**os.environ, **environment},
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process


@pytest.fixture
def sweep(house: House, ours: Callable[[], set[int]]) -> Callable[..., tuple[str, ...]]:
    """The words of a sweep over the notebook that waits; `ours` finds what it leaves behind."""
    write_notebook(house.root / "notebooks" / "01_tiny.ipynb", CELLS)
    return lambda *more: ("sweep", "01", *more, "-p", f"folder={house.root}")


@pytest.fixture
def start(house: House, ours: Callable[[], set[int]]) -> Iterator[Callable[..., Cluster]]:
    """Starts a cluster; its processes carry the test's mark, so `ours` sees their kernels."""
    started = []

    def begin(**environment: str) -> Cluster:
        started.append(Cluster(house.root / "dask", **environment))
        return started[-1]

    yield begin
    for cluster in started:
        cluster.stop()


def began(house: House) -> list[Path]:
    """One file for each time a kernel reached the cell that waits."""
    return sorted(house.root.glob("began-*"))


def numbers(house: House, name: str) -> list[tuple]:
    """What a sweep found, point by point, from its own manifest and from its points'."""
    found = []
    for point in house.manifest(name)["points"]:
        run = house.manifest(f"{name}/{point['folder']}")
        book = json.loads((house.runs / name / point["folder"] / "notebook.ipynb").read_text())
        outputs = [cell.get("outputs") for cell in book["cells"]]
        assert (house.runs / name / point["folder"] / "report.html").stat().st_size > 1000
        same = ("parameters", "overrides", "cells", "answer", "results", "claims", "versions")
        found.append((point["name"], point["results"], outputs, {k: run[k] for k in same}))
    return found


def test_a_worker_killed_in_the_middle_of_a_run_loses_nothing(house, sweep, start, ours):
    cluster = start()
    victim, _ = cluster.worker(), cluster.worker()
    (house.root / "hold").touch()
    runner = house.spawn(*sweep("-g", "n=1..2", "--name", "far", "--scheduler", cluster.address))
    house.wait_for(lambda: len(began(house)) == 2)
    kernels = ours()
    victim.send_signal(signal.SIGKILL)
    house.wait_for(lambda: len(ours() & kernels) == len(kernels) / 2)  # its kernel goes with it
    (house.root / "hold").unlink()
    output, errors = runner.communicate(timeout=120)
    assert runner.returncode == 0, output + errors
    assert output.count("succeeded") == 3 and errors == ""
    assert len(began(house)) == 3  # two, and the one that was made again
    code, *_ = house.call(*sweep("-g", "n=1..2", "--name", "near"))
    assert code == 0
    assert numbers(house, "far") == numbers(house, "near")
    far, near = (house.manifest(name) for name in ("far", "near"))
    told = ("grid", "fixed", "schema", "title", "status", "error", "versions", "device")
    assert {k: far[k] for k in told} == {k: near[k] for k in told}
    run = house.manifest(f"far/{far['points'][0]['folder']}")
    assert run["device"].pop("worker").startswith("tcp://127.0.0.1:")
    assert run["device"] == house.manifest(f"near/{near['points'][0]['folder']}")["device"]

    # What has not changed is not run again; a point's own failure is its own, and not retried.
    before = len(began(house))
    words = sweep("-g", "n=1", "-g", "act=no,fail", "--name", "far", "--jobs", "1")
    code, output, errors = house.call(*words, "--scheduler", cluster.address)
    assert code == 1, errors
    assert output.count("ValueError: unlucky number") == 2  # the point's, and the sweep's
    assert [p["status"] for p in house.manifest("far")["points"]] == ["succeeded", "failed"]
    assert len(began(house)) == before + 2


def test_ctrl_c_ends_the_kernels_and_keeps_what_is_finished(house, sweep, start, ours):
    cluster = start()
    cluster.worker()
    words = sweep("-g", "n=1..3", "--name", "far", "--scheduler", cluster.address)
    code, *_ = house.call(*sweep("-g", "n=1", "--name", "far", "--scheduler", cluster.address))
    assert code == 0
    report = next((house.runs / "far" / "points").glob("*/report.html")).read_bytes()
    (house.root / "hold").touch()
    runner = house.spawn(*words)
    house.wait_for(lambda: len(began(house)) == 2)
    runner.send_signal(signal.SIGINT)
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert errors.strip() == "channelwise: interrupted; the reports of before are still in place."
    house.wait_for(lambda: not ours(), seconds=20)  # though the worker lives on
    points = house.manifest("far")["points"]
    assert [p["status"] for p in points] == ["succeeded", "interrupted", "interrupted"]
    assert (house.runs / "far" / points[0]["folder"] / "report.html").read_bytes() == report
    assert len(list((house.runs / "far" / "points").iterdir())) == 1  # nothing half done


def test_data_that_workers_lack_is_sent_and_never_taken_from_another_file(house, sweep, start):
    cluster = start()
    data = house.root / "mine.txt"
    data.write_text("the right numbers")
    words = ("-g", "n=1", "--name", "far", "--scheduler", cluster.address, "-p", f"data={data}")
    runner = house.spawn(*sweep(*words))
    line = runner.stderr.readline()
    assert line.startswith(f"channelwise: the scheduler {cluster.address} has no worker yet")
    data.write_text("other numbers, where the worker is")
    cluster.worker()
    output, errors = runner.communicate(timeout=60)
    assert runner.returncode == 0, output + errors
    (point,) = house.manifest("far")["points"]
    assert point["results"][1]["value"] == "the right numbers"
    run = house.manifest(f"far/{point['folder']}")
    assert run["parameters"]["data"] == str(data)


def test_a_worker_with_another_library_is_refused_by_both_their_names(house, sweep, start):
    shutil.copytree(Path(channelwise.__file__).parent, house.root / "other" / "channelwise")
    changed = house.root / "other" / "channelwise" / "foundations" / "losses.py"
    changed.write_text(changed.read_text() + "\n# another version\n")
    cluster = start()
    cluster.worker()
    (house.root / "hold").touch()
    words = ("-g", "n=1..2", "--name", "far", "--scheduler", cluster.address)
    runner = house.spawn(*sweep(*words))
    house.wait_for(lambda: began(house))
    cluster.worker(PYTHONPATH=str(house.root / "other"))  # joins while the sweep is under way
    line = runner.stderr.readline()
    (house.root / "hold").unlink()
    output, errors = runner.communicate(timeout=60)
    assert runner.returncode == 0, output + errors
    assert [p["results"][0]["value"] for p in house.manifest("far")["points"]] == [2, 4]
    has = r"0\.1\.0 \(library (\w{8}), reports (\w{8})\)"
    pattern = rf"channelwise: the worker tcp:\S+ has channelwise {has}, this machine has {has}; "
    library, reports, our_library, our_reports = re.match(pattern, line).groups()
    assert library != our_library and reports == our_reports
    assert "start the worker again." in line
    assert errors == ""  # told once
    told = house.refused(*sweep(*words))  # and no sweep begins with such a worker
    assert told == line.strip()


def test_a_worker_without_channelwise_is_refused(house, sweep, start):
    (house.root / "none").mkdir()
    (house.root / "none" / "channelwise.py").touch()  # hides the package
    cluster = start()
    cluster.worker(PYTHONPATH=str(house.root / "none"))
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
    told = house.refused(*sweep("-g", "n=1..2", "--scheduler", cluster.address))
    assert "cannot run channelwise (ModuleNotFoundError(" in told
    assert "install channelwise 0.1.0 there and start the worker again." in told


def test_a_scheduler_that_ends_ends_the_sweep_and_a_deadly_point_is_given_up(house, sweep, start):
    cluster = start(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    victim = cluster.worker()
    (house.root / "hold").touch()
    words = ("-g", "n=1..2", "--name", "far", "--jobs", "1", "--scheduler", cluster.address)
    runner = house.spawn(*sweep(*words))
    house.wait_for(lambda: len(began(house)) == 1)
    victim.kill()
    cluster.worker()
    house.wait_for(lambda: len(began(house)) == 2)
    cluster.scheduler.kill()
    output, errors = runner.communicate(timeout=60)
    assert runner.returncode == 1, output + errors
    assert "Traceback" not in errors
    first, second = house.manifest("far")["points"]
    assert first["status"] == "kernel_died"
    assert "1 worker ended while making this point, the last one tcp:" in first["message"]
    assert second["status"] == "failed"
    assert f"The scheduler {cluster.address} ended before this point was" in second["message"]
    for point in (first, second):
        page = (house.runs / "far" / point["folder"] / "report.html").read_text()
        assert point["message"].split(";")[0][:40] in page


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "127.0.0.1:9", "fly://somewhere", "a b"])
def test_an_address_where_no_scheduler_answers_is_refused_in_seconds(
    house, sweep, address, monkeypatch
):
    monkeypatch.setattr(preflight, "CONNECT_S", 1.0)
    start = time.monotonic()
    told = house.refused(*sweep("-g", "n=1..2", "--scheduler", address))
    assert time.monotonic() - start < preflight.CONNECT_S + 10
    assert told.startswith(f"channelwise: no Dask scheduler answers at {address}; ")


def test_without_distributed_the_remedy_is_told(house, sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    told = house.refused(*sweep("-g", "n=1..2", "--scheduler", "tcp://127.0.0.1:9"))
    assert "pip install channelwise[dask]" in told


def test_data_too_large_to_send_is_refused_by_name(tmp_path, monkeypatch):
    place = tmp_path / "big.csv"
    place.write_text("12345678")
    monkeypatch.setattr(preflight, "LARGEST_SENT", 7)
    data = {"big.csv": (str(place), "a hash")}
    there = {"tcp://b": {"data": {str(place): "another"}}}
    with pytest.raises(preflight.UsageError, match=r"the worker tcp://b has another .*big\.csv"):
        preflight.data_to_send(data, there)
    assert preflight.data_to_send(data, {"tcp://b": {"data": {str(place): "a hash"}}}) == {}


def test_a_folder_of_data_arrives_as_it_was(tmp_path):
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "cat" / "1.png").write_bytes(b"\x00\x01")
    (tmp_path / "images" / "list.txt").write_text("one")
    place = tmp_path / "images"
    data = {"images": (str(place), remote.hashes.of_path(place))}
    sent = preflight.data_to_send(data, {})
    order = remote.Order({}, "n", b"", {}, data, None, {}, "t")
    there = Path(remote._place(tmp_path / "there", "images", order, sent, "tcp://b"))
    assert remote.hashes.of_path(there) == data["images"][1] and there != place
    assert remote._place(tmp_path / "there", "images", order, {}, "tcp://b") == str(place)
    sent["images"]["list.txt"] = b"two"
    with pytest.raises(remote.ProblemError, match="images changed while the sweep began"):
        remote._place(tmp_path / "there", "images", order, sent, "tcp://b")
    (place / "list.txt").write_text("two")
    with pytest.raises(remote.RefusedError, match="tcp://b has another file than this machine"):
        remote._place(tmp_path / "there", "images", order, {}, "tcp://b")
