# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each command of Ansible that a page, a comment or a module's documentation shows can be typed: all that it names exists."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.tests.unit.documented_commands import commands, faults
from ansible_collections.vfio.variants.tests.unit.documented_options import ROOT
from ansible_collections.vfio.variants.tests.unit.documented_pages import pages

PLACES = ("playbooks/**/*.yml", "plugins/modules/*.py")
PATHS = [*pages(), *(path for pattern in PLACES for path in sorted(ROOT.glob(pattern)))]
FOUND = {str(path.relative_to(ROOT)): commands(path.read_text(encoding="utf-8")) for path in PATHS}


@pytest.mark.parametrize(("place", "command"), [(place, command) for place, found in FOUND.items() for command in found])
def test_a_command_can_be_typed(place: str, command: str) -> None:
    assert faults(command) == [], place


@pytest.mark.parametrize(
    ("place", "piece"),
    [
        ("README.md", "device_claim -a 'devices=10de:1db1 state=absent'"),
        ("docs/start.md", "claim_info -a 'devices=10de:1db1 require=winner'"),
        ("docs/start.md", "site.yml -e vfio_host_state=absent"),
        ("docs/testbed.md", "test_vm -a 'name=gpu-host state=absent'"),
        ("docs/fleet.md", "vfio.variants.deploy --check --diff"),
        ("docs/tasks/unknown.md", "claim_info -a 'devices=10de:1db1 require=satisfied'"),
        ("docs/who-wins.md", "device_info -a 'devices=10de:1db1'"),
        ("playbooks/show.yml", "-e show_devices=class:03"),
    ],
)
def test_commands_are_found_wherever_they_are_shown(place: str, piece: str) -> None:
    assert [command for command in FOUND[place] if piece in command]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ansible all -m vfio.variants.claim_info -a 'devices=10de:1db1 expect=winner require=win'", "value of require must be one of"),
        ("ansible all -m vfio.variants.claim_info -a 'devices=10de:1db1 expect=winner'", "expect"),
        ("ansible all -m vfio.variants.device_info -a 'device=class:0302'", "there is no option device"),
        ("ansible all -m vfio.variants.device_inf", "there is no module vfio.variants.device_inf"),
        ("ansible all -m vfio.variants.device_claim -a 'devices=10de:1db1 state=gone'", "value of state must be one of"),
        ("ansible all --modul vfio.variants.device_info --nothing", "ansible does not take"),
        ("ansible-playbook vfio.variants.shows", "there is no playbook vfio.variants.shows"),
        ("ansible-playbook vfio.variants.show -e show_host=gpus", "nothing reads show_host"),
        ("ansible-playbook site.yml -e vfio_host_state=gone", "value of vfio_host_state must be one of"),
        ("ansible-doc vfio.variants.claims", "there is no vfio.variants.claims"),
    ],
)
def test_a_command_that_cannot_be_typed_is_noticed(command: str, said: str) -> None:
    assert [fault for fault in faults(command) if said in fault]


def test_what_a_page_shows_is_found_in_blocks_sentences_and_comments() -> None:
    text = """Type `ansible all -m ping`, or `ansible … -o`.

```
$ ansible a -m x \\
    -a y=1
echo ansible
```

- In a list:
  ```console
  ansible-playbook site.yml
  ```

```yaml
- name: ansible all -m setup
```
# ansible-playbook vfio.variants.show [-e show_hosts=GROUP]
"""
    assert commands(text) == [
        "ansible a -m x      -a y=1",
        "ansible-playbook site.yml",
        "ansible-playbook vfio.variants.show -e show_hosts=GROUP",
        "ansible all -m ping",
    ]
