"""A fence around cells: Linux namespaces, made with system calls alone.

    whoever runs the build
    └─ the subprocess: one user namespace, in which it may make others
       └─ the zygote: the first process of a process namespace
          └─ a keeper a note: the first process of one more, with a network, a `/proc`, a `/dev` and a `/tmp`
             │  of its own, everything else read-only but the note's scratch folder and its own compiled
             │  programs
             └─ the note: without a single capability

What of this a machine allows is found out by trying (`find`), and said with each result as a *level*:

* `namespaces: net pid mount`: all of it. No network beyond a loopback that no other process shares, no sight
  of other processes, no write outside the scratch folder; the kernel ends whatever the note started.
* `namespaces: net mount`, `namespaces: net`: as far as it went.
* `bubblewrap: net pid mount`: the same fence, made by `bwrap` around all notes of a build together: they
  could touch each other's scratch folders.
* `process`: a process of its own, with limits; no fence.

Files can be read as far as the user may read them; without a network they get no further than the page.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from generator.execution import processes

Mode = Literal["auto", "require", "off"]
"""`auto` takes what there is, `require` all or nothing, `off` nothing."""

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_CAPBSET_DROP, _NO_NEW_PRIVS = 24, 38
_ALL = ("net", "pid", "mount")
_ATTEMPTS = (_ALL, ("net", "mount"), ("net",))
_HIDDEN = ("/tmp", "/var/tmp", "/run", "/dev")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_ACCELERATORS = ("nvidia*", "dri", "kfd")
_PROCESSES = 4096
"""Processes and threads of a note: many times what is allowed (`Limits.processes`), which a keeper counts."""
_INSIDE = "NOTES_GARDEN_BUBBLE"


@dataclass(frozen=True, slots=True)
class Fence:
    """What keeps notes in. `words` name the namespaces; `user`: they need one for users first; `why` says
    what stood in the way of more; `bubble`: bubblewrap has made it."""

    words: tuple[str, ...] = ()
    user: bool = False
    why: str = ""
    bubble: bool = False

    @property
    def whole(self) -> bool:
        return self.bubble or self.words == _ALL

    @property
    def level(self) -> str:
        """The level, as results name it."""
        if self.bubble:
            return f"bubblewrap: {' '.join(_ALL)}"
        return f"namespaces: {' '.join(self.words)}" if self.words else "process"


def missing(why: str) -> str:
    """What is said where a whole fence is required and there is none."""
    return (
        f"a sandbox is required, and this machine gives none ({why}): try one that lets its users make "
        "namespaces, or install bubblewrap"
    )


# ---------------------------------------------------------------- what there is


def find(mode: Mode) -> Fence:
    """The best fence that this machine allows. Only for a process with one thread."""
    if mode == "off":
        return Fence(why="it is switched off")
    if os.environ.pop(_INSIDE, ""):
        return Fence(bubble=True)
    why = ""
    for words in _ATTEMPTS:
        for user in (True, False):
            reason = _attempt(Fence(words, user))
            if not reason:
                return Fence(words, user, why)
            why = why or reason
    return Fence(why=why)


def _attempt(fence: Fence) -> str:
    """Why a fence cannot be made here: it is made, in a process that then ends."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _rehearse(fence)
            os._exit(0)
        except BaseException as error:
            os.write(write, str(error).encode()[:500] + b"\n")
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        # What the last process says comes first; those above it only say that it failed.
        reason = pipe.read().decode(errors="replace").partition("\n")[0]
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return reason or (f"a trial ended with status {status}" if status else "")


def _rehearse(fence: Fence) -> None:
    house(fence)
    pid = fork(fence)
    if pid == 0:
        enclose(fence, (), ())
        renounce(fence)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError("a process in namespaces of its own did not come up")


# ---------------------------------------------------------------- around the zygote


def house(fence: Fence) -> None:
    """Become a process that can make namespaces. Where processes get one, the rest of the program goes on in
    its first process; the one that called only waits for it, and ends with its status."""
    if not fence.words:
        return
    user, group = os.getuid(), os.getgid()
    pids = "pid" in fence.words
    if fence.user or pids:
        _unshare(
            (_NEWUSER if fence.user else 0) | (_NEWPID if pids else 0), "namespaces for users and processes"
        )
    if fence.user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    if pids:
        _become_first()
        _unshare(_NEWNS, "a namespace for mounts")
        _attributes("/", 0, 0, _PRIVATE)
        _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)


def _become_first() -> None:
    parent = os.pidfd_open(os.getpid())
    pid = os.fork()
    if pid:
        _wait_for(pid)
    processes.die_with_parent(parent, signal.SIGTERM)


def _wait_for(pid: int) -> None:
    """Do nothing else but wait: whoever reads what the child writes must see it end."""
    os.closerange(3, 65536)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(status if status >= 0 else 128 - status)


def fork(fence: Fence) -> int:
    """Fork; where processes have namespaces, the child is the first in one of its own. Raises OSError where
    the machine has no more of either."""
    if "pid" not in fence.words:
        return os.fork()
    mine = os.open("/proc/self/ns/pid", os.O_RDONLY)
    pid = None
    try:
        _unshare(_NEWPID, "a namespace for processes")
        pid = os.fork()
    finally:
        if pid != 0 and _libc().setns(mine, _NEWPID):
            raise RuntimeError(str(_error("returning to the namespace of processes")))
        os.close(mine)
    return pid


# ---------------------------------------------------------------- around a note


def enclose(fence: Fence, writable: Sequence[str], visible: Iterable[str]) -> None:
    """Fence this process and what it will start. `writable` folders stay so; they and what is `visible` are
    seen even where they lie in a folder that is replaced by a private one."""
    if not fence.words:
        return
    mounts = "mount" in fence.words
    _unshare(_NEWNET | _NEWIPC | (_NEWNS if mounts else 0), "namespaces for network and mounts")
    _raise_loopback()
    if mounts:
        _furnish([p for p in map(os.path.realpath, writable) if Path(p).exists()], _existing(visible))
    if "pid" in fence.words:
        _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
        _limit_processes()
        _attributes("/proc", _RDONLY, 0, 0)


def _limit_processes() -> None:
    """So many and no more, however fast they multiply. Older kernels have one limit for the whole machine."""
    release = os.uname().release.split(".")
    if release[1:2] and (int(release[0]), int(re.sub(r"\D.*", "", release[1]))) >= (6, 14):
        with suppress(OSError):
            Path("/proc/sys/kernel/pid_max").write_text(str(_PROCESSES))


def renounce(fence: Fence) -> None:
    """Give up every capability, for good. What was fenced in by its own consent cannot get out after this."""
    if not fence.words:
        return
    libc = _libc()
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _error("giving up new privileges")
    for capability in range(64):
        libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise _error("giving up capabilities")


def everything_visible() -> list[str]:
    """What Python itself needs to see."""
    return [path for path in (*sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix) if path]


def replaced(fence: Fence) -> list[str]:
    """The folders that are not the machine's, but the note's own."""
    return list(_HIDDEN) if "mount" in fence.words or fence.bubble else []


def _existing(paths: Iterable[str]) -> list[str]:
    return [path for path in dict.fromkeys(map(os.path.realpath, paths)) if Path(path).exists()]


def _raise_loopback() -> None:
    """A note may talk to itself: its loopback is its own."""
    import fcntl  # here: other systems import this module, too

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        fcntl.ioctl(made, 0x8914, struct.pack("16sh22x", b"lo", 1))


def _furnish(writable: list[str], visible: list[str]) -> None:
    devices = [str(p) for name in (*_DEVICES, *_ACCELERATORS) for p in Path("/dev").glob(name)]
    held = {path: os.open(path, os.O_PATH) for path in sorted({*writable, *visible, *devices})}
    _attributes("/", _RDONLY | _NOSUID, 0, _PRIVATE)
    hidden = _existing(_HIDDEN)
    for folder in hidden:
        _mount("tmpfs", folder, "tmpfs", _NOSUID, "mode=755" if folder == "/dev" else "mode=1777,size=256m")
    for path, fd in held.items():
        if path in writable or any(path.startswith(folder + "/") for folder in hidden):
            _show(path, fd)
        os.close(fd)
    for path in writable:
        _attributes(path, 0, _RDONLY, 0)
    _links_to_streams()


def _show(path: str, fd: int) -> None:
    """Mount what `fd` holds at `path`, where it was before something else was mounted over it."""
    there = Path(path)
    if not there.exists():
        there.parent.mkdir(parents=True, exist_ok=True)
        there.mkdir() if Path(f"/proc/self/fd/{fd}").is_dir() else there.touch()
    _mount(f"/proc/self/fd/{fd}", path, "", _BIND | _REC)


def _links_to_streams() -> None:
    with suppress(OSError):
        Path("/dev/shm").mkdir(mode=0o1777)
        Path("/dev/fd").symlink_to("/proc/self/fd")
        for fd, name in enumerate(("stdin", "stdout", "stderr")):
            Path("/dev", name).symlink_to(f"/proc/self/fd/{fd}")
        Path("/dev/pts").mkdir()
        _mount("devpts", "/dev/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=620")
        Path("/dev/ptmx").symlink_to("pts/ptmx")


# ---------------------------------------------------------------- bubblewrap


def bubble(root: str, visible: Iterable[str]) -> list[str]:
    """The beginning of a command line that runs the rest in a fence made by bubblewrap; empty where there is
    none, or where it fails too. `root` stays writable."""
    program = shutil.which("bwrap")
    if not program:
        return []
    shown = [part for path in _existing(visible) for part in ("--ro-bind", path, path)]
    prefix = [
        *(program, "--unshare-user", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--remount-ro", "/proc"),
        *(part for folder in _existing(_HIDDEN[:3]) for part in ("--tmpfs", folder)),
        *(*shown, "--bind", root, root, "--setenv", _INSIDE, "1", "--cap-drop", "ALL", "--"),
    ]
    trial = subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True, check=False)
    return prefix if trial.returncode == 0 else []


# ---------------------------------------------------------------- system calls


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _error(doing: str) -> OSError:
    return OSError(f"{doing}: {os.strerror(ctypes.get_errno())}")


def _unshare(flags: int, what: str) -> None:
    if _libc().unshare(flags):
        raise _error(f"making {what}")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    if _libc().mount(*arguments, ctypes.c_ulong(flags), data.encode() or None):
        raise _error(f"mounting {kind or source} on {target}")


def _attributes(path: str, add: int, remove: int, propagation: int) -> None:
    """Change the attributes of a mount and of all below it."""
    wanted = (ctypes.c_uint64 * 4)(add, remove, propagation, 0)
    arguments = (_AT_FDCWD, os.fsencode(path), _AT_RECURSIVE, wanted, ctypes.c_size_t(32))
    if _libc().syscall(_MOUNT_SETATTR, *arguments):
        raise _error(f"changing the mount {path}")
