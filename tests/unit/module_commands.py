# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree's programs as a module runs them, which does not end them when it is ended."""

from __future__ import annotations

import types
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.tests.unit.commands import Commands

MODULE = types.SimpleNamespace(_debug=False, _shell=None, run_command_environ_update={}, no_log_values=frozenset())
"""What `run_command` asks a module for; a whole one wants its arguments from a controller."""


class ModuleCommands(Commands):
    """A host's runner: `AnsibleModule.run_command` itself."""

    def run(self, args: list[str], data: bytes | None, environment: dict[str, str]) -> tuple[int, str, str]:
        own: t.Any = MODULE
        given = {"data": data, "binary_data": True, "environ_update": environment, "expand_user_and_vars": False}
        done: tuple[int, str, str] = AnsibleModule.run_command(own, args, **given)
        return done
