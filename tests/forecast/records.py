# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was booted and what was seen: kept, so that a forecast can be judged again without booting."""

from __future__ import annotations

import json
import lzma
import typing as t
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from config_builder import Case
from configuration import Configuration

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

AS_IT_IS = ""
"""The variation of a case that is booted as it was drawn."""

Owners = t.Mapping[str, str | None]


@dataclass(frozen=True)
class Record:
    """One boot of a case.  ``variation`` says what was delayed to show that a race is one."""

    case: Case
    variation: str
    owners: Owners
    by_stage: t.Mapping[str, Owners]
    modalias: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.case.configuration.name, self.variation

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Record:
        """Raises ValueError, KeyError or TypeError on what ``text`` did not make."""
        fields = json.loads(text)
        given = fields["case"]["configuration"]
        tuples = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        case = Case(Configuration(**{**given, **tuples}), tuple(fields["case"]["directives"]))
        return cls(case, fields["variation"], fields["owners"], fields["by_stage"], fields["modalias"])


class Corpus:
    """Records in a file, one a line; compressed where the file's name says so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[tuple[str, str], Record] = {record.key: record for record in _read(path)} if path.exists() else {}

    @classmethod
    def known(cls, path: Path) -> Corpus:
        """Of a file that has to be there."""
        if not path.is_file():
            raise HostError(f"There is no {path}, whose boots are to be judged; --record writes such a file.")
        return cls(path)

    def find(self, case: Case, variation: str = AS_IT_IS) -> Record | None:
        """What this very configuration did; nothing where another had its name."""
        record = self._records.get((case.configuration.name, variation))
        return record if record is not None and record.case.configuration == case.configuration else None

    def variations(self, case: Case) -> list[Record]:
        """Every boot of a case."""
        return [record for record in self._records.values() if record.case.configuration == case.configuration]

    def cases(self) -> list[Case]:
        return [record.case for record in self._records.values() if record.variation == AS_IT_IS]

    def add(self, record: Record) -> None:
        """Keep a record at once: a run that is interrupted loses nothing."""
        self.keep(record)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{record.text()}\n")

    def keep(self, record: Record) -> None:
        """Keep a record until the corpus is written."""
        self._records[record.key] = record

    def write(self, path: Path) -> None:
        """All of it into one file, with what that holds already of other configurations."""
        path.parent.mkdir(parents=True, exist_ok=True)
        records = {**Corpus(path)._records, **self._records}
        text = "".join(f"{record.text()}\n" for _key, record in sorted(records.items())).encode()
        partial = path.with_name(f".{path.name}.new")
        partial.write_bytes(lzma.compress(text, preset=9) if path.suffix == ".xz" else text)
        partial.replace(path)


def _read(path: Path) -> Iterator[Record]:
    try:
        yield from (Record.parse(line) for line in _lines(path))
    except (ValueError, KeyError, TypeError, lzma.LZMAError, EOFError) as error:
        raise HostError(f"{path} is not a record of boots: {error}.") from error


def _lines(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode()
    # The last line of a run that was killed may be half.
    yield from (line for line in text.split("\n")[:-1] if line)


def named(records: Iterable[Record]) -> dict[tuple[str, str], Record]:
    return {record.key: record for record in records}
