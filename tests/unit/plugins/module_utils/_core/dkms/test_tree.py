# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DKMS's tree as both of its present versions leave it, read without asking DKMS."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import DkmsCommand, PackageState
from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import PATH
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

HERE = "/var/lib/dkms/gpu"
BUILT = f"{HERE}/1.0/{DEBIAN_12}/x86_64"


def registered(root: Path) -> Tree:
    tree = Tree(root).kernel(DEBIAN_12).file("/usr/src/gpu-1.0/dkms.conf", "PACKAGE_NAME=gpu\nPACKAGE_VERSION=1.0\n")
    return tree.link(f"{HERE}/1.0/source", "/usr/src/gpu-1.0").directory(f"{HERE}/1.0/build")


def built(root: Path) -> Tree:
    return registered(root).file(f"{BUILT}/module/gpu.ko", b"new").file(f"{BUILT}/log/make.log")


def installed(root: Path, suffix: str = "") -> Tree:
    tree = built(root).link(f"{HERE}/kernel-{DEBIAN_12}-x86_64", f"1.0/{DEBIAN_12}/x86_64")
    place = f"updates/dkms/gpu.ko{suffix}"
    return tree.file(f"/lib/modules/{DEBIAN_12}/{place}", b"new").file(
        f"/lib/modules/{DEBIAN_12}/modules.dep", f"kernel/x.ko:\n{place}: a.ko\n"
    )


def state(tree: Tree) -> PackageState:
    return PackageState.read(tree.host(), DkmsPaths(), "gpu")


def test_a_package_that_is_nowhere_has_no_versions(tmp_path: Path) -> None:
    assert state(Tree(tmp_path)) == PackageState("gpu", {}, {})


def test_a_registered_package_has_sources_and_no_builds(tmp_path: Path) -> None:
    version = state(registered(tmp_path)).versions["1.0"]
    assert (version.registered, version.digest is not None, dict(version.builds)) == (True, True, {})


def test_sources_that_dkms_does_not_know_are_a_version_too(tmp_path: Path) -> None:
    version = state(Tree(tmp_path).file("/usr/src/gpu-2.0/dkms.conf", "PACKAGE_NAME=gpu\nPACKAGE_VERSION=2.0\n")).versions["2.0"]
    assert (version.registered, version.digest is not None) == (False, True)


def test_a_build_is_known_by_its_modules(tmp_path: Path) -> None:
    # DKMS 3.2 keeps Module.symvers beside them, 3.0 the kernel's configuration beside the log.
    tree = built(tmp_path).file(f"{BUILT}/module/Module.symvers").file(f"{BUILT}/log/.config")
    build = state(tree).versions["1.0"].builds[DEBIAN_12]
    assert (build.arch, dict(build.modules)) == ("x86_64", {"gpu": f"{BUILT}/module/gpu.ko"})


def test_a_build_that_was_cut_off_is_none(tmp_path: Path) -> None:
    tree = registered(tmp_path).directory(f"{BUILT}/module").file(f"{HERE}/1.0/{DEBIAN_13}/.tmp_x86_64_Xy/module/gpu.ko")
    assert dict(state(tree).versions["1.0"].builds) == {}


@pytest.mark.parametrize("suffix", ["", ".xz", ".zst"])
def test_an_installed_package_is_sound_when_the_kernel_would_load_what_dkms_built(tmp_path: Path, suffix: str) -> None:
    active = state(installed(tmp_path, suffix)).active[DEBIAN_12]
    assert (active.version, active.arch, active.sound) == ("1.0", "x86_64", True)
    assert active.modules == {"gpu": f"/lib/modules/{DEBIAN_12}/updates/dkms/gpu.ko{suffix}"}


@pytest.mark.parametrize("damage", ["other content", "file gone", "depmod does not know it", "build gone"])
def test_an_installed_package_is_not_sound_otherwise(tmp_path: Path, damage: str) -> None:
    tree = installed(tmp_path)
    modules = f"/lib/modules/{DEBIAN_12}"
    if damage == "other content":
        tree.file(f"{modules}/updates/dkms/gpu.ko", b"old")
    elif damage == "file gone":
        tree.host().remove(f"{modules}/updates/dkms/gpu.ko")
    elif damage == "depmod does not know it":
        tree.file(f"{modules}/modules.dep", "kernel/gpu_extra.ko:\n")
    else:
        tree.host().remove_tree(BUILT)
    assert not state(tree).active[DEBIAN_12].sound


def test_a_package_whose_name_begins_alike_is_another(tmp_path: Path) -> None:
    tree = registered(tmp_path).file("/usr/src/gpu-extra-2.0/dkms.conf", "PACKAGE_NAME=gpu-extra\nPACKAGE_VERSION=2.0\n")
    assert set(state(tree).versions) == {"1.0"}


def test_folders_that_are_no_versions_do_not_count(tmp_path: Path) -> None:
    tree = registered(tmp_path).directory(f"{HERE}/original_module/{DEBIAN_12}/x86_64").link(f"{HERE}/kernel-odd", "nowhere")
    assert (set(state(tree).versions), dict(state(tree).active)) == ({"1.0"}, {})


def test_dkms_own_configuration_says_where_its_trees_are(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/dkms/framework.conf", '# dkms_tree="/no"\ndkms_tree="/srv/dkms"\n')
    tree.file("/etc/dkms/framework.conf.d/50-site.conf", "source_tree=/srv/src\n").file(
        "/etc/dkms/framework.conf.d/README", "source_tree=/no\n"
    )
    assert DkmsPaths.read(tree.host()) == DkmsPaths("/srv/dkms", "/srv/src", "/lib/modules")


@pytest.mark.parametrize(("toolset", "path"), [("gcc-toolset-14", f"/opt/rh/gcc-toolset-14/root/usr/bin:{PATH}"), ("gcc-toolset-13", PATH)])
def test_a_build_finds_the_compiler_that_built_the_kernel_before_the_systems_older_one(tmp_path: Path, toolset: str, path: str) -> None:
    config = 'CONFIG_CC_VERSION_TEXT="gcc (GCC) 14.2.1"\nCONFIG_GCC_VERSION=140201\n'
    tree = registered(tmp_path).kernel(DEBIAN_12, headers=True).file("/usr/bin/gcc", mode=0o755)
    tree.file(f"/usr/src/linux-headers-{DEBIAN_12}/include/config/auto.conf", config).file(
        f"/opt/rh/{toolset}/root/usr/bin/gcc", mode=0o755
    )
    paths: list[str] = []

    def run(args: list[str], *, environ_update: dict[str, str] | None, **_how: bool | bytes | None) -> tuple[int, str, str]:
        if "dkms" in args:
            paths.append((environ_update or {})["PATH"])
        return 0, "11\n" if "gcc" in args else "", ""

    dkms = DkmsCommand(tree.host(run), DkmsPaths(), "gpu", "1.0")
    dkms.build(DEBIAN_12, "x86_64", 60)
    dkms.install(DEBIAN_12, "x86_64")
    assert paths == [path, PATH]
