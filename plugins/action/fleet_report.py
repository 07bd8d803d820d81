# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of fleet_report."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import refuse_wrong
from ansible_collections.vfio.variants.plugins.modules.fleet_report import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._report import files
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import Summary, not_examined

Result = dict[str, t.Any]
NOT_ASKED = "It could not be reached, or has not been examined yet."
MOST_HOSTS = 20_000


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        try:
            refuse_wrong(self._task.args, argument_spec())
            _validation, options = self.validate_argument_spec(argument_spec())
            report = files.fleet_report(str(options["title"]), list(summaries(options["hosts"], options["names"])))
            folder = Path(options["folder"]).absolute()
            changed = report.write(folder, bool(self._task.check_mode))
            return {**result, "changed": changed, **report.paths(folder)}
        except HostError as error:
            return {**result, "failed": True, "msg": str(error)}


def summaries(hosts: list[Result], names: list[str]) -> Iterator[Summary]:
    """Those that hosts have returned, then one for each name that is left."""
    if len(hosts) + len(names) > 2 * MOST_HOSTS:
        raise HostError(f"hosts: {len(hosts)} hosts are too many for one page.", f"Allowed are {MOST_HOSTS}.")
    known = set()
    for number, given in enumerate(hosts):
        try:
            found = Summary.from_plain(given)
        except (KeyError, TypeError, ValueError):
            raise HostError(f"hosts[{number}]: {shown(given)} is not a summary.", "Give what host_report returns as summary.") from None
        known.add(found.name)
        yield found
    yield from (not_examined(name, NOT_ASKED) for name in dict.fromkeys(map(str, names)) if not_examined(name, "").name not in known)
