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
from devtool.workbench import Workbench

RUBBISH = (".ansible", ".mypy_cache", ".pytest_cache", ".ruff_cache", "collections", "dist", "tests/output")


def setup(bench: Workbench) -> None:
    """Debian packages, the main environment and the collection tree; nothing to do takes well below a second."""
    start = time.monotonic()
    install_missing(bench.checkout.root / "tools/apt-packages.txt")
    bench.checkout.link()
    made = bench.main
    say(f"ready: Python {interpreters.controller().name} in {made.path} ({duration(time.monotonic() - start)})")


def run(bench: Workbench, phases: list[Phase]) -> int:
    outcomes = run_phases(phases, bench, keep_going=os.environ.get("KEEP_GOING", "") not in ("", "0"))
    for line in summary(outcomes):
        say(line)
    return exit_status(outcomes)


def replace_by(bench: Workbench, argv: list[str]) -> None:
    """Become a program that runs in the main environment, with the terminal as its own."""
    try:
        os.execvpe(argv[0], argv, bench.variables)
    except OSError as problem:
        raise DevtoolError(f"{argv[0]} cannot be run: {problem.strerror}") from problem


def clean(checkout: Checkout) -> None:
    """Remove what tools left in the checkout, and this checkout's part of the cache; images and environments stay."""
    for path in [*(checkout.root / name for name in RUBBISH), checkout.place]:
        shutil.rmtree(path, ignore_errors=True)
    for top in ("plugins", "tests", "tools", "molecule"):
        for path in (checkout.root / top).rglob("__pycache__"):
            shutil.rmtree(path, ignore_errors=True)


def obey(arguments: argparse.Namespace, bench: Workbench) -> int:
    if arguments.command == "clean":
        clean(bench.checkout)
        return 0
    setup(bench) if arguments.command != "exec" else bench.checkout.link()
    if arguments.command == "exec":
        replace_by(bench, arguments.argv)
    if arguments.command == "test":
        return run(bench, list(PHASES))
    if arguments.command == "test-all":
        return run_all(bench, asked(bench))
    return run(bench, [phase for phase in PHASES if phase.name == arguments.command]) if arguments.command != "setup" else 0


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
    bench = Workbench(Checkout.here())
    try:
        with bench.stack:
            return obey(parse(sys.argv[1:]), bench)
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
