"""Executed notebooks and manifests made by hand: what the pages' tests render."""

import base64
import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from channelwise.notebook import figures

ATTACK = "<script>alert(1)</script>"

INTRO = r"""# Activations and vanishing gradients

**Question.** Why does a 20-layer sigmoid net learn nothing, and which number predicts it?

Whoever trains a deep net needs to know before training whether the gradient will reach the
first layer.

**Knobs that matter.** `depth`, `activation` and `weight_scale`."""

MAP = r"""## The variance map

A layer of weights with variance $\sigma_w^2/n$ sends the mean square $q$ of its input to

$$q \mapsto \sigma_w^2\,\mathbb{E}[\phi(\sqrt{q}\,z)^2], \qquad z \sim \mathcal{N}(0, 1),$$

and the gradient's mean square is multiplied, *layer by layer*, by

$$
\begin{aligned}
\chi &= \sigma_w^2\,\mathbb{E}\left[\phi'(\sqrt{q}\,z)^2\right] \\
     &= \sigma_w^2 \int_{-\infty}^{\infty} \phi'(\sqrt{q}\,z)^2 \frac{e^{-z^2/2}}{\sqrt{2\pi}}\,dz.
\end{aligned}
$$

**Predict first.** With $\chi = 0.0557$, how much of the gradient is left after 20 layers? Is it
$\chi^{10}$, or less? It costs from $5 to $6 to find out on a rented machine.

| activation | $\mathbb{E}[\phi^2]$ | gain |
|:--|--:|--:|
| relu | 0.5000 | $\sqrt{2}$ |
| tanh | 0.3943 | 1.5925 |

> A sentence worth a frame: depth multiplies, it does not add.

1. First `w * x` and `a * b`, with *emphasis* kept out of $w_{i} * x_{j} * y_{k}$.
2. Then $\log p_{\max} - \max_{k} z_k$."""

CODE = """depths = np.arange(1, depth + 1)
measured = gradient_norms(key, depth, width, activation, weight_scale)
predicted = np.sqrt(chi) ** depths  # one factor a layer

fig, ax = figures.new()
ax.semilogy(depths, measured, label="measured")
ax.semilogy(depths, predicted, color=figures.MUTED, label="predicted")
ax.set(title="The gradient falls on the predicted line", xlabel="layer", ylabel="norm")
figures.show(fig, alt="Line chart.")"""


def code(source: str, *outputs: dict, tags: tuple[str, ...] = (), ran: bool = True) -> dict:
    """A code cell, executed unless said otherwise."""
    cell = {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source}
    return cell | {"execution_count": 1 if ran else None, "outputs": list(outputs)}


def text(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def shows(data: dict[str, Any], **metadata: Any) -> dict:
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def prints(words: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": words}


def result(name: str, value: Any, unit: str = "", meaning: str = "", rtol: float = 1e-3) -> dict:
    row = {"name": name, "value": value, "rtol": rtol, "atol": 0.0, "unit": unit}
    return row | {"meaning": meaning}


def records(row: dict) -> dict:
    return shows({"application/vnd.channelwise.record+json": row, "text/plain": row["name"]})


@cache
def drawing(kind: str = "lines") -> str:
    """A figure as the notebooks draw them, in base64."""
    figures.apply_style()
    x = np.arange(1, 21)
    if kind == "map":
        fig, ax = figures.new(height=3.4)
        image = ax.imshow(np.add.outer(np.sin(x / 4), np.cos(x / 3)), aspect="auto")
        fig.colorbar(image, ax=ax, label="log gradient norm")
        ax.grid(visible=False)
    else:
        fig, ax = figures.new()
        for factor, color in zip((0.236, 0.5, 0.8, 0.95), figures.COLORS, strict=False):
            ax.semilogy(x, factor**x, "o-", markersize=4, color=color, label=f"factor {factor}")
        ax.semilogy(x, 0.25**x, color=figures.MUTED, linestyle="--", label="the popular 0.25ⁿ")
        ax.legend()
    ax.set(title="The gradient falls on the predicted line", xlabel="layer", ylabel="norm")
    return base64.b64encode(figures.png(fig)).decode()


def figure(alt: str = "Four falling lines, each straight.", kind: str = "lines") -> dict:
    return shows({"image/png": drawing(kind)}, **{"image/png": {"alt": alt, "width": 720}})


CLAIMS = [
    {
        "number": 1,
        "source": "000 §4.1",
        "claim": "sigmoid([-1, 0, 1]) = [0.26894142, 0.5, 0.73105858]",
        "recomputed": "[0.26894142, 0.5, 0.73105858]",
        "holds": True,
        "why": "the same to eight digits",
    },
    {
        "number": 2,
        "source": "000 §4.1",
        "claim": "np.max([0, x]) prints [0 0 1]",
        "recomputed": "raises ValueError (ragged array)",
        "holds": False,
        "why": "np.max reduces; np.maximum works element by element",
    },
    {
        "number": "P1",
        "source": "UvA tutorial 4",
        "claim": "tanh with Xavier: the variance “will stabilize around 0.25”",
        "recomputed": "0.129, 0.058 and 0.0047 at layers 5, 10 and 100",
        "holds": False,
        "why": "it decays as 1/(2l)",
    },
]
RESULTS = [
    result("chi_sigmoid", 0.0557, meaning="gradient factor of a sigmoid layer at gain 1"),
    result("gradient_left", 3.1e-13, meaning="gradient left after 20 layers", rtol=0.05),
    result("best_activation", "relu", meaning="the activation that trains at this depth"),
    result("saturated", 12.5, "% of units", "units whose slope is below 0.01", 0.02),
]
ANSWER = (
    "Each sigmoid layer multiplies the gradient by **0.236**, so after 20 layers $3.1 \\cdot "
    "10^{-13}$ of it is left. The number that predicts it is $\\chi = 0.0557$, computed before "
    "training. At $\\chi = 1$ the net trains."
)
TABLE = {
    "caption": "Second moments at a standard normal input",
    "columns": ["activation", "E[φ²]", "gain", *(f"depth {d}" for d in range(10, 120, 10))],
    "rows": [
        ["relu", "0.5", "1.414", *["1"] * 11],
        [f"{ATTACK}", "0.3943", "1.592", *["0.9131"] * 11],
    ],
    "compare": True,
}


def chapter() -> list[dict]:
    """The cells of a good run of a chapter, everything in it that a report can show."""
    return [
        text(INTRO),
        code("from pathlib import Path\nfrom typing import Annotated, Literal"),
        code("depth: int = 20  # layers stacked", tags=("parameters",)),
        code("depth = 30", tags=("injected-parameters",)),
        code("from channelwise.notebook import start\n\nstart(globals())"),
        text(MAP),
        code(CODE, prints("width 512, 32 seeds\n"), figure()),
        text("The measured norm lies within 2 % of the line. See [the paper](https://arxiv.org)."),
        code("record(...)", *(records(row) for row in RESULTS)),
        text("## Depth times gain\n\nOnly a thin ridge trains."),
        code("figures.show(fig, alt=...)", figure("A map with one bright ridge.", kind="map")),
        code("table(frame, caption=...)", table_output(), prints("careful\n", "stderr")),
        code("frame", shows({"text/html": hostile_html(), "text/plain": "frame"})),
        text("## The claims, recomputed"),
        code(
            "claims(rows)", shows({"application/vnd.channelwise.claims+json": {"claims": CLAIMS}})
        ),
        code(
            "answer(...)", shows({"application/vnd.channelwise.answer+json": {"markdown": ANSWER}})
        ),
        text("## Conclusion\n\nTry `depth = 100`.\n\n```python\nrun(depth=100)\n```"),
        code("explore(draw, globals(), ['depth'])", tags=("explore", "nbval-skip"), ran=False),
    ]


def table_output() -> dict:
    return shows({"application/vnd.channelwise.table+json": TABLE, "text/plain": "table"})


def hostile_html() -> str:
    return (
        "<style>td {color: red}</style><table onclick='steal()'><tr><th scope='row'>a</th>"
        f"<td style='position:fixed'>{ATTACK}<img src='http://evil.example/x.png' onerror='go()'>"
        "<a href='javascript:go()'>link</a><b>bold</b></td></tr></table>"
        "<iframe src='http://evil.example'></iframe>"
    )


def manifest(**changes: Any) -> dict[str, Any]:
    """A good run's manifest."""
    schema = [
        parameter("depth", "integer", "1 to 200", 20, 30, "layers stacked"),
        parameter("weight_scale", "number", "above 0", 1.0, 1.0, "σ_w, in units of 1/√n"),
        parameter("activation", "text", "", "sigmoid", "sigmoid", "nonlinearity under study")
        | {"choices": ["sigmoid", "tanh", "relu", "gelu"]},
        parameter("data", "path or none", "", None, None, f"your CSV; {ATTACK}"),
    ]
    run = {
        "format": 1,
        "kind": "run",
        "notebook": "01_activations",
        "source": "notebooks/01_activations.ipynb",
        "title": "Activations and vanishing gradients",
        "question": "Why does a 20-layer sigmoid net learn nothing, and which number predicts it?",
        "name": "default",
        "status": "succeeded",
        "error": None,
        "pid": 1,
        "started": "2026-11-22T05:20:11Z",
        "finished": "2026-11-22T05:20:19Z",
        "parameters": {"depth": 30, "weight_scale": 1.0, "activation": "sigmoid", "data": None},
        "overrides": {"depth": 30},
        "parameter_set": None,
        "schema": schema,
        "seed": 0,
        "cells": {"total": 12, "executed": 12},
        "results": [row | {"cell": 8} for row in RESULTS],
        "claims": [row | {"cell": 14} for row in CLAIMS],
        "answer": ANSWER,
        "warnings": [{"cell": 11, "text": "careful: 3 units are dead"}],
        "versions": {"python": "3.11.2", "channelwise": "0.1.0", "jax": "0.10.2", "flax": None},
        "device": {"platform": "cpu", "kind": "cpu", "count": 1, "machine": "Linux", "cores": 2},
        "cost": {"wall_s": 8.31, "cpu_s": 9.02, "peak_memory_mb": 312.4},
        "hashes": {
            "notebook": "5f" * 32,
            "parameters": "a0" * 32,
            "library": "c3" * 32,
            "report": "9e" * 32,
            "data": {"data": {"path": f"my {ATTACK}.csv", "sha256": "11" * 32}},
        },
        "command": "channelwise run 01_activations -p depth=30",
    }
    return run | copy.deepcopy(changes)


def parameter(name: str, kind: str, span: str, default: Any, value: Any, meaning: str) -> dict:
    row = {"name": name, "type": kind, "range": span, "choices": None, "default": default}
    return row | {"value": value, "changed": value != default, "meaning": meaning}


def sweep(grid: dict[str, list], results: Any, **changes: Any) -> dict[str, Any]:
    """A sweep's manifest: `results` gives the recorded rows of each point, None a failed one."""
    points: list[dict[str, Any]] = [{}]
    for name, values in grid.items():
        points = [point | {name: value} for point in points for value in values]
    rows = [point_row(index, point, results(**point)) for index, point in enumerate(points)]
    base = manifest(kind="sweep", name="sweep-3fa9c1")
    base |= {"grid": grid, "fixed": {"width": 64}, "points": rows}
    base["command"] = "channelwise sweep 01_activations -g depth=10,20"
    return base | changes


def point_row(index: int, parameters: dict, rows: list[dict] | None) -> dict[str, Any]:
    good = rows is not None
    name = f"point{index:03}"
    return {
        "name": name,
        "folder": f"points/{name}" + ("" if good else ".failed"),
        "parameters": parameters,
        "status": "succeeded" if good else "failed",
        "message": None if good else f"Cell 7 raised ValueError: {ATTACK}",
        "results": [row | {"cell": 3} for row in rows or ()],
        "cost": {"wall_s": 3.25, "cpu_s": 3.0, "peak_memory_mb": 300.0},
    }


def write(folder: Path, run: dict[str, Any], cells: list[dict] | None = None) -> Path:
    """Puts a manifest, and a notebook if there are cells, into a folder as the runner would."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(run), encoding="utf-8")
    if cells is not None:
        book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
        (folder / "notebook.ipynb").write_text(json.dumps(book), encoding="utf-8")
    return folder
