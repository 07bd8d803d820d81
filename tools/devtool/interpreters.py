# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python interpreters on this machine that really run."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from devtool.errors import DevtoolError

CONTROLLER = ((3, 13), (3, 12), (3, 11))
TARGET = ((3, 9), (3, 10), (3, 11), (3, 12), (3, 13))
# Asked from inside a virtual environment, the interpreter it was made from answers.
# ensurepip is what Debian splits off into python3-venv: an interpreter without it can make no environment.
QUESTION = """
import ensurepip, json, sys, venv
print(json.dumps([list(sys.version_info[:3]), getattr(sys, "_base_executable", None) or sys.executable]))
"""


@dataclass(frozen=True)
class Interpreter:
    version: tuple[int, int, int]
    path: Path

    @property
    def minor(self) -> tuple[int, int]:
        return self.version[:2]

    @property
    def name(self) -> str:
        """3.11: as a folder or a command calls it."""
        return f"{self.version[0]}.{self.version[1]}"


def ask(path: Path | str) -> Interpreter | None:
    """The interpreter behind a path, or None if it does not run: pyenv's shims exist for versions that are switched off."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        done = subprocess.run([str(path), "-c", QUESTION], capture_output=True, encoding="utf-8", timeout=20, check=False, env=environment)
        version, executable = json.loads(done.stdout) if done.returncode == 0 else (None, None)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    # A link to it is the same one: the project's programs find each by a link of its own, too.
    return Interpreter((version[0], version[1], version[2]), Path(executable).resolve()) if version and executable else None


def _candidates(minor: tuple[int, int]) -> list[Path]:
    name = f"python{minor[0]}.{minor[1]}"
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders += [Path("/usr/local/bin"), Path("/usr/bin"), *sorted(pyenv.glob(f"{minor[0]}.{minor[1]}.*/bin"))]
    return [path for folder in folders if os.access(path := folder / name, os.X_OK)]


@cache
def find(minor: tuple[int, int]) -> Interpreter | None:
    """An interpreter of this minor version, the newest patch release first."""
    found = {answer for path in _candidates(minor) if (answer := ask(path)) and answer.minor == minor}
    return max(found, key=lambda interpreter: (interpreter.version, str(interpreter.path)), default=None)


def controller() -> Interpreter:
    """The interpreter that everything on the controller's side runs on; the variable PYTHON overrides the choice."""
    chosen = os.environ.get("PYTHON")
    if chosen:
        answer = ask(chosen)
        if answer is None or answer.minor not in CONTROLLER:
            raise DevtoolError(f"PYTHON={chosen} is not a working Python 3.11, 3.12 or 3.13 with the venv module.")
        return answer
    for minor in CONTROLLER:
        if interpreter := find(minor):
            return interpreter
    raise DevtoolError("No working Python 3.13, 3.12 or 3.11 with the venv module was found. Install python3 and python3-venv.")


def targets() -> list[Interpreter]:
    """One interpreter for each Python of a managed host that this machine has, oldest first."""
    return [interpreter for minor in TARGET if (interpreter := find(minor))]
