# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, group and mode of a device node."""

from __future__ import annotations

import dataclasses
import os
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


@dataclasses.dataclass(frozen=True)
class NodeAccess:
    """Who may open a node, in numbers."""

    user: int
    group: int
    mode: int


def read_access(host: Host, path: str) -> NodeAccess | None:
    """None if there is no such node."""
    status = host.stat(path)
    return None if status is None else NodeAccess(status.st_uid, status.st_gid, stat_bits.S_IMODE(status.st_mode))


def set_access(host: Host, path: str, access: NodeAccess) -> None:
    """Raises HostError where the kernel refuses it, or where the node is gone."""
    place = host.path(path)
    try:
        os.chown(place, access.user, access.group, follow_symlinks=False)
        os.chmod(place, access.mode)
    except OSError as error:
        raise HostError(f"{path} cannot be given to {access.user}:{access.group}: {error.strerror}.") from error
