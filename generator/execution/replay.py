"""Repeating the remembered calls of derivatives in double precision, and holding them against the Taylor
test.

This happens when all cells of a note have run and their outputs are taken: whatever it prints is dropped,
and whatever it changes in this process nobody will see. Files and programs are out of its reach.
Functions are compiled where that is possible; constants that they close over stay as they are, unless
that is a mistake in double precision.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from typing import Any

from generator.execution import gradcheck, taylor
from generator.execution.gradcheck import Call, Later, Watcher, is_array

Json = dict[str, Any]

CALL_SECONDS = 4.0
"""A call that took the processor longer than this is not repeated."""
VALUES_SECONDS = 2.0
"""Time of the processor for the values of one function."""
LIMIT_SECONDS = 15.0
"""And for all that belongs to one call; then it is interrupted."""
NOTE_SECONDS = 30.0
"""And for all calls of a note."""
_DIRECTIONS = 2
_SEED = 20
_CHANGES = frozenset(
    {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.system", "os.exec", "os.posix_spawn", "os.fork"}
    | {"os.truncate", "os.link", "os.symlink", "subprocess.Popen", "shutil.rmtree", "socket.connect"}
)


class Skip(Exception):
    """Why a call cannot be checked, as a sentence without its full stop."""


class TooLong(BaseException):
    """The time for one call is over."""


def replayed(watcher: Watcher, private: Sequence[str], report_only: bool) -> Iterator[tuple[int, Json]]:
    """The check of each remembered call, with the index of its cell. Nothing that is printed meanwhile is
    seen."""
    watcher.active = False
    begun = time.process_time()
    guard = Guard(private)
    for call in watcher.calls:
        check = _skipped(f"the {NOTE_SECONDS:g} s that the derivatives of a note may take were over")
        if time.process_time() - begun < NOTE_SECONDS:
            with guard:
                check = _check(call, watcher)
        yield call.cell, _report(check, call, report_only)
    for (cell, line), count in watcher.omitted.items():
        what = f"{count} more derivative{'s' * (count > 1)} in line {line}"
        check = _skipped("only the first few that are made in one place are checked")
        yield cell, {"kind": "gradient", "what": what, "line": line, **check}


def _report(check: Json, call: Call, report_only: bool) -> Json:
    if report_only and check["outcome"] == "failed":
        why = f"it would be refuted, but here that is only reported: {check['why']}"
        check = {**check, "outcome": "skipped", "why": why}
    return {"kind": "gradient", "what": call.what, "line": call.line, **check}


def _skipped(why: str) -> Json:
    return {"outcome": "skipped", "why": why}


# ---------------------------------------------------------------- surroundings


class Guard:
    """While it is entered nothing that is printed is seen, and no file of the author's and no other
    process is changed. Files in the folders `private` may be."""

    def __init__(self, private: Sequence[str]) -> None:
        self._folders = tuple(os.path.realpath(folder) + "/" for folder in private if folder)
        self._entered = ExitStack()
        self._on = False
        sys.addaudithook(self._hear)  # It cannot be taken away again.

    def __enter__(self) -> None:
        null = self._entered.enter_context(open(os.devnull, "w"))  # noqa: PTH123
        self._entered.enter_context(redirect_stdout(null))
        self._entered.enter_context(redirect_stderr(null))
        self._on = True

    def __exit__(self, *error: object) -> None:
        self._on = False
        self._entered.close()

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on or (event not in _CHANGES and not (event == "open" and _writes(arguments))):
            return
        if not str(arguments[0] if arguments else "").startswith((*self._folders, os.devnull)):
            raise Skip("the function writes files or starts processes, and is not called again")


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = (*arguments, None, None)[1:3]
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupt after so much time of the processor, where that can be done."""

    def stop(number: int, frame: object) -> None:
        raise TooLong

    try:
        before = signal.signal(signal.SIGPROF, stop)
    except (ValueError, AttributeError):
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _in_double() -> Iterator[None]:
    jax = sys.modules["jax"]
    with ExitStack() as stack:
        for name, value in (("enable_x64", True), ("debug_nans", False), ("debug_infs", False)):
            home = jax if hasattr(jax, name) else jax.experimental  # Where older versions have it.
            stack.enter_context(getattr(home, name)(value))
        yield


@contextmanager
def _as_it_was(call: Call, namespace: dict[str, Any], change: Callable[[Any], Any]) -> Iterator[None]:
    """The global names that a function uses mean what they meant when it was called."""
    names = {**call.names, **(call.outer.names if call.outer else {})}
    now = {name: namespace[name] for name in names if name in namespace}
    namespace.update({name: change(value) for name, value in names.items()})
    try:
        yield
    finally:
        for name in names:
            namespace.pop(name, None)
        namespace.update(now)


# ---------------------------------------------------------------- one call


def _check(call: Call, watcher: Watcher) -> Json:
    if call.why:
        return _skipped(call.why)
    if call.seconds > CALL_SECONDS:
        return _skipped(f"it takes more than the {CALL_SECONDS:g} s that a derivative may take to be checked")
    try:
        with _limited(LIMIT_SECONDS):
            if call.outer:
                call = _found(call, call.outer, watcher)
            return _examined(call, watcher)
    except TooLong:
        return _skipped(f"it was not done after {LIMIT_SECONDS:g} s of the processor's time")
    except Skip as reason:
        return _skipped(str(reason))
    except (Exception, SystemExit) as error:
        return _skipped(f"it could not be repeated in double precision ({_message(error)})")


def _message(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


def _found(call: Call, outer: Call, watcher: Watcher) -> Call:
    """The call with its values, found by running the outermost call again without compilation."""
    watcher.wanted = call
    try:
        with _as_it_was(call, watcher.namespace, lambda value: value), sys.modules["jax"].disable_jit():
            args, kwargs = _settled((outer.args, dict(outer.kwargs)))
            outer.fun(*args, **kwargs)
    except gradcheck.Caught as caught:
        found = caught.call
        return replace(found, cell=call.cell, line=call.line, names=call.names)
    except gradcheck.Hidden as reason:
        raise Skip(str(reason)) from None
    except Skip:
        raise
    except Exception as error:
        raise Skip(f"the call around it could not be repeated ({_message(error)})") from None
    finally:
        watcher.wanted = None
    raise Skip("its arguments had no values, and it was not met again without compilation")


def _examined(call: Call, watcher: Watcher) -> Json:
    """Try to repeat a call: compiled and not, with constants as they are and in double precision."""
    first: Exception | None = None
    for compiled in (True, False):
        for change in (_resolved, _double):
            with _in_double(), _as_it_was(call, watcher.namespace, _through(change)):
                try:
                    return _verdict(Case(call, watcher.originals, change, compiled))
                except Skip:
                    raise
                except Exception as error:
                    first = first or error
    assert first is not None
    raise first


def _through(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if change is _resolved:
        return lambda value: value
    return lambda value: gradcheck.changed(value, change, 0)


def _resolved(value: Any) -> Any:
    """The value that was left to be taken from a batch."""
    if isinstance(value, Later):
        return sys.modules["jax"].numpy.take(_resolved(value.batch), 0, axis=value.axis)
    return value


def _settled(tree: Any) -> Any:
    return sys.modules["jax"].tree_util.tree_map(_resolved, tree)


def _double(value: Any) -> Any:
    """An array in the widest form of its kind, anything else as it is."""
    value = _resolved(value)
    if not is_array(value) or not _is_inexact(value):
        return value
    numpy = sys.modules["numpy"]
    wide = numpy.complex128 if _is_complex(value) else numpy.float64
    return value.astype(wide)


def _is_inexact(value: Any) -> bool:
    jnp = sys.modules["jax"].numpy
    return bool(jnp.issubdtype(jnp.result_type(value), sys.modules["numpy"].inexact))


def _is_complex(value: Any) -> bool:
    jnp = sys.modules["jax"].numpy
    return bool(jnp.issubdtype(jnp.result_type(value), sys.modules["numpy"].complexfloating))


class Case:
    """One call, made ready to be evaluated along lines through its arguments.

    `moved` are the values that are differentiated with respect to, `passed` other arrays of JAX among the
    arguments; all in double precision.
    """

    def __init__(
        self,
        call: Call,
        originals: dict[str, Callable[..., Any]],
        change: Callable[[Any], Any],
        compiled: bool,
    ) -> None:
        self.jax, self.np = sys.modules["jax"], sys.modules["numpy"]
        self.call, self.originals, self.compiled = call, originals, compiled
        self.fun = gradcheck.with_values(call.fun, change)
        self.aux = bool(call.options.get("has_aux"))
        self.holomorphic = bool(call.options.get("holomorphic"))
        self._take_apart()
        self.epsilon, self.stops = taylor.DOUBLE, False

    def _take_apart(self) -> None:
        util = self.jax.tree_util
        count = len(self.call.args)
        argnums = self.call.options.get("argnums", 0)
        if self.call.name in gradcheck.AT_ONCE:
            argnums = tuple(range(count))
        self.single = isinstance(argnums, int)
        chosen = [n % count for n in ([argnums] if self.single else argnums)] if count else []
        leaves: list[Any] = []
        self.structures, self.owned = [], {}
        for n, argument in enumerate((*self.call.args, dict(self.call.kwargs))):
            own, structure = util.tree_flatten(argument)
            self.owned[n] = range(len(leaves), len(leaves) + len(own))
            self.structures.append(structure)
            if any(isinstance(leaf, self.jax.Array) and leaf.is_deleted() for leaf in own):
                raise Skip("its arguments were given away to another call")
            leaves += [_double(leaf) for leaf in own]
        self.order = [i for n in chosen for i in self.owned[n]]
        self.places = [i for i in self.order if isinstance(leaves[i], float | complex) or _moves(leaves[i])]
        for i in self.places:
            leaves[i] = self.jax.numpy.asarray(
                leaves[i], self.np.complex128 if _is_complex(leaves[i]) else self.np.float64
            )
        if not self.places:
            raise Skip("its arguments are whole numbers")
        self.others = [
            i for i, leaf in enumerate(leaves) if isinstance(leaf, self.jax.Array) and i not in self.places
        ]
        self.leaves = leaves
        self.moved = [leaves[i] for i in self.places]
        self.passed = [leaves[i] for i in self.others]

    # ------------------------------------------------------------ evaluating

    def arguments(self, moved: Sequence[Any], passed: Sequence[Any]) -> tuple[tuple[Any, ...], Json]:
        """The arguments of the function for these values."""
        leaves = list(self.leaves)
        for i, value in (*zip(self.places, moved, strict=True), *zip(self.others, passed, strict=True)):
            leaves[i] = value
        built = [
            self.jax.tree_util.tree_unflatten(structure, [leaves[i] for i in self.owned[n]])
            for n, structure in enumerate(self.structures)
        ]
        return tuple(built[:-1]), built[-1]

    def value(self, fun: Any, moved: Sequence[Any], passed: Sequence[Any]) -> Any:
        """One number: the outputs of `fun`, each weighed by a fixed random number."""
        args, kwargs = self.arguments(moved, passed)
        out = fun(*args, **kwargs)
        return self._weighed(out[0] if self.aux else out)

    def _weighed(self, out: Any) -> Any:
        leaves = self._numbers(out)
        return sum(
            self.jax.numpy.sum(w * leaf) for w, leaf in zip(self._weights(leaves), leaves, strict=True)
        )

    def _numbers(self, tree: Any) -> list[Any]:
        return [leaf for leaf in self.jax.tree_util.tree_leaves(tree) if _moves(leaf)]

    def _weights(self, leaves: Sequence[Any]) -> list[Any]:
        shapes = [self.jax.numpy.shape(leaf) for leaf in leaves]
        if self.call.name in ("grad", "value_and_grad"):
            return [1.0 for _ in shapes]
        random = self.np.random.default_rng(_SEED)
        return [random.standard_normal(shape) for shape in shapes]

    def slope(self, fun: Any, moved: Sequence[Any], passed: Sequence[Any], along: Sequence[Any]) -> Any:
        """The value of `fun` and its derivative along a direction, by the derivative that is checked."""
        args, kwargs = self.arguments(moved, passed)
        options = dict(self.call.options)
        if self.call.name in ("grad", "value_and_grad"):
            value, slopes = self.originals["value_and_grad"](fun, **options)(*args, **kwargs)
            return (value[0] if self.aux else value), self._contracted(self._own(slopes), along)
        if self.call.name in gradcheck.AT_ONCE:
            return self._slope_at_once(fun, args, along)
        name = "jacrev" if self.call.name == "hessian" else self.call.name
        made = self.originals[name](fun, **options)(*args, **kwargs)
        out = fun(*args, **kwargs)
        columns = self._columns(out[0] if self.aux else out, made[0] if self.aux else made)
        return self._weighed(out[0] if self.aux else out), self._contracted(columns, along)

    def _slope_at_once(self, fun: Any, args: tuple[Any, ...], along: Sequence[Any]) -> tuple[Any, Any]:
        """See `slope`, for what differentiates where it is called."""
        original, options = self.originals[self.call.name], self.call.options
        if self.call.name == "vjp":
            out, pull, *_ = original(fun, *args, **options)
            leaves, structure = self.jax.tree_util.tree_flatten(out)
            if any(_is_complex(x) for x in (*self.moved, *self._numbers(out))):
                raise Skip("a derivative of complex numbers that goes backwards has no one meaning to test")
            weights = iter(self._weights(self._numbers(out)))
            back = [self._cotangent(leaf, weights) for leaf in leaves]
            found = pull(self.jax.tree_util.tree_unflatten(structure, back))
            return self._weighed(out), self._contracted(self._own(found), along)
        tangents = self._tangents(args, along)
        if self.call.name == "jvp":
            out, moving, *_ = original(fun, args, tangents, **options)
        else:
            out, push, *_ = original(fun, *args, **options)
            moving = push(*tangents)
        return self._weighed(out), self._weighed(moving)

    def _cotangent(self, leaf: Any, weights: Iterator[Any]) -> Any:
        jnp = self.jax.numpy
        if not _moves(leaf):
            return self.np.zeros(jnp.shape(leaf), self.jax.dtypes.float0)
        return jnp.broadcast_to(jnp.asarray(next(weights), jnp.result_type(leaf)), jnp.shape(leaf))

    def _tangents(self, args: tuple[Any, ...], along: Sequence[Any]) -> tuple[Any, ...]:
        """Tangents of all arguments: those of what moves, and none of the rest."""
        moving = dict(zip(self.places, along, strict=True))

        def tangent(i: int) -> Any:
            if i in moving:
                return moving[i]
            return self.np.zeros(self.np.shape(self.leaves[i]), self.jax.dtypes.float0)

        found = []
        for n in range(len(args)):
            leaves = list(map(tangent, self.owned[n]))
            found.append(self.jax.tree_util.tree_unflatten(self.structures[n], leaves))
        return tuple(found)

    def _own(self, tree: Any) -> list[Any]:
        """Of a tree like the arguments that are differentiated, the leaves of those that move."""
        leaves = self.jax.tree_util.tree_leaves(tree)
        if len(leaves) != len(self.order):
            raise Skip("its result does not look like its arguments")
        return [leaf for i, leaf in zip(self.order, leaves, strict=True) if i in self.places]

    def _columns(self, out: Any, jacobian: Any) -> list[Any]:
        """The weighed rows of a Jacobian: for each value that moves, an array of its shape."""
        jnp = self.jax.numpy
        rows = self.jax.tree_util.tree_leaves(jacobian)
        outs = self.jax.tree_util.tree_leaves(out)
        width = len(self.order)
        if len(rows) != len(outs) * width:
            raise Skip("its result does not look like its arguments")
        numbers = [n for n, leaf in enumerate(outs) if _moves(leaf)]
        weights = self._weights([outs[n] for n in numbers])
        columns = []
        for k, i in enumerate(self.order):
            if i in self.places:
                parts = [
                    jnp.tensordot(w, rows[n * width + k], axes=jnp.ndim(outs[n]))
                    for n, w in zip(numbers, weights, strict=True)
                ]
                columns.append(sum(parts))
        return columns

    def _contracted(self, columns: Sequence[Any], along: Sequence[Any]) -> Any:
        jnp = self.jax.numpy
        total = sum(jnp.sum(c * v) for c, v in zip(columns, along, strict=True))
        real = not self.holomorphic and any(map(_is_complex, self.moved))
        return jnp.real(total) if real else total

    # ------------------------------------------------------------ directions

    def directions(self, symmetric: bool = False) -> list[list[Any]]:
        """Random directions, each value moving as far as it is large."""
        random = self.np.random.default_rng(_SEED + 1)
        return [
            [self._direction(random, value, symmetric) for value in self.moved] for _ in range(_DIRECTIONS)
        ]

    def _direction(self, random: Any, value: Any, symmetric: bool) -> Any:
        array = self.np.asarray(value)
        size = float(self.np.sqrt(self.np.mean(self.np.abs(array) ** 2))) if array.size else 1.0
        drawn = random.standard_normal(array.shape)
        if _is_complex(value):
            drawn = drawn + 1j * random.standard_normal(array.shape)
        if symmetric and self.is_symmetric(value):
            drawn = (drawn + drawn.T) / 2
        return self.jax.numpy.asarray(drawn * (size or 1.0))

    def is_symmetric(self, value: Any) -> bool:
        array = self.np.asarray(value)
        square = array.ndim == 2 and array.shape[0] == array.shape[1] > 1
        return bool(square and self.np.array_equal(array, array.T))


def _moves(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        return isinstance(leaf, float | complex)
    jax = sys.modules["jax"]
    return bool(jax.numpy.issubdtype(dtype, sys.modules["numpy"].inexact))


# ---------------------------------------------------------------- judging


def _verdict(case: Case) -> Json:
    tests = [case.fun]
    if case.call.name == "hessian":
        tests.append(_first_derivative)
    checks = []
    for second in (False, True)[: len(tests)]:
        checks.append(_tested(case, second))
        if checks[-1]["outcome"] != "held":
            break
    return checks[-1]


def _first_derivative() -> None:
    """Stands for the gradient itself, whose derivative a Hessian is."""


def _tested(case: Case, second: bool) -> Json:
    line = Line(case, second)
    findings = line.findings(case.directions())
    if _worst(findings) == "held":
        return _held(findings, "")
    if any(map(case.is_symmetric, case.moved)):
        again = line.findings(case.directions(symmetric=True))
        if _worst(again) == "held":
            return _held(again, " along symmetric changes of its symmetric argument")
    worst = _worst(findings)
    if worst == "rough":
        return _skipped("the function is not smooth there: its slopes to the left and to the right differ")
    if worst == "unresolved":
        closest = min(findings, key=lambda found: found.resolution)
        if closest.resolution == float("inf"):
            return _skipped("it has no finite value there, or none at the function's neighbouring points")
        return _skipped(
            "neither held nor refuted: difference quotients do not settle closely enough to tell "
            f"(they differ by {closest.error:.0e}, and are good to {closest.resolution:.0e})"
        )
    if line.draws:
        return _skipped(
            "it draws gamma variates, whose derivative in JAX is that of their distribution and not of the "
            "program that draws them"
        )
    if line.stops and line.holds_without_stopped():
        return _skipped(
            f"it is not the derivative of the function's value ({_percent(findings)} apart), and is with "
            "what `stop_gradient` holds kept fixed; whether that is meant, only its author knows"
        )
    return _failed(findings)


def _worst(findings: Sequence[taylor.Finding]) -> str:
    """What several directions say together: a refutation stands only where the function is smooth."""
    outcomes = [found.outcome for found in findings]
    return next((o for o in ("rough", "failed", "unresolved") if o in outcomes), "held")


def _percent(findings: Sequence[taylor.Finding]) -> str:
    return f"{100 * max(found.error for found in findings):.2g} %"


def _held(findings: Sequence[taylor.Finding], along: str) -> Json:
    return {"outcome": "held", **_figures(findings), "why": along.strip()}


def _failed(findings: Sequence[taylor.Finding]) -> Json:
    worst = max(findings, key=lambda found: found.error)
    order = f"{worst.orders[-1]:.1f}" if worst.orders else "0"
    return {
        "outcome": "failed",
        **_figures(findings),
        "why": f"it is not the derivative of the function, because the remainder shrinks like h^{order} and "
        "not like h^2",
    }


def _figures(findings: Sequence[taylor.Finding]) -> Json:
    orders = [order for found in findings for order in found.orders]
    floor = "the remainder is below rounding at every step"
    return {
        "expected": f"order {2 - taylor.SLACK:g} or more",
        "actual": f"order {', '.join(f'{order:.2f}' for order in orders)}" if orders else floor,
        "error": f"{max(found.error for found in findings):.1e}",
        "tolerance": f"{taylor.AGREEMENT:.0e}",
    }


class Line:
    """The function along lines through the arguments, and the slopes that the derivative claims.

    With `second` the function is the gradient in a fixed direction, and the slopes are the Hessian's.
    """

    def __init__(self, case: Case, second: bool) -> None:
        self.case, self.second = case, second
        self.fixed = case.directions()[0]
        wrap: Callable[[Any], Any] = case.jax.jit if case.compiled else lambda fun: fun
        self._value, self._slope = wrap(self._at), wrap(self._both)
        self.stops, self.draws = not case.compiled, False
        self.epsilon = taylor.DOUBLE
        if case.compiled:
            jaxpr = self._value.trace(case.moved, case.passed, case.moved, 0.0).jaxpr
            self.epsilon, self.stops = _precision(jaxpr), _has(jaxpr, "stop_gradient")
            self.draws = _has(jaxpr, "random_gamma")
        self.steps = self._affordable()

    def _at(self, moved: Any, passed: Any, along: Any, h: Any) -> Any:
        case = self.case
        there = [x + h * v for x, v in zip(moved, along, strict=True)]
        if not self.second:
            return case.value(case.fun, there, passed)
        return case.slope(case.fun, there, passed, self.fixed)[1]

    def _both(self, moved: Any, passed: Any, along: Any) -> Any:
        case = self.case
        if not self.second:
            return case.slope(case.fun, moved, passed, along)
        value = case.slope(case.fun, moved, passed, self.fixed)[1]
        return value, self._curvature(moved, passed, along)

    def _curvature(self, moved: Any, passed: Any, along: Any) -> Any:
        case, jnp = self.case, self.case.jax.numpy
        args, kwargs = case.arguments(moved, passed)
        made = case.originals["hessian"](case.fun, **case.call.options)(*args, **kwargs)
        out = case.fun(*args, **kwargs)
        outs = case.jax.tree_util.tree_leaves(out[0] if case.aux else out)
        rows = case.jax.tree_util.tree_leaves(made[0] if case.aux else made)
        width = len(case.order)
        if len(rows) != len(outs) * width**2:
            raise Skip("its result does not look like its arguments")
        total: Any = 0.0
        for n, w in enumerate(case._weights(outs)):
            for a, v in enumerate(along):
                for b, u in enumerate(self.fixed):
                    row = rows[
                        (n * width + case.order.index(case.places[b])) * width
                        + case.order.index(case.places[a])
                    ]
                    inner = jnp.tensordot(row, v, axes=jnp.ndim(v))
                    total += jnp.sum(w * jnp.tensordot(inner, u, axes=jnp.ndim(u)))
        return total

    def _affordable(self) -> tuple[float, ...]:
        """As many steps as the time for them allows."""
        self.at(self.case.moved, 0.0)
        begun = time.process_time()
        self.base = self.at(self.case.moved, 0.0)
        each = time.process_time() - begun
        for steps in (taylor.STEPS, taylor.FEW):
            if 2 * _DIRECTIONS * len(steps) * each <= VALUES_SECONDS:
                return steps
        raise Skip(f"its values take longer than the {VALUES_SECONDS:g} s that all of them together may take")

    def at(self, along: Any, h: float) -> taylor.Number:
        try:
            found = self._value(self.case.moved, self.case.passed, along, h)
        except FloatingPointError:
            return float("nan")
        number: taylor.Number = found.item() if hasattr(found, "item") else found
        return number

    def findings(self, directions: Sequence[Sequence[Any]]) -> list[taylor.Finding]:
        """What the Taylor test says along each direction."""
        found = []
        for along in directions:
            value, slope = (x.item() for x in self._slope(self.case.moved, self.case.passed, along))
            self._compare(value)
            found.append(taylor.examine(functools.partial(self.at, along), slope, self.epsilon, self.steps))
        return found

    def _compare(self, value: taylor.Number) -> None:
        again = self.at(self.case.moved, 0.0)
        close = 1e4 * self.epsilon * max(abs(value), abs(self.base), 1e-300)
        if max(abs(value - self.base), abs(again - self.base)) > close:
            raise Skip("the function does not give the same value twice")

    # ------------------------------------------------------------ stop_gradient

    def holds_without_stopped(self) -> bool:
        """Whether the derivative is that of the function with the values under `stop_gradient` kept as
        they are at the point."""
        if self.second:
            return False
        stop = getattr(sys.modules["jax._src.ad_util"], "stop_gradient_p", None)
        if stop is None:
            return False
        tape = _Tape(stop.impl)
        stop.impl = tape
        try:
            with self.case.jax.disable_jit():
                return self._holds_with(tape)
        finally:
            stop.impl = tape.impl

    def _holds_with(self, tape: _Tape) -> bool:
        for along in self.case.directions():
            tape.begin()
            _, slope = (x.item() for x in self._slope(self.case.moved, self.case.passed, along))
            tape.begin()

            def at(h: float, along: Any = along) -> taylor.Number:
                tape.rewind()
                found = self._at(self.case.moved, self.case.passed, along, h)
                number: taylor.Number = found.item()
                return number

            if taylor.examine(at, slope, self.epsilon, self.steps).outcome != "held":
                return False
        return bool(tape.values)


class _Tape:
    """Stands in for `stop_gradient`: what it let through at the first evaluation it lets through at every
    other."""

    def __init__(self, impl: Callable[..., Any]) -> None:
        self.impl = impl
        self.values: list[Any] = []
        self.place: int | None = None

    def begin(self) -> None:
        self.values, self.place = [], None

    def rewind(self) -> None:
        self.place = 0 if self.values else None

    def __call__(self, value: Any, **options: Any) -> Any:
        if self.place is None:
            self.values.append(value)
            return value
        self.place += 1
        return self.values[self.place - 1]


# ---------------------------------------------------------------- what a program does


def _equations(jaxpr: Any) -> Iterator[Any]:
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else (value,):
                if hasattr(getattr(part, "jaxpr", part), "eqns"):
                    yield from _equations(part)


def _has(jaxpr: Any, name: str) -> bool:
    return any(equation.primitive.name == name for equation in _equations(jaxpr))


def _precision(jaxpr: Any) -> float:
    """The rounding unit of the coarsest arithmetic that a number in double precision passes through."""
    jnp = sys.modules["jax"].numpy
    coarsest = taylor.DOUBLE
    for equation in _equations(jaxpr):
        into = [_unit(jnp, v) for v in equation.invars]
        out = [_unit(jnp, v) for v in equation.outvars]
        if any(into) and any(out):
            widest = min(unit for unit in into if unit)
            coarsest = max(coarsest, *(unit for unit in out if unit > widest), taylor.DOUBLE)
    if coarsest > 1e-6:
        raise Skip("it rounds to half precision on the way")
    return coarsest


def _unit(jnp: Any, variable: Any) -> float:
    dtype = getattr(getattr(variable, "aval", None), "dtype", None)
    with suppress(TypeError, ValueError):
        if dtype is not None and jnp.issubdtype(dtype, jnp.inexact):
            return float(jnp.finfo(dtype).eps)
    return 0.0
