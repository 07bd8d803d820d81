# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy's files: whose they are, and what they say of themselves."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileState
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import (
    Policy,
    PolicyPaths,
    absent,
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
def test_any_other_file_is_nobodys_policy(content: bytes) -> None:
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
