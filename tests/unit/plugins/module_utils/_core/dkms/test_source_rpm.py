# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel's source out of packages of sources that rpmbuild has made."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree, read_tree
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.rpm_file import RpmFile, files_of, read_rpm
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_rpm import _changed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import CHUNK
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import linux
from ansible_collections.vfio.variants.tests.unit.rpm_packages import DEVEL, DRIVER, FOLDER, SOURCES, VERSION, path_of
from ansible_collections.vfio.variants.tests.unit.trees import Tree

WITH_SOURCE = [kind for kind in SOURCES if kind != "ELRepo"]


def with_package(root: Path, content: bytes) -> Host:
    return Tree(root).file("/usr/src/kernel.src.rpm", content).host(Commands(root))


def tree_of(root: Path, content: bytes) -> LinuxTree:
    return read_tree(with_package(root, content), "/usr/src/kernel.src.rpm")


@pytest.mark.parametrize("kind", SOURCES)
def test_the_header_says_of_which_version_and_release_it_is(tmp_path: Path, kind: str) -> None:
    found = read_rpm(with_package(tmp_path, path_of(kind).read_bytes()), "/usr/src/kernel.src.rpm")
    assert (found.full_name, found.version, found.has_sources) == (SOURCES[kind].full_name, VERSION, True)


@pytest.mark.parametrize("kind", SOURCES)
def test_its_files_are_those_that_it_was_made_of_however_it_is_compressed(tmp_path: Path, kind: str) -> None:
    host = with_package(tmp_path, path_of(kind).read_bytes())
    with files_of(host, "/usr/src/kernel.src.rpm", read_rpm(host, "/usr/src/kernel.src.rpm")) as files:
        found = {name: content.read() for name, content in files}
    listed = {name for name in SOURCES[kind].files if kind != "ELRepo" or not name.endswith(".tar.xz")}
    assert found.keys() == listed | {"kernel.spec"}
    assert all(found[name] == SOURCES[kind].files[name] for name in listed)


@pytest.mark.parametrize("kind", WITH_SOURCE)
def test_the_drivers_are_those_of_the_archive_in_it(tmp_path: Path, kind: str) -> None:
    tree = tree_of(tmp_path, path_of(kind).read_bytes())
    wanted = {name: text.encode() for name, text in linux(VERSION).items() if name not in ("drivers/gpu/other.c", "kernel/fork.c")}
    assert tree.files == {name: text for name, text in wanted.items() if name != "drivers/vfio/pci/Makefile"}
    assert (tree.version, tree.package) == (VERSION, SOURCES[kind].full_name)
    assert LinuxTree.decoded(tree.encoded()) == tree


def test_files_of_the_drivers_that_a_patch_changes_are_named_and_no_others(tmp_path: Path) -> None:
    found = {kind: dict(tree_of(tmp_path / kind, path_of(kind).read_bytes()).patched) for kind in WITH_SOURCE}
    assert found.pop("Fedora") == {DRIVER: "patch-6.12-redhat.patch"}
    assert found.pop("SUSE") == {DRIVER: "patches.suse/acme-fix.patch"}
    assert set(map(str, found.values())) == {"{}"}


@pytest.mark.parametrize(
    "patch",
    [
        "--- a/{0}\n+++ b/{0}\t2026-01-01\n",
        "--- /dev/null\n+++ linux-6.12/{0}\n",
        "diff --git a/{0} b/drivers/other.c\nrename from {0}\n",
        "diff --git a/drivers/other.c b/{0}\nnew file mode 100644\n",
        "From: x\r\n--- a/{0}\r\n+++ b/{0}\r\n",
        "+++ b/{0}",
    ],
)
def test_a_patch_names_a_file_in_each_way_that_patch_knows(patch: str) -> None:
    assert set(_changed(io.BytesIO(patch.format(DRIVER).encode()))) == {DRIVER}


def test_a_name_that_is_cut_in_two_by_the_pieces_it_is_read_in_is_found() -> None:
    for cut in range(60):
        text = b" " * (CHUNK - cut) + f"\n--- a/{DRIVER}\n+++ b/{DRIVER}\n".encode() + b" x\n" * CHUNK
        assert list(_changed(io.BytesIO(text))) == [DRIVER, DRIVER]


def test_lines_that_a_patch_adds_or_removes_are_no_names() -> None:
    assert not list(_changed(io.BytesIO(f" --- a/{DRIVER}\n++++ b/{DRIVER}\n+diff --git a/{DRIVER} b/{DRIVER}\n".encode())))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (DEVEL, "is not a package of sources"),
        (path_of("ELRepo").name, "has no archive with the source of a kernel in it"),
    ],
)
def test_a_package_without_a_kernels_source_is_one_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(HostError, match=rf"^/usr/src/kernel\.src\.rpm {sentence}\."):
        tree_of(tmp_path, (FOLDER / name).read_bytes())


@pytest.mark.parametrize("kind", WITH_SOURCE)
def test_one_that_is_cut_off_anywhere_is_one_sentence(tmp_path: Path, kind: str) -> None:
    whole = path_of(kind).read_bytes()
    for size in [4, 95, 96, 100, 112, 500, 1000, *range(2000, len(whole) - 100, 509)]:
        with pytest.raises(HostError, match=r"^/usr/src/kernel\.src\.rpm cannot be (?:read|unpacked): "):
            tree_of(tmp_path, whole[:size])


@pytest.mark.parametrize(("at", "value"), [(96, b"\0"), (104, b"\xff\xff\xff\xff"), (108, b"\xff\xff\xff\xff")])
def test_a_damaged_header_is_one_sentence(tmp_path: Path, at: int, value: bytes) -> None:
    whole = path_of("RHEL").read_bytes()
    with pytest.raises(HostError, match="one of its headers is damaged"):
        tree_of(tmp_path, whole[:at] + value + whole[at + len(value) :])


def test_a_package_is_called_after_name_version_and_release() -> None:
    assert RpmFile("kernel", "6.12.0", "55.el10", True, 0).full_name == "kernel-6.12.0-55.el10"
