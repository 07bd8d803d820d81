# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on which other users than root start something at boot: it acts on a device only where it gets root's rights.

What logind starts is in loginctl(1), which commands a user's manager may have run in systemd.exec(5), sudo(8) and polkit(8).
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.other_users import gets_root
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CRON_LINK,
    GUEST,
    LIB,
    MOVER,
    MOVES,
    NATIVE,
    OWN,
    UNIT,
    Drawn,
    Truth,
    compare,
)
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

ACCOUNTS = "root:x:0:0::/root:/bin/sh\nkvm:x:1000:1000::/home/kvm:/bin/sh\n"
OWN_UNIT = "/home/kvm/.config/systemd/user/card.service"
WANTED = {"/home/kvm/.config/systemd/user/default.target.wants/card.service": "../card.service"}
SUDO = f"[Service]\nExecStart=/usr/bin/sudo {MOVER}\n"
STARTS = "[Service]\nExecStart=/usr/bin/systemctl start card.service\n"
RULE = 'polkit.addRule((action) => action.id == "org.freedesktop.systemd1.manage-units" ? polkit.Result.YES : undefined);\n'
PKLA = "Action=org.freedesktop.systemd1.manage-units\nResultAny=yes\n"
MAY_START = {"/etc/polkit-1/rules.d/50-kvm.rules": RULE}
SYSTEM_S = {f"{OWN}/card.service": UNIT, MOVER: MOVES}
CRON = {f"{LIB}/cron.service": "[Service]\nExecStart=/usr/sbin/cron -f\n", MOVER: MOVES, "/etc/passwd": ACCOUNTS}
LOGIN = "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin kvm --noclear %I $TERM\n"


def users(truth: Truth, unit: str, more: t.Mapping[str, str] | None = None, *, lingers: bool = True, **links: str) -> Drawn:
    """A host with a unit that another user has for the own manager."""
    lingering = {"/var/lib/systemd/linger/kvm": ""} if lingers else {}
    files = {OWN_UNIT: unit, MOVER: MOVES, "/etc/passwd": ACCOUNTS, **lingering, **(more or {})}
    return Drawn(truth, files, {**WANTED, **links}, open=() if truth is NATIVE else (CARD,))


HOSTS: dict[str, Drawn] = {
    "a unit without rights": users(NATIVE, UNIT),
    "a unit with sudo": users(GUEST, SUDO),
    "a unit with sudo of a user who does not linger": users(NATIVE, SUDO, lingers=False),
    "a script with sudo": users(GUEST, "[Service]\nExecStart=%h/.bin/card\n", {"/home/kvm/.bin/card": f"#!/bin/sh\nsudo {MOVER}\n"}),
    "a unit that may gain no rights": users(NATIVE, f"{SUDO}NoNewPrivileges=yes\n"),
    "a prefix that gives no rights": users(NATIVE, f"[Service]\nExecStart=+{MOVER}\n"),
    "a unit for users alone": users(GUEST, f"[Unit]\nConditionUser=!root\nConditionGroup=kvm\n{SUDO}"),
    "podman": users(NATIVE, "[Service]\nExecStart=/usr/bin/podman start --all\n"),
    "a unit of the system's, which it may start": users(GUEST, STARTS, {**SYSTEM_S, **MAY_START}),
    "a unit of the system's, which it may not start": users(NATIVE, STARTS, SYSTEM_S),
    "a rule in a file that polkit does not read": users(NATIVE, STARTS, {**SYSTEM_S, "/etc/polkit-1/rules.d/50-kvm.rules.off": RULE}),
    "an older rule of polkit's": users(
        GUEST, STARTS, {**SYSTEM_S, "/etc/polkit-1/localauthority/50-local.d/kvm.pkla": f"[kvm]\nIdentity=unix-user:kvm\n{PKLA}"}
    ),
    "an attribute that tmpfiles.d hands to a group": users(
        GUEST, UNIT, {"/etc/tmpfiles.d/kvm.conf": "z /sys/bus/pci/devices/*/driver_override 0664 root kvm\n"}
    ),
    "another program's file that is handed to a group": users(NATIVE, UNIT, {"/etc/tmpfiles.d/kvm.conf": "z /dev/kvm 0660 root kvm\n"}),
    "a unit of its own": users(NATIVE, STARTS.replace("start", "--user start", 1), {**SYSTEM_S, **MAY_START}),
    "a unit with sudo of a user who is logged in": users(
        GUEST,
        SUDO,
        {f"{LIB}/getty@.service": "[Service]\nExecStart=-/sbin/agetty %I\n", f"{OWN}/getty@tty1.service.d/login.conf": LOGIN},
        lingers=False,
        **{f"{OWN}/getty.target.wants/getty@tty1.service": f"{LIB}/getty@.service"},
    ),
    "a crontab with sudo": Drawn(GUEST, {"/var/spool/cron/crontabs/kvm": f"@reboot sudo {MOVER}\n", **CRON}, CRON_LINK, open=(CARD,)),
    "a crontab": Drawn(NATIVE, {"/var/spool/cron/crontabs/kvm": f"@reboot {MOVER}\n", **CRON}, CRON_LINK),
}


@pytest.mark.parametrize("name", HOSTS)
def test_what_other_users_start_counts_where_it_gets_roots_rights(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)


@pytest.mark.parametrize(("mode", "truth"), [(0o4755, GUEST), (0o755, NATIVE)])
def test_a_program_that_makes_its_caller_root_counts(tmp_path: Path, mode: int, truth: Truth) -> None:
    tree = users(truth, "[Service]\nExecStart=/usr/local/bin/helper\n").tree(tmp_path)
    tree.file("/usr/local/bin/helper", b"\x7fELF\x02\x01\x01\0", mode)
    compare(tree, truth, () if truth is NATIVE else tuple(truth))


@pytest.mark.parametrize(
    ("rule", "hands_out"),
    [
        ('SUBSYSTEM=="pci", RUN+="/bin/chgrp kvm /sys$devpath/driver_override"\n', True),
        ('SUBSYSTEM=="pci", RUN+="/bin/sh -c \'chmod g+w %S%p/driver_override\'"\n', True),
        ('# SUBSYSTEM=="pci", RUN+="/bin/chgrp kvm /sys$devpath/driver_override"\n', False),
        ('KERNEL=="kvm", GROUP="kvm", MODE="0660"\n', False),
    ],
)
def test_what_a_rule_lets_others_write_counts_where_they_do(tmp_path: Path, rule: str, hands_out: bool) -> None:
    host = Tree(tmp_path).file("/etc/udev/rules.d/60-kvm.rules", rule).host()
    command = f"/bin/sh -c 'echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override'"
    assert gets_root(host, command) is hands_out
    assert not gets_root(host, "/usr/bin/podman start --all")
