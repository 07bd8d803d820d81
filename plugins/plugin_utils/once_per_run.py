# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller works out once for all hosts of a run.

Each host's task is another process; they share the directory that Ansible makes for a run and removes after it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import typing as t
from pathlib import Path

from ansible import constants


def once_per_run(what: str, make: t.Callable[[], t.Any]) -> t.Any:
    """The result of ``make``, which must be representable in JSON, by its name ``what``; the first to ask makes it, others wait for it."""
    place = folder_of_run() / f"vfio-variants-{hashlib.sha256(what.encode()).hexdigest()[:24]}.json"
    try:
        return json.loads(place.read_bytes())
    except (OSError, ValueError):
        pass
    with open(place.with_suffix(".lock"), "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return json.loads(place.read_bytes())
        except (OSError, ValueError):
            made = make()
        temporary = place.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(made), encoding="utf-8")
        temporary.replace(place)
    return made


def folder_of_run() -> Path:
    """Where all hosts' processes find it; Ansible removes it after the run."""
    return Path(constants.DEFAULT_LOCAL_TMP)  # type: ignore[attr-defined]
