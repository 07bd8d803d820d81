# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that were drawn, and what `udevadm test` of systemd 262.1 does with them; of other versions, what their source says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_root import DECIDING
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Subject
from ansible_collections.vfio.variants.tests.unit.boots import device
from ansible_collections.vfio.variants.tests.unit.trees import Tree

RULES = "/etc/udev/rules.d/90-site.rules"
PORT = device("0000:00:01.0", "8086:1901", class_code=0x060400, path="/devices/pci0000:00/0000:00:01.0")
CARD = device("0000:01:00.0", path="/devices/pci0000:00/0000:00:01.0/0000:01:00.0")


def evaluated(tree: Tree, version: int | None = 262, cmdline: str = "") -> Evaluation:
    rules = Rules.read(tree.host(), version=version)
    others = {one.address: one for one in (PORT, CARD)}
    around = EventContext("6.12", Cmdline.parse(cmdline), rules.files, others, complete=True, is_first=True)
    return Evaluation(rules.rules, around, Subject.of(CARD, others), "add")


def does(tree: Tree, version: int | None = 262, cmdline: str = "") -> list[str]:
    """What is run and written, with ? where that is not certain."""
    done = evaluated(tree, version, cmdline).done()
    return [f"{one.value}{'' if one.certain else '?'}" for one in done if one.key.name in ("RUN", "ATTR")]


def properties(text: str, tmp_path: Path, version: int | None = 262, cmdline: str = "") -> dict[str, str | None]:
    found = evaluated(Tree(tmp_path).file(RULES, f"{text}\n"), version, cmdline)
    found.done()
    return found.state.properties


def test_a_file_whose_name_begins_with_a_dot_is_not_read_and_hides_none(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/udev/rules.d/.90-a.rules", 'RUN+="a"\n').file("/usr/lib/udev/rules.d/90-a.rules", 'RUN+="b"\n')
    assert does(tree) == ["b"]


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("vfio%E{post", "vfio"),
        ("vfio$attr{}post", "vfio"),
        ("vfio%spost", "vfio"),
        ("vfio%s{-pci", "vfio"),
        ("a$env b%k", "a"),
        ("%E{", ""),
        ("%k%x$foo%", "0000:01:00.0%x$foo%"),
        ("a%%b$$", "a%b$"),
        ("a%k{b", "a"),
        ("$kernelx", "0000:01:00.0x"),
    ],
)
def test_a_value_ends_where_a_substitution_is_incomplete(tmp_path: Path, value: str, taken: str) -> None:
    assert does(Tree(tmp_path).file(RULES, f'ATTR{{driver_override}}="{value}"\n')) == [taken]
    assert properties(f'ENV{{X}}="{value}"', tmp_path) == {"X": taken}


def test_what_a_wrong_number_takes_of_a_program_s_result_is_not_known(tmp_path: Path) -> None:
    assert does(Tree(tmp_path).file(RULES, 'RUN+="a%c{x}b"\n')) == ["None"]


@pytest.mark.parametrize(
    ("tag", "by_version"),
    [
        ("ab_c-9", {252: True, 257: True, 262: True, None: True}),
        ("a.b", {252: True, 255: False, 257: None, 262: None, None: False}),
        ("a+b", {252: True, 257: None}),
        ("%k", {252: None, 257: None, 262: None, None: None}),
        ("a b", {252: None, 262: None}),
        ("", {252: None, 262: None}),
    ],
)
def test_a_tag_is_a_plain_word(tmp_path: Path, tag: str, by_version: dict[int | None, bool | None]) -> None:
    """is_valid_tag() in sd-device.c: of version 252 another than of 257."""
    tree = Tree(tmp_path).file(RULES, f'TAG+="{tag}"\n')
    for version, certain in by_version.items():
        found = evaluated(tree, version)
        found.done()
        assert found.state.tags == ({} if certain is None else {tag: certain}), version


@pytest.mark.parametrize(
    ("rule", "cmdline", "kept"),
    [
        ('ENV{a-b}="1"', "", {257: {"a-b": "1"}, 262: {}, 260: {"a-b": None}, None: {"a-b": None}}),
        ('ENV{a.b}="1"', "", {257: {"a.b": "1"}, 262: {"a.b": "1"}}),
        ('ENV{.a9_Z}="1"', "", {257: {".a9_Z": "1"}, 262: {".a9_Z": "1"}}),
        ('ENV{X}="a\tb"', "", {257: {"X": "a\tb"}, 262: {}}),
        ('ENV{X}="old"\nENV{X}=e"\\x01"', "", {257: {"X": "\x01"}, 262: {"X": "old"}, None: {"X": None}}),
        ('IMPORT{cmdline}="nvidia-drm.modeset"', "nvidia-drm.modeset=1", {257: {"nvidia-drm.modeset": "1"}, 262: {}}),
    ],
)
def test_a_property_whose_name_or_value_is_refused_stays_as_it_was(
    tmp_path: Path, rule: str, cmdline: str, kept: dict[int | None, dict[str, str | None]]
) -> None:
    """device_add_property() in sd-device.c of 262; that of 257 takes all."""
    for version, wanted in kept.items():
        assert properties(rule, tmp_path, version, cmdline) == wanted, version


def test_an_import_from_the_device_above_that_may_not_happen_leaves_a_doubt(tmp_path: Path) -> None:
    text = 'DRIVER=="nouveau", IMPORT{parent}="MODALIAS"'
    assert properties(text, tmp_path) == {"MODALIAS": None}
    assert properties('IMPORT{parent}="MODALIAS"', tmp_path) == {"MODALIAS": PORT.modalias}


def test_the_database_has_what_the_event_itself_brings(tmp_path: Path) -> None:
    """device_clone_with_db() in device-private.c."""
    text = 'IMPORT{db}=="%s", RUN+="is"\nIMPORT{db}!="%s", RUN+="is not"\n'
    for name, run in (("MODALIAS", ["is"]), ("PCI_ID", ["is"]), ("X", ["is not"]), ("SEQNUM", ["is?", "is not?"])):
        assert does(Tree(tmp_path).file(RULES, text % (name, name))) == run, name
    assert properties('IMPORT{db}="MODALIAS"', tmp_path) == {"MODALIAS": CARD.modalias}


def test_a_link_that_leads_nowhere_is_not_there(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/flag").directory("/etc/dir")
    for name, target in (
        ("there", "flag"),
        ("dead", "nowhere"),
        ("dead-0000:01:00.0", "nowhere"),
        ("on-0000:01:00.0", "flag"),
        ("late", "/run/x"),
        ("circle", "circle"),
    ):
        os.symlink(target, tree.place(f"/etc/{name}"))
    asked = ("flag", "there", "dead", "dead-%k", "on-$kernel", "gone", "dir/", "/flag", "dir/../flag", "late", "circle")
    tree.file(RULES, "".join(f'TEST=="/etc/{name}", RUN+="{place}"\n' for place, name in enumerate(asked)))
    assert does(tree) == ["0", "1", "4", "6?", "7?", "8?", "9?"]


def test_result_is_compared_after_what_is_imported(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/a", "X=1\n").file(RULES, 'IMPORT{file}="/etc/a", RESULT=="y"\nENV{X}=="1", RUN+="a"\n')
    assert does(tree) == ["a"]
    tree.file(RULES, 'PROGRAM="/x"\nIMPORT{file}="/etc/a", RESULT=="y", RUN+="a"\nIMPORT{file}="/etc/a", RESULT!="y", RUN+="b"\n')
    assert does(tree) == ["a?", "b?"]


@pytest.mark.parametrize("version", [252, 257, 262, None])
def test_udev_takes_anything_for_not_empty_which_a_list_always_is(tmp_path: Path, version: int | None) -> None:
    keys = (("TAG", "tag"), ("TAGS", "tags"), ("SYMLINK", "link"))
    text = "".join(f'{key}=="?*", RUN+="{what} any"\n{key}!="?*", RUN+="{what} none"\n' for key, what in keys)
    assert does(Tree(tmp_path).file(RULES, text), version) == ["tag any", "tags any", "link any"]
    assert does(Tree(tmp_path).file(RULES, f'TAG+="x"\n{text}'), version) == ["tag any", "tags any", "link any"]


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ('OPTIONS="string_escape=replace"\n', {"X": None, "Y": "b"}),
        ('ATTR{config}=="x", OPTIONS="string_escape=replace"\n', {"X": None, "Y": "b"}),
        ('OPTIONS="string_escape=replace"\nOPTIONS="string_escape=none"\n', {"X": "b c", "Y": "b"}),
        ('OPTIONS="string_escape=none"\n', {"X": "b c", "Y": "b"}),
    ],
)
def test_signs_in_a_property_may_be_replaced(tmp_path: Path, options: str, value: dict[str, str | None]) -> None:
    assert properties(f'{options}ENV{{X}}="b c"\nENV{{Y}}="b"', tmp_path) == value


ALICE = {"/etc/passwd": "alice:x:1000:1000::/home:/bin/sh\nusb:x:120:120::/:/bin/sh\n", "/etc/group": "kvm:x:106:\n"}


@pytest.mark.parametrize(
    ("key", "taken"),
    [
        ('OWNER="root"', {257: True, 258: True, 262: True, None: True}),
        ('OWNER="usb"', {258: True, None: True}),
        ('OWNER="120"', {258: True}),
        ('GROUP="kvm"', {258: True, 262: True}),
        ('GROUP="usb"', {257: True, 258: False}),
        ('OWNER="alice"', {257: True, 258: False, 259: False, 260: True, None: False}),
        ('OWNER="nosuch"', {252: True, 257: True, 258: False, 262: False, None: False}),
        ('OWNER="4711"', {257: True, 262: False}),
        ('OWNER=""', {257: True, 262: False}),
        ('OWNER="%k"', {262: True}),
        ('MODE="x"', {262: True}),
    ],
)
def test_a_line_with_an_unknown_account_may_be_dropped(tmp_path: Path, key: str, taken: dict[int | None, bool]) -> None:
    """rule_resolve_user() in udev-rules.c: up to 257 the account alone is ignored."""
    tree = Tree(tmp_path).file(RULES, f'ATTR{{driver_override}}="vfio-pci", {key}\n')
    for path, text in ALICE.items():
        tree.file(path, text)
    for version, certain in taken.items():
        assert does(tree, version) == [f"vfio-pci{'' if certain else '?'}"], version


@pytest.mark.parametrize("line", ['ENV{MODALIAS}+="x"', 'ENV{MODALIAS} = "x"', 'ENV{MODALIAS}\t="x"', 'IMPORT{parent}="MODALIAS"'])
def test_a_file_that_sets_the_modalias_in_whatever_words_is_read(line: str) -> None:
    assert any(word in line.encode() for word in DECIDING)
