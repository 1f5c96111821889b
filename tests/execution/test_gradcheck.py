"""Derivatives that cells take are held against their functions, and nobody notices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.execution import taylor
from generator.execution.jupyter import Jupyter
from generator.execution.protocol import Environment, Recorder
from generator.execution.verify import judge
from generator.execution.zygote import Zygote
from generator.model import Cell, CellOptions, CellResult, Check
from tests.execution.conftest import program

# ---------------------------------------------------------------- the Taylor test itself


def bend(x: float) -> float:
    return math.sin(1 + x) * math.exp(x)


SLOPE = math.cos(1) + math.sin(1)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (bend, SLOPE),
        (lambda x: bend(x) + 1e6, SLOPE),
        (lambda x: 3 * x + 1, 3.0),
        (lambda x: x**3, 0.0),
        (lambda x: 5.0, 0.0),
        (lambda x: (1 + 1j) * math.exp(x), 1 + 1j),
        (lambda x: math.log(x + 1e-3) if x > -1e-3 else math.nan, 1e3),
        (lambda x: abs(x - 1e-4) + x, 0.0),
    ],
)
def test_a_right_slope_is_held(f: Callable[[float], taylor.Number], slope: taylor.Number) -> None:
    found = taylor.examine(f, slope)
    assert found.outcome == "held"
    assert found.error < 1e-6


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5), st.floats(0.003, 3), st.sampled_from([-1, 1]))
@settings(deadline=None, max_examples=60)
def test_a_slope_is_refuted_exactly_when_it_is_wrong(
    a: float, b: float, c: float, by: float, sign: int
) -> None:
    f = lambda x: a * math.sin(x) + b * x * x + c + x  # noqa: E731
    slope = a + 1.0
    assert taylor.examine(f, slope).outcome == "held"
    if abs(slope) > 0.05:
        assert taylor.examine(f, slope * (1 + sign * by)).outcome == "failed"


def test_the_order_of_the_remainder_tells_a_right_slope_from_a_wrong_one() -> None:
    assert [round(p, 1) for p in taylor.examine(bend, SLOPE).orders] == [2.0, 2.0, 2.0]
    assert [round(p, 1) for p in taylor.examine(bend, 1.003 * SLOPE).orders] == [1.0, 1.0, 1.0]
    assert [round(p, 1) for p in taylor.examine(bend, 1.003 * SLOPE, steps=taylor.FEW).orders] == [1.0] * 3


@pytest.mark.parametrize("f", [abs, lambda x: max(x, 0.0), lambda x: abs(x) + bend(x)])
def test_a_kink_is_no_mistake(f: Callable[[float], float]) -> None:
    assert taylor.examine(f, 0.3).outcome == "rough"


@pytest.mark.parametrize(
    "f",
    [
        lambda x: float(x > 0),
        lambda x: math.sqrt(abs(x)),
        lambda x: math.nan,
        lambda x: bend(x) + math.sin(1e9 * x),
    ],
)
def test_what_cannot_be_told_is_not_told(f: Callable[[float], float]) -> None:
    assert taylor.examine(f, SLOPE).outcome in ("unresolved", "rough")


def test_a_function_that_rounds_to_single_precision_refutes_no_right_slope() -> None:
    import struct

    f = lambda x: struct.unpack("f", struct.pack("f", bend(x)))[0]  # noqa: E731
    for epsilon in (2.0**-23, taylor.DOUBLE):
        assert taylor.examine(f, SLOPE, epsilon).outcome in ("held", "unresolved")
        assert taylor.examine(f, 1.03 * SLOPE, epsilon).outcome == "failed"


# ---------------------------------------------------------------- cells

HEAD = """
import functools
import jax, jax.numpy as jnp, numpy as np
from jax import grad, lax, value_and_grad
"""

BAD = """
@jax.custom_vjp
def bad(x): return jnp.sin(x)
bad.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x) * 1.03,))
"""

HELD = (
    "def loss(w, x): return jnp.sum((w * x) ** 2)\ng = grad(loss)\ng(jnp.ones(3), 2.0)",
    "jax.jit(value_and_grad(loss))(jnp.ones(3), 2.0)",
    "@jax.jit\ndef step(w, x):\n    return w - 0.1 * grad(lambda v: loss(v, x) + jnp.sum(jnp.sin(v)))(w)\n"
    "step(jnp.ones(3), 2.0)",
    "lax.scan(lambda w, x: (w - grad(loss)(w, x), 0.0), jnp.ones(3), jnp.linspace(0.1, 1, 4))",
    "jax.vmap(lambda x: grad(lambda w: jnp.tanh(w @ x))(jnp.ones(3)))(jnp.arange(6.0).reshape(2, 3))",
    "grad(lambda w: jnp.sum(grad(lambda v: jnp.sum(jnp.exp(v) * w))(2 * w)))(jnp.ones(2))",
    "jax.hessian(loss)(jnp.ones(3), 2.0)",
    "p = {'x': jnp.ones(3), 'y': jnp.ones(2)}\n"
    "jax.jacfwd(lambda p: {'a': jnp.outer(p['x'], p['y']), 'b': p['x']})(p)",
    "jax.jacrev(lambda x, y: (x @ y, jnp.sum(x)), argnums=(0, 1))(jnp.ones((2, 3)), jnp.ones((3, 2)))",
    "grad(lambda x: (x**2, {'aux': x}), has_aux=True)(2.0)",
    "grad(lambda n, x: n * x, argnums=(0, 1), allow_int=True)(3, 2.0)",
    "grad(lambda z: jnp.abs(z) ** 2)(1 + 2j)\ngrad(lambda z: z**3, holomorphic=True)(1 + 2j)",
    "start, xs = jnp.zeros(2), jnp.ones((3, 2))\n"
    "grad(lambda x: jnp.sum(lax.scan(lambda s, i: (s * x + i, 0), start, xs)[0]))(0.5)",
    "grad(lambda x: 2 * x if x > 0 else x)(1.0)",
    "grad(lambda x: jnp.sum(x.astype(jnp.float32) ** 2))(jnp.arange(3.0))",
    "jax.jvp(loss, (jnp.ones(3), 2.0), (jnp.ones(3), 1.0))\n"
    "jax.jvp(lambda n, x: {'a': n * x, 'b': (x, n)}, (3, 2.0), (np.zeros((), jax.dtypes.float0), 1.0))",
    "out, pull = jax.vjp(lambda p, n: (p['x'] * jnp.sum(p['y']), n), {'x': jnp.ones(3), 'y': jnp.ones(2)}, 4)"
    "\n"
    "out, pull, aux = jax.vjp(lambda x: (jnp.sin(x), {'aux': x}), 1.0, has_aux=True)",
    "out, push = jax.linearize(loss, jnp.ones(3), 2.0)\npush(jnp.ones(3), 1.0)",
    "@jax.jit\ndef slope(x, v): return jax.jvp(jnp.tanh, (x,), (v,))[1] + jax.vjp(jnp.exp, x)[1](v)[0]\n"
    "slope(0.3, 1.0)\njax.vmap(slope)(jnp.ones(2), jnp.ones(2))",
    "jax.jvp(lambda z: z * jnp.conj(z) + z, (1 + 2j,), (1j,))",
    "k = 3.0\ndef scaled(x): return k * x**2\ngrad(scaled)(1.0)\nk = 'something else'",
)

SKIPPED = {
    "grad(jnp.abs)(0.0)": "not smooth",
    "grad(lambda x: jnp.sum(jax.nn.relu(x)))(jnp.zeros(2))": "not smooth",
    "grad(lambda x: jnp.max(x))(jnp.array([1.0, 1.0]))": "not smooth",
    "grad(lambda x: x * lax.stop_gradient(jnp.sin(x)))(1.0)": "whether that is meant",
    "grad(lambda x: x * np.random.rand())(1.0)": "same value twice",
    "grad(lambda a: jax.random.gamma(jax.random.key(0), a))(1.2)": "gamma variates",
    "grad(lambda n: 1.0 * n, allow_int=True)(3)": "whole numbers",
    "jax.vjp(lambda z: z * jnp.conj(z), 1 + 2j)": "complex numbers",
    "grad(lambda x: jnp.sum(x.astype(jnp.bfloat16) ** 2))(jnp.arange(3.0))": "half precision",
    "@functools.partial(jax.jit, donate_argnums=0)\n"
    "def gone(x): return x - grad(lambda v: jnp.sum(v**2))(x)\ngone(jnp.ones(3))": "given away",
    "def writes(x):\n    open('file', 'a').write('x'); return x * x\ngrad(writes)(3.0)": "writes files",
    "jax.checkpoint(lambda x: grad(jnp.sin)(x))(1.0)": "",
}


def gradients(result: CellResult) -> list[Check]:
    return [check for check in result.checks if check.kind == "gradient"]


@pytest.fixture(scope="module")
def watching(environment: Environment) -> Environment:
    return replace(environment, gradcheck="fail")


@pytest.fixture(scope="module", params=["zygote", "jupyter"])
def watcher(request: pytest.FixtureRequest, watching: Environment) -> Recorder:
    if request.param == "jupyter":
        return Jupyter(watching)
    executor = Zygote(watching)
    request.addfinalizer(executor.close)
    return executor


@pytest.fixture
def blind(watcher: Recorder, environment: Environment, request: pytest.FixtureRequest) -> Recorder:
    """The same sort of executor, which does not watch."""
    if isinstance(watcher, Jupyter):
        return Jupyter(environment)
    executor: Recorder = request.getfixturevalue("zygote")
    return executor


WATCHED = (
    HEAD + BAD,
    "seen = []\ndef noisy(x):\n    print('loud'); seen.append(x); return x * x\ng = grad(noisy)\n\n\ng(1.0)",
    "print(len(seen))  # => 1\ng(2.0)\nprint(len(seen))  # => 2",
    "@jax.jit\ndef step(x):\n    return x - grad(bad)(x)\nstep(1.0)",
    Cell("grad(bad)(1.0)", "off", CellOptions(gradcheck="off (it is wrong on purpose)")),
    "grad(jnp.abs)(0.0)",
    "from IPython.display import display\n"
    "def shows(x):\n    display('shown'); return x**2\n_ = grad(shows)(1.0)",
)


def test_both_executors_say_the_same_of_each_cell(watcher: Recorder) -> None:
    run = watcher.record([program(*WATCHED)])[0]
    head, noisy, later, wrong, off, kink, shows = run.result.results
    assert [r.status for r in run.result.results] == ["ok"] * 7
    assert gradients(head) == gradients(later) == gradients(off) == []
    (held,) = gradients(noisy)
    assert (held.outcome, held.what, held.line) == ("held", "grad(noisy)", 7)
    assert held.actual.startswith("order 2.00")
    (refuted,) = gradients(wrong)
    assert (refuted.outcome, refuted.what, refuted.line) == ("failed", "grad(bad)", 3)
    assert float(refuted.error) == pytest.approx(0.03, rel=0.1)
    (skipped,) = gradients(kink)
    assert (skipped.outcome, skipped.line) == ("skipped", 1)
    assert [c.outcome for c in gradients(shows)] == ["held"]
    assert [o.text for o in noisy.outputs if o.kind == "stream"] == ["loud\n"]
    assert [o.kind for o in shows.outputs] == ["display"]
    assert [o.printed for o in later.observations] == ["1\n", "2\n"]
    assert dict(run.manifest.packages).keys() >= {"jax", "numpy"}
    assert (run.manifest.inputs, run.manifest.network, run.manifest.complete) == ((), (), True)


def test_a_cell_is_as_good_as_its_derivatives() -> None:
    cell = Cell("grad(f)(1.0)", "one")
    held = Check("gradient", "grad(f)", "held", "order 1.8 or more", "order 2.00", "1e-9", "1e-4")
    kink = Check("gradient", "grad(f)", "skipped", why="it is not smooth there")
    refuted = Check(
        "gradient", "grad(f)", "failed", error="2.9e-2", tolerance="1e-4", why="it is not", line=1
    )
    assert judge(cell, CellResult("ok", checks=(held, kink))).grade == "checked"
    assert (
        "gradient check of grad(f): it is not smooth there"
        in judge(cell, CellResult("ok", checks=(kink,))).unchecked
    )
    failed = judge(cell, CellResult("ok", checks=(held, refuted)))
    assert (failed.grade, failed.line) == ("failed", 1)
    assert "error 2.9e-2" in failed.message
    off = Cell("grad(f)(1.0)", "one", CellOptions(gradcheck="off (it clips)"))
    assert "The derivatives of this cell are not checked: it clips." in judge(off, CellResult("ok")).unchecked


@pytest.fixture(scope="module")
def zygote_watching(watching: Environment) -> Zygote:
    return Zygote(watching)


def test_derivatives_of_every_form_are_held(zygote_watching: Zygote) -> None:
    for first in range(0, len(HELD), 8):
        cells = (HEAD + HELD[0], *HELD[max(first, 1) : first + 8])
        for code, result in zip(cells, zygote_watching.run([program(*cells)])[0].results, strict=True):
            found = [(c.outcome, c.what, c.why) for c in gradients(result)]
            assert found, code
            assert {outcome for outcome, _, _ in found} == {"held"}, (code, found)


def test_what_is_not_checked_says_why(zygote_watching: Zygote) -> None:
    result = zygote_watching.run([program(HEAD, *SKIPPED)])[0]
    assert [r.status for r in result.results] == ["ok"] * (1 + len(SKIPPED)), result
    for (code, why), outcome in zip(SKIPPED.items(), result.results[1:], strict=True):
        (check,) = gradients(outcome)
        assert (check.outcome, why in check.why) == ("skipped", True), (code, check)


WRONG = """
@jax.custom_jvp
def wave(x): return jnp.sin(3 * x)
wave.defjvp(lambda p, t: (jnp.sin(3 * p[0]), 2.9 * jnp.cos(3 * p[0]) * t[0]))
"""


def test_derivatives_that_are_taken_where_they_are_called_are_refuted_as_well(
    zygote_watching: Zygote,
) -> None:
    cells = (
        "jax.jvp(wave, (0.2,), (1.0,))",
        "jax.vjp(wave, 0.2)[1](1.0)",
        "jax.linearize(lambda x: jnp.sum(wave(x)), jnp.linspace(0.1, 1, 3))[1](jnp.ones(3))",
        "jax.vjp(bad, 1.0)",
        "jax.jit(lambda x: jax.vjp(bad, x)[1](1.0))(1.0)",
    )
    head, *results = zygote_watching.run([program(HEAD + BAD + WRONG, *cells)])[0].results
    assert head.status == "ok"
    for code, result in zip(cells, results, strict=True):
        (check,) = gradients(result)
        name = next(name for name in ("jvp", "vjp", "linearize") if f"jax.{name}" in code)
        assert (check.outcome, check.what.partition("(")[0]) == ("failed", name), (code, check)


def test_a_line_that_makes_many_functions_is_checked_a_few_times_and_says_so(zygote_watching: Zygote) -> None:
    result = zygote_watching.run([program(HEAD + "for i in range(10): grad(lambda x: x * i)(1.0)")])[0]
    found = gradients(result.results[0])
    assert [check.outcome for check in found] == ["held"] * 3 + ["skipped"]
    assert found[-1].what == "7 more derivatives in line 5"


def test_a_refuted_derivative_may_be_only_reported(watching: Environment) -> None:
    with Zygote(replace(watching, gradcheck="report")) as executor:
        result = executor.run([program(HEAD + BAD, "grad(bad)(1.0)")])[0].results[1]
    (check,) = gradients(result)
    assert (check.outcome, "only reported" in check.why) == ("skipped", True)
    assert judge(Cell("grad(bad)(1.0)", "one"), result).grade == "ran"


UNTOUCHED = (
    HEAD + "import inspect, pickle, random",
    "print([f.__name__ for f in (grad, value_and_grad, jax.jacfwd, jax.jacrev, jax.jacobian, jax.hessian)])\n"
    "print(inspect.signature(jax.vjp), jax.jvp.__name__, jax.linearize.__doc__[:40])\n"
    "print(inspect.signature(grad), grad.__doc__ == jax.grad.__doc__, grad.__module__, grad.__qualname__)\n"
    "print(pickle.loads(pickle.dumps(grad)) is jax.grad, inspect.isfunction(grad), len(grad.__doc__))",
    "def loss(w, x):\n    'What is lost.'\n    return jnp.sum(jax.nn.relu(w @ x)) ** 2\n"
    "g = value_and_grad(loss, argnums=(0, 1))\n"
    "print(g.__name__, g.__doc__, inspect.signature(g), g.__wrapped__ is loss, inspect.unwrap(g) is loss)",
    "w, x = jnp.linspace(-1, 1, 6).reshape(2, 3), jnp.arange(3.0)\nprint(jax.make_jaxpr(g)(w, x))\n"
    "print(jax.make_jaxpr(jax.jit(jax.vmap(grad(loss), (None, 0))))(w, jnp.ones((4, 3))))\n"
    "print(jax.make_jaxpr(lambda w: jax.hessian(loss)(w, x))(w))",
    "print(jax.vjp(loss, w, x)[0], jax.jvp(loss, (w, x), (w, x)), jax.linearize(loss, w, x)[0])\n"
    "print(jax.make_jaxpr(lambda w: jax.vjp(loss, w, x)[1](1.0))(w))\n"
    "print(g(w, x)); print(jax.jit(g)(w, x)); print(jax.hessian(loss)(w, x).sum())\n"
    "print(jax.jit(jax.vmap(grad(lambda v: v**2))).lower(jnp.ones(2)).as_text())",
    "print(np.random.rand(2), random.random(), jax.random.normal(jax.random.key(0), (2,)))\n"
    "print(jax.config.jax_enable_x64, jnp.ones(1).dtype, grad(jnp.sin)(1.0).dtype)",
    Cell("jax.vjp(lambda v: jnp.dot(v, jnp.ones(4)), jnp.ones(3))", "fails", CellOptions(raises="TypeError")),
)


def test_outputs_and_programs_are_the_same_as_without_watching(watcher: Recorder, blind: Recorder) -> None:
    one = program(*("import numpy as np\nnp.random.seed(0)\nimport random\nrandom.seed(0)", *UNTOUCHED))
    without, with_ = blind.record([one])[0], watcher.record([one])[0]
    assert [r.status for r in without.result.results] == ["ok"] * 8
    for plain, watched in zip(without.result.results, with_.result.results, strict=True):
        assert watched.outputs == plain.outputs
        assert watched.observations == plain.observations
    assert with_.manifest == without.manifest
    assert any(gradients(r) for r in with_.result.results)


def test_watching_initialises_no_backend_and_jax_may_come_late(watching: Environment) -> None:
    late = (
        "import sys\nname = 'ja' + 'x'\nprint(name in sys.modules)\nm = __import__(name)\n"
        "from jax._src import xla_bridge\nprint(xla_bridge.backends_are_initialized())\n"
        "print(type(m.__loader__).__name__, m.__spec__.loader is m.__loader__)\n"
        "print([f for f in sys.meta_path if 'Arrival' in str(f)])",
        "m.grad(m.numpy.sin)(1.0)",
    )
    first, second = Jupyter(watching).run([program(*late)])[0].results
    printed = "".join(o.text for o in first.outputs)
    assert printed == "False\nFalse\nSourceFileLoader True\n[]\n"
    assert [check.outcome for check in gradients(second)] == ["held"]


def test_a_later_call_is_not_even_looked_at(zygote_watching: Zygote) -> None:
    code = (
        HEAD + "count = 0\nclass Counting(float):\n    pass\n"
        "g = grad(lambda x: x**2)\ng(1.0)\n"
        "import sys\nlines = []\n"
        "def trace(frame, event, argument):\n"
        "    if frame.f_code.co_filename.endswith('gradcheck.py'): lines.append(frame.f_code.co_name)\n"
        "sys.setprofile(trace)\nfor _ in range(5): g(1.0)\nsys.setprofile(None)\n"
        # JAX itself calls `vjp` for it, which sees who calls and steps aside.
        "print(lines.count('derivative'), set(lines) - {'transform', '_is_jax'})"
    )
    result = zygote_watching.run([program(code)])[0].results[0]
    assert "".join(o.text for o in result.outputs) == "10 {'derivative'}\n"


def test_a_process_that_dies_of_a_repetition_has_given_its_results(zygote_watching: Zygote) -> None:
    dies = (
        HEAD + "import os\ncalls = []\n"
        "def dies(x):\n    calls.append(x)\n    if len(calls) > 1: os._exit(9)\n    return x * x\n"
        "grad(dies)(1.0)",
        "6 * 7",
    )
    first, second = zygote_watching.run([program(*dies)])[0].results
    assert (first.status, second.status) == ("ok", "ok")
    assert second.outputs[0].data == (("text/plain", "42"),)
    assert "ended while its derivatives were repeated" in gradients(first)[0].why
