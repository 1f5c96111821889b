"""The fence of `sandbox` around a process that somebody else starts: a Jupyter kernel.

    python -m generator.execution.fenced ORDERS COMMAND...
    python -m generator.execution.fenced find MODE FOLDER

The first becomes COMMAND in a fence that was found before; ORDERS are those of `command`, as JSON. It is
started for one kernel:

    this program: it only waits, and ends as what it waits for has ended
    └─ the first process of a process namespace, fenced in as a note is: it only waits, too
       └─ the kernel, without a single capability

The second prints the best fence that there is, as JSON: it takes a process with one thread to find out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, cast

from generator.execution import sandbox
from generator.execution.manifest import ROOT

_NAME = "generator.execution.fenced"
_PYTHONS = ("python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}")


def found(mode: sandbox.Mode, folder: str) -> sandbox.Fence:
    """The best fence that this machine allows; `folder` is one that may be used to try. Asked from any
    process, it answers after a moment."""
    if mode == "off" or not sys.platform.startswith("linux"):
        return sandbox.Fence(why="it is switched off" if mode == "off" else "this is not Linux")
    environ = os.environ | {"PYTHONPATH": ROOT}
    command = [sys.executable, "-m", _NAME, "find", mode, folder]
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        return sandbox.Fence(why=f"a trial ended with status {done.returncode}")
    return _fence(json.loads(done.stdout))


def command(
    kernel: Sequence[str], fence: sandbox.Fence, root: Path, writable: Sequence[str], visible: Sequence[str]
) -> list[str]:
    """The command line for a kernel in a fence. It works in `root / "work"`; `writable` folders stay so, as
    `root` does, and they and what is `visible` are seen wherever they lie."""
    first = sys.executable if kernel[0] in _PYTHONS else kernel[0]
    shown = [*visible, *(part for part in kernel if part.startswith("/"))]
    orders = {"fence": asdict(fence), "root": str(root), "writable": list(writable), "visible": shown}
    return [sys.executable, "-m", _NAME, json.dumps(orders), first, *kernel[1:]]


def status(code: int) -> int:
    """The exit status of a kernel, negative for a signal, given that of the process which waited for it."""
    return 128 - code if code > 128 else code


# ---------------------------------------------------------------- in the process that is started


def _become(orders: dict[str, Any], kernel: list[str]) -> NoReturn:
    fence = _fence(orders["fence"])
    visible = [*sandbox.everything_visible(), *orders["visible"]]
    # An interrupt is meant for the kernel, and reaches all of its group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    if fence.bubble:
        prefix = sandbox.bubble(orders["root"], visible)
        inside = json.dumps({**orders, "fence": asdict(sandbox.Fence())})
        os.execv(prefix[0], [*prefix, sys.executable, "-m", _NAME, inside, *kernel])
    if fence.words:
        sandbox.house(fence)
        sandbox.enclose(fence, [orders["root"], *orders["writable"]], visible)
        if "pid" in fence.words and (pid := os.fork()):
            _wait_for(pid)
        sandbox.renounce(fence)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Where its parent is the first process of all, a kernel takes itself for an orphan.
    os.environ.pop("JPY_PARENT_PID", None)
    os.chdir(Path(orders["root"], "work"))  # Anew: the folder that we are in may be hidden by now.
    os.execvp(kernel[0], kernel)


def _wait_for(kernel: int) -> NoReturn:
    """Be the first process of a namespace: bury what ends in it, and end with the kernel. Then all ends."""
    while True:
        pid, ended = os.waitpid(-1, 0)
        if pid == kernel:
            code = os.waitstatus_to_exitcode(ended)
            os._exit(code if code >= 0 else 128 - code)


def _find(mode: str, folder: str) -> sandbox.Fence:
    fence = sandbox.find(cast(sandbox.Mode, mode))
    if not fence.whole and sandbox.bubble(folder, sandbox.everything_visible()):
        return sandbox.Fence(bubble=True)
    return fence


def _fence(data: dict[str, Any]) -> sandbox.Fence:
    return sandbox.Fence(tuple(data["words"]), data["user"], data["why"], data["bubble"])


def main(arguments: list[str]) -> None:
    if arguments[0] == "find":
        print(json.dumps(asdict(_find(*arguments[1:3]))))
    else:
        _become(json.loads(arguments[0]), arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
