"""How right and how fast the activations are, beside their peers.

    python benchmarks/activations.py exhaustive gelu     all 2^32 float32 inputs of one function
    python benchmarks/activations.py table               every function and library, 2^22 inputs
    python benchmarks/activations.py speed               value + gradient, time relative to jax.nn

The truth is `activation_reference.py` in float64; wherever it finds an error near or above the
bound, the input is computed again in 80 bits. Peers that are not installed are skipped with a
sentence.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module

import activation_reference as reference
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

BOUNDS = (4.0, 8.0)  # ulp: value, derivative
CROSSING = ("silu", "gelu", "gelu_tanh", "mish")  # derivatives with a root
BLOCK, SLICE = 2**18, 2**14
Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


# The libraries, each a dictionary of functions float32 array -> (value, derivative).


def with_jax(functions: dict[str, Callable]) -> dict[str, Evaluate]:
    """Value and derivative of elementwise JAX functions, compiled."""

    def pair(f: Callable) -> Evaluate:
        def value_and_slope(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            y, pull = jax.vjp(f, x)
            return y, pull(jnp.ones_like(y))[0]

        compiled = jax.jit(value_and_slope)
        return lambda x: tuple(map(np.asarray, compiled(x)))

    return {name: pair(f) for name, f in functions.items()}


def channelwise_functions() -> dict[str, Callable]:
    from channelwise.foundations import activations

    functions = {n: getattr(activations, n) for n in reference.REFERENCES if n != "gelu_tanh"}
    return functions | {"gelu_tanh": partial(activations.gelu, approximate=True)}


def jax_functions() -> dict[str, Callable]:
    names = ["sigmoid", "log_sigmoid", "tanh", "hard_tanh", "relu", "leaky_relu", "elu", "selu"]
    names += ["softplus", "silu", "mish"]
    functions = {n: getattr(jax.nn, n) for n in names}
    return functions | {
        "softsign": jax.nn.soft_sign,
        "gelu": partial(jax.nn.gelu, approximate=False),
        "gelu_tanh": partial(jax.nn.gelu, approximate=True),
    }


def torch_functions() -> dict[str, Evaluate]:
    torch = import_module("torch")
    f = torch.nn.functional
    functions = {
        **{"sigmoid": torch.sigmoid, "tanh": torch.tanh, "log_sigmoid": f.logsigmoid},
        **{"hard_tanh": f.hardtanh, "relu": f.relu, "leaky_relu": f.leaky_relu, "elu": f.elu},
        **{"selu": f.selu, "softplus": f.softplus, "silu": f.silu, "gelu": f.gelu},
        **{"gelu_tanh": partial(f.gelu, approximate="tanh"), "mish": f.mish},
        "softsign": f.softsign,
    }

    def pair(g: Callable) -> Evaluate:
        def evaluate(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            leaf = torch.tensor(x, requires_grad=True)
            y = g(leaf)
            y.backward(torch.ones_like(y))
            return y.detach().numpy(), leaf.grad.numpy()

        return evaluate

    return {name: pair(g) for name, g in functions.items()}


def tensorflow_functions() -> dict[str, Evaluate]:
    tf = import_module("tensorflow")
    nn = tf.nn
    functions = {
        **{"sigmoid": nn.sigmoid, "tanh": nn.tanh, "log_sigmoid": tf.math.log_sigmoid},
        **{"relu": nn.relu, "leaky_relu": partial(nn.leaky_relu, alpha=0.01), "elu": nn.elu},
        **{"selu": nn.selu, "softplus": nn.softplus, "silu": nn.silu, "softsign": nn.softsign},
        **{"gelu": nn.gelu, "gelu_tanh": partial(nn.gelu, approximate=True)},
    }

    def pair(g: Callable) -> Evaluate:
        def evaluate(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            leaf = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(leaf)
                y = g(leaf)
            return y.numpy(), tape.gradient(y, leaf).numpy()

        return evaluate

    return {name: pair(g) for name, g in functions.items()}


LIBRARIES = {
    "channelwise": lambda: with_jax(channelwise_functions()),
    "jax.nn": lambda: with_jax(jax_functions()),
    "torch": torch_functions,
    "tensorflow": tensorflow_functions,
}


# Errors.


def errors(name: str, x: np.ndarray, got: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Errors in ulp of value and derivative, in 80 bits where float64 could not decide."""
    with np.errstate(all="ignore"):
        truths = reference.REFERENCES[name](x.astype(np.float64))
        found = []
        for which, (g, true, bound) in enumerate(zip(got, truths, BOUNDS, strict=True)):
            error = reference.ulp_error(g, true)
            doubtful = error > bound - 0.25
            if which == 1 and name in CROSSING and 0.5 < abs(x[0]) < 2:
                doubtful |= np.abs(true) < 1e-6
            if doubtful.any() and np.isfinite(error[doubtful]).all():
                exact = reference.REFERENCES[name](x[doubtful].astype(np.longdouble))[which]
                error[doubtful] = reference.ulp_error(g[doubtful], exact.astype(np.float64))
            found.append(error)
    return found


class Worst:
    """The largest error so far, where it is, and how many results are of a forbidden kind."""

    def __init__(self) -> None:
        self.error, self.x, self.got = -1.0, np.float32(0), np.float32(0)
        self.zeros = self.not_finite = self.above = 0

    def add(self, x: np.ndarray, got: np.ndarray, error: np.ndarray, bound: float) -> None:
        i = int(error.argmax())
        if error[i] <= bound and error[i] <= self.error:
            return
        if error[i] > bound:
            bad = error > bound
            self.above += int(bad.sum())
            self.zeros += int((bad & (got == 0)).sum())
            self.not_finite += int((bad & ~np.isfinite(got)).sum())
            i = int(np.where(np.isfinite(got), error, -1.0).argmax())
        if error[i] > self.error:
            self.error, self.x, self.got = float(error[i]), x[i], got[i]

    def __str__(self) -> str:
        return (
            f"worst {self.error:.3f} ulp at x = {self.x!r} (bits {self.x.view(np.uint32):#010x}, "
            f"result {self.got!r}); above the bound {self.above}, of these wrong zeros "
            f"{self.zeros}, NaN or infinite {self.not_finite}"
        )


def measure(name: str, evaluate: Evaluate, blocks: Iterable[np.ndarray]) -> list[Worst]:
    """Walk over blocks of inputs; one `Worst` for the value, one for the derivative."""
    worst = [Worst(), Worst()]
    for x in blocks:
        got = evaluate(x)
        for start in range(0, x.size, SLICE):  # small enough for the processor's cache
            part = slice(start, start + SLICE)
            pair = got[0][part], got[1][part]
            for w, g, e, bound in zip(
                worst, pair, errors(name, x[part], pair), BOUNDS, strict=True
            ):
                w.add(x[part], g, e, bound)
    return worst


def screen(name: str) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Largest errors of a block, compiled in float64: what it lets pass needs no second look."""

    def largest(x: jax.Array, *got: jax.Array) -> tuple[jax.Array, jax.Array]:
        truths = reference.REFERENCES[name](x.astype(jnp.float64), jnp)
        return tuple(jnp.max(ulp(g, true)) for g, true in zip(got, truths, strict=True))

    def ulp(got: jax.Array, true: jax.Array) -> jax.Array:
        size = jnp.abs(true)
        bits = lax.bitcast_convert_type(size, jnp.int64) & 0x7FF0000000000000
        unit = lax.bitcast_convert_type(bits, jnp.float64) * 2.0**-23
        asked = (size >= reference.SMALLEST) & (size < reference.LARGEST)
        error = jnp.abs(got.astype(jnp.float64) - true) / unit
        error = jnp.where(asked, error, 0.0)
        return jnp.where(jnp.isnan(got) | jnp.isnan(true), jnp.inf, error)  # max may skip NaN

    return jax.jit(largest)


def exhaustive(name: str, least: float, most: float) -> None:
    """Value and derivative at every finite float32 with least <= |x| <= most.

    Blocks of 2^18 go through `screen`. Those with an error near or above the bound, those with
    subnormal inputs (which XLA takes for 0) and the worst ones are looked at again by `errors`.
    """
    evaluate, largest = with_jax(channelwise_functions())[name], screen(name)
    pattern = np.arange(BLOCK, dtype=np.uint32)
    again, worst_blocks, so_far = [], [pattern, pattern], [-1.0, -1.0]
    checked, start = 0, time.process_time()
    for first in range(0, 2**32, BLOCK):
        bits = pattern + np.uint32(first)
        exponent = first & 0x7F800000
        x = bits.view(np.float32)
        if exponent == 0x7F800000 or abs(x[-1]) < least or abs(x[0]) > most:
            continue
        checked += x.size
        got = evaluate(x)
        with jax.enable_x64(True):
            found = [float(e) for e in largest(x, *got)]
        if exponent == 0 or not all(e < b - 0.25 for e, b in zip(found, BOUNDS, strict=True)):
            again.append(bits)
            continue
        for which in range(2):
            if found[which] > so_far[which]:
                so_far[which], worst_blocks[which] = found[which], bits
    worst = measure(name, evaluate, (b.view(np.float32) for b in again + worst_blocks))
    seconds = time.process_time() - start
    print(
        f"{name}: {checked:,} float32 inputs, every finite one with {least:g} <= |x| <= {most:g},"
    )
    print(f"  in {seconds:.0f} CPU seconds")
    print(f"  value:      {worst[0]}")
    print(f"  derivative: {worst[1]}", flush=True)


def table() -> None:
    """Largest errors of every function in every library on 2^22 inputs of every size."""
    x = reference.stratified_float32(2**22)
    near = np.random.default_rng(1).uniform(-20, 20, 2**21).astype(np.float32)
    x = np.concatenate([x[np.isfinite(x)], near])
    blocks = np.array_split(x, 24)
    print("| function | library | value ulp | derivative ulp | wrong zeros | NaN or inf |")
    print("|---|---|---|---|---|---|")
    for library, load in LIBRARIES.items():
        try:
            functions = load()
        except ImportError:
            print(f"{library} is not installed here and is left out.")
            continue
        for name in reference.REFERENCES:
            if name in functions:
                value, slope = measure(name, functions[name], blocks)
                print(
                    f"| {name} | {library} | {value.error:.3g} | {slope.error:.3g} "
                    f"| {value.zeros} + {slope.zeros} | {value.not_finite} + {slope.not_finite} |",
                    flush=True,
                )


def speed(count: int = 8_400_000, repeats: int = 15) -> None:
    """Value and gradient of `count` inputs, interleaved with jax.nn; the fastest of each."""

    def compiled(f: Callable) -> Callable:
        def value_and_slope(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            y, pull = jax.vjp(f, x)
            return y, pull(jnp.ones_like(y))[0]

        return jax.jit(value_and_slope)

    x = jnp.asarray(np.random.default_rng(0).normal(size=count).astype(np.float32) * 3)
    print("| function | channelwise ms | jax.nn ms | ratio |")
    print("|---|---|---|---|")
    ours, theirs = channelwise_functions(), jax_functions()
    for name in reference.REFERENCES:
        pair = compiled(ours[name]), compiled(theirs[name])
        best = [float("inf")] * 2
        for _ in range(repeats + 1):  # the first round compiles and never is the fastest
            for i, f in enumerate(pair):
                start = time.perf_counter()
                jax.block_until_ready(f(x))
                best[i] = min(best[i], time.perf_counter() - start)
        a, b = (1e3 * s for s in best)
        print(f"| {name} | {a:.1f} | {b:.1f} | {a / b:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("exhaustive", help="all 2^32 float32 inputs of the named functions")
    one.add_argument("names", nargs="+", choices=list(reference.REFERENCES), metavar="NAME")
    one.add_argument("--least", type=float, default=0.0, help="smallest |x| (default 0)")
    one.add_argument("--most", type=float, default=np.inf, help="largest |x| (default all)")
    commands.add_parser("table", help="errors beside jax.nn, torch and tensorflow")
    commands.add_parser("speed", help="time of value + gradient relative to jax.nn")
    arguments = parser.parse_args()
    if arguments.command == "exhaustive":
        for name in arguments.names:
            exhaustive(name, arguments.least, arguments.most)
    else:
        {"table": table, "speed": speed}[arguments.command]()


if __name__ == "__main__":
    main()
