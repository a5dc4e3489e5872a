"""pyproject.toml, the lock file and environment.yml name the same packages."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()


def test_conda_asks_for_what_pyproject_asks_for():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {d.replace(" ", "") for d in listed if isinstance(d, str)} - {"pip", "make"}
    assert conda == {*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"}


@pytest.mark.parametrize(
    "wanted", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
)
def test_the_lock_satisfies_every_requirement(wanted):
    requirement = Requirement(wanted)
    name = re.escape(requirement.name.replace("_", "-"))
    locked = re.findall(rf"^{name}==(\S+)", LOCK, flags=re.MULTILINE)
    assert locked, f"{requirement.name} is not in requirements.lock; run `make lock`"
    assert all(requirement.specifier.contains(Version(v)) for v in locked)


def test_every_package_the_library_imports_is_declared():
    distributions = packages_distributions()
    extras = PROJECT["optional-dependencies"]
    named = PROJECT["dependencies"] + [d for e in extras if e != "test" for d in extras[e]]
    declared = {Requirement(d).name.lower().replace("_", "-") for d in named}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            roots = {n.partition(".")[0] for n in names} - {"channelwise"}
            for name in roots - set(sys.stdlib_module_names):
                offered = {d.lower().replace("_", "-") for d in distributions[name]}
                known = declared | {"cycler"}  # matplotlib's own
                assert offered & known, f"{path.name} imports {name}, from {offered}"


def test_every_locked_package_has_hashes_and_no_index_is_named():
    blocks = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) > 100
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in LOCK
    assert "--index" not in LOCK
