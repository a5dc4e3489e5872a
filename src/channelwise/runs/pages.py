"""Pages: templates filled with escaped values, written whole or not at all."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from channelwise.notebook.outputs import short
from channelwise.runs.folder import write_text

STATUSES = {
    "succeeded": "Succeeded",
    "failed": "Failed",
    "kernel_died": "The kernel died",
    "timed_out": "Timed out",
    "interrupted": "Interrupted",
    "running": "Still running",
}


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fills a template and puts the page in its place in one step.

    Args:
      path: Where the page goes; a page that is there stays until the new one is whole.
      template: Name of a file in `templates`.
      **values: What the template shows; every value that is not `Markup` is escaped.
    """
    write_text(path, _environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("channelwise.runs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {
        "allowed": allowed,
        "chapter": chapter,
        "date": date,
        "duration": duration,
        "inline": inline,
        "in_words": lambda status: STATUSES.get(status, status),
        "machine": machine,
        "memory": memory,
        "short": shown,
        "tolerance": tolerance,
        "typeset": typeset,
        "value": value,
    }
    environment.filters.update(filters)
    style = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(_packed(style))
    return environment


def _packed(style: str) -> str:
    """A style sheet without its comments and the space between its rules."""
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    return re.sub(r"\s*([{};])\s*|\s*\n\s*", lambda m: m[1] or " ", style).strip()


def chapter(notebook: str) -> str:
    """A notebook's place in the book: `01_activations` is "Chapter 1"."""
    number = re.match(r"(\d+)_", notebook)
    if not number:
        return notebook
    return f"Chapter {int(number[1])}" if int(number[1]) else "Before the first chapter"


def date(moment: str | None) -> str:
    """An ISO time in UTC as people write it: 22 November 2026, 05:20 UTC."""
    if not moment:
        return ""
    parsed = datetime.fromisoformat(moment)
    return f"{parsed.day} {parsed:%B %Y, %H:%M} UTC"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 8.3 s, 2 min 5 s, 3 h 20 min."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def memory(megabytes: float | None) -> str:
    """Megabytes, from 1000 on gigabytes."""
    if megabytes is None:
        return ""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def machine(device: Mapping[str, Any] | None) -> str:
    """Where a run was computed: the accelerator if JAX used one, else processor cores."""
    if not device:
        return ""
    cores = device.get("cores")
    if device.get("platform") not in (None, "cpu"):
        count = device.get("count") or 1
        return f"{count} × {device['kind']}" if count > 1 else str(device["kind"])
    return f"{cores} processor core{'s' if cores != 1 else ''}" if cores else "CPU"


def value(item: Any) -> str:
    """A parameter's value as one types it after `-p name=`."""
    if item is None or isinstance(item, bool):
        return str(item)
    if isinstance(item, float):
        return f"{item:.12g}"
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def inline(text: str) -> Markup:
    """A line of plain text in which backticks mark code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def shown(item: Any) -> str:
    """A result's value with a few significant digits, powers of ten as people write them."""
    if isinstance(item, bool):
        return "yes" if item else "no"
    return item if isinstance(item, str) else typeset(short(item))


def typeset(number: str) -> str:
    """A number printed by a machine as a book prints it: −2.3 × 10⁷ for -2.3e+07."""
    number = number.replace("-", "−")
    power = re.fullmatch(r"(.+)e([+−]\d+)", number)
    if not power:
        return number
    exponent = power[2].lstrip("+").replace("−0", "−").lstrip("0")
    return Markup("{} × 10<sup>{}</sup>").format(power[1], exponent)


def allowed(parameter: Mapping[str, Any]) -> str:
    """What a parameter may be: its choices, or else its type and range."""
    if parameter.get("choices"):
        return ", ".join(value(choice) for choice in parameter["choices"])
    return ", ".join(part for part in (parameter.get("type"), parameter.get("range")) if part)


def tolerance(result: Mapping[str, Any]) -> str:
    """Within what a rerun must agree: ± 5 %, ± 0.02, or exactly."""
    if isinstance(result["value"], str | bool):
        return "exact"
    rtol, atol = result["rtol"], result["atol"]
    parts = [f"{100 * rtol:.3g} %"] if rtol else []
    parts += [f"{atol:.3g}"] if atol else []
    return "± " + " ± ".join(parts) if parts else "exact"
