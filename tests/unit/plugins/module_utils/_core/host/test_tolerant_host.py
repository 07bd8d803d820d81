# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tolerant_host import TolerantHost
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

FILE = "/etc/modprobe.d/gpu.conf"


def test_a_fifo_and_a_file_that_is_too_large_are_noted_and_read_as_empty(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(FILE).file("/etc/udev/rules.d/1.rules")
    tree.place(FILE).unlink()
    os.mkfifo(tree.place(FILE))
    os.truncate(tree.place("/etc/udev/rules.d/1.rules"), 1 << 30)
    host = TolerantHost.of(tree.host())
    assert (host.read_text(FILE), host.text_or_none(FILE), host.read_text("/etc/udev/rules.d/1.rules")) == ("", "", "")
    assert host.unread == {FILE: "it is a FIFO", "/etc/udev/rules.d/1.rules": "it has more than 8 MiB"}


def test_a_fifo_is_noted_as_soon_as_somebody_asks_what_it_is(tmp_path: Path) -> None:
    tree = Tree(tmp_path).directory("/etc/modprobe.d")
    os.mkfifo(tree.place(FILE))
    host = TolerantHost.of(tree.host())
    assert not host.is_file(FILE)
    assert host.unread == {FILE: "it is a FIFO"}


def test_an_error_of_the_disk_is_noted_with_the_words_of_the_system() -> None:
    # The kernel gives such an error to whoever reads a process's memory where there is none.
    host = TolerantHost.of(Host("/proc/self"))
    assert host.read_text("/mem") == ""
    assert host.head("/mem", 100) is None
    assert host.unread == {"/mem": "the system says 'Input/output error'"}


def test_what_only_reads_the_beginning_notes_a_file_that_goes_on(tmp_path: Path) -> None:
    host = TolerantHost.of(Tree(tmp_path).file(FILE, "x" * (64 << 10)).host())
    assert len(host.head(FILE, 64 << 10) or b"") == 64 << 10
    assert len(host.head(FILE, 1) or b"") == 1
    assert host.unread == {}
    assert len(host.head(FILE, 32 << 10) or b"") == 32 << 10
    assert host.unread == {FILE: "it has more than 32 KiB"}


def test_what_leads_nowhere_is_missing_for_everybody(tmp_path: Path) -> None:
    host = TolerantHost.of(Tree(tmp_path).link(FILE, FILE).link("/etc/gone", "/nowhere").link("/etc/null", "/dev/null").host())
    assert (host.is_file(FILE), host.read_text(FILE), host.names(FILE), host.text_or_none("/etc/gone")) == (False, "", (), None)
    assert host.unread == {}


def test_a_file_that_is_missing_is_an_error_as_on_every_host(tmp_path: Path) -> None:
    host = TolerantHost.of(Host(str(tmp_path)))
    with pytest.raises(HostError, match="No such file"):
        host.read_text(FILE)


def test_attributes_of_the_kernel_and_files_of_modules_fail_as_on_every_host(tmp_path: Path) -> None:
    tree = Tree(tmp_path).directory("/sys/a").directory("/lib/modules/1/b.ko.xz")
    host = TolerantHost.of(tree.host())
    for path in ("/sys/a", "/lib/modules/1/b.ko.xz"):
        with pytest.raises(HostError, match="a directory"):
            host.read_text(path)
    assert host.unread == {}


def test_it_is_made_once_and_reads_are_recorded_where_the_host_records_them(tmp_path: Path) -> None:
    host = Tree(tmp_path).file(FILE, "options vfio-pci ids=10de:1db1\n").host()
    with host.recorded() as log:
        tolerant = TolerantHost.of(host)
        tolerant.read_text(FILE)
    assert TolerantHost.of(tolerant) is tolerant
    assert any(path == FILE for _question, path, _answer in log.seen)
