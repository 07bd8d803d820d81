# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page on writing a variant tells its readers to type exists and works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.tests.unit.driver_package import PACKAGES, TEMPLATE, DriverPackage

PAGE = (PACKAGES.parents[1] / "docs/writing-a-variant.md").read_text("utf-8")
SHARED_HEADERS = ("variant_compat.h", "variant_ids.h")
PROBE = "probe-kernel.sh"
"""Its lines `op OPERATION NAME` define names for the operations that a kernel has."""


def blocks(language: str) -> list[str]:
    """What stands between fences of the page."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_first_commands_make_a_package_with_the_names_that_the_page_uses_from_there_on(tmp_path: Path) -> None:
    installed = tmp_path / ".ansible/collections/ansible_collections/vfio/variants/files"
    installed.mkdir(parents=True)
    (installed / "kernel").symlink_to(PACKAGES)
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(["sh", "-eu"], input=blocks("sh")[0], cwd=tmp_path, env=environment, text=True, check=True, timeout=60)
    package = DriverPackage(tmp_path / "files/my-vfio-pci")
    assert list(package.manifest) == ["my_vfio_pci"]
    assert package.table == [(0x10EE, 0x9048), (0x10EE, 0x914F)]
    assert f"{package.dkms['PACKAGE_NAME']}]" in PAGE


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\b(?:variant_\w+|VARIANT_\w+)(?=[`(])", PAGE))))
def test_a_name_of_the_shared_headers_is_defined_in_one_of_them(name: str) -> None:
    texts = "".join((TEMPLATE / file).read_text("utf-8") for file in (*SHARED_HEADERS, PROBE))
    assert re.search(rf"^(?:#define |[\w \t]*\**){name}\b", texts, re.MULTILINE)


def test_the_region_of_the_example_takes_the_place_of_the_templates() -> None:
    source = (TEMPLATE / "example_vfio_pci.c").read_text("utf-8")
    declared = "static int {}_add_regions(struct vfio_pci_core_device *core)\n"
    assert declared.format("example_vfio_pci") in source
    assert declared.format("my_vfio_pci") in blocks("c")[2]


def test_the_emulated_function_can_be_made() -> None:
    described = re.search(r"emulate: \{vendor: \"(\w+)\", device: \"(\w+)\", bars: \[\{index: 0, size: (\w+)\}\]\}", PAGE)
    assert described is not None
    function = PciFunction.from_options(
        {"vendor": described[1], "device": described[2], "bars": [{"index": 0, "size": described[3]}]},
    )
    assert (function.vendor, function.device) == (0x10EE, 0x9048)


@pytest.mark.parametrize("line", [line for line in blocks("sh")[1].splitlines() if line])
def test_the_commands_that_build_name_the_package(line: str) -> None:
    assert shlex.split(line, comments=True)[:3] == ["make", "-C", "files/my-vfio-pci"]
