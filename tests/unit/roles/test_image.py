# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role bakes claims into a mounted image: its policy and its check of the boot, and nothing that only a running host can do."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.test_image_policy import HARDWARE, image
from ansible_collections.vfio.variants.tests.unit.policy_hosts import RULES, VARIANT
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree


def bootable(root: Path) -> Tree:
    """An image whose kernel has its disk's driver built in and boots without an initramfs."""
    entry = f"menuentry 'Linux' {{\n\tlinux /boot/vmlinuz-{DEBIAN_13} root=/dev/vda1 ro\n}}\n"
    return image(root).file(f"/boot/vmlinuz-{DEBIAN_13}", "").file("/boot/grub/grub.cfg", f'set default="0"\n{entry}')


def play(folder: Path, root: str, *words: str, **options: t.Any) -> tuple[int, str]:
    """How the role ends on the image, and what Ansible says."""
    variables = {"vfio_host_drivers": False, "vfio_host_root": root, "vfio_host_hardware": HARDWARE, **options}
    role = {"role": "vfio.variants.vfio_host", "vars": {"vfio_host_claims": [{"devices": "10de:1db1"}], **variables}}
    shown = {"ansible.builtin.debug": {"msg": "{{ vfio_host_report.devices | map(attribute='claimed') | list }}"}}
    path = folder / "play.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": [role], "post_tasks": [shown]}]), encoding="utf-8")
    command = ["ansible-playbook", "--inventory", "localhost,", "--connection", "local", str(path), *words]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=500, text=True)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.sampled(6)
def test_claims_are_baked_into_an_image_and_taken_back(tmp_path: Path) -> None:
    tree = bootable(tmp_path)
    code, said = play(tmp_path, str(tree.root))
    assert (code, tree.place(RULES).exists()) == (0, True), said
    assert VARIANT in said.rpartition('"msg"')[2]
    assert "changed=1 " in said
    code, said = play(tmp_path, str(tree.root), vfio_host_state="absent")
    assert (code, tree.place(RULES).exists()) == (0, False), said


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vfio_host_reboot": True}, "vfio_host_reboot:"),
        ({"vfio_host_claims": []}, "devices: no device is named."),
        ({"vfio_host_root": "/"}, "vfio_host_hardware: it describes the devices that an image is for"),
    ],
)
def test_what_an_image_cannot_do_is_refused_before_anything_is_written(tmp_path: Path, options: dict[str, t.Any], words: str) -> None:
    tree = bootable(tmp_path)
    root = options.pop("vfio_host_root", str(tree.root))
    code, said = play(tmp_path, root, vfio_host_use_record=False, **options)
    assert code == 2
    assert words in said
    assert " changed=0 " in said
    assert not tree.place(RULES).exists()
