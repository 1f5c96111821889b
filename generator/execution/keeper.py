"""The process between the zygote and a note: it starts the note's process, watches it and ends it.

It is forked from the zygote for one note, adopts everything the note leaves behind, and does not exit
before all of it is gone. It never runs a line of the note's code.
"""

from __future__ import annotations

import codecs
import fcntl
import mmap
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from generator.execution import gradcheck, processes, sandbox, surroundings, wire
from generator.execution.collect import Collector
from generator.execution.manifest import without_folders
from generator.execution.outcome import death, outcome, result, too_many, too_slow

Json = dict[str, Any]
_TICK = 0.25
_PIPE = 1 << 20
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
_NUMBER = struct.Struct("i")


class Gone(Exception):
    """The note's process went away."""


class Stopped(Exception):
    """The keeper itself was asked to end."""


class Unready(Exception):
    """The note's process could not be made ready; the text says why."""


class Child:
    """The note's process, as its keeper sees it."""

    def __init__(self, start: Callable[[socket.socket, Callable[[int], None]], None], job: Json) -> None:
        ours, theirs = socket.socketpair()
        out, err = os.pipe(), os.pipe()
        self.line_page = mmap.mmap(-1, _NUMBER.size)
        parent = os.pidfd_open(os.getpid())
        self.pid = os.fork()
        if self.pid == 0:
            others = (ours.fileno(), out[0], err[0])
            _run(
                lambda: _ready(theirs, lambda: _become(parent, out[1], err[1], others, job)),
                lambda: start(theirs, self._tell_line),
            )
        for fd in (out[1], err[1], parent):
            os.close(fd)
        theirs.close()
        self.connection = ours
        self.frames = wire.Frames()
        self.status: int | None = None
        self.streams = {"stdout": out[0], "stderr": err[0]}
        self.decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in self.streams}
        for fd in self.streams.values():
            os.set_blocking(fd, False)
            with suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE)
        self.handle = os.pidfd_open(self.pid)
        self._readable = [*self.streams.values(), ours.fileno(), self.handle]

    def _tell_line(self, line: int) -> None:
        self.line_page[:] = _NUMBER.pack(line)

    @property
    def line(self) -> int:
        """The line of the statement that was begun last."""
        return int(_NUMBER.unpack(self.line_page[:])[0])

    def send(self, message: object) -> None:
        with suppress(OSError):
            wire.send(self.connection.fileno(), message)

    def printed(self) -> list[tuple[str, str]]:
        """What has been printed since we last asked, as far as it is in the pipes now."""
        return [(name, text) for name in self.streams if (text := self._drain(name))]

    def _drain(self, name: str) -> str:
        parts = []
        for _ in range(_PIPE // 65536 + 1):
            try:
                data = os.read(self.streams[name], 65536)
            except (BlockingIOError, OSError):
                break
            if not data:
                self._forget(self.streams[name])
                break
            parts.append(data)
        return self.decoders[name].decode(b"".join(parts)) if parts else ""

    def _forget(self, fd: int) -> None:
        with suppress(ValueError):
            self._readable.remove(fd)

    def wait(self, seconds: float) -> tuple[bool, list[Json]]:
        """Wait for anything to happen: whether the process is alive, and its messages."""
        with suppress(InterruptedError):
            ready = select.select(self._readable, [], [], max(0.0, seconds))[0]
            if self.connection.fileno() in ready:
                with suppress(OSError):
                    data = self.connection.recv(1 << 20)
                    if data:
                        return True, self.frames.feed(data)
                    self._forget(self.connection.fileno())
            if self.handle in ready:
                return False, []
        return True, []

    def exit_status(self) -> int:
        """Negative: the signal it died of. Otherwise its exit code."""
        if self.status is None:
            with suppress(ChildProcessError):
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status or 0


def _become(parent: int, out: int, err: int, others: tuple[int, ...], job: Json) -> None:
    """Turn the fork into the process in which a note may run."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    processes.die_with_parent(parent, signal.SIGKILL)
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(fd, target)
    for fd in {null, out, err, *others, *job["close"]} - {0, 1, 2}:
        os.close(fd)
    home = Path(job["home"])
    os.chdir(home / "work")
    os.environ.clear()
    os.environ.update(job["variables"])
    sys.dont_write_bytecode = True
    limits = job["limits"]
    processes.confine(limits["memory_bytes"], limits["file_bytes"], limits["open_files"])
    sandbox.renounce(sandbox.Fence(**job["fence"]))


def _ready(connection: socket.socket, action: Callable[[], None]) -> None:
    """Make the process ready; its keeper hears why, if that fails."""
    try:
        action()
    except Exception as error:
        wire.send(connection.fileno(), {"kind": "unready", "why": reason(error)})
        raise


def _run(*actions: Callable[[], None]) -> NoReturn:
    """Do one thing after the other as the whole life of a forked process."""
    status = 1
    try:
        for action in actions:
            action()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


# ---------------------------------------------------------------- one note


class Keeper:
    """Runs one program in a child of its own and collects the results."""

    def __init__(self, job: Json, start: Callable[[socket.socket, Callable[[int], None]], None]) -> None:
        self.job = job
        self.limits: Json = job["limits"]
        self.cells: list[Json] = job["program"]["cells"]
        self.results: list[Json] = []
        self.seconds: list[float] = []
        self.child = Child(start, job)
        settings = job["settings"]
        self.folders = [*settings["private"], settings["folder"], settings["vault"]]
        self.until = time.monotonic() + self.limits["note_seconds"]
        self.next_count = 0.0
        self.idle = True
        self.crashed = False
        self.crowded = False

    def run(self) -> Json:
        """The program's run, as JSON."""
        failed = False
        for index, cell in enumerate(self.cells):
            known: Json | None = self.job["known"][index]
            if known is None and failed:
                known = self.job["blocked"][next(i for i, r in enumerate(self.results) if _bad(r))]
            begun = time.monotonic()
            self.results.append(known or self._cell(index, cell))
            self.seconds.append(0.0 if known else round(time.monotonic() - begun, 4))
            failed = failed or (known is None and self.results[-1]["status"] != "ok")
        return self._finish()

    def _cell(self, index: int, cell: Json) -> Json:
        collector = Collector(self.limits["output_bytes"], self.folders)
        limit = cell["options"]["timeout"] or self.limits["cell_seconds"]
        self.idle = False
        self.child.line_page[:] = _NUMBER.pack(0)
        self.child.send({"run": index})
        end = min(time.monotonic() + limit, self.until)
        for deadline, late in ((end, False), (end + self.limits["grace_seconds"], True)):
            if late:
                with suppress(ProcessLookupError):
                    os.kill(self.child.pid, signal.SIGINT)
            try:
                report = self._listen(collector, deadline)
            except Gone:
                return self._gone(collector, late, limit)
            if report is not None:
                return self._judge(report, cell, collector, late, limit)
        return self._late(collector, limit, "it did not react to being interrupted", {})

    def _listen(self, collector: Collector, until: float) -> Json | None:
        """Collect until the cell is done (its report) or time is up (None)."""
        while (left := until - time.monotonic()) > 0:
            alive, messages = self.child.wait(min(left, _TICK))
            for name, text in self.child.printed():
                collector.text(name, text)
            for message in messages:
                if message["kind"] == "done":
                    self.child.send({})
                    return message
                if message["kind"] == "unready":
                    raise Unready(message["why"])
                collector.take(message)
                self.child.send({})
            if not alive:
                raise Gone
            self._count()
        return None

    def _count(self) -> None:
        if time.monotonic() < self.next_count:
            return
        self.next_count = time.monotonic() + _TICK
        if len(processes.descendants(os.getpid())) > self.limits["processes"]:
            processes.kill_descendants(os.getpid())
            self.crowded = True
            raise Gone

    # ------------------------------------------------------------ what became of it

    def _judge(self, report: Json, cell: Json, collector: Collector, late: bool, limit: float) -> Json:
        if late:
            return self._late(collector, limit, "", report)
        self.idle = True
        return outcome(report, cell["options"]["raises"], collector)

    def _late(self, collector: Collector, limit: float, more: str, seen: Json) -> Json:
        whole = time.monotonic() > self.until
        message = too_slow(self.limits["note_seconds"] if whole else limit, whole, more)
        line = (seen.get("error") or {}).get("line") or self.child.line
        return result("timeout", collector, seen, message, line)

    def _gone(self, collector: Collector, late: bool, limit: float) -> Json:
        status = self.child.exit_status()
        if late:
            return self._late(collector, limit, "it ended instead of being interrupted", {})
        if self.crowded:
            return result("killed", collector, {}, too_many(self.limits), self.child.line)
        self.crashed = -status in _CRASHES
        kind, message = death(status, self.limits)
        return result(kind, collector, {}, message, self.child.line)

    def _finish(self) -> Json:
        last, *more = (self._last_words() if self.idle else []) or [{}]
        self._take_checks(last.get("pending", []), more)
        manifest = last.get("manifest") or {"packages": [], "inputs": [], "network": [], "complete": False}
        log = {
            "when": self.job["when"],
            "seconds": self.seconds,
            "executor": "zygote",
            "isolation": self.job["isolation"],
            "device": last.get("device") or self.job["device"],
            "versions": [["python", sys.version.split()[0]], *manifest["packages"]],
        }
        program_result = {"slug": self.job["program"]["slug"], "results": self.results, "log": log}
        return {"result": program_result, "manifest": manifest, "crashed": self.crashed}

    def _last_words(self) -> list[Json]:
        """What the child says of the whole run when no more cells are to come, and perhaps what follows."""
        self.child.send({"run": None})
        end = time.monotonic() + 10
        while time.monotonic() < end:
            alive, messages = self.child.wait(_TICK)
            self.child.printed()
            if messages:
                return messages
            if not alive:
                break
        return []

    def _take_checks(self, pending: list[int], messages: list[Json]) -> None:
        """What became of the derivatives of the note. Their outputs are taken already: whatever happens
        to the child now, the run stands."""
        end = time.monotonic() + (gradcheck.PATIENCE if pending else 0)
        alive, seen = True, 0
        while True:
            for message in messages:
                if message["kind"] == "checked":
                    return
                self._add_check(message["cell"], message["check"])
                seen += 1
            if not alive or time.monotonic() >= end:
                break
            alive, messages = self.child.wait(_TICK)
            self.child.printed()
        for cell, check in gradcheck.lost(pending[seen:]):
            self._add_check(cell, check)

    def _add_check(self, cell: int, check: Json) -> None:
        self.results[cell]["checks"] = [*self.results[cell]["checks"], check]


def reason(error: Exception) -> str:
    """An exception of the machinery, for the sentence that a reader of the note gets."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, Unready) else f"{type(error).__name__}: {text}".removesuffix(": ")


def _bad(result: Json) -> bool:
    return result["status"] not in ("ok", "skipped")


def keep(job: Json, answer: int, start: Callable[[socket.socket, Callable[[int], None]], None]) -> NoReturn:
    """Be the keeper of one note: write its run to `answer`, or `failed` with the reason why there is none;
    leave nothing behind; exit."""

    def stop(number: int, frame: object) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    processes.adopt_orphans()
    for fd in job["close"]:
        os.close(fd)
    job["close"] = [answer]
    job["when"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found: Json = {}
    fenced = False
    try:
        _make_room(job)
        fenced = True
        found = Keeper(job, start).run()
    except Stopped:
        pass
    except Exception as error:
        private = (
            *job["settings"]["private"],
            job["settings"]["vault"],
        )  # The page may be anybody's to read.
        found = {"failed": without_folders(reason(error), private)}
    finally:
        # Without its fence it sees other processes than its own, and has started none.
        _clean(job, kill=fenced)
        if found:
            wire.send(answer, found)
        os._exit(0)


def _make_room(job: Json) -> None:
    """The folders that the note may write to, and a fence around them."""
    home = Path(job["home"])
    for folder in (home, home / "tmp", home / "work"):
        folder.mkdir(mode=0o700, exist_ok=True)
    surroundings.copy_of_fonts(Path(job["fonts"]), home)
    compiled = job["settings"]["compiled"]
    try:
        Path(compiled or job["home"]).mkdir(parents=True, exist_ok=True)
    except OSError:
        compiled = job["settings"]["compiled"] = ""
    visible = [*sandbox.everything_visible(), *job["visible"]]
    fence = sandbox.Fence(**job["fence"])
    job["settings"]["replaced"] = sandbox.replaced(fence)
    sandbox.enclose(fence, [*filter(None, [job["home"], compiled])], visible)


def _clean(job: Json, kill: bool) -> None:
    if kill:
        processes.kill_descendants(os.getpid())
    shutil.rmtree(job["home"], ignore_errors=True)
