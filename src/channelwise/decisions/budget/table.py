"""Mean curves as piecewise quintics in ln x, with a proven error, and where they bend which way.

A mean over thousands of S-shaped draws has no simple shape: it may be convex, concave and convex
again. Sampled with two derivatives at nodes u_k = ln x_k a step h apart, the quintic through them
is off by at most

    h⁶/46080 · max |d⁶f/du⁶| ≤ h⁶/46080 · c₆ Σ_sj |a| n⁶ ω_max,

for a function of v = n (u − ln k) whose m-th derivative is at most c_m ω(v). Between two nodes the
sign of x² f″ = d²f/du² − df/du is proven if at both it is the same, and farther from 0 than it can
be from a straight line between the two, h²/8 · Σ |a| (c₄ n⁴ + c₃ n³) ω · e^(n h).

Source: error of Hermite interpolation, Davis 1963, §3.5.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.curves import Curves

_CONSTANTS = {"hill": (1.0, 1.0, 1.82), "tanh": (1.75, 4.5, 77.0), "power": (1.0, 1.0, 1.0)}
"""c₃, c₄, c₆ for ω = w/(1+w)², min(w, 1/w) and w, where w = e^v."""
_PRECISION = 5e-11  # of all curves together, where 1 is what the best channel can bring
_NODES = (64, 2048)
_NEGLIGIBLE = 1e-12
_CACHED = 6_000  # terms computed at a time
_EXACT = 32  # nodes after which e^(n u) is taken anew, before rounding adds up


class Table(NamedTuple):
    """Mean curves of several channels on nodes u = ln x of their own, all about 1 in size."""

    start: Float[np.ndarray, " channel"]  # u of the first node
    step: Float[np.ndarray, " channel"]  # h
    nodes: Float[np.ndarray, "channel node"]  # x
    value: Float[np.ndarray, "channel node"]  # f
    slope: Float[np.ndarray, "channel node"]  # f′
    bend: np.ndarray  # (channel, cell): 1 proven convex in x, −1 proven concave, 0 unknown
    steepest: Float[np.ndarray, "channel cell"]  # bound on |x² f″|
    poly: Float[np.ndarray, "channel cell 6"]  # of f in t = (u − u_k)/h, by rising powers
    error: Float[np.ndarray, " channel"]  # bound on |f − poly|
    below: Float[np.ndarray, " channel"]  # bound on |f| in front of the first node
    convex_below: np.ndarray  # (channel,) whether f is proven convex in front of it


def table(
    curves: Curves, low: Float[np.ndarray, " channel"], high: Float[np.ndarray, " channel"]
) -> Table:
    """Samples the mean curves between two spends.

    Args:
        curves: in units in which spend and outcome are about 1.
        low: least spend of each channel that matters; 0 for down to nothing.
        high: most, > 0 and above `low`.
    """
    n, log_k, size = _flat(curves)
    end = np.log(high)
    start = np.where(low > 0, np.log(np.maximum(low, 1e-300)), _negligible(n, log_k, size, end))
    start = np.minimum(start, end - 1e-6)
    given = (curves.forms, n, log_k, size, end)
    sixth = np.array([_sixth(form, *of) for form, *of in zip(*given, strict=True)])
    aim = _PRECISION / len(end)
    step = (46080 * aim / np.maximum(sixth, 1e-30)) ** (1 / 6)
    count = int(np.clip(np.ceil(((end - start) / step).max()) + 1, *_NODES))
    step = (end - start) / (count - 1)
    u = start[:, None] + step[:, None] * np.arange(count)
    u[:, -1] = end
    f, first, second, wander = _sums(curves, n, log_k, u)
    growth = np.exp(n.max(axis=1) * step)[:, None]
    bend, may_move = second - first, wander * growth * step[:, None] ** 2 / 8
    sign = np.where(bend > may_move, 1, np.where(-bend > may_move, -1, 0))
    x = np.exp(u)
    x[:, -1] = high
    inflection = log_k + np.log(np.maximum(n - 1, 1e-300) / (n + 1)) / n
    upward = np.array([form == "hill" for form in curves.forms]) & (
        ((n > 1) & (start[:, None] < inflection)) | (size == 0)
    ).all(axis=1)
    return Table(
        start=start,
        step=step,
        nodes=x,
        value=f,
        slope=first / x,
        bend=np.where(sign[:, 1:] == sign[:, :-1], sign[:, 1:], 0),
        steepest=_cellwise(np.abs(bend) + may_move),
        poly=_quintic(f, first, second, step[:, None]),
        error=sixth * step**6 / 46080,
        below=np.where(low > 0, 0.0, _most_at(curves.forms, n, log_k, size, start)),
        convex_below=upward & (curves.amplitude >= 0).all(axis=(1, 2)),
    )


def _flat(curves: Curves):
    """n, ln k and weighted |a| of every term, (channel, draw·term)."""
    n = np.repeat(curves.slope, curves.amplitude.shape[2], axis=1)
    return n, curves.log_scale.reshape(n.shape), np.abs(curves.weighted).reshape(n.shape)


def _negligible(n, log_k, size, end) -> Float[np.ndarray, " channel"]:
    """u below which a curve brings next to nothing, found on some of its terms."""
    some = np.linspace(0, n.shape[1] - 1, min(n.shape[1], 256)).astype(int)
    n, log_k, size = n[:, some], log_k[:, some], size[:, some]
    size = size * (n.shape[1] / len(some)) + 1e-300
    u = end[:, None] - np.linspace(2, 60, 59)
    v = n[:, None] * (u[:, :, None] - log_k[:, None])
    brings = (size[:, None] * np.exp(np.minimum(v, 0.0))).sum(axis=2)
    enough = brings < _NEGLIGIBLE
    return np.where(enough.any(axis=1), u[np.arange(len(u)), enough.argmax(axis=1)], u[:, -1])


def _sixth(form: str, n, log_k, size, end) -> float:
    """A bound on the sixth derivative in u of one channel's curve."""
    most = {"hill": 0.25, "tanh": 1.0}.get(form)
    top = np.exp(np.minimum(n * (end - log_k), 700)) if most is None else most
    return float(_CONSTANTS[form][2] * (size * n**6 * top).sum())


def _most_at(forms, n, log_k, size, u) -> Float[np.ndarray, " channel"]:
    """Σ |a| min(w, 1 or w): no less than |f| at every spend up to e^u."""
    v = n * (u[:, None] - log_k)
    cap = np.where(np.array([f == "power" for f in forms]), 700.0, 0.0)[:, None]
    return (size * np.exp(np.minimum(v, cap))).sum(axis=1)


def _sums(curves: Curves, n, log_k, u) -> Float[np.ndarray, "4 channel node"]:
    """f, df/du, d²f/du² and the bound on the second derivative of x²f″ in u, at the nodes."""
    a = curves.weighted.reshape(n.shape)
    out = np.empty((4, *u.shape))
    for form in set(curves.forms):
        rows = np.array([i for i, f in enumerate(curves.forms) if f == form])
        for some in np.array_split(rows, max(1, len(rows) * n.shape[1] // _CACHED)):
            out[:, some] = _sampled(form, a[some], log_k[some], n[some], u[some])
    return out


def _sampled(form: str, a, log_k, n, u) -> Float[np.ndarray, "4 channel node"]:
    """The sums of some channels. From node to node w grows by the factor e^(n h)."""
    c3, c4, _ = _CONSTANTS[form]
    times = np.stack([a, a * n, a * n**2, np.abs(a) * (c4 * n**4 + c3 * n**3)])
    growth = np.exp(n * (u[:, 1] - u[:, 0])[:, None])
    out, parts = np.empty((*u.T.shape, 4)), np.empty_like(times)
    for k in range(u.shape[1]):
        if k % _EXACT == 0:
            w = np.exp(np.clip(n * (u[:, k, None] - log_k), -300, 300))
        _PARTS[form](w, *parts)
        np.vecdot(times, parts, out=out[k].T)
        w *= growth
    return out.transpose(2, 1, 0)


def _hill_parts(w, value, first, second, weight) -> None:
    """φ, its first two derivatives in ln w, and ω."""
    rest = np.add(w, 1, out=weight)
    np.divide(1, rest, out=rest)
    np.multiply(w, rest, out=value)
    np.multiply(value, rest, out=first)
    np.subtract(rest, value, out=second)
    second *= first
    weight[...] = first


def _tanh_parts(w, value, first, second, weight) -> None:
    np.tanh(w, out=value)
    first[...] = w * (1 - value**2)
    second[...] = first * (1 - 2 * w * value)
    np.minimum(w, 1 / w, out=weight)


def _power_parts(w, *parts) -> None:
    for part in parts:
        part[...] = w


_PARTS = {"hill": _hill_parts, "tanh": _tanh_parts, "power": _power_parts}


def _cellwise(x: Float[np.ndarray, "channel node"]) -> Float[np.ndarray, "channel cell"]:
    return np.maximum(x[:, 1:], x[:, :-1])


def _quintic(f, first, second, h) -> Float[np.ndarray, "channel cell 6"]:
    """Coefficients in t of the polynomial with these values and derivatives at both ends."""
    f0, f1 = f[:, :-1], f[:, 1:]
    d0, d1 = first[:, :-1] * h, first[:, 1:] * h
    s0, s1 = second[:, :-1] * h**2, second[:, 1:] * h**2
    rise = f1 - f0
    c3 = 10 * rise - 6 * d0 - 4 * d1 - 1.5 * s0 + 0.5 * s1
    c4 = -15 * rise + 8 * d0 + 7 * d1 + 1.5 * s0 - s1
    c5 = 6 * rise - 3 * (d0 + d1) - 0.5 * (s0 - s1)
    return np.stack([f0, d0, s0 / 2, c3, c4, c5], axis=-1)
