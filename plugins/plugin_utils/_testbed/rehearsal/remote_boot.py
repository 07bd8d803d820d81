# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of a rehearsal on another machine: it sends the code, the list and the files, and waits for the result."""

from __future__ import annotations

import json
import shlex
import tarfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local import python_path
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import remote_job
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.remote_job import RemoteJob

PIECE_BYTES = 64 << 20
_CODE, _LOG, _PID = "code.tar.gz", "job.log", "job.pid"
_LOOK_EVERY = 5.0
#: Seconds that the end of a job may take.
_PATIENCE = 60
_VERSION = "import sys; sys.exit(sys.version_info < (3, 11))"


class Remote(t.Protocol):
    """A machine, and a folder on it that is removed in the end."""

    @property
    def folder(self) -> str: ...

    def run(self, command: str) -> str:
        """What a line for the shell prints.  Raises HostError where it fails."""

    def put(self, here: Path, there: str) -> None: ...

    def fetch(self, there: str, here: Path) -> None: ...


@dataclass(frozen=True)
class RemoteBoot:
    """``python`` is the machine's; ``scratch`` a folder here for its owner alone."""

    remote: Remote
    python: str
    scratch: Path
    progress: Progress

    def result(self, job: RemoteJob, store: FileStore, listed: Path) -> tuple[dict[str, t.Any], int]:
        """What `Rehearsal.run()` returns there, and how many bytes were sent.  Raises HostError, also for what it raised there."""
        self._send_code(job, listed)
        try:
            sent = listed.stat().st_size + self._send_files(Collected.read(listed), store)
            self.remote.run(self._started())
            answer = self._await()
        finally:
            self._end()
        if remote_job.FAILED in answer:
            raise HostError(str(answer[remote_job.FAILED]))
        return answer[remote_job.FOUND], sent

    def _send_code(self, job: RemoteJob, listed: Path) -> None:
        try:
            self.remote.run(f"{self.python} -c {shlex.quote(_VERSION)}")
        except HostError as error:
            raise HostError(f"The machine that is to boot has no {self.python} of version 3.11 or newer.", "Install it there.") from error
        code = self.scratch / _CODE
        with tarfile.open(code, "w:gz", compresslevel=6) as archive:
            for path in python_path.sources():
                archive.add(path, str(path.relative_to(python_path.COLLECTION)))
        self.remote.put(code, self._place(_CODE))
        target = self._place("python/ansible_collections/vfio/variants")
        self.remote.run(f"mkdir -p {target} && tar -xzf {self._place(_CODE)} -C {target}")
        given = self.scratch / remote_job.JOB
        given.write_text(job.text(), encoding="utf-8")
        self.remote.put(given, self._place(remote_job.JOB))
        self.remote.put(listed, self._place(remote_job.LIST))

    def _send_files(self, collected: Collected, store: FileStore) -> int:
        """Those that the machine lacks; how many bytes that were."""
        self.remote.run(self._job(remote_job.LACKS))
        lacking = set(json.loads(self._text(remote_job.LACKING)))
        entries = [entry for entry in collected.entries if entry.path in lacking]
        self.progress(f"sending {len(entries)} of {len(collected.entries)} files to the machine that boots")
        piece, sent, following = self.scratch / remote_job.PIECE, 0, 0
        while following < len(entries):
            following = store.pack(entries, piece, following, PIECE_BYTES)
            self.remote.put(piece, self._place(remote_job.PIECE))
            self.remote.run(self._job(remote_job.TAKE))
            sent += piece.stat().st_size
            self.progress(f"sent {following} of {len(entries)} files")
        return sent

    def _await(self) -> dict[str, t.Any]:
        """The job's answer, while its words are said here."""
        said, is_there = 0, False
        result, pid = self._place(remote_job.RESULT), self._place(_PID)
        while not is_there:
            time.sleep(_LOOK_EVERY)
            ended = self.remote.run(f"test -e {result} && echo done || kill -0 $(cat {pid}) 2>/dev/null || echo gone").strip()
            lines = self.remote.run(f"cat {self._place(_LOG)}").splitlines()
            for line in lines[said:]:
                self.progress.say(line)
            said, is_there = len(lines), ended == "done"
            if ended == "gone":
                is_there = self.remote.run(f"test -e {result} && echo done || true").strip() == "done"
                if not is_there:
                    raise HostError(f"The rehearsal on the other machine ended without a result: {' '.join(lines[-5:])}")
        answer: dict[str, t.Any] = json.loads(self._text(remote_job.RESULT))
        return answer

    def _end(self) -> None:
        """The job's end, and with it its machine's; what is the host's own is deleted there."""
        pid = self._place(_PID)
        ended = f"kill -TERM $(cat {pid}) && timeout {_PATIENCE} sh -c 'while kill -0 '$(cat {pid})'; do sleep 1; done'"
        self.remote.run(f"test ! -e {pid} || {{ {ended}; }} 2>/dev/null || true")
        self.remote.run(self._job(remote_job.FORGET))

    def _started(self) -> str:
        """The job in the background: the end of the terminal that this line may have does not end it, and its number is the job's own."""
        log, pid = self._place(_LOG), self._place(_PID)
        return f": >{log}; trap '' HUP; {{ {self._job(remote_job.RUN, 'exec nohup setsid ')}; }} >{log} 2>&1 </dev/null & echo $! >{pid}"

    def _job(self, step: str, before: str = "") -> str:
        package = python_path.command(f"rehearsal.{remote_job.__name__.rpartition('.')[2]}")[-1]
        return f"cd {shlex.quote(self.remote.folder)} && {before}env PYTHONPATH=python {self.python} -m {package} {step}"

    def _place(self, name: str) -> str:
        return shlex.quote(f"{self.remote.folder}/{name}")

    def _text(self, name: str) -> str:
        here = self.scratch / name
        self.remote.fetch(f"{self.remote.folder}/{name}", here)
        return here.read_text(encoding="utf-8")
