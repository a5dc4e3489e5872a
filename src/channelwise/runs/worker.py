"""The process that executes notebooks and renders reports, one request at a time.

Started as `python -m channelwise.runs.worker`. It reads requests from its standard input, one JSON
object a line, and writes events to its standard output, likewise:

    {"do": "execute", "notebook", "to", "parameters", "cwd"}   →  kernel, cell …, done
    {"do": "render", "folder", "what"}                         →  done

The runner that started it keeps the clock, reads the events, and writes the manifest. So whatever
kills a kernel or this process, someone is left to tell.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

# What papermill and nbformat load if it is there, and notebooks on disk never need: grammars of
# international addresses and of durations, and Hadoop's file system. It would cost 1.5 seconds.
for _unneeded in ("rfc3987_syntax", "isoduration", "pyarrow"):
    sys.modules.setdefault(_unneeded, None)  # type: ignore[arg-type]


def main() -> None:
    """Serves requests until the standard input ends."""
    from channelwise.runs.kernel import end_with_parent, environment

    end_with_parent()
    os.environ.update(environment())
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # whatever prints, prints to stderr; the events stay alone
    for line in sys.stdin:
        request = json.loads(line)
        try:
            done = _DO[request["do"]](request, events)
        except Exception as error:
            done = _unexpected(error)
        _send(events, {"event": "done", **done})


def execute(request: dict[str, Any], events: TextIO) -> dict[str, Any]:
    """Executes a notebook with papermill; what its cells printed is saved cell by cell."""
    from channelwise.runs.engine import run_notebook

    return run_notebook(request, lambda event: _send(events, event))


def render(request: dict[str, Any], events: TextIO) -> dict[str, Any]:
    """Writes the report of a run's folder."""
    from channelwise.runs import report

    report.render(Path(request["folder"]))
    return {"status": "succeeded", "error": None}


_DO = {"execute": execute, "render": render}


def _unexpected(error: Exception) -> dict[str, Any]:
    import traceback

    traceback.print_exc()
    ename, evalue = type(error).__name__, str(error)
    return {
        "status": "failed",
        "error": {
            "cell": None,
            "ename": ename,
            "evalue": evalue,
            "strerror": getattr(error, "strerror", None),
        },
    }


def _send(events: TextIO, event: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        events.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main()
