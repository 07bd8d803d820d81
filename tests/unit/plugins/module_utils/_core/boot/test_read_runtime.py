# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes devices from others once the root has booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_runtime import LaterFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, V100_VARIANT, Tree

CARD, NIC = "0000:01:00.0", "0000:00:02.0"
DOMAIN = "when its domain starts"
AUTOSTART = "/etc/libvirt/qemu/autostart/guest.xml"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"e1000e": [E1000E], "v100-vfio-pci": [V100_VARIANT], "vfio-pci": [ANY_VFIO]}
    return Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).pci(CARD).pci(NIC, "8086:10d3")


def later(tree: Tree) -> Later:
    host = tree.host()
    kernel = Kernel.read(host, DEBIAN_13)
    return LaterFacts.read(host).for_kernel(kernel, Inventory.read(host), lambda module: module)


def with_libvirt(tree: Tree, version: int = 11003) -> Tree:
    tree.file("/usr/sbin/libvirtd", b"\x7fELF", 0o755).file(f"/usr/lib/x86_64-linux-gnu/libvirt.so.0.{version}.0", b"\x7fELF")
    return tree.link("/etc/systemd/system/multi-user.target.wants/libvirtd.service", "/usr/lib/systemd/system/libvirtd.service")


def domain(managed: str = "yes", inside: str = "", kind: str = '<hostdev mode="subsystem" type="pci" {}>', bus: str = "0x01") -> str:
    device = kind.format(f'managed="{managed}"')
    name = device[1:].split()[0]
    address = f'<source><address domain="0x0000" bus="{bus}" slot="0x00" function="0x0"/></source>'
    return f"<domain><devices>{device}{address}{inside}</{name}></devices></domain>"


def test_a_host_on_which_nothing_runs_has_nothing_later(tree: Tree) -> None:
    assert later(tree) == Later()


# -- driverctl


def test_driverctls_overrides_hold_on_every_kernel(tree: Tree) -> None:
    tree.driverctl("#!/bin/bash\necho > new_id\n").file(f"/etc/driverctl.d/pci-{CARD}", "vfio-pci\n")
    found = later(tree)
    assert (found.driverctl, found.driverctl_adds_ids) == ({CARD: Assigned("vfio-pci", f"/etc/driverctl.d/pci-{CARD}")}, True)


def test_what_a_changed_unit_of_driverctls_does_is_not_seen(tree: Tree) -> None:
    tree.driverctl().file(f"/etc/driverctl.d/pci-{CARD}", "vfio-pci\n")
    tree.file("/etc/systemd/system/driverctl@.service.d/site.conf", "[Service]\nExecStart=\nExecStart=/usr/local/bin/mine\n")
    found = later(tree)
    assert (found.driverctl, found.may_take[CARD].driver) == ({}, "vfio-pci")


# -- libvirt


def test_libvirt_10_takes_the_best_variant(tree: Tree) -> None:
    with_libvirt(tree).file(AUTOSTART, domain())
    assert later(tree).may_take == {CARD: Assigned("v100_vfio_pci", AUTOSTART, DOMAIN)}


def test_libvirt_9_knows_vfio_pci_only(tree: Tree) -> None:
    with_libvirt(tree, 9000).file(AUTOSTART, domain())
    assert later(tree).may_take == {CARD: Assigned("vfio-pci", AUTOSTART, DOMAIN)}


def test_a_model_in_the_domain_decides(tree: Tree) -> None:
    with_libvirt(tree).file(AUTOSTART, domain(inside="<driver model='vfio-pci'/>"))
    assert later(tree).may_take == {CARD: Assigned("vfio-pci", AUTOSTART, DOMAIN)}


def test_an_interface_of_a_host_device_counts_and_an_unmanaged_device_does_not(tree: Tree) -> None:
    with_libvirt(tree).file(AUTOSTART, domain(kind='<interface type="hostdev" {}>'))
    assert set(later(tree).may_take) == {CARD}
    tree.file(AUTOSTART, domain(managed="no"))
    assert later(tree).may_take == {}


def test_a_device_that_the_host_does_not_have_is_left_out(tree: Tree) -> None:
    assert later(with_libvirt(tree).file(AUTOSTART, domain(bus="0x99"))).may_take == {}


def test_a_daemon_that_is_not_enabled_starts_no_guest(tree: Tree) -> None:
    with_libvirt(tree).file(AUTOSTART, domain())
    tree.place("/etc/systemd/system/multi-user.target.wants/libvirtd.service").unlink()
    assert later(tree) == Later()
    tree.link("/etc/systemd/system/sockets.target.wants/libvirtd.socket", "/usr/lib/systemd/system/libvirtd.socket")
    assert "the first connection to libvirtd" in later(tree).doubts[0]


def test_a_broken_domain_is_a_doubt(tree: Tree) -> None:
    with_libvirt(tree).file(AUTOSTART, "<domain>")
    assert later(tree).doubts[0].startswith(f"{AUTOSTART} cannot be read: ")


def test_a_libvirt_of_unknown_version_is_a_doubt(tree: Tree) -> None:
    with_libvirt(tree).file(AUTOSTART, domain())
    tree.place("/usr/lib/x86_64-linux-gnu/libvirt.so.0.11003.0").unlink()
    assert later(tree).doubts == ("libvirt's version cannot be determined, and so not which driver it binds its guests' devices to.",)


# -- DPDK


def with_dpdk(tree: Tree) -> Tree:
    tree.file("/usr/lib/dpdk/dpdk-init", "#!/bin/sh\n", 0o755).file(
        "/etc/dpdk/interfaces", f"\n# pci\t0000:04:00.0\tvfio-pci\npci\t{CARD}  uio_pci_generic\nvmbus x y\npci {CARD}\n"
    )
    return tree.link("/etc/systemd/system/multi-user.target.wants/dpdk.service", "/lib/systemd/system/dpdk.service")


def test_dpdk_s_service_binds_what_its_list_names(tree: Tree) -> None:
    assigned = Assigned("uio_pci_generic", "/etc/dpdk/interfaces:3", "when dpdk.service starts")
    assert later(with_dpdk(tree)).may_take == {CARD: assigned}


@pytest.mark.parametrize("without", ["/usr/lib/dpdk/dpdk-init", "/etc/systemd/system/multi-user.target.wants/dpdk.service"])
def test_a_service_that_does_not_start_binds_nothing(tree: Tree, without: str) -> None:
    with_dpdk(tree).place(without).unlink()
    assert later(tree).may_take == {}


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><domain>&b;</domain>',
        '<!DOCTYPE d [<!ENTITY a "a">]><domain>&a;</domain>'.encode("utf-16"),
        "<domain>" * 100_000,
    ],
    ids=["entities", "entities in UTF-16", "deep"],
)
def test_a_domain_that_declares_entities_or_is_damaged_is_a_doubt_that_names_it(tree: Tree, text: str | bytes) -> None:
    with_libvirt(tree).file(AUTOSTART, text)
    assert any(AUTOSTART in doubt and "cannot be read" in doubt for doubt in later(tree).doubts)
