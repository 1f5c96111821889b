"""Linux processes: dying with a parent, adopting orphans, and leaving no survivor."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def die_with_parent(parent: int, how: signal.Signals) -> None:
    """Ask the kernel for signal `how` when the parent ends; leave at once if it already has. `parent` is a
    descriptor of it (`os.pidfd_open`): its number means nothing in another namespace. It is closed."""
    _prctl(_PR_SET_PDEATHSIG, how)
    if select.select([parent], [], [], 0)[0]:
        os._exit(1)
    os.close(parent)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that none gets out of sight."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def threads() -> int:
    """How many threads this process has, as the kernel counts them."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def descendants(root: int) -> list[int]:
    """Every living process below `root`, parents first."""
    below = _below()
    found = [root]
    for pid in found:
        found.extend(below.get(pid, ()))
    return found[1:]


def children(root: int) -> list[int]:
    """The living processes whose parent is `root`."""
    return _below().get(root, [])


def _below() -> dict[int, list[int]]:
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                below.setdefault(_parent(entry), []).append(int(entry.name))
    return below


def _parent(process: Path) -> int:
    # The name in parentheses may hold anything, spaces and parentheses included.
    fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" and int(fields[1]) != os.getpid() else int(fields[1])


def kill_descendants(root: int, patience: float = 5.0) -> bool:
    """End everything below this process and reap it. True if nothing is left."""
    if root == os.getpid() == 1:
        # The first of a namespace reaches all that are in it at one stroke, however fast they multiply.
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    return _kill(lambda: descendants(root), patience)


def kill_tree(root: int, patience: float = 5.0) -> bool:
    """End the child `root` and everything below it. True if nothing is left."""
    return _kill(lambda: [p for p in (root, *descendants(root)) if Path(f"/proc/{p}").exists()], patience)


def _kill(find: Callable[[], list[int]], patience: float) -> bool:
    # All are stopped before any is killed, so that a process which starts others cannot outrun us.
    end = time.monotonic() + patience
    while True:
        _reap()
        alive = find()
        if not alive or time.monotonic() > end:
            return not alive
        for how in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, how)
        time.sleep(0.002)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def confine(memory: int, file_size: int, open_files: int) -> None:
    """Limit this process and its children; a limit that is already lower stays. Raises ImportError where
    there are none."""
    import resource

    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (value, value))
