# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else creates virtual functions is seen before a policy does so as well."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.function_makers import makers_of
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

PF = "0000:5e:00.0"
CASES: list[tuple[str, str, str, bool | None]] = [
    (
        "/etc/systemd/network/10-x.link",
        "[Match]\nOriginalName=ens1f0\n[Link]\nSR-IOVVirtualFunctions=4\n",
        "SR-IOVVirtualFunctions=4",
        True,
    ),
    ("/etc/systemd/network/10-x.link", "[Match]\nDriver=mlx5_*\nPath=pci-*\n[Link]\nSR-IOVVirtualFunctions=4\n", "…=4", True),
    ("/etc/systemd/network/10-x.link", "[Match]\nMACAddress=00:11\n[Link]\nSR-IOVVirtualFunctions=4\n", "…=4", None),
    ("/etc/systemd/network/10-x.link", "[Match]\nDriver=i40e\nMACAddress=00:11\n[Link]\nSR-IOVVirtualFunctions=4\n", "", False),
    ("/etc/systemd/network/10-x.link", "[Match]\nOriginalName=ens1f0\n[Link]\nMTUBytes=9000\n", "", False),
    # By what is described, as many as that takes; by the kernel's name, which it has before udev gives it another.
    ("/etc/systemd/network/10-x.link", "[Match]\nDriver=mlx5_core\n[SR-IOV]\nVirtualFunction=3\nTrust=yes\n", "VirtualFunction=3", True),
    ("/etc/systemd/network/10-x.link", "[Match]\nOriginalName=eth0\n[Link]\nSR-IOVVirtualFunctions=4\n", "…=4", None),
    ("/etc/systemd/network/10-x.link", "[Match]\nOriginalName=enp9s0\n[Link]\nSR-IOVVirtualFunctions=4\n", "", False),
    ("/etc/systemd/network/10-x.link", "[Match]\nDriver=!i40e\n[Link]\nSR-IOVVirtualFunctions=4\n", "…=4", True),
    ("/etc/systemd/network/10-x.link", "[Match]\nDriver=!mlx5_core i40e\n[Link]\nSR-IOVVirtualFunctions=4\n", "", False),
    ("/etc/systemd/network/10-x.network", "[Match]\nName=ens1f0\n[SR-IOV]\nVirtualFunction=3\n", "", False),
    (
        "/etc/NetworkManager/system-connections/a.nmconnection",
        "[connection]\ninterface-name=ens1f0\n[sriov]\ntotal-vfs=8\n",
        "total-vfs=8",
        True,
    ),
    ("/etc/NetworkManager/system-connections/a.nmconnection", "[connection]\ninterface-name=eth9\n[sriov]\ntotal-vfs=8\n", "", False),
    ("/etc/NetworkManager/system-connections/a.nmconnection", "[sriov]\ntotal-vfs=8\n", "total-vfs=8", None),
    (
        "/etc/netplan/50-x.yaml",
        "network:\n  ethernets:\n    ens1f0:\n      dhcp4: true\n      virtual-function-count: 3\n",
        "virtual-function-count: 3",
        True,
    ),
    ("/etc/netplan/50-x.yaml", "network:\n  ethernets:\n    card:\n      virtual-function-count: 3\n", "virtual-function-count: 3", None),
    ("/etc/netplan/50-x.yaml", "network:\n  ethernets:\n    ens1f0:\n      virtual-function-count: 0\n", "", False),
    ("/etc/netplan/50-x.yaml", 'network:\n  ethernets:\n    "ens1f0": {"virtual-function-count": 3}\n', "virtual-function-count: 3", True),
    ("/etc/netplan/50-x.yaml", "network: {ethernets: {ens1f0: {virtual-function-count: 3}}}\n", "virtual-function-count: 3", True),
    ("/etc/netplan/50-x.yaml", "network:\n  ethernets:\n    ens1f0: {}\n    vf0:\n      link: ens1f0\n", "link: ens1f0", True),
    ("/etc/netplan/50-x.yaml", "network:\n  vlans:\n    v7:\n      id: 7\n      link: ens1f0\n", "", False),
    ("/etc/NetworkManager/conf.d/x.conf", "[device-a]\nmatch-device=interface-name:ens1f*\nsriov-num-vfs=4\n", "sriov-num-vfs=4", True),
    ("/etc/NetworkManager/conf.d/x.conf", "[device-a]\nmatch-device=interface-name:eth9\nsriov-num-vfs=4\n", "", False),
    ("/etc/NetworkManager/conf.d/x.conf", "[device-a]\nmatch-device=mac:00:11:22:33:44:55\nsriov-num-vfs=4\n", "sriov-num-vfs=4", None),
    ("/etc/NetworkManager/NetworkManager.conf", "[device]\nsriov-num-vfs=4\n", "sriov-num-vfs=4", True),
    ("/etc/sysconfig/network-scripts/ifcfg-ens1f0", "DEVICE=ens1f0\nSRIOV_TOTAL_VFS=8\n", "SRIOV_TOTAL_VFS=8", True),
    ("/usr/lib/NetworkManager/dispatcher.d/50-x", 'echo 4 > "/sys/class/net/$1/device/sriov_numvfs"\n', 'sriov_numvfs"', None),
    ("/etc/networkd-dispatcher/routable.d/50-x", "echo 4 > /sys/class/net/ens1f0/device/sriov_numvfs\n", "sriov_numvfs", True),
    ("/etc/sysfs.d/x.conf", f"devices/pci0000:5e/{PF}/sriov_numvfs = 4\n", "sriov_numvfs = 4", True),
    ("/etc/sysfs.d/x.conf", "devices/pci0000:5e/0000:5e:00.1/sriov_numvfs = 4\n", "", False),
    ("/etc/tmpfiles.d/x.conf", "w /sys/class/net/ens1f0/device/sriov_numvfs - - - - 4\n", "sriov_numvfs - - - - 4", None),
    ("/etc/tmpfiles.d/x.conf", f"# w /sys/bus/pci/devices/{PF}/sriov_numvfs - - - - 4\n", "", False),
    ("/etc/udev/rules.d/9.rules", f'KERNEL=="{PF}", ATTR{{sriov_numvfs}}="4"\n', 'sriov_numvfs}="4"', True),
    ("/usr/lib/udev/rules.d/9.rules", 'SUBSYSTEM=="net", ATTR{device/sriov_numvfs}="4"\n', 'sriov_numvfs}="4"', None),
    ("/etc/udev/rules.d/9.rules", f'KERNEL=="{PF}", ATTR{{sriov_numvfs}}=="4", TAG+="x"\n', "", False),
    (
        "/etc/network/interfaces",
        "iface ens1f0 inet manual\n  up echo 4 > /sys/class/net/ens1f0/device/sriov_numvfs\n",
        "ens1f0/device/sriov_numvfs",
        True,
    ),
    ("/etc/network/interfaces.d/card", "  up echo 4 | tee /sys/class/net/eth9/device/sriov_numvfs\n", "", False),
    ("/etc/NetworkManager/dispatcher.d/50-x", 'echo 4 > "/sys/class/net/$1/device/sriov_numvfs"\n', 'sriov_numvfs"', None),
    ("/etc/NetworkManager/dispatcher.d/50-x", f"cat /sys/bus/pci/devices/{PF}/sriov_numvfs\n", "", False),
    ("/etc/cron.d/x", f"@reboot root echo 4 > /sys/bus/pci/devices/{PF}/sriov_numvfs\n", f"{PF}/sriov_numvfs", True),
    ("/etc/nmstate/x.yml", "interfaces:\n- name: ens1f0\n  ethernet:\n    sr-iov:\n      total-vfs: 4\n", "total-vfs: 4", True),
    ("/etc/nmstate/x.yml", "interfaces:\n- name: eth9\n  ethernet:\n    sr-iov:\n      total-vfs: 4\n", "total-vfs: 4", None),
    ("/etc/infiniband/post-start-hook.sh", "echo 4 > /sys/class/net/ens1f0/device/mlx5_num_vfs\n", "mlx5_num_vfs", True),
    ("/etc/infiniband/openib.conf", "ONBOOT=yes\n# echo 4 > /sys/class/net/ens1f0/device/sriov_numvfs\n", "", False),
    ("/etc/sriovtab", "# interface number\nens1f0 4\n", "ens1f0 4", True),
    ("/etc/sriovtab", f"{PF} 4\n", f"{PF} 4", True),
    ("/etc/sriovtab", "eth9 4\n", "", False),
    ("/etc/sriovtab", "ens1f0 0\n", "", False),
    ("/etc/default/networking-sriov", "ENABLE=1\nVFS_LIST=ens1f0:16\n", "VFS_LIST=ens1f0:16", True),
    ("/etc/default/networking-sriov", "ENABLE=1\nVFS_LIST='eth9:16 ens1f0:0'\n", "", False),
    ("/etc/default/networking-sriov", "# auto\nENABLE=1\n", "ENABLE=1", None),
    (
        "/etc/sriov-netplan-shim/interfaces.yaml",
        "interfaces:\n    eth9:\n        num_vfs: 8\n    ens1f0:\n        num_vfs: 64\n",
        "num_vfs: 64",
        True,
    ),
    ("/etc/sriov-netplan-shim/interfaces.yaml", "interfaces:\n  eth9:\n    num_vfs: 64\n  ens1f0:\n    num_vfs: 0\n", "", False),
    ("/etc/default/networking-sriov", "ENABLE=0\nVFS_LIST=ens1f0:16\n", "", False),
    ("/etc/default/neutron-openvswitch-networking-sriov", "ENABLE=1\nVFS_BLANKET=auto\n", "VFS_BLANKET=auto", None),
    ("/var/lib/os-net-config/sriov_config.yaml", "- device_type: pf\n  name: ens1f0\n  numvfs: 10\n", "numvfs: 10", True),
    ("/var/lib/os-net-config/sriov_config.yaml", "- name: ens1f0\n  numvfs: 0\n- name: eth9\n  numvfs: 10\n", "numvfs: 10", None),
    ("/etc/modprobe.d/x.conf", "options mlx5-core num_vfs=0,4\n", "num_vfs=0,4", None),
    ("/etc/modprobe.d/x.conf", "options mlx5_core num_vfs=0 probe_vf=1\noptions igb max_vfs=7\n", "", False),
    ("/etc/sriov-operator/sno-state.json", "{}", "its configuration", None),
]


@pytest.mark.parametrize(("path", "text", "setting", "concerns"), CASES)
def test_each_program_is_known_by_its_own_setting(tmp_path: Path, path: str, text: str, setting: str, concerns: bool | None) -> None:
    tree = Tree(tmp_path).pci(PF, "15b3:101d", class_code=0x020000, driver="mlx5_core", max_virtual_functions=8, nodes=["net/ens1f0"])
    physical = Inventory.read(tree.host()).get(PF)
    assert physical is not None
    assert makers_of(tree.host(), physical) == ()

    found = makers_of(tree.file(path, text).host(), physical)

    assert [maker.concerns for maker in found] == ([] if concerns is False else [concerns])
    assert all(maker.setting.endswith(setting.lstrip("…")) and maker.source.startswith(path[:15]) for maker in found)


@pytest.mark.parametrize(("driver", "creates"), [("xe", False), ("i915", False), ("igb", True)])
def test_the_most_that_a_driver_allows_creates_none(tmp_path: Path, driver: str, creates: bool) -> None:
    tree = Tree(tmp_path).pci(PF, "8086:56c0", class_code=0x030000, driver=driver, max_virtual_functions=8)
    physical = Inventory.read(tree.file("/etc/modprobe.d/x.conf", f"options {driver} max_vfs=7\n").host()).get(PF)
    assert physical is not None
    assert bool(makers_of(tree.host(), physical)) is creates


@pytest.mark.parametrize("match", ["OriginalName=ens1f0", "Driver=mlx5_core", "OriginalName=!ens1f0"])
def test_of_a_card_without_driver_and_interface_it_does_not_show_whether_a_file_is_for_it(tmp_path: Path, match: str) -> None:
    tree = Tree(tmp_path).pci(PF, "15b3:101d", class_code=0x020000, max_virtual_functions=8)
    tree.file("/etc/systemd/network/10-x.link", f"[Match]\n{match}\n[Link]\nSR-IOVVirtualFunctions=4\n")
    physical = Inventory.read(tree.host()).get(PF)
    assert physical is not None
    assert [maker.concerns for maker in makers_of(tree.host(), physical)] == [None]


LINK, NUMBER = "/usr/lib/systemd/network/10-x.link", "[Link]\nSR-IOVVirtualFunctions=4\n"
MATCH = "[Match]\nOriginalName=*\n"
RULE, LINE = f'KERNEL=="{PF}", ATTR{{sriov_numvfs}}="4"\n', f"w /sys/bus/pci/devices/{PF}/sriov_numvfs - - - - 4\n"
CONNECTION = "[connection]\ninterface-name=ens1f0\n[sriov]\ntotal-vfs=8\n"
PLAN = "network:\n  ethernets:\n    ens1f0:\n      virtual-function-count: 3\n"
REPLACED: dict[str, tuple[t.Callable[[Tree], object], list[str]]] = {
    "a link's file": (lambda tree: tree.file(LINK, MATCH + NUMBER), [f"{LINK}:4"]),
    "one that is masked": (lambda tree: tree.file(LINK, MATCH + NUMBER).link("/etc/systemd/network/10-x.link", "/dev/null"), []),
    "one that the host replaces": (lambda tree: tree.file(LINK, MATCH + NUMBER).file("/etc/systemd/network/10-x.link", MATCH), []),
    "a drop-in of a link's file": (
        lambda tree: tree.file(LINK, MATCH).file("/etc/systemd/network/10-x.link.d/vf.conf", NUMBER),
        ["/etc/systemd/network/10-x.link.d/vf.conf:2"],
    ),
    "a drop-in of what is not there": (lambda tree: tree.file("/etc/systemd/network/9.link.d/vf.conf", NUMBER), []),
    "a connection that the host replaces": (
        lambda tree: tree.file("/usr/lib/NetworkManager/system-connections/a.nmconnection", CONNECTION).file(
            "/etc/NetworkManager/system-connections/a.nmconnection", "[connection]\ninterface-name=ens1f0\n"
        ),
        [],
    ),
    "a rule that is masked": (
        lambda tree: tree.file("/usr/lib/udev/rules.d/9.rules", RULE).link("/etc/udev/rules.d/9.rules", "/dev/null"),
        [],
    ),
    "a rule that the host replaces": (
        lambda tree: tree.file("/usr/lib/udev/rules.d/9.rules", RULE).file("/etc/udev/rules.d/9.rules", f"# none\n{RULE}"),
        ["/etc/udev/rules.d/9.rules:2"],
    ),
    "a package's line of tmpfiles.d": (
        lambda tree: (
            tree.file("/usr/lib/tmpfiles.d/x.conf", LINE).file("/usr/lib/tmpfiles.d/y.conf", LINE).file("/etc/tmpfiles.d/y.conf", "")
        ),
        ["/usr/lib/tmpfiles.d/x.conf:1"],
    ),
    "a plan that the host replaces": (
        lambda tree: tree.file("/lib/netplan/50-x.yaml", PLAN).file("/etc/netplan/50-x.yaml", "network: {}\n"),
        [],
    ),
}


@pytest.mark.parametrize("how", REPLACED)
def test_of_the_files_of_a_name_the_first_counts_with_its_drop_ins(tmp_path: Path, how: str) -> None:
    make, sources = REPLACED[how]
    tree = Tree(tmp_path).pci(PF, "15b3:101d", class_code=0x020000, driver="mlx5_core", max_virtual_functions=8, nodes=["net/ens1f0"])
    make(tree)
    physical = Inventory.read(tree.host()).get(PF)
    assert physical is not None
    assert [maker.source for maker in makers_of(tree.host(), physical)] == sources
