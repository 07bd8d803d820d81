# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with what guides and man pages show, in the ways in which it is written right, nearly right and wrong.

Their truth comes from the sources of Linux, kmod, udev and systemd; the base is that of the hosts with known answers.
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
    CONF,
    CRON,
    CRON_LINK,
    GUEST,
    IDS,
    IN_IMAGE,
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
    ONE_LOST,
    OVERRIDE,
    OWN,
    RULE,
    SAME,
    SOFTDEP,
    TO_GUEST,
    UNIT,
    Drawn,
    by_dracut,
    by_initramfs_tools,
    compare,
    said,
    unit,
)

if t.TYPE_CHECKING:
    from pathlib import Path

NOTHING: t.Mapping[str, str] = {}
PASSWD = {"/etc/passwd": "root:x:0:0::/root:/bin/sh\n"}
MACHINE = {"/etc/machine-id": "0123456789abcdef0123456789abcdef\n"}


def other(setting: str) -> dict[str, str]:
    """Another unit, enabled, that refers to the card's."""
    text = f"[Unit]\n{setting}=card.service\n[Service]\nType=oneshot\nExecStart=/usr/bin/true\n"
    return {f"{OWN}/other.service": text, f"{MULTI_USER}/other.service": "<../other.service>"}


HOSTS: dict[str, Drawn] = {
    # modprobe.d
    "a remove line decides nothing at boot": said("remove nouveau /sbin/rmmod nouveau; /sbin/modprobe vfio-pci\n", NATIVE),
    "a softdep after the native": said("softdep nouveau post: vfio-pci\n", NATIVE, **IDS),
    "a softdep before and after": said("softdep nouveau pre: vfio-pci post: e1000e\n", BOTH, **IDS),
    "a weak dependency is for images alone": said("weakdep nouveau vfio-pci\n", NATIVE, **IDS),
    "a softdep of what the native depends on, which it does not load": said("softdep drm pre: vfio-pci\n", NATIVE, **IDS),
    "a softdep with a wildcard": said("softdep nou* pre: vfio-pci\n", BOTH, **IDS),
    "an alias of the vendor's devices": said("alias pci:v000010DEd*sv*sd*bc*sc*i* vfio-pci\n", BOTH, **IDS),
    "an alias of a class": said("alias pci:v*d*sv*sd*bc03sc*i* vfio-pci\n", BOTH, **IDS),
    "an alias with brackets": said("alias pci:v000010D[EF]d*sv*sd*bc*sc*i* vfio-pci\n", BOTH, **IDS),
    "an alias in small letters": said("alias pci:v000010ded*sv*sd*bc*sc*i* vfio-pci\n", NATIVE, **IDS),
    "an alias to a module that there is not": said("alias pci:v000010DEd*sv*sd*bc*sc*i* off\n", NEITHER),
    "an install line of the module itself": said("install nouveau /sbin/modprobe --ignore-install nouveau\n", NATIVE),
    "an install line that loads another before": said(
        "install nouveau /sbin/modprobe vfio-pci; /sbin/modprobe --ignore-install nouveau\n", BOTH, **IDS
    ),
    "an install line that loads another in its place": said(
        "install nouveau /sbin/modprobe vfio-pci || /sbin/modprobe --ignore-install nouveau\n", BOTH, **IDS
    ),
    "an install line that fails first": said("install nouveau /bin/false && /sbin/modprobe --ignore-install nouveau\n", NEITHER),
    "an install line that loads another by an alias, which is blacklisted": said(
        "alias guest vfio-pci\nblacklist vfio-pci\ninstall nouveau /sbin/modprobe guest; /sbin/modprobe -i nouveau\n", NATIVE, **IDS
    ),
    "an install line that loads another by its name, which is blacklisted": said(
        "blacklist vfio-pci\ninstall nouveau /sbin/modprobe vfio-pci; /sbin/modprobe -i nouveau\n", BOTH, **IDS
    ),
    "an install line that asks for the blacklist": said(
        "blacklist vfio-pci\ninstall nouveau /sbin/modprobe -qb vfio-pci; /sbin/modprobe -i nouveau\n", NATIVE, **IDS
    ),
    "an install line with a wildcard": said("install nou* /bin/false\n", NEITHER),
    "a blacklist with a wildcard": said("blacklist nou*\n", NATIVE),
    "a blacklist of a file": said("blacklist nouveau.ko\n", NATIVE),
    "a blacklist in capitals": said("blacklist Nouveau\n", NATIVE),
    "a blacklist of two": said("blacklist nvidia nouveau\n", NATIVE),
    "a blacklist over two lines": said("blacklist \\\nnouveau\n", NEITHER),
    "a blacklist with the line ends of another system": said("blacklist nouveau\r\n", NATIVE),
    "a blacklist in a folder below": Drawn(NATIVE, {"/etc/modprobe.d/gpu/site.conf": "blacklist nouveau\n"}),
    "a blacklist of a package that the host replaces": Drawn(
        NATIVE, {"/usr/lib/modprobe.d/site.conf": "blacklist nouveau\n", CONF: "# nothing\n"}
    ),
    "the order of names is not that of numbers": Drawn(
        NATIVE, {"/etc/modprobe.d/10.conf": "options nouveau modeset=0\n", "/etc/modprobe.d/9.conf": "options nouveau modeset=1\n"}
    ),
    # parameters
    "zero in another base": said("options nouveau modeset=0x0\n", NEITHER),
    "a value that is not a number": said("options nouveau modeset=off\n", NEITHER),
    "a value after blanks": said("options nouveau modeset = 0\n", NEITHER),
    "no value": said("options nouveau modeset\n", NEITHER),
    "a value that is too large": said("options nouveau runpm=99999999999\n", NEITHER),
    "a parameter that there is not": said("options nouveau guest=1\n", NATIVE),
    "the command line after modprobe.d": said("options nouveau modeset=0\n", NATIVE, "nouveau.modeset=1"),
    "IDs by class": said(f"{SOFTDEP}options vfio-pci ids=10de:ffffffff:ffffffff:ffffffff:030000:ff0000\n", BOTH),
    "IDs by a class that is narrower": said(f"{SOFTDEP}options vfio-pci ids=10de:ffffffff:ffffffff:ffffffff:030000:ffff00\n", NATIVE),
    "IDs of a subsystem": said(f"{SOFTDEP}options vfio-pci ids=10de:1db1:10de:1212\n", NATIVE),
    "IDs in capitals": said(f"{SOFTDEP}options vfio-pci ids=10DE:1DB1\n", BOTH),
    "IDs after a blank": said(f"{SOFTDEP}options vfio-pci ids=8086:10d3, 10de:1db1\n", NATIVE),
    "another parameter that is refused": said(f"{SOFTDEP}options vfio-pci disable_denylist=maybe\n", NATIVE, **IDS),
    # the command line
    "the last of two lists that the kernel refuses": Drawn(NATIVE, cmdline="module_blacklist=nouveau module_blacklist=nvidia"),
    "no mode setting": Drawn(NEITHER, cmdline="nomodeset"),
    "no mode setting, and nouveau's own": Drawn(NATIVE, cmdline="nomodeset nouveau.modeset=1"),
    "a word without effect": Drawn(NATIVE, cmdline="nouveau.blacklist=1"),
    "words of udev": Drawn(NATIVE, cmdline="udev.log_level=debug udev.children_max=4 rd.udev.log_level=3"),
    "IDs for one boot replace those of modprobe.d": said(SOFTDEP, NATIVE, "vfio-pci.ids=8086:1533", **IDS),
    "IDs behind the words of the kernel": said(SOFTDEP, BOTH, "-- vfio-pci.ids=10de:1db1"),
    "no IOMMU by its general word": Drawn(ONE_LOST, {RULE: TO_GUEST}, cmdline="iommu=off"),
    "modules are allowed": Drawn(NATIVE, cmdline="nomodule=0"),
    "a list by the command line": Drawn(BOTH, {**IDS, **BLACKLIST}, cmdline="modules-load=vfio-pci"),
    "a list for the initramfs by the command line": Drawn(NEITHER, {**IDS, **BLACKLIST}, cmdline="rd.modules_load=vfio-pci"),
    # lists
    "a list whose line has a comment": Drawn(NEITHER, {**IDS, **BLACKLIST, LIST: "vfio-pci # for guests\n"}),
    "a list without its ending": Drawn(NEITHER, {**IDS, **BLACKLIST, LIST[: -len(".conf")]: "vfio-pci\n"}),
    "a list of what is blacklisted": said("blacklist nouveau\nblacklist vfio-pci\n", NEITHER, **IDS, **{LIST: "vfio-pci\n"}),
    # udev
    "an override that nobody loads": Drawn(ONE_LOST, {RULE: f'{ADDED}, KERNEL=="{CARD}", {OVERRIDE}\n'}),
    "keys without commas": Drawn(GUEST, {RULE: f'ACTION=="add" SUBSYSTEM=="pci" KERNEL=="{CARD}" {OVERRIDE} {LOAD}\n'}),
    "a rule in single quotes": Drawn(NATIVE, {RULE: TO_GUEST.replace('"', "'")}),
    "a class that is another one": Drawn(NATIVE, {RULE: f'{ADDED}, ATTR{{class}}=="0x030000", {OVERRIDE}, {LOAD}\n'}),
    "an address in capitals": Drawn(NATIVE, {RULE: TO_GUEST.replace(CARD, CARD.upper())}),
    "a property in small letters": Drawn(NATIVE, {RULE: f'{ADDED}, ENV{{PCI_ID}}=="10de:1db1", {OVERRIDE}, {LOAD}\n'}),
    "a place in the device's path": Drawn(GUEST, {RULE: f'{ADDED}, DEVPATH=="*/{CARD}", {OVERRIDE}, {LOAD}\n'}),
    "a rule for changes": Drawn(NATIVE, {RULE: TO_GUEST.replace('"add"', '"change"')}),
    "a rule over lines with a comment between": Drawn(GUEST, {RULE: f'{ADDED}, \\\n# which\n  KERNEL=="{CARD}", {OVERRIDE}, {LOAD}\n'}),
    "a later rule takes the override back": Drawn(
        NATIVE, {RULE: f'{TO_GUEST}{ADDED}, KERNEL=="{CARD}", ATTR{{driver_override}}="nouveau"\n'}
    ),
    "a rule wants a unit without the tag": Drawn(
        NATIVE,
        {RULE: f'{ADDED}, KERNEL=="{CARD}", ENV{{SYSTEMD_WANTS}}+="card.service"\n', f"{OWN}/card.service": UNIT, MOVER: MOVES},
    ),
    "a rule runs echo without a shell": Drawn(
        NATIVE, {RULE: f'{ADDED}, KERNEL=="{CARD}", RUN+="/bin/echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override"\n'}
    ),
    "a rule runs a script that is named as such a program": Drawn(
        GUEST, {RULE: f'{ADDED}, KERNEL=="{CARD}", RUN+="/usr/local/sbin/echo"\n', "/usr/local/sbin/echo": MOVES}, open=(CARD,)
    ),
    # systemd
    "a unit with another name that nothing wants": Drawn(
        NATIVE,
        {f"{LIB}/card.service": f"{UNIT}[Install]\nAlias=gpu.service\n", MOVER: MOVES},
        {f"{OWN}/gpu.service": f"{LIB}/card.service"},
    ),
    "a unit that the command line wants": unit(GUEST, enabled=False, cmdline="systemd.wants=card.service"),
    "a unit that the command line wants in the initramfs": unit(NATIVE, enabled=False, cmdline="rd.systemd.wants=card.service"),
    "a unit that the command line masks": unit(NATIVE, cmdline="systemd.mask=card.service"),
    "a mask of a unit that is gone with /run": unit(GUEST, more={"/run/systemd/system/card.service": "</dev/null>"}),
    "a timer with another unit's name": unit(
        GUEST,
        enabled=False,
        more={f"{OWN}/go.timer": "[Timer]\nOnStartupSec=1\nUnit=card.service\n", f"{OWN}/timers.target.wants/go.timer": "<../go.timer>"},
    ),
    "a condition that an empty one takes back": unit(GUEST, head="ConditionPathExists=/etc/never\nConditionPathExists=\n"),
    "a condition that an empty one of another name takes back": unit(GUEST, head="ConditionPathExists=/etc/never\nConditionUser=\n"),
    "a condition that an empty assertion leaves": unit(NATIVE, head="ConditionPathExists=/etc/never\nAssertPathExists=\n"),
    "a condition after an empty one": unit(NATIVE, head="ConditionPathExists=\nConditionPathExists=/etc/never\n"),
    "an alternative that holds": unit(GUEST, head="ConditionPathExists=|/etc/never\nConditionPathExists=|/etc/passwd\n", more=PASSWD),
    "alternatives of which none holds": unit(
        NATIVE, head="ConditionPathExists=|/etc/never\nConditionPathExists=|!/etc/passwd\n", more=PASSWD
    ),
    "a condition in a drop-in": unit(NATIVE, more={f"{OWN}/card.service.d/no.conf": "[Unit]\nConditionPathExists=/etc/never\n"}),
    "a word of the command line as a condition": unit(NATIVE, head="ConditionKernelCommandLine=guest\n"),
    "a first boot as a condition": unit(NATIVE, head="ConditionFirstBoot=yes\n", more=MACHINE),
    "a first boot as a condition, which it is": unit(GUEST, head="ConditionFirstBoot=yes\n", more={"/etc/machine-id": "uninitialized\n"}),
    "a first boot as a condition, by the command line": unit(
        GUEST, head="ConditionFirstBoot=yes\n", cmdline="systemd.condition_first_boot=1", more=MACHINE
    ),
    "a later boot as a condition": unit(GUEST, head="ConditionFirstBoot=no\n", more=MACHINE),
    "another user as a condition": unit(NATIVE, head="ConditionUser=!root\n"),
    "the user as a condition": unit(GUEST, head="ConditionUser=@system\n"),
    "a command of nobody": unit(NATIVE, body=f"User=nobody\nExecStart={MOVER}"),
    "a command of nobody with all rights": unit(GUEST, body=f"User=nobody\nExecStart=+{MOVER}"),
    "a redirection without a shell": unit(NATIVE, body=f"ExecStart=/bin/echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override"),
    "a command that a drop-in takes back": unit(
        NATIVE, more={f"{OWN}/card.service.d/no.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/true\n"}
    ),
    "a drop-in for all services": unit(
        GUEST, body="ExecStart=/usr/bin/true", more={f"{OWN}/service.d/all.conf": f"[Service]\nExecStartPre={MOVER}\n"}
    ),
    "a command for the stop of a unit that stays": unit(NATIVE, body=f"RemainAfterExit=yes\nExecStart=/usr/bin/true\nExecStop={MOVER}"),
    "a command for the stop of a unit that ends": unit(GUEST, body=f"ExecStart=/usr/bin/true\nExecStop={MOVER}"),
    "a unit that another needs": unit(GUEST, enabled=False, more=other("BindsTo")),
    "a unit that another one's success starts": unit(GUEST, enabled=False, more=other("OnSuccess")),
    "a unit that another waits for": unit(NATIVE, enabled=False, more=other("After")),
    "a unit that another is a part of": unit(NATIVE, enabled=False, more=other("PartOf")),
    "a target that nothing wants": unit(NATIVE, enabled=False, more={f"{OWN}/gpu.target.wants/card.service": "<../card.service>"}),
    "another default target": unit(
        NATIVE,
        more={
            f"{OWN}/default.target": f"<{LIB}/rescue.target>",
            f"{LIB}/rescue.target": "[Unit]\nRequires=sysinit.target\n",
            f"{LIB}/multi-user.target": "[Unit]\nRequires=basic.target\n",
        },
    ),
    "a script for the end": Drawn(NATIVE, {"/usr/lib/systemd/system-shutdown/card": MOVES}),
    "a unit of users": Drawn(
        NATIVE,
        {"/etc/systemd/user/card.service": UNIT, MOVER: MOVES},
        {"/etc/systemd/user/default.target.wants/card.service": "../card.service"},
    ),
    # cron, libvirt and others
    "a table of Debian's cron with a dot in its name": Drawn(
        NATIVE, {"/etc/cron.d/card.sh": f"@reboot root {MOVER}\n", MOVER: MOVES, **CRON}, CRON_LINK
    ),
    "a table of Debian's cron without one": Drawn(
        GUEST, {"/etc/cron.d/card": f"@reboot root {MOVER}\n", MOVER: MOVES, **CRON}, CRON_LINK, open=(CARD,)
    ),
    "a table of the user nobody": Drawn(NATIVE, {"/etc/cron.d/card": f"@reboot nobody {MOVER}\n", MOVER: MOVES, **CRON}, CRON_LINK),
    "a guest that is not started": Drawn(NATIVE, LIBVIRT, LIBVIRT_LINK),
    "a guest that is started with the host": Drawn(GUEST, LIBVIRT, {**LIBVIRT_LINK, **AUTOSTART}, open=(CARD,)),
    "a guest that would be started by what is not": Drawn(NATIVE, LIBVIRT, AUTOSTART),
    "driverctl's file without its bus": Drawn(NATIVE, {f"/etc/driverctl.d/{CARD}": "vfio-pci\n"}),
    "driverctl's file, and a blacklist": Drawn(
        {CARD: "vfio-pci", SAME: None}, {f"/etc/driverctl.d/pci-{CARD}": "vfio-pci\n", **BLACKLIST}, open=(SAME,)
    ),
    "a file of profile.d": Drawn(NATIVE, {"/etc/profile.d/card.sh": MOVES}),
    "a program to load modules that is not asked": Drawn(NATIVE, {"/etc/sysctl.d/site.conf": "kernel.modprobe=/bin/false\n"}),
    "a file for tmpfiles.d without its ending": Drawn(
        NATIVE, {"/etc/tmpfiles.d/card": f"w /sys/bus/pci/devices/{CARD}/remove - - - - 1\n"}
    ),
    # initramfs
    "a list for an image that was not rebuilt": Drawn(
        NATIVE, {**IDS, "/etc/initramfs-tools/modules": "vfio-pci\n"}, then=by_initramfs_tools()
    ),
    "a list of the image with options": Drawn(BOTH, then=by_initramfs_tools(**{"conf/modules": "vfio-pci ids=10de:1db1\n"})),
    "a blacklist that the image alone has": Drawn(NATIVE, then=by_initramfs_tools(**{"etc/modprobe.d/site.conf": "blacklist nouveau\n"})),
    "a word for the initramfs": Drawn(NATIVE, cmdline="blacklist=nouveau", then=by_initramfs_tools(("blacklist", "udev"))),
    "dracut loads before": Drawn(BOTH, IDS, cmdline="rd.driver.pre=vfio-pci", then=by_dracut(**IN_IMAGE)),
    "dracut loads before, without the IDs": Drawn(NATIVE, IDS, cmdline="rd.driver.pre=vfio-pci", then=by_dracut()),
    "dracut loads by a file of the image": Drawn(
        BOTH, IDS, then=by_dracut(**{"etc/cmdline.d/20-force_drivers.conf": "rd.driver.pre=vfio-pci\n", **IN_IMAGE})
    ),
    "dracut's blacklist lasts": Drawn(NEITHER, cmdline="rd.driver.blacklist=nouveau", then=by_dracut()),
    "an outdated word of dracut's": Drawn(NATIVE, cmdline="rdblacklist=nouveau", then=by_dracut()),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
