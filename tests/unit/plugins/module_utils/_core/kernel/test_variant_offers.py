# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device whose kernel lacks the variant that Linux has for it gets a sentence that says how to get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import known_variants
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, read_all, version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.variant_offers import missing_variants as offered
from ansible_collections.vfio.variants.tests.unit import variant_table
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import driver, linux
from ansible_collections.vfio.variants.tests.unit.trees import Tree, modalias

MLX5 = "vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"
OLD, NEW = "6.1.0-50-amd64", "7.3.4+deb13-amd64"


def missing_variants(alias: str, found: tuple[Kernel, ...], config: str | None = None) -> tuple[str, ...]:
    """Where all kernels are built with the same."""
    return offered(alias, found, lambda _release: config)


def kernels(root: Path, *, old: bool = False, new: bool = False) -> tuple[Kernel, ...]:
    tree = Tree(root)
    tree.kernel(OLD, {"mlx5-vfio-pci": [MLX5]} if old else {})
    tree.kernel(NEW, {"mlx5-vfio-pci": [MLX5]} if new else {})
    return read_all(tree.host())


def test_kernels_that_lack_it_are_named_with_the_option_that_builds_it(tmp_path: Path) -> None:
    how = "`vfio_drivers_variants: [mlx5]` builds it from the kernel's source"
    (sentence,) = missing_variants(modalias("15b3:101e"), kernels(tmp_path, old=True))
    assert sentence == f"mlx5_vfio_pci serves 15b3:101e; kernel {NEW} does not have it; {how}"


def test_nothing_is_said_where_all_have_it_or_no_variant_exists(tmp_path: Path) -> None:
    found = kernels(tmp_path, old=True, new=True)
    assert missing_variants(modalias("15b3:101e"), found) == missing_variants(modalias("8086:10d3"), found) == ()
    assert missing_variants("no modalias", found) == ()


def test_it_is_built_only_for_kernels_that_are_as_new_as_the_driver(tmp_path: Path) -> None:
    (sentence,) = missing_variants(modalias("10de:2941"), kernels(tmp_path))
    how = f"`vfio_drivers_variants: [nvgrace_gpu]` builds it for {NEW} from the kernel's source"
    assert sentence.endswith(f"kernel {OLD}, {NEW} do not have it; {how}")
    old = tuple(kernel for kernel in kernels(tmp_path) if kernel.release == OLD)
    (sentence,) = missing_variants(modalias("10de:2941"), old)
    assert sentence.endswith("does not have it; Linux has that driver for the device since 7.2")


QAT = "8086:4941"


def test_a_kernel_that_lacks_what_the_driver_depends_on_is_not_offered_the_driver(tmp_path: Path) -> None:
    (kernel,) = (kernel for kernel in kernels(tmp_path) if kernel.release == NEW)
    served = f"qat_vfio_pci serves {QAT}; kernel {NEW} does not have it"
    (without,) = missing_variants(modalias(QAT), (kernel,), "CONFIG_VFIO_PCI_CORE=m\n")
    assert without.startswith(f"{served}, and is built without CONFIG_CRYPTO_DEV_QAT_4XXX")
    assert without.endswith(", which it depends on")
    (having,) = missing_variants(modalias(QAT), (kernel,), "CONFIG_CRYPTO_DEV_QAT_4XXX=m\n")
    assert having == f"{served}; `vfio_drivers_variants: [qat]` builds it from the kernel's source"
    assert missing_variants(modalias(QAT), (kernel,), None) == (having,)


def test_of_several_kernels_those_are_offered_the_driver_that_have_what_it_depends_on(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for release in ("6.12.117+deb13-amd64", NEW):
        tree.kernel(release, {})
    configs = {NEW: "CONFIG_CRYPTO_DEV_QAT_4XXX=y\n"}
    (sentence,) = offered(modalias(QAT), read_all(tree.host()), lambda release: configs.get(release, "CONFIG_PCI=y\n"))
    assert sentence.endswith(f"do not have it; `vfio_drivers_variants: [qat]` builds it for {NEW} from the kernel's source")


def test_a_driver_that_other_machines_have_is_offered_as_it_is_built_there_only_to_compile(tmp_path: Path) -> None:
    (sentence,) = missing_variants(
        modalias("10de:2342"), tuple(kernel for kernel in kernels(tmp_path) if kernel.release == NEW), "CONFIG_64BIT=y\n"
    )
    assert sentence.endswith("builds it from the kernel's source")


def test_a_driver_that_calls_what_another_module_has_only_with_its_own_option_is_not_offered(tmp_path: Path) -> None:
    """Debian's 7.3 has DRM_XE and PCI_IOV; its build ends with "does not export xe_sriov_vfio_data_read" (docs/drivers.md)."""
    (kernel,) = (kernel for kernel in kernels(tmp_path) if kernel.release == NEW)
    config = "CONFIG_DRM_XE=m\nCONFIG_PCI_IOV=y\n# CONFIG_XE_VFIO_PCI is not set\n"
    (without,) = missing_variants(modalias("8086:e20b"), (kernel,), config)
    assert without.endswith(f"kernel {NEW} does not have it, and is built without CONFIG_XE_VFIO_PCI, which it depends on")
    with_it = config.replace("# CONFIG_XE_VFIO_PCI is not set", "CONFIG_XE_VFIO_PCI=m")
    (having,) = missing_variants(modalias("8086:e20b"), (kernel,), with_it)
    assert having.endswith("`vfio_drivers_variants: [xe]` builds it from the kernel's source")


@pytest.mark.parametrize(("vendor", "device", "module", "since"), known_variants.DEVICES)
def test_a_row_of_the_table_is_an_id_of_a_variant_and_a_series_that_was_read(vendor: int, device: int, module: str, since: str) -> None:
    assert 0 < vendor < 0xFFFF
    assert 0 <= device < 0xFFFF
    assert module.endswith("_vfio_pci")
    assert since in {".".join(version.split(".")[:2]) for version in known_variants.READ}


def test_the_table_is_written_from_the_id_tables_with_the_first_version_of_each() -> None:
    more = "{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1e3d, 0x10) },\n{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1e3d, 0x11) },"
    sources = [linux("7.3.4", driver(ids=more)), linux("6.12.107")]
    trees = [LinuxTree("/srv", {name: text.encode() for name, text in files.items()}) for files in sources]
    text = variant_table.table(trees)
    assert '    (0x1E3D, 0x0010, "acme_vfio_pci", "6.12"),\n    (0x1E3D, 0x0011, "acme_vfio_pci", "7.3"),\n' in text
    assert 'READ = ("6.12.107", "7.3.4")\n' in text
    assert '    ("acme_vfio_pci", "6.12", "' in text
    assert list(known_variants.READ) == sorted(known_variants.READ, key=version_key)
