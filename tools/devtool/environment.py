# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments in the cache, named after what determines their content."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    ArchiveUnavailableError,
    MissingPackage,
    in_pip_output,
    marked,
    obtain,
)
from devtool.checkout import Checkout
from devtool.console import say, stay_silent
from devtool.errors import DevtoolError
from devtool.interpreters import Interpreter
from devtool.process import attempt, stream

PIP_SECONDS = 1200
MARKER = "complete"
DAY = 24 * 3600


@dataclass(frozen=True)
class Environment:
    path: Path

    @property
    def marker(self) -> Path:
        """Names what could not be had, where other versions were taken."""
        return self.path / MARKER

    @property
    def is_complete(self) -> bool:
        return self.marker.exists()

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    def program(self, name: str) -> str:
        return str(self.bin / name)

    @property
    def packages(self) -> Path:
        """Where its libraries are."""
        return next(self.path.glob("lib/python3*/site-packages"))


def provide(checkout: Checkout, purpose: str, interpreter: Interpreter) -> Environment:
    """The environment for requirements/<purpose>.txt on this interpreter, made if it is not there yet.

    Where the index lacks a version that is asked for, and has another one that may do, an environment beside it is made of that;
    for as long as a day.
    """
    requirements = checkout.root / "requirements" / f"{purpose}.txt"
    asked = [line for line in requirements.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    identity = "\n".join([str(interpreter.path), str(interpreter.version), *asked])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
    label = "venv" if purpose == "main" else f"venv-{purpose}"
    environment = Environment(checkout.cache / f"{label}-{interpreter.name}-{digest}")
    other = Environment(environment.path.with_name(f"{environment.path.name}-other"))
    if environment.is_complete:
        return environment
    checkout.cache.mkdir(parents=True, exist_ok=True)
    with (checkout.cache / f"{environment.path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if environment.is_complete:
            return environment
        if other.is_complete and time.time() - other.marker.stat().st_mtime < DAY:
            say(other.marker.read_text(encoding="utf-8").rstrip())
            return other
        return _made(environment, other, interpreter, requirements)


def _made(usual: Environment, other: Environment, interpreter: Interpreter, requirements: Path) -> Environment:
    say(f"making the Python {interpreter.name} environment for {requirements.name} (a minute at most)")
    empty: set[Environment] = set()

    def attempt_to_fill(avoided: tuple[MissingPackage, ...]) -> Environment:
        environment = other if avoided else usual
        if environment not in empty:
            # An environment cannot be moved, so it is made where it stays; without its marker it counts as rubbish.
            shutil.rmtree(environment.path, ignore_errors=True)
            make = [str(interpreter.path), "-m", "venv", str(environment.path)]
            attempt(make, cwd=Path("/"), env=_variables(), seconds=PIP_SECONDS, tries=1)
            empty.add(environment)
        fill(environment, requirements, avoided)
        environment.marker.write_text("".join(f"{marked(one, 'another version')}\n" for one in avoided), encoding="utf-8")
        return environment

    return obtain(attempt_to_fill, say)


def fill(environment: Environment, requirements: Path, avoided: tuple[MissingPackage, ...]) -> None:
    """Install the requirements, and none of the versions `avoided`; ArchiveUnavailableError when the index lacks something."""
    chosen, constraints = environment.path / requirements.name, environment.path / "constraints.txt"
    chosen.write_text(without(requirements.read_text(encoding="utf-8"), avoided), encoding="utf-8")
    constraints.write_text("".join(f"{one.name}!={one.version}\n" for one in avoided), encoding="utf-8")
    pip = [environment.program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "5"]
    ended = stream(
        [*pip, "-r", str(chosen), "-c", str(constraints)], cwd=Path("/"), env=_variables(), seconds=PIP_SECONDS, show=stay_silent
    )
    if ended.code == 0:
        return
    output = "\n".join(ended.output)
    missing = in_pip_output(output)
    if missing:
        raise ArchiveUnavailableError(missing)
    raise DevtoolError(f"pip cannot install {requirements.name}:\n{output[-4000:]}")


def _variables() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def without(requirements: str, avoided: tuple[MissingPackage, ...]) -> str:
    """The requirements, of which one that is pinned to such a version takes what is compatible with it."""
    for one in avoided:
        parts = one.version.split(".")
        compatible = f"~={parts[0]}.{parts[1]}" if len(parts) > 1 else ""
        pinned = rf"^({re.escape(one.name)})=={re.escape(one.version)}(?=\s|;|$)"
        requirements = re.sub(pinned, rf"\1{compatible}", requirements, flags=re.MULTILINE | re.IGNORECASE)
    return requirements
