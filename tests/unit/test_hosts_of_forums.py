# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as people post them in forums, with guides of other distributions followed nearly right: what is told, and what is not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CARD_LINK,
    CONF,
    IDS,
    LOAD,
    MOVES,
    OVERRIDE,
    OWN,
    RULE,
    SAVED,
    THIS,
    UNIT,
    Drawn,
    by_dracut,
    installed,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.test_hosts_of_testers import image

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.tests.unit.trees import Tree

    Files = dict[str, str]

UTF_16 = "\udcff\udcfe"
GRUB, MODULES = "/etc/default/grub", "/etc/modules"
DRACUT_CONF, MKINITCPIO_CONF, FOR_IMAGE = "/etc/dracut.conf.d/vfio.conf", "/etc/mkinitcpio.conf", "/etc/initramfs-tools/modules"
HOOKS = "HOOKS=(base udev autodetect modconf kms block filesystems)\n"
SCRIPT = "/usr/local/sbin/to-vm"
BOTH_LINES = "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n"


def rule(text: str) -> Files:
    return {RULE: f"{text}\n"}


def utf_16(path: str, text: str) -> Files:
    return {path: UTF_16 + text.encode("utf-16-le").decode("utf-8")}


def unit(text: str, **more: str) -> Files:
    return {f"{OWN}/card.service": text, **more}


DEBIAN: dict[str, tuple[Files, str]] = {
    # /etc/modprobe.d
    "lspci's revision behind an ID": (
        {CONF: "options vfio-pci ids=10de:1db1 (rev a1)\n"},
        "`(rev` in `options vfio-pci ids=10de:1db1 (rev",
    ),
    "two lines in one": (
        {CONF: "options vfio-pci ids=10de:1db1 softdep nouveau pre: vfio-pci\n"},
        "begins another line, and kmod takes it for a parameter of vfio-pci. Write `softdep nouveau pre: vfio-pci` into a line of its own.",
    ),
    "an ID by another parameter": ({CONF: "options vfio-pci id=10de:1db1\n"}, f"{CONF}:1: `id` is not a parameter of vfio-pci"),
    "a blacklist of the command line": ({CONF: "modprobe.blacklist=nouveau,nvidia\n"}, "Write `blacklist nouveau` and `blacklist nvidia`"),
    "options without their command": ({CONF: "vfio-pci ids=10de:1db1\n"}, "Write `options vfio-pci ids=10de:1db1`."),
    "a list of modules": ({CONF: "vfio_pci\n"}, "is a module's name alone, as in a list of modules"),
    "a command in two words": ({CONF: "black list nouveau\n"}, "Write `blacklist nouveau`."),
    "a comment of another language": ({CONF: "// the card\n"}, "does not begin with `#`, as a comment does"),
    "two natives before pre:": (
        {**IDS, CONF: "softdep nouveau e1000e pre: vfio-pci\n"},
        "Write `softdep nouveau pre: vfio-pci`, and a line of its own for e1000e.",
    ),
    "a native that is not there before pre:": (
        {**IDS, CONF: "softdep nouveau nvidia pre: vfio-pci\n"},
        "Write `softdep nouveau pre: vfio-pci`.",
    ),
    "a parameter of KVM that is gone": (
        {CONF: "options kvm allow_unsafe_assigned_interrupts=1\n"},
        "allow_unsafe_assigned_interrupts=1` has no effect. Write `options vfio_iommu_type1 allow_unsafe_interrupts=1`.",
    ),
    "a parameter of KVM that is misspelt": ({CONF: "options kvm ignore_msr=1\n"}, "Write `ignore_msrs=1`."),
    "another suffix": ({"/etc/modprobe.d/vfio.cfg": "blacklist nouveau\n"}, "Rename it to /etc/modprobe.d/vfio.conf, or remove it."),
    "a suffix in capitals": ({"/etc/modprobe.d/vfio.CONF": "blacklist nouveau\n"}, "Rename it to /etc/modprobe.d/vfio.conf, or remove it."),
    "a native driver that is kept out, and nothing else": (
        {**IDS, CONF: "blacklist nouveau\n"},
        "but nothing loads vfio-pci, so that they have no driver. Add `vfio-pci` to a file in /etc/modules-load.d",
    ),
    # other encodings
    "lines of kmod in UTF-16": (utf_16(CONF, "blacklist nouveau\n"), f"{CONF} is written in UTF-16, or is not a text"),
    "rules in UTF-16": (utf_16(RULE, f"{THIS}, {OVERRIDE}, {LOAD}\n"), f"{RULE} is written in UTF-16, or is not a text"),
    "a list in UTF-16": (utf_16("/etc/modules-load.d/a.conf", "vfio-pci\n"), "/etc/modules-load.d/a.conf is written in UTF-16"),
    "a list with a mark": (
        {"/etc/modules-load.d/a.conf": "\ufeffvfio-pci\n"},
        "/etc/modules-load.d/a.conf:1 begins with a byte order mark",
    ),
    # lists of modules
    "a list with commas": ({"/etc/modules-load.d/a.conf": "vfio-pci,e1000e\n"}, "Write one module in each line."),
    "an image's list in one line": (
        {FOR_IMAGE: "vfio-pci e1000e\n"},
        f"{FOR_IMAGE}:1: initramfs-tools loads vfio-pci alone, and gives it e1000e as an option.",
    ),
    "an image's list with a blank among IDs": (
        {FOR_IMAGE: "vfio-pci ids=10de:1db1, 10de:10f2\n"},
        "Write the list of ids= without blanks.",
    ),
    "lists of OpenWrt": ({"/etc/modules.d/vfio.conf": "vfio-pci\n"}, "nothing reads it, because it is not in /etc/modules-load.d."),
    # other distributions
    "dracut's settings": ({DRACUT_CONF: 'force_drivers+=" vfio-pci "\n'}, f"Write vfio-pci into {FOR_IMAGE}, one in each line."),
    "mkinitcpio's settings": ({MKINITCPIO_CONF: f"MODULES=(vfio_pci)\n{HOOKS}"}, f"Write vfio_pci into {FOR_IMAGE}, one in each line."),
    # rules
    "an override that nothing loads": (
        rule(f"{THIS}, {OVERRIDE}"),
        f'gives {CARD} to vfio-pci, but nothing loads vfio-pci, so that it has no driver. Add `RUN{{builtin}}+="kmod load vfio-pci"`',
    ),
    "a label that is compared": (
        rule(f'SUBSYSTEM!="pci", GOTO="end"\n{THIS}, {OVERRIDE}, {LOAD}\nLABEL=="end"'),
        'finds no label, because `LABEL=="end"` behind it compares. Write `LABEL="end"`.',
    ),
    "two rules for one address": (
        rule(f'{THIS}, {OVERRIDE}, {LOAD}\n{THIS}, ATTR{{driver_override}}="nouveau"'),
        f"for {CARD}, and {RULE}:2 after it nouveau, which counts.",
    ),
    "a key of old": (rule(f'ACTION=="add", BUS=="pci", KERNEL=="{CARD}", {OVERRIDE}, {LOAD}'), "does not know the key BUS"),
    # GRUB
    "a semicolon in a list": (
        {GRUB: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet vfio-pci.ids=10de:1db1;10de:10f2"\n'},
        'Write `GRUB_CMDLINE_LINUX_DEFAULT="quiet vfio-pci.ids=10de:1db1,10de:10f2"`.',
    ),
    "a quote that is not closed": (
        {GRUB: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=on\nGRUB_CMDLINE_LINUX=""\n'},
        "has no closing quote, so that the next lines count as a part of it.",
    ),
    "the line ends of another system": (
        {GRUB: 'GRUB_CMDLINE_LINUX="intel_iommu=on"\r\n'},
        f"{GRUB}:1: line ends in CR LF",
    ),
    # units
    "a script with the line ends of another system": (
        unit(UNIT.replace("/usr/local/sbin/to-guest", SCRIPT), **{SCRIPT: MOVES.replace("\n", "\r\n")}),
        f"runs {SCRIPT}, whose first line ends in CR LF, so that the kernel finds no interpreter of that name.",
    ),
    "a setting that systemd does not know": (
        unit("[Service]\nType=oneshot\nExec=/usr/local/sbin/vfio-bind\n"),
        "/card.service:3: systemd does not know the setting Exec, and ignores it. Write ExecStart.",
    ),
    "a section in small letters": (
        unit("[service]\nType=oneshot\nExecStart=/bin/sh -c 'modprobe vfio-pci'\n"),
        "/card.service:1: systemd does not know the section [service], and ignores it. Write [Service].",
    ),
    "a unit without its suffix": (
        {f"{OWN}/vfio-bind": UNIT},
        f"{OWN}/vfio-bind: systemd does not read it, because its name does not end in .service.",
    ),
}
OF_DRACUT: dict[str, tuple[Files, str]] = {
    "the list of Debian": ({MODULES: "vfio-pci\n"}, "/etc/modules: nothing reads it on this host, because no link in /etc/modules-load.d"),
    "the list of initramfs-tools": ({FOR_IMAGE: "vfio-pci\n"}, 'into a file in /etc/dracut.conf.d, as `force_drivers+=" vfio-pci "`.'),
    "the settings of mkinitcpio": ({MKINITCPIO_CONF: f"MODULES=(vfio_pci)\n{HOOKS}"}, "because mkinitcpio is not installed"),
    "commas": ({DRACUT_CONF: 'force_drivers+=" vfio-pci,e1000e "\n'}, 'Write `force_drivers+=" vfio-pci e1000e "`.'),
    "typographic quotes": ({DRACUT_CONF: "force_drivers+=\u201c vfio-pci \u201d\n"}, 'Write `force_drivers+=" vfio-pci "`.'),
    "no quotes": ({DRACUT_CONF: "force_drivers+= vfio-pci\n"}, 'Write `force_drivers+=" vfio-pci "`.'),
    "a line of kmod": (
        {DRACUT_CONF: "options vfio-pci ids=10de:1db1\n"},
        "is a line for /etc/modprobe.d, and dracut takes it for a command.",
    ),
}
OF_MKINITCPIO: dict[str, tuple[Files, str]] = {
    "a module among hooks": (
        {MKINITCPIO_CONF: "MODULES=()\nHOOKS=(base udev modconf vfio_pci block)\n"},
        f"{MKINITCPIO_CONF}:2: HOOKS has vfio_pci, which is a module",
    ),
    "modules that are replaced": (
        {MKINITCPIO_CONF: f"MODULES=(vfio_pci)\nMODULES=()\n{HOOKS}"},
        f"{MKINITCPIO_CONF}:1: vfio_pci in MODULES has no effect, because {MKINITCPIO_CONF}:2 sets MODULES again",
    ),
    "no hook for modprobe.d": (
        {**IDS, MKINITCPIO_CONF: "MODULES=(vfio_pci)\nHOOKS=(base udev block)\n"},
        f"{MKINITCPIO_CONF}:2: HOOKS lacks modconf",
    ),
}
FINE: dict[str, Files] = {
    "options and a softdep": {CONF: "options vfio-pci ids=10de:1db1 disable_vga=1\nsoftdep nouveau pre: vfio-pci\n"},
    "a native driver that is kept out, and a list": {**IDS, CONF: "blacklist nouveau\n", "/etc/modules-load.d/a.conf": "vfio-pci\n"},
    "an override and a list": {**rule(f"{THIS}, {OVERRIDE}"), "/etc/modules-load.d/a.conf": "vfio-pci\n"},
    "an exception behind a rule": rule(f'{THIS}, {OVERRIDE}, {LOAD}\nSUBSYSTEM=="pci", ATTR{{vendor}}=="0x8086", ENV{{X}}="1"'),
    "an image's list with options": {FOR_IMAGE: "# for guests\nvfio-pci ids=10de:1db1,10de:10f2 # both\n"},
    "settings over two lines": {GRUB: 'GRUB_CMDLINE_LINUX="quiet\n splash"\nGRUB_DEFAULT=0\n'},
    "a unit as it should be": unit(
        "[Unit]\nDescription=VFIO\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'modprobe vfio-pci'\n[Install]\n"
    ),
    "an empty list of another system": {DRACUT_CONF: "# nothing\n", MKINITCPIO_CONF: f"MODULES=()\n{HOOKS}"},
}
FINE_DRACUT: dict[str, Files] = {
    "modules that are forced": {DRACUT_CONF: 'force_drivers+=" vfio-pci "\n'},
    "modules and other settings": {DRACUT_CONF: 'hostonly="yes"\nadd_drivers+=\' vfio-pci \' # guests\nomit_drivers+=" nouveau "\n'},
    "a list of systemd": {"/etc/modules-load.d/vfio.conf": "vfio-pci\n"},
}
FINE_MKINITCPIO: dict[str, Files] = {
    "modules": {**IDS, MKINITCPIO_CONF: f"MODULES=(vfio_pci vfio_virqfd?)\n{HOOKS}", CONF: "softdep nouveau pre: vfio-pci\n"},
    "files in place of the hook": {MKINITCPIO_CONF: f"MODULES=(vfio_pci)\nFILES=({CONF})\nHOOKS=(base udev block)\n", CONF: BOTH_LINES},
    "modules in two files": {MKINITCPIO_CONF: f"MODULES=(vfio_pci)\n{HOOKS}", "/etc/mkinitcpio.conf.d/a.conf": "MODULES+=(e1000e)\n"},
}


def told(root: Path, files: Files, then: t.Callable[[Tree], object] | None = None, cmdline: str = "") -> list[str]:
    """The warnings, but for those about an image that is older than a file."""
    links = CARD_LINK if f"{OWN}/card.service" in files else {}
    late = {path: text for path, text in files.items() if text.startswith(UTF_16)}
    files = {path: text for path, text in files.items() if path not in late}
    lines = {f"etc/modprobe.d/{path.rpartition('/')[2]}": text for path, text in files.items() if path.startswith("/etc/modprobe.d/")}
    tree = Drawn({}, files, links, cmdline, then=then or image(**lines)).tree(root)
    for path, text in late.items():
        tree.file(path, text)
    found = device_info(tree.host(Commands(tree.root)))
    of_devices = (one for device in found["devices"] for one in device["warnings"])
    warnings = dict.fromkeys((*found["policy_warnings"], *of_devices))
    return [one for one in warnings if not one.startswith(initramfs_files.IMAGE) and "update-grub" not in one]


def with_dracut(tree: Tree) -> None:
    for name in ("mkinitramfs", "update-initramfs"):
        tree.place(f"/usr/sbin/{name}").unlink(missing_ok=True)
    installed("/usr/bin/dracut")(tree)
    by_dracut()(tree)


def with_mkinitcpio(tree: Tree) -> None:
    with_dracut(tree)
    tree.place("/usr/bin/dracut").unlink()
    installed("/usr/bin/mkinitcpio")(tree)


@pytest.mark.parametrize("name", DEBIAN)
def test_a_mistake_is_told_once(tmp_path: Path, name: str) -> None:
    files, said = DEBIAN[name]
    found = told(tmp_path, files)
    assert [said in one for one in found].count(True) == 1, found


@pytest.mark.parametrize("name", OF_DRACUT)
def test_a_mistake_is_told_where_dracut_makes_images(tmp_path: Path, name: str) -> None:
    files, said = OF_DRACUT[name]
    found = told(tmp_path, files, with_dracut)
    assert [said in one for one in found].count(True) == 1, found


@pytest.mark.parametrize("name", OF_MKINITCPIO)
def test_a_mistake_is_told_where_mkinitcpio_makes_images(tmp_path: Path, name: str) -> None:
    files, said = OF_MKINITCPIO[name]
    found = told(tmp_path, files, with_mkinitcpio)
    assert [said in one for one in found].count(True) == 1, found


@pytest.mark.parametrize("name", FINE)
def test_what_is_right_is_not_told(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, FINE[name]) == []


@pytest.mark.parametrize("name", FINE_DRACUT)
def test_what_is_right_is_not_told_where_dracut_makes_images(tmp_path: Path, name: str) -> None:
    assert [one for one in told(tmp_path, FINE_DRACUT[name], with_dracut) if " is older than " not in one] == []


@pytest.mark.parametrize("name", FINE_MKINITCPIO)
def test_what_is_right_is_not_told_where_mkinitcpio_makes_images(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, FINE_MKINITCPIO[name], with_mkinitcpio) == []


@pytest.mark.parametrize(
    ("cmdline", "said"),
    [
        ("allow_unsafe_interrupts=1", "Write `vfio_iommu_type1.allow_unsafe_interrupts=1`."),
        ("disable_vga=1", "Write `vfio-pci.disable_vga=1`."),
        ("kvm.allow_unsafe_assigned_interrupts=1", "Write `vfio_iommu_type1.allow_unsafe_interrupts=1`."),
    ],
)
def test_a_parameter_without_its_module_is_told(tmp_path: Path, cmdline: str, said: str) -> None:
    assert [said in one for one in told(tmp_path, {}, cmdline=cmdline)] == [True]


def test_a_flag_with_more_behind_it_acts(tmp_path: Path) -> None:
    assert told(tmp_path, {}, cmdline="nomodesets") == []


def test_a_module_that_dracut_shall_load_and_the_image_lacks_is_told(tmp_path: Path) -> None:
    def lacking(tree: Tree) -> None:
        with_dracut(tree)
        by_dracut_of_nothing(tree)

    found = told(tmp_path, IDS, lacking, "rd.driver.pre=vfio-pci")
    assert any("`rd.driver.pre=vfio-pci` has no effect, because" in one and 'Add `add_drivers+=" vfio-pci "`' in one for one in found), (
        found
    )


def by_dracut_of_nothing(tree: Tree) -> None:
    tree.file(initramfs_files.IMAGE, images.packed(images.archive(initramfs_files.dracut()), "zstd"))


def test_a_saved_override_needs_nothing_that_loads(tmp_path: Path) -> None:
    def saving(tree: Tree) -> None:
        image()(tree)
        tree.driverctl()

    assert told(tmp_path, SAVED, saving) == []
