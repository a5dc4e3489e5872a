"""A run takes its place whole or not at all, whatever the disk does."""

import errno
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from channelwise.runs.errors import UsageError
from channelwise.runs.folder import RunFolder, write_text


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_text(path, "first")
    assert path.read_text() == "first"

    def full(self, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "second")
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_run_takes_the_place_of_the_last_one_and_clears_its_failure(tmp_path):
    folder = RunFolder(tmp_path / "book", "x")
    folder.acquire()
    for text, good in (("a", True), ("b", False), ("c", True)):
        folder.begin()
        (folder.running / "page").write_text(text)
        folder.keep() if good else folder.keep_failed()
        assert (folder.failed / "page").exists() == (not good)
    assert (folder.final / "page").read_text() == "c"
    folder.release()
    assert [p.name for p in (tmp_path / "book").iterdir()] == ["x"]


def test_the_lock_is_free_again_after_a_release(tmp_path):
    first, second = RunFolder(tmp_path, "x"), RunFolder(tmp_path, "x")
    first.acquire()
    with pytest.raises(UsageError, match="is being run by another process right now"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_many_processes_at_once_never_hold_the_lock_together(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == ["40"] * 4
    assert not (tmp_path / "overlap").exists()


HOLD = """
import os, sys
from pathlib import Path
from channelwise.runs.errors import UsageError
from channelwise.runs.folder import RunFolder

base, taken = Path(sys.argv[1]), 0
while taken < 40:
    folder = RunFolder(base, "x")
    try:
        folder.acquire()
    except UsageError:
        continue
    try:
        os.close(os.open(base / "inside", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        (base / "overlap").touch()
    else:
        (base / "inside").unlink()
    taken += 1
    folder.release()
print(taken)
"""


def test_a_disk_that_fills_up_leaves_the_last_good_report(lived_in, ours):
    """No file may grow beyond 3 kB: the notebook does, and cannot be saved."""
    before = lived_in.listing()
    runner = lived_in.spawn("run", "01", "--name", "default", "-p", "n=9")
    resource.prlimit(runner.pid, resource.RLIMIT_FSIZE, (3000, 3000))  # while it still imports
    output, errors = runner.communicate(timeout=60)
    assert runner.returncode in (1, 2)
    assert "Traceback" not in errors
    assert "cannot be written: File too large; free some space" in output + errors
    after = lived_in.listing()
    good = {path: text for path, text in before.items() if "/default/" in path}
    assert good.items() <= after.items()
    assert not [path for path in after if ".running" in path or ".lock" in path]
    code, output, _ = lived_in.call("run", "01", "--name", "default", "-p", "n=9")
    assert code == 0, output


def test_a_full_disk_leaves_the_last_good_report(house, good_run, ours):
    """A file system of 200 kB, really full."""
    disk = house.root / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        code, output, errors = house.call("run", "01", "--out", str(disk))
        assert code == 0, output + errors
        report = disk / "01_tiny" / "default" / "report.html"
        before = report.read_bytes()
        _fill(disk / "filler")
        code, output, errors = house.call(
            "run", "01", "--out", str(disk), "--name", "default", "-p", "n=9"
        )
        assert code in (1, 2)
        assert "No space left on device; free some space" in output + errors
        assert report.read_bytes() == before
        (disk / "filler").unlink()
        code, output, errors = house.call(
            "run", "01", "--out", str(disk), "--name", "default", "-p", "n=9"
        )
        assert code == 0, output + errors
        assert report.read_bytes() != before
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError:
            return
