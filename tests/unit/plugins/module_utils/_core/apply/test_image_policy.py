# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot policy for an image that is being baked: for the machines that are described, from nothing of this one."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_policy import apply
from ansible_collections.vfio.variants.plugins.module_utils._core.host import image_host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_host import ImageHost
from ansible_collections.vfio.variants.plugins.modules.boot_policy import ARGUMENTS, request
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, options_of
from ansible_collections.vfio.variants.tests.unit.policy_hosts import RULES, VARIANT, contents, gpu_host, installed, lines
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

HARDWARE = [{"modalias": "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00"}]


class NothingRuns:
    """A runner for an image of which no program is needed."""

    def __call__(self, args: list[str], **_more: t.Any) -> tuple[int, str, str]:
        raise AssertionError(args)


@pytest.fixture(autouse=True)
def _lock_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_host, "LOCK_DIRECTORY", str(tmp_path / "lock"))


def image(root: Path) -> Tree:
    tree = installed(Tree(root / "image")).systemd().directory("/etc/modprobe.d").directory("/usr/sbin")
    return tree.directory("/etc/initramfs-tools/hooks").file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755)


def bake(tree: Tree, **options: t.Any) -> dict[str, t.Any]:
    given = options_of(ARGUMENTS, **options)
    return apply(ImageHost(str(tree.root), NothingRuns()), request(given), False)


def test_the_machines_that_are_described_get_the_variant_and_nothing_is_loaded_here(tmp_path: Path) -> None:
    tree = image(tmp_path)
    result = bake(tree, devices="10de:1db1", hardware=HARDWARE)
    assert [row["driver"] for row in result["assignments"]] == [VARIANT]
    (line,) = (line for line in lines(tree, RULES) if "drivers_probe" in line)
    assert line.startswith('ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1", ')
    assert not bake(tree, devices="10de:1db1", hardware=HARDWARE)["changed"]


def test_the_forecast_of_the_image_names_the_same_driver(tmp_path: Path) -> None:
    tree = image(tmp_path).file(f"/boot/vmlinuz-{DEBIAN_13}", "")
    bake(tree, devices="10de:1db1", hardware=HARDWARE)
    found = claim_info(tree.host(), devices="10de:1db1", hardware=HARDWARE, kernels=["all"])
    assert [device["kernels"][DEBIAN_13]["claimed"] for device in found["devices"]] == [VARIANT]


FSTAB = "# <file system>\nUUID=1 / ext4 defaults 0 1\nUUID=2 /boot/ ext4 defaults 0 2\n"
UNMOUNTED = "/etc/fstab:3 mounts a partition at /boot, which is empty now: mount it."


def test_nothing_is_said_of_a_running_kernel(tmp_path: Path) -> None:
    (said,) = bake(image(tmp_path), devices="10de:1db1", hardware=HARDWARE)["warnings"]
    assert "no arguments and the default initramfs are assumed" in said


def test_a_boot_partition_that_is_not_mounted_is_named(tmp_path: Path) -> None:
    tree = image(tmp_path).file("/etc/fstab", FSTAB)
    tree.place(f"/boot/vmlinuz-{DEBIAN_13}").unlink()
    with pytest.raises(HostError, match="no kernel that is installed") as caught:
        bake(tree, devices="10de:1db1", hardware=HARDWARE)
    assert caught.value.hint == UNMOUNTED
    # As distributions do that keep kernels with their modules.
    tree.file(f"/lib/modules/{DEBIAN_13}/vmlinuz", "")
    (said,) = bake(tree, devices="10de:1db1", hardware=HARDWARE)["warnings"]
    assert said.endswith(UNMOUNTED)
    tree.file("/boot/README", "")
    (said,) = bake(tree, devices="10de:1db1", hardware=HARDWARE)["warnings"]
    assert "/etc/fstab" not in said


def test_removal_leaves_the_image_as_it_was(tmp_path: Path) -> None:
    tree = image(tmp_path)
    before = contents(tree)
    bake(tree, devices="10de:1db1", hardware=HARDWARE)
    assert contents(tree) != before
    bake(tree, state="absent")
    assert contents(tree) == before


@pytest.mark.parametrize("described", [{}, {"hardware": None}, {"hardware": []}])
def test_an_image_without_described_devices_is_refused(tmp_path: Path, described: dict[str, t.Any]) -> None:
    with pytest.raises(HostError, match=r"hardware: .* is an image, which has no devices"):
        bake(image(tmp_path), devices="10de:1db1", **described)


def test_described_devices_of_a_running_host_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="hardware: it describes the devices of an image, and this is a running host"):
        apply(gpu_host(tmp_path).host(), request(options_of(ARGUMENTS, devices="10de:1db1", hardware=HARDWARE)), True)


def test_a_node_is_handed_over_by_an_address_that_has_to_be_described(tmp_path: Path) -> None:
    tree, claims = image(tmp_path), [{"devices": "10de:1db1", "node": {"owner": "root"}}]
    with pytest.raises(HostError, match=r"^claims\[0\]\.node: hardware describes 10de:1db1 without an address"):
        bake(tree, claims=claims, hardware=HARDWARE)
    bake(tree, claims=claims, hardware=[{**HARDWARE[0], "address": "0000:3b:00.0"}])
    assert any("devices/0000:3b:00.0" in line for line in lines(tree, RULES))
