# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds for several kernels at the same time.

DKMS has one folder in which it builds a version of a package, ``<version>/build``, so each of these gets a DKMS tree of its own, from which
the result is moved.  What they share is the key that DKMS signs with: where there is none yet, the first build makes it, alone.
"""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.side_by_side import processors, side_by_side
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.dkms_settings import read_dkms_settings, signing_key

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell

MEMORY = 768 << 20
"""Bytes that one more build may need, most of them where it reads the kernel's own types for those of the modules."""

BuildOne = t.Callable[[str, t.Optional[int]], None]
"""For a kernel; with a number in a tree of its own, by so many compilers."""


def at_once(host: Host, kernels: int) -> int:
    """How many builds may run at a time, by the processors that this process may use and the memory that is free."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", host.text_or_none("/proc/meminfo") or "", re.MULTILINE)
    free = int(found[1]) << 10 if found else 0
    return max(1, min(kernels, processors(), free // MEMORY))


def build_all(host: Host, releases: t.Sequence[str], build: BuildOne, tell: Tell, what: str) -> None:
    """Build for each kernel, several at a time where that is possible; ``tell`` is told when each begins and has ended.

    Raises the HostError of the first that failed, by the kernels' order.
    """
    left = list(releases)
    while left and (at_once(host, len(left)) < 2 or not _has_key(host)):
        _alone(left.pop(0), build, tell, what)
    if left:
        number = at_once(host, len(left))
        jobs = max(1, processors() // number)
        works = [functools.partial(build, release, jobs) for release in left]
        side_by_side(works, number, lambda at: tell(_begins(what, left[at])), lambda at: tell(_has_ended(what, left[at])))


def _alone(release: str, build: BuildOne, tell: Tell, what: str) -> None:
    tell(_begins(what, release))
    build(release, None)
    tell(_has_ended(what, release))


def _begins(what: str, release: str) -> str:
    return f"builds {what} for kernel {release}"


def _has_ended(what: str, release: str) -> str:
    return f"has built {what} for kernel {release}"


def _has_key(host: Host) -> bool:
    """Whether no build has to make the key.  Only what is certain counts: not a place that DKMS is told of."""
    if read_dkms_settings(host, "mok_signing_key", "mok_certificate"):
        return False
    return all(map(host.is_file, signing_key(host)))
