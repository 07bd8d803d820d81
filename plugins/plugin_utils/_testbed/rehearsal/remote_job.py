# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a rehearsal that runs on the machine that boots, where that is not the controller: `remote_boot` starts it there.

Its folder, the current one, has the job, the list of the host's files, and one piece of these files at a time.
"""

from __future__ import annotations

import hashlib
import json
import sys
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.planned_policy import PlannedPolicy
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.rehearsal import Rehearsal, RehearsalSettings

JOB, LIST, PIECE, LACKING, RESULT = "job.json", "list", "piece", "lacking.json", "result.json"
LACKS, TAKE, RUN, FORGET = "lacks", "take", "run", "forget"
FOUND, FAILED = "found", "failed"


@dataclass(frozen=True)
class RemoteJob:
    """``name`` is the rehearsed host's, ``cache`` a folder here, or None for the usual one."""

    name: str
    settings: RehearsalSettings
    policy: PlannedPolicy
    cache: str | None

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> RemoteJob:
        given: dict[str, t.Any] = json.loads(text)
        return cls(given["name"], RehearsalSettings(**given["settings"]), PlannedPolicy.from_plain(given["policy"]), given["cache"])


def main(arguments: t.Sequence[str]) -> int:
    (step,) = arguments
    job = RemoteJob.parse(Path(JOB).read_text(encoding="utf-8"))
    cache = Cache.at(job.cache)
    # What is sent from a controller is not what a controller here has fetched.
    store = FileStore.of(cache, f"sent {job.name}")
    if step == RUN:
        write_atomic(Path(RESULT), json.dumps(_answer(job, cache, store)))
    elif step == LACKS:
        lacking = store.lacks(Collected.read(Path(LIST)).entries)
        write_atomic(Path(LACKING), json.dumps([entry.path for entry in lacking]))
    elif step == TAKE:
        store.take(Path(PIECE))
    elif not job.settings.keep:
        store.forget()
    return 0


def _answer(job: RemoteJob, cache: Cache, store: FileStore) -> dict[str, t.Any]:
    place = hashlib.sha256(job.name.encode()).hexdigest()[:16]
    try:
        with interruptible(), cache.lock(f"rehearsal-sent-{place}"):
            progress = Progress(f"rehearsal of {job.name}", _say)
            return {FOUND: Rehearsal(cache, store, Collected.read(Path(LIST)), job.settings, progress, job.policy).run()}
    except HostError as error:
        return {FAILED: str(error)}
    except Interrupted as ended:
        return {FAILED: f"The rehearsal was ended by {ended.name}, and its machine with it."}


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
