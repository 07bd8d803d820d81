# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have configured against a policy, and devices that no policy may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.policy_hosts import NIC, V100, V100_KEYS, VARIANT, gpu_host, refused, run
from ansible_collections.vfio.variants.tests.unit.trees import DRIVERCTL_RULES, Tree


class TestContradictions:
    @pytest.mark.parametrize("line", ["blacklist nvlink2gpu-vfio-pci\n", f"install {VARIANT} /bin/false\n"])
    def test_what_keeps_the_claimed_driver_from_loading_is_refused(self, tmp_path: Path, line: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/site.conf", line)
        assert "/etc/modprobe.d/site.conf:1" in refused(tree, V100)

    @pytest.mark.parametrize("argument", [f"modprobe.blacklist={VARIANT}", f"module_blacklist={VARIANT}"])
    def test_so_is_the_command_line(self, tmp_path: Path, argument: str) -> None:
        assert "command line" in refused(gpu_host(tmp_path).cmdline(argument), V100).replace("/proc/cmdline", "command line")

    def test_module_blacklist_with_a_dash_keeps_nothing_out_as_the_kernel_compares_it_to_the_letter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).cmdline(f"module_blacklist={VARIANT.replace('_', '-')}")
        assert run(tree, V100)["changed"]

    def test_a_later_rule_for_the_same_device_is_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/90-site.rules", f'{V100_KEYS}, ATTR{{driver_override}}="vfio-pci"\n')
        assert "/etc/udev/rules.d/90-site.rules:1" in refused(tree, V100)

    def test_an_earlier_one_is_overruled_and_reported(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/10-site.rules", f'{V100_KEYS}, ATTR{{driver_override}}="vfio-pci"\n')
        assert any("/etc/udev/rules.d/10-site.rules:1" in warning for warning in run(tree, V100)["warnings"])

    def test_with_ids_any_other_override_wins_and_is_refused(self, tmp_path: Path) -> None:
        text = 'SUBSYSTEM=="pci", ATTR{vendor}=="0x8086", ATTR{driver_override}="none"\n'
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/10-site.rules", text)
        assert "10-site.rules:1" in refused(tree, NIC, strategy="ids")

    def test_a_rule_that_says_the_same_is_no_matter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/90-site.rules", f'{V100_KEYS}, ATTR{{driver_override}}="{VARIANT}"\n')
        assert run(tree, V100)["warnings"] == []

    def test_driverctls_choice_is_refused_where_driverctl_is_installed(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/driverctl.d/pci-0000:3b:00.0", "vfio-pci\n")
        assert run(tree, V100)["warnings"] == []
        tree.driverctl()
        assert "/etc/driverctl.d/pci-0000:3b:00.0" in refused(tree, V100)

    @pytest.mark.parametrize("strategy", ["override", "blacklist"])
    def test_ids_that_give_the_card_to_another_module_are_refused(self, tmp_path: Path, strategy: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:1533,10DE:1DB1\n")
        assert "/etc/modprobe.d/vfio.conf:1" in refused(tree, V100, strategy=strategy)

    @pytest.mark.parametrize("word", ['"ids=10de:1db1"', 'ids="8086:1533, 0x10de:1db1"', "ids=10de:ffffffff"])
    def test_so_are_those_that_the_kernel_reads_though_they_are_written_otherwise(self, tmp_path: Path, word: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", f"options vfio-pci {word}\n")
        assert "/etc/modprobe.d/vfio.conf:1" in refused(tree, V100)

    def test_ids_with_another_subsystem_are_no_matter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:1db1:10de:ffff\n")
        assert run(tree, V100)["warnings"] == []

    def test_driverctls_choice_without_its_rule_is_no_matter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).driverctl().file("/etc/driverctl.d/pci-0000:3b:00.0", "vfio-pci\n")
        tree.place(DRIVERCTL_RULES).unlink()
        assert run(tree, V100)["warnings"] == []

    def test_with_override_ids_for_the_same_module_are_no_matter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:10d3\n")
        assert run(tree, NIC)["warnings"] == []

    def test_two_claims_with_different_strategies_for_one_device_are_refused(self, tmp_path: Path) -> None:
        claims = ({**V100, "driver": "vfio-pci", "strategy": "ids"}, {"devices": "0000:3b:00.0", "driver": "vfio-pci"})
        message = refused(gpu_host(tmp_path), *claims)
        assert "claims[0].strategy" in message
        assert "claims[1].strategy" in message

    def test_a_second_policy_cannot_give_the_same_card_elsewhere(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, name="zz-gpus")
        assert "70-zz-gpus.rules" in refused(tree, {**V100, "driver": "vfio-pci"})


class TestGuards:
    ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"

    def with_default_route(self, tree: Tree, interface: str) -> Tree:
        tree.directory("/sys/devices/pci0000:02/0000:02:00.0/net/enp2s0").link("/sys/class/net/enp2s0", "/sys/devices/pci0000:02/x")
        return tree.file("/proc/net/route", f"{self.ROUTES}{interface}\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")

    def test_the_interface_of_the_default_route_is_never_given_away(self, tmp_path: Path) -> None:
        message = refused(self.with_default_route(gpu_host(tmp_path), "enp2s0"), NIC)
        assert "0000:02:00.0" in message
        assert "default route" in message

    def test_another_interface_may_go(self, tmp_path: Path) -> None:
        assert run(self.with_default_route(gpu_host(tmp_path), "enp9s0"), NIC)["changed"]
