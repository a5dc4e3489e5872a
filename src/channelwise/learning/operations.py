"""Floating-point operations of a traced program, primitive by primitive."""

from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import jax.numpy as jnp

Work = Counter[str]
"""Operations by kind; a primitive without a rule stands in it by its own name."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOVEMENT = _names("""
    axis_index bitcast_convert_type broadcast_in_dim clamp concatenate convert_element_type copy
    copy_p device_put dynamic_slice dynamic_update_slice empty empty2 full gather iota mesh_cast
    name opt_barrier optimization_barrier pad pbroadcast pcast pvary random_bits random_fold_in
    random_seed random_split random_unwrap random_wrap reduce_precision reshape rev scatter
    select_and_gather_add select_n sharding_constraint slice split squeeze stop_gradient transpose
""")
"""Primitives that place, choose or convert numbers and compute none."""

ELEMENTWISE = _names("""
    abs add add_any ceil div floor integer_pow max min mul neg nextafter rem round sign square sub
""")
REDUCTIONS = _names("reduce reduce_max reduce_min reduce_prod reduce_sum")
TRANSCENDENTAL = _names("""
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1
    lgamma log log1p logistic pow rsqrt sin sinh sqrt tan tanh
""")


class CostError(ValueError):
    """A cost cannot be counted; the message says what is missing."""


def operations(jaxpr: Any, turns: int | None = None) -> Work:
    """The operations of a program and of every program inside it.

    Args:
      jaxpr: the program, without what no result needs.
      turns: how often to count the body of a `while`.

    Raises:
      CostError: if there is a `while` loop and `turns` is not given.
    """
    total: Work = Counter()
    for equation in jaxpr.eqns:
        total.update(_of(equation, turns))
    return total


def _of(equation: Any, turns: int | None) -> Work:
    name = equation.primitive.name
    if name in _CONTROL:
        return _CONTROL[name](equation, turns)
    inner = list(_programs(equation))
    if inner and name not in _RULES:
        return sum((operations(program, turns) for program in inner), Counter())
    if name in MOVEMENT or not any(_floating(v.aval) for v in equation.outvars):
        return Counter()
    kind, rule = _RULES.get(name, (name, _made))
    return Counter({kind: rule(equation)})


def _programs(equation: Any) -> Iterator[Any]:
    """The programs among an equation's parameters: jitted functions, custom rules, checkpoints."""
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            program = getattr(item, "jaxpr", item)
            if hasattr(program, "eqns"):
                yield program


def _scan(equation: Any, turns: int | None) -> Work:
    return _times(equation.params["length"], operations(equation.params["jaxpr"].jaxpr, turns))


def _while(equation: Any, turns: int | None) -> Work:
    if turns is None:
        raise CostError(
            "The program holds a `while` loop, and how often it turns is known only when it runs: "
            "give turns=, or write it as a scan (a fori_loop between fixed numbers is one)."
        )
    test, body = (equation.params[k].jaxpr for k in ("cond_jaxpr", "body_jaxpr"))
    return _times(turns, operations(test, turns) + operations(body, turns))


def _cond(equation: Any, turns: int | None) -> Work:
    branches = [operations(branch.jaxpr, turns) for branch in equation.params["branches"]]
    return max(branches, key=lambda work: work.total())


def _shard_map(equation: Any, turns: int | None) -> Work:
    """The program of one device, on every device of the mesh."""
    params = equation.params
    return _times(params["mesh"].size, operations(params["jaxpr"], turns))


def _times(n: int, work: Work) -> Work:
    return Counter({kind: n * k for kind, k in work.items()})


def _made(equation: Any) -> int:
    return sum(v.aval.size for v in equation.outvars)


def _summed(equation: Any) -> int:
    """A sum (or a maximum) of n numbers takes n − 1 operations."""
    return max(0, equation.invars[0].aval.size - _made(equation))


def _accumulated(equation: Any) -> int:
    """A running sum, or rows added where an index says: one addition for each number that comes."""
    return equation.invars[-1].aval.size


def _windowed(equation: Any) -> int:
    return _made(equation) * (prod(equation.params["window_dimensions"]) - 1)


def _matmul(equation: Any) -> int:
    """2 m n k, and as often as there are batches: twice the products, k for each number made."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2 * _made(equation) * prod(shape[axis] for axis in contracted)


def _convolution(equation: Any) -> int:
    """2 k² C_in for each number made; zeros put between inputs (a stride, backward) are skipped."""
    kernel, layout = equation.invars[1].aval.shape, equation.params["dimension_numbers"].rhs_spec
    taps = prod(kernel[axis] for axis in layout[1:])
    return 2 * _made(equation) * taps // prod(equation.params["lhs_dilation"])


def _floating(aval: Any) -> bool:
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.inexact)


_CONTROL: dict[str, Callable[[Any, int | None], Work]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "shard_map": _shard_map,
}
_RULES: dict[str, tuple[str, Callable[[Any], int]]] = {
    **{name: ("elementwise", _made) for name in ELEMENTWISE},
    **{name: ("transcendental", _made) for name in TRANSCENDENTAL},
    "dot_general": ("matmul", _matmul),
    "conv_general_dilated": ("convolution", _convolution),
    **{
        name: ("elementwise", _summed)
        for name in _names("reduce_sum reduce_prod reduce_max reduce_min reduce")
    },
    **{name: ("elementwise", _accumulated) for name in _names("cumsum cumprod scatter-add")},
    "reduce_window_sum": ("elementwise", _windowed),
    "psum": ("elementwise", _made),
}
