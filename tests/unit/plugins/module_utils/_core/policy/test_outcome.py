# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy that would not win is refused before anything is written; what cannot be determined is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, ROOT, Boot, Later, Reason, Winner
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
from ansible_collections.vfio.variants.plugins.module_utils._core.policy import outcome
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision, DriverChoice
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import make_plan
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest
from ansible_collections.vfio.variants.tests.unit import boots, images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.boot_menus import debian_grub
from ansible_collections.vfio.variants.tests.unit.policy_hosts import (
    BUILT,
    NIC,
    RULES,
    STOCK,
    V100,
    V100_KEYS,
    VARIANT,
    contents,
    early_rule,
    gpu_host,
    kernel,
    refused,
    rule,
    run,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, DRIVERCTL_RULES, E1000E, NVIDIA_DISPLAY, Tree

SITE = "/etc/modprobe.d/site.conf"


def with_driverctl(tree: Tree, driver: str) -> Tree:
    return tree.driverctl().file("/etc/driverctl.d/pci-0000:3b:00.0", f"{driver}\n")


def with_image(tree: Tree, **modules: list[str]) -> Tree:
    """An initrd with these modules in it, and none of the host's own files."""
    return tree.file(initramfs_files.IMAGE, images.packed(images.archive(initramfs_files.initramfs_tools(modules)), "gzip"))


class TestLinesOfOthers:
    @pytest.mark.parametrize("line", ["blacklist nvlink2gpu-vfio-pci", f"install {VARIANT} /bin/false"])
    def test_what_keeps_the_claimed_driver_from_loading_is_refused(self, tmp_path: Path, line: str) -> None:
        message = refused(gpu_host(tmp_path).file(SITE, f"# site\n{line}\n"), V100)
        assert f"on kernel {DEBIAN_13} they will have no driver: {SITE}:2: {line}. Remove {SITE}:2 ({line})" in message

    @pytest.mark.parametrize("argument", [f"modprobe.blacklist={VARIANT}", f"module_blacklist={VARIANT}"])
    def test_so_is_the_command_line(self, tmp_path: Path, argument: str) -> None:
        assert f"Remove {argument} from the command line (/proc/cmdline)" in refused(gpu_host(tmp_path).cmdline(argument), V100)

    def test_the_command_line_is_that_of_the_boot_to_come(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).cmdline(f"module_blacklist={VARIANT}")
        tree.file("/boot/grub/grub.cfg", debian_grub([DEBIAN_13])).file(f"/boot/initrd.img-{DEBIAN_13}")
        with_image(tree)
        assert run(tree, V100)["warnings"] == []
        tree.cmdline("quiet").file("/boot/grub/grub.cfg", debian_grub([DEBIAN_13], f"module_blacklist={VARIANT}"))
        assert "/boot/grub/grub.cfg:" in refused(tree, V100)

    def test_module_blacklist_with_a_dash_keeps_nothing_out_as_the_kernel_compares_it_to_the_letter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).cmdline(f"module_blacklist={VARIANT.replace('_', '-')}")
        assert run(tree, V100)["changed"]

    def test_a_later_rule_for_the_same_device_is_refused(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/90-site.rules", f'{V100_KEYS}, ATTR{{driver_override}}="vfio-pci"\n')
        message = refused(tree, V100)
        assert "/etc/udev/rules.d/90-site.rules:1: driver_override=vfio-pci" in message
        assert "Remove /etc/udev/rules.d/90-site.rules:1 (driver_override=vfio-pci), or drop the claim." in message

    def test_an_earlier_one_is_overruled_and_reported(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/10-site.rules", f'{V100_KEYS}, ATTR{{driver_override}}="vfio-pci"\n')
        assert any("/etc/udev/rules.d/10-site.rules:1" in warning for warning in run(tree, V100)["warnings"])

    def test_with_ids_any_other_override_wins_and_is_refused(self, tmp_path: Path) -> None:
        text = 'SUBSYSTEM=="pci", ATTR{vendor}=="0x8086", ATTR{device}=="0x10d3", ATTR{driver_override}="none"\n'
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/10-site.rules", text)
        assert "10-site.rules:1" in refused(tree, NIC, strategy="ids")

    def test_a_rule_that_says_the_same_does_not_matter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/udev/rules.d/90-site.rules", f'{V100_KEYS}, ATTR{{driver_override}}="{VARIANT}"\n')
        assert run(tree, V100)["warnings"] == []

    def test_a_list_that_loads_the_native_beside_udev_makes_a_race_and_is_refused(self, tmp_path: Path) -> None:
        message = refused(gpu_host(tmp_path).file("/etc/modules-load.d/gpu.conf", "nouveau\n"), V100)
        assert "they may be bound to nouveau: /etc/modules-load.d/gpu.conf:1: systemd-modules-load loads nouveau" in message

    def test_a_blacklisted_native_is_not_loaded_by_such_a_list(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modules-load.d/gpu.conf", "nouveau\n")
        assert run(tree, V100, strategy="blacklist")["warnings"] == []

    def test_what_lies_below_run_is_gone_at_the_next_boot(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/run/modprobe.d/now.conf", f"blacklist {VARIANT}\n")
        assert run(tree, V100)["warnings"] == []

    def test_two_claims_with_different_strategies_for_one_device_are_refused(self, tmp_path: Path) -> None:
        claims = ({**V100, "driver": "vfio-pci", "strategy": "ids"}, {"devices": "0000:3b:00.0", "driver": "vfio-pci"})
        message = refused(gpu_host(tmp_path), *claims)
        assert "claims[0].strategy" in message
        assert "claims[1].strategy" in message

    def test_a_second_policy_cannot_give_the_same_card_elsewhere(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        run(tree, V100, name="zz-gpus")
        assert "70-zz-gpus.rules" in refused(tree, {**V100, "driver": "vfio-pci"})


class TestDriverctl:
    def test_its_choice_is_refused_where_it_is_installed(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/driverctl.d/pci-0000:3b:00.0", "vfio-pci\n")
        assert run(tree, V100)["warnings"] == []
        message = refused(with_driverctl(tree, "vfio-pci"), V100)
        assert "it will be bound to vfio-pci: /etc/driverctl.d/pci-0000:3b:00.0" in message
        assert "driverctl --nosave unset-override 0000:3b:00.0" in message

    def test_so_is_a_driver_of_which_nobody_knows_whether_it_takes_the_card(self, tmp_path: Path) -> None:
        assert "/etc/driverctl.d/pci-0000:3b:00.0" in refused(with_driverctl(gpu_host(tmp_path), "e1000e"), V100)

    def test_the_claimed_driver_does_not_matter(self, tmp_path: Path) -> None:
        assert run(with_driverctl(gpu_host(tmp_path), VARIANT), V100)["warnings"] == []

    def test_what_it_has_saved_means_nothing_without_its_rule(self, tmp_path: Path) -> None:
        tree = with_driverctl(gpu_host(tmp_path), "nouveau")
        tree.place(DRIVERCTL_RULES).unlink()
        assert run(tree, V100)["warnings"] == []


class TestMachine:
    def test_without_an_iommu_no_vfio_driver_takes_a_device(self, tmp_path: Path) -> None:
        assert "iommu=off" in refused(gpu_host(tmp_path).cmdline("iommu=off"), V100)
        tree = gpu_host(tmp_path)
        tree.place("/sys/devices/pci0000:00/0000:00:00.0/iommu_group").unlink()
        assert "Switch the IOMMU on" in refused(tree, V100)

    def test_the_image_counts_as_rebuilt(self, tmp_path: Path) -> None:
        tree = with_image(gpu_host(tmp_path), nouveau=[NVIDIA_DISPLAY], e1000e=[E1000E])
        assert run(tree, V100, NIC)["warnings"] == []

    def test_what_the_image_holds_of_an_earlier_policy_of_ours_does_not_matter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path)
        entries = initramfs_files.initramfs_tools({"nouveau": [NVIDIA_DISPLAY]})
        stale = {**entries, RULES.replace("/etc/", "usr/lib/"): rule(V100_KEYS, "vfio-pci", "vfio_pci") + "\n"}
        tree.file(initramfs_files.IMAGE, images.packed(images.archive(stale), "gzip"))
        assert run(tree, V100)["warnings"] == []

    def with_stale_module(self, tree: Tree) -> Tree:
        """Another kernel, with the module that was built for the running one."""
        kernel(tree, DEBIAN_12, BUILT, running=False)
        file = f"updates/dkms/{VARIANT}.ko"
        return tree.file(f"/lib/modules/{DEBIAN_12}/{file}", tree.place(f"/lib/modules/{DEBIAN_13}/{file}").read_bytes())

    def test_a_module_that_one_of_several_kernels_does_not_load_is_refused_with_its_release(self, tmp_path: Path) -> None:
        message = refused(self.with_stale_module(gpu_host(tmp_path)), V100)
        assert f"on kernel {DEBIAN_12} they will have no driver: {VARIANT} of {DEBIAN_12}: " in message
        assert f"was built for {DEBIAN_13}, not for {DEBIAN_12}" in message

    def test_only_chosen_kernels_count(self, tmp_path: Path) -> None:
        assert run(self.with_stale_module(gpu_host(tmp_path)), V100, kernels=["running"])["warnings"] == []

    def test_the_running_kernel_tells_what_is_built_in_though_another_one_is_chosen(self, tmp_path: Path) -> None:
        tree = kernel(Tree(tmp_path), DEBIAN_12, STOCK, running=False)
        kernel(tree, DEBIAN_13, {"vfio-pci": STOCK["vfio-pci"]}, ["gpu/nouveau"])
        kernel(tree, DEBIAN_12, {"vfio-pci": STOCK["vfio-pci"]}, ["gpu/nouveau"], running=False)
        tree.driver("nouveau").pci("0000:3b:00.0", driver="nouveau")
        assert "built into kernel " + DEBIAN_12 in refused(tree, V100, kernels=[DEBIAN_12], require_certain=True)
        assert any("built into kernel " + DEBIAN_12 in warning for warning in run(tree, V100, kernels=[DEBIAN_12])["warnings"])


class TestWhatCannotBeDetermined:
    @pytest.mark.parametrize(
        ("path", "text"),
        [
            (SITE, f"install {VARIANT} /usr/local/bin/load-it\n"),
            ("/etc/udev/rules.d/90-site.rules", f'{V100_KEYS}, PROGRAM=="/bin/ask", ATTR{{driver_override}}="vfio-pci"\n'),
        ],
    )
    def test_is_a_warning_with_file_and_line_and_the_policy_is_written(self, tmp_path: Path, path: str, text: str) -> None:
        script = '#!/bin/sh\nask-somebody && modprobe --ignore-install "$1"\n'
        tree = gpu_host(tmp_path).file(path, text).file("/usr/local/bin/load-it", script, mode=0o755)
        result = run(tree, V100)
        (warning,) = result["warnings"]
        expected = f"Whether 0000:3b:00.0 and 0000:5e:00.0 will be bound to {VARIANT} on kernel {DEBIAN_13} cannot be determined: "
        assert warning.startswith(expected)
        assert f"{path}:1" in warning
        assert result["changed"]
        assert str(tree.place(RULES)) in contents(tree)

    def test_is_an_error_where_certainty_is_asked_for(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file(
            "/etc/udev/rules.d/90-site.rules", f'{V100_KEYS}, PROGRAM=="/bin/ask", ATTR{{driver_override}}="x"\n'
        )
        (warning,) = run(tree, V100, check=True)["warnings"]
        assert refused(tree, V100, require_certain=True).startswith(warning)
        tree.place("/etc/udev/rules.d/90-site.rules").unlink()
        assert run(tree, V100, require_certain=True)["changed"]

    def test_a_kernel_that_is_in_no_menu_is_one_warning(self, tmp_path: Path) -> None:
        tree = kernel(gpu_host(tmp_path), DEBIAN_12, BUILT, running=False)
        (warning,) = run(tree, V100, NIC)["warnings"][:1]
        assert f"on kernel {DEBIAN_12} cannot be determined: The boot loader's menu has no entry" in warning

    def test_an_unknown_boot_makes_nothing_win_that_loses_by_what_is_known(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file(initramfs_files.IMAGE, b"no image").file(SITE, f"blacklist {VARIANT}\n")
        assert f"{SITE}:1" in refused(tree, V100)
        tree.place(SITE).unlink()
        assert initramfs_files.IMAGE in "".join(run(tree, V100)["warnings"])

    def test_nor_does_a_rule_that_may_or_may_not_match(self, tmp_path: Path) -> None:
        doubtful = f'{V100_KEYS}, PROGRAM=="/bin/ask", ATTR{{driver_override}}="vfio-pci"\n'
        tree = gpu_host(tmp_path).file(SITE, f"blacklist {VARIANT}\n").file("/etc/udev/rules.d/90-site.rules", doubtful)
        assert f"{SITE}:1" in refused(tree, V100)


class TestIdsOfOthers:
    @pytest.mark.parametrize("strategy", ["override", "blacklist"])
    @pytest.mark.parametrize(
        "word", ["ids=8086:1533,10DE:1DB1", '"ids=10de:1db1"', 'ids="10de:1db1"', "ids=10de:1db1:10de:1212", "ids=10de:ffffffff"]
    )
    def test_ids_that_give_the_card_to_another_module_are_refused(self, tmp_path: Path, strategy: str, word: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", f"options vfio-pci {word}\n")
        for address in ("0000:3b:00.0", "0000:5e:00.0"):
            tree.pci(address, subsystem="10de:1212", driver="nouveau")
        assert "/etc/modprobe.d/vfio.conf:1 gives 10de:1db1 to vfio_pci" in refused(tree, V100, strategy=strategy)

    @pytest.mark.parametrize(
        "text", ["options vfio-pci ids=10de:1db1:10de:1213\n", "options vfio-pci ids=10de:1db1\noptions vfio-pci ids=1:2\n"]
    )
    def test_ids_that_name_another_card_or_are_replaced_are_no_matter(self, tmp_path: Path, text: str) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", text)
        assert run(tree, V100)["warnings"] == []

    def test_with_override_ids_for_the_same_module_are_no_matter(self, tmp_path: Path) -> None:
        tree = gpu_host(tmp_path).file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=8086:10d3\n")
        assert run(tree, NIC)["warnings"] == []


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


def test_a_card_whose_native_another_event_may_load_wins_by_the_rule_for_any_event(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    run(tree, V100)
    assert early_rule("0000:3b:00.0") in tree.place(RULES).read_text()


CARD = boots.device()
BY_ADDRESS = Selector(CARD.address, address=CARD.address)
DECISION = Decision(CARD, Claim((BY_ADDRESS,), "vfio-pci"), (BY_ADDRESS,), "override", (DriverChoice(DEBIAN_13, "vfio_pci", "vfio-pci"),))
OVERRIDES = f'KERNEL=="{CARD.address}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'


def checked(boot: Boot) -> tuple[str, ...]:
    """What is said of a boot in which the card's rule is there already, where nobody asks for certainty."""
    config = {DEBIAN_13: boot.stages[-1].config}
    facts = PolicyFacts(
        Inventory((CARD,), {}), (boots.kernel(),), config, {}, {}, initramfs_tools=False, dracut=False, ids_modules=frozenset()
    )
    return outcome.check(make_plan(PolicyRequest(), [DECISION], facts), [boot], facts)


def test_everything_that_is_not_known_is_said_a_sentence_each() -> None:
    (warning,) = checked(boots.boot(rules=OVERRIDES, doubts=("One thing is not known.", "Nor is another.")))
    start = f"Whether {CARD.address} will be bound to vfio-pci on kernel {DEBIAN_13} cannot be determined: "
    assert warning == f"{start}One thing is not known. Nor is another."


def test_what_is_not_known_of_units_makes_nothing_win_that_loses_by_what_is_known() -> None:
    blacklisted = boots.boot(rules=OVERRIDES, modprobe="blacklist vfio-pci\n", later=Later(doubts=("A unit cannot be read.",)))
    with pytest.raises(HostError, match=r"blacklist vfio-pci"):
        checked(blacklisted)


def test_of_the_reasons_three_are_named_and_none_of_our_own_files() -> None:
    because = [Reason("/ours", "a line"), *(Reason(place, "a fact") for place in "abcd"), Reason("or vfio-pci", "a chance")]
    lost = outcome.Outcome(DECISION, "vfio-pci", boots.boot(), Winner("nouveau", CERTAIN, ROOT, tuple(because), ("nouveau",)), ())
    assert lost.reasons(["/ours"]) == "a: a fact; b: a fact; c: a fact"
