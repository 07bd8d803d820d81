# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies where a file should be is looked at before it is opened: it neither blocks, nor fills memory, nor goes unnamed."""

from __future__ import annotations

import os
import socket
import stat
import tracemalloc
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_FILE, LARGEST_TEXT, UnfitFileError
from ansible_collections.vfio.variants.tests.unit.trees import Tree

PATH = "/etc/modprobe.d/x.conf"


def fifo(place: Path) -> None:
    os.mkfifo(place)


def sparse(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 40)


def listening(place: Path) -> None:
    # A socket's path is limited to 107 bytes.
    here = os.open(place.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(f"/proc/self/fd/{here}/{place.name}")
    finally:
        os.close(here)


def device(place: Path) -> None:
    place.symlink_to("/dev/zero")


UNFIT: dict[str, tuple[t.Callable[[Path], None], str]] = {
    "fifo": (fifo, "it is a FIFO"),
    "socket": (listening, "it is a socket"),
    "directory": (Path.mkdir, "it is a directory"),
    "sparse file": (sparse, r"it has more than \d+ MiB"),
}


@pytest.mark.parametrize("what", UNFIT)
@pytest.mark.parametrize("read", [Host.read_text, Host.read_bytes, Host.text_or_none])
def test_what_is_not_a_file_of_a_usual_size_is_refused_by_its_name(
    tmp_path: Path, what: str, read: t.Callable[[Host, str], object]
) -> None:
    tree = Tree(tmp_path).directory("/etc/modprobe.d")
    make, sentence = UNFIT[what]
    make(tree.place(PATH))
    with pytest.raises(UnfitFileError, match=f"^{PATH} cannot be read: {sentence}\\.$"):
        read(tree.host(), PATH)


@pytest.mark.parametrize("what", ["fifo", "socket", "directory"])
def test_no_such_file_is_opened_to_read_it_in_pieces(tmp_path: Path, what: str) -> None:
    tree = Tree(tmp_path).directory("/etc/modprobe.d")
    make, sentence = UNFIT[what]
    make(tree.place(PATH))
    with pytest.raises(HostError, match=sentence), tree.host().open(PATH):
        pass


def test_a_device_node_is_not_opened(tmp_path: Path) -> None:
    place = tmp_path / "zero"
    place.symlink_to("/dev/zero")
    with pytest.raises(HostError, match=f"^{place} cannot be read: it is a device node\\.$"):
        Host().read_text(str(place))


def test_a_link_to_the_null_device_is_an_empty_file(tmp_path: Path) -> None:
    place = tmp_path / "masked"
    place.symlink_to("/dev/null")
    assert Host().read_text(str(place)) == ""


def test_files_of_the_kernel_are_read_whole_though_they_have_no_size() -> None:
    assert os.stat("/proc/self/maps").st_size == 0
    assert len(Host().read_text("/proc/kallsyms")) > 1 << 16


@pytest.mark.parametrize(
    ("limit", "read"), [(LARGEST_TEXT, Host.read_text), (LARGEST_TEXT, Host.read_bytes), (LARGEST_FILE, Host.read_large)]
)
def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_not(
    tmp_path: Path, limit: int, read: t.Callable[[Host, str], t.Sized]
) -> None:
    place = tmp_path / "x"
    place.touch()
    os.truncate(place, limit)
    assert len(read(Tree(tmp_path).host(), "/x")) == limit
    os.truncate(place, limit + 1)
    with pytest.raises(UnfitFileError):
        read(Tree(tmp_path).host(), "/x")


def test_attributes_of_another_root_are_files_or_are_not_there(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/sys/bus/vendor", "0x10de\n")
    fifo(tree.place("/sys/bus/device"))
    with tree.host().open_directory("/sys/bus") as folder:
        assert folder.attribute("vendor") == "0x10de"
        assert folder.attribute("device") is None


def test_the_null_device_has_the_number_that_is_taken_for_it() -> None:
    status = os.stat("/dev/null")
    assert stat.S_ISCHR(status.st_mode)
    assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (1, 3)


def test_a_large_file_is_in_memory_once(tmp_path: Path) -> None:
    size = 32 << 20
    tree = Tree(tmp_path).directory("/etc/modprobe.d")
    with tree.place(PATH).open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        assert len(tree.host().read_large(PATH)) == size
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size <= most < size * 5 // 4
