# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns what under the claims: right after converge, bound live, and again after a boot."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

PROBE = Path(__file__).parents[4] / "playbooks" / "files" / "vfio_probe.py"
OWNERS = {
    "gpu-claimed": "nvlink2gpu_vfio_pci",
    "gpu-same": "nouveau",
    "gpu-by-ids": "nvlink2gpu_vfio_pci",
    "nic-claimed": "vfio-pci",
    "disk-by-ids": "vfio-pci",
    "nic-by-blacklist": "vfio-pci",
    "nic-with-softdep-alone": "vmxnet3",
}


@pytest.mark.parametrize(("function", "driver"), OWNERS.items())
def test_it_has_its_driver(owner: t.Callable[[str], str], function: str, driver: str) -> None:
    assert owner(function) == driver


def test_the_user_that_a_claim_names_opens_the_card_and_may_lock_its_memory(host: t.Any, functions: dict[str, t.Any]) -> None:
    ours, others = functions["gpu-claimed"].address, functions["gpu-by-ids"].address
    seen = json.loads(host.check_output("runuser -u daemon -- python3 -c %s %s", PROBE.read_text(), ours))
    assert (seen["id"], seen["viable"]) == ("10de:1db1", True)
    node = host.file(f"/dev/vfio/{seen['group']}")
    assert (node.user, node.group, node.mode) == ("daemon", "kvm", 0o640)
    assert host.check_output("runuser -u daemon -- sh -c 'ulimit -l'") == str(1 << 20)
    # Nothing else was handed over, and to nobody else.
    for user, address in (("daemon", others), ("games", ours)):
        assert "Permission denied" in host.run("runuser -u %s -- python3 -c %s %s", user, PROBE.read_text(), address).stderr
