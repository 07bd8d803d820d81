# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is found in a policy that boot_policy has written."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, Boot, Coldplug, Stage
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import read_policy_files
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.findings import find
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.boots import module_facts
from ansible_collections.vfio.variants.tests.unit.policy_hosts import NIC, V100, gpu_host, run

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        pytest.param([V100, NIC], {}, id="override"),
        pytest.param([NIC], {"strategy": "ids"}, id="ids"),
        pytest.param([V100], {"strategy": "blacklist"}, id="blacklist"),
        pytest.param([{"devices": "0000:3b:00.0"}, {"devices": "0000:5e:00.0", "driver": "vfio-pci"}], {}, id="identical cards"),
    ],
)
def test_nothing_is_found_in_a_policy_of_our_own(tmp_path: Path, claims: list[dict[str, t.Any]], options: dict[str, t.Any]) -> None:
    tree = gpu_host(tmp_path)
    run(tree, *claims, **options)
    host = tree.host()
    kernels = read_all(host)
    roots = [
        Stage(ROOT, "/", ((Coldplug(),),), kernel, ModprobeConfig.read(host, release=kernel.release), Rules.read(host))
        for kernel in kernels
    ]
    boots = [
        Boot(
            root.kernel.release,
            Cmdline.read(host),
            "/proc/cmdline",
            (root,),
            {name: module_facts(name, [root]) for name in root.kernel.modules},
        )
        for root in roots
    ]
    assert any(root.config.directives or root.rules.rules for root in roots)
    assert find(boots, Inventory.read(host), kernels, read_policy_files(host, boots, kernels, Inventory.read(host))) == ()
