# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry of extlinux and U-Boot boots, also if it is none that boots Linux.  (syslinux: doc/syslinux.txt, doc/menu.txt)"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, OLD, kernels
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path


def label(name: str, release: str, more: str = "") -> str:
    return f"label {name}\n  linux /boot/vmlinuz-{release}\n  initrd /boot/initrd.img-{release}\n  append ro\n{more}"


NEWER, OLDER = label("l0", NEW), label("l1", OLD)
DISK = "label hd\n  menu label another disk\n  localboot 0\n"
CHAIN = "label win\n  com32 chain.c32\n  append hd0 2\n"
BOOTS: dict[str, tuple[str | None, str]] = {
    "the default": (OLD, f"default l1\n{NEWER}{OLDER}"),
    "the first": (NEW, f"timeout 50\n{NEWER}{DISK}"),
    "the first of a menu": (NEW, f"default vesamenu.c32\n{NEWER}{OLDER}"),
    "that of a menu": (OLD, f"ui menu.c32\n{NEWER}{label('l1', OLD, '  menu default' + chr(10))}"),
    "another disk": (None, f"default hd\n{NEWER}{DISK}"),
    "another disk as the first": (None, f"timeout 50\n{DISK}{NEWER}"),
    "another disk as the first of a menu": (None, f"ui vesamenu.c32\n{DISK}{NEWER}"),
    "another disk as that of a menu": (None, f"default menu.c32\n{NEWER}{DISK}  menu default\n"),
    "another disk after a while": (None, f"default l0\nontimeout hd\n{NEWER}{DISK}"),
    "another system": (None, f"default win\n{NEWER}{CHAIN}"),
    "a program": (None, f"default win\n{NEWER}{CHAIN.replace('com32', 'kernel')}"),
    "another configuration": (None, f"default o\n{NEWER}label o\n  config /other.cfg\n"),
}


def read(root: Path, text: str) -> next_boot.NextBoot:
    tree = kernels(Tree(root), NEW, OLD).running(OLD)
    return next_boot.read(tree.file("/boot/extlinux/extlinux.conf", text).host())


@pytest.mark.parametrize("name", BOOTS)
def test_the_default_is_the_entry_that_comes_whatever_it_boots(tmp_path: Path, name: str) -> None:
    release, text = BOOTS[name]
    boot = read(tmp_path, text)
    assert boot.release == release
    assert bool(boot.doubts) == (release is None)


@pytest.mark.parametrize("wanted", ["linux", "l1 single"])
def test_a_default_that_names_no_entry_is_doubted(tmp_path: Path, wanted: str) -> None:
    boot = read(tmp_path, f"default {wanted}\n{NEWER}{OLDER}")
    assert any(f"the default is `{wanted}`, which is not an entry" in doubt for doubt in boot.doubts)


def entry(name: str, *lines: str) -> str:
    return "".join(f"{line}\n" for line in (f"label {name}", *(f"  {line}" for line in (f"linux /boot/vmlinuz-{NEW}", *lines))))


IMAGE = f"/boot/initrd.img-{NEW}"
QUOTED = 'dyndbg="file a +p"'
GIVEN: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "nothing instead of what is for all": (f"append quiet\n{entry('a', 'append -')}", (), ()),
    "an empty line instead of what is for all": (f"append quiet\n{entry('a', 'append')}", (), ()),
    "the last of two": (entry("a", "append ro", "append rw"), ("rw",), ()),
    "several images": (entry("a", f"initrd /boot/u,{IMAGE}", "append ro"), ("ro",), ("/boot/u", IMAGE)),
    "images in the arguments": (entry("a", f"append initrd=/boot/u,{IMAGE} ro"), (f"initrd=/boot/u,{IMAGE}", "ro"), ("/boot/u", IMAGE)),
    "paths from the folder": (f"label a\n linux ../vmlinuz-{NEW}\n initrd ../initrd.img-{NEW}\n append ro\n", ("ro",), (IMAGE,)),
    "device trees": (entry("a", "fdtdir /usr/lib/x/", "fdtoverlays /boot/x.dtbo", "append ro"), ("ro",), ()),
    "quotes": (entry("a", f"append ro {QUOTED}"), ("ro", QUOTED), ()),
    "lines of Windows": (entry("a", "append ro").replace("\n", "\r\n"), ("ro",), ()),
    "tabs and capitals": (entry("a", "append ro").upper().replace("/BOOT/VMLINUZ-", "/boot/vmlinuz-").replace("  ", "\t"), ("RO",), ()),
}


@pytest.mark.parametrize("name", GIVEN)
def test_an_entry_gives_what_its_lines_say(tmp_path: Path, name: str) -> None:
    text, arguments, initrds = GIVEN[name]
    Tree(tmp_path).file("/boot/u")
    boot = read(tmp_path, text.replace(NEW.upper(), NEW))
    assert (boot.release, boot.doubts) == (NEW, ())
    assert (boot.entries[NEW].cmdline.arguments, boot.entries[NEW].initrds) == (arguments, initrds)


DOUBTED = {
    "a default in another case": f"default L1\n{NEWER}{OLDER}",
    "two defaults of the menu": f"{NEWER}  menu default\n{OLDER}  menu default\n",
    "two entries of one name": f"default l0\n{NEWER}{label('l0', OLD)}",
    "a menu that saves": f"ui menu.c32\nmenu save\n{NEWER}{OLDER}",
    "a menu in the first place": f"ui menu.c32\nmenu begin x\n{OLDER}menu end\n{NEWER}",
    "arguments behind a line of the menu": f"default l0\nlabel l0\n  linux /boot/vmlinuz-{NEW}\nmenu separator\nappend quiet\n",
    "a kernel by the name of its entry": f"default vmlinuz-{NEW}\nlabel vmlinuz-{NEW}\n  append ro\n",
    "a kernel that is gone": f"default a\n{entry('a').replace(NEW, '6.3.0-gone')}{OLDER}",
    "an image that is gone": f"default a\n{entry('a', 'initrd /boot/gone')}",
    "an image of several kernels": f"default a\nlabel a\n  kernel /boot/image.fit#conf-1\n  append ro\n{OLDER}",
}


@pytest.mark.parametrize("name", DOUBTED)
def test_it_is_not_certain_what_boots_by(tmp_path: Path, name: str) -> None:
    boot = read(tmp_path, DOUBTED[name])
    assert boot.release is None or boot.doubts


def test_a_default_within_a_menu_is_one(tmp_path: Path) -> None:
    boot = read(tmp_path, f"ui menu.c32\ndefault l1\nmenu begin x\n{OLDER}menu end\n{NEWER}")
    assert (boot.release, boot.doubts) == (OLD, ())
