"""What a cell's end amounts to, in one place for every executor: a status and a plain sentence."""

from __future__ import annotations

import signal
from typing import Any

from generator.execution.collect import Collector

Json = dict[str, Any]


def too_slow(limit: float, whole: bool, more: str = "") -> str:
    """What is said of a cell that was stopped at a deadline; `whole` where the note's own time was up."""
    what = "all cells of a note together" if whole else "a cell"
    return f"Stopped after {limit:g} s, the time that {what} may take{'; ' * bool(more)}{more}."


def too_many(limits: Json) -> str:
    return f"Stopped, because it had started more than {limits['processes']} processes."


def death(status: int, limits: Json) -> tuple[str, str]:
    """What became of a process that ended within a cell: a status and a sentence."""
    if status == -signal.SIGKILL:
        return "memory", "The system killed the process of this note, most likely for want of memory."
    if status == -signal.SIGXFSZ:
        return "killed", f"Stopped, because it wrote a file of more than {limits['file_bytes'] >> 20} MB."
    if status < 0:
        return "killed", f"The process of this note died of {signal.Signals(-status).name}."
    return "killed", f"The process of this note ended by itself (exit code {status}) within the cell."


def result(status: str, collector: Collector, seen: Json, message: str = "", line: int = 0) -> Json:
    """A cell's result. `seen` is what its process observed, as far as it got to say."""
    return {
        "status": status,
        "outputs": collector.outputs(),
        "observations": list(seen.get("observations", ())),
        "checks": list(seen.get("checks", ())),
        "values": list(seen.get("values", ())),
        "message": message,
        "line": line,
    }


def outcome(seen: Json, raises: str, collector: Collector) -> Json:
    """What a cell that came to its end amounts to, given the exception it was to raise; with a question mark
    behind its name, the one it may raise."""
    error = seen.get("error")
    optional, raises = raises.endswith("?"), raises.removesuffix("?")
    if error is None:
        if optional or not raises:
            return result("ok", collector, seen)
        return result("error", collector, seen, f"Expected {_a(raises)}, but nothing was raised.")
    shown = {k: error[k] for k in ("name", "text", "frames")}
    collector.error(shown)
    if raises and (raises.rpartition(".")[2] in error["classes"]):
        return result("ok", collector, seen)
    text = error["text"].strip().split("\n", 1)[0][:300]
    message = f"{error['name']}: {text}" if text else error["name"]
    if error["memory"]:
        return result("memory", collector, seen, f"Out of memory: {message}", error["line"])
    if raises:
        message = f"Expected {_a(raises)}, got {message}"
    return result("error", collector, seen, message, error["line"])


def _a(name: str) -> str:
    return f"an {name}" if name[:1] in "AEIOUaeiou" else f"a {name}"
