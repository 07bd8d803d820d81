# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a phase works with: the checkout, its environments, and ways to name a check."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from devtool import interpreters
from devtool.check import Check
from devtool.checkout import Checkout
from devtool.environment import Environment, provide
from devtool.variables import variables


@dataclass
class Workspace:
    """Made ready bit by bit: an environment exists once the first check asks for it."""

    checkout: Checkout
    stack: ExitStack = field(default_factory=ExitStack)
    _copies: dict[str, Path] = field(default_factory=dict)

    @cached_property
    def main(self) -> Environment:
        return provide(self.checkout, "main", interpreters.controller())

    @cached_property
    def variables(self) -> dict[str, str]:
        self.checkout.link()
        return variables(self.checkout, self.main)

    def copied(self, purpose: str) -> Path:
        """A copy of the collection that stays ours until the workspace is left."""
        if purpose not in self._copies:
            # A second lock of the same file would wait for the first one for ever.
            self._copies[purpose] = self.stack.enter_context(self.checkout.copied(purpose))
        return self._copies[purpose]

    def check(self, name: str, *argv: str, cwd: Path | None = None, seconds: float = 1800, counts: bool = False) -> Check:
        """A check that runs one of the main environment's programs, by default in the checkout."""
        program, *arguments = argv
        own = self.main.bin / program
        return Check(
            name=name,
            argv=(str(own) if own.exists() else program, *arguments),
            cwd=cwd or self.checkout.root,
            env=self.variables,
            seconds=seconds,
            counts=counts,
        )

    def known(self, *suffixes: str) -> list[str]:
        """Files git knows whose names end so."""
        return [name for name in self.checkout.files() if name.endswith(suffixes)]

    def shell_scripts(self) -> Iterator[str]:
        """Files that a POSIX shell or bash runs, by name or by their first line."""
        yield from (name for name in self._files() if name.endswith(".sh") or self._interpreter(name) in ("sh", "bash", "dash"))

    def python_programs(self) -> Iterator[str]:
        """Files without a suffix that Python runs."""
        yield from (name for name in self._files() if not Path(name).suffix and self._interpreter(name) in ("python", "python3"))

    def python_folder(self, program: str) -> list[str]:
        """The program's folder, where it holds Python files of its own; the tools' are a package."""
        folder = str(Path(program).parent)
        return [folder] if any(str(Path(name).parent) == folder for name in self.known(".py")) else []

    def _files(self) -> Iterator[str]:
        for name in self.checkout.files():
            path = self.checkout.root / name
            if path.is_file() and not path.is_symlink():
                yield name

    def _interpreter(self, name: str) -> str | None:
        """The program that the file's first line names, directly or by way of env."""
        with (self.checkout.root / name).open("rb") as file:
            first = file.readline(120)
        words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
        programs = (Path(word).name for word in words)
        return next((program for program in programs if program != "env"), None)


def chosen(variable: str) -> list[str]:
    """What the user asked for on make's command line: make unit TESTS=…, make molecule SCENARIO=…"""
    return os.environ.get(variable, "").split()
