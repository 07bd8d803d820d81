# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot under the policy, with nothing bound live before."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.access_log import AccessLog

CARD = "0000:01:00.0"
FUNCTIONS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "functions.json"
PROBE = Path(__file__).parents[4] / "playbooks" / "files" / "vfio_probe.py"


def test_the_variant_owns_a_card_that_nouveau_never_touched(host: t.Any) -> None:
    assert host.file(f"/sys/bus/pci/devices/{CARD}/driver").linked_to.endswith("/nvlink2gpu_vfio_pci")
    (log,) = [function["log"] for function in json.loads(FUNCTIONS.read_text())[host.backend.host] if function["id"] == "gpu"]
    assert not AccessLog.read(log).since_boot().touched_by_driver
    seen = json.loads(host.check_output("python3 -c %s %s", PROBE.read_text(), CARD))
    assert (seen["id"], seen["bar0"]["mmap"]) == ("10de:1db1", "0x140000a1")
