# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a function in the machine is said of the host's function, whatever its number there; and of no other one."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.located import Located, located
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import MachinePlaces
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace, Probe, offers, parse

CARD, OTHER = "0000:02:00.0", "0000:03:00.0"
MODALIAS = "pci:v000010DEd00001DB1"


def seen(*devices: tuple[str, str]) -> BootTrace:
    """Each device at its path, offered to nouveau."""
    lines = []
    for address, path in devices:
        lines += [
            f"@rehearsal path {address} /sys/devices/{path}",
            f"@rehearsal identity {address} {MODALIAS}",
            f"@rehearsal override {address} vfio-pci",
            f'@rehearsal trace modprobe-72 [000] ..... 2.0: offered: (really_probe+0x0/0x10) dev="{address}" drv="nouveau"',
            f"@rehearsal log bus: 'pci': really_probe: probing driver nouveau with device {address}",
        ]
    return parse("\n".join((*lines, "@rehearsal end")))


def find(report: BootTrace, paths: t.Mapping[str, tuple[str, ...]], moved: t.Mapping[str, str] | None = None) -> Located:
    places = MachinePlaces(paths=dict(paths), moved=dict(moved or {}))
    return located(report, places, [{"address": address, "modalias": MODALIAS} for address in (CARD, OTHER)])


AT_PORT = {CARD: ("pci0000:00", "01.0", "00.0")}


def test_a_function_at_its_address_is_that_function() -> None:
    found = find(seen((CARD, "pci0000:00/0000:00:01.0/0000:02:00.0")), AT_PORT)
    assert (found.moved, found.absent) == ({}, {})
    assert offers(found.report, CARD)[0].driver == "nouveau"


def test_what_was_seen_at_another_number_is_said_of_the_hosts_function() -> None:
    found = find(seen(("0000:0a:00.0", "pci0000:00/0000:00:01.0/0000:0a:00.0")), AT_PORT)
    assert found.moved == {CARD: ("0000:0a:00.0", "the machine's firmware gave its bus another number")}
    assert offers(found.report, CARD)[0].driver == "nouveau"
    assert found.report.overrides == {CARD: "vfio-pci"}
    assert found.report.log == {CARD: (Probe("nouveau"),)}


def test_the_reason_is_the_one_for_which_it_was_put_elsewhere() -> None:
    found = find(seen(("0000:0a:00.0", "pci0000:00/0000:00:01.0/0000:0a:00.0")), AT_PORT, {CARD: "there is one domain"})
    assert found.moved[CARD][1] == "there is one domain"


def test_one_with_the_address_of_another_of_the_host_says_nothing() -> None:
    """A rule for that other one would act on it."""
    found = find(seen((OTHER, "pci0000:00/0000:00:01.0/0000:03:00.0")), AT_PORT)
    assert found.moved == {}
    assert "the address of another device of the host" in found.absent[CARD]


def test_one_that_is_not_there_or_is_something_else_is_absent() -> None:
    assert "did not find it" in find(seen(), AT_PORT).absent[CARD]
    other_card = parse(
        f"@rehearsal path {CARD} /sys/devices/pci0000:00/0000:00:01.0/{CARD}\n@rehearsal identity {CARD} pci:v0000\n@rehearsal end"
    )
    assert "did not find it" in find(other_card, AT_PORT).absent[CARD]


def test_what_the_machine_has_of_its_own_at_the_address_is_not_the_hosts() -> None:
    own = seen((CARD, "pci0000:00/0000:00:1f.3"), ("0000:0a:00.0", "pci0000:00/0000:00:01.0/0000:0a:00.0"))
    found = find(own, AT_PORT)
    assert len(offers(found.report, CARD)) == 1
    assert "0000:0a:00.0" in offers(found.report, CARD)[0].line


BRIDGE = "0000:00:1c.0"


@pytest.mark.parametrize(
    ("identity", "where", "is_same"),
    [
        (MODALIAS, BRIDGE, True),
        (f"{MODALIAS}sv00001AF4", BRIDGE, False),
        # At the place of the host's bridge, with a number that the host has not.
        (MODALIAS, "0000:01:1c.0", False),
    ],
)
def test_what_the_machine_has_of_its_own_is_the_hosts_where_both_are_of_one_kind(identity: str, where: str, is_same: bool) -> None:
    lines = (f"@rehearsal path {where} /sys/devices/pci0000:00/{where}", f"@rehearsal identity {where} {identity}", "@rehearsal end")
    places = MachinePlaces(left_out={BRIDGE: "it has its own"}, own={BRIDGE: ("pci0000:00", "1c.0")})
    found = located(parse("\n".join(lines)), places, [{"address": BRIDGE, "modalias": MODALIAS}])
    assert found.same == ({BRIDGE} if is_same else set())
    places.note({}, [found.same])
    assert places.left_out == ({} if is_same else {BRIDGE: "it has its own"})


def test_of_several_boots_each_must_have_shown_it() -> None:
    places = MachinePlaces(left_out={BRIDGE: "it has its own"}, own={BRIDGE: ("pci0000:00", "1c.0")})
    places.note({CARD: "it was not found"}, [frozenset({BRIDGE}), frozenset()])
    assert places.left_out.keys() == {BRIDGE, CARD}
