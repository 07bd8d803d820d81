# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of dkms_package: sends the sources if the host does not have them, and shows which kernel is being built for.

A run with nothing to do is one call of the module.  Any other is one call to look, one for each kernel to build for but the last, or for as
many as the host builds for at once, and one to finish, which builds for the last ones and would also do what the others did not.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import refuse_unusable
from ansible_collections.vfio.variants.plugins.plugin_utils.own_package import no_package, own_package
from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import archive_of_run, described

MODULE = "vfio.variants.dkms_package"


@contextlib.contextmanager
def _shown(what: str) -> t.Iterator[list[str]]:
    """Display when something begins, and when it ends, with the outcome that was added to the yielded list, and the time."""
    start, outcome = time.monotonic(), t.cast("list[str]", [])
    say = Display().display
    say(f"{what}: building …")
    yield outcome
    say(f"{what}: {''.join(outcome)} after {time.monotonic() - start:.0f} s")


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        facts = task_vars or {}
        try:
            arguments, folder = self._arguments()
        except HostError as error:
            return {**result, "failed": True, "msg": str(error)}
        try:
            return {**result, **self._work(arguments, folder, facts)}
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _arguments(self) -> tuple[dict[str, t.Any], Path | None]:
        """The module's arguments, with the digest and the descriptions of sources on the controller, and where they are."""
        given = {name: value for name, value in self._task.args.items() if name != "_run"}
        refuse_unusable(given)
        source = given.get("source")
        if source == "":
            raise no_package("source", source)
        if source and given.get("variant"):
            raise HostError(
                "source: variant is built from a kernel's own source, and source names the folder of a DKMS package.",
                "Leave one of both out; kernel_sources names the source of a kernel.",
            )
        if not source or not isinstance(source, str) or boolean(given.get("remote_src", False), strict=False):
            return {**given, "_run": {}}, None
        folder = self._folder(source)
        package = described(source, folder)
        return {**given, "_run": {name: package[name] for name in ("digest", "conf", "manifest")}}, folder

    def _folder(self, source: str) -> Path:
        own = own_package(source)
        if own is not None:
            return own
        try:
            return Path(self._find_needle("files", source))
        except AnsibleError as error:
            raise no_package("source", source) from error

    def _work(self, arguments: dict[str, t.Any], folder: Path | None, facts: dict[str, t.Any]) -> dict[str, t.Any]:
        first = self._call(arguments, {"step": "look"}, facts)
        todo = first.pop("_todo", None)
        if todo is None:
            return first
        place = {"archive": self._send(folder, arguments["_run"]["digest"])} if todo["sources"] and folder is not None else {}
        last = {**place, "step": "finish"}
        builds, number = todo["builds"], todo["at_once"]
        together = [builds[at : at + number] for at in range(0, len(builds), number)]
        # The last call builds for the last kernels, too: each call costs a start of Python and the core's imports.
        steps = [{**place, "step": "build", "build": releases} for releases in together[:-1]] + [last]
        for at, step in enumerate(steps):
            with self._shown(builds, together[at : at + 1], at * number, facts) as outcome:
                answer = self._call(arguments, step, facts)
                outcome.append("failed" if answer.get("failed") else "built")
            if answer.get("failed"):
                return answer
        return _joined(first, answer)

    def _shown(
        self, builds: list[str], now: list[list[str]], before: int, facts: dict[str, t.Any]
    ) -> contextlib.AbstractContextManager[list[str]]:
        """``now`` has the kernels of this call, ``before`` is how many others had."""
        if not now:
            return contextlib.nullcontext([])
        (releases,) = now
        last = before + len(releases)
        kernels = f"kernel {releases[0]} ({last}" if len(releases) == 1 else f"kernels {', '.join(releases)} ({before + 1}-{last}"
        return _shown(f"[{facts.get('inventory_hostname', 'host')}] {kernels}/{len(builds)})")

    def _call(self, arguments: dict[str, t.Any], run: dict[str, t.Any], facts: dict[str, t.Any]) -> dict[str, t.Any]:
        module_args = {**arguments, "_run": {**arguments["_run"], **run}}
        answer: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=module_args, task_vars=facts)
        return answer

    def _send(self, folder: Path, digest: str) -> str:
        """Copy the sources to the host as one file; returns its path there."""
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        there: str = self._connection._shell.join_path(self._connection._shell.tmpdir, "source.tar")
        self._transfer_file(archive_of_run(folder, digest), there)
        self._fixup_perms2((self._connection._shell.tmpdir, there))
        return there


def _joined(first: dict[str, t.Any], last: dict[str, t.Any]) -> dict[str, t.Any]:
    """The last step's answer, with what the first one had to see to."""
    lists = {name: [*first.get(name, ()), *last.get(name, ())] for name in ("recovered", "warnings") if first.get(name) or name in last}
    return {**last, **lists, "changed": bool(first.get("changed") or last.get("changed"))}
