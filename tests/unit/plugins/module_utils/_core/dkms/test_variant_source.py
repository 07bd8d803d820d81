# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variants a kernel's source has, and the IDs of each."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_source import Variant, variants_of
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import ACME, driver, linux


def tree(files: dict[str, str]) -> LinuxTree:
    return LinuxTree("/srv/linux", {name: text.encode() for name, text in files.items()})


def acme(ids: str, more: str = "", **files: str) -> Variant:
    return variants_of(tree({**linux("7.3.4", more + driver(ids=ids)), **files}))["acme"]


def test_a_variant_is_known_by_its_makefile_and_named_by_its_module() -> None:
    variants = variants_of(tree(linux("7.3.4")))
    found = variants["acme"]
    assert list(variants) == ["acme"]
    assert (found.name, found.module, found.folder, found.option) == ("acme", "acme-vfio-pci", "drivers/vfio/pci/acme", "ACME_VFIO_PCI")
    assert found.aliases == (ACME,)
    assert found.licences == ("GPL-2.0-only",)


@pytest.mark.parametrize("module", ["acme_gpu-vfio-pci", "acme-gpu-vfio-pci", "acme_gpu_vfio_pci"])
def test_dashes_and_underscores_are_the_same_in_a_name(module: str) -> None:
    files = {**linux("7.3.4"), "drivers/vfio/pci/acme/Makefile": f"obj-$(CONFIG_ACME_VFIO_PCI) := {module}.o\n"}
    assert list(variants_of(tree(files))) == ["acme_gpu"]


@pytest.mark.parametrize(
    "makefile",
    [
        "obj-$(CONFIG_ACME_VFIO_PCI) += acme-vfio-pci.o # the driver\n",
        "obj-$(CONFIG_ACME_VFIO_PCI) +=\\\n\tacme-vfio-pci.o\n",
        "obj-${CONFIG_ACME_VFIO_PCI} += acme-vfio-pci.o\nacme-vfio-pci-$(CONFIG_ACME_VFIO_PCI_LEGACY) += legacy.o\n",
        "obj-$(CONFIG_ACME_VFIO_PCI) += acme-vfio-pci.o acme-egm.o\n",
        "obj-$(CONFIG_ACME_VFIO_PCI) += acme-vfio-pci.o\nobj-$(CONFIG_ACME_EGM) += acme-egm.o\n",
    ],
)
@pytest.mark.parametrize("name", ["Makefile", "Kbuild"])
def test_the_variants_are_all_modules_that_kbuild_builds_and_are_named_like_one(makefile: str, name: str) -> None:
    files = linux("7.3.4")
    del files["drivers/vfio/pci/acme/Makefile"]
    files[f"drivers/vfio/pci/acme/{name}"] = makefile
    assert [(one.name, one.option) for one in variants_of(tree(files)).values()] == [("acme", "ACME_VFIO_PCI")]


MORE_OPTIONS = """\
config ACME_VFIO_PCI
\ttristate "VFIO support for ACME devices"
\tdepends on ACME_CORE=y
\tselect VFIO_PCI_CORE
\tselect ACME_GROUPS if ACME_OLD

config ACME_VFIO_PCI_LEGACY
\tbool "Old devices"
\tdefault y if ACME_OLD

config ACME_VFIO_PCI_DEBUG
\tdef_bool ACME_VFIO_PCI && ACME_CORE

config ACME_VFIO_PCI_TRACE
\tbool
\tdefault ACME_VFIO_PCI_DEBUG

config ACME_EGM
\ttristate "Another module"
\tdefault ACME_VFIO_PCI
"""


def test_its_further_options_are_on_as_in_the_kernels_own_build() -> None:
    found = variants_of(tree(linux("7.3.4", kconfig=MORE_OPTIONS)))["acme"]
    options = frozenset(("VFIO_PCI_CORE", "ACME_CORE"))
    assert found.parts(options) == ("ACME_VFIO_PCI_DEBUG", "ACME_VFIO_PCI_TRACE")
    assert found.selected(options) == ()
    assert found.parts(options | {"ACME_OLD"}) == ("ACME_VFIO_PCI_LEGACY", "ACME_VFIO_PCI_DEBUG", "ACME_VFIO_PCI_TRACE")
    assert found.selected(options | {"ACME_OLD"}) == ("CONFIG_ACME_GROUPS",)
    assert found.lacks(options) is None


def test_a_dependency_that_is_a_module_and_must_not_be_is_said() -> None:
    found = variants_of(tree(linux("7.3.4", kconfig=MORE_OPTIONS)))["acme"]
    assert found.lacks(frozenset(("VFIO_PCI_CORE", "ACME_CORE", "ACME_CORE=m"))) == (
        "drivers/vfio/pci/acme/Kconfig says that acme-vfio-pci depends on ACME_CORE=y, and the kernel is built with CONFIG_ACME_CORE=m"
    )


def test_a_header_of_the_folder_above_that_is_included_comes_along() -> None:
    found = acme("", '#include "../vfio_pci_priv.h"\n', **{"drivers/vfio/pci/vfio_pci_priv.h": "/* */", "drivers/vfio/pci/trace.h": ""})
    assert "drivers/vfio/pci/vfio_pci_priv.h" in found.files
    assert "drivers/vfio/pci/trace.h" not in found.files


OVERRIDE = "PCI_DRIVER_OVERRIDE_DEVICE_VFIO"
LIST = "#define ACME_IDS(MACRO__, ...) \\\n\tACME_NEW_IDS(MACRO__, ## __VA_ARGS__), \\\n\tMACRO__(0x20, ## __VA_ARGS__)\n"
NEW = "#define ACME_NEW_IDS(MACRO__, ...) \\\n\tMACRO__(0x21, ## __VA_ARGS__)\n"
ENTRY = f"#define ACME_DEVICE(_id) {{ \\\n\t{OVERRIDE}(0x1e3d, (_id)) \\\n}}\n"


@pytest.mark.parametrize(
    ("ids", "more", "expected"),
    [
        (f"{{ {OVERRIDE}(0x1e3d, 0x10) }},", "", ((0x1E3D, 0x10),)),
        (f"{{ {OVERRIDE}(PCI_VENDOR_ID_ACME,\n\t\t  ACME_VF) }},", "#define ACME_VF 0x11 /* VF */\n", ((0x1E3D, 0x11),)),
        (f"{{ {OVERRIDE}(0x1e3d, 0x10) }}, /* {{ {OVERRIDE}(1, 2) }} */", "", ((0x1E3D, 0x10),)),
        ("ACME_IDS(ACME_DEVICE),", LIST + NEW + ENTRY, ((0x1E3D, 0x21), (0x1E3D, 0x20))),
        ("{ PCI_DEVICE(0x1e3d, 0x10) },", "", None),
        (f"{{ {OVERRIDE}(0x1e3d, UNKNOWN) }},", "", None),
        (f"{{ {OVERRIDE}(0x1e3d, 0x12345) }},", "", None),
        ("LOOP(LOOP),", "#define LOOP(X) X(LOOP), X(LOOP)\n", None),
    ],
    ids=["numbers", "names", "comments", "lists of families", "a native table", "an unknown name", "no ID", "a list of itself"],
)
def test_the_ids_are_those_of_the_exported_table(ids: str, more: str, expected: tuple[tuple[int, int], ...] | None) -> None:
    assert acme(ids, more).ids == expected
