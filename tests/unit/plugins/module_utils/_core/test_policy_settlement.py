# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boot_policy does to a host: a root tree, claims, and the files that must be there afterwards."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.policy_settlement import settle
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_12, DEBIAN_13, E1000E, NVIDIA_DISPLAY, V100_VARIANT, Tree

RULES = "/etc/udev/rules.d/70-vfio-variants.rules"
MODPROBE = "/etc/modprobe.d/vfio-variants.conf"
SOFTDEPS = "/etc/modprobe.d/00-vfio-variants.conf"
EARLY = "/etc/modules-load.d/vfio-variants.conf"
HOOK = "/etc/initramfs-tools/hooks/vfio-variants"
DRACUT = "/etc/dracut.conf.d/vfio-variants.conf"
ALL = (SOFTDEPS, MODPROBE, RULES, EARLY, HOOK, DRACUT)

VARIANT = "nvlink2gpu_vfio_pci"
WITH_IDS = b"\x7fELF\0parmtype=ids:string\0"
STOCK = {"nouveau": [NVIDIA_DISPLAY], "e1000e": [E1000E], "vfio-pci": [ANY_VFIO]}
BUILT = {**STOCK, f"updates/dkms/{VARIANT}": [V100_VARIANT]}


def kernel(tree: Tree, release: str = DEBIAN_13, modules: t.Mapping[str, t.Sequence[str]] = BUILT, running: bool = True) -> Tree:
    tree.kernel(release, modules, running=running)
    tree.file(f"/lib/modules/{release}/kernel/drivers/vfio-pci.ko", WITH_IDS)
    return tree


def gpu_host(tmp_path: Path) -> Tree:
    """Two V100 with nouveau, and an e1000e, on a Debian 13 with initramfs-tools and the variant built."""
    tree = kernel(Tree(tmp_path))
    tree.pci("0000:3b:00.0", driver="nouveau").pci("0000:5e:00.0", driver="nouveau")
    tree.pci("0000:02:00.0", "8086:10d3", class_code=0x020000, driver="e1000e")
    return (
        tree.directory("/etc/initramfs-tools/hooks").file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755).directory("/etc/modprobe.d")
    )


def run(tree: Tree, *claims: dict[str, t.Any], check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    defaults = {"state": "present", "name": "vfio-variants", "strategy": "override", "kernels": ["all"], "natives": None}
    params = {"claims": list(claims), "pending_modules": [], "allow_shared_native": False, **defaults, **options}
    # No kernel runs here that could load the variant to learn its driver's name.
    if not tree.place(f"/sys/module/{VARIANT}/drivers").exists():
        tree.module(VARIANT, drivers=[VARIANT])
    return settle(tree.host(), params, check)


def refused(tree: Tree, *claims: dict[str, t.Any], **options: t.Any) -> str:
    """The error's whole text; nothing may have been written."""
    before = contents(tree)
    with pytest.raises(HostError) as error:
        run(tree, *claims, **options)
    assert contents(tree) == before
    return str(error.value)


def contents(tree: Tree) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(tree.place("/etc").rglob("*")) if path.is_file()}


def lines(tree: Tree, path: str) -> list[str]:
    """A file's lines without comments; none where there is no file."""
    place = tree.place(path)
    return [line for line in place.read_text().splitlines() if not line.startswith("#")] if place.exists() else []


def rule(keys: str, driver: str = VARIANT, module: str = VARIANT) -> str:
    return f'ACTION=="add", SUBSYSTEM=="pci", {keys}, ATTR{{driver_override}}="{driver}", RUN{{builtin}}+="kmod load {module}"'


V100 = {"devices": "10de:1db1"}
NIC = {"devices": "8086:10d3", "driver": "vfio-pci"}
V100_KEYS = 'ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"'


class TestOverride:
    def test_a_claim_by_id_becomes_one_rule_and_no_modprobe_configuration(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100)
        assert lines(tree, RULES) == [rule(V100_KEYS)]
        assert not tree.place(MODPROBE).exists()
        assert not tree.place(SOFTDEPS).exists()
        assert not tree.place(EARLY).exists()

    def test_a_claim_by_address_takes_only_the_card_that_sits_there(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, {"devices": "0000:3b:00.0"})
        assert lines(tree, RULES) == [rule(f'KERNEL=="0000:3b:00.0", {V100_KEYS}')]

    def test_the_drivers_name_is_set_and_the_modules_name_is_loaded(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC)
        assert lines(tree, RULES) == [rule('ATTR{vendor}=="0x8086", ATTR{device}=="0x10d3"', "vfio-pci", "vfio_pci")]

    def test_a_class_claim_pins_each_kind_of_card_it_found(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, {"devices": "class:0302", "driver": "vfio-pci"})
        assert lines(tree, RULES) == [rule(f'{V100_KEYS}, ATTR{{class}}=="0x0302*"', "vfio-pci", "vfio_pci")]

    def test_cards_of_one_id_with_different_best_drivers_are_told_apart(self, tmp_path: Path) -> None:
        special = "vfio_pci:v000010DEd00001DB1sv000010DEsd00001212bc*sc*i*"
        tree = kernel(Tree(tmp_path), modules={**STOCK, "special_vfio": [special]})
        tree.pci("0000:3b:00.0", subsystem="10de:1212").pci("0000:5e:00.0", subsystem="10de:1213")
        tree.module("special_vfio", drivers=["special_vfio"])
        run(tree, V100)
        assert lines(tree, RULES) == [
            rule(
                f'{V100_KEYS}, ATTR{{subsystem_vendor}}=="0x10de", ATTR{{subsystem_device}}=="0x1212", ATTR{{class}}=="0x030200"',
                "special_vfio",
                "special_vfio",
            ),
            rule(
                f'{V100_KEYS}, ATTR{{subsystem_vendor}}=="0x10de", ATTR{{subsystem_device}}=="0x1213", ATTR{{class}}=="0x030200"',
                "vfio-pci",
                "vfio_pci",
            ),
        ]

    def test_where_kernels_differ_each_gets_its_best_and_new_ones_the_newests(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), DEBIAN_12, STOCK, running=False)
        result = run(tree, V100)
        assert lines(tree, RULES) == [
            rule(f'{V100_KEYS}, SYSCTL{{kernel/osrelease}}!="{DEBIAN_12}"'),
            rule(f'{V100_KEYS}, SYSCTL{{kernel/osrelease}}=="{DEBIAN_12}"', "vfio-pci", "vfio_pci"),
        ]
        chosen = {(row["driver"], tuple(row["kernels"])) for row in result["assignments"]}
        assert chosen == {(VARIANT, (DEBIAN_13,)), ("vfio-pci", (DEBIAN_12,))}

    def test_a_kernel_without_the_named_module_is_a_warning(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), DEBIAN_12, STOCK, running=False)
        result = run(tree, {**V100, "driver": VARIANT})
        assert lines(tree, RULES) == [rule(V100_KEYS)]
        assert any(DEBIAN_12 in warning and VARIANT in warning for warning in result["warnings"])

    def test_a_module_that_no_kernel_has_is_refused_with_the_nearest_name(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), {**V100, "driver": "nvlink2_vfio_pci"})
        assert "nvlink2_vfio_pci" in message
        assert VARIANT in message

    def test_a_native_driver_that_is_built_in_is_a_warning(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO]}, builtin=["gpu/nouveau"], running=True)
        tree.driver("nouveau").pci("0000:3b:00.0", driver="nouveau")
        result = run(tree, V100)
        assert any("built into" in warning and "nouveau" in warning for warning in result["warnings"])


class TestInitramfs:
    def test_the_hook_of_initramfs_tools_packs_the_modules_and_is_executable(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, NIC)
        assert tree.place(HOOK).stat().st_mode & 0o777 == 0o755
        assert tree.place(HOOK).read_text().startswith("#!/bin/sh\n# Managed by the vfio.variants collection")
        assert f"manual_add_modules {VARIANT} vfio_pci" in lines(tree, HOOK)

    def test_dracut_gets_the_modules_and_the_files(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/usr/bin/dracut", "#!/bin/sh\n", mode=0o755)
        run(tree, V100, {**NIC, "strategy": "ids"})
        text = lines(tree, DRACUT)
        assert text[0] == f"for vfio_variants_module in {VARIANT} vfio_pci; do"
        assert text[-1] == f'install_items+=" {SOFTDEPS} {MODPROBE} {RULES} "'

    def test_dracut_is_given_only_the_modules_that_the_images_kernel_has(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/usr/bin/dracut", "#!/bin/sh\n", mode=0o755)
        tree.file("/commands/modinfo", f'#!/bin/sh\n[ "$1 $2" = "-k {DEBIAN_12}" ] && [ "$3" = vfio_pci ]\n', mode=0o755)
        run(tree, V100, NIC)
        script = f'kernel={DEBIAN_12}; . {tree.place(DRACUT)}; echo "$add_drivers"'
        path = f"{tree.place('/commands')}:/usr/bin:/bin"
        shown = subprocess.run(["bash", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=True)
        assert shown.stdout.split() == ["vfio_pci"]

    def test_without_a_generator_nothing_is_written_for_it(self, tmp_path: Path) -> None:
        tree = kernel(Tree(tmp_path)).pci("0000:3b:00.0")
        result = run(tree, V100)
        assert not tree.place("/etc/initramfs-tools").exists()
        assert not tree.place("/etc/dracut.conf.d").exists()
        assert result["policy"]["modules"] == [VARIANT]


class TestIds:
    def test_options_softdep_and_early_loading_are_written_and_no_rule(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC, strategy="ids")
        assert lines(tree, MODPROBE) == ["options vfio_pci ids=8086:10d3"]
        assert lines(tree, SOFTDEPS) == ["softdep e1000e pre: vfio_pci"]
        assert lines(tree, EARLY) == ["vfio_pci"]
        assert not tree.place(RULES).exists()

    def test_all_claims_of_a_module_share_one_options_line(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC, {**V100, "driver": "vfio-pci"}, strategy="ids")
        assert lines(tree, MODPROBE) == ["options vfio_pci ids=10de:1db1,8086:10d3"]
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
        assert lines(tree, MODPROBE) == ["options vfio_pci ids=10de:1db1:10de:1212"]

    def test_a_module_without_the_parameter_is_refused_and_override_offered(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), V100, strategy="ids")
        assert f"{VARIANT} of kernel {DEBIAN_13} has no parameter ids" in message
        assert "override" in message

    def test_a_builtin_vfio_pci_is_refused(self, tmp_path: Path) -> None:
        tree = (
            Tree(tmp_path).kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY]}, builtin=["vfio/pci/vfio-pci"], running=True).pci("0000:3b:00.0")
        )
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

    def test_kmod_heeds_our_line_first(self, tmp_path: Path) -> None:
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
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/nic.conf", "install e1000e /bin/false\nsoftdep e1000e pre: ptp\n")
        assert any("nic.conf:1" in warning for warning in run(tree, NIC)["warnings"])


class TestBlacklist:
    def test_the_natives_are_blacklisted_and_the_rule_gives_the_device(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, strategy="blacklist")
        assert lines(tree, MODPROBE) == ["blacklist nouveau"]
        assert lines(tree, RULES) == [rule(V100_KEYS)]

    def test_a_driver_that_an_unclaimed_device_needs_is_refused(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), {"devices": "0000:3b:00.0"}, strategy="blacklist")
        assert "nouveau" in message
        assert "0000:5e:00.0" in message
        assert "allow_shared_native" in message

    def test_that_can_be_allowed(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, {"devices": "0000:3b:00.0"}, strategy="blacklist", allow_shared_native=True)
        assert lines(tree, MODPROBE) == ["blacklist nouveau"]

    def test_named_natives_take_the_place_of_those_found_and_dashes_do_not_matter(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), modules={**BUILT, "nvidia_drm": []})
        run(tree, V100, strategy="blacklist", natives=["nvidia-drm"])
        assert lines(tree, MODPROBE) == ["blacklist nvidia_drm"]

    def test_a_misspelt_native_is_refused_with_the_nearest_name(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), V100, strategy="blacklist", natives=["nouveu"])
        assert "nouveu" in message
        assert "Did you mean nouveau" in message

    def test_natives_without_a_claim_that_uses_them_are_refused(self, tmp_path: Path) -> None:
        assert "natives" in refused(gpu_host(tmp_path), V100, natives=["nouveau"])


class TestContradictions:
    @pytest.mark.parametrize("line", ["blacklist nvlink2gpu-vfio-pci\n", f"install {VARIANT} /bin/false\n"])
    def test_what_keeps_the_claimed_driver_from_loading_is_refused(self, tmp_path: Path, line: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/site.conf", line)
        assert "/etc/modprobe.d/site.conf:1" in refused(tree, V100)

    @pytest.mark.parametrize("argument", [f"modprobe.blacklist={VARIANT}", f"module_blacklist={VARIANT}"])
    def test_so_is_the_command_line(self, tmp_path: Path, argument: str) -> None:
        assert "command line" in refused(gpu_host(tmp_path).cmdline(argument), V100).replace("/proc/cmdline", "command line")

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
        tree.file("/usr/sbin/driverctl", "#!/bin/sh\n", mode=0o755)
        assert "/etc/driverctl.d/pci-0000:3b:00.0" in refused(tree, V100)

    @pytest.mark.parametrize("strategy", ["override", "blacklist"])
    def test_ids_that_give_the_card_to_another_module_are_refused(self, tmp_path: Path, strategy: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:1533,10DE:1DB1\n")
        assert "/etc/modprobe.d/vfio.conf:1" in refused(tree, V100, strategy=strategy)

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


class TestOwnership:
    @pytest.mark.parametrize("strategy", ["override", "ids", "blacklist"])
    def test_a_second_run_changes_nothing(self, tmp_path: Path, strategy: str) -> None:
        tree = gpu_host(tmp_path)
        claim = {**V100, "driver": "vfio-pci"}
        assert run(tree, claim, strategy=strategy)["changed"]
        before = contents(tree)
        again = run(tree, claim, strategy=strategy)
        assert (again["changed"], again["diff"]) == (False, [])
        assert contents(tree) == before

    @pytest.mark.parametrize("strategy", ["override", "ids", "blacklist"])
    def test_check_mode_writes_nothing_and_predicts_the_same_result(self, tmp_path: Path, strategy: str) -> None:
        tree = gpu_host(tmp_path)
        claim = {**V100, "driver": "vfio-pci"}
        before = contents(tree)
        predicted = run(tree, claim, strategy=strategy, check=True)
        assert contents(tree) == before
        assert not tree.place("/run/lock").exists()
        assert run(tree, claim, strategy=strategy) == predicted

    def test_check_mode_counts_with_a_module_that_another_task_installs(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), modules=STOCK)
        pending = [{"name": VARIANT, "aliases": [V100_VARIANT]}]
        predicted = run(tree, V100, check=True, pending_modules=pending)
        kernel(tree)
        assert run(tree, V100, pending_modules=pending) == predicted

    def test_absent_removes_exactly_what_was_written(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/site.conf", "options vfio_pci disable_vga=1\n").file("/usr/bin/dracut", mode=0o755)
        before = contents(tree)
        run(tree, V100, {**NIC, "strategy": "ids"})
        assert set(contents(tree)) - set(before) == {str(tree.place(path)) for path in ALL}
        assert run(tree, state="absent")["changed"]
        assert contents(tree) == before
        assert not run(tree, state="absent")["changed"]

    def test_absent_works_where_no_kernel_and_no_device_is_left(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100)
        tree.place(f"/lib/modules/{DEBIAN_13}/modules.dep").unlink()
        run(tree, state="absent")
        assert not tree.place(RULES).exists()

    @pytest.mark.parametrize("state", ["present", "absent"])
    @pytest.mark.parametrize("path", ALL)
    def test_a_file_of_somebody_else_in_our_place_is_refused(self, tmp_path: Path, state: str, path: str) -> None:
        tree = gpu_host(tmp_path).file(path, "# written by hand\n")
        assert path in refused(tree, V100, state=state)

    def test_a_changed_strategy_takes_its_old_files_along(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC, strategy="ids")
        run(tree, NIC)
        assert [path for path in ALL if tree.place(path).exists()] == [RULES, HOOK]

    def test_no_claims_leave_no_files(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100)
        run(tree)
        assert [path for path in ALL if tree.place(path).exists()] == []

    def test_policies_of_two_names_do_not_touch_each_other(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, name="gpus")
        run(tree, NIC, name="nics")
        run(tree, state="absent", name="nics")
        assert lines(tree, "/etc/udev/rules.d/70-gpus.rules") == [rule(V100_KEYS)]
        assert not tree.place("/etc/udev/rules.d/70-nics.rules").exists()

    def test_a_name_that_would_hide_a_file_of_the_system_is_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/usr/lib/udev/rules.d/70-uaccess.rules", "# systemd\n")
        assert "/usr/lib/udev/rules.d/70-uaccess.rules" in refused(tree, V100, name="uaccess")

    @pytest.mark.parametrize("name", ["", "../x", "a.b", "A", "x" * 65, "a\nb"])
    def test_a_name_that_is_no_file_name_is_refused(self, tmp_path: Path, name: str) -> None:
        assert "name" in refused(gpu_host(tmp_path), V100, name=name)

    def test_one_file_that_cannot_be_written_takes_all_others_back(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modules-load.d", "no directory")
        message = refused(tree, NIC, strategy="ids")
        assert "/etc/modules-load.d" in message

    def test_the_result_tells_each_paths_digest_or_that_it_must_be_absent(self, tmp_path: Path) -> None:
        policy = run(gpu_host(tmp_path), V100)["policy"]
        assert sorted(policy["files"]) == sorted(ALL)
        assert {path for path, digest in policy["files"].items() if digest} == {RULES, HOOK}
