"""The default executor: one subprocess that has imported what notes need, and forks a child a note.

The generator itself never imports jax, and a build in which nothing is to be run starts no process.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from generator.execution import gradcheck, sandbox, surroundings, together, wire
from generator.execution.manifest import installed
from generator.execution.protocol import (
    Environment,
    Report,
    Run,
    Unavailable,
    blocked,
    results_only,
    same_for_all,
    skipped,
)
from generator.model import Program, ProgramResult

_PRELOAD = (
    ("numpy", ("numpy",)),
    ("jax", ("jax", "jax.numpy", "jax.experimental", "generator.execution.replay")),
    ("optax", ("optax",)),
    ("matplotlib", ("matplotlib.pyplot", "matplotlib.backends.backend_svg", "generator.execution.figures")),
)


def unavailable() -> str:
    """Why this executor cannot be used here, as a sentence; "" if it can."""
    if not sys.platform.startswith("linux") or not hasattr(os, "fork"):
        return "Cells run in forked processes only on Linux; use the jupyter executor here."
    return ""


class Zygote:
    """Runs programs in forked children of one subprocess, which is started when it is first needed and
    kept until `close`. It is replaced when it has died, and when a new one would be another: after something
    was installed, or with other settings in the environment. A `Recorder`."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._root = Path()
        self._log: BinaryIO = io.BytesIO()
        self._requests = self._answers = -1
        self._variables: dict[str, str] = {}
        self._homes = 0
        self._end: Callable[[], object] | None = None
        self._greeted = False
        self._unheard = 0
        self._made_of: object = None

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        """See `Executor`."""
        return results_only(self, programs, report)

    def record(
        self, programs: Sequence[Program], report: Callable[[Run], None] | None = None
    ) -> tuple[Run, ...]:
        """See `Recorder`."""
        if not all(map(together.plain, programs)):
            return together.recorded(self.record, programs, report)
        runs: dict[int, Run] = {}

        def done(index: int, run: Run) -> None:
            runs[index] = run
            if report:
                report(run)

        waiting = []
        for index, program in enumerate(programs):
            known = self._known(program)
            done(index, known) if known else waiting.append(index)
        if waiting:
            self._serve(programs, waiting, done)
        return tuple(runs[index] for index in range(len(programs)))

    def hurry(self, codes: Iterable[str]) -> None:
        """Have the subprocess begin to import what cells of these codes need, without waiting for it: they
        are likely to be run soon."""
        if unavailable():
            return
        self._start()
        self._ask({"jobs": 1, "preload": self._preload(codes), "programs": []})

    def close(self) -> None:
        """End the subprocess and everything it started."""
        self._process = None
        self._log.close()
        if self._end:
            self._end()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ what needs no process

    def _known(self, program: Program) -> Run | None:
        reason = unavailable()
        if reason:
            return Run(same_for_all(program, "not-run", reason))
        foreign = next((c.language for c in program.cells if c.language != "python"), "")
        if foreign or program.kernel != "python3":
            what = f"kernel {program.kernel}" if program.kernel != "python3" else foreign
            return Run(same_for_all(program, "not-run", f"Not run: {what} needs the jupyter executor."))
        results = [skipped(cell) for cell in program.cells]
        if all(results):
            return Run(ProgramResult(program.slug, tuple(r for r in results if r)))
        return None

    # ------------------------------------------------------------ the subprocess

    def _serve(
        self, programs: Sequence[Program], waiting: list[int], done: Callable[[int, Run], None]
    ) -> None:
        left = set(waiting)
        try:
            fresh = self._start()
            heard = self._run(programs, left, done)
            if left and not heard and not fresh:
                # It had died before anything was asked of it, and that is no note's fault.
                self.close()
                self._start()
                self._run(programs, left, done)
        except BaseException:
            self.close()
            raise
        if left:
            why = self._last_words()
            self.close()
            for index in sorted(left):
                done(index, Run(same_for_all(programs[index], "killed", why)))

    def _run(self, programs: Sequence[Program], left: set[int], done: Callable[[int, Run], None]) -> bool:
        """Run the programs that are `left`, and take each out of it. Whether the subprocess took that up."""
        self._ask(
            {
                "jobs": max(1, self._environment.jobs),
                "preload": self._preload(cell.code for index in left for cell in programs[index].cells),
                "programs": [self._job(index, programs[index]) for index in sorted(left)],
            }
        )
        if not self._greeted:
            self._greet()
        while left and (answer := wire.receive(self._answers)):
            if answer.get("heard"):
                self._unheard -= 1
                continue
            index = answer["index"]
            left.discard(index)
            done(index, _run_of(programs[index], answer))
        return self._unheard == 0

    def _preload(self, codes: Iterable[str]) -> list[str]:
        """What cells import that can be imported for them all, as far as their text says so."""
        if any(self._variables[name] != "1" for name in surroundings.ONE_THREAD):
            return []  # It would start threads, and what has threads must not fork: each imports for itself.
        codes = tuple(codes)
        return [name for word, names in _PRELOAD if any(word in code for code in codes) for name in names]

    def _ask(self, request: wire.Json) -> None:
        self._unheard += 1
        with suppress(BrokenPipeError):  # Its end is what whoever listens will hear of.
            wire.send(self._requests, request)

    def _greet(self) -> None:
        greeting = wire.receive(self._answers)
        self._greeted = True
        if greeting and self._environment.sandbox == "require" and greeting["missing"]:
            raise Unavailable(sandbox.missing(greeting["missing"]))

    def _start(self) -> bool:
        """See to it that there is a subprocess; whether it is a new one."""
        made_of = (surroundings.variables(self._environment, Path()), installed())
        if self._process and self._process.poll() is None and made_of == self._made_of:
            return False
        self.close()
        self._made_of = made_of
        self._greeted, self._unheard = False, 0
        self._root = Path(tempfile.mkdtemp(prefix="garden-"))
        theirs, self._requests = os.pipe()
        self._answers, mine = os.pipe()
        shared = Path(self._environment.cache) if self._environment.cache else self._root
        self._variables = surroundings.variables(self._environment, shared.absolute() / "matplotlib")
        home = surroundings.at_home(self._root / "zygote", "")
        own = self._variables | dict.fromkeys(surroundings.ONE_THREAD, "1")
        if not sys.dont_write_bytecode:
            # It imports for all notes, and compiles for good what nobody else has; they may not.
            del own["PYTHONDONTWRITEBYTECODE"]
        try:
            with (self._root / "log").open("wb") as log:
                self._log = (self._root / "log").open("rb")  # The process takes the folder away when it ends.
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "generator.execution.worker",
                        str(theirs),
                        str(mine),
                        str(self._root),
                        self._environment.sandbox,
                        *filter(None, [self._environment.vault]),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._root,
                    env=own | home,
                    pass_fds=(theirs, mine),
                    start_new_session=True,
                )
        finally:
            os.close(theirs)
            os.close(mine)
        # Also when this object is forgotten, and at the latest when the generator ends.
        self._end = weakref.finalize(self, _end, self._requests, self._answers, self._process, self._root)
        return True

    def _job(self, index: int, program: Program) -> wire.Json:
        environment = self._environment
        # Never the same twice: the keeper of an earlier run may still be clearing its note's away.
        self._homes += 1
        home = self._root / f"note-{self._homes}"
        folder = surroundings.folder_of(program.path, environment)
        compiled = surroundings.compiled(program.path, environment)
        known = [skipped(cell) for cell in program.cells]
        return {
            "index": index,
            "program": asdict(program),
            "known": [asdict(result) if result else None for result in known],
            "blocked": [asdict(blocked(i, program)) for i in range(len(program.cells))],
            "limits": asdict(environment.limits),
            "home": str(home),
            "visible": [environment.vault] if environment.vault else [],
            "fonts": self._variables["MPLCONFIGDIR"],
            "variables": {
                **self._variables,
                **surroundings.at_home(home, folder),
                "MPLCONFIGDIR": str(home / "matplotlib"),
                "JAX_COMPILATION_CACHE_DIR": compiled,
            },
            "device": surroundings.device(),
            "settings": {
                "codes": [cell.code for cell in program.cells],
                "values": [cell.values for cell in program.cells],
                "folders": [
                    surroundings.folder_of(cell.source or program.path, environment) for cell in program.cells
                ],
                "order": [i for i, result in enumerate(known) if result is None],
                "vault": os.path.realpath(environment.vault) if environment.vault else "",
                "folder": folder,
                "private": [
                    str(home),
                    str(self._root),
                    environment.cache and os.path.realpath(environment.cache),
                ],
                "compiled": compiled,
                **gradcheck.settings(program, environment),
            },
        }

    def _last_words(self) -> str:
        status = self._process.wait() if self._process else 0
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        more = f": {lines[-1]}" if lines else ""
        return f"The process that runs cells ended before this note was done (status {status}){more}."


def _end(requests: int, answers: int, process: subprocess.Popen[bytes], root: Path) -> None:
    """Hang up: the subprocess kills what it started and ends. If it does not, it is killed."""
    os.close(requests)
    os.close(answers)
    try:
        process.wait(timeout=10)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run_of(program: Program, answer: wire.Json) -> Run:
    if answer["run"]:
        return wire.run_from(answer["run"])
    why = "The process that watched over this note's cells was killed."
    if answer["why"]:
        why = f"This note's cells could not be run, or not to their end ({answer['why']})."
    return Run(same_for_all(program, "killed", why))
