# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot as it would be after one change, and the change in words."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, Boot, Coldplug, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine, blacklisting
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.boot_change import (
    removals,
    with_listed,
    with_softdeps,
    without_names,
)
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, load_list, stage
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.forecast.test_forecast import STOCK_RULES

CARD = device()
LIST = "systemd-modules-load"


def loaded(found: Boot) -> list[tuple[str, list[str]]]:
    """What each list of the root loads, by its program."""
    works = (work for step in found.stages[-1].steps for work in step if isinstance(work, LoadList))
    return [(work.program, [listed.name for listed in work.modules]) for work in works]


def test_a_module_joins_the_list_of_systemd_and_no_other() -> None:
    lists = (load_list("other", "a"), load_list(LIST, "b"), Coldplug())
    change = with_listed(boot(stage(ROOT, steps=(lists,))), "vfio-pci")
    assert change is not None
    assert change.sentence == "Add `vfio-pci` to /etc/modules-load.d/vfio.conf."
    assert loaded(change.boot) == [("other", ["a"]), (LIST, ["b", "vfio_pci"])]


def test_where_there_is_no_list_it_is_one_beside_the_coldplug() -> None:
    change = with_listed(boot(stage(ROOT, steps=((load_list("other", "a"),), (Coldplug(),)))), "vfio-pci")
    assert change is not None
    assert loaded(change.boot) == [("other", ["a"]), (LIST, ["vfio_pci"])]


def test_a_root_without_coldplug_has_no_list() -> None:
    assert with_listed(boot(stage(ROOT, steps=((load_list(LIST, "a"),),))), "vfio-pci") is None


def softdep(modprobe: t.Mapping[str, str]) -> str:
    return with_softdeps(boot(stage(ROOT, modprobe=modprobe)), ["nouveau"], "vfio-pci").sentence


def test_a_softdep_line_is_replaced_where_a_person_edits_it() -> None:
    text = "softdep nouveau pre: drm\n"
    assert softdep({"/etc/modprobe.d/a.conf": text}) == "Replace /etc/modprobe.d/a.conf:1 by `softdep nouveau pre: vfio-pci drm`."
    added = "Add `softdep nouveau pre: vfio-pci drm` to /etc/modprobe.d/00-vfio.conf."
    assert softdep({"/usr/lib/modprobe.d/a.conf": text}) == added
    # A pattern is a line about other modules, too.
    assert softdep({"/etc/modprobe.d/a.conf": "softdep nouv* pre: drm\n"}) == added


def test_a_line_that_decides_can_be_removed_unless_it_is_ours() -> None:
    found = boot(rules=STOCK_RULES, modprobe="blacklist nouveau\n")
    now = forecast([CARD], found)[CARD.address]
    assert [change.line for change in removals(found, now)] == ["/etc/modprobe.d/site.conf:1: blacklist nouveau"]
    assert list(removals(found, now, {}, ("/etc/modprobe.d/site.conf",))) == []
    assert [change.line for change in removals(found, now, {}, ("site.conf:1", "/etc/modprobe.d/site"))] != []


@pytest.mark.parametrize("argument", ["modprobe.blacklist=nouveau,snd", "module_blacklist=nouveau,snd"])
def test_an_argument_loses_names_and_what_kmod_made_of_it_goes_with_them(argument: str) -> None:
    found = boot(stage(ROOT, modprobe="blacklist other\n"), cmdline=f"{argument} quiet")
    (change,) = without_names(found, {"nouveau"})
    key = argument.partition("=")[0]
    assert change.sentence == f"Replace {argument} by {key}=snd on the command line ({CMDLINE})."
    assert change.boot.cmdline.arguments == (f"{key}=snd", "quiet")
    kept = [line.arguments[0] for line in change.boot.stages[-1].config.directives if line.command == "blacklist"]
    assert kept == (["other", "snd"] if key == "modprobe.blacklist" else ["other"])


def test_what_dracut_made_of_an_argument_goes_with_the_name_and_stays_with_the_others() -> None:
    argument = "rd.driver.blacklist=nouveau,snd"
    made = [blacklisting(name, SourceLine(CMDLINE, 0), argument) for name in ("nouveau", "snd")]
    root = stage(ROOT)
    found = boot(dataclasses.replace(root, config=root.config.with_more(made)), cmdline=argument)
    (change,) = without_names(found, {"nouveau"})
    assert [line.arguments[0] for line in change.boot.stages[-1].config.directives] == ["snd"]
