# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about a host's network, and how often."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import nothing_changes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_TEXT
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_network import Network
from ansible_collections.vfio.variants.tests.unit import module_calls
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Host
from ansible_collections.vfio.variants.tests.unit.policy_hosts import run
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path


def test_the_routes_are_asked_for_once_while_nothing_changes(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.file("/usr/sbin/ip", """#!/bin/sh\necho '[{"dst": "default", "dev": "enp4s0"}]'\n""", mode=0o755)
    commands = Commands(tmp_path)
    host = tree.host(commands)
    with nothing_changes(), host.recorded() as log:
        assert [Network(host).default_interfaces for _step in range(2)] == [("enp4s0",)] * 2
    assert len(commands.calls) == 2  # Those of IPv4, and of IPv6.
    assert not log.is_complete
    assert Network(host).default_interfaces == ("enp4s0",)
    assert len(commands.calls) == 4


@pytest.mark.parametrize("path", ["/proc/net/route", "/proc/net/ipv6_route"])
def test_a_table_of_routes_that_is_too_long_gives_no_card_away(tmp_path: Path, path: str) -> None:
    """The default route could be at its end."""
    host = Host(tmp_path).nic().file(path, "x" * (LARGEST_TEXT + 1))
    for take in (device_claim, boot_policy):
        with pytest.raises(HostError, match=rf"^{path} cannot be read: it has more than 8 MiB\.$"):
            take(host)


def device_claim(host: Host) -> None:
    module_calls.device_claim(host.tree.host(host.commands()), True, devices=CARD, driver="vfio-pci")


def boot_policy(host: Host) -> None:
    run(host.tree, {"devices": CARD, "driver": "vfio-pci"}, check=True)
