# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's work on its host and turns errors into messages.

A module goes from a request to a result.  Its own function `request()` makes the request, a frozen dataclass, from the options,
and nothing else knows their names; the core takes requests only.  Results are dataclasses, too, and each one's method `result()`
makes what the module returns, with the names that its RETURN documents.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import conclude

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Result = dict[str, t.Any]
"""What a module returns, or a part of it: JSON values only."""


def run_module(
    module: AnsibleModule,
    work: t.Callable[[Host], t.Mapping[str, t.Any]],
    root: str = "/",
    opened: t.Callable[[AnsibleModule, str], Host] = Host.from_module,
) -> None:
    """Do a module's work on its host, as ``opened`` gives it; see `conclude()`."""
    conclude(module, lambda: work(opened(module, root)))
