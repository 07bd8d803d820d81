# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a module's file, and kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import Signer
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import InstalledModules, ModuleContent
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, Tree


def test_what_is_kept_is_the_same_when_it_is_read_again() -> None:
    file = driver_file(DEBIAN_13, [Driver(b"gpu", (Entry(0x10DE, 0x1DB1),))], aliases=[NVIDIA_DISPLAY], parmtype="ids:string")
    read = ModuleContent.parse(file, "gpu.ko")
    assert (read.info.aliases, len(read.tables.drivers)) == ((NVIDIA_DISPLAY,), 1)
    typed = dataclasses.replace(read, info=dataclasses.replace(read.info, types={"sizes": ParameterType("array of int", 4)}))
    signed = dataclasses.replace(read, info=dataclasses.replace(read.info, signer=Signer("somebody", b"issuer", b"\x01", b"key")))
    for content in (read, typed, signed):
        assert ModuleContent.from_cache(json.loads(json.dumps(content.to_cache()))) == content


def test_modules_that_have_no_file_and_are_not_built_in_are_missing(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [], "vfio-pci-core": []}, builtin=["built-in"])
    tree.file(
        f"/lib/modules/{DEBIAN_13}/modules.dep",
        "kernel/drivers/vfio-pci.ko: kernel/drivers/vfio-pci-core.ko\nkernel/drivers/vfio-pci-core.ko:\n",
    )
    for name in ("vfio-pci", "vfio-pci-core"):
        tree.file(f"/lib/modules/{DEBIAN_13}/kernel/drivers/{name}.ko", driver_file(DEBIAN_13, []))
    found = InstalledModules.read(tree.host(), DEBIAN_13, ["vfio_pci", "built_in", "gone"])
    assert found.missing == ("gone",)
    assert sorted(found.paths) == sorted(found.fingerprints) == ["vfio_pci", "vfio_pci_core"]
