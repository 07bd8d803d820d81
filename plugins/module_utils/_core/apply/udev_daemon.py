# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""udevd on the running host: waiting for what it does, and having it read its rules."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import ANY_CODE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

CONTROL = "/run/udev/control"
RELOAD_TIMEOUT = 30.0


def settle(host: Host, seconds: float, leeway: float) -> None:
    """Wait until its events are processed, at most so long; at once where it does not run.

    Raises HostError if udevadm does not answer within ``leeway`` seconds more.
    """
    if host.exists(CONTROL):
        host.run(["udevadm", "settle", f"--timeout={seconds:g}"], seconds + leeway, ok=ANY_CODE)


def reload_rules(host: Host) -> None:
    """Let it read changed rules at once, where it runs; it notices by itself within seconds.  Raises HostError."""
    if host.exists(CONTROL):
        host.run(["udevadm", "control", "--reload"], RELOAD_TIMEOUT)
