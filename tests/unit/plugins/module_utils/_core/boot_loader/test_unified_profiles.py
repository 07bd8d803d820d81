# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unified images systemd-boot shows, the profile that boots, and the folder of an image's own addons.

(systemd: boot_entry_add_type2() in src/boot/boot.c, pe_locate_profile_sections() in src/boot/pe.c, remove_boot_count() in src/boot/util.c)
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import bls_entry, bzimage, efi_variable, unified_image
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

A, B = "6.1.1", "6.2.2"
Sections = t.Sequence[tuple[str, bytes]]
DEBIAN = b"ID=debian\nVERSION_ID=13\nPRETTY_NAME='Debian 13'\n"


def image(release: str, system: bytes = DEBIAN, profiles: Sections = ()) -> bytes:
    own = [(".osrel", system)] if system else []
    base = [*own, (".cmdline", b"ro own"), (".uname", release.encode()), (".linux", bzimage(release)), (".initrd", b"070701")]
    return unified_image([*base, *profiles])


def host(root: Path, images: t.Mapping[str, bytes], version: str = "257.9", conf: str = "timeout 3\n") -> Tree:
    """With an entry of the older kernel that has no sort key, so that it comes behind all images of a system."""
    tree = efi_variable(Tree(root).running(A), "LoaderInfo", f"systemd-boot {version}").file("/efi/loader/loader.conf", conf)
    for name, content in images.items():
        tree.file(f"/efi/EFI/Linux/{name}", content)
    return bls_entry(tree, "old", A, "ro", "/efi")


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


SHOWN: dict[str, tuple[dict[str, bytes], str]] = {
    "an image of a system": ({"a.efi": image(B)}, B),
    "one that does not say of which": ({"a.efi": image(B, b"")}, A),
    "one of a system without a name": ({"a.efi": image(B, b"VERSION_ID=13\n")}, A),
    "one whose name the loader keeps for itself": ({"auto-a.efi": image(B)}, A),
    "one that is hidden": ({".a.efi": image(B)}, A),
    "by name": ({"linux.efi": image(B), "linux-lts.efi": image(A)}, B),
    "by the image's own ID": ({"b.efi": image(A, b"ID=b\n"), "a.efi": image(B, b"ID=z\nIMAGE_ID=a\n")}, B),
    "by version": ({"b.efi": image(A, b"ID=b\nVERSION_ID=1\n"), "a.efi": image(B, b"ID=b\nVERSION=2\n")}, B),
    "one that failed last": ({"z+0-3.efi": image(A), "a+2.efi": image(B)}, B),
}


@pytest.mark.parametrize("name", SHOWN)
def test_an_image_is_in_the_menu_if_it_says_of_which_system_it_is(tmp_path: Path, name: str) -> None:
    images, release = SHOWN[name]
    boot = read(host(tmp_path, images))
    assert (boot.release, boot.doubts) == (release, ())


MAIN, DEBUG = [(".profile", b"ID=main\n")], [(".profile", b"ID=debug\n"), (".cmdline", b"ro debug")]
PROFILES: dict[str, tuple[Sections, str, tuple[str, ...]]] = {
    "the first has the base's arguments": ([*MAIN, *DEBUG], "", ("ro", "own")),
    "the first has its own": ([*MAIN, (".cmdline", b"ro main"), *DEBUG], "", ("ro", "main")),
    "there is one": (MAIN, "", ("ro", "own")),
    "another by its name": ([*MAIN, *DEBUG], "default x.efi@debug\n", ("ro", "debug")),
    "another by its number": ([*MAIN, (".profile", b"TITLE=x\n"), *DEBUG[1:]], "default x.efi@1\n", ("ro", "debug")),
    "a pattern for all": ([*MAIN, *DEBUG], "default x.efi*\n", ("ro", "own")),
}


@pytest.mark.parametrize("name", PROFILES)
def test_the_first_profile_boots_unless_another_is_the_default(tmp_path: Path, name: str) -> None:
    profiles, conf, arguments = PROFILES[name]
    boot = read(host(tmp_path, {"x.efi": image(B, profiles=profiles)}, conf=conf))
    assert (boot.release, boot.doubts, boot.entries[B].cmdline.arguments) == (B, (), arguments)


def test_the_first_profile_has_no_name_of_its_own(tmp_path: Path) -> None:
    tree = host(tmp_path, {"x.efi": image(B, profiles=[*MAIN, *DEBUG]), "zz.efi": image(A, b"ID=aa\n")})
    assert read(tree.file("/efi/loader/loader.conf", "default x.efi@main\n")).release == A


@pytest.mark.parametrize(("version", "release"), [("258.1", B), ("257.9", A)])
def test_an_entry_that_names_an_image_as_such_is_known_to_newer_versions(tmp_path: Path, version: str, release: str) -> None:
    tree = host(tmp_path, {}, version).file("/efi/x.efi", image(B))
    assert read(tree.file("/efi/loader/entries/zz.conf", "sort-key a\nuki /x.efi\n")).release == release


def test_a_profile_with_an_initramfs_of_its_own_is_a_doubt(tmp_path: Path) -> None:
    profiles = [*MAIN, *DEBUG, (".initrd", b"070701 other")]
    boot = read(host(tmp_path, {"x.efi": image(B, profiles=profiles)}, conf="default x.efi@debug\n"))
    assert "another initramfs for its profile debug" in boot.doubts[0]
    assert read(host(tmp_path, {"x.efi": image(B, profiles=profiles)})).doubts == ()


def test_an_entry_can_name_a_unified_image_as_its_kernel(tmp_path: Path) -> None:
    tree = host(tmp_path, {}).file("/efi/x.efi", image(B)).file("/efi/loader/entries/zz.conf", "sort-key a\nlinux /x.efi\n")
    boot = read(tree)
    assert (boot.release, boot.doubts, boot.entries[B].initrds) == (B, (), ("/efi/x.efi",))
    assert boot.entries[B].cmdline.arguments == ("ro", "own")


@pytest.mark.parametrize("line", ["profile 1", "extra /x.cred"])
def test_what_only_the_newest_loader_passes_to_an_image_is_a_doubt(tmp_path: Path, line: str) -> None:
    tree = host(tmp_path, {}).file("/efi/x.efi", image(B)).file("/efi/loader/entries/zz.conf", f"sort-key a\nefi /x.efi\n{line}\n")
    assert f"has {line.split(maxsplit=1)[0]}, which some versions" in read(tree).doubts[0]


ADDON = unified_image([(".sbat", b"x"), (".cmdline", b"added")])


@pytest.mark.parametrize(
    ("name", "folder", "added", "is_sure"),
    [
        ("x.efi", "x.efi", True, True),
        ("x+2-1.efi", "x.efi", True, True),
        ("x+3.efi", "x.efi", True, True),
        ("x+2-1.efi", "x+2-1.efi", False, False),
        # Only behind the first plus of the name a counter is found.
        ("6.12+deb13+3.efi", "6.12+deb13.efi", False, True),
        ("6.12+deb13+3.efi", "6.12+deb13+3.efi", True, True),
    ],
)
def test_the_folder_of_addons_is_named_without_the_boot_counter(tmp_path: Path, name: str, folder: str, added: bool, is_sure: bool) -> None:
    boot = read(host(tmp_path, {name: image(B)}).file(f"/efi/EFI/Linux/{folder}.extra.d/a.addon.efi", ADDON))
    assert ("added" in boot.entries[B].cmdline.arguments) is added
    assert (boot.doubts == ()) is is_sure


def test_of_a_line_that_no_kernel_reads_to_its_end_the_beginning_is_read(tmp_path: Path) -> None:
    boot = read(host(tmp_path, {"x.efi": image(B, profiles=[*MAIN, (".cmdline", b"x " * 500_000)])}))
    assert len(" ".join(boot.entries[B].cmdline.arguments)) < 16 * 1024
    assert "of which a kernel" in boot.doubts[0]
