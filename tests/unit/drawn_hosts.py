# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are drawn to have a known answer: the machine that they all have, what is put on it, and the comparison."""

from __future__ import annotations

import dataclasses
import shutil
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER
from ansible_collections.vfio.variants.tests.unit import images, initramfs_files, worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

Truth = t.Mapping[str, str | None]

CARD, SAME, NIC = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0"
DEVICES = f"{NIC} 0200: 8086:10d3\n{CARD} 0302: 10de:1db1\n{SAME} 0302: 10de:1db1\n"
MULTI_USER = "/etc/systemd/system/multi-user.target.wants"
LIB = "/usr/lib/systemd/system"
MOVER = "/usr/local/sbin/to-guest"
# Unbinds the first card, and has the kernel look for a driver again.
MOVES = (
    "#!/bin/sh -e\n"
    f"dev=/sys/bus/pci/devices/{CARD}\n"
    'echo vfio-pci > "$dev/driver_override"\n'
    f'if [ -d "$dev/driver" ]; then echo {CARD} > "$dev/driver/unbind"; fi\n'
    f"modprobe vfio-pci && echo {CARD} > /sys/bus/pci/drivers_probe\n"
)
ADDED = 'ACTION=="add", SUBSYSTEM=="pci"'
BRIDGE = "0000:00:01.0"
RULE, EARLY_RULE, LATE_RULE = (f"/etc/udev/rules.d/{name}.rules" for name in ("50-site", "01-site", "99-site"))
CONF, IDS = "/etc/modprobe.d/site.conf", {"/etc/modprobe.d/ids.conf": "options vfio-pci ids=10de:1db1\n"}
OVERRIDE, LOAD = 'ATTR{driver_override}="vfio-pci"', 'RUN{builtin}+="kmod load vfio-pci"'
ACTS = f"{OVERRIDE}, {LOAD}"
TO_GUEST = f'{ADDED}, KERNEL=="{CARD}", {ACTS}\n'
BOUND, UNBIND = f'ACTION=="bind", SUBSYSTEM=="pci", KERNEL=="{CARD}"', 'ATTR{driver/unbind}="$kernel"'
CARDS = f'{ADDED}, ATTR{{vendor}}=="0x10de"'
SOFTDEP = "softdep nouveau pre: vfio-pci\n"
NATIVE: Truth = {CARD: "nouveau", SAME: "nouveau", NIC: "e1000e"}
GUEST: Truth = {CARD: "vfio-pci", SAME: "nouveau", NIC: "e1000e"}
BOTH: Truth = {CARD: "vfio-pci", SAME: "vfio-pci", NIC: "e1000e"}
NEITHER: Truth = {CARD: None, SAME: None, NIC: "e1000e"}
ONE_LOST: Truth = {CARD: None, SAME: "nouveau", NIC: "e1000e"}
UNIT = f"[Service]\nType=oneshot\nExecStart={MOVER}\n"
OWN = "/etc/systemd/system"
SSH = {f"{LIB}/ssh.service": "[Service]\nExecStart=/usr/sbin/sshd -D\n", "/usr/sbin/sshd": "\x7fELF", MOVER: MOVES}
SSH_LINK = {f"{MULTI_USER}/ssh.service": f"{LIB}/ssh.service"}
CARD_LINK = {f"{MULTI_USER}/card.service": f"{OWN}/card.service"}
DISK = {"e1000e": [E1000E], "vfio-pci": [ANY_VFIO]}
BLACKLIST = {CONF: "blacklist nouveau\n"}
LIST = "/etc/modules-load.d/guest.conf"
IN_IMAGE = {"etc/modprobe.d/ids.conf": IDS["/etc/modprobe.d/ids.conf"]}
CRON = {
    "/usr/sbin/cron": "\x7fELF",
    f"{LIB}/cron.service": "[Service]\nExecStart=/usr/sbin/cron -f\n",
    "/var/lib/dpkg/info/cron.list": "/.\n",
}
CRON_LINK = {f"{MULTI_USER}/cron.service": f"{LIB}/cron.service"}
LIBVIRT = {
    f"{LIB}/libvirtd.service": "[Service]\nExecStart=/usr/sbin/libvirtd\n",
    "/usr/sbin/libvirtd": "\x7fELF",
    "/etc/libvirt/qemu/guest.xml": (
        "<domain type='kvm'><name>guest</name><devices><hostdev mode='subsystem' type='pci' managed='yes'><source>"
        "<address domain='0x0000' bus='0x3b' slot='0x00' function='0x0'/></source></hostdev></devices></domain>"
    ),
}
LIBVIRT_LINK = {f"{MULTI_USER}/libvirtd.service": f"{LIB}/libvirtd.service"}
AUTOSTART = {"/etc/libvirt/qemu/autostart/guest.xml": "/etc/libvirt/qemu/guest.xml"}
THIS = f'{ADDED}, KERNEL=="{CARD}"'
HERE = f"/sys/bus/pci/devices/{CARD}"
SAVED = {f"/etc/driverctl.d/pci-{CARD}": "vfio-pci\n"}
NO_NETWORK: Truth = {CARD: None, SAME: None, NIC: None}


@dataclasses.dataclass(frozen=True)
class Known:
    """A host's own files, links and words, and the truth by address; where ``opened`` has a word, the card's answer may be open for it."""

    truth: t.Mapping[str, str | None]
    files: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    links: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    cmdline: str = ""
    opened: str = ""

    def tree(self, root: Path) -> Tree:
        words = {worked_examples.CMDLINE: self.cmdline} if self.cmdline else {}
        example = worked_examples.Example("known", {worked_examples.DEVICES: DEVICES, **self.files, **words}, (), None, (0, 0))
        tree = example.host(root)
        for name, kinds in (("nouveau", ("modeset:int", "runpm:int")), ("vfio-pci", ("ids:string", "disable_denylist:bool"))):
            module = worked_examples.MODULES[name]
            fields: dict[str, t.Any] = {"parmtype": "\0parmtype=".join(kinds)}
            made = driver_file(DEBIAN_13, [Driver(module.driver.encode(), (module.entry,))], aliases=[module.alias], **fields)
            tree.file(f"/lib/modules/{DEBIAN_13}/{module.folder}/{name}.ko", made)
        for path, text in self.files.items():
            if text.startswith(("#!", "\x7fELF")):
                tree.file(path, text, 0o755)
        for path, target in self.links.items():
            tree.link(path, target)
        return tree


def started(name: str, command: str, more: str = "", **files: str) -> dict[str, t.Any]:
    """A unit of a package, enabled, and further files."""
    unit = f"[Unit]\n{more}[Service]\nType=oneshot\nExecStart={command}\n"
    return {"files": {f"{LIB}/{name}.service": unit, **files}, "links": {f"{MULTI_USER}/{name}.service": f"{LIB}/{name}.service"}}


def compare(tree: Tree, truth: t.Mapping[str, str | None], may_be_open: t.Collection[str], named: str = "") -> None:
    """Each answer is right; or, where that is allowed, open with the truth among its outcomes, and names what makes it so."""
    answers = {device["address"]: device["kernels"][DEBIAN_13] for device in device_info(tree.host(Commands(tree.root)))["devices"]}
    for address, driver in truth.items():
        found = answers[address]
        assert found["because"], f"{address}: {found['certainty']} without a reason"
        if address not in may_be_open or found["certainty"] == "certain":
            seen = f"{address}: {found['certainty']} {found['winner']}, not certain {driver}"
            assert (found["certainty"], found["winner"]) == ("certain", driver), seen
            continue
        assert {driver, ANOTHER} & {*found["outcomes"]}, f"{address}: {found['outcomes']} without {driver}"
        if named:
            assert found["certainty"] == "unknown", f"{address}: {found['certainty']}"
            assert any(named in line for line in found["because"]), f"{address}: {found['because']} without {named}"


def behind_bridge(tree: Tree) -> None:
    tree.pci(BRIDGE, "8086:1901", class_code=0x060400, driver="pcieport")
    place = tree.place(f"/sys/bus/pci/devices/{CARD}")
    real = place.resolve()
    place.unlink()
    shutil.rmtree(real)
    tree.pci(CARD, class_code=0x030200, below=BRIDGE, group=21)


def image_of(entries: t.Mapping[str, t.Any]) -> t.Callable[[Tree], object]:
    return lambda tree: tree.file(initramfs_files.IMAGE, images.packed(images.archive(entries), "zstd"))


def by_initramfs_tools(scripts: t.Sequence[str] = ("all_generic_ide", "udev"), **files: str) -> t.Callable[[Tree], object]:
    return image_of({**initramfs_files.initramfs_tools(DISK, scripts), **files})


def by_dracut(**files: str) -> t.Callable[[Tree], object]:
    return image_of({**initramfs_files.dracut(DISK), **files})


def installed(*programs: str) -> t.Callable[[Tree], object]:
    return lambda tree: [tree.file(program, "\x7fELF", 0o755) for program in programs]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A host's files, links, command line and whatever else is done to it; ``open`` has the addresses whose answers may be open."""

    truth: Truth
    files: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    links: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    cmdline: str = ""
    then: t.Callable[[Tree], object] | None = None
    open: t.Sequence[str] = ()

    def tree(self, root: Path) -> Tree:
        tree = Known(self.truth, self.files, self.links, self.cmdline).tree(root)
        if self.then is not None:
            self.then(tree)
        return tree


def daemon(name: str, **files: str) -> Drawn:
    """A service that is started, with files that make it run the script for the first card."""
    made = started(name, f"/usr/sbin/{name}", **{f"/usr/sbin/{name}": "\x7fELF", MOVER: MOVES, **files})
    return Drawn(GUEST, made["files"], made["links"], open=(CARD,))


def said(text: str, truth: Truth, cmdline: str = "", **files: t.Any) -> Drawn:
    """With these lines in modprobe.d."""
    return Drawn(truth, {**files, CONF: text}, cmdline=cmdline)


def unit(
    truth: Truth,
    body: str = f"ExecStart={MOVER}",
    head: str = "",
    *,
    enabled: bool = True,
    cmdline: str = "",
    more: t.Mapping[str, str] | None = None,
) -> Drawn:
    """With a unit of the host's own; a path of ``more`` with a target in `<…>` is a link."""
    others = more or {}
    links = {path: text[1:-1] for path, text in others.items() if text.startswith("<")}
    files = {path: text for path, text in others.items() if path not in links}
    links |= {f"{MULTI_USER}/card.service": "../card.service"} if enabled else {}
    own = {f"{OWN}/card.service": f"[Unit]\n{head}[Service]\nType=oneshot\n{body}\n", MOVER: MOVES}
    return Drawn(truth, {**own, **files}, links, cmdline, open=() if truth is NATIVE else (CARD,))


def rule(truth: Truth, text: str, cmdline: str = "", open_: t.Sequence[str] = (), **files: str) -> Drawn:
    return Drawn(truth, {**files, RULE: f"{text}\n"}, cmdline=cmdline, open=open_)


def tmpfile(truth: Truth, line: str, open_: t.Sequence[str] = (CARD,), path: str = "/etc/tmpfiles.d/card.conf") -> Drawn:
    return Drawn(truth, {path: f"{line}\n", LIST: "vfio-pci\n"}, open=open_ if truth is not NATIVE else ())


def saved(truth: Truth, cmdline: str = "", files: t.Mapping[str, str] | None = None) -> Drawn:
    return Drawn(truth, {**SAVED, **(files or {})}, cmdline=cmdline, open=() if truth is NATIVE else (CARD,))
