"""A small project with one quick notebook, for the tests of runs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tiny_house import MARK, House, is_ours, write_notebook


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> House:
    """An empty project with one notebook; the current folder is its root."""
    write_notebook(tmp_path / "notebooks" / "01_tiny.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(MARK, str(tmp_path))
    return House(tmp_path, capsys)


@pytest.fixture(scope="session")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which `channelwise run 01` has succeeded once, for tests to copy."""
    root = tmp_path_factory.mktemp("good")
    write_notebook(root / "notebooks" / "01_tiny.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "channelwise.cli", "run", "01_tiny"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def lived_in(house: House, good_run: Path) -> House:
    """The project with its good run in place."""
    shutil.copytree(good_run / "reports", house.root / "reports")
    return house


@pytest.fixture
def ours(house: House) -> Iterator[Callable[[], set[int]]]:
    """Gives the workers and kernels alive that this test started; fails if it leaves one."""

    def alive() -> set[int]:
        return {int(p.name) for p in Path("/proc").glob("[0-9]*") if is_ours(p, house.root)}

    yield alive
    end = time.monotonic() + 5.0
    while alive() and time.monotonic() < end:
        time.sleep(0.05)
    left = alive()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
