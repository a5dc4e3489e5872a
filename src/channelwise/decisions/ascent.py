"""Gradient ascent under a budget: quick, general, and without a proof."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float

from channelwise.decisions.projection import project
from channelwise.decisions.strength import ChannelValue, StrengthError, require_budget

Method = Literal["gradient", "adam", "adam_own_metric"]
_EPSILON, _MEMORY = 1e-8, 0.999


class Climb(NamedTuple):
    """Where ascents from several starts led.

    Attributes:
      spend: the last spend of each.
      worth: its value, less the spend if that was asked for, currency per period.
      path: the spend after every step, the start first.
    """

    spend: Float[np.ndarray, "start channel"]
    worth: Float[np.ndarray, " start"]
    path: Float[np.ndarray, "start step channel"]


def climb(
    value: ChannelValue,
    starts: Float[np.ndarray, "start channel"],
    budget: float,
    *,
    method: str = "adam",
    rate: float = 0.01,
    steps: int = 2000,
    upper: Float[ArrayLike, "channel"] | float = np.inf,
    keep: bool = True,
) -> Climb:
    """Projected gradient ascent on the value of channels, from several starts at once.

    s ← P(s + r d),   s = x/B,   g = ∂V/∂x − 1   (without − 1 if unspent money does not count)

    gradient         d = g,                  P the Euclidean projection on {0 ≤ s ≤ u/B, Σ s ≤ 1}
    adam             d = m̂ / (√v̂ + ε),       the same P: the usual recipe
    adam_own_metric  d = m̂ / (√v̂ + ε),       P in the metric √v̂ + ε in which Adam's step is short

    The usual recipe is not an ascent: while the gradient is steady, d is its sign, the same for all
    channels that pay, and the projection takes that step back whole. Any split of the whole budget
    then looks stationary. In its own metric Adam rests only where all marginal values are equal.

    Args:
      value: what channels are worth.
      starts: spends to start from, ≥ 0, currency per period; projected on the budget first.
      budget: B > 0, currency per period.
      method: one of the three above.
      rate: r > 0, as a share of the budget.
      steps: of each ascent.
      upper: u ≥ 0, the most that each channel can take, currency per period.
      keep: money that is not spent counts.

    Returns:
      The last spend of each start, its worth, and the path.

    Raises:
      StrengthError: if the budget is not a positive number, or the method is unknown.

    Numerical note: in shares of the budget nothing depends on the unit of currency. Compiled in
    float64 once for each value and method.

    Source: Kingma, Ba 2015; the projection's metric: Duchi, Hazan, Singer 2011, §1, and Reddi,
      Kale, Kumar 2018, algorithm 1.
    """
    require_budget(budget)
    if method not in get_args(Method):
        raise StrengthError(f"method = {method!r} must be one of {', '.join(get_args(Method))}.")
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # optax counts in int32
        within = functools.partial(project, budget=1.0, upper=np.asarray(upper) / budget)
        step, state = _step(value, budget, method, rate, float(keep), within)

        def run(s: Array) -> Array:
            s = within(s)
            _, path = jax.lax.scan(step, (s, state(s)), None, length=steps)
            return jnp.concatenate([s[None], path])

        shares = jax.jit(jax.vmap(run))(jnp.asarray(starts / budget))
        path = budget * np.asarray(shares, np.float64)
    spend = path[:, -1]
    return Climb(spend, value.value(spend) - float(keep) * spend.sum(-1), path)


def _step(
    value: ChannelValue,
    budget: float,
    method: str,
    rate: float,
    cost: float,
    within: Callable[..., Array],
) -> tuple[Callable, Callable]:
    """One step of an ascent on shares, and the state to begin with."""
    marginal = jax.grad(value.value)
    adam = optax.scale_by_adam(b2=_MEMORY, eps=_EPSILON)

    def by_gradient(carry: tuple, _: None) -> tuple:
        s, state = carry
        s = within(s + rate * (marginal(budget * s) - cost))
        return (s, state), s

    def by_adam(carry: tuple, _: None) -> tuple:
        s, state = carry
        d, state = adam.update(marginal(budget * s) - cost, state)
        metric = jnp.sqrt(state.nu / (1 - _MEMORY**state.count)) + _EPSILON
        s = within(s + rate * d, weight=metric if method == "adam_own_metric" else 1.0)
        return (s, state), s

    return (by_gradient, lambda s: None) if method == "gradient" else (by_adam, adam.init)
