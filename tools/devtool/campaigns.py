# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes too long for `make test`: `make test-all` runs it, goes on where it was cut off, and writes down the last results."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from devtool import interpreters
from devtool.check import Check, Result, run
from devtool.checkout import Checkout
from devtool.console import duration, say
from devtool.errors import DevtoolError
from devtool.phases import UNIT, all_units, managed_host, managed_host_name, molecule_check, sanity_check, scenarios
from devtool.process import capture
from devtool.workspace import Workspace, chosen

PAGE = "docs/test-all.md"
HEAD = ("campaign", "result", "passed", "failed", "minutes", "commit", "day")
ROW = re.compile(r"\| ([^|]+) \| (ok|FAILED|unavailable) \| (\d+) \| (\d+) \| ([\d.]+) \| ([0-9a-f]{7,40}\+?) \| (\d{4}-\d\d-\d\d) \|")
TEXT = """<!--
SPDX-FileCopyrightText: The vfio.variants authors
SPDX-License-Identifier: GPL-3.0-or-later
-->
# The last results of `make test-all`

Written by `make test-all`; do not edit. A campaign counts for the commit that it ran at, with a `+` where files had changed since.
`make test-all` skips those that passed at a commit from which nothing but this page has changed, so that a run that was cut off goes on;
`CAMPAIGN=name` runs some of them again.

"""


@dataclass(frozen=True)
class Row:
    """The last result of a campaign, and the commit that it ran at."""

    name: str
    result: str
    passed: int
    failed: int
    minutes: float
    commit: str
    day: str

    def line(self) -> str:
        values = (self.name, self.result, self.passed, self.failed, f"{self.minutes:.1f}", self.commit, self.day)
        return f"| {' | '.join(map(str, values))} |"


@dataclass(frozen=True)
class Campaign:
    """What it does, the command as in a shell, and how long it may take at most."""

    does: str
    command: str
    hours: float
    counts: bool = True

    def check(self, workspace: Workspace) -> Check:
        return workspace.check(self.does, *self.command.split(), seconds=round(self.hours * 3600), counts=self.counts)


# Cheapest first; a later one is one line more.
CAMPAIGNS = {
    "documentation site": Campaign("the documentation site, without a warning", "tools/docs", 0.5),
    "consumer": Campaign("somebody else's repository with the built archive", "tools/consumer", 1.5),
    "galaxy importer": Campaign("the archive as Galaxy imports it, without a warning", "tools/importer", 0.5),
    "Mitogen": Campaign("the role under Mitogen's strategy", "tools/mitogen", 0.5),
    "fleet examples": Campaign("the examples of the guide to fleets, run", "tools/fleet-examples", 0.5),
    "public hosts": Campaign("claims on hosts of public reports, by the role", "tests/public_hosts/run", 0.5),
    "presets": Campaign("a card of each preset, as lspci shows it", "tests/presets/run", 1),
    "recorded boots": Campaign("every recorded boot, judged", "tests/forecast/run --replay", 1),
    "whole hosts": Campaign("every recorded boot of a whole host, judged", "tests/world/run --replay", 1),
    "all kernels": Campaign("drivers built for all kernels", "tests/kernels/run", 1.5),
    "drivers at work": Campaign("drivers at work on all kernels", "tests/drivers/run --again", 1.5),
    "arm64": Campaign("the variant for NVIDIA's Grace on an arm64 machine", "tests/drivers/run --arm64", 1),
    "driver mistakes": Campaign("broken drivers are noticed", "tests/drivers/run --mutants", 1.5),
    "UEFI boots": Campaign("boots by UEFI firmware and its loaders, predicted", "tests/uefi/run", 1),
    "rehearsals": Campaign("60 hosts rehearsed, and booted for real", "tests/rehearsal/run --count 64 --seed 1", 8),
    "new boots": Campaign("300 new boots", "tests/forecast/run --count 300 --seed 5000", 4),
    "core mistakes": Campaign("mistakes in the core are noticed", "tests/mutants/run --count 600 --seed 1", 4, counts=False),
    "hostile input": Campaign(
        "hostile input for parsers, options and hosts", "tests/fuzz/run --seconds 3600 --options 10000 --trees 3000", 4
    ),
    "power cuts": Campaign("the power is cut while a machine converges", "tests/power_cuts/run --count 50", 8),
    "remedies": Campaign("every remedy, tried on its host", "tests/forecast/run --remedies", 2),
    "remedies of whole hosts": Campaign("every remedy, tried on its whole host", "tests/world/run --remedies", 4),
    "policies": Campaign("what boot_policy accepts, against known boots", "tests/forecast/run --policies", 1),
    "forecast mistakes": Campaign("broken forecasts are noticed", "tests/forecast/run --mutations", 1),
}


def campaigns(workspace: Workspace) -> dict[str, Callable[[], Check]]:
    """Every campaign by its name; what it needs is made ready when it runs."""
    found: dict[str, Callable[[], Check]] = {name: partial(one.check, workspace) for name, one in CAMPAIGNS.items()}
    # `make test` runs a sample of the unit tests, on the oldest Python of managed hosts, and a part of the sanity tests.
    found[UNIT] = partial(all_units, workspace)
    found["sanity"] = lambda: sanity_check(workspace, workspace.copied("sanity-all"))
    found |= {managed_host_name(one): partial(managed_host, workspace, one) for one in interpreters.targets()}
    return found | {f"scenario {name}": partial(molecule_check, workspace, name) for name in scenarios(workspace.checkout)}


def read(page: Path) -> dict[str, Row]:
    """The rows of the page; none where it does not exist."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = (
        Row(name, result, int(passed), int(failed), float(took), commit, day)
        for name, result, passed, failed, took, commit, day in ROW.findall(text)
    )
    return {row.name: row for row in found}


def write(page: Path, rows: Mapping[str, Row], known: Sequence[str]) -> None:
    """Replace the page; campaigns that are no longer known are left out, those that never ran have a line below the table."""
    never = [name for name in known if name not in rows]
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}", *(rows[name].line() for name in known if name in rows)]
    rest = f"\nNot run yet: {', '.join(never)}.\n" if never else ""
    new = page.with_name(f".{page.name}.new")
    new.write_text(TEXT + "\n".join(lines) + "\n" + rest, encoding="utf-8")
    new.replace(page)


def is_current(checkout: Checkout, row: Row) -> bool:
    """Whether nothing but the page has changed since the row's commit."""
    argv = ["git", "diff", "--quiet", row.commit, "--", ".", f":(exclude){PAGE}"]
    try:
        capture(argv, cwd=checkout.root)
    except DevtoolError:
        # It has changed, or the commit is not known here.
        return False
    return True


def asked(workspace: Workspace) -> list[str]:
    """Those that CAMPAIGN= names, separated by commas, since their names have blanks."""
    names = [name.strip() for name in " ".join(chosen("CAMPAIGN")).split(",") if name.strip()]
    known = list(campaigns(workspace))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DevtoolError(f"CAMPAIGN: there is no campaign {unknown[0]}; there are {', '.join(known)}.")
    return names


def commit_of(checkout: Checkout) -> str:
    """That of the code that runs, with a `+` where more than the page has changed since."""
    head = capture(["git", "rev-parse", "--short=12", "HEAD"], cwd=checkout.root).strip()
    changed = capture(["git", "status", "--porcelain", "--", ".", f":(exclude){PAGE}"], cwd=checkout.root)
    return f"{head}+" if changed else head


def run_all(workspace: Workspace, only: Sequence[str]) -> int:
    """Run the campaigns that have no current result, or those that were asked for; 1 where one failed."""
    page = workspace.checkout.root / PAGE
    rows, known = read(page), campaigns(workspace)
    names = list(only) or list(known)
    commit = commit_of(workspace.checkout)
    worst = 0
    for name in names:
        row = rows.get(name)
        if not only and row is not None and row.result == "ok" and is_current(workspace.checkout, row):
            say(f"-- {name}: passed at {row.commit} ({row.minutes:.1f} min), nothing has changed since")
            continue
        start = time.monotonic()
        result = run(known[name]())
        rows[name] = _row(name, result, commit, time.monotonic() - start)
        write(page, rows, list(known))
        worst = max(worst, 0 if rows[name].result == "ok" else 1)
    return worst


def _row(name: str, result: Result, commit: str, seconds: float) -> Row:
    word = "FAILED" if result.failed else "unavailable" if result.short else "ok"
    say(f"== {name}: {word} ({duration(seconds)})")
    return Row(name, word, result.passed, result.failed, round(seconds / 60, 1), commit, time.strftime("%Y-%m-%d", time.gmtime()))
