# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image will hold once it is rebuilt: the root's policy, and no more modules than before but those that are asked for."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Coldplug, LoadList, Stage
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.rebuilt_image import rebuilt
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig, SourceLine, blacklisting
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, device, load_list, stage
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, E1000E, NVIDIA_DISPLAY

CARD = device()
SITE, STOCK_FILE = "/etc/udev/rules.d/90-site.rules", "/usr/lib/udev/rules.d/80-drivers.rules"
STALE = 'KERNEL=="0000:01:00.0", ATTR{driver_override}="e1000e"\n'
NEW = 'KERNEL=="0000:01:00.0", ATTR{driver_override}="vfio-pci"\n'
LOADS = 'ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'


def with_dependency(kernel: Kernel) -> Kernel:
    return dataclasses.replace(kernel, needed={"vfio_pci": "kernel/drivers/vfio_pci_core.ko"})


def rules_in(image: Stage) -> list[tuple[str, str | None]]:
    return [(rule.path, rule.override) for rule in image.rules.rules]


def test_the_roots_rules_take_the_place_of_those_that_the_image_has() -> None:
    image = stage(INITRAMFS, rules={STOCK_FILE: LOADS, SITE: STALE})
    root = stage(rules={STOCK_FILE: LOADS, "/etc/udev/rules.d/70-new.rules": NEW})
    assert rules_in(rebuilt(image, root, ())) == [("/etc/udev/rules.d/70-new.rules", "vfio-pci"), (STOCK_FILE, None)]


def test_of_the_distributions_rules_it_has_those_that_it_had() -> None:
    image = stage(INITRAMFS, rules={STOCK_FILE: LOADS})
    root = stage(rules={STOCK_FILE: LOADS, "/usr/lib/udev/rules.d/70-new.rules": NEW})
    assert rules_in(rebuilt(image, root, ())) == [(STOCK_FILE, None)]


def test_modprobe_d_is_the_roots_and_what_the_images_own_scripts_say_stays() -> None:
    image = stage(INITRAMFS, modprobe="blacklist nouveau\n")
    listed = Directive(SourceLine(f"{image.place}:/conf/modules", 1), "options", ("vfio_pci", "ids=1:2"))
    added = blacklisting("igb", SourceLine("/proc/cmdline", 0), "rd.driver.blacklist=igb")
    image = dataclasses.replace(image, config=image.config.with_more((listed, added)))
    root = stage(modprobe="blacklist e1000e\n")
    config = rebuilt(image, root, ()).config
    assert [line.arguments for line in config.directives] == [("e1000e",), ("vfio_pci", "ids=1:2"), ("igb",)]


def test_depmods_softdeps_come_along() -> None:
    softdep = Directive(SourceLine("/lib/modules/6.12/modules.softdep", 1), "softdep", ("e1000e", "pre:", "ptp"))
    root = dataclasses.replace(stage(), config=ModprobeConfig((softdep,)))
    assert rebuilt(stage(INITRAMFS), root, ()).config == root.config


def test_it_holds_the_modules_that_it_held_and_those_asked_for_with_what_they_need() -> None:
    root = dataclasses.replace(stage(), kernel=with_dependency(stage().kernel))
    held = rebuilt(stage(INITRAMFS, modules={"e1000e": [E1000E]}), root, ["vfio_pci"])
    assert sorted(held.kernel.modules) == ["e1000e", "vfio_pci", "vfio_pci_core"]
    assert held.kernel.natives(CARD.modalias) == ()
    assert held.kernel.needed == root.kernel.needed


def test_what_the_root_has_lost_is_lost_and_aliases_are_those_of_the_root() -> None:
    image = stage(INITRAMFS, modules={"gone": [NVIDIA_DISPLAY], "nouveau": []})
    kernel = rebuilt(image, stage(modules=STOCK), ["no_such_module"]).kernel
    assert sorted(kernel.modules) == ["nouveau"]
    assert [match.module for match in kernel.natives(CARD.modalias)] == ["nouveau"]


PROGRAM = "systemd-modules-load"
ROOT_LIST = "/etc/modules-load.d/vfio.conf"


def with_lists(image: Stage, *works: LoadList) -> Stage:
    return dataclasses.replace(image, loads_lists=True, steps=((*works, Coldplug()),))


def listed_in(image: Stage) -> list[t.Any]:
    return [[(one.name, one.source) for one in work.modules] for step in image.steps for work in step if isinstance(work, LoadList)]


def test_dracut_copies_the_lists_of_modules_to_load_beside_coldplug() -> None:
    root = dataclasses.replace(stage(), steps=((load_list(PROGRAM, "vfio_pci", source=ROOT_LIST), Coldplug()),))
    image = rebuilt(with_lists(stage(INITRAMFS)), root, ())
    assert listed_in(image) == [[("vfio_pci", f"{ROOT_LIST}:1")]]
    assert len(image.steps) == 1


def test_they_take_the_place_of_those_that_it_has_and_the_command_line_stays() -> None:
    root = dataclasses.replace(stage(), steps=((load_list(PROGRAM, "vfio_pci", source=ROOT_LIST), Coldplug()),))
    own, told = (
        load_list(PROGRAM, name, source=place) for name, place in (("igb", f"/boot/x:{ROOT_LIST}"), ("nvme", "/boot/grub/grub.cfg"))
    )
    image = rebuilt(with_lists(stage(INITRAMFS), dataclasses.replace(own, modules=(*told.modules, *own.modules))), root, ())
    assert listed_in(image) == [[("nvme", "/boot/grub/grub.cfg:1"), ("vfio_pci", f"{ROOT_LIST}:1")]]


def test_initramfs_tools_copies_none() -> None:
    root = dataclasses.replace(stage(), steps=((load_list(PROGRAM, "vfio_pci", source=ROOT_LIST), Coldplug()),))
    assert listed_in(rebuilt(stage(INITRAMFS, load=["igb"]), root, ())) == listed_in(stage(INITRAMFS, load=["igb"]))


def test_what_another_image_beside_the_one_that_is_made_again_has_may_stay() -> None:
    both = "/boot/initrd.img+/boot/second.img"
    image = dataclasses.replace(stage(INITRAMFS, rules={STOCK_FILE: LOADS, SITE: STALE}), place=both, is_of_several=True)
    root = stage(rules={STOCK_FILE: LOADS, "/etc/udev/rules.d/70-new.rules": NEW})
    found = rebuilt(image, root, ()).doubts
    assert found == (f"{both} is of several images: whether one that is made again leaves {SITE} out cannot be determined.",)
    same = dataclasses.replace(stage(INITRAMFS, rules={STOCK_FILE: LOADS, SITE: STALE}), place=both, is_of_several=True)
    assert rebuilt(same, stage(rules={STOCK_FILE: LOADS, SITE: NEW}), ()).doubts == ()
    other = dataclasses.replace(stage(INITRAMFS, rules={STOCK_FILE: LOADS}, modprobe="blacklist nouveau\n"), place=both, is_of_several=True)
    assert "leaves /etc/modprobe.d/" in rebuilt(other, stage(rules={STOCK_FILE: LOADS}), ()).doubts[0]
    # The release of a Debian kernel has a plus sign, and so has its image's name.
    alone = dataclasses.replace(image, place=f"/boot/initrd.img-{DEBIAN_13}", is_of_several=False)
    assert "+" in alone.place
    assert rebuilt(alone, root, ()).doubts == ()
