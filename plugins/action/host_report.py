# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of host_report: asks the host, and writes the pages here."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import refuse_wrong
from ansible_collections.vfio.variants.plugins.modules.host_report import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._report import files
from ansible_collections.vfio.variants.plugins.plugin_utils._report.adapter import DEVICE_INFO, host_data
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import not_examined

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        facts = task_vars or {}
        name = str(facts.get("inventory_hostname", "host"))
        try:
            refuse_wrong(self._task.args, argument_spec())
            _validation, options = self.validate_argument_spec(argument_spec())
            return {**result, **self._report(name, options, facts)}
        except HostError as error:
            why = str(error)
            return {**result, "failed": True, "msg": why, "summary": not_examined(name, why).plain()}
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _report(self, name: str, options: Result, facts: Result) -> Result:
        place = {"root": options["root"], **({} if options["hardware"] is None else {"hardware": options["hardware"]})}
        devices = self._ask("device_info", {**DEVICE_INFO, **place}, facts)
        claims = None if options["claims"] is None else self._ask("claim_info", {"claims": options["claims"], **place}, facts)
        report = files.host_report(host_data(name, int(time.time()), devices, claims))
        folder = Path(options["folder"]).absolute()
        changed = report.write(folder, bool(self._task.check_mode))
        return {"changed": changed, **report.paths(folder), "summary": report.data["summary"]}

    def _ask(self, module: str, arguments: Result, facts: Result) -> Result:
        answer: Result = self._execute_module(module_name=f"vfio.variants.{module}", module_args=arguments, task_vars=facts)
        if answer.get("failed"):
            raise HostError(str(answer.get("msg") or f"{module} has failed."))
        return answer
