"""The observer inside a process that runs a note's cells, whoever started it: a forked child or a kernel.

IPython runs the cells and decides what is displayed. This module adds what a garden wants to know: what each
statement with an expectation did, where an exception came from in the author's own terms, and what the
run depended on. Both executors use it, which is why their results agree.
"""

from __future__ import annotations

import ast
import builtins
import copy
import io
import linecache
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from types import FrameType, TracebackType
from typing import Any

from generator.execution import gradcheck
from generator.execution.expectations import branches, claims, observed
from generator.execution.manifest import ROOT, Watch, library_folders, without_folders

Json = dict[str, Any]
_RECORDER = "__notes_garden__"
_LONGEST = 100_000
_QUIET_MAGICS = frozenset({"matplotlib", "config", "xmode", "load_ext", "autoreload"})
_MAGICS = frozenset({"time", "timeit"})
_HIDDEN_PACKAGES = ("jax", "jaxlib", "IPython", "ipykernel", "traitlets")
_FRAMES = 40
_CHECKS = 100


class UnsupportedMagic(Exception):
    """A magic that only makes sense at a keyboard, or that is not Python."""


class Tee:
    """Passes on what is written, and remembers it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.text = ""

    def write(self, text: str) -> Any:
        if len(self.text) < _LONGEST:
            self.text += text
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Recorder:
    """What instrumented statements call. `begin` comes before a statement, `value` wraps an expression,
    `end` comes after any other statement."""

    def __init__(self) -> None:
        self.observations: list[Json] = []
        self.checks: list[Json] = []
        self.shift = 0
        self._reached: set[int] = set()
        self.at: Callable[[int], None] = lambda line: None
        self._tee: Tee | None = None

    def start(self, shift: int) -> None:
        """Begin with a cell, of which IPython drops `shift` lines."""
        self.shift = shift
        self.observations, self.checks, self._reached = [], [], set()

    def begin(self) -> None:
        self._tee = sys.stdout = Tee(sys.stdout)

    def value(self, line: int, value: Any) -> Any:
        self._finish(line, _repr(value))
        return value

    def end(self, line: int, *values: Any) -> None:
        self._finish(line, _repr(values[0]) if values else None)

    def check(self, found: Json, line: int) -> None:
        """Keep a check that a cell made on `line` of what IPython compiled. In a loop of thousands those that
        held are only counted."""
        if found["outcome"] == "held" and len(self.checks) >= _CHECKS:
            last = self.checks[_CHECKS - 1]
            more = int(last["what"].split()[0]) if last["kind"] == "further" else 1
            figures = dict.fromkeys(("expected", "actual", "error", "tolerance", "why"), "")
            what = f"{more + 1} checks that held as well"
            self.checks[_CHECKS - 1] = last | figures | {"kind": "further", "what": what, "line": 0}
        elif len(self.checks) < 2 * _CHECKS:
            texts = {name: str(value)[:500] for name, value in found.items()}
            self.checks.append(texts | {"line": line + self.shift if line else 0})

    def reached(self, line: int) -> None:
        """Keep that a claim held, once for each."""
        if line not in self._reached:
            self._reached.add(line)
            self.observations.append({"line": line, "printed": "", "value": None})

    def release(self) -> None:
        """Give back the stream, also after an exception."""
        tee, self._tee = self._tee, None
        if tee is not None and sys.stdout is tee:
            sys.stdout = tee.stream

    def _finish(self, line: int, value: str | None) -> None:
        printed = self._tee.text if self._tee else ""
        self.release()
        self.observations.append({"line": line, "printed": printed[:_LONGEST], "value": value})


def _repr(value: Any) -> str:
    try:
        return repr(value)[:_LONGEST]
    except Exception as error:
        return f"<no repr: {type(error).__name__}>"


class Instrument:
    """Rewrites a cell's tree so that its observed statements report to the recorder. What is displayed stays
    the same: a last expression is still one, and nothing else becomes one."""

    def __init__(self, lines: Iterable[int], shift: int, progress: bool) -> None:
        self._lines = frozenset(lines)
        self._shift = shift
        self._progress = progress
        self._claims: set[ast.stmt] = set()

    def visit(self, tree: ast.Module) -> ast.Module:
        last = {s.lineno + self._shift: s for s in tree.body}  # of `a = 1; a` the last is meant
        body: list[ast.stmt] = []
        for statement in tree.body:
            line = statement.lineno + self._shift
            if self._progress:
                body.append(_call(statement, "at", line))
            body += self._observe(statement, line) if last[line] is statement else [statement]
        self._claims = {claim for claim, certain in claims(tree.body) if not certain}
        for statement in tree.body:
            self._report_claims(statement)
        tree.body = body
        return tree

    def _report_claims(self, statement: ast.stmt) -> None:
        """Have the claims within loops and branches say that they were reached and held."""
        blocks = [statement.body] if isinstance(statement, ast.With) else list(branches(statement))
        for block in blocks:
            reporting: list[ast.stmt] = []
            for inner in block:
                reporting.append(inner)
                if inner in self._claims:
                    reporting.append(_call(inner, "reached", inner.lineno + self._shift))
                else:
                    self._report_claims(inner)
            block[:] = reporting

    def _observe(self, statement: ast.stmt, line: int) -> list[ast.stmt]:
        if line not in self._lines:
            return [statement]
        before = _call(statement, "begin")
        if isinstance(statement, ast.Expr):
            statement.value = _call(statement, "value", line, statement.value).value
            return [before, statement]
        return [before, statement, _call(statement, "end", line, *_targets(statement))]


def _call(where: ast.stmt, method: str, *arguments: int | ast.expr) -> ast.Expr:
    given: list[ast.expr] = [ast.Constant(a) if isinstance(a, int) else a for a in arguments]
    function = ast.Attribute(ast.Name(_RECORDER, ast.Load()), method, ast.Load())
    node = ast.Expr(ast.Call(function, given, []))
    return ast.fix_missing_locations(ast.copy_location(node, where))


def _targets(statement: ast.stmt) -> list[ast.expr]:
    """The expression that reads back what a statement assigned."""
    if isinstance(statement, ast.Assign):
        target: ast.expr = copy.deepcopy(statement.targets[0])
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign) and statement.value is not None:
        target = copy.deepcopy(statement.target)
    else:
        return []
    if any(isinstance(node, ast.Starred) for node in ast.walk(target)):
        return []
    for node in ast.walk(target):
        if hasattr(node, "ctx"):
            node.ctx = ast.Load()
    return [target]


class Observer:
    """A shell made ready for the cells of one note.

    `codes` are all cells of the note, `order` the indices of those that will run; `values` are, for each
    cell, the expressions to evaluate after it, `folders` the folder of the note that it is from. `deliver`
    gets a report after each: the error, if any, the observations and the values.
    """

    def __init__(
        self,
        shell: Any,
        settings: Mapping[str, Any],
        deliver: Callable[[Json], None],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.shell = shell
        self._codes: Sequence[str] = settings["codes"]
        self._order = list(settings["order"])
        self._values: Sequence[Sequence[str]] = settings["values"]
        self._folders: Sequence[str] = settings["folders"]
        self._vault: str = settings["vault"]
        self._folder: str = settings["folder"]
        self._private: Sequence[str] = settings["private"]
        self._deliver = deliver
        self._progress = progress
        self._files: dict[str, int] = {}
        self._shifts: dict[int, int] = {}
        self._cell = -1
        self._at = ""
        self._visited = False
        self.recorder = Recorder()
        if progress:
            self.recorder.at = progress
        shown = (self._vault, self._folder, ROOT)
        replaced = settings.get("replaced", ())
        self.watch = Watch(self._private, settings.get("baseline") or _loaded(), replaced, shown)
        self._prepare()
        self._gradcheck: str = settings.get("gradcheck", "off")
        self._derivatives = gradcheck.Watcher(self._place, shell.user_ns, settings.get("unwatched", ()))
        if self._gradcheck != "off":
            self._derivatives.install()

    def manifest(self) -> Any:
        """What the cells run so far depended on."""
        ran = [self._codes[i] for i in self._shifts]
        return self.watch.manifest(ran, self._vault, self._folder)

    # ------------------------------------------------------------ derivatives

    def pending(self) -> list[int]:
        """The cells whose derivatives are to be checked, once for each."""
        return [call.cell for call in self._derivatives.calls]

    def derivatives(self) -> Iterator[tuple[int, Json]]:
        """The checks of the derivatives that were taken, each with its cell. To be asked for at the very
        end: the functions of the note are called again."""
        from generator.execution import replay

        publisher = self.shell.display_pub
        publisher.publish = _nothing
        try:
            report_only = self._gradcheck == "report"
            for cell, check in replay.replayed(self._derivatives, self._private, report_only):
                yield cell, {k: self.scrub(v) if isinstance(v, str) else v for k, v in check.items()}
        finally:
            del publisher.publish

    def _place(self, frame: FrameType | None) -> tuple[int, int]:
        """The cell that runs, and the line of it from which a frame was reached."""
        while frame is not None and self._cell >= 0:
            if self._files.get(frame.f_code.co_filename) == self._cell:
                return self._cell, frame.f_lineno + self._shifts.get(self._cell, 0)
            frame = frame.f_back
        return self._cell, 0

    # ------------------------------------------------------------ making ready

    def _prepare(self) -> None:
        setattr(builtins, _RECORDER, self.recorder)
        # What JAX has kept of earlier runs may be damaged: it compiles again, and the author need not know.
        warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
        shell = self.shell
        shell.automagic = False
        shell.compile.get_code_name = self._name
        shell.ast_transformers.append(self)
        # Errors are reported by the observer; IPython's own report costs a second and names this machine.
        shell.showtraceback = shell.showsyntaxerror = _nothing
        shell._format_exception_for_storage = _nothing
        shell._tee = lambda channel: nullcontext()  # IPython would keep all that is printed, in memory.
        self._replace_magics()
        figures = shell.display_formatter.mimebundle_formatter
        figures.for_type_by_name("matplotlib.figure", "Figure", _figure)
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)

    def _replace_magics(self) -> None:
        shell, line_magic, cell_magic = self.shell, self.shell.run_line_magic, self.shell.run_cell_magic

        def run_line_magic(name: str, line: str, *rest: Any, **options: Any) -> Any:
            if name in _QUIET_MAGICS:
                return None
            return line_magic(_allowed(f"%{name}"), line, _stack_depth=2)

        def run_cell_magic(name: str, line: str, cell: str) -> Any:
            return cell_magic(_allowed(f"%%{name}"), line, cell)

        def system(command: str, *rest: Any, **options: Any) -> Any:
            _allowed("!")

        shell.run_line_magic, shell.run_cell_magic = run_line_magic, run_cell_magic
        shell.system = shell.getoutput = system

    # ------------------------------------------------------------ around a cell

    def visit(self, tree: ast.Module) -> ast.Module:
        """IPython asks each of its transformers to visit the tree of a cell."""
        if self._cell < 0 or self._visited:  # `%time` has its argument transformed too.
            return tree
        self._visited = True
        lines = observed(self._codes[self._cell])
        return Instrument(lines, self._shifts[self._cell], self._progress is not None).visit(tree)

    def _name(self, raw: str, transformed: str, number: int) -> str:
        name = f"<cell {self._cell + 1}>"
        self._files[name] = self._cell
        return name

    def _before(self, info: Any) -> None:
        self._cell = self._order.pop(0) if self._order else -1
        if self._cell >= 0:
            # IPython drops blank lines at the start, and numbers the rest from 1.
            blank = re.match(r"(?:[ \t\r\f\v]*\n)*", self._codes[self._cell])
            self._shifts[self._cell] = blank[0].count("\n") if blank else 0
            self._go_to(self._folders[self._cell])
        self._visited = False
        self.recorder.start(self._shifts.get(self._cell, 0))

    def _after(self, result: Any) -> None:
        self.recorder.release()
        if self._cell < 0 or result is None:  # None: IPython itself failed; see `fail`.
            return
        unsettled = _attempt(self._settle)
        error = result.error_before_exec or result.error_in_exec or unsettled
        values: list[Json] = []
        if not isinstance(error, KeyboardInterrupt):  # Whether an exception was meant is decided elsewhere.
            late = _attempt(lambda: values.extend(map(self._value, self._values[self._cell])))
            error = error or late
        self._report(error, values)

    def fail(self, error: BaseException) -> None:
        """Report a cell that IPython could not bring to its end; nothing if it was reported already."""
        self.recorder.release()
        if self._cell >= 0:
            self._report(error)

    def _go_to(self, folder: str) -> None:
        """A borrowed cell finds what lies beside its own note."""
        if folder == self._at:
            return
        self._at = os.environ["NOTE_DIR"] = folder
        if folder not in sys.path:
            sys.path.append(folder)

    def _report(self, error: BaseException | None, values: Sequence[Json] = ()) -> None:
        report = {
            "cell": self._cell,
            "error": self.error(error),
            "observations": self.recorder.observations,
            "checks": self.recorder.checks,
            "values": list(values),
        }
        self._cell = -1
        self._deliver(report)

    def _settle(self) -> None:
        """Whatever a cell started and left to finish by itself, finishes now: effects, then figures."""
        bridge = sys.modules.get("jax._src.xla_bridge")
        if bridge is not None and bridge.backends_are_initialized():
            sys.modules["jax"].effects_barrier()
        if "matplotlib.pyplot" in sys.modules and "generator.execution.figures" in sys.modules:
            sys.modules["generator.execution.figures"].show_all()

    def _value(self, code: str) -> Json:
        """What an expression within a sentence gives now. Its text is `str` of it; what it prints is lost."""
        try:
            with redirect_stdout(io.StringIO()):
                value = eval(compile(code.strip(), "<inline value>", "eval"), self.shell.user_ns)
                return {"status": "ok", "text": str(value)[:_LONGEST], "message": ""}
        except Exception as error:
            said = self.scrub(_message(error)).strip().split("\n", 1)[0][:300]
            message = f"{type(error).__name__}: {said}" if said else type(error).__name__
            return {"status": "error", "text": "", "message": message}

    # ------------------------------------------------------------ errors

    def error(self, error: BaseException | None) -> Json | None:
        """An exception as its author should see it."""
        if error is None:
            return None
        frames = self._frames(error)
        cell = [frame["line"] for frame in frames if frame["cell"] == self._cell]
        return {
            "name": type(error).__name__,
            "text": self.scrub(_message(error)),
            "classes": [name for c in type(error).__mro__ for name in (c.__name__, c.__qualname__)],
            "frames": frames,
            "line": cell[-1] if cell else 0,
            "memory": isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in _message(error)[:500],
        }

    def _frames(self, error: BaseException) -> list[Json]:
        frames = [f for f in map(self._frame, _walk(error.__traceback__)) if f]
        if isinstance(error, SyntaxError) and error.filename in self._files:
            frames.append(self._entry(error.filename, error.lineno or 1, "", error.text or ""))
        if len(frames) > _FRAMES:
            frames = frames[: _FRAMES // 2] + frames[-_FRAMES // 2 :]
        return frames

    def _frame(self, entry: tuple[str, int, str]) -> Json | None:
        file, line, function = entry
        if file not in self._files and (file.startswith("<") or _is_noise(file)):
            return None
        return self._entry(file, line, function, linecache.getline(file, line))

    def _entry(self, file: str, line: int, function: str, code: str) -> Json:
        cell = self._files.get(file)
        shift = 0 if cell is None else self._shifts.get(cell, 0)
        shown = "" if cell is not None else self.scrub(file)
        code = code.strip()
        return {"cell": cell, "line": line + shift, "file": shown, "function": function, "code": code[:500]}

    def scrub(self, text: str) -> str:
        """Text without the folders of this machine."""
        return without_folders(text, (*self._private, self._folder, self._vault))


def _allowed(magic: str) -> str:
    name = magic.lstrip("%")
    if name in _MAGICS:
        return name
    raise UnsupportedMagic(f"`{magic}` does not run in a note; write it in Python instead")


def _nothing(*arguments: Any, **options: Any) -> dict[str, Any]:
    return {}


def _attempt(action: Callable[[], None]) -> BaseException | None:
    try:
        action()
    except BaseException as error:
        return error
    return None


def _figure(figure: Any, include: object = None, exclude: object = None) -> Any:
    from generator.execution import figures

    return figures.bundle(figure)


def _loaded() -> set[str]:
    return {name.partition(".")[0] for name in list(sys.modules)}


def _message(error: BaseException) -> str:
    try:
        text = str(error.msg) if isinstance(error, SyntaxError) else str(error)
        notes = [n for n in getattr(error, "__notes__", ()) if "JAX has removed" not in n]
    except Exception:
        return f"(the message of this {type(error).__name__} cannot be shown)"
    return "\n".join([text, *notes])[:20_000]


def _walk(trace: TracebackType | None) -> list[tuple[str, int, str]]:
    return [
        (frame.f_code.co_filename, line, frame.f_code.co_qualname) for frame, line in traceback.walk_tb(trace)
    ]


def _is_noise(file: str) -> bool:
    """Frames that say nothing to the author of a note: the engine's, JAX's and IPython's own."""
    if file.startswith(f"{ROOT}/generator/execution/") or file.endswith("/contextlib.py"):
        return True
    for folder in library_folders():
        if file.startswith(folder + "/"):
            return file[len(folder) + 1 :].split("/", 1)[0] in _HIDDEN_PACKAGES
    return False
