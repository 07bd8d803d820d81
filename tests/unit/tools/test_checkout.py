# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from devtool.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A repository with a tracked, a new, an ignored and a deleted file, and a link."""
    root = tmp_path / "here"
    root.mkdir()
    for name in ("tracked", "deleted", "ignored", "new"):
        (root / name).write_text(name)
    (root / ".gitignore").write_text("ignored\n")
    (root / "link").symlink_to("tracked")
    for argv in (["init", "--quiet"], ["add", "tracked", "deleted", ".gitignore"]):
        subprocess.run(["git", *argv], cwd=root, check=True, timeout=60)
    (root / "deleted").unlink()
    return Checkout(root, tmp_path / "cache")


def test_git_knows_what_is_tracked_and_what_is_new(checkout: Checkout) -> None:
    assert checkout.files() == [".gitignore", "link", "new", "tracked"]


def test_the_tree_is_a_link_so_that_edits_take_effect_at_once(checkout: Checkout) -> None:
    checkout.link()
    checkout.link()
    (checkout.root / "tracked").write_text("edited")

    assert (checkout.tree / "ansible_collections/vfio/variants/tracked").read_text() == "edited"


def test_a_copy_is_a_real_folder_with_links_kept(checkout: Checkout) -> None:
    with checkout.copied("sanity") as copy:
        assert copy.resolve() == copy
        assert copy.parts[-3:] == ("ansible_collections", "vfio", "variants")
        assert sorted(path.name for path in copy.iterdir()) == [".gitignore", "link", "new", "tracked"]
        assert (copy / "link").is_symlink()


def test_a_copy_forgets_what_an_earlier_one_held(checkout: Checkout) -> None:
    with checkout.copied("sanity") as copy:
        (copy / "left-over").touch()
    with checkout.copied("sanity") as copy:
        assert not (copy / "left-over").exists()


def test_two_checkouts_do_not_share_a_place(tmp_path: Path) -> None:
    assert Checkout(tmp_path / "a", tmp_path).place != Checkout(tmp_path / "b", tmp_path).place
