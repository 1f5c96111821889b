"""Watching derivatives: which functions a note differentiates, and where.

`jax.grad` and its like are wrapped before a cell can import them. What they return remembers its first call:
the function, the arguments, the line. `jax.jvp`, `vjp` and `linearize` differentiate at once: the first call
of each for a function is remembered. Nothing else happens while cells run: the derivative is computed as
ever, and a later call costs one look at a flag, or at what is remembered. When all cells have run, and
nothing that happens can be seen any more, `replay` repeats each call in double precision.

A call inside `jit`, `vmap` or another derivative has arguments without values. Those of `vmap` and of
derivatives carry their values along; for the others the outermost call of JAX is remembered, which has
values, and run again without compilation up to the call that is wanted.

This module never imports JAX. A note that does not use it pays nothing.
"""

from __future__ import annotations

import functools
import importlib.machinery
import inspect
import sys
import time
import types
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generator.execution.protocol import Environment
    from generator.model import Program

Json = dict[str, Any]
Place = Callable[[types.FrameType | None], tuple[int, int]]

NAMES = ("grad", "value_and_grad", "jacfwd", "jacrev", "jacobian", "hessian")
AT_ONCE = ("jvp", "vjp", "linearize")
"""Differentiate a function where they are called, with respect to all its arguments."""
IN_A_CELL = 16
"""As many functions are checked in a cell,"""
ON_A_LINE = 3
"""and as many of those that one line makes again and again."""
LARGEST = 64 << 20
"""Bytes of arguments that are kept until the end of a note for one call,"""
TOGETHER = 256 << 20
"""and for all of them."""
PATIENCE = 240.0
"""Seconds that are waited for the derivatives of a note, all together. They have limits of their own."""
_DEEPEST = 20
_ATTEMPTS = 3


def settings(program: Program, environment: Environment) -> Json:
    """What a process that runs cells must know: whether derivatives are checked, and in which cells they
    are not: where the author says so, and where the cell is another note's, which checks it itself."""
    cells = enumerate(program.cells)
    off = [i for i, cell in cells if cell.source or cell.options.gradcheck.startswith("off")]
    return {"gradcheck": environment.gradcheck, "unwatched": off}


def lost(cells: Sequence[int]) -> list[tuple[int, Json]]:
    """The checks of those cells that were still to come when their process went away."""
    why = "the process of this note ended while its derivatives were repeated"
    check = {"kind": "gradient", "what": "a derivative", "outcome": "skipped", "why": why}
    return [(cell, dict(check)) for cell in cells]


_MADE: weakref.WeakKeyDictionary[Callable[..., Any], tuple[str, Any]] = weakref.WeakKeyDictionary()
"""The derivatives that exist, by their names: a derivative of a derivative is called by both."""


class Hidden(Exception):
    """A value that is not there yet: JAX is tracing. The message is the end of a sentence."""


class Unvalued(Hidden):
    """Of those, a value that a call further out may have."""


class Caught(BaseException):
    """The call that was looked for, with its values."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


@dataclass(slots=True)
class Later:
    """The first of a batch of values. Taking it is left for later: now it might become part of a program
    that is being traced."""

    batch: Any
    axis: int


@dataclass(slots=True)
class Call:
    """A call of a derivative: `name(fun, **options)(*args, **kwargs)` in line `line` of cell `cell`.

    `outer` is, for a call whose arguments have no values, a call that leads to it and has them. `names` are
    the global names that the function uses, with what they meant. `seconds` the call took the
    processor. `why`, if not empty, says that the call cannot be repeated.
    """

    name: str
    fun: Any
    options: Mapping[str, Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    cell: int = -1
    line: int = 0
    outer: Call | None = None
    names: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    why: str = ""

    @property
    def what(self) -> str:
        """The derivative as its author would write it."""
        shown = [f"{name}={value!r}" for name, value in self.options.items() if name != "has_aux"]
        return f"{self.name}({', '.join([name_of(self.fun), *shown])})"


class Watcher:
    """Watches the derivatives of one process.

    `place` tells which cell a frame belongs to (negative: none) and the line in it; nothing is remembered of
    the cells in `off`. `namespace` is where cells keep their names.
    """

    def __init__(self, place: Place, namespace: dict[str, Any], off: Sequence[int] = ()) -> None:
        self.namespace = namespace
        self.calls: list[Call] = []
        self.originals: dict[str, Callable[..., Any]] = {}
        self.active = True
        self.wanted: Call | None = None
        self._place = place
        self._off = frozenset(off)
        self._seen: set[tuple[Any, ...]] = set()
        self._alive: list[Any] = []
        self._counts: Counter[tuple[Any, ...]] = Counter()
        self._left = TOGETHER
        self.omitted: Counter[tuple[int, int]] = Counter()

    def install(self) -> None:
        """Wrap what JAX has, now or as soon as it is imported."""
        if "jax" in sys.modules:
            self._wrap(sys.modules["jax"])
        else:
            sys.meta_path.insert(0, _Arrival(self._wrap))

    # ------------------------------------------------------------ wrapping

    def _wrap(self, jax: types.ModuleType) -> None:
        for name in (*NAMES, *AT_ONCE):
            original = getattr(jax, name, None)
            if not isinstance(original, types.FunctionType):
                continue
            self.originals[name] = original
            watched = (self._at_once if name in AT_ONCE else self._watched)(name, original)
            # Also where it comes from: there `pickle` looks it up, and finds the same thing.
            home = sys.modules.get(original.__module__)
            for module in {id(m): m for m in (jax, home) if m}.values():
                if getattr(module, name, None) is original:
                    setattr(module, name, watched)
        _hide_from_tracebacks()

    def _watched(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def transform(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            if _is_jax(sys._getframe(1)):
                return made
            return self._followed(name, original, args, kwargs, made)

        return transform

    def _at_once(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def transform(*args: Any, **kwargs: Any) -> Any:
            # JAX makes its gradients of this one, so that it must step aside at once.
            if _is_jax(sys._getframe(1)) or not (self.active or self.wanted):
                return original(*args, **kwargs)
            try:
                given = signature.bind(*args, **kwargs)
                primals = tuple(given.arguments["primals"])
                options = {"has_aux": True} if given.arguments.get("has_aux") else {}
                watch = _Watch(name, original, (given.arguments["fun"],), options, original)
            except Exception:  # JAX says it better.
                return original(*args, **kwargs)
            watch.made = lambda *_: original(*args, **kwargs)
            return self._called(watch, primals, {})

        return transform

    def _followed(
        self, name: str, original: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], made: Any
    ) -> Callable[..., Any]:
        watch = _Watch(name, original, args, kwargs, made)

        @functools.wraps(made)
        def derivative(*args: Any, **kwargs: Any) -> Any:
            if watch.done and self.wanted is None:
                return made(*args, **kwargs)
            return self._called(watch, args, kwargs)

        _MADE[derivative] = name, watch.fun
        derivative.__dict__.clear()
        derivative.__dict__.update(vars(made))  # `__wrapped__` above all: it is the author's function
        return derivative

    # ------------------------------------------------------------ calls

    def _called(self, watch: _Watch, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self.wanted is not None:
            self._catch(watch, args, kwargs)
        if watch.done or not self.active:
            return watch.made(*args, **kwargs)
        watch.done = True
        call = None
        with suppress(Exception):  # Whatever is wrong with our notes of it: the cell must not notice.
            call = self._remember(watch, args, kwargs, sys._getframe(2))
        if call is None:
            return watch.made(*args, **kwargs)
        begun = time.process_time()
        try:
            result = watch.made(*args, **kwargs)
        except BaseException:
            watch.done = False
            raise
        call.seconds = time.process_time() - begun
        self.calls.append(call)
        return result

    def _remember(
        self, watch: _Watch, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: types.FrameType
    ) -> Call | None:
        cell, line = self._place(frame)
        if cell < 0 or cell in self._off:
            watch.done = False
            return None
        call = watch.call()
        call.cell, call.line = cell, line
        if not self._is_new(call):
            return None
        try:
            self._keep(call, args, kwargs, frame)
        except Hidden as error:
            call.why = str(error)
            watch.attempts += 1
            watch.done = watch.attempts >= _ATTEMPTS
        except Exception as error:
            call.why = f"its arguments could not be kept ({type(error).__name__})"
        return call

    def _is_new(self, call: Call) -> bool:
        options = tuple(sorted((name, repr(value)) for name, value in call.options.items()))
        key = (call.cell, call.name, id(call.fun), options)
        if key in self._seen:
            return False
        line = (call.cell, call.line, call.name, options, code_of(call.fun))
        if self._counts[line] >= ON_A_LINE or self._counts[call.cell,] >= IN_A_CELL:
            self.omitted[call.cell, call.line] += 1
            return False
        self._seen.add(key)
        self._alive.append(call.fun)  # Its identity is in the key.
        self._counts[line] += 1
        self._counts[call.cell,] += 1
        return True

    def _keep(
        self, call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: types.FrameType
    ) -> None:
        call.names = names_of(call.fun, self.namespace)
        try:
            call.args, call.kwargs = kept((args, dict(kwargs)), self._left)
            call.fun = with_values(call.fun, peel)
        except Unvalued:
            call.outer = outermost(frame, self._left)
            call.outer.names = names_of(call.outer.fun, self.namespace)
        last = call.outer or call
        self._left -= size_of((last.args, last.kwargs))

    def _catch(self, watch: _Watch, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        call, wanted = watch.call(), self.wanted
        if wanted and call.name == wanted.name and code_of(call.fun) == code_of(wanted.fun):
            call.args, call.kwargs = kept((args, dict(kwargs)))
            call.fun = with_values(call.fun, peel)
            raise Caught(call)


class _Watch:
    """One function that `grad` or its like has returned, or one call of `jvp` or its like."""

    __slots__ = ("args", "attempts", "done", "kwargs", "made", "name", "original")

    def __init__(
        self, name: str, original: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], made: Any
    ) -> None:
        self.name, self.original, self.args, self.kwargs, self.made = name, original, args, kwargs, made
        self.done = False
        self.attempts = 0

    @property
    def fun(self) -> Any:
        return self.args[0] if self.args else self.kwargs.get("fun")

    def call(self) -> Call:
        if self.name in AT_ONCE:
            return Call(self.name, self.fun, dict(self.kwargs))
        options = dict(inspect.signature(self.original).bind(*self.args, **self.kwargs).arguments)
        return Call(self.name, options.pop("fun"), options)


class _Arrival:
    """Waits for JAX: a finder of modules that finds none by itself, and tells when JAX has been imported."""

    def __init__(self, then: Callable[[types.ModuleType], None]) -> None:
        self._then = then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "jax":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        loader = spec.loader if spec else None
        if spec is None or loader is None:
            return spec
        spec.loader = _Announcing(loader, self._then)  # type: ignore[assignment]
        return spec


class _Announcing:
    """A loader that does what another does, gives it its place back, and tells."""

    def __init__(self, loader: Any, then: Callable[[types.ModuleType], None]) -> None:
        self._loader, self._then = loader, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__spec__:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then(module)


def _is_jax(frame: types.FrameType) -> bool:
    """JAX differentiates for purposes of its own."""
    name = str(frame.f_globals.get("__name__", ""))
    return name == "jax" or name.startswith("jax.")


def _hide_from_tracebacks() -> None:
    """JAX hides its own frames from authors, and notes for each operation where it was written."""
    for name in ("traceback_util", "source_info_util"):
        with suppress(Exception):
            sys.modules[f"jax._src.{name}"].register_exclusion(__file__)


# ---------------------------------------------------------------- values


def is_array(value: Any) -> bool:
    """An array of JAX or numpy. (A tracer is one as well.)"""
    jax, numpy = sys.modules["jax"], sys.modules["numpy"]
    return isinstance(value, jax.Array | numpy.ndarray | numpy.generic)


def peel(value: Any) -> Any:
    """The concrete value that a tracer stands for, or an example of it; any other value as it is. Raises
    Hidden."""
    if not isinstance(value, sys.modules["jax"].core.Tracer):
        return value
    if hasattr(value, "primal"):
        return peel(value.primal)
    if hasattr(value, "batch_dim") and hasattr(value, "val"):
        inner = peel(value.val)
        return Later(inner, value.batch_dim) if isinstance(value.batch_dim, int) else inner
    raise Unvalued("its arguments had no values, because JAX was tracing it")


def size_of(tree: Any) -> int:
    """Bytes of the arrays in a tree."""
    leaves = sys.modules["jax"].tree_util.tree_leaves(tree)
    return sum(getattr(leaf, "nbytes", 0) for leaf in leaves if is_array(leaf))


def kept(tree: Any, left: int = LARGEST) -> Any:
    """A tree of arguments as they are now, whatever becomes of them. Raises Hidden."""
    util = sys.modules["jax"].tree_util
    leaves, structure = util.tree_flatten(tree)
    leaves = [peel(leaf) for leaf in leaves]
    size = size_of(leaves)
    if size > min(left, LARGEST):
        raise Hidden(f"its arguments are too large to be kept until the end of the note ({size >> 20} MB)")
    numpy = sys.modules["numpy"]
    return util.tree_unflatten(
        structure, [leaf.copy() if isinstance(leaf, numpy.ndarray) else leaf for leaf in leaves]
    )


def with_values(fun: Any, change: Callable[[Any], Any], depth: int = 0) -> Any:
    """The function with every value that it closes over changed; the same function if none is. Raises
    Hidden where `change` does."""
    if depth > _DEEPEST:
        return fun
    again: Callable[[Any], Any] = lambda value: changed(value, change, depth + 1)  # noqa: E731
    if isinstance(fun, functools.partial):
        parts = again(fun.func), tuple(map(again, fun.args)), {k: again(v) for k, v in fun.keywords.items()}
        same = _same((fun.func, *fun.args, *fun.keywords.values()), (parts[0], *parts[1], *parts[2].values()))
        return fun if same else functools.partial(parts[0], *parts[1], **parts[2])
    if isinstance(fun, types.MethodType):
        function = again(fun.__func__)
        return fun if function is fun.__func__ else types.MethodType(function, fun.__self__)
    if is_jitted(fun):
        inner = again(fun.__wrapped__)
        return fun if inner is fun.__wrapped__ else inner
    return _function(fun, again) if isinstance(fun, types.FunctionType) else fun


def _function(fun: types.FunctionType, again: Callable[[Any], Any]) -> types.FunctionType:
    filled = [cell for cell in fun.__closure__ or () if _filled(cell)]
    old = [cell.cell_contents for cell in filled]
    new = [value if value is fun else again(value) for value in old]
    defaults = tuple(map(again, fun.__defaults__ or ()))
    if _same(old, new) and _same(fun.__defaults__ or (), defaults):
        return fun
    cells = {id(cell): types.CellType(value) for cell, value in zip(filled, new, strict=True)}
    closure = tuple(cells.get(id(cell), cell) for cell in fun.__closure__ or ())
    copy = types.FunctionType(fun.__code__, fun.__globals__, fun.__name__, defaults or None, closure)
    copy.__kwdefaults__ = fun.__kwdefaults__
    copy.__dict__.update(fun.__dict__)
    return copy


def changed(value: Any, change: Callable[[Any], Any], depth: int) -> Any:
    if isinstance(value, types.FunctionType | types.MethodType | functools.partial) or is_jitted(value):
        return with_values(value, change, depth)
    if isinstance(value, types.ModuleType | type | str | int | float) or value is None:
        return value
    util = sys.modules["jax"].tree_util
    try:
        leaves, structure = util.tree_flatten(value)
    except (TypeError, ValueError):
        return value
    if depth > _DEEPEST or len(leaves) > 10_000:
        return value
    new = [
        with_values(leaf, change, depth + 1) if isinstance(leaf, types.FunctionType) else change(leaf)
        for leaf in leaves
    ]
    return value if _same(leaves, new) else util.tree_unflatten(structure, new)


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _same(old: Sequence[Any], new: Sequence[Any]) -> bool:
    return len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))


# ---------------------------------------------------------------- functions


def is_jitted(value: Any) -> bool:
    return type(value).__name__ == "PjitFunction" and hasattr(value, "__wrapped__")


def name_of(fun: Any) -> str:
    """What its author calls a function."""
    if isinstance(fun, types.FunctionType) and fun in _MADE:
        name, of = _MADE[fun]
        return f"{name}({name_of(of)})"
    name = getattr(inner(fun), "__name__", "") or type(fun).__name__
    return "lambda" if name == "<lambda>" else str(name)


def code_of(fun: Any) -> object:
    """What stays the same of a function that is made again and again."""
    found = inner(fun)
    return getattr(found, "__code__", None) or type(found)


def inner(fun: Any) -> Any:
    """The function that a partial application, a method or a compiled function was made from."""
    for _ in range(_DEEPEST):
        if isinstance(fun, functools.partial):
            fun = fun.func
        elif isinstance(fun, types.MethodType):
            fun = fun.__func__
        elif is_jitted(fun):
            fun = fun.__wrapped__
        else:
            break
    return fun


def names_of(fun: Any, namespace: dict[str, Any]) -> dict[str, Any]:
    """The names of the namespace that a function uses, directly or through others, and their values now."""
    names: dict[str, Any] = {}
    seen: set[int] = set()
    todo = [fun]
    while todo:
        value = inner(todo.pop())
        if id(value) in seen:
            continue
        seen.add(id(value))
        if not isinstance(value, types.FunctionType):
            # A function with a derivative of its own.
            todo += [part for n in ("fun", "fwd", "bwd", "jvp") if (part := getattr(value, n, None))]
            continue
        todo += [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
        if value.__globals__ is not namespace:
            continue
        for name in _names_in(value.__code__):
            if name in namespace and name not in names:
                names[name] = namespace[name]
                todo.append(namespace[name])
    return {name: value for name, value in names.items() if _may_be_held(value)}


def _may_be_held(value: Any) -> bool:
    """Whether a value may be kept alive until the end of the note. A name of what is too large for that means
    what it means then."""
    return not isinstance(value, types.ModuleType) and not (is_array(value) and value.nbytes > LARGEST)


def _names_in(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)


def outermost(frame: types.FrameType | None, left: int) -> Call:
    """The outermost call of JAX that leads to a frame. Raises Hidden if there is none that has values."""
    found: tuple[types.FrameType, types.FrameType | None] | None = None
    below: list[types.FrameType] = []
    while frame:
        if frame.f_code.co_name == "reraise_with_filtered_traceback" and "fun" in frame.f_code.co_freevars:
            found = frame, below[-1] if below else None
        below.append(frame)
        frame = frame.f_back
    if found is None:
        raise Hidden("its arguments had no values, and no call around it has")
    boundary, called = found
    place = called if called and called.f_code.co_name == "cache_miss" else boundary
    held = place.f_locals
    if not {"fun", "args", "kwargs"} <= held.keys():
        raise Hidden("its arguments had no values, and no call around it has")
    args, kwargs = kept((held["args"], dict(held["kwargs"])), left)
    return Call("", with_values(held["fun"], peel), {}, args, kwargs)
