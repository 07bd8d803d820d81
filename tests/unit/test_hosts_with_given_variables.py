# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose programs write to paths in variables that stand in no file of theirs: systemd's own, the kernel's words, PAM's.

Their truth comes from systemd.exec(5), systemd-system.conf(5), kernel-command-line(7), systemd.environment-generator(7), pam_env(8) and
from the kernel's unknown_bootoption(), which hands words that it does not know to the first program.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    CARD,
    CARD_LINK,
    CRON,
    CRON_LINK,
    MULTI_USER,
    NATIVE,
    NIC,
    ONE_LOST,
    OWN,
    RULE,
    SAME,
    Drawn,
    Truth,
    compare,
)

if t.TYPE_CHECKING:
    from pathlib import Path

UNBIND = "/sys/bus/pci/drivers/nouveau/unbind"
ANY = (CARD, SAME, NIC)
WRITES = f"echo {CARD} > $TARGET"
SCRIPT = "/usr/local/sbin/site"
CONF, DROPPED = "/etc/systemd/system.conf", "system.conf.d/site.conf"
QUIET = "quiet"
GENERATOR = "/etc/systemd/system-environment-generators/50-site"


def manager(*lines: str) -> str:
    return "\n".join(("[Manager]", *lines, ""))


def unit(truth: Truth, *lines: str, cmdline: str = QUIET, command: str = f"/bin/sh -c '{WRITES}'", **files: str) -> Drawn:
    body = "\n".join((*lines, f"ExecStart={command}"))
    own = {f"{OWN}/card.service": f"[Service]\nType=oneshot\n{body}\n", **files}
    return Drawn(truth, own, CARD_LINK, f"root=/dev/sda2 {cmdline}", open=() if truth is NATIVE else ANY)


def earlier(truth: Truth, command: str) -> Drawn:
    """With a unit that runs before the one that writes."""
    drawn = unit(truth)
    files = {**drawn.files, f"{OWN}/a.service": f"[Unit]\nBefore=card.service\n[Service]\nType=oneshot\nExecStart={command}\n"}
    return Drawn(truth, files, {**CARD_LINK, f"{MULTI_USER}/a.service": "../a.service"}, open=drawn.open)


GIVEN, ELSEWHERE = f"systemd.setenv=TARGET={UNBIND}", "systemd.setenv=TARGET=/dev/null"
WRITING = {f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart=/bin/sh -c '{WRITES}'\n"}
HOSTS: dict[str, Drawn] = {
    # systemd.setenv= is for every service, and counts more than the files.
    "a word for the manager": unit(ONE_LOST, cmdline=GIVEN),
    "a word for the manager in braces": unit(ONE_LOST, cmdline=GIVEN, command=f"/bin/sh -c 'echo {CARD} > ${{TARGET}}'"),
    "a word in quotes": unit(ONE_LOST, cmdline=f'systemd.setenv="TARGET={UNBIND}"'),
    "a whole word in quotes": unit(ONE_LOST, cmdline=f'"systemd.setenv=TARGET={UNBIND}"'),
    "a word of which the last counts": unit(NATIVE, cmdline=f"{GIVEN} {ELSEWHERE}"),
    "a word of another name": unit(NATIVE, cmdline=f"systemd.setenv=TARGETS={UNBIND}"),
    "a word of the initramfs alone": unit(NATIVE, cmdline=f"rd.systemd.setenv=TARGET={UNBIND}"),
    "a word over a setting": unit(ONE_LOST, cmdline=GIVEN, **{CONF: manager("DefaultEnvironment=TARGET=/dev/null")}),
    "a harmless word over a setting": unit(NATIVE, cmdline=ELSEWHERE, **{CONF: manager(f"DefaultEnvironment=TARGET={UNBIND}")}),
    "a word under the unit's own": unit(NATIVE, "Environment=TARGET=/dev/null", cmdline=GIVEN),
    "a word under a file of the unit": unit(
        NATIVE, "EnvironmentFile=/etc/default/site", cmdline=GIVEN, **{"/etc/default/site": "TARGET=/dev/null\n"}
    ),
    "a word that the unit takes away": unit(NATIVE, "UnsetEnvironment=TARGET", cmdline=GIVEN),
    "a word that the unit takes away with its value": unit(NATIVE, f"UnsetEnvironment=TARGET={UNBIND}", cmdline=GIVEN),
    "a word that the unit takes away with another value": unit(ONE_LOST, "UnsetEnvironment=TARGET=/dev/null", cmdline=GIVEN),
    "a word for a script": unit(ONE_LOST, cmdline=GIVEN, command=SCRIPT, **{SCRIPT: f'#!/bin/sh\necho {CARD} > "$TARGET"\n'}),
    "a word for a part of a path": unit(
        ONE_LOST, cmdline="systemd.setenv=OP=unbind", command=f"/bin/sh -c 'echo {CARD} > /sys/bus/pci/drivers/nouveau/$OP'"
    ),
    # systemd's files
    "a setting": unit(ONE_LOST, **{CONF: manager(f"DefaultEnvironment=TARGET={UNBIND}")}),
    "a setting of several": unit(ONE_LOST, **{CONF: manager(f'DefaultEnvironment=A=1 "TARGET={UNBIND}" B=2')}),
    "a setting of a drop-in": unit(ONE_LOST, **{f"/etc/systemd/{DROPPED}": manager(f"DefaultEnvironment=TARGET={UNBIND}")}),
    "a setting of a drop-in of a vendor": unit(ONE_LOST, **{f"/usr/lib/systemd/{DROPPED}": manager(f"DefaultEnvironment=TARGET={UNBIND}")}),
    "a setting whose file another hides": unit(
        NATIVE,
        **{
            f"/usr/lib/systemd/{DROPPED}": manager(f"DefaultEnvironment=TARGET={UNBIND}"),
            f"/etc/systemd/{DROPPED}": manager("LogLevel=info"),
        },
    ),
    "a setting that is emptied": unit(
        NATIVE, **{CONF: manager(f"DefaultEnvironment=TARGET={UNBIND}"), f"/etc/systemd/{DROPPED}": manager("DefaultEnvironment=")}
    ),
    "a setting of a vendor's own file": unit(ONE_LOST, **{"/usr/lib/systemd/system.conf": manager(f"DefaultEnvironment=TARGET={UNBIND}")}),
    # the manager's own environment
    "the manager's own": unit(NATIVE, **{CONF: manager(f"ManagerEnvironment=TARGET={UNBIND}")}),
    "the manager's own, handed on": unit(ONE_LOST, "PassEnvironment=A TARGET", **{CONF: manager(f"ManagerEnvironment=TARGET={UNBIND}")}),
    "the manager's own under the unit's": unit(
        NATIVE, "PassEnvironment=TARGET", "Environment=TARGET=/dev/null", **{CONF: manager(f"ManagerEnvironment=TARGET={UNBIND}")}
    ),
    "the manager's own over everybody's": unit(
        ONE_LOST,
        "PassEnvironment=TARGET",
        **{CONF: manager(f"ManagerEnvironment=TARGET={UNBIND}", "DefaultEnvironment=TARGET=/dev/null")},
    ),
    "a word of the kernel's": unit(NATIVE, cmdline=f"TARGET={UNBIND}"),
    "a word of the kernel's, handed on": unit(ONE_LOST, "PassEnvironment=TARGET", cmdline=f"TARGET={UNBIND}"),
    "a list that is emptied": unit(NATIVE, "PassEnvironment=TARGET", "PassEnvironment=", cmdline=f"TARGET={UNBIND}"),
    "a word for a program's arguments": unit(NATIVE, "PassEnvironment=TARGET", cmdline=f"-- TARGET={UNBIND}"),
    # what is started by systemd's generators
    "a word for rc.local": Drawn(ONE_LOST, {"/etc/rc.local": f"#!/bin/sh\n{WRITES}\n"}, cmdline=f"root=/dev/sda2 {GIVEN}", open=ANY),
    "a word for a script of a run level": Drawn(
        ONE_LOST,
        {"/etc/init.d/site": f"#!/bin/sh\n{WRITES}\n"},
        {"/etc/rc2.d/S01site": "../init.d/site", "/etc/rc3.d/S01site": "../init.d/site"},
        f"root=/dev/sda2 {GIVEN}",
        open=ANY,
    ),
    "a word for another program of rc.local": Drawn(
        NATIVE, {"/etc/rc.local": "#!/bin/sh\necho started > $TARGET\n"}, cmdline="root=/dev/sda2 systemd.setenv=TARGET=/var/log/boot"
    ),
    # what else starts a unit
    "a word for a unit that a rule has started": Drawn(
        ONE_LOST,
        {**WRITING, RULE: f'{ADDED}, ENV{{SYSTEMD_WANTS}}+="card.service", TAG+="systemd"\n'},
        cmdline=f"root=/dev/sda2 {GIVEN}",
        open=ANY,
    ),
    "a word for a unit that a program of a rule starts": Drawn(
        ONE_LOST,
        {**WRITING, RULE: f'{ADDED}, RUN+="/bin/systemctl --no-block start card.service"\n'},
        cmdline=f"root=/dev/sda2 {GIVEN}",
        open=ANY,
    ),
    "a word for a unit that a line of kmod starts": Drawn(
        ONE_LOST,
        {
            **WRITING,
            "/etc/modprobe.d/site.conf": "install e1000e /bin/systemctl --no-block start card.service; modprobe --ignore-install e1000e\n",
        },
        cmdline=f"root=/dev/sda2 {GIVEN}",
        open=ANY,
    ),
    "a harmless word for a unit that a rule has started": Drawn(
        NATIVE, {**WRITING, RULE: f'{ADDED}, ENV{{SYSTEMD_WANTS}}+="card.service", TAG+="systemd"\n'}, cmdline=f"root=/dev/sda2 {ELSEWHERE}"
    ),
    # what is known only while the host runs
    "a file that is made at boot": unit(ONE_LOST, "EnvironmentFile=-/run/site/card.env"),
    "a file that is made at boot, for a script": unit(
        ONE_LOST, "EnvironmentFile=-/run/site/card.env", command=SCRIPT, **{SCRIPT: f'#!/bin/sh\necho {CARD} > "$TARGET"\n'}
    ),
    "a file that is made at boot, for options": unit(NATIVE, "EnvironmentFile=-/run/site/card.env", command="/usr/sbin/sshd -D $OPTIONS"),
    "a file that is made at boot, beside the unit's own": unit(
        NATIVE, "EnvironmentFile=-/run/site/card.env", command="/bin/sh -c 'OUT=/var/log/cards; lspci > $OUT'"
    ),
    "a file that is not there": unit(NATIVE, "EnvironmentFile=-/etc/default/site"),
    "a program that tells the manager": earlier(ONE_LOST, f"/bin/systemctl set-environment TARGET={UNBIND}"),
    "a program that tells the manager of its language": earlier(NATIVE, "/bin/systemctl set-environment LANG=C.UTF-8"),
    "a generator of variables": unit(ONE_LOST, **{GENERATOR: f"#!/bin/sh\necho TARGET={UNBIND}\n"}),
    "a generator of variables for nobody": unit(NATIVE, command="/bin/true", **{GENERATOR: "#!/bin/sh\necho LANG=C\n"}),
    "variables of PAM": unit(ONE_LOST, "PAMName=login", **{"/etc/environment": f"TARGET={UNBIND}\n"}),
    "variables of PAM for sessions alone": unit(NATIVE, **{"/etc/environment": f"TARGET={UNBIND}\n"}),
    "variables of PAM for cron": Drawn(
        ONE_LOST, {**CRON, "/etc/crontab": f"@reboot root {WRITES}\n", "/etc/environment": f"TARGET={UNBIND}\n"}, CRON_LINK, open=ANY
    ),
    "variables of PAM under the table's": Drawn(
        NATIVE,
        {**CRON, "/etc/crontab": f"TARGET=/dev/null\n@reboot root {WRITES}\n", "/etc/environment": f"TARGET={UNBIND}\n"},
        CRON_LINK,
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
