"""A chapter in a real JupyterLab: run all, no error, move a slider, the figure changes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import chromium

CHAPTER = Path(__file__).parents[2] / "notebooks" / "01_activations.ipynb"
STATE = """() => {
  const app = window.jupyterapp;
  const panel = app && app.shell && app.shell.currentWidget;
  if (!panel || !panel.content || !panel.content.model) return null;
  const cells = Array.from(panel.content.model.cells).filter((c) => c.type === 'code');
  const outputs = cells.flatMap((c) => c.toJSON().outputs);
  return {
    kernel: panel.sessionContext.kernelDisplayStatus,
    waiting: cells.filter((c) => c.executionCount === null).length,
    errors: outputs.filter((o) => o.output_type === 'error').map((o) => o.evalue),
    widgets: outputs.filter((o) => o.data &&
      'application/vnd.jupyter.widget-view+json' in o.data).length,
  };
}"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab serving a copy of the chapter, on the loopback only."""
    shutil.copy(CHAPTER, tmp_path)
    options = {
        "ip": "127.0.0.1",
        "port": 0,
        "token": "",
        "open_browser": False,
        "root_dir": str(tmp_path),
        "allow_root": True,
    }
    command = [sys.executable, "-m", "jupyterlab", "--LabApp.expose_app_in_browser=True"]
    command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(tmp_path / "settings")
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(tmp_path / "workspaces")
    log = (tmp_path / "lab.log").open("w+")
    server = subprocess.Popen(
        command, stdout=log, stderr=log, env=environment, start_new_session=True
    )
    try:
        yield address(server, Path(log.name))
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        log.close()


def address(server: subprocess.Popen, log: Path, patience: float = 60) -> str:
    """The server's address, read from its log once it answers."""
    end = time.monotonic() + patience
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            with urllib.request.urlopen(f"{found[0]}/api", timeout=patience):
                return found[0]
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")


def wait_for(page, condition, patience: float = 180) -> dict:
    """Polls the notebook's state until the condition holds."""
    end = time.monotonic() + patience
    state = None
    while time.monotonic() < end:
        state = page.evaluate(STATE)
        if state and condition(state):
            return state
        time.sleep(0.3)
    raise AssertionError(f"JupyterLab did not get there; its last state was {state}")


def test_chapter_1_runs_in_jupyterlab_and_its_slider_redraws_the_figure(lab):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{lab}/lab/tree/{CHAPTER.name}", wait_until="domcontentloaded")
        wait_for(page, lambda s: s["kernel"] == "idle")
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        done = wait_for(
            page,
            lambda s: s["errors"] or (s["kernel"] == "idle" and not s["waiting"] and s["widgets"]),
        )
        assert done["errors"] == []

        figure = page.locator(".cw-explore")
        figure.wait_for(timeout=30_000)
        before = figure.get_attribute("src")
        handle = page.locator(".noUi-handle").first
        handle.focus()
        began = time.monotonic()
        handle.press("ArrowRight")
        page.wait_for_function(
            "before => document.querySelector('.cw-explore').src !== before", arg=before
        )
        assert time.monotonic() - began < 10
        assert wait_for(page, lambda s: s["kernel"] == "idle")["errors"] == []
