# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a host's policy and is switched off by something else: a mask of a file, of a unit, of driverctl."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import driverctl, read_root, read_systemd
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import generators, masked_units, systemd_version
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules as udev
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import acts
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import LARGEST

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.masked_units import MaskedUnit
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule


@dataclasses.dataclass(frozen=True)
class MaskedRule:
    """A rule about drivers in a file that udev does not read, and the file of the same name that masks it."""

    rule: Rule
    mask: str


@dataclasses.dataclass(frozen=True)
class Masks:
    """All that is switched off."""

    units: tuple[MaskedUnit, ...] = ()
    rules: tuple[MaskedRule, ...] = ()
    driverctl: tuple[str, str] | None = None
    """The file to blame, and why nothing is done about saved overrides."""
    saved: tuple[tuple[str, str], ...] = ()
    """Saved overrides of single devices whose unit is masked, each with the mask."""
    lists: str | None = None
    """What masks the unit that loads lists of modules."""


NO_MASKS = Masks()


def read(host: Host, boots: t.Sequence[Boot], inventory: Inventory) -> Masks:
    """The masks of a host; those of units depend on a kernel and its command line, of which any boot's will do."""
    boot = next((one for one in boots if one.stages and one.stages[-1].name == ROOT), None)
    units: tuple[masked_units.MaskedUnit, ...] = ()
    by_word = ((), "") if boot is None else (generators.masked_by_word(host, boot.cmdline), boot.cmdline_source)
    if boot is not None and read_root.init_is_systemd(host):
        units = masked_units.read(host, boot.stages[-1].kernel, inventory, boot.cmdline, boot.cmdline_source)
    return Masks(
        units,
        tuple(_rules(host)),
        driverctl.why_idle(host),
        tuple(driverctl.masked(host, *by_word)),
        None if boot is None else read_systemd.why_no_lists(host, boot.cmdline, boot.cmdline_source),
    )


def _rules(host: Host) -> t.Iterator[MaskedRule]:
    directories = read_root.lasting(udev.DIRECTORIES)
    for mask in udev.masked_files(host, directories, systemd_version.version(host)):
        for path in udev.hidden_by(host, mask, directories)[:1]:
            content = host.head(path, LARGEST) or b""
            for rule in udev.parse(content.decode("utf-8", "surrogateescape"), host.shown(path)):
                if rule.override is not None or any(not key.is_match and acts(key) for key in rule.keys):
                    yield MaskedRule(rule, host.shown(mask))
