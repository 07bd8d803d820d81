# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of rehearse: asks the host for what its boot is made of, and boots that here."""

from __future__ import annotations

import hashlib
import json
import tempfile
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import refuse_unusable
from ansible_collections.vfio.variants.plugins.modules.rehearse import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.quantity import parse_size
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.planned_policy import NO_POLICY, PlannedPolicy
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.rehearsal import Rehearsal, Settings

Result = dict[str, t.Any]
_MODULE = "vfio.variants.rehearsal_files"
_LEAST_MEMORY, _MOST = 1 << 30, {"repeat": 20, "cpus": 64, "hold": 3600, "forks": 64}


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        self._facts = task_vars or {}
        try:
            refuse_unusable(self._task.args)
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
        cache = Cache.at(options["cache"])
        policy = self._planned(options)
        with cache.lock(f"rehearsal-{hashlib.sha256(name.encode()).hexdigest()[:16]}"):
            store = FileStore.of(cache, name)
            try:
                progress("asking the host what its boot is made of")
                with tempfile.TemporaryDirectory(dir=store.own) as folder:
                    collected, sent = self._collect(options, store, Path(folder), progress)
                found = Rehearsal(cache, store, collected, settings, progress, policy).run()
            finally:
                if not options["keep"]:
                    store.forget()
        return _judged({**found, "sent_bytes": sent, "files": len(collected.entries)}, options["require"])

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
        listed = folder / "list"
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


def _unless_ended(work: t.Callable[[], Result]) -> Result:
    """A signal that would end this process ends the work, which removes what it has made: the machine and the host's files."""
    try:
        with interruptible():
            return work()
    except Interrupted as ended:
        raise HostError(f"The rehearsal was ended by {ended.name}, and its machine with it.") from None


def _settings(options: Result) -> Settings:
    checked_timeout(options["timeout"])
    memory = parse_size("memory", options["memory"])
    if memory < _LEAST_MEMORY:
        raise HostError(f"memory: {options['memory']} is too little to boot a host.", "Give at least 1G.")
    for name, most in _MOST.items():
        if not 1 <= options[name] <= most:
            raise HostError(f"{name}: {options[name]} is not usable.", f"Allowed are 1 to {most}.")
    return Settings(
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
