"""One bar on a terminal's last line, for all that is running."""

import shutil
import sys
import time
from io import TextIOBase
from typing import Any

_WIDTH = 24


class Progress:
    """Shows how far the runs are; silent where nobody watches.

    Args:
        total: The number of runs.
        stream: Where to draw; only a terminal is drawn on.
    """

    def __init__(self, total: int, stream: TextIOBase | None = None) -> None:
        self.stream = stream or sys.stderr
        self.on = self.stream.isatty()
        self.total, self.finished = total, 0
        self.began = time.monotonic()
        self.running: dict[str, tuple[str, int, int]] = {}
        self.shown = ""

    def begin(self, label: str, request: dict[str, Any]) -> None:
        """A run has begun, or its report is being written."""
        starting = request["do"] == "execute"
        self.running[label] = ("starting", 0, 1) if starting else ("writing the report", 1, 1)

    def cell(self, label: str, done: int, total: int) -> None:
        """A run's next cell has begun, with `done` cells behind it."""
        self.running[label] = (f"cell {done + 1} of {total}", done, total)

    def end(self, label: str) -> None:
        """A run is over."""
        self.running.pop(label, None)
        self.finished += 1

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        self.clear()
        print(line, flush=True)

    def draw(self) -> None:
        """Draws the bar."""
        if not self.on or not self.running:
            return
        label, (what, _, _) = next(iter(self.running.items()))
        behind = self.finished + sum(done / n for _, done, n in self.running.values())
        filled = int(_WIDTH * min(behind / max(self.total, 1), 1.0))
        runs = f"{self.finished} of {self.total} runs  " if self.total > 1 else ""
        more = f" and {len(self.running) - 1} more" if len(self.running) > 1 else ""
        seconds = int(time.monotonic() - self.began)
        text = (
            f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {runs}{label} {what}{more}  "
            f"{seconds // 60}:{seconds % 60:02d}"
        )
        text = text[: shutil.get_terminal_size().columns - 1]
        if text != self.shown:
            self.stream.write(f"\r\x1b[2K{text}")
            self.stream.flush()
            self.shown = text

    def clear(self) -> None:
        """Takes the bar away."""
        if self.on and self.shown:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self.shown = ""
