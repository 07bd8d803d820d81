# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments in the cache, named after what determines their content."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from workshop.checkout import Checkout
from workshop.console import say
from workshop.interpreters import Interpreter
from workshop.process import attempt

PIP_SECONDS = 1200
MARKER = "complete"


@dataclass(frozen=True)
class Environment:
    path: Path

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
    """The environment for requirements/<purpose>.txt on this interpreter, made if it is not there yet."""
    requirements = checkout.root / "requirements" / f"{purpose}.txt"
    identity = "\n".join([str(interpreter.path), str(interpreter.version), requirements.read_text(encoding="utf-8")])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
    label = "venv" if purpose == "main" else f"venv-{purpose}"
    environment = Environment(checkout.cache / f"{label}-{interpreter.name}-{digest}")
    if (environment.path / MARKER).exists():
        return environment
    checkout.cache.mkdir(parents=True, exist_ok=True)
    with (checkout.cache / f"{environment.path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment.path / MARKER).exists():
            _make(environment, interpreter, requirements)
    return environment


def _make(environment: Environment, interpreter: Interpreter, requirements: Path) -> None:
    say(f"making the Python {interpreter.name} environment for {requirements.name} (a minute at most)")
    # An environment cannot be moved, so it is made where it stays; without its marker it counts as rubbish.
    shutil.rmtree(environment.path, ignore_errors=True)
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    attempt([str(interpreter.path), "-m", "venv", str(environment.path)], cwd=Path("/"), env=variables, seconds=PIP_SECONDS, tries=1)
    pip = [environment.program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    attempt([*pip, "--retries", "5", "-r", str(requirements)], cwd=Path("/"), env=variables, seconds=PIP_SECONDS)
    (environment.path / MARKER).touch()
