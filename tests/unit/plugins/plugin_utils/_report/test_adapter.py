# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report reads from the modules' own results."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import CERTAIN, RACE, ClaimResult
from ansible_collections.vfio.variants.tests.unit.policy_hosts import VARIANT
from ansible_collections.vfio.variants.tests.unit.report_hosts import FIRST_GPU, OLD, SECOND_GPU, examined, gpu_host
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13


def test_everything_that_a_page_shows_is_found_in_the_modules_results(tmp_path: Path) -> None:
    host = examined(gpu_host(tmp_path))
    devices = {device.address: device for device in host.devices}
    first, second = devices[FIRST_GPU], devices[SECOND_GPU]
    assert (host.kernels, host.running, host.next_release) == ((OLD, DEBIAN_13), DEBIAN_13, DEBIAN_13)
    assert host.next_reason.startswith("/boot/grub/grub.cfg")
    assert any("nouveua" in sentence for sentence in host.warnings)
    assert (first.parent, first.iommu_group, first.driver, first.nodes) == ("0000:00:01.0", 1, "nouveau", ("drm/card0",))
    assert devices["0000:00:01.0"].is_bridge
    assert devices["0000:05:10.0"].physical_function == "0000:05:00.0"
    assert second.next_boot is not None
    assert (second.next_boot.driver, second.next_boot.certainty, second.next_boot.claimed) == (VARIANT, RACE, VARIANT)
    assert (second.variant, second.claim) == (VARIANT, ClaimResult(VARIANT, satisfied=False, will_be_satisfied=False))
    assert set(second.outcomes) == {OLD, DEBIAN_13}
    assert (first.outcomes[OLD].driver, first.outcomes[OLD].certainty, first.outcomes[OLD].stage) == ("nouveau", CERTAIN, "root")
    assert first.outcomes[OLD].because


def test_an_image_without_devices_is_a_host_without_devices(tmp_path: Path) -> None:
    from ansible_collections.vfio.variants.tests.unit.trees import Tree

    host = examined(Tree(tmp_path).kernel(DEBIAN_13, {}))
    assert (host.devices, host.kernels, host.running) == ((), (DEBIAN_13,), None)
