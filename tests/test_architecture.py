"""Who may know whom: the arrows between the library's wings, read from its imports."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "channelwise"
ALLOWED = {
    "foundations": set(),
    "learning": {"foundations"},
    "response": set(),
    "decisions": {"response"},
    "venture": {"decisions", "learning"},
    "notebook": set(),
    "runs": {"notebook"},
}
"""Each wing and the other wings it may import; `cli` may import all of them."""


def imported_modules(path: Path) -> set[str]:
    """The `channelwise.…` modules a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} line {node.lineno}: import by full name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "channelwise"}


def wing(module: str) -> str:
    return module.split(".")[1]


def modules() -> list[Path]:
    return sorted(p for p in SOURCE.rglob("*.py") if p.parent != SOURCE)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_the_wings_it_may_know(path):
    own = path.relative_to(SOURCE).parts[0]
    others = {wing(m) for m in imported_modules(path) if "." in m} - {own, "__version__"}
    assert others <= ALLOWED[own], f"{path.name} may not import {others - ALLOWED[own]}"


def test_no_module_runs_a_pickle():
    named = ("pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve")
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
                assert not set(names) & set(named), f"{path.name} imports {names}"


def test_modules_of_one_wing_do_not_import_each_other_in_circles():
    graph = {}
    for path in modules():
        name = "channelwise." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        graph[name.removesuffix(".__init__")] = imported_modules(path)
    resolved = {
        name: {m if m in graph else m.rpartition(".")[0] for m in targets} & graph.keys() - {name}
        for name, targets in graph.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join([*above, name])
        if name not in done:
            for target in resolved[name]:
                visit(target, (*above, name))
            done.add(name)

    for name in resolved:
        visit(name, ())
