"""What media do to the outcome: saturation(adstock(exposure)), each medium in its own form."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from channelwise.response import adstock, saturation
from channelwise.response.design import Design
from channelwise.response.layout import Layout


def media_response(
    named: dict[str, Float[Array, " owner"]], data: Design, layout: Layout
) -> Float[Array, "geo medium time"]:
    """saturation(adstock(exposure)) of every medium."""
    return _saturated(carried(named, data, layout), named, layout)


def carried(named: dict, data: Design, layout: Layout) -> Float[Array, "geo medium time"]:
    """The adstock of every medium."""
    if set(layout.adstock) == {"none"}:
        return data.lagged[:, :, 0]
    weights = _weights(named, data.lagged.dtype, layout)
    return jnp.einsum("gmlt,ml->gmt", data.lagged, weights)


def _weights(named: dict, dtype, layout: Layout) -> Float[Array, "medium lag"]:
    def rows(form: str, media: list[int]) -> Array:
        if form == "none":
            return jnp.zeros((len(media), layout.lags + 1), dtype).at[:, 0].set(1.0)
        given = [_of(named, name, media, layout) for name in adstock.PARAMETERS[form]]
        return getattr(adstock, form)(*given, layout.lags, normalized=layout.normalized)

    return _by_form(layout.adstock, rows, axis=0)


def _saturated(x: Float[Array, "geo medium time"], named: dict, layout: Layout) -> Array:
    def rows(form: str, media: list[int]) -> Array:
        some = x if len(media) == layout.media else x[:, np.array(media)]
        given = [_of(named, name, media, layout)[:, None] for name in saturation.PARAMETERS[form]]
        return getattr(saturation, "linear" if form == "none" else form)(some, *given)

    return _by_form(layout.saturation, rows, axis=1)


def _of(named: dict, name: str, media: list[int], layout: Layout) -> Array:
    """A parameter of some media."""
    owners = layout.owners(name)
    return pick(named[name], [owners.index(m) for m in media])


def _by_form(forms: tuple[str, ...], compute, axis: int) -> Array:
    """Computes each form's media together and puts them back in order."""
    groups = {f: [i for i, form in enumerate(forms) if form == f] for f in dict.fromkeys(forms)}
    parts = [compute(form, media) for form, media in groups.items()]
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate(list(groups.values())))
    return jnp.take(jnp.concatenate(parts, axis=axis), order, axis=axis)


def media_gain(named: dict, data: Design, layout: Layout) -> Float[Array, "geo medium time"]:
    """x ∂c/∂x: what c gains as a medium's whole exposure grows by the share ε, over ε."""
    stock = carried(named, data, layout)
    return jax.jvp(lambda x: _saturated(x, named, layout), (stock,), (stock,))[1]


def pick(values: Float[Array, " n"], where: list[int]) -> Float[Array, " k"]:
    """Some of the values; a slice where they are neighbours, which compiles to less."""
    if where == list(range(where[0], where[0] + len(where))):
        return values[where[0] : where[0] + len(where)]
    return values[np.array(where)]
