# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the campaigns with drawn inputs have come, so that a run that was cut off goes on there, as long as the code is the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

EVERY = 50
"""So many inputs are tried between two records."""


@dataclass(frozen=True)
class Progress:
    """``place`` is where it is kept; nowhere if it is None."""

    place: Path | None
    state: str
    """What the counts are of: the code and the seed."""

    def done(self, kind: str) -> tuple[int, int]:
        """How many inputs of a campaign were tried, and how many of them were answered wrongly."""
        tried, faults = self._known().get(kind, (0, 0))
        return tried, faults

    def keep(self, kind: str, tried: int, faults: int) -> None:
        if self.place is None:
            return
        text = json.dumps({"state": self.state, "done": {**self._known(), kind: (tried, faults)}})
        self.place.parent.mkdir(parents=True, exist_ok=True)
        draft = self.place.with_name(f"{self.place.name}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.place)

    def _known(self) -> dict[str, tuple[int, int]]:
        if self.place is None or not self.place.is_file():
            return {}
        kept = json.loads(self.place.read_text(encoding="utf-8"))
        return dict(kept["done"]) if kept["state"] == self.state else {}


@dataclass
class Count:
    """A campaign that is under way."""

    progress: Progress
    kind: str
    total: int

    def __post_init__(self) -> None:
        self.begun, self.faults = self.progress.done(self.kind)

    def left(self) -> range:
        """The numbers of the inputs that were not tried yet."""
        return range(self.begun, self.total)

    def after(self, number: int) -> bool:
        """To be called after each input; True where it is time to say how far it is."""
        due = number % EVERY == EVERY - 1 or number + 1 == self.total
        if due:
            self.progress.keep(self.kind, number + 1, self.faults)
        return due
