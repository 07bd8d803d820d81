# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts drawn by mechanism from manual pages and sources alone: masks, instances, generators, files that are written at boot, rescans.

Their truth comes from udev(7), systemd.unit(5), tmpfiles.d(5), sysctl.d(5), crontab(5), modprobe.d(5), and the sources of udev and kmod.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    AUTOSTART,
    BLACKLIST,
    BOTH,
    CARD,
    CARD_LINK,
    CARDS,
    CONF,
    CRON,
    CRON_LINK,
    GUEST,
    HERE,
    IDS,
    IN_IMAGE,
    LATE_RULE,
    LIB,
    LIBVIRT,
    LIBVIRT_LINK,
    LIST,
    LOAD,
    MOVER,
    MOVES,
    MULTI_USER,
    NATIVE,
    NEITHER,
    NIC,
    NO_NETWORK,
    ONE_LOST,
    OVERRIDE,
    OWN,
    RULE,
    SAME,
    SOFTDEP,
    THIS,
    TO_GUEST,
    UNIT,
    Drawn,
    Truth,
    by_dracut,
    compare,
    rule,
    said,
    saved,
    tmpfile,
)

if t.TYPE_CHECKING:
    from pathlib import Path

GENERATORS = "system-generators/systemd-debug-generator"
DEBUG = {f"/usr/lib/systemd/{GENERATORS}": "\x7fELF"}
NO_DEBUG = {f"/etc/systemd/{GENERATORS}": "/dev/null"}
QUIET = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
FIRST = f"[Service]\nExecStartPre={MOVER}\n"
UDEVD = {f"{LIB}/systemd-udevd.service": "[Service]\nExecStart=/usr/lib/systemd/systemd-udevd\n"}
UDEVD_LINK = {f"{LIB}/sysinit.target.wants/systemd-udevd.service": "../systemd-udevd.service"}
DRIVERS = "/etc/udev/rules.d/80-drivers.rules"
EXCEPTION = (
    'ACTION!="add", GOTO="end"\nSUBSYSTEM=="pci", ATTR{class}=="0x03*", GOTO="end"\n'
    'ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\nLABEL="end"\n'
)


def sysctl(truth: Truth, text: str, path: str = "/etc/sysctl.d/site.conf") -> Drawn:
    return Drawn(truth, {path: f"{text}\n"}, open=(CARD, SAME) if truth is NEITHER else ())


def at_reboot(truth: Truth, path: str, text: str, started: bool = True) -> Drawn:
    files = {**CRON, path: text, MOVER: MOVES}
    return Drawn(truth, files, CRON_LINK if started else {}, open=() if truth is NATIVE else (CARD,))


def instance(truth: Truth, links: t.Mapping[str, str], **files: str) -> Drawn:
    """Instances of a template, which gives the card to the guest."""
    template = {f"{OWN}/card@.service": f"[Service]\nType=oneshot\nExecStart={MOVER} %i\n", MOVER: MOVES}
    return Drawn(truth, {**template, **files}, links, open=() if truth is NATIVE else (CARD,))


def udevd(drop_in: str) -> Drawn:
    return Drawn(NATIVE, {**UDEVD, f"{OWN}/systemd-udevd.service.d/site.conf": drop_in}, UDEVD_LINK)


OF_UDEV = {"/usr/lib/udev/ata_id": "\x7fELF"}
"""A program of udev's own folder, so that it shows which others are not there."""

HOSTS: dict[str, Drawn] = {
    # the driver of the event's device
    "a rule unless the card has the guest's driver": rule(GUEST, f'{THIS}, DRIVER!="vfio-pci", {OVERRIDE}, {LOAD}'),
    "a rule unless the card has a driver": rule(GUEST, f'{THIS}, DRIVER!="?*", {OVERRIDE}, {LOAD}'),
    "a rule if the card has none": rule(GUEST, f'{THIS}, DRIVER=="", {OVERRIDE}, {LOAD}'),
    "a rule by the property of the driver": rule(GUEST, f'{THIS}, ENV{{DRIVER}}!="vfio-pci", {OVERRIDE}, {LOAD}'),
    "a rule if the card has one, which it has not": rule(NATIVE, f'{THIS}, DRIVER=="?*", {OVERRIDE}, {LOAD}'),
    "a rule of another device loads if that has none": rule(
        BOTH, f'{ADDED}, KERNEL=="{NIC}", DRIVER=="", {LOAD}', "", (CARD, SAME), **{**IDS, **BLACKLIST}
    ),
    # keys and values
    "a program of udev that is a builtin": rule(BOTH, f'{CARDS}, IMPORT{{program}}="kmod load vfio-pci"', **IDS),
    # The image has rules of udev and none of its programs, so that it does not show which are not there.
    "a builtin's name where programs are run": rule(ONE_LOST, f'{THIS}, {OVERRIDE}, RUN+="kmod load vfio-pci"', open_=(CARD,)),
    "a builtin without its command": rule(ONE_LOST, f'{THIS}, {OVERRIDE}, RUN{{builtin}}+="kmod vfio-pci"'),
    "a builtin for what is blacklisted": rule(NEITHER, f'{CARDS}, RUN{{builtin}}+="kmod load nouveau"', **BLACKLIST),
    "a module's name in a property": rule(GUEST, f'{THIS}, {OVERRIDE}, ENV{{M}}="vfio-pci", RUN{{builtin}}+="kmod load %E{{M}}"'),
    "an override as a final value": rule(GUEST, f'{THIS}, ATTR{{driver_override}}:="vfio-pci", {LOAD}'),
    "an override that is taken away": rule(NATIVE, f'{THIS}, ATTR{{driver_override}}-="vfio-pci", {LOAD}'),
    "no alias at all": rule(NEITHER, f'{CARDS}, ENV{{MODALIAS}}=""'),
    "no alias of one of two": rule(NATIVE, f'{THIS}, ENV{{MODALIAS}}=""'),
    "a name with an escape": rule(GUEST, f'{ADDED}, KERNEL==e"0000:3b:00\\x2e0", {OVERRIDE}, {LOAD}'),
    "a blank that attributes have not": rule(NATIVE, f'{ADDED}, ATTR{{vendor}}=="0x10de ", {OVERRIDE}, {LOAD}'),
    "a property that there is not": rule(GUEST, f'{THIS}, ENV{{NOTHING}}=="", {OVERRIDE}, {LOAD}'),
    "a tag that is taken back": rule(NATIVE, f'{THIS}, TAG+="guest"\n{THIS}, TAG-="guest"\nTAG=="guest", {OVERRIDE}, {LOAD}'),
    "a property of the bridge that it has not": rule(NATIVE, f'{THIS}, IMPORT{{parent}}="G", ENV{{G}}=="1", {OVERRIDE}, {LOAD}'),
    "a word of the command line": rule(GUEST, f'{THIS}, IMPORT{{cmdline}}="guest"\n{THIS}, ENV{{guest}}=="1", {OVERRIDE}, {LOAD}', "guest"),
    "names, links and options of nodes": rule(
        NATIVE, f'{THIS}, SYMLINK:="x", OPTIONS:="nowatch", MODE:="0660", OPTIONS+="link_priority=3"'
    ),
    "commands of one of two are replaced": Drawn(NATIVE, {LATE_RULE: f'{THIS}, RUN="/bin/true"\n'}),
    "each card loses its driver when it comes": rule(
        NEITHER, 'ACTION=="bind", SUBSYSTEM=="pci", DRIVER=="nouveau", ATTR{driver/unbind}="$kernel"'
    ),
    "a program by its environment": rule(
        GUEST,
        f'{THIS}, RUN+="/usr/local/sbin/act"',
        "",
        (CARD,),
        **{"/usr/local/sbin/act": "#!/bin/sh\necho vfio-pci > /sys$DEVPATH/driver_override\nmodprobe vfio-pci\n"},
    ),
    "a program that udev does not find": rule(NATIVE, f'{THIS}, RUN+="act"', **OF_UDEV, **{"/usr/local/bin/act": MOVES}),
    # rescans
    "a rescan of what is there": tmpfile(NATIVE, "w /sys/bus/pci/rescan - - - - 1"),
    "a rescan in a script": Drawn(
        NATIVE, {f"{OWN}/card.service": QUIET.replace("/bin/true", MOVER), MOVER: "#!/bin/sh\necho 1 > /sys/bus/pci/rescan\n"}, CARD_LINK
    ),
    "a rescan of a bridge": tmpfile(NATIVE, "w /sys/bus/pci/devices/0000:00:01.0/rescan - - - - 1"),
    "a rescan after a removal": Drawn(
        NATIVE,
        {
            RULE: f'{THIS}, ATTR{{remove}}="1"\n',
            f"{OWN}/card.service": QUIET.replace("/bin/true", MOVER),
            MOVER: "#!/bin/sh\necho 1 > /sys/bus/pci/rescan\n",
        },
        CARD_LINK,
        open=(CARD,),
    ),
    "a rescan by a rule after a removal": rule(
        NATIVE, f'{THIS}, ATTR{{remove}}="1"\nSUBSYSTEM=="drm", ACTION=="add", ATTR{{[subsystem/pci]rescan}}="1"', "", (CARD,)
    ),
    "a removal and a rescan in one script": Drawn(
        NATIVE,
        {
            f"{OWN}/card.service": QUIET.replace("/bin/true", MOVER),
            MOVER: f"#!/bin/sh\necho 1 > {HERE}/remove\nsleep 1\necho 1 > /sys/bus/pci/rescan\n",
        },
        CARD_LINK,
        open=(CARD,),
    ),
    # masks
    "the rules that load are masked over two links": Drawn(NEITHER, {}, {DRIVERS: "../none.rules", "/etc/udev/none.rules": "/dev/null"}),
    "the rules that load with an exception": Drawn({**NEITHER, NIC: "e1000e"}, {DRIVERS: EXCEPTION}),
    "a rule by a link, which the image has not": Drawn(
        GUEST, {"/opt/site/gpu": TO_GUEST, CONF: "softdep nouveau pre: vfio-pci\n"}, {RULE: "/opt/site/gpu"}, open=(CARD,)
    ),
    "a unit that is masked over two links": Drawn(
        NATIVE,
        {f"{LIB}/card.service": UNIT, MOVER: MOVES},
        {f"{MULTI_USER}/card.service": f"{LIB}/card.service", f"{OWN}/card.service": "off.service", f"{OWN}/off.service": "/dev/null"},
    ),
    "a drop-in that is masked": Drawn(
        NATIVE,
        {f"{OWN}/card.service": QUIET, f"{LIB}/card.service.d/a.conf": FIRST, MOVER: MOVES},
        {**CARD_LINK, f"{OWN}/card.service.d/a.conf": "/dev/null"},
    ),
    "a drop-in without its ending": Drawn(
        NATIVE, {f"{OWN}/card.service": QUIET, f"{OWN}/card.service.d/a": FIRST, MOVER: MOVES}, CARD_LINK
    ),
    "a drop-in by a part of the name": Drawn(
        GUEST,
        {f"{OWN}/card-gpu.service": QUIET, f"{OWN}/card-.service.d/a.conf": FIRST, MOVER: MOVES},
        {f"{MULTI_USER}/card-gpu.service": f"{OWN}/card-gpu.service"},
        open=(CARD,),
    ),
    "a daemon of guests that is masked": Drawn(NATIVE, LIBVIRT, {**LIBVIRT_LINK, **AUTOSTART, f"{OWN}/libvirtd.service": "/dev/null"}),
    "a list that is masked": Drawn(
        NEITHER, {**IDS, **BLACKLIST, "/usr/lib/modules-load.d/v.conf": "vfio-pci\n"}, {"/etc/modules-load.d/v.conf": "/dev/null"}
    ),
    "a blacklist of a package that is masked": Drawn(
        NATIVE, {"/usr/lib/modprobe.d/b.conf": "blacklist nouveau\n"}, {"/etc/modprobe.d/b.conf": "/dev/null"}
    ),
    "the replay of events is masked": Drawn(NEITHER, {}, {f"{OWN}/systemd-udev-trigger.service": "/dev/null"}),
    "a mask by a word, whose generator is masked": Drawn(
        GUEST, {**DEBUG, f"{OWN}/card.service": UNIT, MOVER: MOVES}, {**CARD_LINK, **NO_DEBUG}, "systemd.mask=card.service", open=(CARD,)
    ),
    "the replay is masked by such a word": Drawn(NATIVE, DEBUG, NO_DEBUG, "systemd.mask=systemd-udev-trigger.service"),
    # driverctl
    "what is saved, of which a word masks the unit": saved(NATIVE, f"systemd.mask=driverctl@pci-{CARD}.service"),
    "the same without the ending": saved(NATIVE, f"systemd.mask=driverctl@pci-{CARD}"),
    "what is saved, of which a word masks the template": saved(NATIVE, "systemd.mask=driverctl@.service"),
    "what is saved, of which a word masks another's unit": saved(GUEST, f"systemd.mask=driverctl@pci-{SAME}.service"),
    "what is saved, by a word whose generator is not there": saved(
        GUEST, f"systemd.mask=driverctl@pci-{CARD}", {"/usr/lib/systemd/system-generators/systemd-getty-generator": "\x7fELF"}
    ),
    "what is saved, its rule being empty": saved(NATIVE, "", {"/etc/udev/rules.d/05-driverctl.rules": ""}),
    # systemd's own units
    "udevd with its own mounts": udevd("[Service]\nPrivateMounts=no\n"),
    "udevd that tells more": udevd('[Service]\nEnvironment="SYSTEMD_LOG_LEVEL=debug" SYSTEMD_LOG_TARGET=kmsg\n'),
    "udevd that is nicer": udevd("[Unit]\nAfter=local-fs.target\n[Service]\nNice=-5\nIPAddressAllow=any\n"),
    "events of other devices alone are replayed": Drawn(
        NEITHER,
        {
            f"{OWN}/systemd-udev-trigger.service.d/site.conf": (
                "[Service]\nExecStart=\nExecStart=/usr/bin/udevadm trigger --subsystem-match=block\n"
            )
        },
        open=(CARD, SAME),
    ),
    # instances
    "an instance that is masked": instance(
        NATIVE, {f"{MULTI_USER}/card@a.service": f"{OWN}/card@.service", f"{OWN}/card@a.service": "/dev/null"}
    ),
    "an instance beside one that is masked": instance(
        GUEST, {f"{MULTI_USER}/card@a.service": f"{OWN}/card@.service", f"{OWN}/card@b.service": "/dev/null"}
    ),
    "a template that has no instance": instance(NATIVE, {}),
    "a drop-in of all instances": instance(
        GUEST, {f"{MULTI_USER}/card@a.service": f"{OWN}/card@.service"}, **{f"{OWN}/card@.service.d/a.conf": FIRST}
    ),
    "an instance by the address": instance(GUEST, {f"{MULTI_USER}/card@{CARD}.service": f"{OWN}/card@.service"}),
    # cron and timers
    "the table of root": at_reboot(GUEST, "/var/spool/cron/crontabs/root", f"@reboot sleep 30 && {MOVER} >/dev/null 2>&1\n"),
    "the table of the host": at_reboot(GUEST, "/etc/crontab", f"@reboot root {MOVER}\n"),
    "a line that is put aside": at_reboot(NATIVE, "/var/spool/cron/crontabs/root", f"#@reboot {MOVER}\n"),
    "a table without its daemon": at_reboot(NATIVE, "/etc/crontab", f"@reboot root {MOVER}\n", started=False),
    "a table with another command": at_reboot(NATIVE, "/etc/cron.d/check", "@reboot root /usr/bin/true\n"),
    "a timer that catches up": Drawn(
        GUEST,
        {f"{OWN}/card.service": UNIT, MOVER: MOVES, f"{OWN}/card.timer": "[Timer]\nOnCalendar=daily\nPersistent=true\n"},
        {f"{OWN}/timers.target.wants/card.timer": "../card.timer"},
        open=(CARD,),
    ),
    "a generator that is masked": Drawn(
        NATIVE,
        {"/usr/lib/systemd/system-generators/site": f"#!/bin/sh\n{MOVES}"},
        {"/etc/systemd/system-generators/site": "/dev/null"},
    ),
    # files that are written at boot
    "an override at boot alone": tmpfile(GUEST, f"w! {HERE}/driver_override - - - - vfio-pci"),
    "an override by a pattern": tmpfile(GUEST, "w /sys/bus/pci/devices/0000:3b:*/driver_override - - - - vfio-pci"),
    "a file that is emptied first": tmpfile(GUEST, f"f+ {HERE}/driver_override - - - - vfio-pci"),
    "a file that would be made, and is there": tmpfile(NATIVE, f"f {HERE}/driver_override 0644 root root - vfio-pci"),
    "the mode of a file": tmpfile(NATIVE, f"z {HERE}/driver_override 0660 root kvm"),
    "power of a card": tmpfile(NATIVE, f"w {HERE}/power/control - - - - auto"),
    "another card": tmpfile(NATIVE, "w /sys/bus/pci/devices/0000:99:00.0/remove - - - - 1"),
    "pages of memory": tmpfile(NATIVE, "w! /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise"),
    "no driver for what comes later": tmpfile(NEITHER, "w /sys/bus/pci/drivers_autoprobe - - - - 0", (CARD, SAME)),
    # sysctl
    "no further modules": sysctl(NEITHER, "  kernel.modules_disabled = 1  "),
    "no further modules, in other words": sysctl(NEITHER, "-kernel/modules_disabled=1"),
    "no further modules by a pattern": sysctl(NEITHER, "kernel.modules_dis*=1"),
    "further modules": sysctl(NATIVE, "#kernel.modules_disabled=1\n;kernel.modules_disabled=1\nkernel.modules_disabled=0"),
    "no further modules, in a file that is not read": sysctl(NATIVE, "kernel.modules_disabled=1", "/etc/sysctl.d/site"),
    "no further modules, and later some": sysctl(NEITHER, "kernel.modules_disabled=1\nkernel.modules_disabled=0"),
    "no module from the first program on": Drawn(NO_NETWORK, cmdline="sysctl.kernel.modules_disabled=1", open=(CARD, SAME, NIC)),
    # kmod
    "softdeps over what is loaded already": said("softdep nouveau pre: e1000e\nsoftdep e1000e pre: vfio-pci\n", BOTH, **IDS),
    "softdeps over what is not there": said("softdep nouveau pre: gone\nsoftdep gone pre: vfio-pci\n", NATIVE, **IDS),
    "softdeps in a circle of three": said(
        "softdep nouveau pre: e1000e\nsoftdep e1000e pre: vfio-pci\nsoftdep vfio-pci pre: nouveau\n", NATIVE, **IDS
    ),
    "an install line that tells and loads": said("install nouveau /usr/bin/logger nouveau; /sbin/modprobe -i nouveau\n", NATIVE),
    "an install line that waits and loads": said("install nouveau sleep 1; /sbin/modprobe -i nouveau\n", NATIVE),
    "an install line of an alias": said("alias gfx nouveau\ninstall gfx /bin/true\n", NATIVE),
    "the first of two install lines": said("install nouveau /bin/true\ninstall nouveau /sbin/modprobe -i nouveau\n", NEITHER),
    "options of a pattern of modules": said(f"{SOFTDEP}options vfio* ids=10de:1db1\n", NATIVE),
    "options of an alias, which loads": said(
        "alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* vfio-pci\noptions pci:v000010DEd00001DB1sv*sd*bc*sc*i* ids=10de:1db1\n", BOTH
    ),
    "an ID with an open device": said(f"{SOFTDEP}options vfio-pci ids=10de:ffffffff\n", BOTH),
    "an ID that is nearly open": said(f"{SOFTDEP}options vfio-pci ids=10de:ffff\n", NATIVE),
    "an ID in quotes of the shell": said(f"{SOFTDEP}options vfio-pci ids='10de:1db1'\n", NATIVE),
    "an empty number": said("options nouveau modeset=\n", NEITHER),
    "the last of two numbers": said("options nouveau modeset=1 modeset=0\n", NEITHER),
    # words
    "a word for dracut, in a boot without it": Drawn(NATIVE, cmdline="rd.driver.blacklist=nouveau"),
    "an outdated word": Drawn(NATIVE, cmdline="rd.blacklist=nouveau modprobe_blacklist=nouveau"),
    "kmod's word, and a list that asks by name": Drawn(NEITHER, {LIST: "nouveau\n"}, cmdline="modprobe.blacklist=nouveau"),
    "kmod's word, and a softdep": Drawn(
        NATIVE, {CONF: "softdep vfio-pci pre: nouveau\n", LIST: "vfio-pci\n"}, cmdline="modprobe.blacklist=nouveau"
    ),
    "the kernel's word, and a softdep": Drawn(
        NEITHER, {CONF: "softdep vfio-pci pre: nouveau\n", LIST: "vfio-pci\n"}, cmdline="module_blacklist=nouveau"
    ),
    "the kernel's word, behind those of the kernel": Drawn(NATIVE, cmdline="-- nomodule nomodeset initcall_blacklist=nouveau_drm_init"),
    "another function that is not called": Drawn(NATIVE, cmdline="initcall_blacklist=simpledrm_platform_driver_init"),
    "dracut loads afterwards": Drawn(BOTH, IDS, cmdline="rd.driver.post=vfio-pci", then=by_dracut(**IN_IMAGE)),
    "dracut loads a list before": Drawn(BOTH, cmdline="rd.driver.pre=drm,vfio-pci vfio-pci.ids=10de:1db1", then=by_dracut()),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
