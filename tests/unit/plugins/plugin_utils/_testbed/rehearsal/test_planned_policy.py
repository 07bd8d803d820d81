# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy that is only planned is in the root and in the initramfs of the rehearsal, as the reading of images shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState, diff
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.planned_policy import NO_POLICY, PlannedPolicy

RULE = 'ACTION=="add", KERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci"\n'
RULES, HOOK = "/etc/udev/rules.d/70-vfio-variants.rules", "/etc/initramfs-tools/hooks/vfio-variants"


def planned() -> PlannedPolicy:
    changes = (FileChange(RULES, None, FileState(RULE.encode(), 0o644)), FileChange(HOOK, None, FileState(b"#!/bin/sh\n", 0o755)))
    assigned = [{"device": "0000:3b:00.0", "driver": "vfio-pci"}]
    return PlannedPolicy.of({"diff": diff(changes), "policy": {"modules": ["vfio_pci"]}, "assignments": assigned})


def test_files_and_drivers_are_those_of_check_mode() -> None:
    policy = planned()
    assert policy.files == {RULES: (RULE, 0o644), HOOK: ("#!/bin/sh\n", 0o755)}
    assert policy.drivers == {"0000:3b:00.0": "vfio-pci"}


def test_a_file_that_would_go_is_gone() -> None:
    gone = FileChange(RULES, FileState(b"old\n", 0o644), None)
    assert PlannedPolicy.of({"diff": diff([gone]), "policy": {"modules": []}}).files == {RULES: (None, 0)}


def test_a_difference_that_is_not_understood_is_refused() -> None:
    with pytest.raises(HostError, match="not understood"):
        PlannedPolicy.of({"diff": [{"after_header": "?", "after": ""}], "policy": {"modules": []}})


def test_the_initramfs_gets_rules_and_modules_with_what_they_need_and_no_hook(tmp_path: Path) -> None:
    modules = tmp_path / "usr/lib/modules/6.12.1"
    (modules / "kernel").mkdir(parents=True)
    (modules / "modules.dep").write_text("kernel/vfio-pci.ko: kernel/vfio.ko\nkernel/vfio.ko:\nkernel/other.ko:\n")
    for name in ("vfio-pci", "vfio", "other"):
        (modules / f"kernel/{name}.ko").write_bytes(name.encode())
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/initrd").write_bytes(planned().initramfs(tmp_path, "6.12.1"))
    image = Image.read(Host(str(tmp_path)), "/boot/initrd", "6.12.1")
    assert image.text(RULES) == RULE.encode()
    assert set(image.modules) == {"vfio_pci", "vfio"}
    assert "usr/lib/modules/6.12.1/modules.dep" in image.names
    assert not any("hooks" in name for name in image.names)


def test_without_a_policy_nothing_is_added(tmp_path: Path) -> None:
    assert NO_POLICY.initramfs(tmp_path, "6.12.1") == b""
