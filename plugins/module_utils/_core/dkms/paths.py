# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where DKMS has its files and this collection what it builds: what every run needs to know, whether it is about packages or not."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

OPERATION = "dkms_package"
"""The name of the journal of a package that is being changed."""
PREFIX = ".vfio-variants-"


@dataclasses.dataclass(frozen=True)
class DkmsPaths:
    """Where DKMS has its tree, the sources and the modules."""

    tree: str = "/var/lib/dkms"
    source: str = "/usr/src"
    install: str = "/lib/modules"

    @classmethod
    def read(cls, host: Host) -> DkmsPaths:
        """From /etc/dkms/framework.conf and framework.conf.d."""
        paths = cls()
        more = (f"/etc/dkms/framework.conf.d/{name}" for name in host.names("/etc/dkms/framework.conf.d") if name.endswith(".conf"))
        for path in ("/etc/dkms/framework.conf", *more):
            read = Assignments.parse(host.text_or_none(path) or "")
            paths = cls(
                read.get("dkms_tree") or paths.tree, read.get("source_tree") or paths.source, read.get("install_tree") or paths.install
            )
        return paths

    def version(self, name: str, version: str) -> str:
        return f"{self.tree}/{name}/{version}"

    def sources(self, name: str, version: str) -> str:
        return f"{self.source}/{name}-{version}"


def staged_folders(host: Host, paths: DkmsPaths) -> tuple[str, ...]:
    """What staged builds have left behind: hidden folders beside the real ones."""
    folders = dict.fromkeys((paths.tree, paths.source, paths.install))
    found = (f"{folder}/{name}" for folder in folders for name in host.names(folder) if name.startswith(PREFIX))
    return tuple(path for path in found if host.is_dir(path) and host.link(path) is None)
