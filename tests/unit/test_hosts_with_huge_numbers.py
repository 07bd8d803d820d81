# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of thousands of digits, which int() refuses, wherever a host's files have numbers: an answer comes all the same."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType, objection, parse_number
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    CARD,
    CONF,
    LIB,
    MULTI_USER,
    NATIVE,
    NEITHER,
    NIC,
    RULE,
    SAME,
    THIS,
    Drawn,
    compare,
)
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

HUGE = "9" * 5000
NOTHING = "0" * 5000
HOSTS: dict[str, Drawn] = {
    "a parameter": Drawn(NEITHER, {CONF: f"options nouveau modeset={HUGE}\n"}),
    "a parameter that is nought": Drawn(NEITHER, {CONF: f"options nouveau modeset={NOTHING}\n"}),
    "a negative parameter": Drawn(NEITHER, {CONF: f"options nouveau modeset=-{HUGE}\n"}),
    "a parameter of the command line": Drawn(NEITHER, cmdline=f"nouveau.modeset={HUGE}"),
    "an attribute that removes": Drawn(NATIVE, {RULE: f'{THIS}, ATTR{{remove}}="{HUGE}"\n'}, open=(CARD,)),
    "an attribute that removes, of one": Drawn({**NATIVE, CARD: None}, {RULE: f'{THIS}, ATTR{{remove}}="0001"\n'}),
    "an attribute of a function": Drawn(
        NATIVE, {RULE: f'{ADDED}, ATTR{{virtfn{HUGE}/driver_override}}="vfio-pci"\n'}, open=(CARD, SAME, NIC)
    ),
    "a number of functions": Drawn(NATIVE, {RULE: f'{ADDED}, ATTR{{sriov_numvfs}}="{HUGE}"\n'}),
    "a priority of a link": Drawn(NATIVE, {RULE: f'{THIS}, OPTIONS+="link_priority={HUGE}"\n'}),
    "a user of a unit": Drawn(
        NATIVE,
        {f"{LIB}/card.service": f"[Service]\nUser={HUGE}\nExecStart=/bin/true\n"},
        {f"{MULTI_USER}/card.service": f"{LIB}/card.service"},
    ),
    "an element of a shell's array": Drawn(
        NATIVE, {"/etc/default/grub": f"GRUB_CMDLINE_LINUX[{HUGE}]=x\nGRUB_DEFAULT=({HUGE} [{HUGE}]=1)\n"}
    ),
    "a passage of fstab": Drawn(NATIVE, {"/etc/fstab": f"UUID=1 /home ext4 defaults {HUGE} {HUGE}\n"}),
    "processors": Drawn(NATIVE, cmdline=f"nr_cpus={HUGE} maxcpus={HUGE} isolcpus={HUGE}"),
}


@pytest.mark.parametrize("name", HOSTS)
def test_an_answer_comes_and_is_true(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)


@pytest.mark.parametrize(
    ("text", "number"), [("0x" + "f" * 5000, 1 << 64), (NOTHING, 0), (f"{NOTHING}1", 1), (f"-{HUGE}", -(1 << 64)), ("0x0", 0), ("017", 15)]
)
def test_a_long_number_is_beyond_all_ranges_unless_it_begins_with_noughts(text: str, number: int) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("kind", ["int", "uint", "ulong", "long", "byte"])
def test_no_type_takes_a_long_number(kind: str) -> None:
    found = objection(ParameterType(kind), HUGE)
    assert found is not None
    assert found.certain


def test_a_long_number_names_nobody(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/passwd", f"a:x:{HUGE}:0::/:/bin/sh\nb:x:7:0::/:/bin/sh\n")
    found = Accounts.read(tree.host())
    assert (found.user("a"), found.user("b"), found.user(HUGE), found.group(HUGE), found.user("12")) == (None, 7, None, None, 12)
