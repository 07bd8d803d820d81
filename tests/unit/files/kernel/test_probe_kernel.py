# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What probe-kernel.sh reads from a kernel's headers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

PROBE = Path(__file__).resolve().parents[4] / "files/kernel/vfio-variants/probe-kernel.sh"

V5_15_SRIOV = "extern int vfio_pci_core_sriov_configure(struct pci_dev *pdev, int nr_virtfn);"
V5_19_SRIOV = "int vfio_pci_core_sriov_configure(struct vfio_pci_core_device *vdev,\n\t\t\t\t  int nr_virtfn);"
V6_1_ALLOC = "struct vfio_device *_vfio_alloc_device(size_t size, struct device *dev,\n\t\t\t\tconst struct vfio_device_ops *ops);"


V5_15_REGION = "int vfio_pci_register_dev_region(struct vfio_pci_core_device *vdev, unsigned int type);"
V6_1_REGION = "int vfio_pci_core_register_dev_region(struct vfio_pci_core_device *vdev,\n\t\t\t\t      unsigned int type);"
V6_3_VM_FLAGS = "static inline void vm_flags_set(struct vm_area_struct *vma,\n\t\t\t\tvm_flags_t flags)\n{\n}"


def headers(tree: Path, vfio: str = "", core: str = V5_15_SRIOV, pci: str = "", mm: str = "") -> Path:
    """The include directory of a kernel whose headers declare this."""
    (tree / "linux").mkdir()
    for name, text in (("vfio.h", vfio), ("vfio_pci_core.h", core), ("pci.h", pci), ("mm.h", mm)):
        (tree / "linux" / name).write_text(f"{text}\n", encoding="utf-8")
    return tree


def probe(include: Path, compiler_words: Sequence[str] = ()) -> list[str]:
    done = subprocess.run(["sh", str(PROBE), str(include), *compiler_words], capture_output=True, text=True, check=True, timeout=60)
    return [word.removeprefix("-DVARIANT_") for word in done.stdout.split()]


def ops(*members: str) -> str:
    return "struct vfio_device_ops {\n" + "".join(f"\tint\t(*{member})(struct vfio_device *vdev);\n" for member in members) + "};"


@pytest.mark.parametrize("member", ["bool\t\t\tnointxmask:1;", "bool nointxmask;"])
def test_the_options_of_each_device_are_members_of_the_core_s_structure(tmp_path: Path, member: str) -> None:
    core = f"struct vfio_pci_core_device {{\n\t{member}\n}};"
    assert probe(headers(tmp_path, core=core)) == ["HAVE_DEVICE_OPTIONS", "PROBED"]


def test_the_options_of_all_devices_are_not_those_of_one(tmp_path: Path) -> None:
    core = "struct vfio_pci_core_device {\n\tbool disable_idle_d3:1;\n};\n"
    core += "void vfio_pci_core_set_params(bool nointxmask, bool is_disable_vga,\n\t\t\t      bool is_disable_idle_d3);"
    assert probe(headers(tmp_path, core=core)) == ["PROBED"]


def test_the_oldest_kernel_with_vfio_pci_core_has_nothing_but_the_closing_word(tmp_path: Path) -> None:
    assert probe(headers(tmp_path)) == ["PROBED"]


@pytest.mark.parametrize(
    ("member", "switch"),
    [
        ("device_feature", "HAVE_DEVICE_FEATURE"),
        ("bind_iommufd", "HAVE_BIND_IOMMUFD"),
        ("detach_ioas", "HAVE_DETACH_IOAS"),
        ("pasid_attach_ioas", "HAVE_PASID_ATTACH_IOAS"),
        ("match_token_uuid", "HAVE_MATCH_TOKEN_UUID"),
        ("get_region_info_caps", "HAVE_GET_REGION_INFO_CAPS"),
    ],
)
def test_a_member_of_the_device_operations_gives_its_switch_and_no_other(tmp_path: Path, member: str, switch: str) -> None:
    assert probe(headers(tmp_path, vfio=ops("open_device", member))) == [switch, "PROBED"]


def test_a_longer_name_is_not_taken_for_the_one_it_ends_with(tmp_path: Path) -> None:
    assert probe(headers(tmp_path, vfio=ops("pasid_detach_ioas", "old_bind_iommufd"))) == ["PROBED"]


def test_driver_managed_dma_is_a_member_of_the_pci_driver(tmp_path: Path) -> None:
    assert probe(headers(tmp_path, pci="struct pci_driver {\n\tbool driver_managed_dma;\n};")) == ["HAVE_DRIVER_MANAGED_DMA", "PROBED"]


def test_sriov_configure_is_told_apart_by_its_first_argument(tmp_path: Path) -> None:
    assert probe(headers(tmp_path, core=V5_19_SRIOV)) == ["HAVE_SRIOV_CONFIGURE_CORE", "PROBED"]


def test_the_macro_that_allocates_a_device_is_found_by_its_function(tmp_path: Path) -> None:
    assert probe(headers(tmp_path, vfio=V6_1_ALLOC)) == ["HAVE_ALLOC_DEVICE", "PROBED"]


@pytest.mark.parametrize(("declared", "switches"), [(V5_15_REGION, []), (V6_1_REGION, ["HAVE_CORE_REGISTER_REGION"])])
def test_the_registration_of_a_region_is_told_apart_by_its_name(tmp_path: Path, declared: str, switches: list[str]) -> None:
    assert probe(headers(tmp_path, core=declared)) == [*switches, "PROBED"]


def test_the_function_that_changes_the_flags_of_a_mapping_is_found(tmp_path: Path) -> None:
    assert probe(headers(tmp_path, mm=V6_3_VM_FLAGS)) == ["HAVE_VM_FLAGS_SET", "PROBED"]


def test_the_operations_for_dma_buf_are_found(tmp_path: Path) -> None:
    core = "struct vfio_pci_device_ops {\n\tint (*get_dmabuf_phys)(struct vfio_pci_core_device *vdev);\n};"
    assert probe(headers(tmp_path, core=core)) == ["HAVE_PCI_DEVICE_OPS", "PROBED"]


@pytest.mark.parametrize(
    "comment",
    [
        "/* int (*detach_ioas)(struct vfio_device *vdev); */",
        "/**\n * int (*detach_ioas)(struct vfio_device *vdev); https://example.org\n **/",
        "// int (*detach_ioas)(struct vfio_device *vdev);",
        "/* see https://example.org/ */ // int (*detach_ioas)(void); /*",
    ],
)
def test_what_stands_in_a_comment_does_not_count_and_what_follows_it_does(tmp_path: Path, comment: str) -> None:
    assert probe(headers(tmp_path, vfio=f"{comment}\n{ops('match_token_uuid')}")) == ["HAVE_MATCH_TOKEN_UUID", "PROBED"]


def test_a_declaration_may_be_folded_and_commented_anywhere(tmp_path: Path) -> None:
    folded = "struct vfio_device_ops {\n\tint\t(\n\t*/* why */detach_ioas\n\t)(struct vfio_device *vdev);\n};"
    assert probe(headers(tmp_path, vfio=folded)) == ["HAVE_DETACH_IOAS", "PROBED"]


@pytest.mark.parametrize("missing", ["vfio.h", "vfio_pci_core.h", "pci.h", "mm.h"])
def test_a_tree_without_one_of_the_headers_is_an_error_that_names_it(tmp_path: Path, missing: str) -> None:
    include = headers(tmp_path)
    (include / "linux" / missing).unlink()
    done = subprocess.run(["sh", str(PROBE), str(include)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"linux/{missing}" in done.stderr


KABI = "#define RH_KABI_FILL_HOLE(_new) _new;\nstruct pci_driver {\n\tRH_KABI_FILL_HOLE(bool driver_managed_dma)\n};"


def compiler(include: Path) -> list[str]:
    return ["gcc", "-nostdinc", f"-I{include}"]


def test_a_declaration_that_a_distribution_wraps_in_a_macro_is_found_in_what_the_compiler_makes_of_it(tmp_path: Path) -> None:
    include = headers(tmp_path, pci=KABI)
    assert probe(include, compiler(include)) == ["HAVE_DRIVER_MANAGED_DMA", "PROBED"]


def test_a_declaration_that_the_configuration_leaves_out_is_not_found_by_the_compiler(tmp_path: Path) -> None:
    include = headers(tmp_path, pci="#ifdef CONFIG_X\nstruct pci_driver {\n\tbool driver_managed_dma;\n};\n#endif")
    assert probe(include, compiler(include)) == ["PROBED"]
    assert probe(include, [*compiler(include), "-DCONFIG_X"]) == ["HAVE_DRIVER_MANAGED_DMA", "PROBED"]


def test_headers_that_the_compiler_cannot_read_do_not_count_as_probed(tmp_path: Path) -> None:
    include = headers(tmp_path, pci="#error these need something else first")
    done = subprocess.run(["sh", str(PROBE), str(include), *compiler(include)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "PROBED" not in done.stdout


@pytest.mark.parametrize(("declared", "switches"), [("bool pm_runtime_engaged;", ["HAVE_LOW_POWER"]), ("bool needs_pm_restore;", [])])
def test_low_power_is_known_by_what_the_core_notes_of_it(tmp_path: Path, declared: str, switches: list[str]) -> None:
    core = f"{V5_15_SRIOV}\nstruct vfio_pci_core_device {{\n\t{declared}\n}};"
    assert probe(headers(tmp_path, core=core)) == [*switches, "PROBED"]
