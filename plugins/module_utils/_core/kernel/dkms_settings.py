# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DKMS is told by its own configuration, which is shell code: its folders, and the key that it signs modules with."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FILE = "/etc/dkms/framework.conf"
FOLDER = "/etc/dkms/framework.conf.d"


def read_dkms_settings(host: Host, *variables: str) -> dict[str, str]:
    """By variable its last value; without those that are not set, or to nothing (read_framework_conf() in /usr/sbin/dkms)."""
    more = (f"{FOLDER}/{name}" for name in host.names(FOLDER) if name.endswith(".conf") and not name.startswith("."))
    files = [Assignments.parse(host.text_or_none(path) or "") for path in (FILE, *more)]
    found = ((variable, file.get(variable)) for file in files for variable in variables)
    return {variable: value for variable, value in found if value}
