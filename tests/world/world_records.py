# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was booted and what was seen, kept so that predictions can be judged again without booting."""

from __future__ import annotations

import json
import lzma
import typing as t
from dataclasses import asdict, dataclass, field
from pathlib import Path

from world_configuration import World

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

Owners = t.Mapping[str, str | None]


@dataclass(frozen=True)
class Seen:
    """``owners`` are those at the end; ``jobs`` are systemd's that had not ended, and units that had failed."""

    owners: Owners
    stages: t.Mapping[str, Owners]
    overrides: t.Mapping[str, str] = field(default_factory=dict)
    modalias: t.Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    unsettled: bool = False
    seconds: float = 0


@dataclass(frozen=True)
class Record:
    """A host and its boot."""

    world: World
    seen: Seen

    def text(self) -> str:
        seen = asdict(self.seen)
        # The same in every boot of the machine, and the end, which is there already.
        seen.pop("modalias")
        seen["stages"] = {name: owners for name, owners in seen["stages"].items() if name != "end"}
        return json.dumps({"world": self.world.as_json(), "seen": seen}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Record:
        """Raises ValueError, KeyError or TypeError on what ``text`` did not make."""
        fields = json.loads(text)
        given: dict[str, t.Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields["seen"].items()}
        return cls(World.parse(fields["world"]), Seen(**given))


class Records:
    """In a file, one a line; compressed where the file's name says so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records = {record.world.name: record for record in _read(path)} if path.is_file() else {}

    def all(self) -> list[Record]:
        return [record for _name, record in sorted(self._records.items())]

    def find(self, world: World) -> Record | None:
        """What this very host did; nothing where another had its name."""
        record = self._records.get(world.name)
        return record if record is not None and record.world == world else None

    def add(self, record: Record) -> None:
        """Keep a record at once: a run that is interrupted loses nothing."""
        self._records[record.world.name] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{record.text()}\n")

    def write(self, path: Path) -> int:
        """All of it into one file, with what that holds already of other hosts; how many there are then."""
        records = {**Records(path)._records, **self._records}
        text = "".join(f"{record.text()}\n" for _name, record in sorted(records.items())).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.new")
        partial.write_bytes(lzma.compress(text, preset=9) if path.suffix == ".xz" else text)
        partial.replace(path)
        return len(records)


def _read(path: Path) -> t.Iterator[Record]:
    content = path.read_bytes()
    try:
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode()
        # The last line of a run that was killed may be half.
        yield from (Record.parse(line) for line in text.split("\n")[:-1] if line)
    except (ValueError, KeyError, TypeError, lzma.LZMAError, EOFError) as error:
        raise HostError(f"{path} is not a record of boots: {error}.") from error
