# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel driver package agrees with itself and with the collection, and refuses what it cannot be built for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
PACKAGE = REPOSITORY / "files/kernel/vfio-variants"
PAGES = (PACKAGE / "README.md", REPOSITORY / "docs/drivers.md")
VENDORS = {"PCI_VENDOR_ID_NVIDIA": 0x10DE, "PCI_VENDOR_ID_IBM": 0x1014}
OVERRIDE_ID = re.compile(r"PCI_DRIVER_OVERRIDE_DEVICE_VFIO\((\w+), (0x[0-9a-f]{4})\)")
#: The configuration of a kernel, as kbuild hands it to Kbuild.
MODULES = "CONFIG_MODULES := y\n"
VFIO_PCI_CORE = "CONFIG_VFIO_PCI_CORE := m\n"


def manifest() -> dict[str, list[str]]:
    text = (PACKAGE / "modules.json").read_text(encoding="utf-8")
    return {module["name"]: module["aliases"] for module in json.loads(text)["modules"]}


def dkms_setting(name: str) -> str:
    found = re.search(rf'^{re.escape(name)}="(.*)"$', (PACKAGE / "dkms.conf").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def driver(name: str) -> str:
    return (PACKAGE / f"{name}.c").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", manifest())
def test_the_manifest_lists_the_alias_of_every_id_of_a_driver(module: str) -> None:
    ids = [(VENDORS[vendor], int(device, 16)) for vendor, device in OVERRIDE_ID.findall(driver(module))]
    assert ids
    assert manifest()[module] == [f"vfio_pci:v{vendor:08X}d{device:08X}sv*sd*bc*sc*i*" for vendor, device in ids]


@pytest.mark.parametrize("module", manifest())
def test_a_driver_binds_nothing_that_was_not_named(module: str) -> None:
    table = re.search(r"struct pci_device_id \w+\[\] = \{(.*?)\n\};", driver(module), re.DOTALL)
    assert table is not None
    assert re.findall(r"PCI_\w*DEVICE\w*(?=\()", table[1]) == ["PCI_DRIVER_OVERRIDE_DEVICE_VFIO"] * len(OVERRIDE_ID.findall(table[1]))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_lists_every_driver_with_its_ids(page: Path) -> None:
    rows = re.findall(r"^\| `(\w+_vfio_pci)` \|([^|]*)\|", page.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name: set(re.findall(r"`([0-9a-f]{4}:[0-9a-f]{4})`", devices)) for name, devices in rows}
    ids = {
        module: {f"{VENDORS[vendor]:04x}:{device[2:]}" for vendor, device in OVERRIDE_ID.findall(driver(module))} for module in manifest()
    }
    assert listed == ids


def test_the_words_of_the_parameter_nvlink_are_those_that_its_refusal_and_its_pages_name() -> None:
    source = (PACKAGE / "nvlink2_parameter.h").read_text(encoding="utf-8")
    words = re.findall(r'^\t\[NVLINK2_\w+\]\s*= "(\w+)",$', source, re.MULTILINE)
    assert words
    assert f"is none of {', '.join(words)}\\n" in source
    for page in PAGES:
        assert f"`nvlink={'|'.join(words)}`" in page.read_text(encoding="utf-8")


def test_dkms_builds_the_modules_of_the_manifest_and_no_other() -> None:
    names = re.findall(r'^BUILT_MODULE_NAME\[\d+\]="(\w+)"$', (PACKAGE / "dkms.conf").read_text(encoding="utf-8"), re.MULTILINE)
    assert names == list(manifest())


def test_the_package_has_the_version_of_the_collection() -> None:
    galaxy = (REPOSITORY / "galaxy.yml").read_text(encoding="utf-8")
    assert f"\nversion: {dkms_setting('PACKAGE_VERSION')}\n" in galaxy


@pytest.mark.parametrize("module", manifest())
def test_a_module_says_which_version_of_the_package_it_is(module: str) -> None:
    assert "\nMODULE_VERSION(VARIANT_VERSION);\n" in driver(module)


@pytest.mark.parametrize(
    "path", [path for path in sorted(PACKAGE.iterdir()) if path.suffix in {".c", ".h", ".sh"}], ids=lambda path: path.name
)
def test_no_source_asks_for_the_kernel_version(path: Path) -> None:
    assert not re.search(r"LINUX_VERSION_CODE|KERNEL_VERSION|linux/version\.h|uname", path.read_text(encoding="utf-8"))


def evaluate_kbuild(
    tree: Path, configuration: str, probe: str = "echo -DVARIANT_SOMETHING -DVARIANT_PROBED"
) -> subprocess.CompletedProcess[str]:
    """Kbuild as the kernel's build reads it, with the probe replaced, printing what it would build."""
    package = tree / "package"
    shutil.copytree(PACKAGE, package)
    (package / "probe-kernel.sh").write_text(f"{probe}\n", encoding="utf-8")
    kernel = tree / "Makefile"
    kernel.write_text(
        f"{configuration}KERNELRELEASE := 9.9.9\nsrctree := {tree}\nsrc := {package}\n"
        f"include {package}/Kbuild\nall:\n\t@echo '$(ccflags-y) | $(obj-m)'\n",
        encoding="utf-8",
    )
    return subprocess.run(["make", "-s", "-f", str(kernel)], capture_output=True, text=True, check=False, timeout=60)


def test_kbuild_hands_the_probes_answer_and_the_version_to_the_compiler(tmp_path: Path) -> None:
    done = evaluate_kbuild(tmp_path, MODULES + VFIO_PCI_CORE)
    flags = f'-Wno-override-init -DVARIANT_SOMETHING -DVARIANT_PROBED -DVARIANT_VERSION=\\"{dkms_setting("PACKAGE_VERSION")}\\"'
    assert done.stdout == f"{flags} | {' '.join(f'{name}.o' for name in manifest())}\n"


def objects_of(tree: Path, conf: str, **files: str) -> subprocess.CompletedProcess[str]:
    """What the kernel's build would make of a package with this dkms.conf."""
    shutil.copy(PACKAGE / "Kbuild", tree)
    for name, text in {"dkms.conf": conf, "probe-kernel.sh": "echo -DVARIANT_PROBED\n", **files}.items():
        (tree / name).write_text(text, encoding="utf-8")
    rule = "all:\n\t@echo '$(obj-m) $(x_vfio_pci-y) $(variant-version)'\n"
    makefile = f"{MODULES}{VFIO_PCI_CORE}src := {tree}\ninclude $(src)/Kbuild\n{rule}"
    return subprocess.run(["make", "-s", "-f", "-"], input=makefile, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "line",
    [
        'BUILT_MODULE_NAME[0]="x_vfio_pci"',
        "BUILT_MODULE_NAME[0]='x_vfio_pci'",
        "BUILT_MODULE_NAME[0]=x_vfio_pci",
        "BUILT_MODULE_NAME=x_vfio_pci",
        '  BUILT_MODULE_NAME[12]="x_vfio_pci"  \t',
        'BUILT_MODULE_NAME[0]="x_vfio_pci" # the driver',
    ],
)
def test_kbuild_reads_a_value_of_dkms_conf_however_bash_would_take_it(tmp_path: Path, line: str) -> None:
    done = objects_of(tmp_path, f"PACKAGE_VERSION='1.2'\n{line}\n")
    assert (done.stderr, done.stdout.split()) == ("", ["x_vfio_pci.o", "1.2"])


@pytest.mark.parametrize("line", ["", 'BUILT_MODULE_NAME[0]=""', "#BUILT_MODULE_NAME[0]=x", "DEST_MODULE_NAME[0]=x"])
def test_a_dkms_conf_that_names_no_module_is_an_error_and_no_build_of_nothing(tmp_path: Path, line: str) -> None:
    done = objects_of(tmp_path, f'PACKAGE_VERSION="1"\n{line}\n')
    assert done.returncode != 0
    assert "dkms.conf has no line BUILT_MODULE_NAME[0]" in done.stderr


def test_a_driver_of_several_files_names_them_in_a_file_of_its_own(tmp_path: Path) -> None:
    conf = 'PACKAGE_VERSION="1"\nBUILT_MODULE_NAME[0]="x_vfio_pci"\n'
    done = objects_of(tmp_path, conf, **{"objects.mk": "x_vfio_pci-y := main.o cmd.o\n"})
    assert done.stdout.split() == ["x_vfio_pci.o", "main.o", "cmd.o", "1"]


def test_kbuild_refuses_a_kernel_without_vfio_pci_core_and_names_it(tmp_path: Path) -> None:
    done = evaluate_kbuild(tmp_path, MODULES)
    assert done.returncode != 0
    assert "kernel 9.9.9 has no CONFIG_VFIO_PCI_CORE" in done.stderr


def test_kbuild_refuses_a_probe_that_died(tmp_path: Path) -> None:
    done = evaluate_kbuild(tmp_path, MODULES + VFIO_PCI_CORE, probe="echo -DVARIANT_SOMETHING; exit 1")
    assert done.returncode != 0
    assert "cannot read the VFIO interface of kernel 9.9.9" in done.stderr


def test_kbuild_lets_an_unconfigured_tree_be_cleaned(tmp_path: Path) -> None:
    assert evaluate_kbuild(tmp_path, "").returncode == 0


def test_cleaning_removes_what_a_build_leaves_and_needs_no_kernel(tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(PACKAGE, package)
    before = {path.name for path in package.iterdir()}
    module = next(iter(manifest()))
    for name in (
        f"{module}.o",
        f"{module}.ko",
        f"{module}.mod.c",
        f".{module}.o.cmd",
        ".module-common.o",
        "Module.symvers",
        "modules.order",
    ):
        (package / name).touch()
    subprocess.run(["make", "-C", str(package), "KDIR=/nonexistent", "clean"], check=True, capture_output=True, timeout=60)
    assert {path.name for path in package.iterdir()} == before
