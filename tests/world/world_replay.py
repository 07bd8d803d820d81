# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded boots compared with what is predicted for the same hosts, booting nothing."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import comparison
import world_comparison
from forked import in_processes
from world_comparison import JudgedHost
from world_records import Record
from world_tree import WorldTrees, alike

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


@dataclass(frozen=True)
class Replay:
    """``parallel`` processes share the hosts out among them."""

    trees: WorldTrees
    parallel: int = 2

    def judged(self, records: Sequence[Record]) -> list[JudgedHost]:
        """In the records' order."""
        ordered = sorted(records, key=lambda record: repr(alike(record.world)))
        groups = [ordered[number :: self.parallel * 4] for number in range(self.parallel * 4)]
        found = {host.world.name: host for hosts in in_processes(self.one, groups, self.parallel) for host in hosts}
        return [found[record.world.name] for record in records]

    def one(self, record: Record) -> JudgedHost:
        with tempfile.TemporaryDirectory(prefix="tree-", dir=self.trees.place) as name:
            try:
                host = Host(str(self.trees.lay_out(record.world, Path(name) / "root")), comparison.run)
                return world_comparison.judge(record, comparison.read_facts(host).answers())
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                return JudgedHost(record.world, error=f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})")
