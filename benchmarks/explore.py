"""How long a slider's redraw takes in every chapter: drawing the figure and packing its PNG.

    python benchmarks/explore.py        (in the project's own environment, about two minutes)

Each notebook runs in a kernel of its own; then its Explore figure is drawn ten times. The goal is
200 ms.
"""

import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
TIMING = """
import time as _time

from channelwise.notebook import figures as _figures


def _redraw():
    began = _time.perf_counter()
    values = {{name: globals()[name] for name in {names}}}
    _figures.png({draw}(**values), dpi=100, small=False)
    return (_time.perf_counter() - began) * 1e3


_times = sorted(_redraw() for _ in range(10))
print(f"{{_times[5]:.0f}} {{_times[0]:.0f}}")
"""


def main() -> None:
    """Prints a Markdown table: the median and the fastest of ten redraws."""
    print("| chapter | median ms | fastest ms |\n|---|---|---|")
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        call = r"explore\(\s*(\w+),\s*globals\(\),\s*(\[[^\]]*\])"
        draw, names = re.search(call, notebook.cells[-1].source).groups()
        timing = TIMING.format(draw=draw, names=names)
        notebook.cells.append(nbformat.v4.new_code_cell(timing))
        NotebookClient(notebook, kernel_name="python3", timeout=600).execute()
        median, fastest = notebook.cells[-1].outputs[0].text.split()
        print(f"| {path.stem} | {median} | {fastest} |", flush=True)


if __name__ == "__main__":
    main()
