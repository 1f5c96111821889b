"""Derivatives that are wrong on purpose, each beside its right counterpart, as cells of a note.

A subject is a piece of code with a hole, which the right derivative fills in one way and each mistake in
another.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seed:
    """One mistake, of some sort: two cells that differ in nothing else."""

    name: str
    sort: str
    right: str
    wrong: str


HEAD = "import functools\nimport jax\nimport jax.numpy as jnp\nfrom jax import grad, lax\n"

SCALES = (("off by 10 %", 1.1), ("off by 3 %", 1.03), ("off by 0.3 %", 1.003))

_SOFTPLUS = """
@jax.custom_vjp
def softplus(x):
    return jnp.logaddexp(x, 0.0)

softplus.defvjp(lambda x: (softplus(x), x), lambda x, g: (g * (HOLE),))
x = jnp.linspace(-2.0, 3.0, 7)
"""

_WAVE = """
@jax.custom_jvp
def wave(x):
    return jnp.sin(3.0 * x)

@wave.defjvp
def wave_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return wave(x), HOLE * t
"""

_LOGDET = """
@jax.custom_vjp
def logdet(s):
    return jnp.linalg.slogdet(s)[1]

logdet.defvjp(lambda s: (logdet(s), s), lambda s, g: (g * HOLE,))
s = jnp.array([[2.0, 0.3, 0.1], [0.2, 1.5, -0.4], [0.0, 0.3, 1.0]])
"""

_NLL = """
@jax.custom_vjp
def nll(mean, log_scale, data):
    z = (data - mean) * jnp.exp(-log_scale)
    return jnp.mean(jnp.sum(0.5 * z**2 + log_scale, axis=-1))

def nll_fwd(mean, log_scale, data):
    return nll(mean, log_scale, data), (mean, log_scale, data)

def nll_bwd(kept, g):
    mean, log_scale, data = kept
    z = (data - mean) * jnp.exp(-log_scale)
    of_mean = -jnp.mean(z, axis=0) * jnp.exp(-log_scale)
    of_scale = HOLE
    return g * of_mean, g * of_scale, jnp.zeros_like(data)

nll.defvjp(nll_fwd, nll_bwd)
data = jax.random.normal(jax.random.key(0), (50, 3)) * jnp.array([1.0, 2.0, 0.5]) + 1.0
parameters = {"mean": jnp.array([0.5, 0.8, 1.1]), "log_scale": jnp.array([0.1, 0.4, -0.5])}
loss = lambda p: nll(p["mean"], p["log_scale"], data)
"""

_LOGSUMEXP = """
@jax.custom_jvp
def lse(x):
    top = jnp.max(x)
    return top + jnp.log(jnp.sum(jnp.exp(x - top)))

@lse.defjvp
def lse_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    out = lse(x)
    return out, HOLE

x = jnp.array([0.3, -1.2, 2.0, 0.7])
"""

_LAYER = """
@jax.custom_vjp
def normalise(x):
    return (x - x.mean()) / jnp.sqrt(x.var() + 1e-5)

def normalise_fwd(x):
    return normalise(x), x

def normalise_bwd(x, g):
    scale = 1.0 / jnp.sqrt(x.var() + 1e-5)
    y = (x - x.mean()) * scale
    return (scale * (HOLE),)

normalise.defvjp(normalise_fwd, normalise_bwd)
x = jnp.array([0.2, -0.5, 1.3, 0.9, 2.0])
weights = jnp.array([1.0, -2.0, 0.5, 0.3, 1.1])
"""

_PRODUCT = """
@jax.custom_jvp
def product(a, b):
    return a * b / (1.0 + b**2)

@product.defjvp
def product_jvp(primals, tangents):
    (a, b), (s, t) = primals, tangents
    d = 1.0 + b**2
    return product(a, b), HOLE
"""

_SOFTMAX = """
@jax.custom_vjp
def softmax(x):
    e = jnp.exp(x - x.max())
    return e / e.sum()

softmax.defvjp(lambda x: (softmax(x), softmax(x)), lambda p, g: (HOLE,))
x = jnp.array([0.1, 0.9, -0.3, 1.4])
"""

_SOLVE = """
@jax.custom_vjp
def solve(a, b):
    return jnp.linalg.solve(a, b)

def solve_fwd(a, b):
    x = jnp.linalg.solve(a, b)
    return x, (a, x)

def solve_bwd(kept, g):
    a, x = kept
    w = jnp.linalg.solve(a.T, g)
    return HOLE

solve.defvjp(solve_fwd, solve_bwd)
a = jnp.array([[3.0, 1.0, 0.2], [0.3, 2.0, -0.5], [0.1, 0.4, 1.5]])
b = jnp.array([1.0, -1.0, 2.0])
"""

_STOPPED = """
def network(w, x):
    hidden = HOLE
    return jnp.mean((hidden.sum(-1) - 1.0) ** 2)

w = jnp.array([[0.3, -0.2], [0.5, 0.8]])
x = jnp.array([[1.0, 2.0], [0.5, -1.0], [0.1, 0.7]])
"""

_TWICE = "grad(grad(product, argnums=1), argnums=1)(1.2, 0.7)"

SUBJECTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "softplus",
        _SOFTPLUS,
        "jax.nn.sigmoid(x)",
        (
            "grad(lambda x: jnp.sum(softplus(x)))(x)",
            "grad(lambda x: jnp.sum(jnp.cos(x)) + 3 * softplus(x[2]))(x)",
        ),
    ),
    (
        "wave",
        _WAVE,
        "3.0 * jnp.cos(3.0 * x)",
        (
            "grad(wave)(0.4)",
            "jax.jacfwd(lambda x: wave(x) * jnp.arange(1.0, 4.0))(jnp.array(0.4))",
            "jax.jit(jax.vmap(grad(wave)))(jnp.linspace(0.0, 1.0, 5))",
            "grad(lambda x: lax.fori_loop(0, 3, lambda i, y: wave(y) + x, x))(0.3)",
        ),
    ),
    ("log-determinant", _LOGDET, "jnp.linalg.inv(s).T", ("jax.value_and_grad(logdet)(s)",)),
    (
        "likelihood",
        _NLL,
        "1.0 - jnp.mean(z**2, axis=0)",
        ("jax.jit(jax.value_and_grad(loss))(parameters)",),
    ),
    (
        "logsumexp",
        _LOGSUMEXP,
        "jnp.sum(jnp.exp(x - out) * t)",
        (
            "grad(lse)(x)",
            "jax.jacrev(lambda x: jnp.stack([lse(x), lse(2.0 * x)]))(x)",
            "jax.hessian(lse)(x)",
        ),
    ),
    (
        "layer norm",
        _LAYER,
        "g - g.mean() - y * jnp.mean(g * y)",
        ("grad(lambda x: jnp.sum(weights * normalise(x) ** 2))(x)",),
    ),
    (
        "quotient",
        _PRODUCT,
        "s * b / d + t * a * (1.0 - b**2) / d**2",
        ("grad(product, argnums=(0, 1))(1.2, 0.7)", _TWICE),
    ),
    ("softmax", _SOFTMAX, "p * (g - jnp.sum(p * g))", ("jax.jacrev(softmax)(x)",)),
    (
        "linear solve",
        _SOLVE,
        "-jnp.outer(w, x), w",
        ("grad(lambda a, b: jnp.sum(solve(a, b) ** 2), argnums=(0, 1))(a, b)",),
    ),
    ("network", _STOPPED, "jnp.tanh(x @ w)", ("grad(network)(w, x)",)),
)
"""Name, code, what fills the hole rightly, and calls."""

SCALED = {"softplus", "wave", "log-determinant", "likelihood", "logsumexp"}
"""Whose derivatives are made too large by a factor, for each call."""

MISTAKES: tuple[tuple[str, str, str, int], ...] = (
    ("layer norm", "a term dropped", "g - y * jnp.mean(g * y)", 0),
    ("layer norm", "a term dropped", "g - g.mean()", 0),
    ("quotient", "a term dropped", "s * b / d + t * a / d", 0),
    ("quotient", "a term dropped", "s * b / d", 0),
    ("softmax", "a term dropped", "p * g", 0),
    ("likelihood", "a term dropped", "-jnp.mean(z**2, axis=0)", 0),
    ("likelihood", "a term dropped", "1.0 - jnp.mean(z, axis=0) ** 2", 0),
    ("wave", "a wrong sign", "-3.0 * jnp.cos(3.0 * x)", 0),
    ("log-determinant", "a wrong sign", "-jnp.linalg.inv(s).T", 0),
    ("quotient", "a wrong sign", "s * b / d - t * a * (1.0 - b**2) / d**2", 0),
    ("linear solve", "a wrong sign", "jnp.outer(w, x), w", 0),
    ("softmax", "a wrong sign", "p * (g + jnp.sum(p * g))", 0),
    ("log-determinant", "a transpose forgotten", "jnp.linalg.inv(s)", 0),
    ("linear solve", "a transpose forgotten", "-jnp.outer(x, w), w", 0),
    ("softplus", "another value used", "jax.nn.sigmoid(softplus(x))", 0),
    ("softplus", "another value used", "jax.nn.sigmoid(x).at[..., 0].multiply(1.2)", 0),
    ("wave", "another value used", "jnp.cos(3.0 * x)", 0),
    ("logsumexp", "stop_gradient within a rule", "jnp.sum(lax.stop_gradient(jnp.exp(x - out)) * t)", 2),
    (
        "quotient",
        "stop_gradient within a rule",
        "s * b / d + t * lax.stop_gradient(a * (1.0 - b**2) / d**2)",
        1,
    ),
    ("network", "stop_gradient in the function", "jnp.tanh(x @ lax.stop_gradient(w)) * w.sum()", 0),
    ("network", "stop_gradient in the function", "jnp.tanh(x @ w.at[0].set(lax.stop_gradient(w[0])))", 0),
    ("network", "stop_gradient in the function", "lax.stop_gradient(jnp.tanh(x @ w)) + x @ w", 0),
)
"""Of which subject, what sort of mistake, what fills the hole, and in which of the subject's calls."""


def seeds() -> tuple[Seed, ...]:
    """Every mistake, with the code that does not make it."""
    found = []
    for name, code, right, uses in SUBJECTS:
        mistakes = [(sort, wrong, uses[call]) for subject, sort, wrong, call in MISTAKES if subject == name]
        if name in SCALED:
            mistakes += [(sort, f"{by} * ({right})", use) for use in uses for sort, by in SCALES]
        for sort, wrong, use in mistakes:
            correct = right
            if sort == "stop_gradient in the function":
                correct = wrong.replace("lax.stop_gradient", "")
            cells = [f"{code.replace('HOLE', filled)}\n{use}" for filled in (correct, wrong)]
            found.append(Seed(f"{name}: {use}", sort, *cells))
    return tuple(found)
