# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsed boot need not have shown of what decides on the host is named, with its file and line."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_cause import HiddenCause
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import Predicted, row
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace, parse
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.unseen import causes_of, said

CARD, OTHER = "0000:3b:00.0", "0000:3c:00.0"
RULE = HiddenCause("/etc/udev/rules.d/70-site.rules:1", "driver/unbind", (), "bind", CARD)
PROBE = HiddenCause("nvme", "its ID table has not the device, so that its probe decides", (), "probe", CARD, ("nvme",))
MADE = HiddenCause("/etc/udev/rules.d/70-site.rules:1", "driver/unbind", ("unbind",), "child", CARD)
PROGRAM = HiddenCause("/etc/rc.local:3", "writes to driver_override", ("override",))
TAKES = HiddenCause("/etc/rc.local:3", "writes to unbind", ("unbind",))


def boot(*lines: str, bound: str = "", override: str = "") -> BootTrace:
    trace = (f"@rehearsal trace {one}" for one in lines)
    return parse("\n".join((*trace, f"@rehearsal owner {CARD} {bound}", f"@rehearsal override {CARD} {override}", "@rehearsal end")))


def offer(driver: str, who: str = "modprobe-7", device: str = CARD) -> str:
    return f'{who} [000] ..... 2.0: offered: (really_probe+0x0/0x10) dev="{device}" drv="{driver}"'


def asks(who: str = "sh-9", kind: str = "asks") -> str:
    return f'{who} [000] ..... 3.0: {kind}: (drivers_probe_store+0x0/0x10) drv="nvme" dev="{CARD}'


def loads(module: str, who: str = "modprobe-7") -> str:
    return f'{who} [000] ..... 1.5: loading: (do_init_module+0x0/0x10) name="{module}"'


LOADS = HiddenCause("/etc/rc.local:3", "loads vfio_pci", ("load",), modules=("vfio_pci",))
ANYTHING = HiddenCause("/usr/local/sbin/site", "is compiled", ("load", "override"))
NVME = "\n@rehearsal trace ".join((loads("nvme"), offer("nvme")))
BY_UDEV = "\n@rehearsal trace ".join((loads("nvme", "(udev-worker)-7"), offer("nvme", "(udev-worker)-7")))


@pytest.mark.parametrize(
    ("report", "cause", "named"),
    [
        (boot(NVME), RULE, True),
        (boot(NVME, bound="nvme"), RULE, False),
        (boot(), RULE, False),
        (boot(NVME), HiddenCause(RULE.source, RULE.fact, (), "bind", CARD, ("nvme",)), True),
        (boot(NVME), HiddenCause(RULE.source, RULE.fact, (), "bind", CARD, ("vfio-pci",)), False),
        (boot(offer("sdhci-pci")), HiddenCause(RULE.source, RULE.fact, (), "bind", CARD, ("sdhci_pci",)), True),
        (boot(offer("igb", device=OTHER)), HiddenCause(RULE.source, RULE.fact, (), "bind", OTHER), True),
        (boot(NVME), HiddenCause(RULE.source, RULE.fact, (), "unbind", CARD), False),
        (boot(NVME, asks(kind="unbinds")), HiddenCause(RULE.source, RULE.fact, (), "unbind", CARD), True),
        (boot(NVME, asks(), offer("vfio-pci", "sh-9")), HiddenCause(RULE.source, RULE.fact, (), "unbind", CARD), True),
        (boot(NVME), PROBE, True),
        (boot(NVME, bound="nvme"), PROBE, False),
        (boot(offer("igb")), PROBE, False),
        (boot(NVME), MADE, True),
        (boot(offer("igb", device=OTHER)), MADE, True),
        (boot(NVME, bound="nvme"), MADE, False),
        (boot(), MADE, False),
        (boot(NVME), PROGRAM, False),
        (boot(NVME, override="vfio-pci"), PROGRAM, True),
        (boot(NVME, asks()), PROGRAM, True),
        (boot(NVME, offer("vfio-pci", "modprobe-8")), PROGRAM, True),
        (boot(NVME, offer("vfio-pci", "modprobe-7")), PROGRAM, False),
        (boot(offer("vfio-pci", "sh-9")), PROGRAM, True),
        (boot(offer("vfio-pci", "kworker/0:1-9")), PROGRAM, False),
        (boot(offer("vfio-pci", "swapper/0-1")), PROGRAM, False),
        (boot(BY_UDEV), LOADS, False),
        (boot(BY_UDEV, loads("vfio-pci", "sh-9")), LOADS, True),
        (boot(BY_UDEV, loads("vfio_pci", "(udev-worker)-9")), LOADS, False),
        (boot(BY_UDEV, loads("vfio_pci", "sh-9")), PROGRAM, False),
        (boot(BY_UDEV, loads("vfio_pci", "sh-9")), ANYTHING, False),
        (boot(loads("vfio_pci", "sh-9"), offer("vfio-pci", "sh-9")), ANYTHING, True),
        (boot(NVME), TAKES, True),
        (boot(NVME, bound="nvme"), TAKES, False),
        (boot(), TAKES, False),
    ],
)
def test_a_cause_is_named_where_this_boot_need_not_have_shown_it(report: BootTrace, cause: HiddenCause, named: bool) -> None:
    found = said(report, CARD, (cause,))
    assert bool(found) is named
    assert all(line.startswith(f"{CARD} ") and cause.source in line for line in found)


@pytest.mark.parametrize(
    ("report", "predicted", "cause", "result", "stops"),
    [
        (boot(NVME), Predicted(None, "certain", ()), RULE, "varies", False),
        (boot(NVME, bound="nvme"), Predicted(None, "certain", ()), RULE, "differs", True),
        (boot(NVME), Predicted("nvme", "certain", ()), RULE, "agrees", False),
        (boot(NVME), None, RULE, "shown", False),
        (boot(NVME, override="vfio-pci"), Predicted(None, "unknown", ()), PROGRAM, "varies", False),
        (boot(NVME, override="vfio-pci"), None, PROGRAM, "varies", False),
        (boot(NVME), Predicted(None, "unknown", ()), PROGRAM, "shown", False),
    ],
)
def test_the_result_says_so(report: BootTrace, predicted: Predicted | None, cause: HiddenCause, result: str, stops: bool) -> None:
    found = row(CARD, [report], predicted, None, None, causes=(cause,))
    assert (found["result"], found["stops"]) == (result, stops)
    assert (cause.source in found["why"]) == bool(said(report, CARD, (cause,)))


def test_causes_are_those_that_the_host_has_listed() -> None:
    listed = {"source": "x:1", "fact": "y", "acts": ["load"], "event": "bind", "device": CARD, "drivers": ["nvme"], "modules": None}
    assert causes_of({"hidden": [listed]}) == (HiddenCause("x:1", "y", ("load",), "bind", CARD, ("nvme",)),)
    assert causes_of(None) == causes_of({}) == ()
