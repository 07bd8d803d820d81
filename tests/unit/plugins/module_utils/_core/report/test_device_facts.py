# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `device_info` tells about a host, from a small root tree."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.trees import (
    ANY_VFIO,
    DEBIAN_12,
    DEBIAN_13,
    NVIDIA_DISPLAY,
    V100_VARIANT,
    Tree,
    stock_debian,
)

GPU = "0000:3b:00.0"


def only(tree: Tree) -> dict[str, t.Any]:
    (device,) = device_info(tree.host())["devices"]
    return t.cast("dict[str, t.Any]", device)


def test_a_device_is_told_in_the_form_that_selectors_take(tmp_path: Path) -> None:
    device = only(stock_debian(tmp_path).pci(GPU, subsystem="10de:1212", driver="nouveau", group=15, nodes=["drm/card0"]))
    told = {key: device[key] for key in ("id", "vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision")}
    assert told == {
        "id": "10de:1db1",
        "vendor": "10de",
        "device": "1db1",
        "subsystem_vendor": "10de",
        "subsystem_device": "1212",
        "class": "030200",
        "revision": "a1",
    }
    selected = device_info(Tree(tmp_path).host(), devices={field: device[field] for field in ("vendor", "device", "class")})
    assert [found["address"] for found in selected["devices"]] == [GPU]
    assert (device["driver"], device["iommu_group"], device["group_devices"], device["nodes"]) == ("nouveau", 15, [GPU], ["drm/card0"])


def test_natives_come_before_variants_each_with_the_file_that_makes_it_one(tmp_path: Path) -> None:
    contenders = only(stock_debian(tmp_path).pci(GPU, driver="nouveau"))["contenders"]
    aliases = f"/lib/modules/{DEBIAN_13}/modules.alias"
    assert [(entry["module"], entry["kind"], entry["alias"], entry["source"], entry["loaded"]) for entry in contenders] == [
        ("nouveau", "native", NVIDIA_DISPLAY, aliases, True),
        ("vfio_pci", "generic", ANY_VFIO, aliases, False),
    ]


def test_a_blacklist_is_told_with_file_and_line(tmp_path: Path) -> None:
    tree = (
        stock_debian(tmp_path)
        .pci(GPU)
        .file("/etc/modprobe.d/gpu.conf", "# mine\nblacklist nouveau\n")
        .cmdline("modprobe.blacklist=nouveau")
    )
    assert only(tree)["contenders"][0]["blacklisted_by"] == ["/etc/modprobe.d/gpu.conf:2", "/proc/cmdline"]
    assert device_info(tree.host())["modprobe"][0] == {
        "command": "blacklist",
        "module": "nouveau",
        "arguments": [],
        "source": "/etc/modprobe.d/gpu.conf:2",
    }


def test_an_alias_in_modprobe_d_replaces_the_natives(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(GPU).file("/etc/modprobe.d/gpu.conf", "alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* vfio-pci\n")
    natives = [entry for entry in only(tree)["contenders"] if entry["kind"] == "native"]
    assert [(entry["module"], entry["source"]) for entry in natives] == [("vfio_pci", "/etc/modprobe.d/gpu.conf:1")]


def test_the_variant_is_that_of_the_running_kernel_with_the_driver_it_registers(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO], "mine-vfio": [V100_VARIANT]}, running=True).kernel(DEBIAN_12).pci(GPU)
    device = only(tree)
    assert device["variant"] == {"module": "mine_vfio", "driver": "mine_vfio", "alias": V100_VARIANT, "wildcards": 5}
    assert {release: {key: told[key] for key in ("natives", "variants", "variant")} for release, told in device["kernels"].items()} == {
        DEBIAN_12: {"natives": [], "variants": [], "variant": None},
        DEBIAN_13: {"natives": [], "variants": ["mine_vfio"], "variant": "mine_vfio"},
    }
    assert only(tree.module("mine-vfio", ["mine-pci"]))["variant"]["driver"] == "mine-pci"


def test_vfio_pci_is_not_a_variant(tmp_path: Path) -> None:
    device = only(stock_debian(tmp_path).pci(GPU))
    assert device["variant"] is None
    assert device["kernels"][DEBIAN_13]["variants"] == []


def test_a_variant_whose_file_is_gone_is_not_the_best_one(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO], "mine-vfio": [V100_VARIANT]}, running=True).pci(GPU)
    assert only(tree)["variant"]["module"] == "mine_vfio"
    tree.place(f"/lib/modules/{DEBIAN_13}/kernel/drivers/mine-vfio.ko").unlink()
    assert only(tree)["variant"] is None


def test_kernels_are_told_oldest_first(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).kernel(DEBIAN_12, headers=True).file("/etc/os-release", "ID=debian\n")
    assert device_info(tree.host())["kernels"] == [
        {"release": DEBIAN_12, "running": False, "headers": True, "headers_package": f"linux-headers-{DEBIAN_12}"},
        {"release": DEBIAN_13, "running": True, "headers": False, "headers_package": f"linux-headers-{DEBIAN_13}"},
    ]


def test_only_what_was_asked_for_is_told_and_its_group_is_whole(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(GPU, group=15).pci("0000:3b:00.1", "10de:10f7", class_code=0x040300, group=15)
    (device,) = device_info(tree.host(), devices="class:03")["devices"]
    assert (device["address"], device["group_devices"]) == (GPU, [GPU, "0000:3b:00.1"])
    with pytest.raises(HostError, match="class:02 matches no PCI device"):
        device_info(tree.host(), devices="class:02", allow_missing=False)
    assert device_info(tree.host(), devices="class:02")["devices"] == []


def test_an_image_tells_its_kernels_and_says_that_it_has_no_devices(tmp_path: Path) -> None:
    tree = (
        Tree(tmp_path)
        .kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY]})
        .file("/etc/modprobe.d/x.conf", "blacklist nouveau\nblacklist pcspkr\n")
    )
    told = device_info(tree.host())
    assert told["devices"] == []
    assert [kernel["release"] for kernel in told["kernels"]] == [DEBIAN_13]
    assert [entry["module"] for entry in told["modprobe"]] == ["nouveau"]
    assert "no devices" in told["warnings"][0]
    with pytest.raises(HostError, match="there are no devices to find"):
        device_info(tree.host(), devices="10de:1db1", allow_missing=False)
    assert device_info(tree.host(), devices="10de:1db1")["devices"] == []


def test_a_root_that_is_not_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is not a directory"):
        device_info(Tree(tmp_path / "missing").host())


def test_a_running_kernel_without_modules_is_told(tmp_path: Path) -> None:
    told = device_info(Tree(tmp_path).running("6.9").pci(GPU, driver="nouveau").host())
    assert told["warnings"] == ["Kernel 6.9 runs, but its modules are not installed: the contenders for devices are not known."]
    assert (told["devices"][0]["driver"], told["devices"][0]["variant"], told["devices"][0]["contenders"]) == ("nouveau", None, [])


def test_what_is_told_is_json(tmp_path: Path) -> None:
    told = device_info(stock_debian(tmp_path).pci(GPU, driver="nouveau").host())
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize(("loaded", "old"), [("A", ["gpu_vfio_pci"]), ("B", None), (None, None)])
def test_a_driver_of_which_another_version_runs_than_is_installed_is_named_and_warned_of(
    tmp_path: Path, loaded: str | None, old: list[str] | None
) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"updates/dkms/gpu_vfio_pci": [V100_VARIANT], "vfio-pci": [ANY_VFIO]}, running=True)
    tree.file(f"/lib/modules/{DEBIAN_13}/updates/dkms/gpu_vfio_pci.ko", module_file(DEBIAN_13, [V100_VARIANT], srcversion="B"))
    # What cannot be read as a module says nothing.
    tree.file("/sys/module/vfio_pci/srcversion", "C\n").pci(GPU, driver="gpu_vfio_pci", group=15)
    if loaded:
        tree.file("/sys/module/gpu_vfio_pci/srcversion", f"{loaded}\n")
    for detail in ("brief", "full"):
        answer = device_info(tree.host(), detail=detail)
        assert answer.get("old_in_use") == old
        assert any("another version of gpu_vfio_pci" in warning for warning in answer.get("warnings", ())) == bool(old)
    checked = claim_info(tree.host(), devices=GPU, driver="gpu_vfio_pci")
    assert checked.get("old_in_use") == old
    described = device_info(tree.host(), hardware=[{"modalias": "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00"}])
    assert "old_in_use" not in described
