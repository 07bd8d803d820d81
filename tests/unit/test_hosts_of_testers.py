# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts drawn by hand to catch a wrong answer, with two mechanisms where one alone is known, before the core was read.

Each part names the source of its truth.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    BOTH,
    CARD,
    CARDS,
    CONF,
    GUEST,
    IDS,
    LIB,
    LOAD,
    MOVER,
    MOVES,
    MULTI_USER,
    NATIVE,
    NEITHER,
    NIC,
    OVERRIDE,
    RULE,
    SAME,
    SOFTDEP,
    THIS,
    Drawn,
    compare,
    installed,
    rule,
    said,
)
from ansible_collections.vfio.variants.tests.unit.driver_files import ANY, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.initramfs_files import initramfs_tools
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree
from ansible_collections.vfio.variants.tests.unit.worked_examples import MODULES

if t.TYPE_CHECKING:
    from pathlib import Path

    Then = t.Callable[[Tree], object]

HERE = f"/lib/modules/{DEBIAN_13}"
LATE, LISTED = "/etc/udev/rules.d/90-site.rules", "/etc/modules-load.d/site.conf"
STOCK = {"/etc/udev/rules.d/80-drivers.rules": "/dev/null"}
ITS_IDS = IDS["/etc/modprobe.d/ids.conf"]
ALIAS = "vfio_pci:v000010DEd00001DB1sv00000000sd00000000bc03sc02i00"
OTHER, AUDIO = "0000:0a:00.0", "0000:3b:00.1"
ITS = f"/sys/bus/pci/devices/{CARD}"
NOTHING_FOUND = "udev looks for that path below the event's device, and so finds nothing. Write ATTR{[pci/ADDRESS]driver_override}."
TAKES = "takes away what other rules run for these devices: udev loads no driver for them."
FOR_MODULES = "takes its words for modules. Put the comment into a line of its own."
MONIT, CHECK = "/etc/monit/conf.d/site", "check process site with pidfile /run/site.pid\n"


def module(
    tree: Tree,
    path: str,
    entries: t.Sequence[Entry] = (),
    driver: str = "",
    needs: str = "",
    aliases: t.Sequence[str] = (),
    **fields: t.Any,
) -> None:
    """One more module, with what depmod writes of it."""
    name = path.rpartition("/")[2]
    told = [*aliases, *(entry.alias for entry in entries)]
    drivers = [Driver((driver or name).encode(), tuple(entries))] if entries else []
    imports = ("__pci_register_driver",) if entries else ()
    tree.file(f"{HERE}/{path}.ko", driver_file(DEBIAN_13, drivers, aliases=told, imports=imports, **fields))
    _append(tree, "modules.dep", f"{path}.ko:{needs and f' {needs}.ko'}\n")
    _append(tree, "modules.alias", "".join(f"alias {alias} {name.replace('-', '_')}\n" for alias in told))


def _append(tree: Tree, name: str, text: str) -> None:
    tree.file(f"{HERE}/{name}", tree.place(f"{HERE}/{name}").read_text() + text)


def drm(tree: Tree) -> None:
    """nouveau needs drm, as where that is a module."""
    module(tree, "kernel/drivers/gpu/drm/drm")
    text = tree.place(f"{HERE}/modules.dep").read_text()
    tree.file(f"{HERE}/modules.dep", text.replace("nouveau.ko:", "nouveau.ko: kernel/drivers/gpu/drm/drm.ko"))


def audio(tree: Tree) -> None:
    tree.pci(AUDIO, "10de:10f2", class_code=0x040300, group=21)
    entry = Entry(0x10DE, ANY, 0x040300, 0xFFFF00)
    module(tree, "kernel/sound/pci/hda/snd-hda-intel", [entry], "snd_hda_intel", parmtype="enable:bool")


def controller(tree: Tree) -> None:
    """An HBA whose driver has the name of its predecessor as an alias."""
    tree.pci(OTHER, "1000:0097", class_code=0x010700, group=60)
    module(tree, "kernel/drivers/scsi/mpt3sas/mpt3sas", [Entry(0x1000, 0x97)], aliases=["mpt2sas"])


def usb(tree: Tree) -> None:
    tree.pci(OTHER, "1b73:1100", class_code=0x0C0330, group=60)
    module(tree, "kernel/drivers/usb/host/xhci-hcd")
    module(tree, "kernel/drivers/usb/host/xhci-pci", [Entry(ANY, ANY, 0x0C0330, 0xFFFFFF)], "xhci_hcd", "kernel/drivers/usb/host/xhci-hcd")


def nvidia(tree: Tree) -> None:
    module(tree, "updates/dkms/nvidia", [Entry(0x10DE, ANY, 0x030200, 0xFFFF00)])
    module(tree, "updates/dkms/nvidia-drm", needs="updates/dkms/nvidia")


def ungrouped(tree: Tree) -> None:
    (tree.place(f"/sys/bus/pci/devices/{CARD}").resolve() / "iommu_group").unlink()


def image(names: t.Sequence[str] = (), listed: str = "", **files: str) -> Then:
    """An initramfs of initramfs-tools with further modules of the root, a list of those to load, and files."""

    def make(tree: Tree) -> None:
        entries = {**initramfs_tools({name: [MODULES[name].alias] for name in ("e1000e", *names)}), "conf/modules": listed, **files}
        for path in [path for path in entries if path.endswith(".ko")]:
            (found,) = tree.place(HERE).rglob(path.rpartition("/")[2])
            entries[path] = found.read_bytes()
        tree.file(initramfs_files.IMAGE, images.packed(images.archive(entries), "zstd"))

    return make


def started(name: str, program: str, files: t.Mapping[str, str], truth: t.Mapping[str, str | None]) -> Drawn:
    own = {f"{LIB}/{name}.service": f"[Service]\nExecStart={program}\n", program: "\x7fELF", MOVER: MOVES, **files}
    return Drawn(truth, own, {f"{MULTI_USER}/{name}.service": f"{LIB}/{name}.service"}, open=() if truth is NATIVE else (CARD,))


HOSTS: dict[str, Drawn] = {
    # kmod_module_new_from_lookup() in libkmod/libkmod-module.c: names, then modules.alias, whatever the bus; `modprobe -R` says so.
    "a rule loads the driver of its override by the alias for VFIO": rule(
        GUEST, f'{THIS}, {OVERRIDE}, RUN{{builtin}}+="kmod load {ALIAS}"'
    ),
    "the event's modalias is that for VFIO": rule(BOTH, f'{CARDS}, {OVERRIDE}, ENV{{MODALIAS}}="{ALIAS}"'),
    "an alias for VFIO of another bus": rule(NATIVE, f'{THIS}, RUN{{builtin}}+="kmod load of:{ALIAS}"'),
    "a list has the old name of a driver": Drawn({OTHER: "mpt3sas"}, {LISTED: "mpt2sas\n"}, STOCK, then=controller),
    "a list has a name that is none": Drawn({OTHER: None}, {LISTED: "mptsas\n"}, STOCK, then=controller),
    "a list has an old name, and the module is blacklisted": Drawn(
        {OTHER: None}, {LISTED: "mpt2sas\n", CONF: "blacklist mpt3sas\n"}, STOCK, then=controller
    ),
    "the old name is blacklisted, and the module is not": Drawn({OTHER: "mpt3sas"}, {CONF: "blacklist mpt2sas\n"}, then=controller),
    "a list has a modalias": Drawn(NATIVE, {LISTED: f"{ALIAS.replace('vfio_pci:', 'pci:')}\n"}, STOCK),
    "an alias of modprobe.d comes before those of modules": said(f"{ITS_IDS}alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* vfio-pci\n", BOTH),
    "such an alias without IDs": said("alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* vfio-pci\n", NEITHER),
    "options by an alias that a softdep asks for": said(
        "alias guests vfio-pci\noptions guests ids=10de:1db1\nsoftdep nouveau pre: guests\n", BOTH
    ),
    "options by an alias that nothing asks for": said("alias guests vfio-pci\noptions guests ids=10de:1db1\n" + SOFTDEP, NATIVE),
    # __kmod_module_get_probe_list(): dependencies and their softdeps come before the module, blacklisted or not.
    "a softdep of what nouveau needs": Drawn(BOTH, {CONF: f"{ITS_IDS}softdep drm pre: vfio-pci\n"}, then=drm),
    "a softdep after what the controller's driver needs": Drawn(
        {OTHER: "vfio-pci"}, {CONF: "options vfio-pci ids=1b73:1100\nsoftdep xhci_hcd post: vfio-pci\n"}, then=usb
    ),
    "a blacklisted driver that sound asks for": Drawn(
        {**NATIVE, AUDIO: "snd_hda_intel"}, {CONF: "blacklist nouveau\nsoftdep snd_hda_intel pre: nouveau\n"}, then=audio
    ),
    "a blacklisted driver that another module needs": Drawn(
        {CARD: "nvidia", SAME: "nvidia"}, {LISTED: "nvidia-drm\n"}, cmdline="modprobe.blacklist=nouveau,nvidia", then=nvidia
    ),
    "a softdep of what nobody loads": Drawn(
        {CARD: "nvidia"}, {CONF: f"{ITS_IDS}blacklist nouveau\nsoftdep nvidia-drm pre: vfio-pci\n"}, then=nvidia
    ),
    # vfio_group_find_or_alloc() in drivers/vfio/group.c: a device in no IOMMU group is refused, and is free for the next driver.
    "an IOMMU that does not serve the card": Drawn(
        {CARD: "nouveau", SAME: "vfio-pci"}, {CONF: ITS_IDS + SOFTDEP}, then=ungrouped, cmdline="intel_iommu=on,igfx_off"
    ),
    "an override for a card that no IOMMU serves": Drawn(
        {CARD: None, SAME: "nouveau"}, {RULE: f"{THIS}, {OVERRIDE}, {LOAD}\n"}, then=ungrouped
    ),
    # command_do() in libkmod-module.c runs `sh -c`: a device node cannot be executed.
    "an install line with a device node": said("install nouveau /dev/null\n", NEITHER),
    "an install line with a device node or its driver": said("install nouveau /dev/null || modprobe -i nouveau\n", NATIVE),
    "an install line with a pattern": said("install nouv* /bin/false\n", NEITHER),
    # udev_rule_apply_token_to_event(): RUN= empties the list, RUN:= closes it too; other keys take := for =.
    "a program in place of all others, behind the rules that load": Drawn(
        NEITHER, {LATE: f'{CARDS}, RUN="/bin/true"\n'}, then=installed("/bin/true")
    ),
    "a builtin in place of all others": Drawn(NEITHER, {LATE: f'{CARDS}, RUN{{builtin}}="kmod load loop"\n'}),
    "an attribute by its whole path": rule(NATIVE, f'{ADDED}, KERNEL=="{NIC}", ATTR{{{ITS}/remove}}="1"'),
    "an attribute with a slash before it": rule({CARD: None, SAME: "nouveau"}, f'{THIS}, ATTR{{/remove}}="1"'),
    "a last builtin for one of two cards": rule(NATIVE, f'{THIS}, RUN{{builtin}}:="kmod load vfio-pci"'),
    "an override with a final assignment": rule(GUEST, f'{THIS}, ATTR{{driver_override}}:="vfio-pci", {LOAD}'),
    "a property with a final assignment": rule(NEITHER, f'{CARDS}, ENV{{MODALIAS}}:=""'),
    "stock rules masked, and a later folder loads by modalias": Drawn(
        NATIVE,
        {"/usr/lib/udev/rules.d/90-own.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load $env{MODALIAS}"\n'},
        STOCK,
    ),
    "stock rules masked, and the image has them and the driver": Drawn(NATIVE, {}, STOCK, then=image(["nouveau"])),
    "a byte order mark before a rule": Drawn(NATIVE, {RULE: f"\ufeff{THIS}, {OVERRIDE}, {LOAD}\n"}),
    "modprobe by name in a rule, and a blacklist": Drawn(
        NATIVE, {CONF: "blacklist nouveau\n", RULE: f'{THIS}, RUN+="/sbin/modprobe nouveau"\n'}, then=installed("/sbin/modprobe")
    ),
    "kmod by name in a rule, and a blacklist": Drawn(
        NEITHER, {CONF: "blacklist nouveau\n", RULE: f'{THIS}, RUN{{builtin}}+="kmod load nouveau"\n'}
    ),
    # load_module(): what is loaded keeps its parameters; the image's files of modprobe.d are its own.
    "the image loads nouveau with an option that the root has no more": Drawn(
        NEITHER, then=image(["nouveau"], **{"etc/modprobe.d/old.conf": "options nouveau modeset=0\n"})
    ),
    "an option of the root's alone": Drawn(NATIVE, {CONF: "options nouveau modeset=0\n"}, then=image(["nouveau"])),
    "the image loads vfio-pci with older IDs": Drawn(
        BOTH,
        {CONF: "options vfio-pci ids=1002:67df\n"},
        then=image(["vfio-pci"], "vfio-pci\n", **{"etc/modprobe.d/old.conf": ITS_IDS}),
    ),
    "the image has loaded vfio-pci, and the root's IDs come too late": Drawn(
        NATIVE,
        {CONF: ITS_IDS + SOFTDEP},
        then=image(["vfio-pci"], "vfio-pci\n", **{"etc/modprobe.d/old.conf": "options vfio-pci ids=1002:67df\n"}),
    ),
    "the image's list comes after its own udev": Drawn(
        NATIVE, {CONF: ITS_IDS}, then=image(["nouveau", "vfio-pci"], "vfio-pci\n", **{"etc/modprobe.d/ids.conf": ITS_IDS})
    ),
    # blacklisted() in kernel/module/main.c compares bytes; of a core_param the last counts; kmod keeps the words as they are.
    "the kernel's blacklist with a dash": Drawn(BOTH, {CONF: ITS_IDS + SOFTDEP}, cmdline="module_blacklist=vfio-pci"),
    "the kernel's blacklist twice": Drawn(NATIVE, cmdline="module_blacklist=nouveau module_blacklist=pcspkr"),
    "kmod's blacklist twice": Drawn(NEITHER, cmdline="modprobe.blacklist=nouveau modprobe.blacklist=pcspkr"),
    "kmod's blacklist with a dash": Drawn({AUDIO: "snd_hda_intel"}, cmdline="modprobe.blacklist=snd-hda-intel", then=audio),
    "a value that begins like a bool": said(f"options vfio-pci ids=10de:1db1 disable_denylist=1,1\n{SOFTDEP}", BOTH),
    # As monit's manual says of `check program` and `start program`.
    "monit checks by a program": started("monit", "/usr/bin/monit", {MONIT: f"check program card with path {MOVER}\n"}, GUEST),
    "monit starts what is not there": started(
        "monit", "/usr/bin/monit", {MONIT: f'{CHECK}  start program = "{MOVER}" with timeout 60 seconds\n'}, GUEST
    ),
    "monit starts what has no part in it": started(
        "monit", "/usr/bin/monit", {MONIT: f'{CHECK}  start program = "/bin/true" with timeout 60 seconds\n'}, NATIVE
    ),
}
WARNED: dict[str, tuple[dict[str, str], str]] = {
    "a program in place of all others": (
        {LATE: f'{CARDS}, RUN="/bin/true"\n'},
        f'{LATE}:1: `RUN="/bin/true"` {TAKES} Write `RUN+="/bin/true"`.',
    ),
    "a last program": (
        {RULE: f'{CARDS}, RUN:=""\n'},
        f'{RULE}:1: `RUN:=""` {TAKES} Remove it.',
    ),
    "a program in place of others, before the rules that load": ({RULE: f'{CARDS}, RUN="/bin/true"\n'}, ""),
    "a program in place of others when a driver has come": ({LATE: 'ACTION=="bind", SUBSYSTEM=="pci", RUN="/bin/true"\n'}, ""),
    "a load in place of others": ({LATE: f'{CARDS}, RUN{{builtin}}="kmod load vfio-pci"\n'}, ""),
    "a program of another bus": ({LATE: 'ACTION=="add", SUBSYSTEM=="net", RUN="/bin/true"\n'}, ""),
    "a byte order mark before a rule": (
        {RULE: f"\ufeff{THIS}, {OVERRIDE}, {LOAD}\n"},
        f"{RULE}:1 begins with a byte order mark, so udev ignores its first line. Write the file without it.",
    ),
    "a comment behind a softdep": (
        {CONF: f"{ITS_IDS}{SOFTDEP.strip()} # early\n"},
        f"{CONF}:2: kmod knows no comment behind `{SOFTDEP.strip()} # early`, and {FOR_MODULES}",
    ),
    "an attribute by its whole path": (
        {RULE: f'{ADDED}, ATTR{{{ITS}/driver_override}}="vfio-pci"\n'},
        f'{RULE}:1: `ATTR{{{ITS}/driver_override}}="vfio-pci"`: {NOTHING_FOUND}',
    ),
    "a precaution of guides": ({CONF: "blacklist lbm-nouveau\nblacklist rivatv\n"}, ""),
    "an alias for VFIO in a list": ({LISTED: f"{ALIAS}\n"}, ""),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)


@pytest.mark.parametrize("name", WARNED)
def test_an_everyday_mistake_is_told_once_and_nothing_else_is(tmp_path: Path, name: str) -> None:
    files, sentence = WARNED[name]
    tree = Drawn(
        {}, files, then=image(**{f"etc/modprobe.d/{path.rpartition('/')[2]}": text for path, text in files.items() if path == CONF})
    ).tree(tmp_path)
    found = [one for one in device_info(tree.host(Commands(tree.root)))["policy_warnings"] if initramfs_files.IMAGE not in one]
    assert found == ([sentence] if sentence else [])


def answer(tree: Tree, address: str) -> dict[str, t.Any]:
    (device,) = device_info(tree.host(Commands(tree.root)), devices=address)["devices"]
    return {"warnings": device["warnings"], **device["kernels"][DEBIAN_13]}


def test_a_device_without_an_iommu_is_told_of_and_why(tmp_path: Path) -> None:
    tree = Drawn({}, {CONF: ITS_IDS + SOFTDEP}, then=ungrouped).tree(tmp_path)
    (warning,) = answer(tree, CARD)["warnings"]
    assert "assigns 0000:3b:00.0 to VFIO, which cannot bind to it" in warning
    assert "igfx_off" in warning
    assert answer(tree, SAME)["warnings"] == []


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        (f"options vfio ids=10de:1db1\n{SOFTDEP}", None),
        (f"alias guests vfio-pci\noptions guests ids=10de:1db1\n{SOFTDEP}", None),
        ("alias guests vfio-pci\noptions guests ids=10de:1db1\nsoftdep nouveau pre: guests\n", "vfio-pci"),
    ],
)
def test_ids_claim_for_the_driver_that_gets_them(tmp_path: Path, text: str, claimed: str | None) -> None:
    found = answer(said(text, {}).tree(tmp_path), CARD)
    assert (found["claimed"], found["would_change"]) == (claimed, None)


def test_the_alias_that_loads_is_said(tmp_path: Path) -> None:
    tree = Drawn({}, {LISTED: "mpt2sas\n"}, STOCK, then=controller).tree(tmp_path)
    assert f"modules.alias of {DEBIAN_13}: mpt2sas mpt3sas" in answer(tree, OTHER)["because"]
