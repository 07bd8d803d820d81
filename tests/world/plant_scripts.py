# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else runs programs at boot: schedules, System V's scripts, rc.local, the initramfs's scripts, lines of modprobe.d."""

from __future__ import annotations

import acts
from cards import Card
from configuration import DRACUT, INITRAMFS_TOOLS
from host_builder import UNITS, HostBuilder
from world_configuration import Entry

_CRON = f"{UNITS}/multi-user.target.wants/cron.service"
_ATD = f"{UNITS}/multi-user.target.wants/atd.service"
_CRON_PATH = "SHELL=/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n"


def cron(b: HostBuilder, card: Card) -> None:
    """Each kind of crontab; cron is not always enabled."""
    if b.maybe(0.8):
        b.link(_CRON, "/usr/lib/systemd/system/cron.service")
    act = acts.draw(b, card)
    command = b.program(act.script()) if b.maybe(0.5) or "\n" in act.inline() else acts.draw_simple(b, card).inline()
    when = b.one("@reboot", "@reboot", "@reboot", "@daily", "* * * * *", "#@reboot")
    kind = b.choice.randrange(4)
    if kind == 0:
        b.append("/etc/crontab", f"{when} root {command}\n")
    elif kind == 1:
        b.file(f"/etc/cron.d/job{b.number()}", f"{_CRON_PATH}{when} root {command}\n")
    elif kind == 2:
        b.root["/var/spool/cron/crontabs/root"] = Entry(f"{_CRON_PATH}{when} {command}\n", mode=0o600)
    else:
        # cron takes no names with dots.
        b.file(f"/etc/cron.d/job{b.number()}.{b.one('disabled', 'bak')}", f"{_CRON_PATH}{when} root {command}\n")
    b.note("cron", card)


def at(b: HostBuilder, card: Card) -> None:
    if b.maybe(0.8):
        b.link(_ATD, "/usr/lib/systemd/system/atd.service")
    # The job's number and the minute it is for; a minute long gone by runs at once.
    minute = b.one("019a0000", "019a0000", "0fffffff")
    text = f"#!/bin/sh\n# atrun uid=0 gid=0\n# mail root 0\numask 22\ncd / || exit 1\n{acts.draw(b, card).script()}"
    b.root[f"/var/spool/cron/atjobs/a{b.number():05x}{minute}"] = Entry(text, mode=0o700)
    b.note("at", card)


def rc_local(b: HostBuilder, card: Card) -> None:
    lines = "\n".join(acts.draw(b, card).lines)
    first = "exit 0\n" if b.maybe(0.15) else ""
    mode = 0o755 if b.maybe(0.8) else 0o644
    b.root["/etc/rc.local"] = Entry(f"#!/bin/sh -{b.one('e', 'x')}\n{first}{lines}\nexit 0\n", mode=mode)
    b.note("rc.local", card)


def sysv(b: HostBuilder, card: Card) -> None:
    name = f"old{b.number()}"
    level = b.one("2 3 4 5", "2 3 4 5", "S", "")
    needs = "# Required-Start:\n# Required-Stop:\n"
    head = f"#!/bin/sh\n### BEGIN INIT INFO\n# Provides: {name}\n{needs}# Default-Start: {level}\n# Default-Stop:\n### END INIT INFO\n"
    body = "\n".join(f"    {line}" for line in acts.draw(b, card).lines)
    b.file(f"/etc/init.d/{name}", f'{head}case "$1" in\n  start)\n{body}\n    ;;\nesac\nexit 0\n')
    for one in level.split():
        b.link(f"/etc/rc{one}.d/S{b.choice.randrange(1, 99):02}{name}", f"../init.d/{name}")
    if b.maybe(0.15):
        b.link(f"{UNITS}/{name}.service", "/dev/null")
        b.note("masked sysv script", card)
    b.note("sysv script", card)


def image_script(b: HostBuilder, card: Card) -> None:
    """A script of initramfs-tools or dracut that no package brings, in the image, or only where the next image is made from."""
    act = acts.draw(b, card)
    if b.flow == DRACUT:
        b.image[f"/lib/dracut/hooks/initqueue/settled/{b.number():02}-own.sh"] = Entry(act.script())
        b.note("dracut hook", card)
        return
    if b.flow != INITRAMFS_TOOLS:
        return
    folder = b.one("init-top", "init-bottom")
    name = f"own{b.number()}"
    text = f'#!/bin/sh\nPREREQ=""\ncase "$1" in prereqs) echo "$PREREQ"; exit 0 ;; esac\n{act.script().removeprefix("#!/bin/sh")}'
    b.file(f"/etc/initramfs-tools/scripts/{folder}/{name}", text)
    if b.maybe(0.85):
        b.image[f"/scripts/{folder}/{name}"] = Entry(text)
        usual = {"init-top": ("all_generic_ide", "blacklist", "udev"), "init-bottom": ("udev",)}[folder]
        added = sorted(path.rpartition("/")[2] for path in b.image if path.startswith(f"/scripts/{folder}/own"))
        order = (*added, *usual) if b.maybe(0.5) else (*usual, *added)
        lines = "".join(f'/scripts/{folder}/{one} "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n' for one in order)
        b.image[f"/scripts/{folder}/ORDER"] = Entry(lines)
        # udev's daemon is gone when init-bottom's is done.
        b.pack("vfio_pci", "pci_stub")
    b.note(f"initramfs-tools {folder}", card)


def install_line(b: HostBuilder, card: Card) -> None:
    """modprobe runs a command instead of loading the module."""
    module = b.one(*card.natives, "vfio_pci")
    style = b.choice.randrange(6)
    if style == 0:
        line = f"install {module} /bin/{b.one('true', 'false')}"
    elif style == 1:
        line = f"install {module} /sbin/modprobe -i {b.one('vfio_pci', 'pci_stub', 'dummy')}"
    elif style == 2:
        line = f"install {module} /sbin/modprobe vfio-pci; /sbin/modprobe --ignore-install {module}"
    elif style == 3:
        program = b.program(f"{acts.draw(b, card).script()}modprobe -i {module} $CMDLINE_OPTS\n")
        line = f"install {module} {program}"
    elif style == 4:
        line = f"install {module} /bin/sh -c '{acts.draw_simple(b, card).inline()}'"
    else:
        line = f"install {module} /sbin/modprobe --ignore-install {module} $CMDLINE_OPTS"
    lines = [line]
    if b.maybe(0.15):
        lines.append(f"softdep {module} pre: {b.one('dummy', 'vfio_pci')}")
        b.note("install line beside softdep", card)
    b.modprobe(lines)
    b.note("install line", card)


def second_initrd(b: HostBuilder, card: Card) -> None:
    """Files that the boot loader adds to the initramfs."""
    style = b.choice.randrange(3)
    if style == 0:
        path, text = f"/etc/modprobe.d/second{b.number()}.conf", f"blacklist {b.one(*card.natives, 'vfio_pci')}\n"
    elif style == 1:
        rule = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{card.address}", ATTR{{driver_override}}="vfio-pci"\n'
        path, text = f"/etc/udev/rules.d/70-second{b.number()}.rules", rule
    else:
        path, text = "/conf/modules", f"{b.one(*card.natives, 'vfio_pci')}\n"
        b.pack(*card.natives, "vfio_pci")
    b.second[path] = Entry(text)
    if card.natives and b.maybe(0.5):
        b.pack(b.one(*card.natives))
    b.note("second initrd", card)
