# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the accounts that device nodes are handed to exist, and whether udev takes them."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import GROUPS, SYSTEM_MOST, USERS, Accounts, refused
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_version import version

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


def check_accounts(host: Host, claims: t.Iterable[Claim], at_boot: bool = True) -> None:
    """Raises HostError for an account that does not exist, or that udev would not hand a node to at boot."""
    asking = {claim.option("node"): claim.node for claim in claims if claim.node is not None}
    if not asking:
        return
    accounts = Accounts.read(host)
    systemd = version(host) if at_boot else None
    for option, node in asking.items():
        _check(f"{option}.owner", node.owner, accounts.user(node.owner), (USERS, "user", systemd))
        _check(f"{option}.group", node.group, accounts.group(node.group), (GROUPS, "group", systemd))


def _check(option: str, name: str, number: int | None, kind: tuple[str, str, int | None]) -> None:
    file, what, systemd = kind
    if number is None:
        raise HostError(
            f"{option}: {file} has no {what} {name}, and udev has to know it before any network is up.",
            f"Create the {what} first, or name one that is there.",
        )
    if refused(number, systemd):
        raise HostError(
            f"{option}: {name} has the number {number}, and the udev of systemd {systemd} hands nodes to system accounts only, which "
            f"have numbers up to {SYSTEM_MOST}.",
            f"Name a system {what}, and add those who run guests to a system group.",
        )
