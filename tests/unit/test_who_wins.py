# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worked examples of docs/worked-examples.md show what the module says about the hosts that they show.

After a change of its words: UPDATE_DOCS=1 tools/run python -m pytest tests/unit/test_who_wins.py, then read the difference.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import policy_hosts
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13
from ansible_collections.vfio.variants.tests.unit.worked_examples import (
    CMDLINE,
    MODINFO,
    NOT_IN_IMAGE,
    Example,
    block_after,
    examples,
    with_answer,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "worked-examples.md"
RULES_PAGE = DOCS / "who-wins.md"
SHOWN = ("winner", "certainty", "stage", "because", "outcomes", "claimed", "would_change")
EXAMPLES = examples(PAGE.read_text(encoding="utf-8"))
WIDE = 1000
CHECKED = "<!-- claim_info on the host of example 1 -->\n"


def answer(example: Example, root: Path) -> str:
    """What `device_info` returns about the example's devices, as far as the forecast goes; what is empty is left out."""
    told = device_info(example.host(root).host(Commands(root)), devices=list(example.addresses))
    shown: dict[str, t.Any] = {device["address"]: excerpt(device) for device in told["devices"]}
    # No line is broken: these are sentences to search for.
    text = yaml.safe_dump({**shown, **filled(told, "policy_warnings")}, sort_keys=False, width=WIDE)
    return f"```yaml\n{text}```\n"


def excerpt(device: dict[str, t.Any]) -> dict[str, t.Any]:
    on_kernel = device["kernels"][DEBIAN_13]
    said = {field: on_kernel[field] for field in SHOWN[:3]} | filled(on_kernel, *SHOWN[3:])
    # One outcome is the winner.
    if len(on_kernel["outcomes"]) < 2:
        del said["outcomes"]
    return said | filled(device, "warnings")


def filled(facts: dict[str, t.Any], *fields: str) -> dict[str, t.Any]:
    return {field: facts[field] for field in fields if facts[field]}


def test_the_page_has_at_least_ten_examples() -> None:
    assert len(EXAMPLES) >= 10
    # Nothing that looks like an example is passed over.
    assert PAGE.read_text(encoding="utf-8").count("<!-- output: ") == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_module_says_what_the_page_shows(example: Example, tmp_path: Path) -> None:
    said = answer(example, tmp_path)
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(with_answer(PAGE.read_text(encoding="utf-8"), example.title, said), encoding="utf-8")
    else:
        assert said == example.answer


def test_claim_info_fails_as_the_page_shows(tmp_path: Path) -> None:
    with pytest.raises(HostError) as failure:
        claim_info(EXAMPLES[0].host(tmp_path).host(Commands(tmp_path)), devices="10de:1db1", require="winner")
    said = f"```text\n{failure.value.msg}\n```\n"
    page = RULES_PAGE.read_text(encoding="utf-8")
    start, end = block_after(page, CHECKED)
    if os.environ.get("UPDATE_DOCS"):
        RULES_PAGE.write_text(page[:start] + said + page[end:], encoding="utf-8")
    else:
        assert said == page[start:end]


CONF, RULES = "/etc/modprobe.d/gpu.conf", "/etc/udev/rules.d/90-gpu.rules"
IDS = "options vfio-pci ids=10de:1db1\n"
SOFTDEP = "softdep nouveau pre: vfio-pci\n"
LOADS = 'RUN{builtin}+="kmod load vfio-pci"\n'
BY_ID = f'ACTION=="add", KERNEL=="0000:3b:00.0", ATTR{{device}}=="0x1db1", ATTR{{driver_override}}="vfio-pci", {LOADS}'
WAYS_OUT: dict[int, tuple[dict[str, str | None], str | None]] = {
    1: ({NOT_IN_IMAGE: None}, None),
    2: ({CONF: "blacklist nouveau\n"}, None),
    3: ({CONF: IDS + SOFTDEP}, "vfio-pci"),
    4: ({CONF: None, RULES: BY_ID}, "nouveau"),
    6: ({CMDLINE: "vfio-pci.ids=10de:1db1\n"}, "vfio-pci"),
    7: ({CONF: IDS + SOFTDEP}, "vfio-pci"),
    8: ({CONF: "blacklist nouveau\n"}, None),
    9: ({CMDLINE: "vfio-pci.ids=10de:1db1,8086:10d3\n"}, "vfio-pci"),
    10: ({"/etc/driverctl.d/pci-0000:3b:00.0": None}, "vfio-pci"),
    11: ({MODINFO: None}, policy_hosts.VARIANT),
    12: ({RULES: BY_ID}, "e1000e"),
}
"""What the page advises, as a change of the files, and who has the device then; claims of two cards are a test of their own."""


def fate(example: Example, root: Path) -> tuple[str | None, str]:
    (device,) = device_info(example.host(root).host(Commands(root)), devices=list(example.addresses))["devices"]
    on_kernel = device["kernels"][DEBIAN_13]
    return on_kernel["winner"], on_kernel["certainty"]


@pytest.mark.parametrize("number", WAYS_OUT)
def test_the_way_out_leads_out(number: int, tmp_path: Path) -> None:
    files, winner = WAYS_OUT[number]
    assert fate(EXAMPLES[number - 1].but(**files), tmp_path) == (winner, "certain")


def test_the_rules_of_boot_policy_leave_no_race_of_two_claimed_cards(tmp_path: Path) -> None:
    racing = EXAMPLES[4]
    tree = racing.host(tmp_path / "before")
    tree.place(RULES).unlink()
    policy_hosts.run(tree, {"devices": "10de:1db1", "driver": "vfio-pci"})
    written = {path: tree.place(path).read_text() for path in policy_hosts.ALL if tree.place(path).exists()}
    assert fate(racing, tmp_path / "racing") == ("vfio-pci", "race")
    assert fate(racing.but(**{RULES: None, **written}), tmp_path / "after") == ("vfio-pci", "certain")
