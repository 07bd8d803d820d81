# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where DKMS installs to on each distribution, and that nothing of a package stays there once it is absent."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.stale_modules import destination, module_files
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.test_package import everything, make, remove, sources
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

DISTRIBUTIONS = {
    "ID=debian": "updates/dkms",
    "ID=ubuntu\nID_LIKE=debian": "updates/dkms",
    "ID=proxmox\nID_LIKE=debian": "updates/dkms",
    "ID=arch": "updates/dkms",
    "ID=fedora": "extra",
    'ID="rhel"\nID_LIKE="fedora"': "extra",
    'ID="almalinux"\nID_LIKE="rhel centos fedora"': "extra",
    'ID="rocky"\nID_LIKE="rhel centos fedora"': "extra",
    'ID="centos"\nID_LIKE="rhel fedora"': "extra",
    'ID="ol"\nID_LIKE="fedora"': "extra",
    'ID="sles"\nID_LIKE="suse"': "updates",
    'ID="opensuse-leap"\nID_LIKE="suse opensuse"': "updates",
}


@pytest.fixture(params=["extra", "updates", "updates/dkms"])
def dkms(request: pytest.FixtureRequest, tmp_path: Path) -> ModelDkms:
    """DKMS on a distribution that has this folder."""
    dkms = two_kernels(tmp_path / "root")
    dkms.folder = request.param
    dkms.tree.file("/etc/os-release", next(text for text, folder in DISTRIBUTIONS.items() if folder == request.param) + "\n")
    return dkms


def of_the_package(dkms: ModelDkms) -> list[str]:
    return [path for path in everything(dkms) if "gpu" in path]


def ko(dkms: ModelDkms, release: str = DEBIAN_12) -> str:
    return f"/lib/modules/{release}/{dkms.folder}/gpu_vfio_pci.ko"


@pytest.mark.parametrize(("text", "folder"), DISTRIBUTIONS.items())
def test_each_distribution_has_its_folder(tmp_path: Path, text: str, folder: str) -> None:
    assert destination(Tree(tmp_path).file("/etc/os-release", f"{text}\n").host()) == folder


def test_absence_leaves_nothing_of_an_installed_package(dkms: ModelDkms) -> None:
    before = everything(dkms)
    make(dkms, sources())
    assert dkms.tree.place(ko(dkms)).exists()
    remove(dkms)
    assert {path for path in everything(dkms) if "modules." not in path} == {path for path in before if "modules." not in path}
    assert V100_VARIANT not in dkms.tree.place(f"/lib/modules/{DEBIAN_12}/modules.alias").read_text()


def test_a_file_of_another_version_that_dkms_does_not_recognise_goes_as_well(dkms: ModelDkms) -> None:
    make(dkms, sources())
    dkms.tree.file(ko(dkms), module_file(DEBIAN_12, [V100_VARIANT], version="0.9"))
    remove(dkms)
    assert of_the_package(dkms) == []
    assert V100_VARIANT not in dkms.tree.place(f"/lib/modules/{DEBIAN_12}/modules.alias").read_text()


@pytest.mark.parametrize("suffix", ["", ".xz"])
def test_an_old_module_is_not_archived_and_does_not_come_back(dkms: ModelDkms, suffix: str) -> None:
    dkms.tree.file(f"{ko(dkms)}{suffix}", b"old")
    make(dkms, sources())
    assert not [path for path in everything(dkms) if "original_module" in path]
    remove(dkms)
    assert of_the_package(dkms) == []


def test_an_old_module_that_dkms_has_archived_before_does_not_come_back(dkms: ModelDkms) -> None:
    dkms.tree.file(ko(dkms), module_file(DEBIAN_12, [V100_VARIANT], version="0.9"))
    dkms.tree.file("/usr/src/gpu-1.0/dkms.conf", sources().conf.text).file("/usr/src/gpu-1.0/gpu_vfio_pci.c", V100_VARIANT)
    trees = ["--dkmstree", "/var/lib/dkms", "--sourcetree", "/usr/src", "--installtree", "/lib/modules"]
    for action in ("add", "build", "install"):
        dkms.host.run(["dkms", action, "-m", "gpu", "-v", "1.0", "-k", DEBIAN_12, *trees], 1)
    assert [path for path in everything(dkms) if "original_module" in path]
    remove(dkms)
    assert of_the_package(dkms) == []
    assert not remove(dkms)["changed"]


def test_absence_removes_a_package_that_dkms_forgot(dkms: ModelDkms) -> None:
    make(dkms, sources())
    for folder in ("/var/lib/dkms/gpu", "/usr/src/gpu-1.0"):
        dkms.host.remove_tree(folder)
    result = make(dkms, sources(), version=None, level="absent")
    assert result["removed_files"] == [ko(dkms, release) for release in (DEBIAN_12, DEBIAN_13)]
    assert of_the_package(dkms) == []


def test_links_of_weak_modules_to_what_is_gone_go_as_well(dkms: ModelDkms) -> None:
    make(dkms, sources(), kernels=(DEBIAN_12,))
    link = f"/lib/modules/{DEBIAN_13}/weak-updates/gpu_vfio_pci.ko"
    dkms.tree.link(link, ko(dkms))
    make(dkms, sources(), version=None, level="absent")
    assert of_the_package(dkms) == []


def test_another_programs_module_of_that_name_stays(tmp_path: Path) -> None:
    dkms = two_kernels(tmp_path)
    other = f"/lib/modules/{DEBIAN_12}/extra/gpu_vfio_pci.ko"
    dkms.tree.file(other, module_file(DEBIAN_12, version="7.7"))
    make(dkms, sources(), kernels=(DEBIAN_13,))
    remove(dkms)
    assert of_the_package(dkms) == [other.lstrip("/")]


def test_the_folder_of_the_packages_own_configuration_counts_but_never_the_kernels_own(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    conf = 'DEST_MODULE_LOCATION[0]="/drivers/gpu"\nDEST_MODULE_LOCATION[1]=/kernel/drivers/gpu\nDEST_MODULE_LOCATION[2]="/../../etc"\n'
    tree.file("/usr/src/gpu-1.0/dkms.conf", conf).directory("/var/lib/dkms/gpu/1.0")
    here = f"/lib/modules/{DEBIAN_12}"
    for folder in ("drivers/gpu", "kernel/drivers/gpu"):
        tree.file(f"{here}/{folder}/gpu_vfio_pci.ko", module_file(DEBIAN_12, version="1.0"))
    assert module_files(tree.host(), DkmsPaths(), "gpu", DEBIAN_12, ["gpu_vfio_pci"]) == (f"{here}/drivers/gpu/gpu_vfio_pci.ko",)
