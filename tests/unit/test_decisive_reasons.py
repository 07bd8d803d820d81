# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of each host the reason names what decides, and the change that is suggested takes that away."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CONF,
    EARLY_RULE,
    IDS,
    LOAD,
    OVERRIDE,
    RULE,
    SOFTDEP,
    THIS,
    Drawn,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

if t.TYPE_CHECKING:
    from pathlib import Path

BY_IDS, BY_RULE = {CONF: SOFTDEP, **IDS}, {RULE: f"{THIS}, {OVERRIDE}, {LOAD}\n"}
PROGRAM = "/usr/local/sbin/nothing"
LINE = f"{CONF}:1"
SAVED = f"/etc/driverctl.d/pci-{CARD}"


@dataclasses.dataclass(frozen=True)
class Decided:
    """The files and words of a host, the card's driver, the reason, and the start of what is suggested; None if nothing is."""

    files: t.Mapping[str, str]
    cmdline: str
    winner: str | None
    reason: str
    remedy: str | None


HOSTS: dict[str, Decided] = {
    "no IOMMU for Intel's, with ids=": Decided(
        BY_IDS,
        "intel_iommu=off",
        "nouveau",
        "vfio-pci: there is no IOMMU: /proc/cmdline has intel_iommu=off",
        "Remove intel_iommu=off from the command line",
    ),
    "no IOMMU at all, with ids=": Decided(
        BY_IDS,
        "iommu=off",
        "nouveau",
        "vfio-pci: there is no IOMMU: /proc/cmdline has iommu=off",
        "Remove iommu=off from the command line",
    ),
    "a function that is not called": Decided(
        BY_IDS,
        "initcall_blacklist=vfio_pci_init",
        "nouveau",
        "/proc/cmdline: initcall_blacklist=vfio_pci_init leaves vfio_pci out",
        "Remove initcall_blacklist=vfio_pci_init from the command line",
    ),
    "an install line that does nothing": Decided(
        {**BY_RULE, CONF: f"install vfio-pci {PROGRAM}\n", PROGRAM: "#!/bin/sh\nexit 0\n"},
        "",
        None,
        f"{LINE}: install vfio-pci {PROGRAM}",
        f"Remove {LINE}",
    ),
    "driverctl, whose driver is kept out": Decided(
        {SAVED: "vfio-pci\n", CONF: "install vfio-pci /bin/false\n"},
        "",
        "nouveau",
        f"{LINE}: install vfio-pci /bin/false",
        f"Remove {LINE}",
    ),
    "driverctl, whose driver is not there": Decided(
        {SAVED: "vfio-pcx\n"},
        "",
        "nouveau",
        f"{SAVED}: driverctl cannot load vfio-pcx, and leaves the device as it is",
        f"Kernel {DEBIAN_13} has no module with a driver vfio-pcx",
    ),
    "nobody, by driverctl": Decided({SAVED: "none\n"}, "", None, f"{SAVED}: driverctl binds {CARD} to none", None),
    "nobody, by a rule": Decided({RULE: f'{THIS}, ATTR{{driver_override}}="none"\n'}, "", None, f"{RULE}:1: driver_override=none", None),
    # Without the rule nouveau would have the other card, which it has not now.
    "a rule that clears what others run": Decided(
        {**BY_RULE, EARLY_RULE: 'SUBSYSTEM=="pci", RUN:="/bin/true"\n'},
        "",
        None,
        f'{EARLY_RULE}:1: RUN:="/bin/true": udev does not load vfio_pci, for which another rule asks',
        "Add `vfio-pci` to /etc/modules-load.d/vfio.conf.",
    ),
}


@pytest.mark.parametrize("name", HOSTS)
def test_what_decides_is_named_and_taken_away(tmp_path: Path, name: str) -> None:
    host = HOSTS[name]
    tree = Drawn({}, host.files, cmdline=host.cmdline).tree(tmp_path)
    answers = {device["address"]: device["kernels"][DEBIAN_13] for device in device_info(tree.host(Commands(tree.root)))["devices"]}
    found = answers[CARD]
    assert (found["winner"], found["certainty"]) == (host.winner, "certain")
    assert host.reason in found["because"]
    assert not any("driver none" in reason for reason in found["because"])
    assert (found["would_change"] or "").startswith(host.remedy) if host.remedy else found["would_change"] is None
