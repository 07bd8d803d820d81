# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Debian's Chromium takes to open the page of a fleet of 1,000 hosts, beside a page of as many bytes that is text alone."""

from __future__ import annotations

import dataclasses
import os
import statistics
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._report.files import fleet_report
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import summarise
from ansible_collections.vfio.variants.tests.bench.ratios import Ratio
from ansible_collections.vfio.variants.tests.bench.stopwatch import Took
from ansible_collections.vfio.variants.tests.unit.browser import Browser
from ansible_collections.vfio.variants.tests.unit.report_hosts import examined, gpu_host

if t.TYPE_CHECKING:
    from collections.abc import Iterator

HOSTS = 1000
ROUNDS = 5
#: Sentences of the length at which a page cuts them, as many as it shows of a host.
REMARKS = ("w" * 300,) * 6
LINE = "x" * 99 + "\n"
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(document.documentElement.scrollHeight))))"


def measure(folder: Path) -> Iterator[Ratio]:
    page, floor = _page(folder), folder / "floor.html"
    size = page.stat().st_size
    yield Ratio(f"bytes of the page of {HOSTS} hosts", "as many sentences as it shows", float(size))
    head, end = "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Text</title><pre>\n", "</pre>"
    text = LINE * (size // len(LINE) + 1)
    floor.write_text(head + text[: size - len(head) - len(end)] + end, encoding="utf-8")
    with Browser(folder / "profile") as browser:
        # What the browser does only once is not a page's.
        opened(browser, floor)
        rounds = [(opened(browser, page), opened(browser, floor)) for _round in range(ROUNDS)]
    ours = Took(*(statistics.median(one[0][kind] for one in rounds) for kind in (0, 1)))
    yield Ratio(f"seconds to open the page of {HOSTS} hosts", "Chromium without a window", ours.processor, ours.wall)
    ratios = [Took(page_took.wall / floor_took.wall, page_took.processor / floor_took.processor) for page_took, floor_took in rounds]
    name = f"opening the page of {HOSTS} hosts, in that of a page of as many bytes of text"
    median = Took(*(statistics.median(one[kind] for one in ratios) for kind in (0, 1)))
    yield Ratio(name, f"{ROUNDS} pairs", median.processor, median.wall)


def _page(folder: Path) -> Path:
    host = summarise(examined(gpu_host(folder / "host")), "hosts/gpu-1.html")
    one = dataclasses.replace(host, remarks=REMARKS, warnings=900, sentences=900)
    report = fleet_report("A fleet", [dataclasses.replace(one, name=f"gpu-{number}") for number in range(HOSTS)])
    report.write(folder, check_mode=False)
    return folder / "index.html"


def opened(browser: Browser, page: Path) -> Took:
    """Until the page is loaded and painted; the processor's time is that of all processes of the browser."""
    before = _processor(browser.pid)
    wall = browser.open(page, then=PAINTED)
    after = _processor(browser.pid)
    return Took(wall, sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items()))


def _processor(root: int) -> dict[int, float]:
    """Seconds of each process that descends from `root`, which is one of them."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid = int(place.parent.name)
        parents[pid] = int(fields[1])
        used[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    own = {root}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    return {pid: used[pid] for pid in own & used.keys()}
