# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where DKMS has its files and this collection what it builds: what every run needs to know, whether it is about packages or not."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.dkms_settings import read_dkms_settings

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
        usual = cls()
        told = read_dkms_settings(host, "dkms_tree", "source_tree", "install_tree")
        return cls(told.get("dkms_tree", usual.tree), told.get("source_tree", usual.source), told.get("install_tree", usual.install))

    def version(self, name: str, version: str) -> str:
        return f"{self.tree}/{name}/{version}"

    def sources(self, name: str, version: str) -> str:
        return f"{self.source}/{name}-{version}"


def staged_folders(host: Host, paths: DkmsPaths) -> tuple[str, ...]:
    """What staged builds have left behind: hidden folders beside the real ones."""
    folders = dict.fromkeys((paths.tree, paths.source, paths.install))
    found = (f"{folder}/{name}" for folder in folders for name in host.names(folder) if name.startswith(PREFIX))
    return tuple(path for path in found if host.is_dir(path) and host.link(path) is None)
