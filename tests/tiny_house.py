"""A small project with one quick notebook, and the command line called in it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channelwise import cli

MARK = "CHANNELWISE_TESTED_IN"

PARAMETERS = """\
n: Annotated[int, Field(ge=1, le=200)] = 20  # how many
rate: Annotated[float, Field(gt=0)] = 0.5  # step size
kind: Literal["plain", "fancy"] = "plain"  # sort of thing
title: str = "a title"  # any text
data: Path | None = None  # your file
sizes: list[int] = [1, 2]  # several numbers
wait: float = 0.0  # seconds to sleep
act: str = ""  # what to do in the second section
"""

CELLS = [
    ("markdown", "# Tiny *book*\n\n**Question.** How much is it?\n\nFor nobody."),
    (
        "code",
        "from pathlib import Path\n"
        "from typing import Annotated, Literal\n"
        "from pydantic import Field",
    ),
    ("code", PARAMETERS, "parameters"),
    ("code", "from channelwise.notebook import answer, record, start\nstart(globals())"),
    ("markdown", "## First part"),
    ("code", "record('double', 2 * n, rtol=0.1, unit='pieces', meaning='twice n')\nprint(title)"),
    ("markdown", "## Second part"),
    (
        "code",
        "import os, signal, sys, time\n"
        "if act == 'fail': raise ValueError('unlucky number')\n"
        "if act == 'die': os.kill(os.getpid(), signal.SIGKILL)\n"
        "if act == 'warn': print('careful', file=sys.stderr)\n"
        "time.sleep(wait)",
    ),
    ("code", "answer(f'It is **{2 * n}**.')"),
    ("code", "raise SystemError('explore cells stay out of headless runs')", "explore"),
]


def write_notebook(path: Path, cells: list[tuple] = CELLS) -> Path:
    """Writes a notebook of (kind, source[, tag]) cells."""
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    for index, (kind, source, *tags) in enumerate(cells):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell{index}", "source": source}
        cell["metadata"] = {"tags": tags} if tags else {}
        if kind == "code":
            cell |= {"outputs": [], "execution_count": None}
        book["cells"].append(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(book, indent=1), encoding="utf-8")
    return path


@dataclass
class House:
    """A project in a temporary folder, and the command line in it."""

    root: Path
    capture: pytest.CaptureFixture

    @property
    def runs(self) -> Path:
        return self.root / "reports" / "01_tiny"

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a command, called in this process."""
        self.capture.readouterr()
        try:
            code = cli.main(arguments)
        except SystemExit as end:  # argparse
            code = end.code
        return code, *self.capture.readouterr()

    def refused(self, *arguments: str) -> str:
        """The one sentence with which a command is refused, having written nothing."""
        before = self.listing()
        code, output, errors = self.call(*arguments)
        assert code == 2, (output, errors)
        assert output == ""
        assert "Traceback" not in errors
        assert self.listing() == before
        return errors.strip()

    def listing(self) -> dict[str, bytes | None]:
        """Every path of the project with its content."""
        return {
            p.relative_to(self.root).as_posix(): p.read_bytes() if p.is_file() else None
            for p in sorted(self.root.rglob("*"))
        }

    def manifest(self, name: str = "default") -> dict[str, Any]:
        return json.loads((self.runs / name / "manifest.json").read_text(encoding="utf-8"))

    def spawn(self, *arguments: str) -> subprocess.Popen:
        """A command in a process of its own, to be killed."""
        return subprocess.Popen(
            [sys.executable, "-m", "channelwise.cli", *arguments],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, what: Callable[[], Any], seconds: float = 120.0) -> Any:
        """Waits until something is true and returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError("it did not happen in time")


def is_ours(process: Path, root: Path) -> bool:
    """Whether a process, a folder of /proc, is a worker or kernel started by a test there."""
    try:
        command = (process / "cmdline").read_bytes()
        environment = (process / "environ").read_bytes()
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    mark = f"{MARK}={root}".encode()
    return state not in "ZX" and b"channelwise.runs." in command and mark in environment
