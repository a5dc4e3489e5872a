"""Shared set-up of the whole suite: strict JAX, shapes checked at run time, tolerant nbval."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from jaxtyping import install_import_hook

from nbval_tolerance import pytest_configure

__all__ = ["pytest_configure"]

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Held for the whole session: every annotated function of the library is checked as it is called.
_hook = install_import_hook("channelwise", "typechecking.check")
