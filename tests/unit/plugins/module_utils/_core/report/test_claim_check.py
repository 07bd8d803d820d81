# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `claim_info` says of claims: are they met, will they be, and what does it expect."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import boot_menus, images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import ANY, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_12, DEBIAN_13, NVIDIA_DISPLAY, Tree, modalias

GPU, SECOND = "0000:3b:00.0", "0000:5e:00.0"
V100 = "10de:1db1"
RULES = "/etc/udev/rules.d/70-gpu.rules"
OVERRIDE = (
    'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci", '
    'ATTR{[subsystem/pci]drivers_probe}="$kernel", RUN{builtin}+="kmod load vfio_pci"\n'
)


def host(root: Path, *, policy: str | None = None, releases: t.Sequence[str] = (DEBIAN_13,), loader: bool = True) -> Tree:
    """Debian 13 with nouveau and vfio-pci; the images hold the policy, if there is one."""
    tree = Tree(root).systemd().cmdline(boot_menus.ROOT)
    for release in releases:
        _kernel(tree, release, policy)
    tree.running(releases[0])
    tree.file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755).directory("/etc/initramfs-tools")
    if policy is not None:
        tree.file(RULES, policy)
    return tree.file("/boot/grub/grub.cfg", boot_menus.debian_grub(releases)) if loader else tree


def _kernel(tree: Tree, release: str, policy: str | None) -> None:
    nouveau = driver_file(release, [Driver(b"nouveau", (Entry(0x10DE, ANY, 0x030000, 0xFF0000),))], aliases=[NVIDIA_DISPLAY])
    vfio = driver_file(release, [Driver(b"vfio-pci", (Entry(override=1),))], aliases=[ANY_VFIO], parmtype="ids:string")
    tree.kernel(release, {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]})
    tree.file(f"/lib/modules/{release}/kernel/drivers/nouveau.ko", nouveau).file(f"/lib/modules/{release}/kernel/drivers/vfio-pci.ko", vfio)
    held = {} if policy is None else {"usr/lib/udev/rules.d/70-gpu.rules": policy}
    content = {**initramfs_files.initramfs_tools({"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}, release=release), **held}
    tree.file(f"/boot/initrd.img-{release}", images.packed(images.archive(content), "gzip"))


def asked(tree: Tree, **given: t.Any) -> dict[str, t.Any]:
    return claim_info(tree.host(Commands(tree.root)), **given)


def info(tree: Tree, **given: t.Any) -> dict[str, t.Any]:
    return device_info(tree.host(Commands(tree.root)), **given)


def failures(tree: Tree, **given: t.Any) -> list[str]:
    with pytest.raises(HostError) as caught:
        asked(tree, **given)
    assert str(caught.value).split("\n") == caught.value.facts["failures"]
    return t.cast("list[str]", caught.value.facts["failures"])


def test_a_claim_that_will_win_is_told_with_its_facts(tmp_path: Path) -> None:
    told = asked(host(tmp_path, policy=OVERRIDE).pci(GPU, V100, driver="nouveau", group=1), devices=GPU, require="winner")
    (device,) = told["devices"]
    assert (device["address"], device["claimed"], device["driver"]) == (GPU, "vfio-pci", "nouveau")
    assert (device["satisfied"], device["will_be_satisfied"]) == (False, True)
    assert (device["kernels"][DEBIAN_13]["winner"], device["kernels"][DEBIAN_13]["certainty"]) == ("vfio-pci", "certain")
    assert device["kernels"][DEBIAN_13]["would_change"] is None
    assert (told["next_boot"]["release"], told["failures"]) == (DEBIAN_13, [])


def test_a_claim_that_will_lose_fails_with_one_sentence_that_says_who_wins_and_why(tmp_path: Path) -> None:
    tree = host(tmp_path).pci(GPU, V100, driver="nouveau", group=1).pci(SECOND, V100, driver="nouveau", group=2)
    found = failures(tree, devices=V100, require="winner")
    assert [sentence[: len(GPU)] for sentence in found] == [GPU, SECOND]
    assert f"{GPU} (10de:1db1) will be bound to nouveau, not vfio-pci, on kernel {DEBIAN_13} (" in found[0]
    assert found[0].endswith(f"). Claim {GPU} for vfio-pci with boot_policy, then rebuild /boot/initrd.img-{DEBIAN_13}.")


def test_a_claim_for_a_driver_that_the_kernel_lacks_says_so_and_names_no_rule(tmp_path: Path) -> None:
    rule = f'SUBSYSTEM=="pci", KERNEL=="{GPU}", ATTR{{driver_override}}="nvlink2gpu_vfio_pci"\n'
    tree = host(tmp_path, policy=rule).pci(GPU, V100, driver="nouveau", group=1)
    (found,) = failures(tree, require="winner")
    lacks = f"Kernel {DEBIAN_13} has no module with a driver nvlink2gpu_vfio_pci: install or build it for that kernel first."
    assert found == f"{GPU} (10de:1db1) will have no driver, not nvlink2gpu_vfio_pci, on kernel {DEBIAN_13}. {lacks}"
    (device,) = device_info(tree.host(Commands(tree.root)), devices=GPU, detail="brief")["devices"]
    assert device["because"] == f"kernel {DEBIAN_13}: has no module with a driver nvlink2gpu_vfio_pci"


def test_what_would_help_is_told_beside_the_failure(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        asked(host(tmp_path).pci(GPU, V100, driver="nouveau", group=1), devices=GPU, require="winner")
    (device,) = caught.value.facts["devices"]
    assert GPU in device["kernels"][DEBIAN_13]["would_change"]


def test_what_would_help_is_part_of_the_full_answer_about_a_host_and_nothing_else_differs(tmp_path: Path) -> None:
    tree = host(tmp_path).file(RULES, OVERRIDE).pci(GPU, V100, driver="nouveau", group=1)
    (brief,), (full,) = (info(tree, detail=detail)["devices"] for detail in ("brief", "full"))
    assert full["next_boot"]["would_change"] == f"Rebuild /boot/initrd.img-{DEBIAN_13}: it does not have what the root's files say."
    assert brief == {name: full[name] for name in brief}
    assert brief["next_driver"] == "nouveau"


def test_what_a_forecast_takes_for_granted_is_returned_on_request_from_the_cache_too(tmp_path: Path) -> None:
    tree = host(tmp_path, policy=OVERRIDE).pci(GPU, V100, driver="nouveau", group=1)
    said = "The probe of vfio-pci succeeds, which is not bound to the device now."
    for returned, of in ((asked, {"devices": GPU}), (info, {}), (info, {})):
        assert "assumes" not in returned(tree, **of)["devices"][0]["kernels"][DEBIAN_13]
        assert said in returned(tree, **of, assumes=True)["devices"][0]["kernels"][DEBIAN_13]["assumes"]


def test_without_an_expectation_a_claim_that_will_lose_is_only_told(tmp_path: Path) -> None:
    told = asked(host(tmp_path).pci(GPU, V100, driver="nouveau", group=1), devices=GPU)
    assert (told["devices"][0]["will_be_satisfied"], told["failures"]) == (False, [])


def test_what_cannot_be_seen_fails_and_is_named(tmp_path: Path) -> None:
    tree = host(tmp_path, policy=OVERRIDE).pci(GPU, V100, group=1)
    tree.file(f"/boot/initrd.img-{DEBIAN_13}", b"nothing that anybody knows")
    (sentence,) = failures(tree, devices=GPU, require="winner")
    assert f"another driver): /boot/initrd.img-{DEBIAN_13}" in sentence


def test_only_one_of_two_kernels_may_be_what_fails(tmp_path: Path) -> None:
    tree = host(tmp_path, policy=OVERRIDE, releases=(DEBIAN_13, DEBIAN_12)).pci(GPU, V100, group=1)
    tree.file(f"/boot/initrd.img-{DEBIAN_12}", b"nothing that anybody knows")
    assert asked(tree, devices=GPU, require="winner")["failures"] == []
    (sentence,) = failures(tree, devices=GPU, require="winner", kernels=["all"])
    assert DEBIAN_12 in sentence
    assert f"on kernel {DEBIAN_13}" not in sentence


def test_where_nobody_knows_the_next_kernel_all_are_looked_at(tmp_path: Path) -> None:
    told = asked(host(tmp_path, releases=(DEBIAN_13, DEBIAN_12), loader=False).pci(GPU, V100, group=1), devices=GPU)
    assert told["next_boot"]["release"] is None
    assert set(told["devices"][0]["kernels"]) == {DEBIAN_12, DEBIAN_13}


def test_satisfied_is_about_the_owner_now(tmp_path: Path) -> None:
    assert asked(host(tmp_path / "met").pci(GPU, V100, driver="vfio-pci", group=1), devices=GPU, require="satisfied")["failures"] == []
    tree = host(tmp_path / "unmet", policy=OVERRIDE).pci(GPU, V100, driver="nouveau", group=1)
    sentence = f"{GPU} (10de:1db1) is bound to nouveau, not to vfio-pci as claimed. device_claim binds it to vfio-pci."
    assert failures(tree, devices=GPU, require="satisfied") == [sentence]


def test_the_companions_in_the_group_are_looked_at_unless_they_are_to_be_ignored(tmp_path: Path) -> None:
    tree = host(tmp_path).pci(GPU, V100, group=4).pci("0000:3b:00.1", "10de:10f7", class_code=0x040300, group=4)
    assert [device["address"] for device in asked(tree, devices=GPU)["devices"]] == [GPU, "0000:3b:00.1"]
    assert [device["address"] for device in asked(tree, devices=GPU, group="ignore")["devices"]] == [GPU]


def test_an_image_is_asked_about_the_hardware_that_it_is_for(tmp_path: Path) -> None:
    tree = host(tmp_path, policy=OVERRIDE)
    for path in ("/proc/sys/kernel/osrelease", "/proc/cmdline"):
        tree.place(path).unlink()
    card = {"modalias": modalias(V100), "address": GPU}
    told = asked(tree, hardware=[card], devices=V100, require="winner")
    assert (told["devices"][0]["satisfied"], told["devices"][0]["will_be_satisfied"]) == (None, True)
    with pytest.raises(HostError, match="no kernel runs here"):
        asked(tree, hardware=[card], devices=V100, require="satisfied")
    with pytest.raises(HostError, match="Describe the devices with hardware"):
        asked(tree, devices=V100)


def test_a_claim_is_checked_as_device_claim_checks_it(tmp_path: Path) -> None:
    tree = host(tmp_path).pci(GPU, V100, group=1)
    with pytest.raises(HostError, match="matches no PCI device"):
        asked(tree, devices="8086:10d3", require="winner")
    with pytest.raises(HostError, match="matches no PCI device"):
        asked(tree, claims=[{"devices": "8086:10d3", "allow_missing": False}])
    assert asked(tree, devices="8086:10d3")["devices"] == []
    assert asked(tree, devices="8086:10d3", require="winner", allow_missing=True)["devices"] == []
    with pytest.raises(HostError, match="is not a valid selector"):
        asked(tree, devices="nvidia")
    with pytest.raises(HostError, match=r"claims\[0\]\.expect: 0000:3b:00\.0 is 10de:1db1, not 10de:1db5"):
        asked(tree, claims=[{"devices": GPU, "expect": "10de:1db5"}])
    with pytest.raises(HostError, match="there is no module vfoi-pci"):
        asked(tree, devices=GPU, driver="vfoi-pci")
    with pytest.raises(HostError, match=r"kernels: kernel 6\.9 is not installed"):
        asked(tree, devices=GPU, kernels=["6.9"])


def test_virtual_functions_of_vgpu_are_handed_out_though_nvidia_has_them(tmp_path: Path) -> None:
    """As with NVIDIA's vGPU on Linux 6.8 and newer: the functions stay bound, and take a type in `nvidia/current_vgpu_type`."""
    physical, first, second, third = "0000:41:00.0", "0000:41:00.4", "0000:41:00.5", "0000:41:00.6"
    tree = host(tmp_path).pci(physical, "10de:2235", driver="nvidia", max_virtual_functions=32)
    for address, nodes in ((first, ("nvidia", "vfio-dev/vfio0")), (second, ("nvidia",)), (third, ())):
        tree.pci(address, "10de:2235", driver="nvidia", physical_function=physical, nodes=nodes)
    shown = {device["address"]: device["handed_out"] for device in info(tree)["devices"]}
    assert shown == {physical: False, first: True, second: True, third: False}
    told = {device["address"]: device for device in asked(tree, devices="10de:2235")["devices"]}
    assert [told[address]["claimed"] for address in (physical, first, second, third)] == ["vfio-pci", "nvidia", "nvidia", "vfio-pci"]
    assert [told[address]["satisfied"] for address in (physical, first, second, third)] == [False, True, True, False]
    (named,) = asked(tree, devices=first, driver="vfio-pci")["devices"]
    assert (named["claimed"], named["satisfied"]) == ("vfio-pci", False)


def test_what_a_vfio_driver_has_is_handed_out_and_still_claimed_for_the_best_one(tmp_path: Path) -> None:
    tree = host(tmp_path).pci(GPU, V100, driver="vfio-pci", nodes=["vfio-dev/vfio0"]).pci(SECOND, V100, driver="nouveau")
    assert [device["handed_out"] for device in info(tree)["devices"]] == [True, False]
    assert [device["satisfied"] for device in asked(tree, devices=V100)["devices"]] == [True, False]


class TestInstalledPolicy:
    def test_without_claims_what_the_policy_assigns_is_checked(self, tmp_path: Path) -> None:
        tree = host(tmp_path, policy=OVERRIDE).pci(GPU, V100, driver="nouveau", group=1).pci(SECOND, "8086:10d3", class_code=0x020000)
        (device,) = asked(tree, require="winner")["devices"]
        assert (device["address"], device["claimed"], device["will_be_satisfied"], device["satisfied"]) == (GPU, "vfio-pci", True, False)
        assert device["kernels"][DEBIAN_13]["kind"] == "generic"
        assert failures(tree, require="satisfied")[0].startswith(f"{GPU} (10de:1db1) is bound to nouveau, not to vfio-pci as claimed.")

    def test_a_policy_that_will_lose_fails_with_what_helps(self, tmp_path: Path) -> None:
        tree = host(tmp_path).file("/etc/modprobe.d/gpu.conf", "options vfio-pci ids=10de:1db1\n").pci(GPU, V100, driver="nouveau", group=1)
        (sentence,) = failures(tree, require="winner")
        assert f"{GPU} (10de:1db1) will be bound to nouveau, not vfio-pci, on kernel" in sentence
        assert sentence.endswith(asked(tree)["devices"][0]["kernels"][DEBIAN_13]["would_change"])

    def test_a_host_without_a_policy_has_nothing_to_check(self, tmp_path: Path) -> None:
        assert asked(host(tmp_path).pci(GPU, V100), require="winner")["devices"] == []

    def test_an_empty_list_of_claims_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(HostError, match="neither to check the installed policy"):
            asked(host(tmp_path).pci(GPU, V100), claims=[])


class TestWithoutInstalledKernels:
    """As in a container, or after the running kernel's package was removed."""

    @pytest.mark.parametrize(
        ("given", "bound", "satisfied"),
        [
            ({"driver": "vfio-pci"}, "vfio-pci", True),
            ({"driver": "vfio_pci"}, "vfio-pci", True),
            ({"driver": "nouveau"}, "vfio-pci", False),
            ({}, "vfio-pci", True),
            ({}, "nvlink2gpu_vfio_pci", True),
            ({}, "nouveau", False),
            ({"driver": "variant"}, "nvlink2gpu_vfio_pci", True),
            ({"driver": "variant"}, "vfio-pci", None),
        ],
    )
    def test_satisfied_is_answered(self, tmp_path: Path, given: dict[str, str], bound: str, satisfied: bool | None) -> None:
        nodes = [] if bound == "nouveau" else ["vfio-dev/vfio0"]
        tree = Tree(tmp_path).running("6.9").pci(GPU, V100, driver=bound, nodes=nodes, group=1)
        (found,) = asked(tree, devices=GPU, **given)["devices"]
        assert (found["satisfied"], found["will_be_satisfied"]) == (satisfied, None)

    def test_what_will_be_cannot_be_required(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path).running("6.9").pci(GPU, V100, driver="vfio-pci", nodes=["vfio-dev/vfio0"], group=1)
        assert asked(tree, devices=GPU, require="satisfied")["failures"] == []
        with pytest.raises(HostError, match="no kernel that is installed"):
            asked(tree, devices=GPU, require="winner")

    @pytest.mark.parametrize("given", [{"devices": GPU}, {"devices": GPU, "driver": "vfio-pci"}, {}])
    def test_a_root_where_nothing_runs_and_nothing_is_installed_meets_no_requirement(self, tmp_path: Path, given: dict[str, str]) -> None:
        tree = Tree(tmp_path).pci(GPU, V100, driver="vfio-pci", nodes=["vfio-dev/vfio0"], group=1)
        with pytest.raises(HostError, match="no kernel that is installed"):
            asked(tree, require="winner", **given)
        if given:
            (found,) = asked(tree, **given)["devices"]
            assert (found["claimed"], found["satisfied"], found["will_be_satisfied"], found["kernels"]) == (None, None, None, {})
            with pytest.raises(HostError, match="no kernel runs here"):
                asked(tree, require="satisfied", **given)

    def test_a_driver_that_cannot_be_determined_meets_no_requirement(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path).running("6.9").pci(GPU, V100, driver="vfio-pci", nodes=["vfio-dev/vfio0"], group=1)
        with pytest.raises(HostError, match="its modules are not installed"):
            asked(tree, devices=GPU, driver="variant", require="satisfied")


class TestWithoutPci:
    """As boards have none."""

    def test_nothing_is_found_unless_something_is_required(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path).running("6.9")
        assert asked(tree, devices=GPU)["devices"] == []
        assert asked(tree, require="winner")["devices"] == []
        with pytest.raises(HostError, match=f"{GPU} matches no PCI device"):
            asked(tree, devices=GPU, require="winner")
