# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Further hosts of people who have read manual pages and sources: what udev, kmod, systemd and the kernel make of unusual lines.

Their truth comes from udev(7) and udev-rules.c, modprobe.d(5) and libkmod, systemd.unit(5), tmpfiles.d(5), driverctl, and Linux's
kernel/params.c, kernel/module/main.c and drivers/pci.
"""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ACTS,
    ADDED,
    BLACKLIST,
    BOTH,
    CARD,
    CONF,
    GUEST,
    HERE,
    IDS,
    LATE_RULE,
    LIB,
    LIST,
    LOAD,
    MOVER,
    MOVES,
    MULTI_USER,
    NATIVE,
    NEITHER,
    NIC,
    NO_NETWORK,
    OVERRIDE,
    OWN,
    RULE,
    SAME,
    SAVED,
    SOFTDEP,
    THIS,
    TO_GUEST,
    UNIT,
    Drawn,
    Truth,
    compare,
    rule,
    said,
    saved,
    tmpfile,
    unit,
)

if t.TYPE_CHECKING:
    from pathlib import Path


def words(truth: Truth, cmdline: str, **files: str) -> Drawn:
    return Drawn(truth, files, cmdline=cmdline)


HOSTS: dict[str, Drawn] = {
    # keys of udev
    "one of two addresses": rule(GUEST, f'{ADDED}, KERNEL=="0000:99:00.0|{CARD}", {ACTS}'),
    "an address with a set": rule(GUEST, f'{ADDED}, KERNEL=="0000:[34]b:00.?", {ACTS}'),
    "an address with a set that it is not in": rule(NATIVE, f'{ADDED}, KERNEL=="0000:[!3]b:00.0", {ACTS}'),
    "an address whatever its case": rule(GUEST, f'{ADDED}, KERNEL==i"0000:3B:00.0", {ACTS}'),
    "all actions but one": rule(GUEST, f'ACTION!="remove", SUBSYSTEM=="pci", KERNEL=="{CARD}", {ACTS}'),
    "one of two actions": rule(GUEST, f'ACTION=="change|add", SUBSYSTEM=="pci", KERNEL=="{CARD}", {ACTS}'),
    "a pattern of subsystems": rule(GUEST, f'ACTION=="add", SUBSYSTEM=="p[a-d]i", KERNEL=="{CARD}", {ACTS}'),
    "the subsystem of a parent or of itself": rule(GUEST, f'ACTION=="add", SUBSYSTEMS=="pci", KERNEL=="{CARD}", {ACTS}'),
    "a slot's name": rule(GUEST, f'{ADDED}, ENV{{PCI_SLOT_NAME}}=="{CARD}", {ACTS}'),
    "an ID in capitals, and not the other slot": rule(
        GUEST, f'{ADDED}, ENV{{PCI_ID}}=="10DE:1DB1", ENV{{PCI_SLOT_NAME}}!="{SAME}", {ACTS}'
    ),
    "a class as the kernel prints it": rule(GUEST, f'{THIS}, ENV{{PCI_CLASS}}=="30200", {ACTS}'),
    "a class with a nought before": rule(NATIVE, f'{THIS}, ENV{{PCI_CLASS}}=="030200", {ACTS}'),
    "an alias as a property": rule(GUEST, f'{THIS}, ENV{{MODALIAS}}=="pci:v000010DEd00001DB1*", {ACTS}'),
    "a device type that functions have not": rule(NATIVE, f'{THIS}, ENV{{DEVTYPE}}=="?*", {ACTS}'),
    "no override so far": rule(GUEST, f'{THIS}, ATTR{{driver_override}}=="(null)", {ACTS}', "", (CARD,)),
    "an override of before": rule(NATIVE, f'{THIS}, ATTR{{driver_override}}=="?*", ATTR{{driver_override}}!="(null)", {ACTS}', "", (CARD,)),
    "no driver's link": rule(GUEST, f'{THIS}, TEST!="driver", {ACTS}'),
    "a driver's link": rule(NATIVE, f'{THIS}, TEST=="driver", {ACTS}'),
    "a group's link": rule(GUEST, f'{THIS}, TEST=="iommu_group", {ACTS}'),
    "a file with a mode that it has not": rule(NATIVE, f'{THIS}, TEST{{0111}}=="/etc/site", {ACTS}', "", (CARD,), **{"/etc/site": "x\n"}),
    "a file with a mode that it has": rule(GUEST, f'{THIS}, TEST{{0444}}=="/etc/site", {ACTS}', "", (CARD,), **{"/etc/site": "x\n"}),
    "a property that another line sets": rule(GUEST, f'{THIS}, ENV{{G}}="1"\n{ADDED}, ENV{{G}}=="1", {ACTS}'),
    "a property that is set too late": rule(NATIVE, f'{ADDED}, ENV{{G}}=="1", {ACTS}\n{THIS}, ENV{{G}}="1"'),
    "a property that grows": rule(GUEST, f'{THIS}, ENV{{G}}="a"\n{THIS}, ENV{{G}}+="b"\n{ADDED}, ENV{{G}}=="a b", {ACTS}'),
    "properties of a file": rule(
        GUEST, f'{THIS}, IMPORT{{file}}="/etc/site.env"\n{ADDED}, ENV{{G}}=="1", {ACTS}', "", (CARD, SAME), **{"/etc/site.env": "G=1\n"}
    ),
    "the path of the device, by a builtin": rule(
        GUEST, f'{ADDED}, IMPORT{{builtin}}="path_id"\n{ADDED}, ENV{{ID_PATH}}=="pci-{CARD}", {ACTS}'
    ),
    "a property of an earlier boot": rule(NATIVE, f'{THIS}, IMPORT{{db}}="G"\n{THIS}, ENV{{G}}=="1", {ACTS}', "", (CARD,)),
    "a jump over the line": rule(NATIVE, f'{THIS}, GOTO="end"\n{THIS}, {ACTS}\nLABEL="end"'),
    "a jump for all others": rule(GUEST, f'KERNEL!="{CARD}", GOTO="end"\n{ADDED}, {ACTS}\nLABEL="end"'),
    # lines of rules
    "a rule of the host's own packages": Drawn(GUEST, {"/usr/local/lib/udev/rules.d/50-site.rules": TO_GUEST}, open=(CARD,)),
    "a rule over two lines": rule(GUEST, f"{THIS}, \\\n  {OVERRIDE}, \\\n  {LOAD}"),
    "a rule with blanks before it": rule(GUEST, f" \t{THIS},{ACTS}"),
    "a rule with the line ends of another system": rule(GUEST, f"{THIS}, {ACTS}\r"),
    "a rule with a comment behind": rule(NATIVE, f"{THIS}, {ACTS} # the card"),
    "a rule behind a mark of its encoding": Drawn(NATIVE, {RULE: f"\ufeff{TO_GUEST}"}),
    "a rule whose quote does not end": rule(NATIVE, f'{THIS}, {OVERRIDE}, RUN{{builtin}}+="kmod load vfio-pci'),
    "a rule with an operator of another language": rule(NATIVE, f'{THIS}, ATTR{{driver_override}}=:"vfio-pci", {LOAD}'),
    "a module with the other sign": rule(GUEST, f'{THIS}, {OVERRIDE}, RUN{{builtin}}+="kmod load vfio_pci"'),
    "a later rule that loads alone": Drawn(GUEST, {LATE_RULE: f'{THIS}, {OVERRIDE}, RUN{{builtin}}="kmod load vfio-pci"\n'}),
    "an override of a driver that there is not": rule({**NATIVE, CARD: None}, f'{THIS}, ATTR{{driver_override}}="no-such-driver", {LOAD}'),
    "an override in capitals": rule({**NATIVE, CARD: None}, f'{THIS}, ATTR{{driver_override}}="VFIO-PCI", {LOAD}'),
    "an override with the other sign": rule({**NATIVE, CARD: None}, f'{THIS}, ATTR{{driver_override}}="vfio_pci", {LOAD}'),
    "an override of the native": rule(NATIVE, f'{THIS}, ATTR{{driver_override}}="nouveau"'),
    # modprobe.d
    "IDs with a comma at the end": said(f"{SOFTDEP}options vfio-pci ids=10de:1db1,\n", BOTH),
    "IDs with the signs of numbers": said(f"{SOFTDEP}options vfio-pci ids=0x10de:0x1db1\n", BOTH),
    "IDs and then none": said(f"{SOFTDEP}options vfio-pci ids=10de:1db1 ids=\n", NATIVE),
    "none and then IDs": said(f"{SOFTDEP}options vfio-pci ids=\noptions vfio_pci ids=10de:1db1\n", BOTH),
    "IDs of another maker, and these": said(f"{SOFTDEP}options vfio-pci ids=1002:1db1,10de:1db1\n", BOTH),
    "IDs that are not numbers, and these": said(f"{SOFTDEP}options vfio-pci ids=card,10de:1db1\n", BOTH),
    "a blacklist with a comment behind": said("blacklist nouveau # not here\n", NEITHER),
    "a blacklist with blanks before": said("  blacklist\tnouveau\n", NEITHER),
    "a blacklist after a comment": said("#blacklist e1000e\nblacklist nouveau\n", NEITHER),
    "a blacklist of the host's own packages": Drawn(NEITHER, {"/usr/local/lib/modprobe.d/b.conf": "blacklist nouveau\n"}),
    "a blacklist in a hidden file": Drawn(NATIVE, {"/etc/modprobe.d/.b.conf": "blacklist nouveau\n"}),
    "a blacklist that is gone with /run": Drawn(NATIVE, {"/run/modprobe.d/b.conf": "blacklist nouveau\n"}),
    "no display, but the card": said("options nouveau modeset=2\n", NATIVE),
    "as the driver likes": said("options nouveau modeset=-1\n", NATIVE),
    "a list of the host": Drawn(
        BOTH, {**IDS, **BLACKLIST, "/etc/modules": "# list\nvfio-pci\n"}, {"/etc/modules-load.d/modules.conf": "../modules"}
    ),
    "a list with options": Drawn(NATIVE, {LIST: "vfio-pci ids=10de:1db1\n"}),
    # words of the command line
    "the last of two lists of modules counts": words(NATIVE, "module_blacklist=nouveau module_blacklist=pcspkr"),
    "a list of modules": words(NO_NETWORK, "module_blacklist=nouveau,e1000e"),
    "a list of modules with the other sign": words(GUEST, "module_blacklist=vfio-pci", **{RULE: TO_GUEST}),
    "a list of modules in capitals": words(NATIVE, "module_blacklist=Nouveau"),
    "a list of modules in quotes": words(NEITHER, '"module_blacklist=nouveau"'),
    "a list of modules with a blank": words(NATIVE, "module_blacklist=pcspkr, nouveau"),
    "kmod's lists add up": words(NEITHER, "modprobe.blacklist=pcspkr modprobe.blacklist=nouveau"),
    "kmod's list has the rule's module": words({**NATIVE, CARD: None}, "modprobe.blacklist=vfio_pci", **{RULE: TO_GUEST}),
    "kmod's list has the rule's module with the other sign": words(GUEST, "modprobe.blacklist=vfio-pci", **{RULE: TO_GUEST}),
    "functions that are not called add up": words(NEITHER, "initcall_blacklist=nouveau_drm_init initcall_blacklist=pcspkr_init"),
    "no mode setting, but for the driver": words(NATIVE, "nomodeset nouveau.modeset=2"),
    "words of the module with the other sign": Drawn(BOTH, {CONF: SOFTDEP}, cmdline="vfio_pci.ids=10de:1db1"),
    # units
    "a unit of the host's own packages": Drawn(
        GUEST,
        {"/usr/local/lib/systemd/system/card.service": UNIT, MOVER: MOVES},
        {f"{MULTI_USER}/card.service": "/usr/local/lib/systemd/system/card.service"},
        open=(CARD,),
    ),
    "a unit that its package has enabled": Drawn(
        GUEST,
        {f"{LIB}/card.service": UNIT, MOVER: MOVES},
        {f"{LIB}/multi-user.target.wants/card.service": "../card.service"},
        open=(CARD,),
    ),
    "a unit that is wanted until the next boot": Drawn(
        NATIVE,
        {f"{OWN}/card.service": UNIT, MOVER: MOVES},
        {"/run/systemd/system/multi-user.target.wants/card.service": f"{OWN}/card.service"},
    ),
    "an empty file in a unit's place": Drawn(
        NATIVE,
        {f"{LIB}/card.service": UNIT, f"{OWN}/card.service": "", MOVER: MOVES},
        {f"{MULTI_USER}/card.service": f"{LIB}/card.service"},
    ),
    "a command with signs before it": unit(GUEST, f"ExecStart=-+{MOVER}"),
    "a command over two lines": unit(GUEST, f"ExecStart=/bin/sh -c \\\n  {MOVER}"),
    "a command that comes after the end": dataclasses.replace(unit(NATIVE, f"ExecStart=/bin/sh -c 'exit 0; {MOVER}'"), open=(CARD,)),
    "a command for another time": unit(NATIVE, f"ExecStart=/bin/true\nExecReload={MOVER}"),
    "a command that is put aside": unit(NATIVE, f"#ExecStart={MOVER}\n;ExecStart={MOVER}\nExecStart=/bin/true"),
    "a word that is not there": unit(GUEST, f"ExecStart={MOVER}", head="ConditionKernelCommandLine=!nogpu\n"),
    "a word that is there": unit(NATIVE, f"ExecStart={MOVER}", cmdline="nogpu", head="ConditionKernelCommandLine=!nogpu\n"),
    "a path that is watched": Drawn(
        GUEST,
        {f"{OWN}/card.service": UNIT, MOVER: MOVES, f"{OWN}/card.path": "[Path]\nPathExists=/etc/hostname\n", "/etc/hostname": "host\n"},
        {f"{MULTI_USER}/card.path": "../card.path"},
        open=(CARD,),
    ),
    "a timer some minutes after the boot": Drawn(
        GUEST,
        {f"{OWN}/card.service": UNIT, MOVER: MOVES, f"{OWN}/card.timer": "[Timer]\nOnBootSec=2min\n"},
        {f"{OWN}/timers.target.wants/card.timer": "../card.timer"},
        open=(CARD,),
    ),
    # driverctl, tmpfiles.d, sysctl.d, libvirt
    "what is saved, for an address in capitals": Drawn(NATIVE, {"/etc/driverctl.d/pci-0000:3B:00.0": "vfio-pci\n"}),
    "what is saved, without an end of its line": Drawn(GUEST, {f"/etc/driverctl.d/pci-{CARD}": "vfio-pci"}),
    "what is saved, and an empty file in the unit's place": saved(NATIVE, files={f"{OWN}/driverctl@.service": ""}),
    "what is saved, and a rule of its name elsewhere": Drawn(
        GUEST, {**SAVED, "/usr/local/lib/udev/rules.d/06-driverctl.rules": "# nothing\n"}, open=(CARD,)
    ),
    "a value that is added": tmpfile(GUEST, f"w+ {HERE}/driver_override - - - - vfio-pci"),
    "a path in quotes": tmpfile(GUEST, f'w "{HERE}/driver_override" - - - - vfio-pci'),
    "a line that is gone with /run": tmpfile(NATIVE, f"w {HERE}/driver_override - - - - vfio-pci", path="/run/tmpfiles.d/card.conf"),
    "a line with a comment sign": tmpfile(NATIVE, f"#w {HERE}/driver_override - - - - vfio-pci"),
    "another program to load modules": Drawn(NATIVE, {"/etc/sysctl.d/site.conf": "kernel.modprobe = /bin/true\n"}, open=(CARD, SAME, NIC)),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
