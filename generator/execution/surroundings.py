"""What a cell finds around it: environment variables, device, isolation."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from generator.execution.manifest import LIBRARY, ROOT
from generator.execution.protocol import Environment

_THROUGH = frozenset({"PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT"})
_MEANT = ("JAX_", "XLA_")
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""How many threads libraries start when they are imported: one, unless an environment says otherwise."""


def configuration(
    environment: Environment, outside: Mapping[str, str] = os.environ
) -> tuple[tuple[str, str], ...]:
    """The settings from outside that can change what cells compute: part of an execution key."""
    meant = {name: value for name, value in outside.items() if name.startswith(_MEANT)}
    meant.pop("JAX_COMPILATION_CACHE_DIR", None)
    if "CUDA_VISIBLE_DEVICES" in outside:
        meant["CUDA_VISIBLE_DEVICES"] = outside["CUDA_VISIBLE_DEVICES"]
    return tuple(sorted({"JAX_PLATFORMS": "cpu", **meant, **dict(environment.variables)}.items()))


def variables(
    environment: Environment, shared: Path, outside: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment of every cell, but for its home. `shared` is a folder for what matplotlib keeps."""
    found = {name: value for name, value in outside.items() if name in _THROUGH}
    for name in ONE_THREAD:
        found[name] = "1"
    found |= {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([ROOT, LIBRARY, *filter(None, [outside.get("PYTHONPATH", "")])]),
        "MPLBACKEND": "module://generator.execution.figures",
        "MATPLOTLIBRC": str(Path(__file__).parent / "matplotlibrc"),
        "MPLCONFIGDIR": str(shared),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return found | _compile_cache(environment) | dict(configuration(environment, outside))


def at_home(home: Path, folder: str) -> dict[str, str]:
    """The variables that differ from note to note. `folder` is the note's own."""
    return {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "IPYTHONDIR": str(home / ".ipython"),
        "NOTE_DIR": folder,
    }


def copy_of_fonts(shared: Path, home: Path) -> Path:
    """A note's own copy of what matplotlib keeps in `shared`, so that what it does to it is its own."""
    mine = home / "matplotlib"
    mine.mkdir(mode=0o700, exist_ok=True)
    for file in shared.glob("fontlist-*.json"):
        shutil.copy(file, mine)
    return mine


def folder_of(path: str, environment: Environment) -> str:
    """The absolute folder of a note, "" where there is no vault."""
    return os.path.realpath(Path(environment.vault) / Path(path).parent) if environment.vault else ""


def compiled(path: str, environment: Environment) -> str:
    """The folder for the compiled programs of one note, "" for none. Each has its own: nothing says that what
    a note has put there is what its name promises, and so no other may be given it."""
    base = _compile_cache(environment).get("JAX_COMPILATION_CACHE_DIR", "")
    return str(Path(base, hashlib.sha256(path.encode()).hexdigest()[:16])) if base else ""


def _compile_cache(environment: Environment) -> dict[str, str]:
    """JAX keeps compiled programs in a folder for this jaxlib, this processor and these flags: compiled code
    is only good where it was made."""
    if not environment.cache:
        return {}
    flags = dict(configuration(environment)).get("XLA_FLAGS", "")
    facts = (_version("jaxlib"), sys.version, instruction_sets(), flags)
    name = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    return {
        "JAX_COMPILATION_CACHE_DIR": str(Path(environment.cache).absolute() / "compiled" / name),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


@cache
def instruction_sets() -> str:
    """The processor's features, as the kernel lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    found = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return " ".join(sorted(found.partition(":")[2].split()))


def commit(vault: str) -> str:
    """The last commit of the notes, "" where there is none. Whether a note has changed since is not asked: to
    find out, git would run programs that a repository names in its settings."""
    if not vault:
        return ""
    quiet = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    command = ["git", "--no-pager", *quiet, "-C", vault, "rev-parse", "--short=12", "HEAD"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def device() -> str:
    """The processor, with the widest vector instructions that numerics depend on."""
    features = set(instruction_sets().split())
    known = (
        ("avx512f", "AVX-512"),
        ("avx2", "AVX2"),
        ("avx", "AVX"),
        ("sse4_2", "SSE4.2"),
        ("asimd", "NEON"),
    )
    widest = next((name for flag, name in known if flag in features), "")
    return f"cpu ({widest})" if widest else "cpu"
