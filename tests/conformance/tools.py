"""The programs of others that judge the site: found, or obtained, each in a fixed version.

What comes from npm is pinned with hashes in `package-lock.json`, Node itself included: the machine's own only
installs the rest. Java is the machine's, or Debian's.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser import obtain_chromium

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
LOCK = HERE / "package-lock.json"
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
JUDGES = ("axe-core", "html-validate", "lighthouse", "vnu-jar")

_LOOPBACK = (  # its server must not reach the network that it stands in; here that is what is asked
    "-Dnu.validator.servlet.allow-forbidden-hosts=true",
    "-Dnu.validator.servlet.allowed-address-type=all",
)


class Missing(Exception):
    """Something that is needed is not here and could not be had: what, and what to try."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where everything is, and what it calls its version."""

    node: str
    java: str
    chromium: str
    versions: dict[str, str]

    @property
    def axe(self) -> str:
        """axe-core's source, for a page to evaluate."""
        return (MODULES / "axe-core" / "axe.min.js").read_text("utf-8")

    def nu(self, *arguments: str) -> list[str]:
        """The command that runs the Nu checker; its parser needs a deep stack for deep markup."""
        jar = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
        return [self.java, "-Xss4m", *_LOOPBACK, "-jar", str(jar), *arguments]

    def node_program(self, path: str, *arguments: str) -> list[str]:
        """The command that runs a program of an npm package, by its path in `node_modules`."""
        return [self.node, str(MODULES / path), *arguments]


def obtain() -> Tools:
    """Find everything, or install it. Raises `Missing`."""
    chromium = obtain_chromium.find()
    if chromium is None:
        raise Missing(
            "No Chromium that starts. `make chromium` gets one; or set CHROMIUM to the path of one."
        )
    java = _java()
    _modules()
    node = _node()
    versions = {name: _package(name)["version"] for name in JUDGES}
    versions["Node"] = _says(node, "--version").lstrip("v")
    versions["Java"] = _number(_says(java, "-version"))
    versions["Chromium"] = _number(_says(chromium, "--version"))
    return Tools(node, java, chromium, versions)


def _package(name: str) -> Any:
    return json.loads((MODULES / name / "package.json").read_text("utf-8"))


def _says(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return (run.stdout or run.stderr).strip()


def _number(text: str) -> str:
    found = re.search(r"\d+(?:\.\d+)+", text)
    return found[0] if found else text


# ---------------------------------------------------------------- what npm gives


def _modules() -> None:
    """Install what the lock file pins, unless that is what is installed."""
    stamp = MODULES / ".installed"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    npm = shutil.which("npm") or _from_debian("npm", "npm")
    if npm is None:
        raise Missing(
            "npm is needed to install axe-core, the Nu checker, html-validate and Lighthouse. There is none: "
            "install Node.js with npm (on Debian or Ubuntu: apt-get install npm)."
        )
    print("Installing the judges into tests/conformance/node_modules (once)", flush=True)
    done = subprocess.run([npm, *INSTALL], cwd=HERE, stdout=sys.stderr, check=False)
    if done.returncode:
        raise Missing(
            "npm could not install what tests/conformance/package-lock.json pins; what it said is above."
        )
    stamp.write_text(wanted)


def _node() -> str:
    """The Node that came with the rest; on a machine for which there is none, the machine's own."""
    own = MODULES / ".bin" / "node"
    found = str(own) if own.exists() else shutil.which("node")
    if found is None:
        raise Missing("Node.js is needed, and npm has none for this machine. Install Node.js 24.8 or newer.")
    version = _says(found, "--version").lstrip("v")
    if tuple(map(int, version.split(".")[:2])) < (24, 8):
        raise Missing(
            f"Node.js {version} is too old for Lighthouse and html-validate. Install 24.8 or newer."
        )
    return found


# ---------------------------------------------------------------- what the system gives


def _java() -> str:
    for java in (shutil.which("java"), _home_java()):
        if java and _runs(java):
            return java
    installed = _from_debian("default-jre-headless", "java")
    if installed and _runs(installed):
        return installed
    raise Missing(
        "The Nu checker needs Java 11 or newer, and none could be installed. Install a Java runtime (on "
        "Debian or Ubuntu: apt-get install default-jre-headless), or set JAVA_HOME to one."
    )


def _home_java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else None


def _runs(java: str) -> bool:
    """Whether it starts and is recent enough; on a Mac without Java, `java` only says where to get one."""
    try:
        run = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    found = re.search(r'version "(\d+)', run.stderr)
    return run.returncode == 0 and found is not None and int(found[1]) >= 11


def _from_debian(package: str, program: str) -> str | None:
    """Install a package where that is possible; the path of the program that it brings."""
    root = obtain_chromium.as_root() if shutil.which("apt-get") else None
    if root is None:
        return None
    print(f"Installing Debian's package `{package}`", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = [*root, "apt-get", "-qq"]
    obtain_chromium.run([*apt, "update"], environment)
    obtain_chromium.run([*apt, "install", "-y", "--no-install-recommends", package], environment)
    return shutil.which(program)


def machine() -> str:
    """The machine in words."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}, load {load:.0f} at the end"
