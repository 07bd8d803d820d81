# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit's settings mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.units import StartedUnits
from ansible_collections.vfio.variants.tests.unit.trees import Tree


@pytest.mark.parametrize(
    ("value", "waits"),
    [("no", False), ("No", False), ("n", False), ("F", False), ("off", False), ("0", False), ("yes", True), ("1", True), ("", True)],
)
def test_a_service_without_default_dependencies_starts_no_sysinit(tmp_path: Path, value: str, waits: bool) -> None:
    """In each word of parse_boolean() in src/basic/parse-util.c of systemd."""
    tree = Tree(tmp_path).file("/usr/lib/systemd/system/sysinit.target", "[Unit]\n")
    tree.file("/etc/systemd/system/site.service", f"[Unit]\nDefaultDependencies={value}\n[Service]\nExecStart=/bin/site\n")
    started = StartedUnits(UnitFiles(tree.host()), [("site.service", "a test")], lambda _unit: True)
    assert ("sysinit.target" in started.found) is waits
