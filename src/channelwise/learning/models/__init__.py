"""The networks, as `flax.nnx` modules and as pure functions of their parameters."""
