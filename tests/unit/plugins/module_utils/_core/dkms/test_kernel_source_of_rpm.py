# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver of the kernel's own source on distributions with RPM: only out of the source of this very kernel, and as that is built."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import ACME, CONFIG, generated, linux
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms
from ansible_collections.vfio.variants.tests.unit.rpm_packages import DEVEL, DRIVER, FOLDER, SOURCES, VERSION, path_of
from ansible_collections.vfio.variants.tests.unit.trees import Tree

SUSE, AMAZON, FEDORA = "6.12.107-160000.6-default", "6.12.107-122.189.amzn2023.x86_64", "6.12.107-200.fc42.x86_64"


def kernel(dkms: ModelDkms, release: str) -> None:
    """An installed kernel with its headers, which on such distributions say nothing of a package."""
    dkms.tree.kernel(release, {}, headers=True)
    here = f"/usr/src/linux-headers-{release}/include"
    dkms.tree.file(f"{here}/config/auto.conf", CONFIG)
    for name, text in generated(VERSION).items():
        dkms.tree.file(f"{here}/generated/{name}", text)


def host_of(root: Path, system: str, *releases: str) -> ModelDkms:
    dkms = ModelDkms(Tree(root))
    dkms.tree.file("/etc/os-release", f"ID={system}\n")
    for release in releases:
        kernel(dkms, release)
    return dkms


def tree_in(dkms: ModelDkms, folder: str, **changed: str) -> None:
    for name, text in linux(VERSION).items():
        dkms.tree.file(f"{folder}/{name}", changed.get(Path(name).suffix[1:], text))


def run(dkms: ModelDkms, *places: str) -> t.Any:
    return steps.run(dkms.host, PackageRequest(source=KernelVariant("acme"), kernel_sources=places), check_mode=False).result()


def why_not(dkms: ModelDkms, *places: str) -> str:
    before = {path for path in dkms.tree.root.rglob("*") if "run" not in path.parts}
    with pytest.raises(HostError) as error:
        run(dkms, *places)
    assert {path for path in dkms.tree.root.rglob("*") if "run" not in path.parts} == before
    return str(error.value)


@pytest.mark.parametrize(("kind", "release"), [("Amazon", AMAZON), ("SUSE, patched elsewhere", SUSE)])
def test_it_is_built_out_of_the_package_of_sources_which_is_recorded(tmp_path: Path, kind: str, release: str) -> None:
    dkms = host_of(tmp_path, "suse" if "SUSE" in kind else "amzn", release)
    place = f"/usr/src/{path_of(kind).name}"
    dkms.tree.file(place, path_of(kind).read_bytes())
    result = run(dkms)
    assert result["kernels"][release]["modules"]["acme-vfio-pci"]["aliases"] == [ACME]
    assert {key: result["sources"][release][key] for key in ("from", "version", "package")} == {
        "from": place,
        "version": VERSION,
        "package": SOURCES[kind].full_name,
    }
    (built,) = dkms.tree.root.glob(f"usr/src/linux-vfio-acme-1/{release}/{DRIVER}")
    assert built.read_text() == linux(VERSION)[DRIVER]
    dkms.tree.place(place).unlink()
    assert not run(dkms)["changed"], "what a kernel was given stays without the package"


def test_it_is_built_out_of_the_folder_of_the_installed_package(tmp_path: Path) -> None:
    dkms = host_of(tmp_path, "opensuse-leap", SUSE)
    tree_in(dkms, "/usr/src/linux-6.12.107-160000.6")
    dkms.tree.link("/usr/src/linux", "linux-6.12.107-160000.6")
    assert run(dkms)["sources"][SUSE]["from"] == "/usr/src/linux"


def test_each_kernel_of_one_version_is_built_out_of_its_own_source(tmp_path: Path) -> None:
    other = SUSE.replace("160000.6", "160000.7")
    dkms = host_of(tmp_path, "opensuse-leap", SUSE, other)
    tree_in(dkms, "/usr/src/linux-6.12.107-160000.7")
    first = run(dkms)
    assert list(first["kernels"]) == [other]
    assert first["skipped_kernels"][SUSE] == (
        f"kernel {SUSE} was built from Linux 6.12.107, and its source is not on this host: "
        "install kernel-source = 6.12.107-160000.6, or set kernel_sources"
    )
    tree_in(dkms, "/usr/src/linux-6.12.107-160000.6")
    assert {release: found["from"] for release, found in run(dkms)["sources"].items()} == {
        SUSE: "/usr/src/linux-6.12.107-160000.6",
        other: "/usr/src/linux-6.12.107-160000.7",
    }


def test_a_package_that_patches_the_driver_is_not_built_from_and_the_patch_is_named(tmp_path: Path) -> None:
    dkms = host_of(tmp_path, "fedora", FEDORA)
    place = f"/usr/src/{path_of('Fedora').name}"
    dkms.tree.file(place, path_of("Fedora").read_bytes())
    assert f"{place} changes {DRIVER} by patch-6.12-redhat.patch before it is built: unpack it with `rpmbuild -bp`" in why_not(dkms)
    tree_in(dkms, f"/root/rpmbuild/BUILD/linux-{FEDORA}")
    assert run(dkms, f"/root/rpmbuild/BUILD/linux-{FEDORA}")["sources"][FEDORA]["version"] == VERSION


@pytest.mark.parametrize(
    "place", [f"/srv/{path_of('Amazon').name}", "/srv/linux-6.12.107-122.188.amzn2023", "/srv/linux-6.12.107-300.fc42.x86_64"]
)
def test_the_source_of_another_package_of_the_same_version_is_refused_and_both_are_named(tmp_path: Path, place: str) -> None:
    dkms = host_of(tmp_path, "fedora", FEDORA)
    if place.endswith(".rpm"):
        dkms.tree.file(place, path_of("Amazon").read_bytes())
    else:
        tree_in(dkms, place)
    stated = re.sub(r"^/srv/(?:linux|kernel6.12)-|\.src\.rpm$", "", place)
    assert f"kernel {FEDORA} was built from Linux 6.12.107, and {place} is of {stated}: set kernel_sources" in why_not(dkms, place)


def test_headers_alone_are_no_source_and_the_package_is_named(tmp_path: Path) -> None:
    dkms = host_of(tmp_path, "opensuse-leap", SUSE)
    for name, text in linux(VERSION).items():
        if not name.endswith(".c"):
            dkms.tree.file(f"/usr/src/linux-6.12.107-160000.6/{name}", text)
    said = why_not(dkms)
    assert "/usr/src/linux-6.12.107-160000.6 has the headers of the source alone: install kernel-source = 6.12.107-160000.6" in said


def test_without_a_source_the_command_that_brings_it_is_named(tmp_path: Path) -> None:
    said = why_not(host_of(tmp_path, "fedora", FEDORA))
    assert f"its source is not on this host: run `dnf download --source kernel-{FEDORA}` in /usr/src, or set kernel_sources" in said


def test_a_package_of_headers_that_was_named_is_one_sentence(tmp_path: Path) -> None:
    dkms = host_of(tmp_path, "fedora", FEDORA)
    dkms.tree.file(f"/srv/{DEVEL}", (FOLDER / DEVEL).read_bytes())
    assert f"/srv/{DEVEL} is not a package of sources." in why_not(dkms, f"/srv/{DEVEL}")
