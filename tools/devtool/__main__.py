# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command behind the Makefile: sets up, runs phases, runs a program as a phase would."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from types import FrameType

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS, ArchiveUnavailableError
from devtool import interpreters
from devtool.campaigns import asked, run_all
from devtool.checkout import Checkout
from devtool.console import complain, duration, say
from devtool.errors import DevtoolError
from devtool.packages import install_missing
from devtool.phases import PHASES, Phase
from devtool.report import exit_status, run_phases, summary
from devtool.workspace import Workspace

RUBBISH = (".ansible", ".mypy_cache", ".pytest_cache", ".ruff_cache", "collections", "dist", "tests/output")


def setup(workspace: Workspace) -> None:
    """Debian packages, the main environment and the collection tree; nothing to do takes well below a second."""
    start = time.monotonic()
    install_missing(workspace.checkout.root / "tools/apt-packages.txt")
    workspace.checkout.link()
    made = workspace.main
    say(f"ready: Python {interpreters.controller().name} in {made.path} ({duration(time.monotonic() - start)})")


def run(workspace: Workspace, phases: list[Phase]) -> int:
    outcomes = run_phases(phases, workspace, keep_going=os.environ.get("KEEP_GOING", "") not in ("", "0"))
    for line in summary(outcomes):
        say(line)
    return exit_status(outcomes)


def replace_by(workspace: Workspace, argv: list[str]) -> None:
    """Become a program that runs in the main environment, with the terminal as its own."""
    try:
        os.execvpe(argv[0], argv, workspace.variables)
    except OSError as problem:
        raise DevtoolError(f"{argv[0]} cannot be run: {problem.strerror}") from problem


def clean(checkout: Checkout) -> None:
    """Remove what tools left in the checkout, and this checkout's part of the cache; images and environments stay."""
    for path in [*(checkout.root / name for name in RUBBISH), checkout.place]:
        shutil.rmtree(path, ignore_errors=True)
    for top in ("plugins", "tests", "tools", "molecule"):
        for path in (checkout.root / top).rglob("__pycache__"):
            shutil.rmtree(path, ignore_errors=True)


def obey(arguments: argparse.Namespace, workspace: Workspace) -> int:
    if arguments.command == "clean":
        clean(workspace.checkout)
        return 0
    setup(workspace) if arguments.command != "exec" else workspace.checkout.link()
    if arguments.command == "exec":
        replace_by(workspace, arguments.argv)
    if arguments.command == "test":
        return run(workspace, list(PHASES))
    if arguments.command == "test-all":
        return run_all(workspace, asked(workspace))
    return run(workspace, [phase for phase in PHASES if phase.name == arguments.command]) if arguments.command != "setup" else 0


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="devtool", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup")
    commands.add_parser("test")
    commands.add_parser("test-all")
    commands.add_parser("clean")
    for phase in PHASES:
        commands.add_parser(phase.name, help=phase.does)
    commands.add_parser("exec").add_argument("argv", nargs=argparse.REMAINDER)
    return parser.parse_args(argv)


def end(number: int, _frame: FrameType | None) -> None:
    """Leave by the way of an exception, so that programs still running are ended too."""
    raise SystemExit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    workspace = Workspace(Checkout.here())
    try:
        with workspace.stack:
            return obey(parse(sys.argv[1:]), workspace)
    except ArchiveUnavailableError as problem:
        for line in problem.lines():
            complain(line)
        return EXIT_STATUS
    except DevtoolError as problem:
        complain(f"error: {problem}")
        return 1
    except KeyboardInterrupt:
        complain("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
