# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report on the controller: their names, their data, and how they are written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.plugin_utils._report.fleet_page import fleet_page
from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import HostData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_page import host_page
from ansible_collections.vfio.variants.plugins.plugin_utils._report.metrics import metrics
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import Summary, summarise

HOSTS, FLEET = "hosts", "index"
FORMAT = 1
"""Of the JSON files; a change that readers can notice makes it one more."""
TIME = "examined_at"
LONGEST_NAME = 80
LARGEST_DATA = 256 << 20


@dataclass(frozen=True)
class ReportFiles:
    """A page, the same data as JSON, and its metrics; ``stem`` is their path below the folder without the ending."""

    stem: str
    page: str
    data: Mapping[str, t.Any]
    metrics: str

    def paths(self, folder: Path) -> dict[str, str]:
        return {name: str(folder / f"{self.stem}.{ending}") for name, ending in (("page", "html"), ("data", "json"), ("metrics", "prom"))}

    def write(self, folder: Path, check_mode: bool) -> bool:
        """Write the files; whether anything but the time of the examination is, or in check mode would be, different."""
        changed = bool(_untimed(self.data) != _untimed(_read(folder / f"{self.stem}.json")))
        if check_mode:
            _refuse_no_directory((folder / self.stem).parent)
        else:
            texts = {"html": self.page, "json": json.dumps(self.data, indent=1) + "\n", "prom": self.metrics}
            for ending, text in texts.items():
                # A host's files can have bytes that are no text.
                _replace(folder / f"{self.stem}.{ending}", text.encode("utf-8", "replace"))
        return changed


def host_report(host: HostData) -> ReportFiles:
    name = file_name(host.name)
    summary = summarise(host, f"{HOSTS}/{name}.html")
    data = {"format": FORMAT, **asdict(host), "summary": summary.plain()}
    return ReportFiles(f"{HOSTS}/{name}", host_page(host), data, metrics([summary]))


def fleet_report(title: str, summaries: Sequence[Summary]) -> ReportFiles:
    data = {"format": FORMAT, "title": title, "hosts": [found.plain() for found in summaries]}
    return ReportFiles(FLEET, fleet_page(title, summaries), data, metrics(summaries))


def file_name(host: str) -> str:
    """A name without an ending for a host's files. What a file's name should not have is replaced, and a hash then keeps it unique."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", host)[:LONGEST_NAME].lstrip(".-") or "host"
    if safe == host:
        return safe
    return f"{safe}-{hashlib.sha256(host.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _read(path: Path) -> t.Any:
    """What an earlier run has written; None if it cannot be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if path.is_file() and path.stat().st_size <= LARGEST_DATA:
            return json.loads(path.read_bytes())
    return None


def _untimed(data: t.Any) -> t.Any:
    """The data as JSON gives it back, without the times at which hosts were examined."""
    if isinstance(data, Mapping):
        return {str(name): _untimed(value) for name, value in data.items() if name != TIME}
    return [_untimed(value) for value in data] if isinstance(data, (list, tuple)) else data


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once: whoever reads it, such as a web server, never sees a part of it."""
    new = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(new).chmod(0o666 & ~_umask())
        Path(new).replace(path)
    except OSError as problem:
        if new is not None:
            Path(new).unlink(missing_ok=True)
        raise HostError(
            f"folder: {cut(str(path))} cannot be written: {problem.strerror}.", "Give a directory that you may write to."
        ) from problem


def _refuse_no_directory(folder: Path) -> None:
    """What `_replace()` would meet: the nearest that exists takes new files."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "Permission denied" if nearest.is_dir() else "Not a directory"
        raise HostError(f"folder: {cut(str(nearest))} cannot be written: {why}.", "Give a directory that you may write to.")


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now
