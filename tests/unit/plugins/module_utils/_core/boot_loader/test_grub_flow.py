# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of GRUB that leave it, boot at once, load something else, or decide by loops, functions and arguments.

Their truth comes from GRUB's manual, grub-core/script/execute.c and grub-core/normal/menu.c.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, OLD, grubenv, kernels
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

GRUB_CFG = "/boot/grub/grub.cfg"


def loads(release: str, words: str = "ro") -> str:
    return f" linux /boot/vmlinuz-{release} {words}\n initrd /boot/initrd.img-{release}\n"


def entry(title: str, body: str, words: str = "") -> str:
    return f"menuentry '{title}' {words} {{\n{body}}}\n"


A, B = entry("a", loads(NEW)), entry("b", loads(OLD))
MENU = A + B
MAY = "if keystatus --shift; then {}; fi\n"
BOOTS: dict[str, tuple[str | None, str]] = {
    "an entry that leaves": (None, entry("a", f" exit\n{loads(NEW)}") + B),
    "an entry that switches off": (None, entry("a", f"{loads(NEW)} halt\n") + B),
    "an entry that loads something else behind Linux": (None, entry("a", f"{loads(NEW)} chainloader /EFI/x.efi\n") + B),
    "an entry that loads a test of memory behind Linux": (None, entry("a", f" linux /boot/vmlinuz-{NEW}\n multiboot /boot/memtest\n") + B),
    "an entry that loads Linux behind something else": (NEW, entry("a", f" chainloader +1\n{loads(NEW)}") + B),
    "an entry that returns before": (None, entry("a", f" return\n{loads(NEW)}") + B),
    "an entry that boots before": (OLD, entry("a", f"{loads(OLD)} boot\n{loads(NEW)}") + B),
    "an entry that starts Windows": (None, f"set default=W\n{A}{entry('W', ' chainloader +1' + chr(10))}"),
    "an entry for the firmware": (None, f"set default=F\n{A}{entry('F', ' fwsetup' + chr(10))}"),
    "GRUB is left": (None, f"exit\n{MENU}"),
    "no menu": (OLD, f"{loads(OLD)}boot\n{MENU}"),
    "no menu and no entries": (OLD, f"{loads(OLD)}boot\n"),
    "what is loaded and not booted": (NEW, f"{loads(OLD)}{MENU}"),
    "return outside of a function": (OLD, f"return\nset default=1\n{MENU}"),
    "return in a function": (NEW, f"function f {{\n return\n set default=1\n}}\nf\n{MENU}"),
    "the first of a loop": (OLD, f"for x in 1 0; do\n set default=$x\n break\ndone\n{MENU}"),
    "what a loop leaves out": (OLD, f"for x in 1 0; do\n if [ $x = 0 ]; then continue; fi\n set default=$x\ndone\n{MENU}"),
    "another menu, and what comes behind it": (NEW, "configfile /boot/grub/other.cfg\nset default=1\n"),
    "a text": (OLD, f'eval "set default=1"\n{MENU}'),
    "a variable that is taken back": (NEW, f"set default=1\nunset default\n{MENU}"),
    "arguments that are shifted": (OLD, f"function f {{\n shift\n set default=$1\n}}\nf 0 1\n{MENU}"),
    "arguments that are set": (OLD, f"function f {{\n setparams 1\n set default=$1\n}}\nf 0\n{MENU}"),
    "a variable that somebody types": (None, f"read default\n{MENU}"),
}
# What grub-emu 2.06 came to.
SUBMENU = "submenu S --id s {{\n{}{}}}\n"
IN_SUBMENU = f"{A}{SUBMENU.format('', A + B)}"
WORKS_ON_K = f'if [ "$k" = x ]; then\n{A}else\n{B}fi\n'
ASKS = "if [ $default = b ]; then set default=a; fi\n"
BOOTS |= {
    "a sign that is not quoted": (OLD, f"set default=1\nset default=0>0\n{MENU}"),
    "a sign that is not quoted, on the line of another command": (OLD, f"set default=1\nset default=0; set b=1 < 2\n{MENU}"),
    "commands that GRUB does not join": (OLD, f"set default=1\ntrue && set default=0\n{MENU}"),
    "a sign in quotes": (OLD, f"set b='1&2'; set default=1\n{MENU}"),
    "a sign behind a stroke": (OLD, f"set b=1\\>2; set default=1\n{MENU}"),
    "a default of the submenu's own": (OLD, f"set default=s\n{A}{SUBMENU.format('set default=1' + chr(10), A + B)}"),
    "a default of the submenu's own over the path": (OLD, f"set default='s>a'\n{A}{SUBMENU.format('set default=1' + chr(10), A + B)}"),
    "a submenu that takes the default away": (NEW, f"set default='s>b'\n{B}{SUBMENU.format('unset default' + chr(10), A + B)}"),
    "a default that is exported": (NEW, f"set default=1\nexport default\n{IN_SUBMENU}"),
    "a variable in a submenu": (OLD, f"k=x\nset default=1\n{A}{SUBMENU.format('', WORKS_ON_K)}"),
    "an exported variable in a submenu": (NEW, f"k=x\nexport k\nset default=1\n{B}{SUBMENU.format('', WORKS_ON_K)}"),
    "a variable for another configuration": (NEW, "set default=1\nconfigfile /boot/grub/other.cfg\n"),
    "another configuration in a submenu": (NEW, f"set default='s>b'\n{B}{SUBMENU.format('configfile /boot/grub/other.cfg' + chr(10), '')}"),
    "another file in a submenu": (OLD, f"set default='s>b'\n{A}{SUBMENU.format('source /boot/grub/other.cfg' + chr(10), '')}"),
    "a test of nothing": (OLD, f"if [ $nothing ]; then set default=1; fi\n{MENU}"),
    "an entry without a title": (OLD, f"set default=1\nmenuentry {{\n{loads(NEW)}}}\n{MENU}"),
    "options of load_env in one": (OLD, f"load_env -sf /boot/grub/other.env\n{MENU}"),
}
DOUBTED: dict[str, str] = {
    "a sign that is not quoted in an entry": entry("a", f" set k=a|b\n{loads(NEW)}") + B,
    "a sign that is not quoted in a condition": f"if true; then\ntrue && true\nset default=1\nfi\n{MENU}",
    "a function that has no end": f"function f {{ set default=1 }}\nf\n{MENU}",
    "a submenu that asks for the path": f"set default='s>b'\n{A}{SUBMENU.format(ASKS, A + B)}",
    "a variable that may be exported": f"k=x\n{MAY.format('export k')}set default=1\n{A}{SUBMENU.format('', WORKS_ON_K)}",
    "GRUB may be left": f"{MAY.format('exit')}{MENU}",
    "an entry may leave GRUB": entry("a", MAY.format("exit") + loads(NEW)) + B,
    "a function may return before": f"function f {{\n{MAY.format('return')} set default=1\n}}\nf\n{MENU}",
    "what is loaded may be booted": f"{loads(OLD)}{MAY.format('boot')}{MENU}",
    "a text that is not known": f'eval "$cmdpath"\n{MENU}',
}


def read(root: Path, text: str) -> next_boot.NextBoot:
    tree = kernels(Tree(root), NEW, OLD).running(OLD).file("/boot/grub/i386-pc/normal.mod").file("/boot/grub/other.cfg", MENU)
    tree.file("/boot/grub/other.env", grubenv(default="1"))
    return next_boot.read(tree.file(GRUB_CFG, text).host())


@pytest.mark.parametrize("name", BOOTS)
def test_what_boots_is_what_grub_comes_to(tmp_path: Path, name: str) -> None:
    release, text = BOOTS[name]
    boot = read(tmp_path, text)
    assert boot.release == release
    assert bool(boot.doubts) == (release is None)


@pytest.mark.parametrize("name", DOUBTED)
def test_what_grub_may_come_to_is_doubted(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, DOUBTED[name]).doubts


def test_an_entry_has_the_words_behind_its_title_as_arguments(tmp_path: Path) -> None:
    text = entry("a", loads(NEW, "ro $2 $3"), "--class x module_blacklist=nouveau --id y vfio-pci.ids=10de:1db1")
    arguments = read(tmp_path, text).entries[NEW].cmdline.arguments
    assert arguments == ("ro", "module_blacklist=nouveau", "vfio-pci.ids=10de:1db1")


@pytest.mark.parametrize(("folder", "is_doubted"), [("grub", False), ("grub2", True)])
def test_a_number_with_more_behind_it_is_a_place_but_for_fedora(tmp_path: Path, folder: str, is_doubted: bool) -> None:
    tree = kernels(Tree(tmp_path), NEW, OLD).running(OLD)
    boot = next_boot.read(tree.file(f"/boot/{folder}/grub.cfg", f"set default='1 Debian'\n{MENU}").host())
    assert (boot.release, bool(boot.doubts)) == (OLD, is_doubted)
