# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on a host whose driver was upgraded while its old version is loaded: a reboot is asked for until there was one."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.unchanged import recall
from ansible_collections.vfio.variants.tests.unit.converged_hosts import KEY, image, recorded, request
from ansible_collections.vfio.variants.tests.unit.first_run_hosts import FirstRunHost
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.policy_hosts import VARIANT
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, V100_VARIANT


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FirstRunHost:
    """On which all was done, before the driver's package was upgraded."""
    monkeypatch.setattr(unchanged, "CACHE_DIRECTORY", str(tmp_path / "records"))
    host = FirstRunHost(tmp_path)
    host.run_role()
    (file,) = host.tree.place(f"/lib/modules/{DEBIAN_13}").rglob(f"{VARIANT}.ko")
    file.write_bytes(module_file(DEBIAN_13, [V100_VARIANT], srcversion="B"))
    host.tree.file(f"/to-build-{DEBIAN_13}", image(host.tree, DEBIAN_13))
    return loaded(host, "A", "1")


def loaded(host: FirstRunHost, source: str, references: str) -> FirstRunHost:
    host.tree.file(f"/sys/module/{VARIANT}/srcversion", f"{source}\n").file(f"/sys/module/{VARIANT}/refcnt", f"{references}\n")
    return host


def old_warnings(result: dict[str, t.Any]) -> list[str]:
    return [warning for warning in result["warnings"] if f"another version of {VARIANT}" in warning]


def test_a_reboot_is_required_by_each_run_until_the_installed_version_is_loaded(host: FirstRunHost) -> None:
    for changed in (True, False):
        result = host.run_role()
        assert (result["changed"], result["reboot_required"], result["recorded"]) == (changed, True, False)
        (warning,) = old_warnings(result)
        assert "it is in use (references: 1)" in warning
        assert recall(host.tree.host(), KEY).outcome is None
    after = loaded(host, "B", "1").run_role()
    assert (after["changed"], after["reboot_required"], after["recorded"], old_warnings(after)) == (False, False, True, [])


def test_where_nothing_is_bound_before_the_reboot_it_is_required_as_well(host: FirstRunHost) -> None:
    wanted = request(live=False)
    assert [host.run_role(wanted)["reboot_required"] for _run in range(2)] == [True, True]
    assert recorded(host.tree, live=False)["because"] == f"Another version of {VARIANT} is loaded than is installed."
    assert loaded(host, "B", "1").run_role(wanted)["reboot_required"] is False


def test_another_driver_that_no_claim_is_for_asks_for_nothing(host: FirstRunHost) -> None:
    loaded(host, "B", "1").tree.file("/sys/module/vfio_pci/srcversion", "OLD\n")
    (file,) = host.tree.place(f"/lib/modules/{DEBIAN_13}").rglob("vfio?pci.ko")
    file.write_bytes(module_file(DEBIAN_13, srcversion="NEW"))
    for wanted in (request(), request(live=False)):
        assert host.run_role(wanted)["reboot_required"] is False


def test_an_upgrade_after_the_record_was_left_is_noticed(host: FirstRunHost) -> None:
    loaded(host, "B", "1").run_role()
    assert recall(host.tree.host(), KEY).outcome is not None
    (file,) = host.tree.place(f"/lib/modules/{DEBIAN_13}").rglob(f"{VARIANT}.ko")
    file.write_bytes(module_file(DEBIAN_13, [V100_VARIANT], srcversion="C"))
    assert recall(host.tree.host(), KEY).outcome is None
