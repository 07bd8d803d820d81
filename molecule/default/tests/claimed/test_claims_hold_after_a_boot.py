# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot under the policy: the claimed drivers win, whatever the strategy, and nobody else loses anything."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

V100 = ("1DB1", "1DB5", "1DB8", "1DF5")
PROBE = Path(__file__).parents[4] / "playbooks" / "files" / "vfio_probe.py"


@pytest.mark.parametrize("function", ["gpu-claimed", "gpu-by-ids"])
def test_nouveau_never_touched_the_claimed_card(functions: dict[str, t.Any], function: str) -> None:
    assert not functions[function].touched


def test_the_other_card_of_the_same_id_stayed_with_the_host(host: t.Any, functions: dict[str, t.Any]) -> None:
    assert functions["gpu-same"].touched
    assert host.file("/dev/dri/card0").exists


def test_the_management_interface_stayed(host: t.Any) -> None:
    interface = host.check_output("ip -4 route show default").split("dev ")[1].split()[0]
    assert host.check_output(f"readlink /sys/class/net/{interface}/device/driver").endswith("/virtio_net")


def test_the_blacklisted_native_was_not_loaded(host: t.Any) -> None:
    assert not host.file("/sys/module/igb").exists


def test_the_policy_files_say_who_owns_them(host: t.Any) -> None:
    files = host.check_output("grep -rl 'Managed by the vfio.variants collection' /etc").split()
    assert "/etc/udev/rules.d/70-vfio-variants.rules" in files
    assert "/etc/modprobe.d/vfio-variants.conf" in files
    for path in files:
        assert (host.file(path).user, host.file(path).mode & 0o022) == ("root", 0)


def test_the_image_holds_the_policy_the_natives_and_the_drivers(host: t.Any) -> None:
    names = host.check_output("lsinitramfs /boot/initrd.img-$(uname -r)")
    for name in ("modprobe.d/vfio-variants.conf", "rules.d/70-vfio-variants.rules", "nvlink2gpu_vfio_pci.ko", "vfio-pci.ko"):
        assert name in names
    for native in ("e1000e.ko", "nvme.ko", "igb.ko"):
        assert native in names, "this boot would prove nothing about the initramfs"


def test_every_kernel_knows_the_variant_by_its_aliases(host: t.Any) -> None:
    for release in host.check_output("ls /lib/modules").split():
        aliases = host.file(f"/lib/modules/{release}/modules.alias").content_string
        for device in V100:
            assert f"alias vfio_pci:v000010DEd0000{device}sv*sd*bc*sc*i* nvlink2gpu_vfio_pci" in aliases


@pytest.mark.parametrize(
    ("function", "identity", "register"),
    [("gpu-claimed", "10de:1db1", "0x140000a1"), ("gpu-by-ids", "10de:1db5", "0x140000a1"), ("nic-claimed", "8086:10d3", None)],
)
def test_user_space_reaches_it_through_vfio(
    host: t.Any, functions: dict[str, t.Any], function: str, identity: str, register: str | None
) -> None:
    seen = json.loads(host.check_output("python3 -c %s %s --reset", PROBE.read_text(), functions[function].address))
    assert (seen["id"], seen["viable"]) == (identity, True)
    assert host.file(f"/dev/vfio/{seen['group']}").exists
    if register is not None:
        assert seen["bar0"] == {"pread": register, "mmap": register}


def test_the_kernel_has_nothing_to_complain_about(host: t.Any) -> None:
    assert host.check_output("dmesg --level=emerg,alert,crit | grep -v microcode || true") == ""
