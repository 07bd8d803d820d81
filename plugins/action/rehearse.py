# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of rehearse: asks the host for what its boot is made of, and boots that here, or on the host that it is delegated to."""

from __future__ import annotations

import hashlib
import json
import tempfile
import typing as t
from dataclasses import asdict, replace
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible
from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import refuse_wrong
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.modules.rehearse import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.quantity import parse_size
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.planned_policy import NO_POLICY, PlannedPolicy
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.rehearsal import Rehearsal, RehearsalSettings
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.remote_boot import RemoteBoot
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.remote_job import RemoteJob

Result = dict[str, t.Any]
_MODULE = "vfio.variants.rehearsal_files"
_ALL, _COLLECT, _BOOT = "all", "collect", "boot"
_LIST, _KEPT = "list", "collected.json"
_LONGEST = 500
_LEAST_MEMORY, _MOST = 1 << 30, {"repeat": 20, "cpus": 64, "hold": 3600, "forks": 64}


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        self._facts = task_vars or {}
        try:
            refuse_wrong(self._task.args, argument_spec())
            _validation, options = self.validate_argument_spec(argument_spec())
            return {**result, "changed": False, **_unless_ended(lambda: self._rehearse(options))}
        except HostError as error:
            return {**result, "failed": True, "msg": str(error)}
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _rehearse(self, options: Result) -> Result:
        settings = _settings(options)
        if not self._connection._shell.tmpdir:
            # One that was there before a module stays until the end.
            self._make_tmp_path()
        name = str(self._facts.get("inventory_hostname", "host"))
        progress = Progress(f"rehearsal of {name}", Display().display)
        # Where another host boots, the option is about the cache there.
        cache = Cache.at(options["cache"] if options["part"] == _ALL else None)
        with cache.lock(f"rehearsal-{hashlib.sha256(name.encode()).hexdigest()[:16]}"):
            store = FileStore.of(cache, name)
            is_done = False
            try:
                with tempfile.TemporaryDirectory(dir=store.own) as folder:
                    if options["part"] == _BOOT:
                        return self._boot_there(
                            RemoteJob(name, settings, NO_POLICY, options["cache"]), store, Path(folder), progress, options
                        )
                    policy = self._planned(options)
                    progress("asking the host what its boot is made of")
                    collected, sent = self._collect(options, store, Path(folder), progress)
                    known = {"sent_bytes": sent, "files": len(collected.entries)}
                    if options["part"] == _COLLECT:
                        is_done = True
                        return _kept(store, Path(folder), policy, known)
                found = Rehearsal(cache, store, collected, settings, progress, policy).run()
            finally:
                if not options["keep"] and not is_done:
                    store.forget()
        return _judged({**found, **known}, options["require"])

    def _boot_there(self, job: RemoteJob, store: FileStore, folder: Path, progress: Progress, options: Result) -> Result:
        """Boot what the other part has collected on the host of this task's connection."""
        kept = store.own / _KEPT
        if not kept.is_file():
            raise HostError(f"part: nothing of {job.name} was collected.", "Run the module with part=collect on that host first.")
        known = json.loads(kept.read_text(encoding="utf-8"))
        job = replace(job, policy=PlannedPolicy.from_plain(known["policy"]))
        boot = RemoteBoot(_Connected(self), self._python(), folder, progress)
        found, _sent = boot.result(job, store, store.own / _LIST)
        return _judged({**found, **known["counts"]}, options["require"])

    def _python(self) -> str:
        """That of the host of this task's connection."""
        name = self._task.delegate_to
        known = (self._facts.get("ansible_delegated_vars") or {}).get(name) or {} if name else self._facts
        return str(known.get("ansible_python_interpreter") or "python3")

    def _planned(self, options: Result) -> PlannedPolicy:
        if not options["claims"]:
            return NO_POLICY
        given = {name: options[name] for name in ("strategy", "group", "root", "hardware")}
        arguments = {"claims": options["claims"], "kernels": ["all"], **given}
        before, self._task.check_mode = self._task.check_mode, True
        try:
            return PlannedPolicy.of(self._ask("vfio.variants.boot_policy", arguments))
        finally:
            self._task.check_mode = before

    def _collect(self, options: Result, store: FileStore, folder: Path, progress: Progress) -> tuple[Collected, int]:
        """What the host lists, with the files in the store; and how many bytes the host has sent."""
        there = str(self._connection._shell.tmpdir)
        arguments = {"folder": there, **{name: options[name] for name in ("kernels", "size_limit", "exclude", "root", "hardware")}}
        answer = self._ask(_MODULE, arguments)
        listed = folder / _LIST
        self._connection.fetch_file(answer["path"], str(listed))
        collected, sent = Collected.read(listed), listed.stat().st_size
        lacking = store.lacks(collected.entries)
        size = sum(entry.size for entry in lacking)
        progress(f"fetching {len(lacking)} of {len(collected.entries)} files, {size >> 20} MiB before compression")
        if not lacking:
            return collected, sent
        wanted = folder / "wanted"
        wanted.write_text(json.dumps([entry.path for entry in lacking]), encoding="utf-8")
        remote = self._connection._shell.join_path(there, "wanted.json")
        self._connection.put_file(str(wanted), remote)
        following = 0
        while following < len(lacking):
            answer = self._ask(_MODULE, {**arguments, "wanted": remote, "first": following})
            piece = folder / "piece"
            self._connection.fetch_file(answer["path"], str(piece))
            store.take(piece)
            sent += piece.stat().st_size
            following = answer["next"]
            progress(f"fetched {following} of {len(lacking)} files")
        return collected, sent

    def _ask(self, module: str, arguments: Result) -> Result:
        answer: Result = self._execute_module(module_name=module, module_args=arguments, task_vars=self._facts)
        if answer.get("failed"):
            raise HostError(str(answer.get("msg") or f"{module} has failed."))
        return answer


class _Connected:
    """The host of a task's connection, as its action reaches it."""

    def __init__(self, action: ActionModule) -> None:
        self._action = action
        self.folder = str(action._connection._shell.tmpdir)

    def run(self, command: str) -> str:
        done = self._action._low_level_execute_command(command)
        if done["rc"] != 0:
            raise HostError(
                f"On the machine that boots a command failed: {done['stderr'].strip()[-_LONGEST:] or done['stdout'][-_LONGEST:]}"
            )
        return str(done["stdout"])

    def put(self, here: Path, there: str) -> None:
        self._action._connection.put_file(str(here), there)

    def fetch(self, there: str, here: Path) -> None:
        self._action._connection.fetch_file(there, str(here))


def _kept(store: FileStore, folder: Path, policy: PlannedPolicy, counts: Result) -> Result:
    """What the other part needs stays beside the host's files."""
    (folder / _LIST).replace(store.own / _LIST)
    write_atomic(store.own / _KEPT, json.dumps({"policy": asdict(policy), "counts": counts}))
    return counts


def _unless_ended(work: t.Callable[[], Result]) -> Result:
    """A signal that would end this process ends the work, which removes what it has made: the machine and the host's files."""
    try:
        with interruptible():
            return work()
    except Interrupted as ended:
        raise HostError(f"The rehearsal was ended by {ended.name}, and its machine with it.") from None


def _settings(options: Result) -> RehearsalSettings:
    checked_timeout(options["timeout"])
    memory = parse_size("memory", options["memory"])
    if memory < _LEAST_MEMORY:
        raise HostError(f"memory: {options['memory']} is too little to boot a host.", "Give at least 1G.")
    for name, most in _MOST.items():
        if not 1 <= options[name] <= most:
            raise HostError(f"{name}: {options[name]} is not usable.", f"Allowed are 1 to {most}.")
    return RehearsalSettings(
        memory=memory,
        cpus=options["cpus"],
        forks=options["forks"],
        repeat=options["repeat"],
        hold=options["hold"],
        timeout=options["timeout"],
        accelerator=options["accelerator"],
        keep=options["keep"],
        mirror=options["mirror"],
    )


def _judged(found: Result, require: str) -> Result:
    """Failed where a device's row stops the play."""
    rows = [(kernel["release"], row) for kernel in found["kernels"] for row in kernel["devices"]]
    stops = [f"{release}: {row['why']}" for release, row in rows if row["stops"]]
    absent = [f"{release}: {row['address']} was not rehearsed: {row['why']}." for release, row in rows if _is_missed(row)]
    if require == "rehearsed":
        stops += absent
    result = {**found, "warnings": [] if require == "rehearsed" else absent}
    return {**result, "failed": True, "msg": " ".join(stops)} if stops and require != "nothing" else result


def _is_missed(row: Result) -> bool:
    return row["result"] == "not rehearsed" and row["claimed"] is not None
