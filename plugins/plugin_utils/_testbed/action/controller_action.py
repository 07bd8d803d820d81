# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an action has to do that works on the controller itself and runs no module anywhere."""

from __future__ import annotations

import abc
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import refuse_wrong
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError


class ControllerAction(ActionBase, abc.ABC):
    """Options checked, errors as sentences; the rest is `work`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    @abc.abstractmethod
    def argument_spec(self) -> dict[str, t.Any]:
        """The module's argument spec."""

    @abc.abstractmethod
    def work(self, options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        """Do it and return the results; HostError tells why not."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        try:
            refuse_wrong(self._task.args, self.argument_spec())
            _validation, options = self.validate_argument_spec(self.argument_spec())  # type: ignore[no-untyped-call]
            if "timeout" in options:
                checked_timeout(options["timeout"])
            result.update(self.work(_plain(options), bool(self._task.check_mode)))
        except HostError as error:
            if isinstance(error, ArchiveUnavailableError):
                # On lines of their own, which whoever runs this finds whatever stands around them.
                for line in error.lines():
                    Display().display(line)
            result.update(failed=True, msg=str(error), **error.facts)
        return result


def _plain(value: t.Any) -> t.Any:
    """The same without Ansible's tagged types, which neither json nor libraries expect."""
    if isinstance(value, dict):
        return {str(key) if isinstance(key, str) else key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
