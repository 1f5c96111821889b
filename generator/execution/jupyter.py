"""The executor for other kernels and other systems: nbclient, a Jupyter kernel a note.

The same observer runs inside a Python kernel as inside a forked child, so the results are the same. A kernel
of another language runs too, but tells less: no observations, no manifest.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from generator.execution import fenced, gradcheck, sandbox, surroundings, together, wire
from generator.execution.collect import Collector
from generator.execution.outcome import death, outcome, result, too_slow
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
from generator.model import CellResult, Check, Program, ProgramResult

Json = dict[str, Any]
_REPORT = "application/vnd.notes-garden.report+json"
_MARK = "NOTES_GARDEN_RUN"
_START = 60
_CELL: Json = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
_CALL = "__import__('generator.execution.kernel', fromlist=['attach'])."


class Jupyter:
    """Runs programs in Jupyter kernels, `jobs` at a time, each in a fence as far as there is one. A
    `Recorder`."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._fence: sandbox.Fence | None = None

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        """See `Executor`."""
        return results_only(self, programs, report)

    def record(
        self, programs: Sequence[Program], report: Callable[[Run], None] | None = None
    ) -> tuple[Run, ...]:
        """See `Recorder`. Raises Unavailable where a sandbox is required and there is none."""
        if not all(map(together.plain, programs)):
            return together.recorded(self.record, programs, report)
        if not programs:
            return ()
        fence = self._found() if any(map(_runs, programs)) else sandbox.Fence()
        return _run(self._record(programs, fence, report))

    def _found(self) -> sandbox.Fence:
        """The fence that kernels have here. It is looked for once."""
        mode = self._environment.sandbox
        if self._fence is None:
            with tempfile.TemporaryDirectory(prefix="garden-") as folder:
                self._fence = fenced.found(mode, folder)
        if mode == "require" and not self._fence.whole:
            raise Unavailable(sandbox.missing(self._fence.why))
        return self._fence

    async def _record(
        self, programs: Sequence[Program], fence: sandbox.Fence, report: Callable[[Run], None] | None
    ) -> tuple[Run, ...]:
        turn = asyncio.Semaphore(max(1, self._environment.jobs))

        async def one(program: Program) -> Run:
            async with turn:
                run = await self._one(program, fence)
            if report:
                report(run)
            return run

        return tuple(await asyncio.gather(*map(one, programs)))

    async def _one(self, program: Program, fence: sandbox.Fence) -> Run:
        known = [skipped(cell) for cell in program.cells]
        if all(known):
            return Run(ProgramResult(program.slug, tuple(r for r in known if r)))
        root = Path(tempfile.mkdtemp(prefix="garden-"))
        kernel = Kernel(self._environment, program, root, fence)
        try:
            reason = await kernel.start()
            if reason:
                return Run(same_for_all(program, "not-run", reason))
            return await kernel.run(known)
        finally:
            await kernel.stop()
            shutil.rmtree(root, ignore_errors=True)


def _runs(program: Program) -> bool:
    return not all(map(skipped, program.cells))


class Kernel:
    """One kernel and the note that runs in it."""

    def __init__(self, environment: Environment, program: Program, root: Path, fence: sandbox.Fence) -> None:
        self.environment, self.program, self.root, self.fence = environment, program, root, fence
        self.is_fenced = bool(fence.words) or fence.bubble
        self.limits: Json = asdict(environment.limits)
        self.folders = [str(root), surroundings.folder_of(program.path, environment), environment.vault]
        self.mark = uuid.uuid4().hex
        self.client: Any = None
        self.reports: list[Json] = []
        self.until = 0.0
        self.idle = True

    # ------------------------------------------------------------ starting and stopping

    async def start(self) -> str:
        """Start the kernel. A sentence why it could not be started, or ""."""
        import nbformat
        from jupyter_client.kernelspec import NoSuchKernel
        from nbclient import NotebookClient

        self.client = NotebookClient(
            nbformat.v4.new_notebook(),  # type: ignore[no-untyped-call]
            kernel_name=self.program.kernel,
            allow_errors=True,
            timeout=None,
            coalesce_streams=False,
            startup_timeout=_START,
            iopub_timeout=4,
            store_widget_state=False,
        )
        self.client.reset_execution_trackers()
        self.client.km = self.client.create_kernel_manager()
        try:
            if self.is_fenced:
                self._fence_in()
            await self.client.async_start_new_kernel(
                cwd=str(self._folder("work")),
                env=self._variables(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self.client.kc = await self.client.async_start_new_kernel_client()
        except NoSuchKernel:
            return f"Not run: there is no kernel called {self.program.kernel} here."
        except RuntimeError as error:
            more = "; in a sandbox it must speak ipc" if self.is_fenced else ""
            return f"Not run: the kernel {self.program.kernel} did not start ({error}{more})."
        if self._is_python():
            await self._hidden(_CALL + f"attach({self._settings()!r})")
        return ""

    def _fence_in(self) -> None:
        """Have the kernel started in its fence. Its network is another than ours, so we speak to it through
        files."""
        manager = self.client.km
        manager.transport = "ipc"
        manager.connection_file = str(self.root / "kernel.json")
        manager.ip = str(self.root / "kernel")
        compiled = surroundings.compiled(self.program.path, self.environment)
        if compiled:
            Path(compiled).mkdir(parents=True, exist_ok=True)
        spec = manager.kernel_spec
        visible = [*filter(None, [self.environment.vault, spec.resource_dir])]
        spec.argv = fenced.command(spec.argv, self.fence, self.root, [*filter(None, [compiled])], visible)

    async def stop(self) -> None:
        """End the kernel and whatever carries its mark."""
        with suppress(Exception):  # It may be dead, or never have lived.
            self.client.kc.stop_channels()
        with suppress(Exception):
            await self.client.km.shutdown_kernel(now=True)
        _kill_marked(self.mark)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        return folder

    def _variables(self) -> dict[str, str]:
        cache = self.environment.cache
        shared = (Path(cache) if cache else self.root).absolute() / "matplotlib"
        self._folder("tmp")
        if self.is_fenced:
            shared = surroundings.copy_of_fonts(shared, self.root)
        home = surroundings.at_home(self.root, surroundings.folder_of(self.program.path, self.environment))
        kept = surroundings.compiled(self.program.path, self.environment)
        compiled = {"JAX_COMPILATION_CACHE_DIR": kept} if kept else {}
        return surroundings.variables(self.environment, shared) | home | compiled | {_MARK: self.mark}

    def _settings(self) -> str:
        vault = self.environment.vault
        return json.dumps(
            {
                "codes": [cell.code for cell in self.program.cells],
                "values": [cell.values for cell in self.program.cells],
                "folders": [
                    surroundings.folder_of(cell.source or self.program.path, self.environment)
                    for cell in self.program.cells
                ],
                "order": [i for i, cell in enumerate(self.program.cells) if skipped(cell) is None],
                "vault": os.path.realpath(vault) if vault else "",
                "folder": surroundings.folder_of(self.program.path, self.environment),
                "private": [
                    str(self.root),
                    os.path.realpath(self.environment.cache) if self.environment.cache else "",
                ],
                "limits": self.limits,
                "replaced": sandbox.replaced(self.fence),
                **gradcheck.settings(self.program, self.environment),
            }
        )

    def _is_python(self) -> bool:
        return bool(self.client.km.kernel_spec.language == "python")

    # ------------------------------------------------------------ cells

    async def run(self, known: Sequence[CellResult | None]) -> Run:
        """Run the cells whose results are not known, top to bottom."""
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.until = time.monotonic() + self.limits["note_seconds"]
        results: list[CellResult] = []
        seconds: list[float] = []
        failed: int | None = None
        for index, given in enumerate(known):
            begun = time.monotonic()
            if given is None and failed is not None:
                given = blocked(failed, self.program)
            results.append(given or wire.cell_result_from(await self._cell(index)))
            seconds.append(0.0 if given else round(time.monotonic() - begun, 4))
            if failed is None and results[-1].status not in ("ok", "skipped"):
                failed = index
        manifest = await self._manifest()
        for cell, check in await self._derivatives(manifest.pop("pending", [])):
            results[cell] = replace(results[cell], checks=(*results[cell].checks, Check(**check)))
        log = {
            "when": when,
            "seconds": seconds,
            "executor": "jupyter",
            "isolation": self.fence.level,
            "device": surroundings.device(),
            "versions": [["python", sys.version.split()[0]], *manifest["packages"]],
        }
        value = {"slug": self.program.slug, "results": [asdict(r) for r in results], "log": log}
        return wire.run_from({"result": value, "manifest": manifest})

    async def _cell(self, index: int) -> Json:
        from nbclient.exceptions import DeadKernelError

        cell = self.program.cells[index]
        limit = cell.options.timeout or self.limits["cell_seconds"]
        self.idle = False
        outputs: list[Any] = []
        try:
            late = await self._execute(cell.code, outputs, min(limit, self.until - time.monotonic()))
        except DeadKernelError:
            status = await self.client.km.provisioner.poll() or 0
            kind, message = death(fenced.status(status) if self.is_fenced else status, self.limits)
            return result(kind, self._collect(outputs)[0], {}, message)
        collector, report = self._collect(outputs)
        if late:
            return self._late(limit, collector, report, late)
        self.idle = True
        return outcome(report or {"error": _own_error(outputs)}, cell.options.raises, collector)

    def _late(self, limit: float, collector: Collector, report: Json, late: str) -> Json:
        whole = time.monotonic() >= self.until
        message = too_slow(self.limits["note_seconds"] if whole else limit, whole, late.strip())
        line = (report.get("error") or {}).get("line", 0)
        return result("timeout", collector, report, message, line)

    async def _execute(self, code: str, outputs: list[Any], limit: float) -> str:
        """Run code; its outputs are appended in any case. Empty if it was in time; otherwise it was
        interrupted, and the answer says what else is to be said of that (a space: nothing)."""
        import nbformat

        cell: Any = nbformat.from_dict({**_CELL, "source": code if code.strip() else "pass"})  # type: ignore[no-untyped-call]
        self.client.nb.cells = [cell]
        task = asyncio.ensure_future(self.client.async_execute_cell(cell, 0))
        late = ""
        try:
            done, _ = await asyncio.wait({task}, timeout=max(0.0, limit))
            if not done:
                late = " "
                await self.client.km.interrupt_kernel()
                done, _ = await asyncio.wait({task}, timeout=self.limits["grace_seconds"])
            if not done:
                task.cancel()
                return "it did not react to being interrupted"
            await task
        finally:
            outputs.extend(cell.outputs)
        return late

    async def _hidden(self, code: str, limit: float = _START) -> list[Any]:
        outputs: list[Any] = []
        await self._execute(code, outputs, limit)
        return outputs

    def _collect(self, outputs: Sequence[Any]) -> tuple[Collector, Json]:
        collector = Collector(self.limits["output_bytes"], self.folders)
        report: Json = {}
        for output in outputs:
            kind = output["output_type"]
            if kind == "stream":
                collector.text(output["name"], output["text"])
            elif kind in ("display_data", "execute_result") and _REPORT in output["data"]:
                report = dict(output["data"][_REPORT])
            elif kind in ("display_data", "execute_result"):
                name = "result" if kind == "execute_result" else "display"
                collector.take({"kind": name, "data": output["data"]})
        return collector, report

    async def _manifest(self) -> Json:
        nothing = {"packages": [], "inputs": [], "network": [], "complete": False}
        if not self.idle or not self._is_python():
            return nothing
        with suppress(Exception):  # A kernel that its note has broken cannot say anything.
            last = await self._hidden(_CALL + "finish()")
            report = self._collect(last)[1]
            return {**report.get("manifest", nothing), "pending": report.get("pending", [])}
        return nothing

    async def _derivatives(self, pending: list[int]) -> list[tuple[int, Json]]:
        """The checks of the derivatives that the cells took, each with its cell."""
        with suppress(Exception):
            last = await self._hidden(_CALL + "derivatives()", gradcheck.PATIENCE) if pending else []
            found = self._collect(last)[1].get("checks", gradcheck.lost(pending))
            return [(cell, check) for cell, check in found]
        return gradcheck.lost(pending)


def _own_error(outputs: Sequence[Any]) -> Json | None:
    """The error that a kernel without our observer reports."""
    for output in outputs:
        if output["output_type"] == "error":
            return {
                "name": output["ename"],
                "text": output["evalue"],
                "frames": [],
                "classes": [output["ename"]],
                "line": 0,
                "memory": False,
            }
    return None


def _kill_marked(mark: str) -> None:
    """Kill every process that inherited a kernel's mark in its environment, whatever it did to get away."""
    needle = f"{_MARK}={mark}".encode()
    for _ in range(20):
        found = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _environment_has(p, needle)]
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.01)


def _environment_has(process: Path, needle: bytes) -> bool:
    with suppress(OSError):
        return needle in (process / "environ").read_bytes()
    return False


def _run(work: Coroutine[Any, Any, tuple[Run, ...]]) -> tuple[Run, ...]:
    """Run a coroutine to its end; in a thread of its own where the caller is itself inside an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
