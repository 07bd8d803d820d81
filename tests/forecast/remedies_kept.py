# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found of suggested changes, kept for as long as nothing changes that they depend on: a run that ends goes on later."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DESCRIBED = tuple(
    f"tests/unit/test_{name}.py" for name in ("adversarial_hosts", "changes_of_hosts", "hosts_of_guides", "hosts_of_strangers")
)
_DEPENDS_ON = ("plugins/module_utils/_core", "tests/forecast", "tests/world", "tests/unit/remedies.py", *_DESCRIBED)


def state(file: Path) -> str:
    """Changes with the core, this folder, what follows suggestions, and the recorded boots."""
    text = hashlib.sha256(file.read_bytes())
    for place in _DEPENDS_ON:
        path = ROOT / place
        for one in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            text.update(str(one.relative_to(ROOT)).encode() + one.read_bytes())
    return text.hexdigest()[:16]


@dataclass(frozen=True)
class Judged:
    """A change that was suggested for a device, and what is wrong with it; nothing if it helps and harms no device."""

    case: str
    address: str
    driver: str
    sentence: str
    wrong: str = ""


@dataclass(frozen=True)
class Kept:
    """Results by host in one file, of which each process appends whole lines.  After ``deadline`` no host is begun."""

    path: Path
    deadline: float | None = None

    def read(self) -> dict[str, tuple[Judged, ...]]:
        found: dict[str, tuple[Judged, ...]] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            try:
                name, judged = json.loads(line)
                found[name] = tuple(Judged(*fields) for fields in judged)
            except (ValueError, TypeError):
                # The last line of a run that was killed.
                continue
        return found

    def add(self, name: str, judged: Sequence[Judged]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, [astuple(one) for one in judged]]) + "\n")

    @property
    def is_over(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


def open_kept(folder: Path, boots: Path, minutes: float | None, say: Callable[[str], None]) -> Kept:
    """The results for a file of boots; no host is begun after so many minutes."""
    path = folder / f"{state(boots)}.jsonl"
    for old in forget_others(folder, path):
        say(f"{old.name} is of another state and is forgotten")
    return Kept(path, None if minutes is None else time.monotonic() + 60 * minutes)


def forget_others(folder: Path, kept: Path) -> Iterator[Path]:
    """Results of other states, which are of no use any more."""
    for path in folder.glob("*.jsonl"):
        if path != kept:
            path.unlink()
            yield path
