# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels whose boots are counted: an entry that has failed too often comes last, or GRUB takes another.

The truth of systemd-boot is in the Boot Loader Specification ("Boot counting") and in boot_entry_compare() in src/boot/boot.c, that of
GRUB in Fedora's scripts 08_fallback_counting and 10_reset_boot_success.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import FEDORA, NEW, OLD, bls_entry, efi_variable, grubenv
from ansible_collections.vfio.variants.tests.unit.trees import Tree

LATER, EARLIER = "6.14.5-300.fc42.x86_64", "6.9.12-200.fc40.x86_64"
# Of two entries, the second is the one before; a counter that has come to its end asks for it.
COUNTING = """\
insmod increment
if [ -n "${boot_counter}" -a "${boot_success}" = "0" ]; then
  if [ "${boot_counter}" = "0" -o "${boot_counter}" = "-1" ]; then
    set default=1
    set boot_counter=-1
  else
    decrement boot_counter
  fi
  save_env boot_counter
fi
"""
RESET = """\
if [ "${boot_success}" = "1" ] ; then
  set boot_indeterminate=0
elif [ "${boot_indeterminate}" = "1" ]; then
  set boot_indeterminate=2
fi
set boot_success=0
save_env boot_success boot_indeterminate
"""


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


@pytest.mark.parametrize(
    ("new", "old", "boots"),
    [
        ("", "", NEW),
        ("+3", "", NEW),
        ("+3-0", "", NEW),
        ("+1-2", "", NEW),
        ("+0-3", "", OLD),
        ("+0", "", OLD),
        ("+00-3", "", OLD),
        ("", "+0-3", NEW),
        ("+0-3", "+0-3", NEW),
        ("+0-3", "+2-1", OLD),
        ("+1-2", "+3-0", NEW),
        # No counter: it is not before the suffix, or there is no number.
        ("+0-3x", "", NEW),
        ("+", "", NEW),
        ("+0-", "", NEW),
    ],
)
def test_an_entry_without_tries_comes_last(tmp_path: Path, new: str, old: str, boots: str) -> None:
    tree = efi_variable(Tree(tmp_path).running(OLD), "LoaderInfo", "systemd-boot 257.9-1")
    bls_entry(bls_entry(tree, f"0f22-{NEW}{new}", NEW, "ro", "/efi"), f"0f22-{OLD}{old}", OLD, "ro", "/efi")
    found = read(tree.file("/efi/loader/loader.conf", "timeout 5\n"))
    assert (found.release, found.doubts) == (boots, ())
    assert {*found.entries} == {NEW, OLD}


@pytest.mark.parametrize("name", [f"0f22-{NEW}.conf", "0f22-6.12*"])
def test_a_default_counts_however_often_it_has_failed_and_a_preference_does_not(tmp_path: Path, name: str) -> None:
    tree = efi_variable(Tree(tmp_path).running(OLD), "LoaderInfo", "systemd-boot 259")
    bls_entry(bls_entry(tree, f"0f22-{NEW}+0-3", NEW, "ro", "/efi"), f"0f22-{OLD}", OLD, "ro", "/efi")
    assert read(tree.file("/efi/loader/loader.conf", f"default {name}\n")).release == NEW
    assert read(tree.file("/efi/loader/loader.conf", f"preferred {name}\n")).release == OLD
    assert read(tree.file("/efi/loader/loader.conf", f"preferred {name}\ndefault {name}\n")).release == NEW


def test_of_two_entries_of_one_name_that_with_more_tries_boots(tmp_path: Path) -> None:
    tree = efi_variable(Tree(tmp_path).running(OLD), "LoaderInfo", "systemd-boot 257.9-1")
    bls_entry(bls_entry(tree, "a+0-3", OLD, "ro", "/efi"), "a+3", NEW, "ro", "/efi")
    bls_entry(tree, "a+2-1", OLD, "ro", "/efi")
    assert read(tree).release == NEW


@pytest.mark.parametrize(
    ("variables", "boots"),
    [
        ({}, LATER),
        ({"boot_success": "1"}, LATER),
        ({"boot_success": "0"}, LATER),
        ({"boot_success": "0", "boot_counter": "3"}, LATER),
        ({"boot_success": "0", "boot_counter": "1"}, LATER),
        ({"boot_success": "0", "boot_counter": "0"}, EARLIER),
        ({"boot_success": "0", "boot_counter": "-1"}, EARLIER),
        ({"boot_success": "1", "boot_counter": "0"}, LATER),
        ({"boot_counter": "0"}, LATER),
        ({"boot_success": "0", "boot_indeterminate": "1", "boot_counter": "0"}, EARLIER),
        ({"boot_success": "0", "boot_indeterminate": "1"}, LATER),
        ({"boot_success": "0", "boot_counter": "0", "next_entry": f"8f3a-{LATER}"}, EARLIER),
        ({"saved_entry": f"8f3a-{EARLIER}", "boot_success": "0", "boot_counter": "2"}, EARLIER),
        ({"saved_entry": f"8f3a-{EARLIER}", "boot_success": "0", "boot_counter": "0"}, EARLIER),
        ({"saved_entry": f"8f3a-{LATER}", "boot_success": "1", "boot_indeterminate": "2"}, LATER),
    ],
)
def test_grub_falls_back_where_its_counter_has_come_to_its_end(tmp_path: Path, variables: dict[str, str], boots: str) -> None:
    tree = Tree(tmp_path).running(LATER).file("/boot/grub2/grub.cfg", FEDORA.replace("search ", f"{COUNTING}{RESET}search ", 1))
    for release in (LATER, EARLIER):
        bls_entry(tree, f"8f3a-{release}", release, "ro")
    found = read(tree.file("/boot/grub2/grubenv", grubenv(**variables)))
    assert (found.release, found.doubts) == (boots, ())
