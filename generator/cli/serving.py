"""`serve`: the site on a local address, built again after each save.

Three things happen at once, and only what is between them is here: a server shows the last good site, a watch
tells what was saved, and a child (see `builder`) builds. A save is never lost: what comes while the child is
at work, or while another process has the garden, is built next. Cells come last: first the page is shown with
what is known, then they run, and a save meanwhile ends that.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import generator
from generator import config, theme
from generator.cli import EXIT_BUG, building, reports
from generator.serve import Child, Events, Places, Saved, Watch, server

Message = dict[str, Any]

BUILDER = "generator.cli.builder"

_MANY = 50  # changed files: no save but a switch to another branch, or something copied
_QUIET = 0.25  # seconds without a change after which such a thing is taken to be over, or a deletion
_WAIT = 5.0  # seconds after which it is built in any case
_RETRY = 0.3  # seconds until a garden that somebody else builds is tried again
_PATIENCE = 20.0  # seconds for the child to leave off running cells
_CHECK = 1.0  # seconds after which it is made sure that nothing was missed
_TOLD = 400  # changed files of the site that pages are told by name


@dataclass(frozen=True, slots=True)
class _Answered:
    """What a child said; None when it has ended."""

    child: Child
    message: Message | None


def run(loaded: config.Loaded, arguments: Sequence[str], home: Path, port: int) -> int:
    """Serve until interrupted; gives the exit code. `arguments` are those of the command line, from which the
    settings are read anew for each build, `home` the folder whose garden is meant if they name none.

    Raises config.ConfigError where the port cannot be used.
    """
    events = Events(session=secrets.token_hex(4), build=0, failed="", running=0)
    try:
        http = server(loaded.out_dir, port, events)
    except OSError as error:
        raise config.ConfigError(
            f"port {port} cannot be used: {error.strerror}; try --port with another number"
        ) from error
    greeting = {
        "arguments": list(arguments),
        "home": str(home),
        "folders": [str(loaded.notes_dir), str(loaded.out_dir)],
        "parent": os.getpid(),
        "terminal": sys.stdout.isatty(),
    }
    preview = _Preview(places(loaded, home), greeting, events, f"http://127.0.0.1:{http.server_address[1]}/")
    threading.Thread(target=http.serve_forever, args=(0.1,), daemon=True).start()
    try:
        with _ended_in_order(), Watch(preview.places, preview.heard.put):
            return preview.run()
    except KeyboardInterrupt:
        return 0
    finally:
        preview.end()
        events.end()
        http.shutdown()
        http.server_close()


def places(loaded: config.Loaded, home: Path) -> Places:
    """What the garden depends on."""
    beside = (loaded.notes_dir.parent, home)
    return Places(
        loaded.notes_dir,
        building.EVIDENCE,
        building.not_notes(loaded),
        (loaded.file,) if loaded.file else tuple(folder / config.FILE_NAME for folder in beside),
        (Path(generator.__file__).parent, theme.folder("templates")),
        (theme.folder("static"),),
    )


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Whoever ends this process ends what it has started: as Ctrl-C does."""
    usual = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


class _Preview:
    """What was saved and is not built yet, and what the child is at."""

    def __init__(self, places: Places, greeting: Message, events: Events, address: str) -> None:
        self.places = places
        self.heard: SimpleQueue[Saved | _Answered] = SimpleQueue()
        self._greeting, self._events, self._address = greeting, events, address
        self._child: Child | None = None
        self._doing = ""  # what the child was asked for last and has not answered
        self._changed: set[Path] | None = None  # saved and not built yet; None: nobody knows what
        self._asked: set[Path] | None = None  # what it is building now
        self._since = 0.0  # when the first of these was saved
        self._due: dict[str, float] = {"show": 0.0}  # what is to be done next, and when
        self._is_shown = False  # whether a site has been built at all
        self._blind = True  # whether it is not known what has changed in the site since pages were told
        self._renew = False  # whether the child is another program than the one on the disk
        self._waits = False  # for somebody else who is at work on this garden, which was said
        self._deaths = 0  # of children since the last save

    def run(self) -> int:
        """Build whatever comes. Ends, with an exit code, only where there is no site to show."""
        while True:
            self._begin()
            code = self._hear()
            if code is not None:
                return code

    def end(self) -> None:
        """End the child and what it has started."""
        if self._child:
            child, self._child = self._child, None
            child.end()
        if self._events.state["running"]:
            reports.say("the site shows cells that have not run; the next build runs them")

    # ------------------------------------------------------------ what is to be done

    def _begin(self) -> None:
        if self._renew and self._doing in ("", "run"):
            self._replace()
        if self._doing == "run" and self._is_due("force"):
            self._replace()
        elif self._doing == "run" and self._is_due("show") and "force" not in self._due:
            self._child.interrupt()  # type: ignore[union-attr]
            self._due["force"] = time.monotonic() + _PATIENCE
        elif not self._doing and (kind := self._next()) and self._is_due(kind):
            self._ask(kind)

    def _next(self) -> str:
        """A save comes before cells, and both before a second look."""
        return next((kind for kind in ("show", "run", "check") if kind in self._due), "")

    def _is_due(self, kind: str) -> bool:
        return self._due.get(kind, float("inf")) <= time.monotonic()

    def _timeout(self) -> float | None:
        """Seconds until there is something to do, if nothing happens before."""
        kind = self._next() if not self._doing else ""
        if self._doing == "run":
            kind = "force" if "force" in self._due else "show"
        return max(0.0, self._due[kind] - time.monotonic()) if kind in self._due else None

    def _ask(self, kind: str) -> None:
        del self._due[kind]
        if self._child is None:
            self._child = Child(BUILDER, lambda child, message: self.heard.put(_Answered(child, message)))
            self._child.ask(self._greeting)
            self._changed = None
        self._doing = kind
        changed: list[str] | None = []
        if kind == "show":
            changed = None if self._changed is None else sorted(map(self._name, self._changed))
            self._asked, self._changed = self._changed, set()
        self._child.ask({"kind": kind, "changed": changed})

    def _name(self, path: Path) -> str:
        """A note by its path among the notes, everything else by its place."""
        notes = self.places.notes
        return path.relative_to(notes).as_posix() if path.is_relative_to(notes) else path.as_posix()

    def _replace(self) -> None:
        """End the child; the next request starts another."""
        if self._child:
            child, self._child = self._child, None
            child.end()
        self._renew, self._doing, self._blind = False, "", True
        self._changed = None
        self._due = {"show": time.monotonic()}

    # ------------------------------------------------------------ what has happened

    def _hear(self) -> int | None:
        try:
            said = self.heard.get(timeout=self._timeout())
        except Empty:
            return None
        if isinstance(said, Saved):
            self._saved(said)
            return None
        return self._answered(said.message) if said.child is self._child else None

    def _saved(self, saved: Saved) -> None:
        """A single save is built at once. Of many, and of deletions, more are likely to come: half of them is
        nobody's garden, and an empty folder may be gone in a moment."""
        now = time.monotonic()
        if self._changed is not None:
            self._since = self._since if self._changed else now
            self._changed |= saved.paths
        self._renew = self._renew or any(map(self.places.is_code, saved.paths))
        self._deaths = 0
        many = self._changed is None or len(self._changed) > _MANY or saved.gone
        self._due["show"] = min(now + _QUIET, self._since + _WAIT) if many else now

    def _answered(self, answer: Message | None) -> int | None:
        if answer:
            sys.stdout.write(answer.get("out", ""))
            sys.stdout.flush()
            sys.stderr.write(answer.get("err", ""))
            if answer["kind"] == "said":
                return None
        doing, self._doing = self._doing, ""
        self._due.pop("force", None)
        if answer is None:
            return self._died()
        if answer["kind"] == "built":
            self._built(answer)
        elif answer["kind"] == "locked":
            self._later(doing, answer["message"])
        elif answer["kind"] == "failed":
            return self._failed(answer["message"], answer["code"])
        elif answer["kind"] == "interrupted":
            self._blind = True
            self._due["run"] = time.monotonic()
        return None

    def _built(self, answer: Message) -> None:
        paths = [*answer["written"], *answer["removed"]]
        told = None if self._blind or len(paths) > _TOLD else paths
        build = self._events.state["build"] + 1
        self._events.say({"changed": told}, build=build, failed="", running=answer["waiting"])
        if answer["waiting"]:
            self._due["run"] = time.monotonic()
        if self._asked is None or len(self._asked) > 1:
            self._due["check"] = time.monotonic() + _CHECK
        self._asked, self._blind, self._waits = set(), False, False
        if not self._is_shown:
            reports.say(f"{self._address} shows the garden; Ctrl-C ends it")
        self._is_shown = True

    def _later(self, doing: str, message: str) -> None:
        """Somebody else is at work on this garden: try again soon, and say so once."""
        if not self._waits:
            reports.say(f"{message.partition(';')[0]}; this one waits for it")
        self._waits = self._blind = True
        self._due.setdefault(doing, time.monotonic() + _RETRY)
        if self._asked is None or self._changed is None:
            self._changed = None
        else:
            self._changed |= self._asked

    def _failed(self, message: str, code: int) -> int | None:
        """The last good site stays, and pages say what is wrong; without one, this ends."""
        if not self._is_shown:
            return code
        self._blind = True
        if self._events.state["failed"] != message:
            self._due["check"] = time.monotonic() + _CHECK  # It may have been something that passes.
        self._events.say(failed=message, running=0)
        return None

    def _died(self) -> int | None:
        """A child that dies is replaced. One that dies again is not, until the next save."""
        status = self._child.end() if self._child else 0
        self._child = None
        self._deaths += 1
        if self._deaths < 2:
            self._replace()
            return None
        self._due = {}
        self._changed = None
        why = f"the process that builds ended by itself, with status {status}"
        reports.say(f"error: {why}; the next save starts another")
        return self._failed(why, EXIT_BUG)
