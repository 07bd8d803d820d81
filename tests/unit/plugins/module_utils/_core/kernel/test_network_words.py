# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces and servers that a command line names: what keeps a network card with a host whose root is reached over it."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.network_words import named_interfaces, named_servers


@pytest.mark.parametrize(
    ("text", "interfaces"),
    [
        ("ip=dhcp", {("ip", "dhcp")}),
        ("ip=192.0.2.7::192.0.2.1:255.255.255.0:host:eno1:none", {("ip", "eno1"), ("ip", "192.0.2.7")}),
        ("ip=[2001:db8::7]::[2001:db8::1]:64:host:eno1:none", {("ip", "eno1"), ("ip", "host")}),
        ("ifname=lan:52:54:00:AB:cd:01", {("ifname", "lan"), ("ifname", "52:54:00:ab:cd:01")}),
        ("bond=bond0:eno1,eno2:mode=1", {("bond", "bond0"), ("bond", "eno1"), ("bond", "eno2")}),
        ("BOOTIF=01-52-54-00-AB-cd-01", {("BOOTIF", "52:54:00:ab:cd:01")}),
    ],
)
def test_interfaces_are_named_by_their_names_and_addresses(text: str, interfaces: set[tuple[str, str]]) -> None:
    assert interfaces <= set(named_interfaces(Cmdline.parse(text)))


def test_an_address_of_version_6_names_no_interface() -> None:
    found = {name for _word, name in named_interfaces(Cmdline.parse("ip=[2001:db8::7]::[2001:db8::1]:64::eno1:none quiet"))}
    assert found == {"64", "eno1", "none"}


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("root=nfs:192.0.2.1:/srv/root", "192.0.2.1"),
        ("nfsroot=192.0.2.1:/srv/root,vers=4", "192.0.2.1"),
        ("root=nfs4:[2001:db8::1]:/srv/root", "2001:db8::1"),
        ("netroot=iscsi:user:pw@192.0.2.1::3260::iqn.2026-01.org.example:disk", "192.0.2.1"),
        ("netroot=iscsi:192.0.2.1::::iqn.2026-01.org.example:disk", "192.0.2.1"),
        ("root=nbd:storage:root", "storage"),
        ("root=live:https://user@example.org/root.img", "example.org"),
        ("cifsroot=//192.0.2.1/share,username=a", "192.0.2.1"),
        ("rd.nvmf.discover=tcp,192.0.2.1,,4420", "192.0.2.1"),
    ],
)
def test_the_server_that_has_the_root_is_named(text: str, server: str) -> None:
    assert list(named_servers(Cmdline.parse(text))) == [server]


@pytest.mark.parametrize("text", ["root=/dev/sda1", "root=UUID=12ab", "root=nfs", "url=http://example.org/", "root=/dev/nfs"])
def test_a_root_on_a_disk_or_by_dhcp_names_no_server(text: str) -> None:
    assert list(named_servers(Cmdline.parse(text))) == []
