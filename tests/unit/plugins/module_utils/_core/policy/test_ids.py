# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strategy ids: options, softdeps that kmod obeys, and when ids would take too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.tests.unit.policy_hosts import (
    EARLY,
    NIC,
    RULES,
    SOFTDEPS,
    STOCK,
    V100,
    VARIANT,
    gpu_host,
    kernel,
    lines,
    refused,
    run,
    settings,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, NVIDIA_DISPLAY, Tree


class TestIds:
    def test_options_softdep_and_early_loading_are_written_and_no_rule(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC, strategy="ids")
        assert settings(tree) == ["options vfio_pci ids=8086:10d3"]
        assert lines(tree, SOFTDEPS) == ["softdep e1000e pre: vfio_pci"]
        assert lines(tree, EARLY) == ["vfio_pci"]
        assert not tree.place(RULES).exists()

    def test_all_claims_of_a_module_share_one_options_line(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC, {**V100, "driver": "vfio-pci"}, strategy="ids")
        assert settings(tree) == ["options vfio_pci ids=10de:1db1,8086:10d3"]
        assert lines(tree, SOFTDEPS) == ["softdep e1000e pre: vfio_pci", "softdep nouveau pre: vfio_pci"]

    def test_natives_of_every_kernel_wait_for_the_driver(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), DEBIAN_12, {**STOCK, "updates/dkms/nvidia": [NVIDIA_DISPLAY]}, running=False)
        run(tree, {**V100, "driver": "vfio-pci"}, strategy="ids")
        assert lines(tree, SOFTDEPS) == ["softdep nouveau pre: vfio_pci", "softdep nvidia pre: vfio_pci"]

    def test_one_of_two_equal_cards_is_refused_and_override_offered(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), {"devices": "0000:3b:00.0", "driver": "vfio-pci"}, strategy="ids")
        assert "0000:5e:00.0" in message
        assert "override" in message

    def test_a_subsystem_in_the_claim_parts_cards_of_one_id(self, tmp_path: Path) -> None:
        tree = kernel(Tree(tmp_path)).pci("0000:3b:00.0", subsystem="10de:1212").pci("0000:5e:00.0", subsystem="10de:1213")
        run(tree, {"devices": "10de:1db1:10de:1212", "driver": "vfio-pci"}, strategy="ids")
        assert settings(tree) == ["options vfio_pci ids=10de:1db1:10de:1212"]

    def test_an_id_makes_one_with_a_subsystem_unnecessary(self, tmp_path: Path) -> None:
        tree = kernel(Tree(tmp_path)).pci("0000:3b:00.0", subsystem="10de:1212").pci("0000:5e:00.0", subsystem="10de:1213")
        board, rest = {"devices": "10de:1db1:10de:1212", "driver": "vfio-pci"}, {"devices": "0000:5e:00.0", "driver": "vfio-pci"}
        run(tree, board, rest, strategy="ids")
        assert settings(tree) == ["options vfio_pci ids=10de:1db1"]

    def test_a_module_without_the_parameter_is_refused_and_override_offered(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), V100, strategy="ids")
        assert f"{VARIANT} of kernel {DEBIAN_13} has no parameter ids" in message
        assert "override" in message

    def test_a_builtin_vfio_pci_is_refused(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path).kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY]}, builtin=["vfio/pci/vfio-pci"], running=True)
        tree.pci("0000:3b:00.0", group=1)
        assert "vfio_pci.ids=" in refused(tree, V100, strategy="ids")

    @pytest.mark.parametrize("other", ["options vfio-pci ids=1234:5678\n", "options vfio_pci disable_vga=1 ids=1234:5678\n"])
    def test_ids_of_somebody_else_would_be_lost_or_win_and_are_refused(self, tmp_path: Path, other: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", f"# site\n{other}")
        assert "/etc/modprobe.d/vfio.conf:2" in refused(tree, NIC, strategy="ids")

    def test_ids_on_the_command_line_are_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).cmdline("quiet vfio-pci.ids=1234:5678")
        assert "/proc/cmdline" in refused(tree, NIC, strategy="ids")

    def test_options_that_are_no_ids_stand_beside_ours(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", "options vfio-pci disable_vga=1\n")
        assert run(tree, NIC, strategy="ids")["changed"]

    def test_where_kernels_differ_in_the_best_driver_it_must_be_named(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), DEBIAN_12, STOCK, running=False)
        message = refused(tree, V100, strategy="ids")
        assert DEBIAN_12 in message
        assert "override" in message


class TestSoftdepsOfOthers:
    def test_a_softdep_that_a_module_brings_itself_is_kept_in_ours(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file(f"/lib/modules/{DEBIAN_13}/modules.softdep", "softdep e1000e pre: realtek post: after\n")
        run(tree, NIC, strategy="ids")
        assert lines(tree, SOFTDEPS) == ["softdep e1000e pre: vfio_pci realtek post: after"]

    def test_the_sites_softdep_that_ours_hides_is_kept_in_ours(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/e1000e.conf", "softdep e1000e pre: ptp\n")
        run(tree, NIC, strategy="ids")
        assert lines(tree, SOFTDEPS) == ["softdep e1000e pre: vfio_pci ptp"]

    def test_kmod_obeys_our_line_first(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/e1000e.conf", "softdep e1000e pre: ptp\n")
        run(tree, NIC, strategy="ids")
        assert ModprobeConfig.read(tree.host()).softdeps("e1000e")[0].source.path == SOFTDEPS

    def test_a_softdep_that_kmod_reads_before_ours_is_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/00-site.conf", "softdep e1000e pre: ptp\n")
        assert "/etc/modprobe.d/00-site.conf:1" in refused(tree, NIC, strategy="ids")

    def test_one_that_already_loads_our_driver_first_is_enough(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/00-site.conf", "softdep e1000e pre: vfio-pci\n")
        run(tree, NIC, strategy="ids")
        assert not tree.place(SOFTDEPS).exists()

    def test_an_install_line_that_runs_something_is_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/nic.conf", "install e1000e /sbin/modprobe --ignore-install e1000e && /sbin/tune\n")
        assert "/etc/modprobe.d/nic.conf:1" in refused(tree, NIC, strategy="ids")

    def test_an_install_line_that_keeps_the_native_out_is_left_its_effect(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/nic.conf", "install e1000e /bin/false\n")
        result = run(tree, NIC, strategy="ids")
        assert not tree.place(SOFTDEPS).exists()
        assert any("/etc/modprobe.d/nic.conf:1" in warning for warning in result["warnings"])

    def test_an_install_line_that_a_softdep_already_defeats_is_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/nic.conf", "install e1000e /bin/false\nsoftdep e1000e pre: ptp\n")
        message = refused(tree, NIC, strategy="ids")
        assert "/etc/modprobe.d/nic.conf:1" in message
        assert "/etc/modprobe.d/nic.conf:2" in message

    def test_with_override_an_ignored_install_line_is_reported(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/nic.conf", "install e1000e /bin/false\nsoftdep e1000e pre: nouveau\n")
        assert any("nic.conf:1" in warning for warning in run(tree, NIC)["warnings"])
