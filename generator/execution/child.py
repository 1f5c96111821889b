"""The forked process that runs one note's cells, and the channel to its keeper.

Everything it says about cells goes through a socket that user code does not know; descriptors 1 and 2 are
pipes that the keeper reads, so that what C code prints is seen as well. Before anything goes through the
socket whose place among the printed text matters, the text is flushed, and the child waits until the
keeper has taken both in.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from generator.execution import wire
from generator.execution.observer import Observer


class Channel:
    """Messages to the keeper. Processes forked by a cell have a copy and are not heard."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._busy = False
        self._interrupted = False
        signal.signal(signal.SIGINT, self._on_interrupt)

    def tell(self, message: wire.Json, wait: bool = True) -> None:
        """Say something; with `wait`, until the keeper has taken it in."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._busy = True
            try:
                wire.send(self._connection.fileno(), message)
                if wait:
                    self.hear()
            finally:
                self._busy = False
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    def hear(self) -> wire.Json:
        """The keeper's next message. Without a keeper there is nothing left to do."""
        message = wire.receive(self._connection.fileno())
        if message is None:
            os._exit(1)
        return message

    def _on_interrupt(self, number: int, frame: object) -> None:
        # A half-sent message would make everything after it unreadable.
        if self._busy:
            self._interrupted = True
        else:
            raise KeyboardInterrupt


class Turn:
    """Which of the two text streams wrote last: when it changes, their order is made known."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._last: io.TextIOBase | None = None

    def take(self, stream: io.TextIOBase) -> None:
        if self._last is not stream:
            last, self._last = self._last, stream
            if last is not None:
                last.flush()
                self._channel.tell({"kind": "sync"})


class TextStream(io.TextIOWrapper):
    """`sys.stdout` or `sys.stderr` of a cell, on a descriptor of its own."""

    def __init__(self, fd: int, name: str, turn: Turn) -> None:
        super().__init__(io.FileIO(fd, "w", closefd=False), "utf-8", "backslashreplace", line_buffering=True)
        self._turn = turn
        self._name = name

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    def write(self, text: str) -> int:
        self._turn.take(self)
        return super().write(text)


class Display(DisplayPublisher):
    """Sends what `display` shows."""

    channel: Channel

    def publish(
        self, data: Any, metadata: Any = None, source: Any = None, *, transient: Any = None,
        update: bool = False, **rest: Any,
    ) -> None:  # fmt: skip
        flush()
        name = (transient or {}).get("display_id", "")
        self.channel.tell({"kind": "display", "data": bundle(data), "id": name, "update": update})

    def clear_output(self, wait: bool = False) -> None:
        flush()
        self.channel.tell({"kind": "clear", "later": wait})


class Result(DisplayHook):
    """Sends the value of a cell's last expression."""

    channel: Channel
    code = ""

    def quiet(self) -> bool:
        quiet: Callable[[str], bool] = self.semicolon_at_end_of_expression
        return quiet(self.code)

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        flush()
        self.channel.tell({"kind": "result", "data": bundle(format_dict)})

    def finish_displayhook(self) -> None:
        pass


class Shell(InteractiveShell):
    """A shell that neither talks to a terminal nor keeps a history."""

    display_pub: Display
    displayhook: Result
    display_pub_class = Type(Display)
    displayhook_class = Type(Result)

    def enable_gui(self, gui: Any = None) -> None:
        pass


def bundle(data: Mapping[str, Any]) -> dict[str, Any]:
    """Displayed data as JSON takes it: binary types in base64."""
    import base64

    return {k: base64.b64encode(v).decode("ascii") if isinstance(v, bytes) else v for k, v in data.items()}


def flush() -> None:
    """Push out what Python and C code have printed, whatever the streams are by now."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # A stream that a cell put there may do anything.
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def new_shell() -> Shell:
    """The shell for a note. It starts no thread."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    shell: Shell = Shell.instance(config=config)
    return shell


def run_cells(connection: socket.socket, program: wire.Json, settings: wire.Json, progress: Any) -> None:
    """Run the cells that the keeper names until it names none."""
    channel = Channel(connection)
    streams = _streams(channel)
    shell = _connected(channel)
    observer = Observer(shell, settings, lambda report: _done(channel, report), progress)
    while (index := channel.hear().get("run")) is not None:
        code = program["cells"][index]["code"]
        shell.displayhook.code = code
        owner = os.getpid()
        _speak(streams)
        try:
            shell.run_cell(code, store_history=True)  # type: ignore[no-untyped-call]
        except BaseException as error:
            observer.fail(error)  # IPython itself stumbled over what the cell did to it.
        if os.getpid() != owner:
            os._exit(0)  # A process forked by the cell that came out at its end.
    end = _end(observer)
    channel.tell(end, wait=False)
    if not end["pending"]:
        return
    for cell, check in observer.derivatives():
        channel.tell({"kind": "check", "cell": cell, "check": check}, wait=False)
    channel.tell({"kind": "checked"}, wait=False)


def _streams(channel: Channel) -> dict[str, TextStream]:
    """Streams on descriptors of their own: a cell may close 1 and 2 without losing its voice."""
    turn = Turn(channel)
    streams = {name: TextStream(os.dup(fd), name, turn) for name, fd in (("stdout", 1), ("stderr", 2))}
    for name, stream in streams.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return streams


def _speak(streams: dict[str, TextStream]) -> None:
    """A cell may have replaced a stream by its own, but there must be one."""
    for name, stream in streams.items():
        if not hasattr(getattr(sys, name, None), "write"):
            setattr(sys, name, stream)


def _connected(channel: Channel) -> Shell:
    shell = new_shell()
    shell.display_pub.channel = channel
    shell.displayhook.channel = channel
    return shell


def _done(channel: Channel, report: wire.Json) -> None:
    flush()
    channel.tell({"kind": "done", **report})


def _end(observer: Observer) -> wire.Json:
    from dataclasses import asdict

    manifest = asdict(observer.manifest())
    return {"kind": "end", "manifest": manifest, "device": _device(), "pending": observer.pending()}


def _device() -> str:
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is None or not bridge.backends_are_initialized():
        return ""
    device = sys.modules["jax"].devices()[0]
    return "" if device.platform == "cpu" else f"{device.platform} {device.device_kind}"
