# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry systemd-boot boots: the order of entries, and what loader.conf and EFI variables name.

(systemd: boot_entry_compare(), config_select_default_entry(), config_defaults_load_from_file() in src/boot/boot.c)
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, efi_variable
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

A, B = "6.1.1", "6.2.2"
CONF = "/efi/loader/loader.conf"


def host(root: Path, version: str = "257.9-1", conf: str = "timeout 3\n") -> Tree:
    return efi_variable(Tree(root).running(A), "LoaderInfo", f"systemd-boot {version}").file(CONF, conf)


def entry(tree: Tree, name: str, release: str, more: str = "", partition: str = "/efi", options: str = "ro") -> Tree:
    tree.file(f"{partition}/v-{release}", bzimage(release)).file(f"{partition}/i-{release}")
    text = f"title T\nlinux /v-{release}\ninitrd /i-{release}\noptions {options}\n{more}"
    return tree.file(f"{partition}/loader/entries/{name}.conf", text)


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


ORDERS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "a sort key comes before names": (("aa", "sort-key x\n"), ("zz", "")),
    "sort keys by their letters": (("aa", "sort-key arch\n"), ("zz", "sort-key debian\n")),
    "sort keys by bytes": (("aa", "sort-key Z\n"), ("zz", "sort-key a\n")),
    "a machine's ID before versions": (
        ("aa", "sort-key a\nmachine-id aa\nversion 1\n"),
        ("zz", "sort-key a\nmachine-id bb\nversion 9\n"),
    ),
    "no machine's ID before one": (("aa", "sort-key a\nversion 1\n"), ("zz", "sort-key a\nmachine-id bb\nversion 9\n")),
    "a release before its candidate": (("aa", "sort-key a\nversion 6.12\n"), ("zz", "sort-key a\nversion 6.12~rc1\n")),
    "a patched release before it": (("aa", "sort-key a\nversion 6.12^git1\n"), ("zz", "sort-key a\nversion 6.12\n")),
    "a point release before a package's": (("aa", "sort-key a\nversion 6.12.1-1\n"), ("zz", "sort-key a\nversion 6.12-9\n")),
    "no version last": (("aa", "sort-key a\nversion 0.1\n"), ("zz", "sort-key a\n")),
    "names downwards": (("zz", ""), ("aa", "")),
    "names in any case": (("B", ""), ("a", "")),
    "a kernel before its long-term one": (("linux", ""), ("linux-lts", "")),
    "an image before its fallback": (("arch", ""), ("arch-fallback", "")),
    "numbers as such": (("x-6.10", ""), ("x-6.9", "")),
    "numbers with zeros": (("x-6.2", ""), ("x-6.01", "")),
    "longer words before numbers behind them": (("aa", ""), ("a1", "")),
    "what failed comes last": (("b", ""), ("x+0-3", "sort-key a\nversion 9\n")),
    "what is counted keeps its place": (("x+2-1", "sort-key a\nversion 9\n"), ("y", "sort-key a\nversion 8\n")),
    "all that failed in their order": (("x+0-3", ""), ("w+0-2", "")),
    "equal versions by name": (("y", "sort-key a\nversion 9\n"), ("x", "sort-key a\nversion 9\n")),
}


@pytest.mark.parametrize("name", ORDERS)
def test_entries_are_sorted_as_systemd_boot_sorts_them(tmp_path: Path, name: str) -> None:
    (first, more), (second, more_of_second) = ORDERS[name]
    boot = read(entry(entry(host(tmp_path), first, B, more), second, A, more_of_second))
    assert (boot.release, boot.doubts) == (B, ())


DEFAULTS: dict[str, tuple[str, dict[str, str], str]] = {
    "a name needs its ending": ("default a\n", {}, B),
    "a tab": ("default\ta.conf  \n", {}, A),
    "lines of Windows": ("timeout 3\r\ndefault a.conf\r\n", {}, A),
    "a comment": ("#default a.conf\n", {}, B),
    "single quotes": ("default 'a.conf'\n", {}, A),
    "no list": ("default a.conf b.conf\n", {}, B),
    "a special name that is unknown": ("default a.conf\ndefault @foo\n", {}, A),
    "the last of several": ("default b.conf\ndefault a.conf\n", {}, A),
    "an empty one": ("default a.conf\ndefault \n", {}, A),
    "blanks before it": ("   default a.conf\n", {}, A),
    "another case of the key": ("Default a.conf\n", {}, B),
    "an equals sign": ("default=a.conf\n", {}, B),
    "once": ("", {"LoaderEntryOneShot": "A.CONF"}, A),
    "once, and gone": ("default a.conf\n", {"LoaderEntryOneShot": "zz.conf"}, A),
    "once and always": ("", {"LoaderEntryOneShot": "b.conf", "LoaderEntryDefault": "a.conf"}, B),
    "a variable for what is gone": ("default a.conf\n", {"LoaderEntryDefault": "zz.conf"}, A),
    "the last one by a variable": ("default b.conf\n", {"LoaderEntryDefault": "@saved", "LoaderEntryLastBooted": "a.conf"}, A),
    "the last one by a variable, never set": ("default a.conf\n", {"LoaderEntryDefault": "@saved"}, A),
    "the last one, in any case": ("default @SAVED\n", {"LoaderEntryLastBooted": "a.conf"}, A),
    "the last one, never set": ("default @saved\n", {}, B),
    "the one that runs": ("", {"LoaderEntrySelected": "a.conf"}, B),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_is_what_systemd_boot_takes_for_it(tmp_path: Path, name: str) -> None:
    conf, variables, release = DEFAULTS[name]
    tree = entry(entry(host(tmp_path, conf=conf), "a", A), "b", B)
    for variable, value in variables.items():
        efi_variable(tree, variable, value)
    boot = read(tree)
    assert (boot.release, boot.doubts) == (release, ())


PREFERENCES: dict[str, tuple[str, str, dict[str, str], str, str]] = {
    "in loader.conf": ("260", "preferred a.conf\n", {}, "a", A),
    "in loader.conf of an older one": ("259.1", "preferred a.conf\n", {}, "a", B),
    "in a variable": ("260", "default b.conf\n", {"LoaderEntryPreferred": "a.conf"}, "a", A),
    "in a variable of an older one": ("257.9", "", {"LoaderEntryPreferred": "a.conf"}, "a", B),
    "one that failed": ("260", "preferred a.conf\n", {}, "a+0-3", B),
    "one that failed, in a variable": ("260", "", {"LoaderEntryPreferred": "a.conf"}, "a+0-3", B),
    "a default that failed": ("260", "default a.conf\n", {}, "a+0-3", A),
    "once before it": ("260", "", {"LoaderEntryPreferred": "a.conf", "LoaderEntryOneShot": "b.conf"}, "a", B),
}


@pytest.mark.parametrize("name", PREFERENCES)
def test_what_is_preferred_counts_for_versions_that_know_it_unless_it_failed(tmp_path: Path, name: str) -> None:
    version, conf, variables, file, release = PREFERENCES[name]
    tree = entry(entry(host(tmp_path, version, conf), file, A), "b", B)
    for variable, value in variables.items():
        efi_variable(tree, variable, value)
    boot = read(tree)
    assert (boot.release, boot.doubts) == (release, ())


QUOTED = 'dyndbg="file x +p"'
ENTRIES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "paths without a slash": ("linux v\ninitrd i\noptions ro\n", ("ro",), ("/efi/i",)),
    "paths of the firmware": ("linux \\v\ninitrd \\i\noptions ro\n", ("ro",), ("/efi/i",)),
    "options in quotes": ('linux /v\ninitrd /i\noptions "ro quiet"\n', ("ro", "quiet"), ("/efi/i",)),
    "options in single quotes": ("linux /v\ninitrd /i\noptions 'ro quiet'\n", ("ro", "quiet"), ("/efi/i",)),
    "quotes within": (f"linux /v\ninitrd /i\noptions ro {QUOTED}\n", ("ro", QUOTED), ("/efi/i",)),
    "no options": ("linux /v\ninitrd /i\noptions\n", (), ("/efi/i",)),
    "two images": ("linux /v\ninitrd /u\ninitrd /i\noptions ro\n", ("ro",), ("/efi/u", "/efi/i")),
    "keys of others": ("linux /v\ninitrd /i\ndevicetree /d\ngrub_users $grub_users\noptions ro\n", ("ro",), ("/efi/i",)),
    "a variable of GRUB": ("linux /v\ninitrd /i\noptions ro $tuned_params\n", ("ro", "$tuned_params"), ("/efi/i",)),
    "no end of the line": ("\tlinux /v\n  initrd /i\noptions\tro", ("ro",), ("/efi/i",)),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_gives_what_its_lines_say(tmp_path: Path, name: str) -> None:
    text, arguments, initrds = ENTRIES[name]
    tree = host(tmp_path).file("/efi/v", bzimage(A)).file("/efi/i").file("/efi/u")
    boot = read(tree.file("/efi/loader/entries/a.conf", text))
    found = boot.entries[A]
    assert (boot.release, boot.doubts, found.cmdline.arguments, found.initrds) == (A, (), arguments, initrds)


def test_of_two_entries_of_a_kernel_that_of_the_default_counts(tmp_path: Path) -> None:
    tree = entry(host(tmp_path), "arch", A).file("/efi/fallback")
    tree.file("/efi/loader/entries/arch-fallback.conf", f"linux /v-{A}\ninitrd /fallback\noptions ro debug\n")
    assert read(tree).entries[A].initrds == (f"/efi/i-{A}",)
    assert read(tree.file(CONF, "default arch-fallback.conf\n")).entries[A].initrds == ("/efi/fallback",)


def test_entries_of_the_extended_boot_partition_are_in_the_same_menu(tmp_path: Path) -> None:
    tree = entry(entry(host(tmp_path, conf="default a.conf\n"), "a", A), "b", B, partition="/boot")
    assert (read(tree).release, read(tree).doubts) == (A, ())
    assert read(tree.file(CONF, "default b.conf\n")).release == B


@pytest.mark.parametrize(
    ("conf", "options", "is_sure"), [("timeout 3", "ro", True), ("default b*", "ro", False), ("timeout 3", "rw", False)]
)
def test_two_system_partitions_that_differ_are_a_doubt(tmp_path: Path, conf: str, options: str, is_sure: bool) -> None:
    tree = entry(entry(host(tmp_path, conf="timeout 3"), "a", A), "a", A, partition="/boot/efi", options=options)
    boot = read(tree.file("/boot/efi/loader/loader.conf", conf))
    assert (boot.doubts == ()) is is_sure
    assert is_sure or "differ; which of them systemd-boot reads" in boot.doubts[0]
