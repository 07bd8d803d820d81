# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of modules that can answer in one line: who asks `ansible` for one line a host, by `--one-line`, gets a short one."""

from __future__ import annotations

import typing as t

from ansible import context
from ansible.plugins.action import ActionBase


class OneLineAction(ActionBase):
    """Runs ``module``, which has an option `detail` with a value `line`."""

    module: t.ClassVar[str]
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        # No other command than `ansible` has that option.
        if context.CLIARGS.get("one_line"):
            given.setdefault("detail", "line")
        is_async = self._task.async_val and not self._connection.has_native_async
        result.update(self._execute_module(self.module, module_args=given, task_vars=task_vars or {}, wrap_async=is_async))
        if not is_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
