"""Installed packages as files on disk: where they are, what they are called, how old they are."""

import difflib
import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from channelwise.learning.data.text import TextError

ALIASES = {
    "numpy": r"\w*numpy\w*|np",
    "scipy": r"scipy\w*",
    "pandas": r"pandas\w*|pd",
    "sklearn": r"sklearn\w*|scikit\w*",
    "matplotlib": r"matplotlib\w*|mpl\w*|pyplot|plt",
    "jax": r"jax\w*|jnp|lax",
    "flax": r"flax\w*|linen|nnx",
    "IPython": r"ipython\w*|jupyter\w*",
    "blackjax": r"blackjax\w*",
}
"""How texts name a package, by import name; a package not listed is named by its own name."""


def names_of(packages: Sequence[str]) -> re.Pattern:
    """A pattern of all the names of these packages."""
    known = [ALIASES.get(package, re.escape(package)) for package in packages]
    return re.compile(rf"\b(?:{'|'.join(known)})\b", re.IGNORECASE)


def folder_of(package: str) -> Path:
    """Where a package's files are; found without importing it."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        near = difflib.get_close_matches(package, list(ALIASES), 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TextError(
            f"{package!r} is not an installed package with a folder of its own: install it or "
            f"leave it out.{hint}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def version_of(package: str) -> str:
    """A package's import name and its installed version."""
    distribution = {"sklearn": "scikit-learn"}.get(package, package)
    try:
        return f"{package} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return package
