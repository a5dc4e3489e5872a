"""Shared set-up of the whole suite: strict JAX, shapes checked at run time."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Held for the whole session: every annotated function of the library is checked as it is called.
_hook = install_import_hook("channelwise", "beartype.beartype")
