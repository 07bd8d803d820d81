# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lists and sends is laid out as it is there, is not sent twice, and does not stay where it is the host's own."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tree_archive import (
    FOLDER,
    MOUNTED,
    TreeEntry,
    TreeList,
    write_list,
    write_piece,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.report.secret_files import TOPS, choice, without_secrets
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0LWtleQ==\n-----END OPENSSH PRIVATE KEY-----\n"


def host(root: Path) -> Path:
    for path, text in {
        "etc/modprobe.d/gpu.conf": "blacklist nouveau\n",
        "etc/shadow": "root:$6$abcdefgh$planted-hash:1::::::\n",
        "etc/ssh/ssh_host_ed25519_key": KEY,
        "etc/app/id_without_a_telling_name": KEY,
        "etc/app/settings.conf": "password = planted-password\n",
        "etc/kubernetes/admin.conf": "planted-cluster\n",
        "etc/NetworkManager/system-connections/wifi": "psk=planted-wifi\n",
        "srv/.netrc": "planted-netrc\n",
        "srv/me/notes": "planted-notes\n",
        "usr/bin/passwd": "a program\n",
        "usr/local/sbin/bind": "#!/bin/sh\n",
        "opt/agent/token": "planted-token\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/local/sbin/bind").chmod(0o750)
    os.mkfifo(root / "etc/fifo")
    return root


def listed(root: Path, most: int = 1 << 30) -> TreeList:
    found = TreeList(str(root), choice((), ()), without_secrets, most)
    for top in TOPS:
        if top not in found.entries:
            found.add_tree(top)
    return found


def collected(root: Path, folder: Path) -> Collected:
    write_list(str(folder / "list"), listed(root), {"kernels": []})
    return Collected.read(folder / "list")


def sent(root: Path, folder: Path, entries: t.Iterable[TreeEntry]) -> Path:
    paths = [entry.path for entry in entries]
    assert write_piece(str(root), str(folder / "piece"), paths, without_secrets, 0, 1 << 30) == len(paths)
    return folder / "piece"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return host(tmp_path / "host")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore.of(Cache.at(str(tmp_path / "cache")), "host")


def test_planted_secrets_do_not_leave_the_host(root: Path, store: FileStore, tmp_path: Path) -> None:
    known = collected(root, tmp_path)
    store.take(sent(root, tmp_path, store.lacks(known.entries)))
    everything = b"".join(path.read_bytes() for path in store.folder.parent.rglob("*") if path.is_file())
    assert b"planted" not in everything
    assert b"c2VjcmV0LWtleQ" not in everything
    assert b"blacklist nouveau" in everything
    paths = {entry.path for entry in known.entries}
    assert {"/usr/bin/passwd", "/etc/modprobe.d/gpu.conf", "/usr/local/sbin/bind"} <= paths
    assert not paths & {"/etc/shadow", "/srv/.netrc", "/srv/me/notes", "/opt/agent/token", "/etc/fifo"}
    left = {one["path"] for one in known.facts["left_out"]}
    assert {"/etc/shadow", "/etc/kubernetes", "/opt/agent/token"} <= left


def test_what_was_sent_once_is_not_asked_for_again(root: Path, store: FileStore, tmp_path: Path) -> None:
    known = collected(root, tmp_path)
    store.take(sent(root, tmp_path, store.lacks(known.entries)))
    assert store.lacks(known.entries) == []
    (root / "etc/modprobe.d/gpu.conf").write_text("blacklist nvidia\n")
    assert [entry.path for entry in store.lacks(collected(root, tmp_path).entries)] == ["/etc/modprobe.d/gpu.conf"]


def test_the_tree_is_laid_out_with_modes_and_links(root: Path, store: FileStore, tmp_path: Path) -> None:
    known = collected(root, tmp_path)
    store.take(sent(root, tmp_path, store.lacks(known.entries)))
    tree = tmp_path / "tree"
    tree.mkdir()
    assert store.lay_out(known.entries, tree) == []
    assert (tree / "usr/local/sbin/bind").stat().st_mode & 0o777 == 0o750
    assert (tree / "bin").readlink() == Path("usr/bin")
    assert (tree / "bin/passwd").read_text() == "a program\n"


def test_a_hosts_own_files_do_not_stay(root: Path, store: FileStore, tmp_path: Path) -> None:
    known = collected(root, tmp_path)
    store.take(sent(root, tmp_path, store.lacks(known.entries)))
    store.forget()
    contents = {path.read_text() for path in store.folder.parent.rglob("*") if path.is_file()}
    assert contents == {"a program\n"}


def test_another_host_keeps_its_own_when_one_is_forgotten(root: Path, store: FileStore, tmp_path: Path) -> None:
    known = collected(root, tmp_path)
    piece = sent(root, tmp_path, store.lacks(known.entries))
    other = FileStore.of(Cache.at(str(tmp_path / "cache")), "other")
    store.take(piece)
    assert all(entry.path.startswith(("/etc/", "/usr/local/")) for entry in other.lacks(known.entries))
    other.take(piece)
    store.forget()
    assert other.lacks(known.entries) == []


def test_a_list_cannot_write_outside_of_the_tree(store: FileStore, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "outside").mkdir()
    store.place("/etc/passwd", "0" * 64).parent.mkdir()
    store.place("/etc/passwd", "0" * 64).write_text("content")
    link = TreeEntry("/etc", "link", 0o777, os.getuid(), os.getgid(), 0, str(tmp_path / "outside"))
    store.lay_out([link, TreeEntry("/etc/passwd", "file", 0o644, os.getuid(), os.getgid(), 7, "0" * 64)], tree)
    assert list((tmp_path / "outside").iterdir()) == []


def test_more_than_the_limit_is_refused(root: Path) -> None:
    with pytest.raises(HostError, match="size_limit"):
        listed(root, 10)


def test_a_list_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"no gzip")
    with pytest.raises(HostError, match=r"cannot be read"):
        Collected.read(tmp_path / "list")


def test_a_file_system_that_is_not_collected_is_named_and_one_that_is_collected_is_not(tmp_path: Path) -> None:
    entry = TreeEntry("/usr/local", FOLDER, 0o755, 0, 0, 0, "")
    left_out = [{"path": path, "why": MOUNTED} for path in ("/usr/local", "/opt/data")]
    secret = {"path": "/etc/shadow", "why": "it may hold secrets"}
    assert Collected((entry,), {"left_out": [*left_out, secret]}).not_mounted() == [f"/opt/data was not sent: {MOUNTED}"]
