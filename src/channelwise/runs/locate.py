"""Where things are: notebooks, their parameter sets, the folder of reports, names of runs."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import channelwise
from channelwise.runs.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_RESERVED = (".failed", ".running", ".lock", ".old")


@dataclass(frozen=True)
class Project:
    """The folders a command works with.

    Attributes:
        notebooks: The folder of notebooks.
        params: The folder of parameter sets, `<notebook>/<set>.yaml`.
        reports: The folder of finished runs, `<notebook>/<name>/`.
    """

    notebooks: Path
    params: Path
    reports: Path

    @classmethod
    def find(cls, notebooks: Path | None = None, reports: Path | None = None) -> "Project":
        """The project around the current folder, else the checkout this package runs from.

        Args:
            notebooks: The folder of notebooks, if the user names one.
            reports: The folder for reports, if the user names one.

        Raises:
            UsageError: if no folder of notebooks is found.
        """
        folder = notebooks.resolve() if notebooks else _search()
        if not folder.is_dir():
            raise UsageError(
                f"the notebook folder {folder} does not exist; check --notebooks, or change into "
                "the project's folder."
            )
        root = folder.parent if folder.name == "notebooks" else Path.cwd()
        return cls(folder, root / "params", reports.resolve() if reports else root / "reports")

    def word(self, notebook: Path) -> str:
        """What to type for a notebook, from anywhere in the project."""
        return notebook.stem if self.notebooks.name == "notebooks" else str(notebook)

    def all_notebooks(self) -> list[Path]:
        """Every notebook of the folder, in the order of their names."""
        return sorted(p for p in self.notebooks.glob("*.ipynb") if not p.name.startswith("."))

    def notebook(self, text: str) -> Path:
        """The notebook meant by a name, a file name, a path, or an unambiguous beginning.

        Raises:
            UsageError: if there is none, or several; the nearest name is offered.
        """
        path = Path(text)
        if path.suffix == ".ipynb" and path.is_file():
            return path.resolve()
        known = {p.stem: p for p in self.all_notebooks()}
        stem = path.name.removesuffix(".ipynb")
        if stem in known and path.parent == Path():
            return known[stem]
        matches = [name for name in known if name.startswith(stem) and path.parent == Path()]
        if len(matches) == 1 and stem:
            return known[matches[0]]
        if len(matches) > 1 and stem:
            raise UsageError(f"{text} may be {', '.join(matches)}; write more of the name.")
        near = difflib.get_close_matches(stem, list(known), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}."
        raise UsageError(f"there is no notebook {text} in {self.notebooks}; {hint}")

    def parameter_sets(self, notebook: Path) -> list[Path]:
        """The parameter sets that belong to a notebook."""
        return sorted((self.params / notebook.stem).glob("*.yaml"))

    def parameter_set(self, text: str, notebook: Path) -> Path:
        """The parameter file meant by a path, or by the bare name of one of the notebook's sets.

        Raises:
            UsageError: if there is none; the notebook's own sets are listed.
        """
        if Path(text).is_file():
            return Path(text)
        sets = {p.stem: p for p in self.parameter_sets(notebook)}
        if text.removesuffix(".yaml") in sets:
            return sets[text.removesuffix(".yaml")]
        known = ", ".join(sets) or "none"
        raise UsageError(
            f"there is no parameter file {text}; give a path, or one of the sets of "
            f"{notebook.stem}: {known}."
        )

    def shown(self, path: Path) -> str:
        """A path as the project's own reader knows it: relative to the project if inside it."""
        root = self.notebooks.parent
        path = path.resolve()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def check_name(name: str) -> str:
    """A run's name, if it is safe as the name of a folder and in a page's address.

    Raises:
        UsageError: otherwise.
    """
    if not _NAME.fullmatch(name) or name.endswith(_RESERVED):
        raise UsageError(
            f"{name!r} cannot name a run; use up to 100 letters, digits, '.', '_' or '-', "
            f"beginning with a letter, a digit or '_', and not ending in {', '.join(_RESERVED)} "
            "(--name sets it)."
        )
    return name


def _search() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if any((folder / "notebooks").glob("*.ipynb")):
            return folder / "notebooks"
        if folder.name == "notebooks" and any(folder.glob("*.ipynb")):
            return folder
    checkout = Path(channelwise.__file__).resolve().parents[2] / "notebooks"
    if not checkout.is_dir():
        raise UsageError(
            f"no folder `notebooks` was found in {here} or above it; change into the project's "
            "folder, or name it with --notebooks."
        )
    return checkout
