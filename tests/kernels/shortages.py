# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive lacked when something was made of it: kept beside that, to be named each time and asked for again."""

from __future__ import annotations

import dataclasses
import json
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import MissingPackage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import write_atomic

_ASKED_AGAIN_AFTER = 3600


@dataclass(frozen=True)
class Shortages:
    """In a file: by what they are about, such as the series of a kernel."""

    path: Path

    def of(self, what: str) -> list[MissingPackage]:
        return [MissingPackage(**one) for one in self._all().get(what, [])]

    def note(self, what: str, missing: t.Iterable[MissingPackage]) -> None:
        """In place of what was noted of it before."""
        self.path.parent.mkdir(exist_ok=True)
        write_atomic(self.path, json.dumps({**self._all(), what: [dataclasses.asdict(one) for one in missing]}))

    @property
    def are_recent(self) -> bool:
        """Whether the archive was asked within the last hour."""
        return self.path.is_file() and time.time() - self.path.stat().st_mtime < _ASKED_AGAIN_AFTER

    def _all(self) -> dict[str, list[dict[str, str]]]:
        return dict(json.loads(self.path.read_text(encoding="utf-8"))) if self.path.is_file() else {}
