# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of its entries systemd-boot shows and boots: by architecture, quotes, repeated keys, names and boot counters.

The truth is in boot_entry_add_type1(), valid_type1_filename() and config_find_entry() in src/boot/boot.c; up to version 257 an entry's
ID has its boot counter in it.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, OLD, bls_entry, efi_variable
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

CONF = "/efi/loader/loader.conf"


def host(root: Path, version: str = "257.9-1", name: str = f"0f22-{NEW}", extra: str = "") -> Tree:
    tree = efi_variable(Tree(root).running(OLD), "LoaderInfo", f"systemd-boot {version}")
    bls_entry(bls_entry(tree, name, NEW, "ro", "/efi", extra), f"0f22-{OLD}", OLD, "ro", "/efi")
    return tree.file(CONF, "timeout 5\n")


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


@pytest.mark.parametrize(
    ("extra", "release"),
    [
        ("architecture x64\n", NEW),
        ("architecture X64\n", NEW),
        ("architecture aa64\n", OLD),
        (f"linux /vmlinuz-{OLD}\n", OLD),
        (f'linux "/vmlinuz-{NEW}"\n', NEW),
        ("linux /nothing\n", OLD),
    ],
)
def test_an_entry_counts_as_systemd_boot_reads_it(tmp_path: Path, extra: str, release: str) -> None:
    boot = read(host(tmp_path, extra=extra))
    assert (boot.release, boot.doubts) == (release, ())


@pytest.mark.parametrize(("name", "release"), [("AUTO-1", OLD), (".hidden", OLD), ("9-first", NEW)])
def test_some_names_are_not_read(tmp_path: Path, name: str, release: str) -> None:
    assert read(host(tmp_path, name=name)).release == release


def test_a_name_in_capitals_is_read(tmp_path: Path) -> None:
    tree = host(tmp_path)
    tree.place(f"/efi/loader/entries/0f22-{NEW}.conf").rename(tree.place(f"/efi/loader/entries/0F22-{NEW}.CONF"))
    assert read(tree).release == NEW


def test_an_entry_of_two_kinds_is_doubted(tmp_path: Path) -> None:
    assert any("several kinds" in doubt for doubt in read(host(tmp_path, extra=f"efi /vmlinuz-{OLD}\n")).doubts)


def test_a_default_can_stand_in_quotes(tmp_path: Path) -> None:
    assert read(host(tmp_path).file(CONF, f'default "0f22-{OLD}.conf"\n')).release == OLD


@pytest.mark.parametrize(
    ("version", "pattern", "release"),
    [
        ("252.39-1", f"0f22-{NEW}.conf", OLD),
        ("257.9-1", f"0f22-{NEW}.conf", OLD),
        ("257.9-1", f"0f22-{NEW}+3.conf", NEW),
        ("257.9-1", "0f22-6.12*", NEW),
        ("259", f"0f22-{NEW}.conf", NEW),
        ("259", "0f22-6.12*", NEW),
        ("259", f"0f22-{NEW}+3.conf", OLD),
    ],
)
def test_a_name_has_its_boot_counter_for_older_versions(tmp_path: Path, version: str, pattern: str, release: str) -> None:
    tree = host(tmp_path, version, f"0f22-{NEW}+3")
    # Without the pattern the first entry would be another one.
    bls_entry(tree, "9-first", OLD, "ro", "/efi")
    boot = read(tree.file(CONF, f"default {pattern}\n"))
    assert (boot.release, boot.doubts) == (release, ())
    assert read(efi_variable(tree.file(CONF, "timeout 5\n"), "LoaderEntryDefault", pattern)).release == release


def test_where_the_version_does_not_tell_a_default_with_a_counter_is_doubted(tmp_path: Path) -> None:
    tree = host(tmp_path, "258.2-1", f"0f22-{NEW}+3").file(CONF, f"default 0f22-{NEW}.conf\n")
    assert any("boot counter" in doubt for doubt in read(tree).doubts)
    assert read(tree.file(CONF, "default 0f22-6.12*\n")).doubts == ()


@pytest.mark.parametrize(
    ("pattern", "release"),
    [
        (f"0f22-{OLD}.conf", OLD),
        ("0f22-6.1.[0]-*", OLD),
        ("0f22-6.1.[0-9]-*", OLD),
        ("0f22-6.1.[]0]-*", OLD),
        # These exclude nothing: the set has the sign itself.
        ("0f22-6.1.[!1]-*", NEW),
        ("0f22-6.1.[^1]-*", NEW),
        ("0f22-6.1.[!0]-*", OLD),
        # A class is a set of its letters.
        ("0f22-6.1.[[:digit:]]-*", NEW),
        # An open bracket matches nothing, also not itself.
        ("0f22-6.1.[0-*", NEW),
    ],
)
def test_a_pattern_is_read_as_systemd_boot_reads_it(tmp_path: Path, pattern: str, release: str) -> None:
    boot = read(host(tmp_path).file(CONF, f"default {pattern}\n"))
    assert (boot.release, boot.doubts) == (release, ())


@pytest.mark.parametrize("pattern", ["auto-windows", "auto*", "*windows*", "auto-poweroff"])
def test_a_pattern_for_what_the_loader_makes_is_doubted(tmp_path: Path, pattern: str) -> None:
    assert any("generates only if" in doubt for doubt in read(host(tmp_path).file(CONF, f"default {pattern}\n")).doubts)


@pytest.mark.parametrize(("version", "release"), [("257.9-1", NEW), ("258.1", None), ("260", None)])
def test_what_is_fetched_is_an_entry_for_newer_versions(tmp_path: Path, version: str, release: str | None) -> None:
    tree = host(tmp_path, version).file("/efi/loader/entries/net.conf", "title Net\nuki-url http://192.0.2.1/x.efi\n")
    assert read(tree.file(CONF, "default net.conf\n")).release == release
