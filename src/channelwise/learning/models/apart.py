"""A model taken apart: how it is applied, its parameters, its other state."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, PyTree

from channelwise.learning.models.pure import PureModel


class Pure(NamedTuple):
    """How a `PureModel` is applied: it has no state beside its parameters."""

    apply: Callable[..., Array]

    def train(self, params: PyTree, rest: PyTree, x: PyTree) -> tuple[Array, PyTree]:
        return self.apply(params, x), rest

    def evaluate(self, params: PyTree, rest: PyTree, x: PyTree) -> Array:
        return self.apply(params, x)

    def rebuild(self, given: PureModel, params: PyTree, rest: PyTree) -> PureModel:
        return given._replace(params=params)


class Module(NamedTuple):
    """How an `nnx` module is applied: merged inside the compiled step, its state carried along."""

    training: Any
    evaluating: Any
    given: Any

    def train(self, params: PyTree, rest: PyTree, x: PyTree) -> tuple[Array, PyTree]:
        module = _nnx().merge(self.training, params, rest)
        outputs = module(x)
        return outputs, _split(module)[2]

    def evaluate(self, params: PyTree, rest: PyTree, x: PyTree) -> Array:
        return _nnx().merge(self.evaluating, params, rest)(x)

    def rebuild(self, given: Any, params: PyTree, rest: PyTree) -> Any:
        return _nnx().merge(self.given, params, rest)


def take_apart(model: Any) -> tuple[Pure | Module, PyTree, PyTree]:
    """A model as (how it is applied, its parameters, its other state); `nnx.split` happens once.

    Raises:
      TypeError: if the model is neither a `PureModel` nor a `flax.nnx` module.
    """
    if isinstance(model, PureModel):
        return Pure(model.apply), model.params, ()
    if not isinstance(model, _nnx().Module):
        raise TypeError(
            f"The model must be a flax.nnx module or a PureModel, got {type(model).__name__}: "
            "build one with MLP(...) or pure_mlp(...)."
        )
    given, params, rest = _split(model)
    training, evaluating = (_nnx().merge(given, params, rest) for _ in range(2))
    training.train()
    evaluating.eval()
    return Module(_split(training)[0], _split(evaluating)[0], given), params, rest


def _split(module: Any) -> tuple[Any, PyTree, PyTree]:
    """The module's structure, parameters and other state, the latter two as plain dictionaries."""
    nnx = _nnx()
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    return graph, nnx.to_pure_dict(params), nnx.to_pure_dict(rest)


def _nnx() -> Any:
    """Imported when the first module comes along: who trains a `PureModel` never waits for it."""
    from flax import nnx

    return nnx
