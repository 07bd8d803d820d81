# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of dracut, mkinitcpio and systemd-tmpfiles that are not read as they are meant."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile, PolicyFiles, read_policy_files
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.boots import boot, device
from ansible_collections.vfio.variants.tests.unit.judged import judged
from ansible_collections.vfio.variants.tests.unit.trees import Tree

DRACUT, MKINITCPIO, TMPFILES = "/etc/dracut.conf.d/vfio.conf", "/etc/mkinitcpio.conf", "/etc/tmpfiles.d/vfio.conf"
OVERRIDE = "/sys/bus/pci/devices/0000:01:00.0/driver_override"
MISTAKES = {
    (DRACUT, 'add_drivers+="vfio-pci"'): 'Write `add_drivers+=" vfio-pci "`.',
    (DRACUT, "force_drivers+='vfio-pci vfio'"): 'Write `force_drivers+=" vfio-pci vfio "`.',
    (DRACUT, 'add_drivers += " vfio-pci "'): 'Write `add_drivers+=" vfio-pci "`.',
    (DRACUT, 'add_drivers=+" vfio-pci "'): 'Write `add_drivers+=" vfio-pci "`.',
    (DRACUT, 'force_driver+=" vfio-pci "'): 'Write `force_drivers+=" vfio-pci "`.',
    (DRACUT, 'add_drivers+=" vfio-pci, vfio "'): 'Write `add_drivers+=" vfio-pci vfio "`.',
    (DRACUT, 'add_dracutmodules+=" vfio-pci "'): 'Write `add_drivers+=" vfio-pci "`.',
    (MKINITCPIO, "MODULES=(vfio_pci, vfio)"): "Write `MODULES=(vfio_pci vfio)`.",
    (MKINITCPIO, "MODULE=(vfio_pci)"): "Write `MODULES=(vfio_pci)`.",
    (MKINITCPIO, "modules=(vfio_pci)"): "Write `MODULES=(vfio_pci)`.",
    (MKINITCPIO, "MODULES = (vfio_pci)"): "Write `MODULES=(vfio_pci)`.",
    (TMPFILES, f"w {OVERRIDE} vfio-pci"): f"Write `w {OVERRIDE} - - - - vfio-pci`.",
    (TMPFILES, f"w {OVERRIDE} - - vfio-pci"): f"Write `w {OVERRIDE} - - - - vfio-pci`.",
}
RIGHT = [
    (DRACUT, 'add_drivers+=" vfio-pci vfio "'),
    (DRACUT, 'add_drivers="vfio-pci"'),
    (DRACUT, 'add_dracutmodules+=" lvm "'),
    (DRACUT, 'compress="zstd" # as vfio-pci needs'),
    (MKINITCPIO, "MODULES=(vfio_pci vfio)"),
    (MKINITCPIO, 'MODULES="vfio_pci vfio"'),
    (MKINITCPIO, "HOOKS=(base udev modconf block)"),
    (TMPFILES, f"w {OVERRIDE} - - - - vfio-pci"),
    (TMPFILES, f"w {OVERRIDE}"),
    (TMPFILES, "d /run/lock/subsys 0755 root root -"),
]


def told(path: str, text: str) -> list[str]:
    files = PolicyFiles(settings=(PolicyFile(path, f"# mine\n{text}\n"),))
    return [finding.sentence for finding in judged(boot(), devices=[device()], files=files)]


@pytest.mark.parametrize(("path", "text"), MISTAKES)
def test_a_mistake_is_named_once_with_what_is_meant(path: str, text: str) -> None:
    (said,) = told(path, text)
    assert said.startswith(f"{path}:2: ")
    assert f"`{text}`" in said
    assert said.endswith(MISTAKES[path, text])


@pytest.mark.parametrize(("path", "text"), RIGHT)
def test_what_is_read_as_it_is_meant_is_left_alone(path: str, text: str) -> None:
    assert told(path, text) == []


def test_the_shell_joins_two_lists_that_have_no_blanks() -> None:
    text = next(text for path, text in MISTAKES if path == DRACUT)
    script = f'add_drivers=""\n{text}\n{text}\necho "$add_drivers"\n'
    made = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert made == ["vfio-pcivfio-pci"]


@pytest.mark.parametrize("path", [DRACUT, "/etc/mkinitcpio.conf.d/vfio.conf"])
def test_a_file_that_is_not_read_for_its_name_is_named(path: str) -> None:
    stem = path.rpartition(".")[0]
    (said,) = told(stem, 'add_drivers+=" vfio-pci "')
    assert said.endswith(f"because its name does not end in .conf. Rename it to {path}, or remove it.")
    assert told(f"{path}.off", 'add_drivers+=" vfio-pci "') == []
    assert told(stem, 'compress="zstd"') == []


def test_a_list_of_what_to_write_at_boot_that_is_not_read_is_named_if_it_is_about_drivers() -> None:
    (said,) = told("/etc/tmpfiles.d/vfio", f"w {OVERRIDE} - - - - vfio-pci")
    assert said.endswith("Rename it to /etc/tmpfiles.d/vfio.conf, or remove it.")
    assert told("/etc/tmpfiles.d/README", "w /proc/sys/vm/swappiness - - - - 10") == []


def test_the_files_are_read_and_mkinitcpio_s_modules_are_listed(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(MKINITCPIO, 'MODULES=(vfio_pci "vfio") # first\nHOOKS=(base)\n').file(DRACUT, 'add_drivers+=" nvme "\n')
    more = "MODULES+=(nouveau 'mlx5_vfio_pci?')\nMODULES=\"igb?\"\n\nMODULES+=(e1000e)\n"
    tree.file(TMPFILES, "").file("/etc/mkinitcpio.conf.d/a.conf", more)
    files = read_policy_files(tree.host(), (), (), Inventory((), {}))
    assert [file.path for file in files.settings] == [MKINITCPIO, DRACUT, "/etc/mkinitcpio.conf.d/a.conf", TMPFILES]
    found = [(one.name, one.source) for one in files.for_image]
    assert found == [
        ("nvme", f"{DRACUT}:1"),
        ("vfio_pci", f"{MKINITCPIO}:1"),
        ("vfio", f"{MKINITCPIO}:1"),
        ("nouveau", "/etc/mkinitcpio.conf.d/a.conf:1"),
        ("mlx5_vfio_pci", "/etc/mkinitcpio.conf.d/a.conf:1"),
        ("igb", "/etc/mkinitcpio.conf.d/a.conf:2"),
        ("e1000e", "/etc/mkinitcpio.conf.d/a.conf:4"),
    ]
    assert [one.name for one in files.for_image if one.is_optional] == ["mlx5_vfio_pci", "igb"]
