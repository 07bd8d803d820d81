# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that a run which ended with nothing left to do leaves behind: every fact that it rested on, and what it returned.

While the request and the code are the same and each fact still holds, so does what it returned.  Deleting it costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache_dir import (
    CACHE_DIRECTORY,
    UNCHANGED,
    CacheDirectory,
    opened_private,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.kept_facts import KeptFacts

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import Root

FORMAT = 1
MOST_RECORDS = 4096
"""One for each root: more than one where images or trees are looked at."""
LARGEST = 64 << 20
BOOT_ID = "/proc/sys/kernel/random/boot_id"
CLOCK_STEP = 1.0
"""Seconds.  A clock that was put back by less than `keep_facts.SETTLED` gives no file a time that a fact of the record already has."""

RunOutcome = dict[str, t.Any]
"""What the run returned, JSON values only."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """``outcome`` is None if something has changed, or might have; ``because`` says what."""

    outcome: RunOutcome | None
    because: str


def record(host: Root, key: str, facts: KeptFacts, outcome: RunOutcome) -> None:
    """Keep what a run returned that rested on ``facts``.  ``key`` stands for its request and for the code.  Raises HostError."""
    body = {"about": _about(host, key), "made": time.time(), "clock": _clock(), "facts": dataclasses.asdict(facts), "outcome": outcome}
    content = json.dumps(body, separators=(",", ":")).encode()
    if len(content) > LARGEST:
        raise HostError(f"A record of {len(content) >> 20} MiB is too large.")
    try:
        with _folder(create=True) as folder:
            if folder is None:
                raise HostError(f"{CACHE_DIRECTORY} belongs to another user, or others can write to it.", "Remove it.")
            folder.write(_name(host), _digest(content) + b"\n" + content)
            folder.keep_newest(MOST_RECORDS, lambda name: name.startswith(UNCHANGED))
    except OSError as error:
        raise HostError(f"{CACHE_DIRECTORY} cannot be written to: {error.strerror}.") from error


def recall(host: Root, key: str) -> Answer:
    """What the last run returned, if everything that it rested on is as it was.  Raises HostError where there is no such root."""
    if not os.path.isdir(host.root):
        raise HostError(f"root: {cut(host.root)} is not a directory.", "Give the directory that the host's file system is mounted on.")
    try:
        with _folder() as folder:
            content = None if folder is None else folder.read_exclusive(_name(host), LARGEST + 128)
    except (HostError, OSError):
        content = None
    if content is None:
        return Answer(None, "There is no record of an earlier run that root alone could have written.")
    digest, _line, body = content.partition(b"\n")
    if digest != _digest(body):
        return Answer(None, "The record of the last run is damaged.")
    try:
        return _judged(host, key, json.loads(body))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return Answer(None, "The record of the last run is in another format.")
    except (HostError, OSError) as error:
        return Answer(None, f"Whether anything has changed cannot be determined: {error}")


def _judged(host: Root, key: str, kept: dict[str, t.Any]) -> Answer:
    if kept["about"] != _about(host, key):
        return Answer(None, "The last run was asked for something else, was made by other code, or was before the last boot.")
    if time.time() < kept["made"] - CLOCK_STEP or _clock() < kept["clock"] - CLOCK_STEP:
        return Answer(None, "The clock was put back since the last run.")
    different = KeptFacts.from_kept(kept["facts"]).first_difference(host)
    if different is not None:
        return Answer(None, f"{different} is not as it was.")
    outcome: RunOutcome = dict(kept["outcome"])
    return Answer(outcome, "Nothing has changed since the last run.")


def _about(host: Root, key: str) -> list[t.Any]:
    return [FORMAT, key, host.root, _boot_id()]


def _boot_id() -> str | None:
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read(64).strip()
    except OSError:
        return None


def _folder(create: bool = False) -> contextlib.AbstractContextManager[CacheDirectory | None]:
    """Always on this machine, whatever the root is.  Raises OSError if it cannot be created."""
    return opened_private(CACHE_DIRECTORY, create)


def _clock() -> float:
    """How far the clock is ahead of the time since boot: smaller once it was put back."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _name(host: Root) -> str:
    return f"{UNCHANGED}{hashlib.sha256(host.root.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
