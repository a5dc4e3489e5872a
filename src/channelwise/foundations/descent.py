"""Follow an optimizer, step by step, in one compiled loop."""

from collections.abc import Callable

import jax
import optax
from jaxtyping import PyTree


def _itself(x: PyTree) -> PyTree:
    return x


def descend(
    optimizer: optax.GradientTransformation,
    gradient: Callable[[PyTree, PyTree], PyTree],
    start: PyTree,
    inputs: PyTree,
    *,
    observe: Callable[[PyTree], PyTree] = _itself,
) -> tuple[PyTree, PyTree]:
    """Follow an optimizer step by step, in one compiled loop.

    x_{t+1} = x_t + update(g_t), g_t = gradient(x_t, inputs_t)

    Args:
      optimizer: any optax transformation; its learning rate may be traced, so that `jax.vmap`
        over learning rates costs one compilation.
      gradient: the gradient at x_t, given that step's input (its number, its noise, its batch).
      start: x_0, any pytree of arrays.
      inputs: what each step receives; the length of its leading axis is the number of steps.
      observe: what to keep of every iterate; the iterate itself unless told otherwise.

    Returns:
      The last iterate, and what was observed of x_1 ... x_T, stacked along a new first axis.

    Raises:
      ValueError: if `inputs` is empty of arrays, so that the number of steps is unknown.
    """
    if not jax.tree.leaves(inputs):
        raise ValueError(
            "inputs holds no array, so the number of steps is unknown. "
            "Give one entry a step, for instance jnp.arange(100)."
        )

    def step(carry, u):
        x, state = carry
        updates, state = optimizer.update(gradient(x, u), state, x)
        x = optax.apply_updates(x, updates)
        return (x, state), observe(x)

    (x, _), seen = jax.lax.scan(step, (start, optimizer.init(start)), inputs)
    return x, seen
