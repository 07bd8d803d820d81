# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with a unit, or a script of the initramfs, that has udev go through its rules once more, when the card has its driver.

Their truth comes from udevadm(8), which sends "change" unless it is told another action, from uevent_store() in drivers/base/core.c,
and from scripts/init-top/udev of initramfs-tools, whose own events are the first that udev processes.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CARD_LINK,
    GUEST,
    HERE,
    MOVER,
    NATIVE,
    NIC,
    OWN,
    RULE,
    TO_GUEST,
    Drawn,
    Truth,
    compare,
)
from ansible_collections.vfio.variants.tests.unit.test_hosts_of_testers import image

if t.TYPE_CHECKING:
    from pathlib import Path

UNBINDS = f'ATTR{{driver/unbind}}="{CARD}"\n'
AT_CHANGE = f'ACTION=="change", SUBSYSTEM=="pci", KERNEL=="{CARD}", {UNBINDS}'
ONCE_BOUND = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{CARD}", DRIVER=="nouveau", {UNBINDS}'
TRIGGER = "/usr/bin/udevadm trigger"
ONE_LOST: Truth = {CARD: None}


def unit(truth: Truth, rule: str, command: str = MOVER, script: str = "") -> Drawn:
    files = {f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart={command}\n"}
    files |= ({RULE: rule} if rule else {}) | ({MOVER: f"#!/bin/sh\n{script}\n"} if script else {})
    return Drawn(truth, files, CARD_LINK, open=(CARD,) if truth is ONE_LOST else ())


# As udev's package brings it; the host has no such package here, so nothing vouches for it.
SCRIPT = (
    "#!/bin/sh -e\ncase $1 in prereqs) exit 0;; esac\n/lib/systemd/systemd-udevd --daemon --resolve-names=never\n"
    "udevadm trigger --type=subsystems --action=add\nudevadm trigger --type=devices --action=add\nudevadm settle || true\n"
)
DEVICES = "udevadm trigger --type=devices --action=add"
ONCE_MORE = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{NIC}", DRIVER=="e1000e", ATTR{{driver/unbind}}="$kernel"\n'
NETWORK: Truth = {NIC: "e1000e"}
NO_NETWORK: Truth = {NIC: None}


def script(truth: Truth, text: str, rule: str = ONCE_MORE, **files: str) -> Drawn:
    """An initramfs with this script in place of the package's, and a rule that nothing but the initramfs has."""
    then = image(**{"scripts/init-top/udev": text, "etc/udev/rules.d/50-site.rules": rule, **files})
    return Drawn(truth, then=then, open=() if truth is NETWORK else (NIC,))


HOSTS = {
    "a script, and a rule for such events": unit(ONE_LOST, AT_CHANGE, script="udevadm trigger"),
    "the unit itself": unit(ONE_LOST, AT_CHANGE, f"{TRIGGER} --subsystem-match=pci"),
    "other options before and behind": unit(ONE_LOST, AT_CHANGE, script="udevadm --debug trigger -c change -s pci"),
    "the attribute": unit(ONE_LOST, AT_CHANGE, script=f"echo change > {HERE}/uevent"),
    "one of several subsystems": unit(ONE_LOST, AT_CHANGE, f"{TRIGGER} -s net -s pci"),
    "add once more, and a rule that asks for the driver": unit(ONE_LOST, ONCE_BOUND, f"{TRIGGER} --action=add"),
    "rules that have done the same before": unit(GUEST, TO_GUEST.replace('ACTION=="add", ', ""), script="udevadm trigger"),
    "another subsystem": unit(NATIVE, AT_CHANGE, f"{TRIGGER} --subsystem-match=net"),
    "another subsystem in short": unit(NATIVE, AT_CHANGE, script="udevadm trigger -s block"),
    "nothing but a list": unit(NATIVE, AT_CHANGE, script="udevadm trigger --dry-run --verbose"),
    "only to wait": unit(NATIVE, AT_CHANGE, script="udevadm control --reload; udevadm settle"),
    "no rule that does anything": unit(NATIVE, "", script="udevadm trigger"),
    "a rule that does nothing about drivers": unit(NATIVE, 'ACTION=="change", SUBSYSTEM=="pci", ENV{SEEN}="1"\n', script="udevadm trigger"),
    "the attribute is read": unit(NATIVE, AT_CHANGE, script=f"grep PCI_ID= {HERE}/uevent"),
    # the initramfs
    "the first events of an initramfs": script(NETWORK, SCRIPT),
    "the first events in one command": script(
        NETWORK, SCRIPT.replace("--type=subsystems --action=add\n", "-c add\n").replace(f"{DEVICES}\n", "")
    ),
    "the first events under a condition": script(NETWORK, SCRIPT.replace(DEVICES, "if true; then\n  udevadm trigger --action=add\nfi")),
    "the first events, and once more those of subsystems": script(
        NETWORK, SCRIPT.replace(DEVICES, f"{DEVICES}\nudevadm trigger -t subsystems -c add")
    ),
    "a comment before the first events": script(NETWORK, f"#!/bin/sh\n# {DEVICES}\n{SCRIPT}"),
    "all events twice": script(NO_NETWORK, f"{SCRIPT}{DEVICES}\n"),
    "all events in a loop": script(NO_NETWORK, SCRIPT.replace(DEVICES, f"for i in 1 2; do\n  {DEVICES}\ndone")),
    "all events once more by another script": script(
        NO_NETWORK,
        SCRIPT,
        **{"scripts/init-bottom/ORDER": '/scripts/init-bottom/site "$@"\n', "scripts/init-bottom/site": f"#!/bin/sh\n{DEVICES}\n"},
    ),
    "other events behind the first": script(
        NO_NETWORK, SCRIPT.replace(DEVICES, f"{DEVICES}\nudevadm trigger"), ONCE_MORE.replace('"add"', '"change"')
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_what_a_replayed_event_does_is_noticed(tmp_path: Path, name: str) -> None:
    drawn = HOSTS[name]
    compare(drawn.tree(tmp_path), drawn.truth, drawn.open)


def test_the_rule_is_named(tmp_path: Path) -> None:
    compare(HOSTS["the unit itself"].tree(tmp_path), ONE_LOST, (CARD,), f"at whose events {RULE}:1 acts")
