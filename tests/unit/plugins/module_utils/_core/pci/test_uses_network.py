# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about a host's network, and how often."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import nothing_changes
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_network import Network
from ansible_collections.vfio.variants.tests.unit.commands import Commands
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
