# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of the modules that take the whole request to the role vfio_host have in common."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import refuse_unusable
from ansible_collections.vfio.variants.plugins.plugin_utils.own_package import no_package
from ansible_collections.vfio.variants.plugins.plugin_utils.request_key import folders_of, key_of


class UnchangedAction(ActionBase):
    """Works out what stands for the request, and calls the module once."""

    module = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        given = {name: value for name, value in self._task.args.items() if not name.startswith("_")}
        try:
            refuse_unusable(given)
            request = given.get("request")
            if not isinstance(request, dict):
                raise HostError("request: this is not a dictionary.", "Give the options of the role vfio_host, without its prefix.")
            folders = folders_of(request, self._folder)
            arguments = self.arguments(given, key_of(request, folders), folders)
        except HostError as error:
            return {**result, "failed": True, "msg": str(error), "hint": error.hint}
        answer: dict[str, t.Any] = self._execute_module(module_name=self.module, module_args=arguments, task_vars=task_vars or {})
        return {**result, **answer}

    def arguments(self, given: dict[str, t.Any], key: str, folders: dict[str, Path]) -> dict[str, t.Any]:
        raise NotImplementedError

    def _folder(self, source: str) -> Path:
        try:
            return Path(self._find_needle("files", source))  # type: ignore[no-untyped-call]
        except AnsibleError as error:
            raise no_package("request.drivers_sources", source) from error
