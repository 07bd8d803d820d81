# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding on the running kernel: what is planned, what is refused, and that a failure leaves everything as it was."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import IGNORE, OPTIONAL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, V100_VARIANT, Tree

GPU, SECOND, NIC, AUDIO, PORT = "0000:01:00.0", "0000:02:00.0", "0000:03:00.0", "0000:01:00.1", "0000:01:00.2"
VARIANT = "nvlink2gpu_vfio_pci"
EVERYTHING = dict.fromkeys(OPTIONAL, IGNORE)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"nouveau": [NVIDIA_DISPLAY], "e1000e": [E1000E], "vfio-pci": [ANY_VFIO], VARIANT: [V100_VARIANT]}
    return (
        Tree(tmp_path)
        .kernel(DEBIAN_13, modules, running=True)
        .pci(GPU, driver="nouveau", group=15)
        .pci(SECOND, driver="nouveau", group=16)
        .pci(NIC, id="8086:10d3", class_code=0x020000, driver="e1000e", group=17)
        .file("/dev/vfio/15")
        .file("/dev/vfio/16")
        .file("/dev/vfio/17")
    )


def kernel_of(tree: Tree) -> ModelKernel:
    natives = {GPU: "nouveau", SECOND: "nouveau", NIC: "e1000e", AUDIO: "snd_hda_intel"}
    loadable = {"vfio_pci": ["vfio-pci"], "vfio-pci": ["vfio-pci"], VARIANT: [VARIANT], "nouveau": ["nouveau"], "e1000e": ["e1000e"]}
    return ModelKernel(tree, natives, loadable)


def claim(kernel: ModelKernel, devices: t.Any, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return device_claim(kernel, check_mode, devices=devices, **{"timeout": 5, **options})


def test_a_gpu_goes_to_its_variant_and_the_other_card_stays(tree: Tree) -> None:
    kernel = kernel_of(tree)
    result = claim(kernel, GPU)
    (device,) = result["devices"]
    assert result["changed"]
    assert (kernel.owner(GPU), kernel.override(GPU)) == (VARIANT, VARIANT)
    assert (kernel.owner(SECOND), kernel.override(SECOND)) == ("nouveau", None)
    assert (device["driver_before"], device["driver"], device["vfio_node"]) == ("nouveau", VARIANT, "/dev/vfio/15")
    assert device["kind"] == "variant"


def test_the_node_of_the_function_alone_is_named_where_the_kernel_has_one(tree: Tree) -> None:
    tree.pci(GPU, driver=VARIANT, group=15).file(f"/sys/bus/pci/devices/{GPU}/vfio-dev/vfio3/uevent", "")
    assert claim(kernel_of(tree), GPU)["devices"][0]["vfio_cdev"] is None
    tree.file(f"/sys/bus/pci/devices/{GPU}/vfio-dev/vfio3/dev", "511:0\n")
    assert claim(kernel_of(tree), GPU)["devices"][0]["vfio_cdev"] == "/dev/vfio/devices/vfio3"


@pytest.mark.parametrize("check_mode", [True, False])
def test_vfio_pci_is_not_a_variant(tree: Tree, check_mode: bool) -> None:
    assert claim(kernel_of(tree), NIC, check_mode)["devices"][0]["kind"] == "generic"
    assert claim(kernel_of(tree), NIC, check_mode, state="absent")["devices"][0]["kind"] == "native"


def test_a_second_run_writes_nothing(tree: Tree) -> None:
    kernel = kernel_of(tree)
    claim(kernel, "10de:1db1")
    kernel.log.clear()
    assert not claim(kernel, "10de:1db1")["changed"]
    assert kernel.log == []


def test_check_mode_predicts_what_the_run_does_and_writes_nothing(tree: Tree) -> None:
    kernel = kernel_of(tree)
    predicted = claim(kernel, ["10de:1db1", NIC], check_mode=True)
    assert kernel.log == []
    assert claim(kernel, ["10de:1db1", NIC]) == predicted


def test_check_mode_predicts_a_variant_that_is_not_installed_yet(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO], "nouveau": [NVIDIA_DISPLAY]}, running=True)
    tree.pci(GPU, driver="nouveau", group=15)
    pending = [{"name": VARIANT, "aliases": [V100_VARIANT]}]
    assert claim(kernel_of(tree), GPU, check_mode=True, pending_modules=pending)["devices"][0]["driver"] == VARIANT


def test_a_device_that_its_driver_has_without_an_override_is_not_touched(tree: Tree) -> None:
    tree.pci("0000:04:00.0", id="8086:10d3", class_code=0x020000, driver="vfio-pci", group=18)
    kernel = kernel_of(tree)
    assert not claim(kernel, "0000:04:00.0")["changed"]
    assert kernel.log == []


def test_an_override_that_names_another_driver_is_put_right_without_a_rebind(tree: Tree) -> None:
    tree.pci("0000:04:00.0", id="8086:10d3", class_code=0x020000, driver="vfio-pci", override="e1000e", group=18)
    kernel = kernel_of(tree)
    result = claim(kernel, "0000:04:00.0")
    assert result["devices"][0]["steps"] == ["set driver_override to vfio-pci"]
    assert (kernel.owner("0000:04:00.0"), kernel.override("0000:04:00.0")) == ("vfio-pci", "vfio-pci")
    assert kernel.log == ["devices/0000:04:00.0/driver_override <- vfio-pci"]


def test_a_refused_probe_puts_every_device_back(tree: Tree) -> None:
    kernel = kernel_of(tree)
    kernel.refusing.add("vfio-pci")
    with pytest.raises(HostError) as caught:
        claim(kernel, ["10de:1db1", NIC])
    assert "0000:03:00.0 (8086:10d3) is owned by no driver after it was offered to vfio-pci" in str(caught.value)
    assert [kernel.owner(address) for address in (GPU, SECOND, NIC)] == ["nouveau", "nouveau", "e1000e"]
    assert [kernel.override(address) for address in (GPU, SECOND, NIC)] == [None, None, None]


def test_a_failure_is_undone_from_the_last_device_to_the_first(tree: Tree) -> None:
    kernel = kernel_of(tree)
    kernel.refusing.add("vfio-pci")
    with pytest.raises(HostError) as caught:
        claim(kernel, ["10de:1db1", NIC])
    given_back = [line.split(" <- ")[1] for line in kernel.log if line.startswith(("drivers/nouveau/bind", "drivers/e1000e/bind"))]
    assert given_back == [NIC, SECOND, GPU]
    assert re.findall(r"(\S+) is back with", caught.value.msg) == [NIC, SECOND, GPU]


def test_a_driver_that_probes_asynchronously_is_waited_for(tree: Tree) -> None:
    kernel = kernel_of(tree)
    kernel.asynchronous.add(VARIANT)
    assert claim(kernel, GPU)["devices"][0]["driver"] == VARIANT
    assert kernel.owner(GPU) == VARIANT


def test_a_module_that_cannot_be_loaded_is_told_before_anything_is_touched(tree: Tree) -> None:
    kernel = kernel_of(tree)
    kernel.loadable = {}
    with pytest.raises(HostError, match=f"Module {VARIANT} cannot be loaded"):
        claim(kernel, GPU)
    assert kernel.owner(GPU) == "nouveau"
    assert not [line for line in kernel.log if "<-" in line]


def test_a_driver_that_does_not_let_go_is_told_with_what_comes_next(tree: Tree) -> None:
    kernel = kernel_of(tree)
    kernel.hanging.add("nouveau")
    with pytest.raises(HostError) as caught:
        claim(kernel, GPU)
    assert "nouveau did not release 0000:01:00.0 within 5 s" in caught.value.msg
    assert "0000:01:00.0 is left with driver nouveau and driver_override nvlink2gpu_vfio_pci" in caught.value.msg
    assert "completes the unbind as soon as the device is released" in str(caught.value.hint)
    assert caught.value.facts["left"][0]["driver_override"] == VARIANT


def test_a_device_that_a_process_holds_open_is_refused_by_name(tree: Tree) -> None:
    tree.file(f"/sys/bus/pci/devices/{GPU}/drm/card0/uevent", "MAJOR=226\nMINOR=0\nDEVNAME=dri/card0\n")
    tree.link("/proc/4711/fd/7", "/dev/dri/card0").file("/proc/4711/comm", "Xorg\n")
    kernel = kernel_of(tree)
    with pytest.raises(HostError, match=r"0000:01:00.0 \(10de:1db1\) is in use: process 4711 \(Xorg\) has /dev/dri/card0 open"):
        claim(kernel, GPU)
    assert kernel.owner(GPU) == "nouveau"
    assert claim(kernel, GPU, guards={"in_use": "ignore"})["changed"]


@pytest.mark.parametrize("above", [(), ("br0",), ("bond0", "br0")])
def test_the_interface_of_the_default_route_is_never_taken(tree: Tree, above: tuple[str, ...]) -> None:
    tree.directory(f"/sys/bus/pci/devices/{NIC}/net/enp3s0").directory("/sys/class/net/enp3s0")
    chain = ("enp3s0", *above)
    for lower, upper in zip(chain, chain[1:]):
        tree.directory(f"/sys/class/net/{lower}/upper_{upper}").directory(f"/sys/class/net/{upper}")
    header = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    tree.file("/proc/net/route", f"{header}{chain[-1]} 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n")
    with pytest.raises(HostError, match=f"{chain[-1]} carries the default route"):
        claim(kernel_of(tree), NIC, guards=EVERYTHING)


def test_the_interface_of_an_ipv6_default_route_is_never_taken(tree: Tree) -> None:
    tree.directory(f"/sys/bus/pci/devices/{NIC}/net/enp3s0").directory("/sys/class/net/enp3s0")
    zero = "0" * 32
    tree.file("/proc/net/ipv6_route", f"{zero} 00 {zero} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003 enp3s0\n")
    with pytest.raises(HostError, match="enp3s0 carries the default route"):
        claim(kernel_of(tree), NIC, guards=EVERYTHING)


@pytest.mark.parametrize(("where", "vital"), [("/", True), ("/boot", True), ("/srv/scratch", False)])
def test_a_mounted_disk_is_refused_and_the_root_disk_always(tree: Tree, where: str, vital: bool) -> None:
    disk = "0000:04:00.0"
    tree.pci(disk, id="1b36:0010", class_code=0x010802, driver="nvme", group=18)
    here = f"/sys/bus/pci/devices/{disk}/nvme/nvme0/nvme0n1"
    tree.file(f"{here}/uevent", "MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\n").file(f"{here}/dev", "259:0\n")
    tree.file(f"{here}/nvme0n1p1/uevent", "MAJOR=259\nMINOR=1\nDEVNAME=nvme0n1p1\n").file(f"{here}/nvme0n1p1/dev", "259:1\n")
    tree.file(f"{here}/nvme0n1p1/partition", "1\n").link(f"{here}/subsystem", "/sys/class/block")
    tree.link(f"{here}/nvme0n1p1/subsystem", "/sys/class/block")
    tree.file("/proc/self/mountinfo", f"29 1 259:1 / {where} rw,noatime shared:1 - ext4 /dev/nvme0n1p1 rw\n")
    with pytest.raises(HostError, match=f"/dev/nvme0n1p1 is mounted at {where}"):
        claim(kernel_of(tree), disk, guards=EVERYTHING if vital else {})


def test_a_function_with_virtual_functions_is_not_taken(tree: Tree) -> None:
    tree.pci("0000:04:00.0", id="8086:10c9", class_code=0x020000, driver="igb", group=18, max_virtual_functions=7)
    tree.pci("0000:04:10.0", id="8086:10ca", class_code=0x020000, physical_function="0000:04:00.0", group=19)
    with pytest.raises(HostError, match="it has 1 virtual function, which would be lost"):
        claim(kernel_of(tree), "0000:04:00.0")


def test_the_companions_of_a_group_go_to_their_own_driver_and_bridges_are_not_counted(tree: Tree) -> None:
    tree.pci(AUDIO, id="10de:10f2", class_code=0x040300, driver="snd_hda_intel", group=15)
    tree.pci("0000:00:10.0", id="8086:1901", class_code=0x060400, driver="pcieport", group=15)
    kernel = kernel_of(tree)
    result = claim(kernel, GPU)
    assert [kernel.owner(address) for address in (GPU, AUDIO, "0000:00:10.0")] == [VARIANT, "vfio-pci", "pcieport"]
    assert all(device["viable"] for device in result["devices"])


def test_a_companion_with_its_native_driver_is_refused_where_the_group_is_only_checked(tree: Tree) -> None:
    tree.pci(AUDIO, id="10de:10f2", class_code=0x040300, driver="snd_hda_intel", group=15)
    with pytest.raises(HostError, match=r"0000:01:00.1 \(10de:10f2\) shares IOMMU group 15 .* is bound to snd_hda_intel"):
        claim(kernel_of(tree), GPU, group="check")


def test_a_companion_is_left_alone_on_request(tree: Tree) -> None:
    tree.pci(AUDIO, id="10de:10f2", class_code=0x040300, driver="snd_hda_intel", group=15)
    kernel = kernel_of(tree)
    result = claim(kernel, GPU, group="ignore")
    assert kernel.owner(AUDIO) == "snd_hda_intel"
    assert [device["viable"] for device in result["devices"]] == [False]


def test_giving_back_returns_the_native_driver_and_clears_the_override(tree: Tree) -> None:
    kernel = kernel_of(tree)
    claim(kernel, "10de:1db1")
    result = claim(kernel, "10de:1db1", state="absent")
    assert [(kernel.owner(address), kernel.override(address)) for address in (GPU, SECOND)] == [("nouveau", None)] * 2
    assert [device["driver"] for device in result["devices"]] == ["nouveau", "nouveau"]
    kernel.log.clear()
    assert not claim(kernel, "10de:1db1", state="absent")["changed"]
    assert kernel.log == []


def test_giving_back_loads_no_native_driver_that_is_blacklisted(tree: Tree) -> None:
    tree.pci("0000:06:00.0", id="8086:10d3", class_code=0x020000, driver="vfio-pci", override="vfio-pci", group=21)
    kernel = kernel_of(tree)
    kernel.natives = {**kernel.natives, "0000:06:00.0": "igc"}
    kernel.blacklisted.add("igc")
    result = claim(kernel, "0000:06:00.0", state="absent")
    assert not tree.place("/sys/module/igc").exists()
    assert [(device["driver"], device["changed"]) for device in result["devices"]] == [(None, True)]


def test_giving_back_finds_a_driver_whose_file_has_another_name_than_its_module(tmp_path: Path) -> None:
    """Debian's nvidia-current.ko is the module nvidia."""
    file = f"/lib/modules/{DEBIAN_13}/updates/dkms/nvidia-current.ko"
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO], "updates/dkms/nvidia-current": [NVIDIA_DISPLAY]}, running=True)
    tree.file(file, module_file(DEBIAN_13, name="nvidia")).pci(GPU, driver="vfio-pci", override="vfio-pci", group=15)
    kernel = ModelKernel(tree, {GPU: "nvidia"}, {"vfio_pci": ["vfio-pci"]})
    (device,) = claim(kernel, GPU, state="absent")["devices"]
    assert (device["driver"], kernel.owner(GPU), kernel.override(GPU)) == ("nvidia", "nvidia", None)


def test_giving_back_leaves_a_device_that_no_vfio_driver_has(tree: Tree) -> None:
    kernel = kernel_of(tree)
    assert not claim(kernel, NIC, state="absent")["changed"]
    assert kernel.owner(NIC) == "e1000e"


def test_giving_back_a_device_without_a_native_driver_leaves_it_without_one(tree: Tree) -> None:
    tree.pci("0000:05:00.0", id="1234:11e8", class_code=0x00FF00, driver="vfio-pci", override="vfio-pci", group=20)
    kernel = kernel_of(tree)
    result = claim(kernel, "0000:05:00.0", state="absent")
    assert (result["devices"][0]["driver"], kernel.override("0000:05:00.0")) == (None, None)


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        ("auto", "it adds nothing to vfio-pci here: no NVLink2 link is described"),
        ("variant", None),
        (VARIANT, None),
        ("vfio-pci", None),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_variant_that_was_not_asked_for_is_returned_with_what_it_adds_and_costs(
    tree: Tree, driver: str, said: str | None, check_mode: bool
) -> None:
    (device,) = claim(kernel_of(tree), GPU, check_mode=check_mode, driver=driver)["devices"]
    assert ("choice" in device) == (said is not None)
    if said is not None:
        assert said in device["choice"]
        assert "it comes with the kernel" in device["choice"]
        assert "`driver: vfio-pci`" in device["choice"]


def test_a_link_that_firmware_describes_and_a_driver_from_outside_of_the_kernel_are_named(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO], f"updates/dkms/{VARIANT}": [V100_VARIANT]}, running=True)
    tree.pci(GPU, group=15, driver=VARIANT).file(f"/sys/bus/pci/devices/{GPU}/of_node/ibm,npu", b"\0\0\0\1")
    (device,) = claim(kernel_of(tree), GPU)["devices"]
    assert "firmware describes an NVLink2 link" in device["choice"]
    assert "it is not part of the kernel, which it taints" in device["choice"]
    assert "its key has to be trusted" in device["choice"]
