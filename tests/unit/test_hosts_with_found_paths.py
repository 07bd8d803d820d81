# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose unit writes to attributes that `find` or `xargs` hands to a command, or goes to their folder by an option.

Their truth comes from find(1), xargs(1), env(1) and drivers/base/bus.c.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CARD_LINK,
    HERE,
    MOVER,
    NATIVE,
    NIC,
    ONE_LOST,
    OWN,
    SAME,
    UNIT,
    Drawn,
    Truth,
    compare,
)

if t.TYPE_CHECKING:
    from pathlib import Path

DRIVER = "/sys/bus/pci/drivers/nouveau"
FINDS = f"find {DRIVER}/ -name unbind"
EACH = f"echo {CARD} > "
ANY = (CARD, SAME, NIC)
"""What is found while it runs is not bounded."""


def script(truth: Truth, text: str, **files: str) -> Drawn:
    open_ = ANY if truth is ONE_LOST else ()
    return Drawn(truth, {f"{OWN}/card.service": UNIT, MOVER: f"#!/bin/sh\n{text}\n", **files}, CARD_LINK, open=open_)


HOSTS: dict[str, Drawn] = {
    "by an argument": script(ONE_LOST, f"{FINDS} -exec sh -c '{EACH}\"$1\"' _ {{}} \\;"),
    "by the name of the shell": script(ONE_LOST, f"find /sys/bus/pci/drivers -path '*/nouveau/unbind' -exec sh -c '{EACH}$0' {{}} \\;"),
    "by a pattern": script(ONE_LOST, f"find {DRIVER}/ -name 'un*' -exec sh -c '{EACH}\"$1\"' _ {{}} \\;"),
    "by no name": script(ONE_LOST, f"find {DRIVER}/ -perm -200 -exec sh -c '{EACH}\"$1\"' _ {{}} \\;"),
    "in its folder": script(ONE_LOST, f"{FINDS} -execdir sh -c '{EACH}unbind' \\;"),
    "by a copy": script(ONE_LOST, f"{FINDS} -exec cp /etc/card {{}} \\;", **{"/etc/card": CARD}),
    "by tee": script(ONE_LOST, f"{FINDS} -exec tee {{}} \\; < /etc/card", **{"/etc/card": CARD}),
    "by xargs": script(ONE_LOST, f"{FINDS} | xargs -I{{}} sh -c '{EACH}{{}}'"),
    "by xargs and a copy": script(ONE_LOST, f"{FINDS} | xargs cp /etc/card", **{"/etc/card": CARD}),
    "by xargs and tee": script(ONE_LOST, f"{FINDS} | xargs -n1 tee < /etc/card", **{"/etc/card": CARD}),
    "of a list": script(ONE_LOST, f"xargs -a /etc/paths -I{{}} sh -c '{EACH}{{}}'", **{"/etc/paths": f"{DRIVER}/unbind\n"}),
    "by parallel": script(ONE_LOST, f"parallel echo 1 '>' {HERE}/{{}} ::: remove"),
    "another program's folder": script(ONE_LOST, f"env -C {HERE} sh -c 'echo 1 > remove'"),
    "another program's folder, in words": script(ONE_LOST, f"env A=b --chdir={HERE} sh -c 'echo 1 > remove'"),
    "what is only read": script(NATIVE, f"{FINDS} -exec cat {{}} \\;"),
    "what is only listed": script(NATIVE, f"{FINDS} -exec ls -l {{}} + > /var/log/unbind"),
    "power": script(NATIVE, "find /sys/bus/pci/devices/*/power -name control -exec sh -c 'echo auto > {}' \\;"),
    "elsewhere": script(NATIVE, "find /var/lib/site -name remove -exec sh -c 'date > {}' \\;"),
    "files of another kind": script(NATIVE, "find /var/log -name '*.log' | xargs -I{} sh -c 'gzip -c {} > {}.gz'"),
    "what a test looks at that is made later": script(NATIVE, "while [ ! -S /run/clamav/clamd.ctl ]; do sleep 1; done"),
    "what a test looks at, too": script(NATIVE, "[ -d /run -a ! -e /run/x ] && mkdir /run/x"),
    "what a test of bash looks at": script(NATIVE, "if [[ -d /run && ! -e /run/x ]]; then :; fi"),
    "what is run that is made later": script(ONE_LOST, "if ! /run/site/x; then exit 1; fi"),
    "what is run that is made later, with an option": script(ONE_LOST, "sudo -n /run/site/x"),
    "what a shell runs that is made later": script(ONE_LOST, "sh -e /run/site/x"),
    "a folder in which nothing acts": script(NATIVE, "env -C /var/lib/site sh -c 'date > remove'"),
}


@pytest.mark.parametrize("name", HOSTS)
def test_what_a_command_is_handed_counts(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)


def test_a_unit_that_has_to_run_already_is_not_started(tmp_path: Path) -> None:
    files = {
        f"{OWN}/card.service": "[Unit]\nRequisite=other.service\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
        f"{OWN}/other.service": f"[Service]\nExecStart=/bin/sh -c 'echo {CARD} > {DRIVER}/unbind'\n",
    }
    compare(Drawn(NATIVE, files, CARD_LINK).tree(tmp_path), NATIVE, ())
