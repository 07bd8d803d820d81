# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of mkinitcpio and booster: what they load and in which order, and what in them cannot be known."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit import images, initramfs_files, worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import Link
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY

CARD, SAME, NIC = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0"
DEVICES = f"{NIC} 0200: 8086:10d3\n{CARD} 0302: 10de:1db1\n{SAME} 0302: 10de:1db1\n"
ALIASES = {"e1000e": [E1000E], "nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}
IDS = {"etc/modprobe.d/vfio.conf": "options vfio-pci ids=10de:1db1\n"}
UDEV_HOOK = """\
#!/usr/bin/ash
run_earlyhook() {
    systemd-udevd --daemon
}
run_hook() {
    udevadm trigger --action=add --type=devices
}
"""
Entries = dict[str, t.Any]


def mkinitcpio(*modules: str, config: str = 'EARLYHOOKS="udev"\nHOOKS="udev"\n', **files: t.Any) -> Entries:
    """With the hook `udev`: its early script starts udevd, the other has it replay the events."""
    found: Entries = {
        **initramfs_files.modules_of(DEBIAN_13, {name: ALIASES[name] for name in modules}),
        "config": config,
        "buildconfig": "HOOKS=(base udev)\n",
        "init": "#!/usr/bin/ash\n. /init_functions\n",
        "init_functions": "#!/usr/bin/ash\n",
        "hooks/udev": UDEV_HOOK,
        "usr/bin/udevadm": b"\x7fELF",
    }
    return {**found, **files}


def with_systemd(*modules: str, **files: t.Any) -> Entries:
    systemd = {"init": Link("usr/lib/systemd/systemd"), "usr/lib/systemd/systemd": b"\x7fELF"}
    made = mkinitcpio(*modules, config='EARLYHOOKS=""\nHOOKS=""\n', **systemd, **files)
    del made["init_functions"]
    return made


def answers(tmp_path: Path, image: Entries, cmdline: str = "", **files: str) -> dict[str, dict[str, t.Any]]:
    words = {worked_examples.CMDLINE: cmdline} if cmdline else {}
    example = worked_examples.Example("image", {worked_examples.DEVICES: DEVICES, **files, **words}, (), None, (0, 0))
    tree = example.host(tmp_path)
    tree.file(initramfs_files.IMAGE, images.packed(images.archive(image), "zstd"))
    return {one["address"]: one["kernels"][DEBIAN_13] for one in device_info(tree.host(Commands(tmp_path)))["devices"]}


def short(answer: dict[str, t.Any]) -> tuple[str | None, str, str | None]:
    return answer["winner"], answer["certainty"], answer["stage"]


@pytest.mark.parametrize("make", [mkinitcpio, with_systemd])
def test_what_the_image_has_is_loaded_by_its_udev(tmp_path: Path, make: t.Callable[..., Entries]) -> None:
    found = answers(tmp_path, make("e1000e", "nouveau"))
    assert short(found[CARD]) == ("nouveau", "certain", "initramfs")
    assert short(found[NIC]) == ("e1000e", "certain", "initramfs")


def test_modules_of_the_configuration_come_before_the_events(tmp_path: Path) -> None:
    config = 'MODULES="vfio_pci"\nEARLYHOOKS="udev"\nHOOKS="udev"\n'
    found = answers(tmp_path, mkinitcpio("e1000e", "nouveau", "vfio-pci", config=config, **IDS))
    assert short(found[CARD]) == ("vfio-pci", "certain", "initramfs")
    assert any("/config:1: MODULES loads vfio_pci" in line for line in found[CARD]["because"])


def test_earlymodules_of_the_command_line_count_and_disabled_hooks_do_not(tmp_path: Path) -> None:
    image = mkinitcpio("e1000e", "nouveau", "vfio-pci", **IDS)
    found = answers(tmp_path, image, "earlymodules=vfio_pci disablehooks=udev")
    assert short(found[CARD]) == ("vfio-pci", "certain", "initramfs")
    assert short(found[NIC]) == ("e1000e", "certain", "root")


def test_a_hook_that_somebody_wrote_is_read(tmp_path: Path) -> None:
    hook = f"#!/usr/bin/ash\nrun_hook() {{\n    echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override\n    modprobe -i vfio-pci\n}}\n"
    config = 'EARLYHOOKS="udev"\nHOOKS="own udev"\n'
    image = mkinitcpio("e1000e", "nouveau", "vfio-pci", config=config, **{"hooks/own": hook})
    found = answers(tmp_path, image)
    assert found[CARD]["certainty"] == "unknown"
    assert {"vfio-pci", "nouveau"} <= set(found[CARD]["outcomes"])
    assert any("/hooks/own:3" in line for line in found[CARD]["because"])
    assert [short(found[address])[:2] for address in (SAME, NIC)] == [("nouveau", "certain"), ("e1000e", "certain")]
    # Without it in /config it does not run.
    assert short(answers(tmp_path / "off", image, "disablehooks=own")[CARD])[:2] == ("nouveau", "certain")


def test_a_shell_that_is_asked_for_leaves_everything_open(tmp_path: Path) -> None:
    found = answers(tmp_path, mkinitcpio("e1000e"), "break=postmount")
    assert {answer["certainty"] for answer in found.values()} == {"unknown"}


BOOSTER: Entries = {
    "init": b"\x7fELF",
    "etc/booster.init.yaml": "modulesforceload:\n- nouveau\n",
    "usr/lib/modules/booster.alias": f"{NVIDIA_DISPLAY.removeprefix('alias ')} nouveau\n",
    "usr/lib/modules/nouveau.ko": b"\x7fELF",
}


def test_booster_may_load_the_modules_of_its_image_and_no_others(tmp_path: Path) -> None:
    found = answers(tmp_path, BOOSTER, **{"/etc/modprobe.d/off.conf": "blacklist nouveau\n"})
    assert found[CARD]["certainty"] == "unknown"
    assert {"nouveau", None} <= set(found[CARD]["outcomes"])
    assert any("/init is booster's" in line for line in found[CARD]["because"])
    assert short(found[NIC]) == ("e1000e", "certain", "root")


def test_an_image_of_no_generator_that_is_known_leaves_everything_open(tmp_path: Path) -> None:
    found = answers(tmp_path, {"init": "#!/bin/sh\n"})
    assert any("none of initramfs-tools, dracut, mkinitcpio and booster" in line for line in found[CARD]["because"])
    assert {answer["certainty"] for answer in found.values()} == {"unknown"}
