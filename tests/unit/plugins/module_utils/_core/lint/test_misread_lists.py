# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of modules and files of driverctl that are not read as they are meant."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ListedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import INITRAMFS_MODULES, PolicyFile, PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import boot, device
from ansible_collections.vfio.variants.tests.unit.judged import judged

LIST = "/etc/modules-load.d/vfio.conf"


def told(path: str, text: str, *names: str) -> dict[str, str]:
    files = PolicyFiles(lists=(PolicyFile(path, text),), for_image=tuple(ListedModule(name, f"{path}:1") for name in names))
    return {finding.kind: finding.sentence for finding in judged(boot(), devices=[device()], files=files)}


def saved(name: str, text: str = "vfio-pci\n") -> dict[str, str]:
    files = PolicyFiles(saved=(PolicyFile(f"/etc/driverctl.d/{name}", text),))
    return {finding.kind: finding.sentence for finding in judged(boot(), devices=[device()], files=files)}


def test_a_line_of_modprobe_d_in_the_list_for_the_initramfs_is_not_a_misspelt_module() -> None:
    found = told(INITRAMFS_MODULES, "softdep nouveau pre: vfio-pci\n", "softdep")
    assert list(found) == ["directive-in-list"]
    assert found["directive-in-list"].startswith(f"{INITRAMFS_MODULES}:1: `softdep nouveau pre: vfio-pci` is a line for /etc/modprobe.d")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("vfio-pci ids=10de:1db1", "Write `vfio-pci` here, and `options vfio-pci ids=10de:1db1` into a file in /etc/modprobe.d."),
        ("vfio-pci # for the guest", "the comment into a line of its own."),
        ("vfio vfio-pci", "Write one module in each line."),
    ],
)
@pytest.mark.parametrize("path", [LIST, "/etc/modules"])
def test_words_after_a_module_are_named(path: str, line: str, meant: str) -> None:
    found = told(path, f"{line}\n")
    assert found["words-after-module"].startswith(f"{path}:1: systemd-modules-load takes the whole line")
    assert meant in found["words-after-module"]


def test_the_list_for_the_initramfs_takes_options_and_plain_lists_are_fine() -> None:
    assert told(INITRAMFS_MODULES, "vfio-pci ids=10de:1db1\n", "vfio-pci") == {}
    assert told(LIST, "# mine\n; mine\n\nvfio-pci\n") == {}


def test_a_list_without_its_suffix_is_named_if_it_matters_here() -> None:
    assert "Rename it to /etc/modules-load.d/vfio.conf" in told("/etc/modules-load.d/vfio", "vfio-pci\n")["no-conf-suffix"]
    assert "Rename it to /etc/modules-load.d/vfio.conf" in told("/etc/modules-load.d/vfio.list", "vfio-pci\n")["no-conf-suffix"]
    assert told("/etc/modules-load.d/README", "loop\n") == {}
    assert told("/etc/modules-load.d/vfio.conf.off", "vfio-pci\n") == {}


def test_line_ends_matter_to_the_shell_and_not_to_systemd() -> None:
    assert "line-ends" in told(INITRAMFS_MODULES, "vfio-pci\r\n", "vfio-pci\r")
    assert told(LIST, "vfio-pci\r\n") == {}
    assert "line-ends" in saved("pci-0000:01:00.0", "vfio-pci\r\n")


@pytest.mark.parametrize("name", ["0000:01:00.0", "pci-01:00.0", "pci-0000:01:00:0", "01:00.0"])
def test_a_saved_override_under_another_name_is_named_with_the_right_one(name: str) -> None:
    found = saved(name)
    assert found["saved-override-unread"].startswith(f"/etc/driverctl.d/{name}: driverctl does not read it")
    assert found["saved-override-unread"].endswith("Rename it to /etc/driverctl.d/pci-0000:01:00.0.")


def test_a_saved_override_with_an_ending_is_named_with_the_right_one() -> None:
    assert "Rename it to /etc/driverctl.d/pci-0000:01:00.0." in saved("pci-0000:01:00.0.conf")["saved-override-unread"]


@pytest.mark.parametrize("name", ["pci-0000:01:00.0", "vmbus-1234", "pci-10000:e1:00.0"])
def test_a_saved_override_with_a_right_name_is_fine(name: str) -> None:
    assert saved(name) == {}
