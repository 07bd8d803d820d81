# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rehearsals of hosts said and what their boots did, a line for each host."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError


@dataclass(frozen=True)
class Function:
    """Of one function what the forecast said, what the rehearsal said, and which driver the real boot gave it."""

    address: str
    certainty: str | None
    predicted: str | None
    result: str
    outcomes: tuple[str | None, ...]
    real: str | None


@dataclass(frozen=True)
class RehearsedHost:
    """``different`` is what the rehearsal said of itself before the real boot; ``problem`` why it came to no end."""

    name: str
    series: str
    release: str
    flow: str
    planted: tuple[str, ...]
    functions: tuple[Function, ...]
    different: tuple[str, ...]
    problem: str
    rehearsal_seconds: float
    boot_seconds: float
    unified: bool = False

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> RehearsedHost:
        """Raises ValueError, KeyError or TypeError on what ``text`` did not make."""
        given = json.loads(text)
        functions = [Function(**{**one, "outcomes": tuple(one["outcomes"])}) for one in given["functions"]]
        fields: dict[str, t.Any] = {**given, "functions": functions}
        known: dict[str, t.Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        return cls(**known)


def read(path: Path) -> dict[str, RehearsedHost]:
    """By name; the last line of a run that was killed may be half."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
    try:
        return {host.name: host for host in map(RehearsedHost.parse, lines)}
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"{path} is not a record of rehearsals: {error}.") from error


def write(path: Path, hosts: t.Mapping[str, RehearsedHost]) -> None:
    """All of it, in the order of the seeds, the unified kernel images last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.new")
    ordered = sorted(hosts.values(), key=lambda host: (host.unified, int(host.name.rpartition("-")[2])))
    partial.write_text("".join(f"{host.text()}\n" for host in ordered), encoding="utf-8")
    partial.replace(path)
