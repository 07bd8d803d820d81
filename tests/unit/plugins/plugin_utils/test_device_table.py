# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a fleet, as lines and as the playbook shows it."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils.device_table import LONGEST, table
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT
from ansible_collections.vfio.variants.tests.unit.test_reported_hosts import GPU, debian, grub, host

CARD = {"address": GPU, "id": "10de:1b81", "name": None, "driver": "nouveau", "next_driver": "nouveau", "certainty": "certain"}
BRIDGE = {**CARD, "address": "0000:00:01.0", "driver": "pcieport", "next_driver": "pcieport"}
HEAD = "HOST  DEVICE                  NOW      NEXT BOOT  CERTAIN?  BECAUSE"


def lines(*devices: dict[str, t.Any], everything: bool = False) -> list[tuple[str, str | None]]:
    return table({"a": {"devices": [{"because": "a:1: b", "warnings": [], "variant_driver": None, **one} for one in devices]}}, everything)


def test_a_row_says_what_is_now_and_what_comes_and_why() -> None:
    assert lines(CARD) == [(HEAD, None), (f"a     {GPU} 10de:1b81  nouveau  nouveau    certain   a:1: b", "green")]


def test_colors_say_what_changes_and_what_is_doubtful() -> None:
    found = lines({**CARD, "next_driver": "vfio-pci"}, {**CARD, "certainty": "race"}, {**CARD, "certainty": "unknown", "next_driver": None})
    assert [color for _line, color in found[1:]] == ["yellow", "yellow", "red"]
    assert found[3][0].split()[4:6] == ["?", "unknown"]
    assert lines({**CARD, "warnings": ["x:1 has no effect."]})[1] == (
        f"a     {GPU} 10de:1b81  nouveau  nouveau    certain   a:1: b x:1 has no effect.",
        "red",
    )


def test_bridges_and_what_has_no_driver_are_shown_on_request() -> None:
    nothing = {**CARD, "driver": None, "next_driver": None}
    assert len(lines(CARD, BRIDGE, nothing)) == 2
    assert len(lines(CARD, BRIDGE, nothing, everything=True)) == 4
    assert lines({**nothing, "variant_driver": "x"})[1][0].split()[3:6] == ["none", "none", "certain"]


def test_a_host_without_an_answer_or_without_devices_has_a_row() -> None:
    found = table({"b": {"unreachable": True}, "a": {"devices": []}, "c": "x", "d": {"msg": "root: /x is\nnot a directory."}}, False)
    assert [line.split(maxsplit=1) for line, _color in found[1:]] == [
        ["a", "no device is or will be bound to a driver"],
        ["b", "it gave no answer"],
        ["c", "it gave no answer"],
        ["d", "it gave no answer: root: /x is not a directory."],
    ]


def test_what_a_host_has_sent_is_one_line_without_control_signs() -> None:
    ((_head, _none), (line, _color)) = lines({**CARD, "because": f"\x1b[31m\n{'x' * 5000}"})
    assert line.isprintable()
    assert len(line) < 2 * LONGEST


@pytest.mark.sampled(3)
def test_the_playbook_shows_a_fleet_with_colors_where_they_are_wanted(tmp_path: Path) -> None:
    roots = {name: grub(debian(host(tmp_path / name))).root for name in ("one", "two")}
    hosts = {name: {"ansible_connection": "local", "show_root": str(root)} for name, root in roots.items()}
    hosts["three"] = {"ansible_host": "192.0.2.1", "ansible_connection": "ssh", "ansible_ssh_common_args": "-o ConnectTimeout=1"}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    command = ["env", "ANSIBLE_FORCE_COLOR=1", "ansible-playbook", "-i", str(inventory), str(ROOT / "playbooks/show.yml")]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=240, text=True)
    rows = [line for line in ran.stdout.splitlines() if GPU in line or "gave no answer" in line]
    assert [row.split()[0] for row in rows] == ["\x1b[0;31mone", "\x1b[0;31mthree", "\x1b[0;31mtwo"], ran.stdout + ran.stderr
    assert "HOST   DEVICE " in ran.stdout
