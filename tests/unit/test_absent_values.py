# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is not has one form in all results: null, or an empty list; never an empty string or a word for nothing."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind_journal import Rebinding
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.binding import Left
from ansible_collections.vfio.variants.plugins.modules import boot_policy, claim_info, device_claim, device_info, dkms_package, initramfs
from ansible_collections.vfio.variants.tests.unit import module_calls, policy_hosts
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, NVIDIA_DISPLAY, Tree

MODULES = (boot_policy, claim_info, device_claim, device_info, dkms_package, initramfs)
GPU, BARE = "0000:01:00.0", "0000:02:00.0"
WORDS = ("", "none", "None", "null", "-", "n/a", "unbound")
"""A string that only says that there is nothing."""
TEXTS = ("diff", "cmdline", "content", "before", "after")
"""Fields whose text is a file's or a line's."""


def host(root: Path) -> ModelKernel:
    """A card with a driver, and one with nothing: no driver, no IOMMU group, no name, no NUMA node."""
    tree = Tree(root).kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}, running=True)
    tree.pci(GPU, driver="nouveau", group=15).pci(BARE, "8086:10d3", class_code=0x020000, group=16)
    return ModelKernel(tree, {GPU: "nouveau"}, {"vfio-pci": ["vfio-pci"], "vfio_pci": ["vfio-pci"], "nouveau": ["nouveau"]})


def words_for_nothing(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in TEXTS:
                yield from words_for_nothing(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from words_for_nothing(inner, f"{path}[]")
    elif isinstance(value, str) and value in WORDS:
        yield path


ANSWERS: dict[str, t.Callable[[ModelKernel], dict[str, t.Any]]] = {
    "device_info": module_calls.device_info,
    "device_info in brief": lambda kernel: module_calls.device_info(kernel, detail="brief"),
    "claim_info": lambda kernel: module_calls.claim_info(kernel, devices=[GPU, BARE], driver="vfio-pci"),
    "claim_info of the policy": module_calls.claim_info,
    "device_claim": lambda kernel: module_calls.device_claim(kernel, devices=[GPU, BARE], driver="vfio-pci", timeout=5),
    "device_claim that returns": lambda kernel: module_calls.device_claim(kernel, devices=[GPU, BARE], state="absent", timeout=5),
    "device_claim in check mode": lambda kernel: module_calls.device_claim(kernel, True, devices=[GPU, BARE], timeout=5),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_there_is_not_is_null(tmp_path: Path, name: str) -> None:
    assert list(words_for_nothing(ANSWERS[name](host(tmp_path)))) == []


def test_a_policy_has_no_words_for_nothing_either(tmp_path: Path) -> None:
    tree = policy_hosts.gpu_host(tmp_path)
    result = policy_hosts.run(tree, {"devices": "10de:1db1", "driver": "vfio-pci"})
    assert list(words_for_nothing(result)) == []


def test_nor_has_what_a_failure_returns() -> None:
    left = Left(Rebinding(GPU, None, None, None, None), None, None)
    assert list(words_for_nothing(left.result())) == []


@pytest.mark.parametrize("module", MODULES)
def test_no_return_value_is_documented_as_an_empty_string(module: t.Any) -> None:
    found = [
        name for name, said in documented(yaml.safe_load(module.RETURN)) if said["type"] == "str" and "empty" in str(said["description"])
    ]
    assert found == []


def documented(returned: dict[str, t.Any], path: str = "") -> Iterator[tuple[str, dict[str, t.Any]]]:
    for name, said in returned.items():
        yield f"{path}{name}", said
        yield from documented(said.get("contains", {}), f"{path}{name}.")
