# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A written policy is judged by what kmod and udev find, not by what was meant."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Choice, Decision
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import OtherConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.ids import Softdep
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import PolicyPlan
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import absent
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.proof import mismatches
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

RULE = 'ATTR{vendor}=="0x10de", ATTR{driver_override}="vfio-pci"\n'


def plan(tmp_path: Path, strategy: str) -> PolicyPlan:
    device = Inventory.read(Tree(tmp_path).pci("0000:3b:00.0").host()).devices[0]
    decision = Decision(device, Claim(()), (), strategy, (Choice(DEBIAN_13, "vfio_pci", "vfio-pci"),))
    softdeps = (Softdep("nouveau", ("vfio_pci",), ()),) if strategy == "ids" else ()
    blacklisted = ("nouveau",) if strategy == "blacklist" else ()
    return PolicyPlan(absent("gpus"), (decision,), softdeps, blacklisted, ())


def on_disk(modprobe: str = "", rules: str = "", own: t.Sequence[str] = ("",), path: str = "/etc/modprobe.d/00-gpus.conf") -> OtherConfig:
    config = ModprobeConfig.parse(modprobe, path)
    softdeps = tuple(ModprobeConfig.parse(text, "/lib/modules/x/modules.softdep") for text in own)
    return OtherConfig(config, softdeps, Rules(tuple(parse(rules, "/etc/udev/rules.d/70-gpus.rules"))), {}, Cmdline(()))


IDS = "options vfio_pci ids=10de:1db1\nsoftdep nouveau pre: vfio_pci\n"


@pytest.mark.parametrize(
    ("strategy", "modprobe", "rules"),
    [("override", "", RULE), ("ids", IDS, ""), ("blacklist", "blacklist nouveau\n", RULE)],
)
def test_what_was_planned_is_found(tmp_path: Path, strategy: str, modprobe: str, rules: str) -> None:
    assert mismatches(plan(tmp_path, strategy), on_disk(modprobe, rules, ["softdep nouveau pre: other\n"])) == ()


@pytest.mark.parametrize(
    ("strategy", "modprobe", "rules", "flaw"),
    [
        ("override", "", "", "udev does not set driver_override=vfio-pci"),
        ("override", "", RULE + 'ATTR{vendor}=="0x10de", ATTR{driver_override}="other"\n', "udev does not set"),
        ("override", "blacklist vfio-pci\n", RULE, "vfio_pci is blacklisted"),
        ("blacklist", "", RULE, "nouveau is not blacklisted"),
        ("ids", "softdep nouveau pre: vfio_pci\n", "", "vfio_pci does not get the ids of 0000:3b:00.0"),
        ("ids", "options vfio_pci ids=10de:1db1\noptions vfio_pci ids=1:2\nsoftdep nouveau pre: vfio_pci\n", "", "does not get the ids"),
        ("ids", "options vfio_pci ids=10de:1db1\nsoftdep nouveau pre: other\n" + IDS, "", "kmod does not heed the softdep of nouveau"),
    ],
)
def test_what_undoes_it_is_a_flaw(tmp_path: Path, strategy: str, modprobe: str, rules: str, flaw: str) -> None:
    found = mismatches(plan(tmp_path, strategy), on_disk(modprobe, rules))
    assert len(found) == 1
    assert flaw in found[0]


def test_of_two_softdeps_the_file_that_comes_first_by_name_counts(tmp_path: Path) -> None:
    """depmod's modules.softdep takes its turn among the files of modprobe.d (kmod_config_new() in libkmod-config.c)."""
    wanted, other = plan(tmp_path, "ids"), ["softdep nouveau pre: other\n"]
    assert mismatches(wanted, on_disk(IDS, own=other, path="/etc/modprobe.d/gpus.conf")) == ()
    assert mismatches(wanted, on_disk(IDS, own=other, path="/etc/modprobe.d/zz-gpus.conf")) == (
        "kmod does not heed the softdep of nouveau",
    )
