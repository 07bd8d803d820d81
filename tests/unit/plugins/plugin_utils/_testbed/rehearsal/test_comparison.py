# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device's row: what agrees, what differs, what only the rehearsal says, what varies, and what was not rehearsed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import Predicted, contended, row, unended
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace, parse

CARD = "0000:3b:00.0"


def boot(*drivers: str) -> BootTrace:
    lines = (
        f'@rehearsal trace modprobe-7{number} [000] ..... {number}.0: offered: (really_probe+0x0/0x10) dev="{CARD}" drv="{driver}"'
        for number, driver in enumerate(drivers, 2)
    )
    bound = f"@rehearsal owner {CARD} {drivers[0] if drivers else ''}"
    return parse("\n".join((*lines, bound, "@rehearsal root 1000000", "@rehearsal end")))


def predicted(driver: str | None, certainty: str = "certain") -> Predicted:
    return Predicted(driver, certainty, ("/etc/x:1 decides",))


@pytest.mark.parametrize(
    ("boots", "forecast", "claimed", "result", "stops"),
    [
        ([boot("vfio-pci")], predicted("vfio-pci"), "vfio-pci", "agrees", False),
        ([boot("vfio-pci")], predicted("vfio_pci"), "vfio_pci", "agrees", False),
        ([boot("nouveau")], predicted("vfio-pci"), None, "differs", True),
        ([boot()], predicted(None), None, "agrees", False),
        ([boot()], predicted("vfio-pci"), None, "differs", True),
        ([boot("nouveau")], predicted(None, "unknown"), None, "shown", False),
        ([boot("nouveau")], predicted(None, "unknown"), "vfio-pci", "shown", True),
        ([boot("vfio-pci"), boot("nouveau")], predicted("vfio-pci", "race"), None, "varies", False),
        ([boot("vfio-pci"), boot("nouveau")], predicted("vfio-pci", "race"), "vfio-pci", "varies", True),
        ([boot("vfio-pci"), boot("nouveau")], predicted("vfio-pci"), None, "differs", True),
        ([boot("nouveau")], None, "vfio-pci", "shown", True),
    ],
)
def test_the_result(boots: list[BootTrace], forecast: Predicted | None, claimed: str | None, result: str, stops: bool) -> None:
    found = row(CARD, boots, forecast, claimed, None)
    assert (found["result"], found["stops"]) == (result, stops)


def given_by_a_script(*, was_bound: bool = False, process: int = 9, asks_first: bool = True) -> BootTrace:
    """The function's own driver is offered it, then a script asks by its name, and vfio-pci is."""
    offered = f'offered: (really_probe+0x0/0x10) dev="{CARD}" drv="'
    its = [f'sh-9 [000] ..... 2.0: asks: (drivers_probe_store+0x0/0x10) dev="{CARD}', f'sh-{process} [000] ..... 2.0: {offered}vfio-pci"']
    lines = (
        f'@rehearsal trace (udev-worker)-7 [000] ..... 1.0: {offered}e1000"',
        *(f"@rehearsal trace {one}" for one in (its if asks_first else reversed(its))),
        f"@rehearsal owner {CARD} {'e1000' if was_bound else 'vfio-pci'}",
    )
    return parse("\n".join((*lines, "@rehearsal root 500000", "@rehearsal end")))


@pytest.mark.parametrize(
    ("boot", "forecast", "result", "outcomes"),
    [
        (given_by_a_script(), predicted(None, "unknown"), "varies", {"e1000", "vfio-pci"}),
        (given_by_a_script(), predicted("e1000"), "varies", {"e1000", "vfio-pci"}),
        (given_by_a_script(), predicted("nouveau"), "differs", {"e1000", "vfio-pci"}),
        (given_by_a_script(asks_first=False), predicted("e1000"), "varies", {"e1000", "vfio-pci"}),
        (given_by_a_script(was_bound=True), predicted("e1000"), "agrees", {"e1000"}),
        (given_by_a_script(process=8), predicted("e1000"), "agrees", {"e1000"}),
    ],
)
def test_a_program_that_could_not_unbind_what_is_not_bound_here_may_do_so_on_the_host(
    boot: BootTrace, forecast: Predicted, result: str, outcomes: set[str]
) -> None:
    found = row(CARD, [boot], forecast, None, None)
    assert (found["result"], {one["driver"] for one in found["outcomes"]}) == (result, outcomes)
    assert ("sh, which had no driver to unbind here" in found["why"]) == (len(outcomes) > 1)


def overridden(to: str, *offered: tuple[str, str], loads: str = "vfio_pci", owner: str = "") -> BootTrace:
    """A module is loaded, devices are offered to drivers, and in the end the card has an override."""
    lines = (
        f'@rehearsal trace modprobe-7 [000] ..... 1.0: loading: (do_init_module+0x0/0x230) name="{loads}"',
        *(
            f'@rehearsal trace modprobe-7 [000] ..... 2.0: offered: (really_probe+0x0/0x10) dev="{device}" drv="{driver}"'
            for device, driver in offered
        ),
        f"@rehearsal owner {CARD} {owner}",
        f"@rehearsal override {CARD} {to}",
    )
    return parse("\n".join((*lines, "@rehearsal root 1000000", "@rehearsal end")))


OTHER = "0000:3c:00.0"


@pytest.mark.parametrize(
    ("boot", "result", "outcomes"),
    [
        (overridden("vfio-pci", (OTHER, "vfio-pci")), "varies", {None, "vfio-pci"}),
        (overridden("vfio-pci"), "varies", {None, "vfio-pci"}),
        (overridden("vfio-pci", loads="nvme"), "agrees", {None}),
        (overridden("(null)", (OTHER, "vfio-pci")), "agrees", {None}),
        (overridden("vfio-pci", (CARD, "vfio-pci")), "agrees", {None}),
        (overridden("vfio-pci", (CARD, "nvme"), owner="nvme"), "differs", {"nvme"}),
    ],
)
def test_an_override_that_comes_after_its_driver_could_have_come_before_it(boot: BootTrace, result: str, outcomes: set[str | None]) -> None:
    found = row(CARD, [boot], predicted(None), None, None)
    assert (found["result"], {one["driver"] for one in found["outcomes"]}) == (result, outcomes)
    assert ("overridden to vfio-pci only when that driver had come" in found["why"]) == (result == "varies")


def given_by(*programs: tuple[int, str]) -> BootTrace:
    """Each asks for the card by its name, and the driver is offered it."""
    lines = []
    for number, (process, driver) in enumerate(programs):
        asks = "(drivers_probe_store+0x0/0x10)"
        lines.append(f'@rehearsal trace sh-{process} [000] ..... {number}.0: asks: {asks} dev="{CARD}"')
        lines.append(f'@rehearsal trace sh-{process} [000] ..... {number}.1: offered: (really_probe+0x0/0x10) dev="{CARD}" drv="{driver}"')
    return parse("\n".join((*lines, f"@rehearsal owner {CARD} {programs[-1][1]}", "@rehearsal end")))


@pytest.mark.parametrize(
    ("programs", "is_contended"),
    [
        (((8, "pci-stub"), (9, "vfio-pci")), True),
        (((8, "vfio-pci"), (9, "vfio-pci")), False),
        (((8, "pci-stub"), (8, "vfio-pci")), False),
    ],
)
def test_several_programs_that_give_a_device_to_several_drivers_are_named(
    programs: tuple[tuple[int, str], ...], is_contended: bool
) -> None:
    said = contended(given_by(*programs), [CARD])
    assert [line.startswith(f"{CARD} is given to pci-stub by sh and to vfio-pci by sh") for line in said] == (
        [True] if is_contended else []
    )


def test_a_difference_names_the_line_that_decided() -> None:
    found: dict[str, t.Any] = row(CARD, [boot("nouveau", "vfio-pci")], predicted("vfio-pci"), "vfio-pci", None)
    assert "really_probe" in found["why"]
    assert "modprobe-72" in found["why"]
    assert "it is claimed for vfio-pci" in found["why"]
    assert found["later_offers"] == ["vfio-pci"]


def test_each_outcome_has_its_count() -> None:
    found = row(CARD, [boot("nouveau"), boot("vfio-pci"), boot("nouveau")], predicted("nouveau", "race"), None, None)
    assert found["outcomes"] == [{"driver": "nouveau", "boots": 2}, {"driver": "vfio-pci", "boots": 1}]
    assert found["rehearsed"] == "nouveau"


def test_what_was_not_rehearsed_has_no_driver_and_does_not_stop() -> None:
    found = row(CARD, [boot("nouveau")], predicted("nouveau"), "vfio-pci", "it is a virtual function")
    assert (found["result"], found["rehearsed"], found["stops"]) == ("not rehearsed", None, False)


ELSEWHERE = ("0000:fd:00.0", "the machine has one domain")


def test_one_at_another_address_that_agrees_says_where_it_was() -> None:
    found = row(CARD, [boot("vfio-pci")], predicted("vfio-pci"), "vfio-pci", None, ELSEWHERE)
    assert (found["result"], found["machine_address"], found["stops"]) == ("agrees", "0000:fd:00.0", False)
    assert found["why"].endswith("In the machine it is 0000:fd:00.0, because the machine has one domain.")


@pytest.mark.parametrize(("forecast", "claimed"), [(predicted("vfio-pci"), None), (predicted(None, "unknown"), "vfio-pci")])
def test_one_at_another_address_is_never_the_reason_to_stop(forecast: Predicted, claimed: str | None) -> None:
    """A rule for its address on the host has not acted there."""
    found = row(CARD, [boot("nouveau")], forecast, claimed, None, ELSEWHERE)
    assert (found["result"], found["rehearsed"], found["stops"]) == ("not rehearsed", None, False)
    assert "was offered to nouveau: what names 0000:3b:00.0 did not act" in found["why"]


def test_several_outcomes_are_counted_in_the_sentence() -> None:
    found = row(CARD, [boot("vfio-pci"), boot("nouveau"), boot("vfio-pci"), boot()], predicted("vfio-pci", "race"), None, None)
    assert found["why"].endswith(" In 4 boots: vfio-pci 2, nouveau 1, no driver 1.")
    assert "boots:" not in row(CARD, [boot("vfio-pci"), boot("vfio-pci")], predicted("vfio-pci"), None, None)["why"]


OTHER = "0000:3c:00.0"
FAILED_ELSEWHERE = (
    f"@rehearsal log [    1.0] bus: 'pci': really_probe: probing driver nvme with device {OTHER}",
    f"@rehearsal log [    1.1] nvme {OTHER}: probe with driver nvme failed with error -19",
    f"@rehearsal owner {OTHER} ",
)


def probed(*lines: str, owner: str = "", others: t.Sequence[str] = FAILED_ELSEWHERE) -> list[str]:
    offered = f"@rehearsal log [    2.0] bus: 'pci': really_probe: probing driver e1000e with device {CARD}"
    report = parse("\n".join((*others, offered, *lines, f"@rehearsal owner {CARD} {owner}", "@rehearsal end")))
    return unended(report, (CARD, OTHER))


def test_a_probe_without_an_end_is_named() -> None:
    (said,) = probed()
    assert said.startswith(f"the kernel has not said how the probe of {CARD} by e1000e has ended")
    assert probed(owner="e1000e") == []
    assert probed(f"@rehearsal log [    2.1] e1000e {CARD}: probe with driver e1000e failed with error -2") == []
    assert probed(f'@rehearsal trace sh-9 [000] ..... 3.0: unbinds: (unbind_store+0x0/0x10) drv="e1000e" dev="{CARD}"') == []
    assert probed('@rehearsal trace rmmod-9 [000] ..... 3.0: leaving: (driver_unregister+0x0/0x10) drv="e1000e"') == []


def test_no_probe_is_named_where_the_kernel_says_no_end_of_any() -> None:
    assert probed(others=()) == []


def override_in_row(
    *changes: tuple[float, str], at_end: str = "(null)", function: str = "overrides: (driver_set_override+0x0/0x10)"
) -> str | None:
    """The override in the row of a device that vfio-pci is offered at 2.0; what is written ends with a line end, as from a shell."""
    set_by = [
        f'@rehearsal trace sh-9 [000] ..... {when}: {function} dev="{CARD}" name="{name}\n@rehearsal trace "' for when, name in changes
    ]
    offered = f'@rehearsal trace modprobe-7 [000] ..... 2.0: offered: (really_probe+0x0/0x10) dev="{CARD}" drv="vfio-pci"'
    lines = (*set_by, offered, f"@rehearsal owner {CARD} vfio-pci", f"@rehearsal override {CARD} {at_end}", "@rehearsal end")
    found = row(CARD, [parse("\n".join(lines))], predicted("vfio-pci"), None, None)
    assert found["result"] == "agrees"
    return t.cast("str | None", found["driver_override"])


@pytest.mark.parametrize("function", ["overrides: (driver_set_override+0x0/0x10)", "overridden: (__device_set_driver_override+0x0/0x10)"])
def test_the_override_is_the_one_when_the_offer_was_made(function: str) -> None:
    assert override_in_row((1.0, "nouveau"), (1.5, "vfio-pci"), (3.0, "other"), at_end="other", function=function) == "vfio-pci"
    assert override_in_row((1.0, "vfio-pci"), (1.5, ""), function=function) is None
    assert override_in_row((3.0, "other"), at_end="other", function=function) is None


def test_the_override_is_that_of_the_end_where_the_kernel_does_not_say_when() -> None:
    assert override_in_row(at_end="vfio-pci") == "vfio-pci"
    assert override_in_row() is None
