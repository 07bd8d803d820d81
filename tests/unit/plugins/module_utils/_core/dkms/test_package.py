# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DKMS package from request to module tree, with every way in which it can go wrong."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import PackageSource, WantedPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT

KO = "updates/dkms/gpu_vfio_pci.ko"
EXPECTED = (ExpectedModule("gpu_vfio_pci", (V100_VARIANT,)),)


def sources(version: str = "1.0", code: str = V100_VARIANT, conf: str = "") -> PackageSource:
    """A package `gpu` with one module whose code is its list of aliases."""
    text = (
        f'PACKAGE_NAME="gpu"\nPACKAGE_VERSION="{version}"\nBUILT_MODULE_NAME[0]="gpu_vfio_pci"\nDEST_MODULE_LOCATION[0]="/updates"\n{conf}'
    )
    files = (SourceFile("dkms.conf", False, text.encode()), SourceFile("gpu_vfio_pci.c", False, code.encode()))
    return PackageSource(DkmsConf(text, "gpu/dkms.conf"), digest(files), EXPECTED, lambda: files)


@pytest.fixture(name="dkms")
def host_with_dkms(tmp_path: Path) -> ModelDkms:
    return two_kernels(tmp_path / "root")


def wanted(source: PackageSource | None, **fields: t.Any) -> WantedPackage:
    version = source.conf.version if source is not None else None
    return WantedPackage(**{"name": "gpu", "version": version, "source": source, **fields})


def make(dkms: ModelDkms, source: PackageSource | None, **fields: t.Any) -> dict[str, t.Any]:
    package = DkmsPackage(dkms.host, wanted(source, **fields))
    if not package.plan.changed:
        return package.report().result()
    package.check()
    return package.apply().result()


def remove(dkms: ModelDkms, **fields: t.Any) -> dict[str, t.Any]:
    return make(dkms, None, level="absent", **fields)


def everything(dkms: ModelDkms) -> dict[str, bytes | str]:
    """Each file and link below the root, with content or target."""
    root = dkms.tree.root
    found = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    return {str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_bytes() for path in found}


def installed(dkms: ModelDkms, release: str) -> bytes:
    return dkms.tree.place(f"/lib/modules/{release}/{KO}").read_bytes()


def test_a_new_package_is_installed_for_every_kernel(dkms: ModelDkms) -> None:
    result = make(dkms, sources())
    assert result["changed"]
    assert {release: kernel["state"] for release, kernel in result["kernels"].items()} == dict.fromkeys((DEBIAN_12, DEBIAN_13), "installed")
    assert result["modules"] == [{"name": "gpu_vfio_pci", "aliases": [V100_VARIANT], "kernels": [DEBIAN_12, DEBIAN_13]}]
    assert result["kernels"][DEBIAN_13]["modules"]["gpu_vfio_pci"]["path"] == f"/lib/modules/{DEBIAN_13}/{KO}"


def test_a_second_run_calls_nothing_and_writes_nothing(dkms: ModelDkms) -> None:
    make(dkms, sources())
    before, calls = everything(dkms), len(dkms.calls)
    result = make(dkms, sources())
    assert (result["changed"], everything(dkms), len(dkms.calls)) == (False, before, calls)
    assert result["kernels"][DEBIAN_12]["modules"]["gpu_vfio_pci"]["aliases"] == [V100_VARIANT]


def test_a_loaded_module_of_other_sources_is_named_until_it_is_the_installed_one(dkms: ModelDkms) -> None:
    make(dkms, sources())
    path = dkms.tree.place(f"/lib/modules/{DEBIAN_12}/{KO}")
    path.write_bytes(module_file(DEBIAN_12, [V100_VARIANT], srcversion="B"))
    dkms.tree.place(f"/var/lib/dkms/gpu/1.0/{DEBIAN_12}/x86_64/module/gpu_vfio_pci.ko").write_bytes(path.read_bytes())
    assert make(dkms, sources())["old_in_use"] == []
    dkms.tree.file("/sys/module/gpu_vfio_pci/srcversion", "A\n")
    result = make(dkms, sources())
    assert (result["changed"], result["old_in_use"]) == (False, ["gpu_vfio_pci"])
    assert "the installed one is used once the module is loaded again" in result["warnings"][0]
    dkms.tree.file("/sys/module/gpu_vfio_pci/srcversion", "B\n")
    assert "warnings" not in make(dkms, sources())


def test_depmod_runs_once_for_each_kernel(dkms: ModelDkms) -> None:
    make(dkms, sources())
    make(dkms, sources(code=f"{V100_VARIANT}\nmore"))
    assert dkms.calls.count("depmod") == 4


def test_changed_sources_of_the_same_version_replace_the_old_ones(dkms: ModelDkms) -> None:
    make(dkms, sources())
    old = installed(dkms, DEBIAN_12)
    result = make(dkms, sources(code=f"{V100_VARIANT}\nmore"))
    assert result["changed"]
    assert installed(dkms, DEBIAN_12) != old
    assert not make(dkms, sources(code=f"{V100_VARIANT}\nmore"))["changed"]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_sources_that_do_not_build_leave_the_host_as_it_was(dkms: ModelDkms, version: str) -> None:
    make(dkms, sources())
    before = everything(dkms)
    with pytest.raises(HostError, match=r"gpu .* cannot be built for kernel .*: gpu_vfio_pci\.c:1: error") as error:
        make(dkms, sources(version, code="#error"))
    assert "error: #error" in error.value.facts["log"]
    assert everything(dkms) == before
    assert not make(dkms, sources())["changed"]


def test_a_module_that_lacks_an_expected_alias_does_not_replace_the_old_one(dkms: ModelDkms) -> None:
    make(dkms, sources())
    before = everything(dkms)
    with pytest.raises(HostError, match="lacks the alias"):
        make(dkms, sources(code="vfio_pci:v00001234d*sv*sd*bc*sc*i*"))
    assert everything(dkms) == before


@pytest.mark.parametrize("step", ["dkms uninstall", "dkms add", "dkms install", "depmod"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_step_that_fails_is_undone_with_all_before_it(dkms: ModelDkms, step: str, version: str) -> None:
    make(dkms, sources())
    before = everything(dkms)
    dkms.failing.append(step)
    with pytest.raises(HostError, match="meant to fail"):
        make(dkms, sources(version, code=f"{V100_VARIANT}\nmore"))
    assert everything(dkms) == before
    assert make(dkms, sources(version, code=f"{V100_VARIANT}\nmore"))["changed"]


def test_what_could_not_be_undone_is_reported(dkms: ModelDkms) -> None:
    make(dkms, sources())
    package = DkmsPackage(dkms.host, wanted(sources(code=f"{V100_VARIANT}\nmore")))
    package.build(package.plan.builds)
    dkms.failing += ["dkms add", "dkms install"]
    with pytest.raises(HostError, match="dkms add: it is meant to fail") as error:
        package.apply()
    assert "Not everything could be undone: `dkms install" in (error.value.hint or "")


def test_an_older_version_is_replaced(dkms: ModelDkms) -> None:
    make(dkms, sources("1.0"))
    result = make(dkms, sources("2.0"))
    assert result["replaced"] == ["1.0"]
    assert not dkms.tree.place("/usr/src/gpu-1.0").exists()
    assert not dkms.tree.place("/var/lib/dkms/gpu/1.0").exists()


def test_an_older_version_that_shall_stay_is_built_but_not_installed(dkms: ModelDkms) -> None:
    make(dkms, sources("1.0"))
    result = make(dkms, sources("2.0"), keep_versions=True)
    assert result["replaced"] == []
    assert dkms.tree.place(f"/var/lib/dkms/gpu/1.0/{DEBIAN_12}/x86_64/module/gpu_vfio_pci.ko").exists()
    assert os.readlink(dkms.tree.place(f"/var/lib/dkms/gpu/kernel-{DEBIAN_12}-x86_64")).startswith("2.0/")
    assert not make(dkms, sources("2.0"), keep_versions=True)["changed"]


def test_a_kernel_that_was_not_named_follows_when_its_sources_go(dkms: ModelDkms) -> None:
    make(dkms, sources())
    result = make(dkms, sources("2.0"), kernels=(DEBIAN_13,))
    assert set(result["kernels"]) == {DEBIAN_12, DEBIAN_13}


def test_built_means_not_installed(dkms: ModelDkms) -> None:
    result = make(dkms, sources(), level="built", kernels=("running",))
    assert result["kernels"][DEBIAN_12]["state"] == "built"
    assert not dkms.tree.place(f"/lib/modules/{DEBIAN_12}/{KO}").exists()
    assert not make(dkms, sources(), level="built", kernels=("running",))["changed"]
    assert make(dkms, sources(), kernels=("running",))["kernels"][DEBIAN_12]["state"] == "installed"


def test_an_installed_file_that_somebody_replaced_is_put_back(dkms: ModelDkms) -> None:
    make(dkms, sources())
    good = installed(dkms, DEBIAN_12)
    dkms.tree.file(f"/lib/modules/{DEBIAN_12}/{KO}", b"junk")
    assert make(dkms, sources())["changed"]
    assert installed(dkms, DEBIAN_12) == good
    assert dkms.calls.count("dkms build") == 2, "what DKMS has built already is not built again"


def test_another_module_of_that_name_which_the_kernel_would_load_is_an_error(dkms: ModelDkms) -> None:
    # The search order of depmod, /etc/depmod.d, can put another folder before DKMS's.
    dkms.archives = False
    dkms.tree.file(f"/lib/modules/{DEBIAN_12}/weak-updates/gpu_vfio_pci.ko", b"old")
    before = everything(dkms)
    with pytest.raises(HostError, match="is not the module gpu_vfio_pci that DKMS built"):
        make(dkms, sources(), kernels=("running",))
    after = everything(dkms)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= {
        f"lib/modules/{DEBIAN_12}/modules.dep",
        f"lib/modules/{DEBIAN_12}/modules.alias",
    }


def test_what_the_prediction_says_is_what_comes(dkms: ModelDkms) -> None:
    make(dkms, sources("1.0"), kernels=(DEBIAN_12,))
    before = everything(dkms)
    predicted = DkmsPackage(dkms.host, wanted(sources("2.0"))).prediction().result()
    assert everything(dkms) == before
    assert predicted["modules"][0].pop("new_for") == [DEBIAN_12, DEBIAN_13]
    real = make(dkms, sources("2.0"))
    for key in ("changed", "modules", "replaced", "skipped_kernels", "diff", "version"):
        assert predicted[key] == real[key], key
    assert {release: kernel["state"] for release, kernel in predicted["kernels"].items()} == {
        release: kernel["state"] for release, kernel in real["kernels"].items()
    }
    assert DkmsPackage(dkms.host, wanted(sources("2.0"))).prediction().result()["diff"]["before"] == real["diff"]["after"]


def test_absence_leaves_nothing_of_the_package_and_all_of_the_others(dkms: ModelDkms) -> None:
    dkms.host.run(["depmod", "-a", DEBIAN_12], 1)
    dkms.host.run(["depmod", "-a", DEBIAN_13], 1)
    dkms.tree.file("/usr/src/gpu-extra-1.0/dkms.conf", "PACKAGE_NAME=gpu-extra\nPACKAGE_VERSION=1.0\n")
    before = everything(dkms)
    make(dkms, sources("1.0"))
    make(dkms, sources("2.0"), keep_versions=True)
    result = remove(dkms)
    assert (result["changed"], sorted(result["removed"])) == (True, ["1.0", "2.0"])
    assert everything(dkms) == before
    assert not remove(dkms)["changed"]


def test_one_version_can_be_removed(dkms: ModelDkms) -> None:
    make(dkms, sources("1.0"))
    make(dkms, sources("2.0"), keep_versions=True)
    assert remove(dkms, version="1.0")["removed"] == ["1.0"]
    assert not make(dkms, sources("2.0"), keep_versions=True)["changed"]


def test_a_removal_that_fails_is_undone(dkms: ModelDkms) -> None:
    make(dkms, sources())
    before = everything(dkms)
    dkms.failing.append("depmod")
    with pytest.raises(HostError, match="meant to fail"):
        remove(dkms)
    assert everything(dkms) == before


def test_a_package_whose_sources_vanished_is_removed(dkms: ModelDkms) -> None:
    make(dkms, sources())
    dkms.host.remove_tree("/usr/src/gpu-1.0")
    remove(dkms)
    assert not [path for path in everything(dkms) if "gpu" in path]


def test_a_package_whose_sources_vanished_is_replaced(dkms: ModelDkms) -> None:
    make(dkms, sources())
    dkms.host.remove_tree("/usr/src/gpu-1.0")
    assert make(dkms, sources())["changed"]
    assert not make(dkms, sources())["changed"]


def test_a_package_that_dkms_forgot_is_made_known_again(dkms: ModelDkms) -> None:
    make(dkms, sources())
    dkms.host.remove_tree("/var/lib/dkms/gpu")
    assert make(dkms, sources())["changed"]
    assert not make(dkms, sources())["changed"]


@pytest.mark.parametrize("archives", [True, False])
@pytest.mark.parametrize("mended", [True, False])
def test_a_file_that_dkms_does_not_recognise_does_not_outlive_the_package(dkms: ModelDkms, archives: bool, mended: bool) -> None:
    dkms.archives = archives
    make(dkms, sources())
    dkms.tree.file(f"/lib/modules/{DEBIAN_12}/{KO}", b"junk")
    if mended:
        make(dkms, sources())
    remove(dkms)
    assert not [path for path in everything(dkms) if "gpu" in path]
    assert not remove(dkms)["changed"]


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz", ".zst"])
def test_a_file_that_dkms_forgot_is_not_archived_by_the_next_installation(dkms: ModelDkms, suffix: str) -> None:
    dkms.tree.file(f"/lib/modules/{DEBIAN_12}/{KO}{suffix}", b"junk")
    make(dkms, sources())
    assert not [path for path in everything(dkms) if "original_module" in path]
    remove(dkms)
    assert not [path for path in everything(dkms) if "gpu" in path]


def test_a_file_that_dkms_archived_on_its_own_does_not_come_back(dkms: ModelDkms) -> None:
    dkms.tree.file(f"/lib/modules/{DEBIAN_12}/{KO}", b"junk")
    dkms.tree.file("/usr/src/gpu-1.0/dkms.conf", sources().conf.text).file("/usr/src/gpu-1.0/gpu_vfio_pci.c", V100_VARIANT)
    trees = ["--dkmstree", "/var/lib/dkms", "--sourcetree", "/usr/src", "--installtree", "/lib/modules"]
    for action in ("add", "build", "install"):
        dkms.host.run(["dkms", action, "-m", "gpu", "-v", "1.0", "-k", DEBIAN_12, *trees], 1)
    assert [path for path in everything(dkms) if "original_module" in path]
    remove(dkms)
    assert not [path for path in everything(dkms) if "gpu" in path]


def test_a_module_of_the_kernel_itself_comes_back(dkms: ModelDkms) -> None:
    own = f"lib/modules/{DEBIAN_12}/kernel/drivers/gpu_vfio_pci.ko"
    dkms.tree.file(f"/{own}", b"own")
    make(dkms, sources())
    assert own not in everything(dkms)
    remove(dkms)
    assert everything(dkms)[own] == b"own"


@pytest.mark.parametrize("step", ["dkms uninstall", "depmod"])
def test_a_file_that_was_moved_away_is_put_back_when_a_step_fails(dkms: ModelDkms, step: str) -> None:
    make(dkms, sources())
    dkms.tree.file(f"/lib/modules/{DEBIAN_12}/{KO}", b"junk")
    dkms.host.run(["depmod", "-a", DEBIAN_12], 1)
    before = everything(dkms)
    for change in (remove, lambda host: make(host, sources("2.0"))):
        dkms.failing.append(step)
        with pytest.raises(HostError, match="meant to fail"):
            change(dkms)
        assert everything(dkms) == before


def test_absence_removes_the_modules_of_a_package_that_dkms_forgot(dkms: ModelDkms) -> None:
    make(dkms, sources())
    files = [f"/lib/modules/{release}/{KO}" for release in (DEBIAN_12, DEBIAN_13)]
    for folder in ("/var/lib/dkms/gpu", "/usr/src/gpu-1.0", "/usr/sbin/dkms"):
        dkms.host.remove_tree(folder) if dkms.host.is_dir(folder) else dkms.host.remove(folder)
    before = everything(dkms)
    absent = wanted(sources(), version=None, level="absent")
    predicted = DkmsPackage(dkms.host, absent).prediction().result()
    assert everything(dkms) == before
    package = DkmsPackage(dkms.host, absent)
    package.check()
    result = package.apply().result()
    assert (result["changed"], result["removed"], result["removed_files"]) == (True, [], files)
    assert {key: predicted[key] for key in ("changed", "removed_files", "diff")} == {
        key: result[key] for key in ("changed", "removed_files", "diff")
    }
    assert not [path for path in everything(dkms) if "gpu" in path]
    assert V100_VARIANT not in dkms.tree.place(f"/lib/modules/{DEBIAN_12}/modules.alias").read_text()
    assert not DkmsPackage(dkms.host, absent).plan.changed


def test_absence_leaves_files_that_are_not_known_to_be_the_packages(dkms: ModelDkms) -> None:
    folder = f"/lib/modules/{DEBIAN_12}/updates/dkms"
    other = module_file(DEBIAN_12, version="0.9")
    dkms.tree.file(f"{folder}/gpu_vfio_pci.ko", other).file(f"{folder}/gpu_extra.ko", module_file(DEBIAN_12, version="1.0"))
    before = everything(dkms)
    result = make(dkms, sources(), version=None, level="absent")
    assert (result["changed"], result["removed_files"], everything(dkms)) == (False, [], before)


def test_absence_leaves_the_module_that_another_package_of_dkms_has_installed(dkms: ModelDkms) -> None:
    content = module_file(DEBIAN_12, version="1.0")
    dkms.tree.file(f"/lib/modules/{DEBIAN_12}/{KO}", content)
    dkms.tree.file(f"/var/lib/dkms/rival/1.0/{DEBIAN_12}/x86_64/module/gpu_vfio_pci.ko", content)
    dkms.tree.link(f"/var/lib/dkms/rival/kernel-{DEBIAN_12}-x86_64", f"1.0/{DEBIAN_12}/x86_64")
    assert not make(dkms, sources(), version=None, level="absent")["changed"]
    make(dkms, sources("2.0"), kernels=(DEBIAN_12,))
    remove(dkms)
    assert installed(dkms, DEBIAN_12) == content


def test_absence_removes_what_is_installed_though_dkms_lost_the_build(dkms: ModelDkms) -> None:
    make(dkms, sources())
    dkms.host.remove_tree(f"/var/lib/dkms/gpu/1.0/{DEBIAN_12}")
    before = everything(dkms)
    dkms.failing.append("depmod")
    with pytest.raises(HostError, match="meant to fail"):
        remove(dkms)
    assert everything(dkms) == before
    remove(dkms)
    assert not [path for path in everything(dkms) if "gpu" in path]


def test_a_kernel_that_the_package_is_not_meant_for_is_skipped_with_the_reason(dkms: ModelDkms) -> None:
    dkms.tree.file(f"/usr/src/linux-headers-{DEBIAN_13}/include/config/auto.conf", "CONFIG_SMP=y\nCONFIG_CC_VERSION_TEXT=gcc 12\n")
    result = make(dkms, sources(conf='BUILD_EXCLUSIVE_CONFIG="CONFIG_VFIO_PCI_CORE"\n'))
    assert result["skipped_kernels"] == {DEBIAN_13: "the kernel is built without CONFIG_VFIO_PCI_CORE"}
    assert set(result["kernels"]) == {DEBIAN_12}


@pytest.mark.parametrize("kernels", [(DEBIAN_13,), ("running", DEBIAN_13)])
def test_a_named_kernel_that_the_package_is_not_meant_for_is_an_error(dkms: ModelDkms, kernels: tuple[str, ...]) -> None:
    with pytest.raises(HostError, match=rf"not for kernel {DEBIAN_13.replace('+', '.')}"):
        make(dkms, sources(conf='BUILD_EXCLUSIVE_KERNEL="^6\\.1\\."\n'), kernels=kernels)


def test_a_package_that_no_kernel_can_have_is_an_error(dkms: ModelDkms) -> None:
    with pytest.raises(HostError, match="not for kernel"):
        make(dkms, sources(conf='BUILD_EXCLUSIVE_ARCH="ppc64le"\n'))


@pytest.mark.parametrize("code", [9, 77])
def test_a_kernel_that_only_dkms_knows_to_exclude_is_an_error_when_no_other_is_left(dkms: ModelDkms, code: int) -> None:
    """do_build(): `die 9` up to DKMS 3.0.10 (Debian 11, Ubuntu 20.04 and 22.04), `die 77` since, and in Debian's 3.0.10."""
    dkms.refuses_with = code
    before = everything(dkms)
    with pytest.raises(HostError, match=r"its dkms\.conf says"):
        make(dkms, sources(conf='DKMS_SAYS_NO="$(true)"\n'))
    assert {path: content for path, content in everything(dkms).items() if ".vfio" not in path} == before


def test_headers_that_are_missing_are_named_with_their_package_before_anything_is_written(dkms: ModelDkms) -> None:
    dkms.tree.file("/etc/os-release", "ID=debian\n")
    dkms.host.remove_tree(f"/usr/src/linux-headers-{DEBIAN_13}")
    before = everything(dkms)
    with pytest.raises(HostError, match="lacks the headers") as error:
        make(dkms, sources())
    assert error.value.facts["missing_packages"] == [f"linux-headers-{DEBIAN_13}"]
    assert everything(dkms) == before


def test_headers_whose_package_is_not_known_are_described(dkms: ModelDkms) -> None:
    dkms.tree.file("/etc/os-release", "ID=unheardof\n")
    dkms.host.remove_tree(f"/usr/src/linux-headers-{DEBIAN_13}")
    with pytest.raises(HostError, match="lacks the headers") as error:
        make(dkms, sources())
    assert error.value.facts["missing_packages"] == []
    assert error.value.hint is not None
    assert error.value.hint.startswith(
        f"Install the package that brings /lib/modules/{DEBIAN_13}/build, whose name on this distribution is not known"
    )


def test_a_package_with_its_version_is_one_of_those_that_are_missing(dkms: ModelDkms) -> None:
    dkms.tree.file("/etc/os-release", 'ID="sles"\nID_LIKE="suse"\n')
    dkms.host.remove_tree(f"/usr/src/linux-headers-{DEBIAN_13}")
    with pytest.raises(HostError, match="lacks the headers") as error:
        make(dkms, sources())
    assert error.value.facts["missing_packages"] == ["kernel-amd64-devel = 6.12.107+deb13"]


def test_a_kernel_without_headers_that_was_not_asked_for_does_not_matter(dkms: ModelDkms) -> None:
    dkms.host.remove_tree(f"/usr/src/linux-headers-{DEBIAN_13}")
    assert make(dkms, sources(), kernels=("running",))["changed"]


def test_sources_that_the_host_has_are_built_without_new_ones(dkms: ModelDkms) -> None:
    make(dkms, sources(), kernels=("running",))
    result = make(dkms, None, version="1.0", expected=EXPECTED)
    assert set(result["kernels"]) == {DEBIAN_12, DEBIAN_13}
    with pytest.raises(HostError, match=r"no sources of gpu 3\.0; it has 1\.0"):
        make(dkms, None, version="3.0")


def test_leftovers_of_a_killed_run_are_cleared(dkms: ModelDkms) -> None:
    package = DkmsPackage(dkms.host, wanted(sources("0.9")))
    package.build(package.plan.builds)
    make(dkms, sources())
    assert not [path for path in everything(dkms) if ".vfio-variants" in path]


def test_a_build_that_was_made_in_the_same_run_is_not_made_again(dkms: ModelDkms) -> None:
    for release in (DEBIAN_12, DEBIAN_13):
        DkmsPackage(dkms.host, wanted(sources())).build([release])
    make(dkms, sources())
    assert dkms.calls.count("dkms build") == 2


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("records", [True, False])
def test_after_a_removal_that_was_killed_depmod_runs(dkms: ModelDkms, again: bool, records: bool) -> None:
    make(dkms, sources())
    for release in (DEBIAN_12, DEBIAN_13):
        dkms.tree.place(f"/lib/modules/{release}/{KO}").unlink()
    if not records:
        shutil.rmtree(dkms.tree.place("/var/lib/dkms/gpu"))
        shutil.rmtree(dkms.tree.place("/usr/src/gpu-1.0"))
    aliases = dkms.tree.place(f"/lib/modules/{DEBIAN_13}/modules.alias")
    assert "gpu_vfio_pci" in aliases.read_text()
    fields = {} if again else {"level": "absent"}
    assert make(dkms, sources(), **fields)["changed"]
    assert ("gpu_vfio_pci" in aliases.read_text()) == again
    assert not make(dkms, sources(), **fields)["changed"]


def test_depmod_runs_although_nothing_says_which_package_had_the_module(dkms: ModelDkms) -> None:
    make(dkms, sources())
    dkms.tree.place(f"/lib/modules/{DEBIAN_13}/{KO}").unlink()
    shutil.rmtree(dkms.tree.place("/var/lib/dkms/gpu"))
    shutil.rmtree(dkms.tree.place("/usr/src/gpu-1.0"))
    result = make(dkms, None, name="other", level="absent")
    assert result["changed"]
    assert result["diff"]["before"] == f"depmod's files of kernel {DEBIAN_13}: name a module that is gone\n"
    assert "gpu_vfio_pci" not in dkms.tree.place(f"/lib/modules/{DEBIAN_13}/modules.dep").read_text()
    assert "gpu_vfio_pci" in dkms.tree.place(f"/lib/modules/{DEBIAN_12}/modules.dep").read_text()
