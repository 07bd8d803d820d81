# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boot_policy does to a host: a root tree, claims, and the files that must be there afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.policy_hosts import (
    ALL,
    BUILT,
    DRACUT,
    EARLY,
    HOOK,
    MODPROBE,
    NIC,
    RULES,
    SOFTDEPS,
    STOCK,
    V100,
    V100_KEYS,
    VARIANT,
    contents,
    early_rule,
    gpu_host,
    kernel,
    lines,
    refused,
    rule,
    rules_of_any_event,
    rules_of_own_events,
    run,
)
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_12, DEBIAN_13, NVIDIA_DISPLAY, V100_VARIANT, Tree


def test_what_depmod_has_written_is_read_once_for_each_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, read = gpu_host(tmp_path), Kernel.read
    seen: list[str] = []

    def counted(_cls: type[Kernel], host: FileTree, release: str) -> Kernel:
        seen.append(release)
        return read(host, release)

    monkeypatch.setattr(Kernel, "read", classmethod(counted))
    run(tree, NIC)
    assert seen
    assert sorted(seen) == sorted(set(seen))


class TestOverride:
    def test_a_claim_by_id_becomes_one_rule_and_no_modprobe_configuration(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100)
        assert rules_of_own_events(tree, RULES) == [rule(V100_KEYS)]
        assert not tree.place(MODPROBE).exists()
        assert not tree.place(SOFTDEPS).exists()
        assert not tree.place(EARLY).exists()

    def test_a_claim_by_address_takes_only_the_card_that_sits_there(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, {"devices": "0000:3b:00.0"})
        assert rules_of_own_events(tree, RULES) == [rule(f'KERNEL=="0000:3b:00.0", {V100_KEYS}')]

    def test_a_card_whose_native_another_cards_event_may_load_has_its_override_from_the_first_event_on(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, {"devices": "0000:3b:00.0"})
        assert rules_of_any_event(tree, RULES) == [early_rule("0000:3b:00.0")]

    def test_a_card_that_is_alone_with_its_native_needs_no_more_than_its_own_event(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC)
        assert rules_of_any_event(tree, RULES) == []

    def test_a_blacklisted_native_is_loaded_by_no_event(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, strategy="blacklist")
        assert rules_of_any_event(tree, RULES) == []

    def test_the_drivers_name_is_set_and_the_modules_name_is_loaded(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, NIC)
        assert rules_of_own_events(tree, RULES) == [rule('ATTR{vendor}=="0x8086", ATTR{device}=="0x10d3"', "vfio-pci", "vfio_pci")]

    @pytest.mark.parametrize("strategy", ["override", "ids", "blacklist"])
    def test_what_shares_the_cards_group_goes_along_by_a_rule_of_its_own(self, tmp_path: Path, strategy: str) -> None:
        tree = gpu_host(tmp_path)
        tree.pci("0000:02:00.0", "8086:10d3", class_code=0x020000, driver="e1000e", group=7)
        tree.pci("0000:02:00.1", "10de:10f2", class_code=0x040300, driver="snd_hda_intel", group=7)
        tree.pci("0000:00:10.0", "8086:1901", class_code=0x060400, driver="pcieport", group=7)
        companion = rule('KERNEL=="0000:02:00.1", ATTR{vendor}=="0x10de", ATTR{device}=="0x10f2"', "vfio-pci", "vfio_pci")
        run(tree, NIC, strategy=strategy)
        assert companion in lines(tree, RULES)
        assert "snd_hda_intel" not in "".join(lines(tree, MODPROBE) + lines(tree, SOFTDEPS))
        run(tree, NIC, strategy=strategy, group="ignore")
        assert companion not in lines(tree, RULES)

    def test_a_class_claim_pins_each_kind_of_card_it_found(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, {"devices": "class:0302", "driver": "vfio-pci"})
        assert rules_of_own_events(tree, RULES) == [rule(f'{V100_KEYS}, ATTR{{class}}=="0x0302*"', "vfio-pci", "vfio_pci")]

    def test_cards_of_one_id_with_different_best_drivers_are_told_apart(self, tmp_path: Path) -> None:
        special = "vfio_pci:v000010DEd00001DB1sv000010DEsd00001212bc*sc*i*"
        tree = kernel(Tree(tmp_path), modules={**STOCK, "special_vfio": [special]})
        tree.pci("0000:3b:00.0", subsystem="10de:1212").pci("0000:5e:00.0", subsystem="10de:1213")
        tree.module("special_vfio", drivers=["special_vfio"])
        run(tree, V100)
        assert rules_of_own_events(tree, RULES) == [
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
        assert rules_of_own_events(tree, RULES) == [
            rule(f'{V100_KEYS}, SYSCTL{{kernel/osrelease}}!="{DEBIAN_12}"'),
            rule(f'{V100_KEYS}, SYSCTL{{kernel/osrelease}}=="{DEBIAN_12}"', "vfio-pci", "vfio_pci"),
        ]
        chosen = {(row["driver"], tuple(row["kernels"])) for row in result["assignments"]}
        assert chosen == {(VARIANT, (DEBIAN_13,)), ("vfio-pci", (DEBIAN_12,))}

    def test_a_kernel_without_the_named_module_is_a_warning(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), DEBIAN_12, STOCK, running=False)
        result = run(tree, {**V100, "driver": VARIANT})
        assert rules_of_own_events(tree, RULES) == [rule(V100_KEYS)]
        assert any(DEBIAN_12 in warning and VARIANT in warning for warning in result["warnings"])

    def test_a_module_that_no_kernel_has_is_refused_with_the_nearest_name(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), {**V100, "driver": "nvlink2_vfio_pci"})
        assert "nvlink2_vfio_pci" in message
        assert VARIANT in message

    def test_a_native_driver_that_is_built_in_is_a_warning(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO]}, builtin=["gpu/nouveau"], running=True)
        tree.driver("nouveau").pci("0000:3b:00.0", driver="nouveau", group=1)
        result = run(tree, V100)
        assert any("built into" in warning and "nouveau" in warning for warning in result["warnings"])


class TestBlacklist:
    def test_the_natives_are_blacklisted_and_the_rule_gives_the_device(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, strategy="blacklist")
        assert lines(tree, MODPROBE) == ["blacklist nouveau"]
        assert rules_of_own_events(tree, RULES) == [rule(V100_KEYS)]

    def test_a_driver_that_an_unclaimed_device_needs_is_refused(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path), {"devices": "0000:3b:00.0"}, strategy="blacklist")
        assert "nouveau" in message
        assert "0000:5e:00.0" in message
        assert "allow_shared_native" in message

    def test_that_driver_may_be_loaded_from_a_file_of_another_name(self, tmp_path: Path) -> None:
        """Debian's nvidia-current.ko is the module nvidia, by which sysfs calls it."""
        tree = gpu_host(tmp_path)
        kernel(tree, modules={**BUILT, "updates/dkms/nvidia-current": [NVIDIA_DISPLAY]})
        tree.file(f"/lib/modules/{DEBIAN_13}/updates/dkms/nvidia-current.ko", module_file(DEBIAN_13, [NVIDIA_DISPLAY], name="nvidia"))
        tree.module("nvidia", ["nvidia"]).pci("0000:5e:00.0", driver="nvidia")
        message = refused(tree, {"devices": "0000:3b:00.0"}, strategy="blacklist")
        assert "Blacklisting nvidia_current would take the driver from 0000:5e:00.0" in message
        message = refused(tree, {"devices": "0000:3b:00.0"}, strategy="blacklist", allow_shared_native=True)
        assert "0000:5e:00.0 (10de:1db1), whose driver nvidia is blacklisted, is in use" in message

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

    @pytest.mark.parametrize("strategy", ["override", "ids", "blacklist"])
    @pytest.mark.parametrize("name", ["vfio-pci", "vfio_pci_core", "vfio"])
    def test_a_module_of_vfio_is_not_a_native(self, tmp_path: Path, strategy: str, name: str) -> None:
        tree = kernel(gpu_host(tmp_path), modules={**BUILT, "vfio": [], "vfio_pci_core": []})
        message = refused(tree, V100, strategy=strategy, natives=["nouveau", name])
        assert message.startswith(f"natives: {name} is a module of VFIO")

    @pytest.mark.parametrize("alias", ["fs-ext4", "rtnl-link-bond", "md-raid1", "devname:mapper/control"])
    def test_what_drives_no_device_is_not_blacklisted(self, tmp_path: Path, alias: str) -> None:
        """Its file system would not be mounted, or its bond not be made, at the next boot."""
        tree = kernel(gpu_host(tmp_path), modules={**BUILT, "needed": [alias]})
        message = refused(tree, V100, strategy="blacklist", natives=["nouveau", "needed"], allow_shared_native=True)
        assert message.startswith(f"natives: needed is not a driver of devices; it is loaded for {alias}, which a blacklist would prevent.")

    def test_a_native_of_another_bus_with_a_further_name_is_one(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), modules={**BUILT, "sd_mod": ["block-major-8-*", "scsi:t-0x00*"]})
        run(tree, V100, strategy="blacklist", natives=["nouveau", "sd-mod"])
        assert lines(tree, MODPROBE) == ["blacklist nouveau", "blacklist sd_mod"]

    def test_natives_without_a_claim_that_uses_them_are_refused(self, tmp_path: Path) -> None:
        assert "natives" in refused(gpu_host(tmp_path), V100, natives=["nouveau"])


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
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/site.conf", "options vfio_pci disable_vga=1\n")
        tree.file("/usr/bin/dracut", mode=0o755).file("/usr/bin/mkinitcpio", mode=0o755)
        tree.file("/etc/group", "kvm:x:107:\n")
        before = contents(tree)
        run(tree, {**V100, "node": {"group": "kvm", "memlock": "1G"}}, {**NIC, "strategy": "ids"})
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

    def test_no_claims_are_no_removal(self, tmp_path: Path) -> None:
        """A variable that is empty by mistake would give the devices back."""
        tree = gpu_host(tmp_path)
        run(tree, V100)
        assert "no device is named" in refused(tree)

    def test_policies_of_two_names_do_not_touch_each_other(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, name="gpus")
        run(tree, NIC, name="nics")
        run(tree, state="absent", name="nics")
        assert rules_of_own_events(tree, "/etc/udev/rules.d/70-gpus.rules") == [rule(V100_KEYS)]
        assert not tree.place("/etc/udev/rules.d/70-nics.rules").exists()

    def test_a_name_that_would_hide_a_file_of_the_system_is_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/usr/lib/udev/rules.d/70-uaccess.rules", "# systemd\n")
        assert "/usr/lib/udev/rules.d/70-uaccess.rules" in refused(tree, V100, name="uaccess")

    @pytest.mark.parametrize("name", ["", "../x", "a.b", "A", "x" * 65, "a\nb"])
    def test_what_cannot_be_a_file_s_name_is_refused(self, tmp_path: Path, name: str) -> None:
        assert "name" in refused(gpu_host(tmp_path), V100, name=name)

    def test_one_file_that_cannot_be_written_takes_all_others_back(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modules-load.d", "no directory")
        message = refused(tree, NIC, strategy="ids")
        assert "/etc/modules-load.d" in message

    def test_the_result_tells_each_paths_digest_or_that_it_must_be_absent(self, tmp_path: Path) -> None:
        policy = run(gpu_host(tmp_path), V100)["policy"]
        assert sorted(policy["files"]) == sorted(ALL)
        assert {path for path, digest in policy["files"].items() if digest} == {RULES, HOOK}
