# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a host's kernels an option means."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import installed_releases, running_release

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host

ALL = "all"
RUNNING = "running"


def chosen_releases(host: Host, wanted: t.Sequence[str], option: str = "kernels") -> tuple[str, ...]:
    """The releases that ``all``, ``running`` or a list of releases names, each once.

    Raises HostError naming the one that is not installed.
    """
    installed = installed_releases(host)
    if ALL in wanted:
        return installed
    releases = dict.fromkeys(running_release(host) if item == RUNNING else item for item in wanted)
    for release in releases:
        if release not in installed:
            raise _unknown(release, installed, option)
    return tuple(releases)


def _unknown(release: str, installed: tuple[str, ...], option: str) -> HostError:
    there = f"Installed are {', '.join(installed)}." if installed else "No kernel is installed with its modules and its image."
    return HostError(f"{option}: kernel {release} is not installed.", there)
