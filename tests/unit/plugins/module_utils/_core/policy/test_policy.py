# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy's files: whose they are, and what they say of themselves."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileState
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import (
    Policy,
    PolicyPaths,
    absent,
    check_name,
    header,
    modules_in,
    owner_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.texts import dracut, hook

RULES = PolicyPaths("gpus").rules


def test_a_file_with_our_header_names_its_policy() -> None:
    assert owner_of(("#!/bin/sh\n" + header("gpus")).encode()) == "gpus"


@pytest.mark.parametrize(
    "content", [b"", b"# by hand\n", b"\xff\xfe", b"x\n" * 400 + header("gpus").encode(), b"echo " + header("gpus").encode()]
)
def test_any_other_file_is_not_a_policy_of_ours(content: bytes) -> None:
    assert owner_of(content) is None


def test_the_modules_of_a_hook_and_of_dracuts_file_can_be_read_back() -> None:
    modules = {"vfio_pci", "nvlink2gpu_vfio_pci"}
    assert modules_in(hook("gpus", modules) or "") == ("nvlink2gpu_vfio_pci", "vfio_pci")
    assert modules_in(dracut("gpus", modules, ()) or "") == ("nvlink2gpu_vfio_pci", "vfio_pci")


def test_a_file_of_another_policy_is_refused_by_name() -> None:
    with pytest.raises(HostError, match="belongs to the policy nics"):
        absent("gpus").changes({RULES: FileState(header("nics").encode())})


def test_lost_permissions_and_a_changed_content_are_both_changes() -> None:
    policy = Policy("gpus", {RULES: header("gpus")}, frozenset())
    right = FileState(header("gpus").encode())

    def needed(state: FileState | None) -> list[str]:
        return [change.path for change in policy.changes({RULES: state}) if change.needed]

    assert needed(right) == []
    assert needed(FileState(right.content, 0o666)) == [RULES]
    assert needed(FileState(right.content + b"# edited\n")) == [RULES]
    assert needed(None) == [RULES]


def test_each_file_lies_where_its_program_looks_and_only_the_hook_can_be_run() -> None:
    paths = PolicyPaths("gpus")
    assert paths.all == (
        "/etc/modprobe.d/00-gpus.conf",
        "/etc/modprobe.d/gpus.conf",
        "/etc/udev/rules.d/70-gpus.rules",
        "/etc/modules-load.d/gpus.conf",
        "/etc/initramfs-tools/hooks/gpus",
        "/etc/dracut.conf.d/gpus.conf",
        "/etc/mkinitcpio.conf.d/zz-gpus.conf",
        "/etc/security/limits.d/zz-gpus.conf",
    )
    assert [paths.mode(path) for path in paths.all] == [0o644, 0o644, 0o644, 0o644, 0o755, 0o644, 0o644, 0o644]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/etc/modprobe.d/gpus.conf", "modprobe.d/gpus.conf"),
        ("/etc/udev/rules.d/70-gpus.rules", "udev/rules.d/70-gpus.rules"),
        ("/etc/modules-load.d/gpus.conf", "modules-load.d/gpus.conf"),
    ],
)
def test_a_file_in_etc_hides_its_namesakes_in_every_later_directory(path: str, hidden: str) -> None:
    """modprobe.d(5), udev(7) and modules-load.d(5) have the same directories."""
    assert set(PolicyPaths("gpus").hidden_by(path)) == {f"{parent}/{hidden}" for parent in ("/run", "/usr/local/lib", "/usr/lib", "/lib")}


@pytest.mark.parametrize("path", ["/etc/initramfs-tools/hooks/gpus", "/etc/dracut.conf.d/gpus.conf", "/etc/other.d/x"])
def test_others_hide_nothing(path: str) -> None:
    assert PolicyPaths("gpus").hidden_by(path) == ()


def test_a_policy_tells_what_each_of_its_files_holds_and_which_must_not_be_there() -> None:
    policy = Policy("gpus", {RULES: "text"}, frozenset(("b", "a")))
    told = policy.result()
    assert told["files"] == {path: (hashlib.sha256(b"text").hexdigest() if path == RULES else None) for path in policy.paths.all}
    assert told["modules"] == ["a", "b"]


def test_a_file_that_the_policy_does_not_have_is_removed_and_its_own_is_executable_where_it_has_to_be() -> None:
    hook_path = PolicyPaths("gpus").hook
    policy = Policy("gpus", {hook_path: header("gpus")}, frozenset())
    changes = {change.path: change for change in policy.changes({RULES: FileState(header("gpus").encode())})}
    assert changes[RULES].after is None
    assert changes[hook_path].after == FileState(header("gpus").encode(), 0o755)
    assert set(changes) == set(policy.paths.all)


@pytest.mark.parametrize("content", [b"by hand\n", header("nics").encode()])
def test_a_file_of_somebody_else_s_is_left_alone_even_where_nothing_is_to_be_there(content: bytes) -> None:
    with pytest.raises(HostError, match=r"^/etc/udev/rules.d/70-gpus.rules (was not written|belongs to|has not been written)"):
        absent("gpus").changes({RULES: FileState(content)})


def test_the_header_lies_within_the_first_400_bytes_or_does_not_count() -> None:
    line = b"# Managed by the vfio.variants collection (policy gpus)"
    before = b"x" * (399 - len(line)) + b"\n"
    assert owner_of(before + line) == "gpus"
    assert owner_of(b"x" + before + line) is None


def test_in_between_a_file_has_one_header_and_the_old_lines_before_the_new_ones() -> None:
    """The same header twice would be read as the file's, so it stays where readers look for it."""
    rules = {RULES: header("gpus") + "kept\nnew\n"}
    old = FileState((header("gpus") + "old\nkept\n").encode())
    written = [change.after.content.decode() for change in Policy("gpus", rules, frozenset()).steps({RULES: old}) if change.after]
    assert written == [header("gpus") + "old\nkept\nnew\n", header("gpus") + "kept\nnew\n"]


@pytest.mark.parametrize("name", ["a", "0", "gpu-1_x", "a" * 64])
def test_a_name_of_small_letters_digits_dashes_and_underscores_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "a.b", "a b", "a/b", "a" * 65, "a\n", "ä"])
def test_a_name_that_some_program_would_not_read_is_refused(name: str) -> None:
    with pytest.raises(HostError, match=r"^name: "):
        check_name(name)
