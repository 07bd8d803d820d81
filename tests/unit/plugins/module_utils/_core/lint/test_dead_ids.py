# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ids=` that is lost, malformed or matches no device, and softdeps that rely on one that does not exist."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import effective_ids
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage
from ansible_collections.vfio.variants.tests.unit.judged import judged, kinds, sentence
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO

V100 = device("0000:3b:00.0", driver="nouveau")
SECOND = device("0000:5e:00.0", driver="nouveau")
NIC = device("0000:02:00.0", "8086:10d3", class_code=0x020000, driver="e1000e")
HOST = [V100, NIC]
FIRST = "softdep nouveau pre: vfio-pci\nsoftdep e1000e pre: vfio-pci\n"


def test_of_two_ids_the_last_counts_and_the_lost_ones_are_named() -> None:
    text = {"/etc/modprobe.d/a.conf": "options vfio-pci ids=10de:1db1\n", "/etc/modprobe.d/b.conf": "options vfio_pci ids=8086:10d3\n"}
    said = sentence("ids-twice", boot(modprobe=text), devices=HOST)
    assert said.startswith("/etc/modprobe.d/a.conf:1 sets ids=10de:1db1 for vfio-pci, and /etc/modprobe.d/b.conf:1 sets ids=8086:10d3")
    assert "10de:1db1 is lost (vfio-pci does not bind to 0000:3b:00.0)" in said


def test_ids_in_a_quoted_word_are_ids() -> None:
    said = sentence("ids-twice", boot(modprobe='options vfio-pci "ids=10de:1db1"\noptions vfio-pci ids=8086:10d3\n'), devices=HOST)
    assert "sets ids=10de:1db1 for vfio-pci" in said


def test_ids_without_a_value_keep_the_module_out() -> None:
    said = sentence("ids-without-value", boot(modprobe="options vfio-pci ids\n"), devices=HOST)
    assert said == "/etc/modprobe.d/site.conf:1: ids= of vfio-pci has no value, so vfio-pci does not load. Write IDs, or remove it."


def test_the_command_line_comes_last() -> None:
    said = sentence("ids-twice", boot(modprobe="options vfio-pci ids=10de:1db1", cmdline="vfio-pci.ids=8086:10d3"), devices=HOST)
    assert "at /proc/cmdline" in said


def test_ids_given_twice_in_one_line_are_told_too() -> None:
    assert "ids-twice" in kinds(boot(modprobe="options vfio-pci ids=10de:1db1 ids=8086:10d3"), devices=HOST)


def test_a_last_list_with_all_of_the_first_loses_nothing() -> None:
    text = f"{FIRST}options vfio-pci ids=10de:1db1\noptions vfio-pci disable_vga=1 ids=8086:10D3,10DE:1DB1\n"
    assert kinds(boot(modprobe=text), devices=HOST) == []


def test_a_file_that_is_not_read_for_a_built_in_loses_nothing_to_the_command_line() -> None:
    built_in = boot(modprobe="options vfio-pci ids=8086:10d3", cmdline="vfio-pci.ids=10de:1db1", modules={}, builtin=["vfio_pci"])
    assert kinds(built_in, devices=HOST) == ["options-of-builtin"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("10de", "is dropped"),
        ("10de-1db1", "is dropped"),
        ("0000:3b:00.0", "is an address"),
        ("10de:1db1;8086:10d3", "is read as 10de:1db1"),
        ("nouveau:x", "is dropped"),
    ],
)
def test_an_entry_that_is_not_an_id_is_told(value: str, words: str) -> None:
    assert words in sentence("ids-malformed", boot(modprobe=f"options vfio-pci ids={value}"), devices=HOST)


@pytest.mark.parametrize(
    "value", ["10de:1db1", "0x10DE:0x1DB1", "10de:1db1:ffffffff:ffffffff:030200:ffff00", "10de:1db1,,8086:10d3", '"10de:1db1"']
)
def test_what_the_kernel_takes_is_fine(value: str) -> None:
    assert kinds(boot(stage(modprobe=f"options vfio-pci ids={value}", load=["vfio-pci"])), devices=HOST) == []


def test_a_list_longer_than_the_kernel_takes_keeps_the_module_out() -> None:
    assert "ids-too-long" in kinds(boot(modprobe="options vfio-pci ids=" + ",".join(["10de:1db1"] * 110)), devices=HOST)


def test_an_id_that_no_device_has_is_told() -> None:
    said = sentence("ids-without-device", boot(modprobe="options vfio-pci ids=10de:1db1,10de:1db5"), devices=HOST)
    assert "names 10de:1db5 in" in said


def test_an_image_without_devices_and_functions_yet_to_be_made_are_no_proof() -> None:
    assert kinds(boot(modprobe="options vfio-pci ids=10de:1db5")) == []
    parent = device("0000:02:00.0", "8086:1533", class_code=0x020000, max_virtual_functions=8)
    assert kinds(boot(modprobe="options vfio-pci ids=8086:1520"), devices=[parent]) == []


def test_two_modules_with_one_id_are_told() -> None:
    text = "options vfio-pci ids=10de:1db1\noptions pci-stub ids=10de:1db1\n"
    with_stub: dict[str, list[str]] = {"nouveau": [], "vfio_pci": [], "pci_stub": []}
    assert "both vfio-pci and pci-stub" in sentence("ids-of-two-modules", boot(modprobe=text, modules=with_stub), devices=HOST)
    assert kinds(boot(modprobe=text.replace("stub ids=10de:1db1", "stub ids=8086:10d3"), modules=with_stub), devices=HOST) == []


def test_a_softdep_on_vfio_without_ids_gives_it_nothing() -> None:
    said = sentence("softdep-without-ids", boot(modprobe="softdep nouveau pre: vfio-pci"), devices=[V100, SECOND, NIC])
    assert "that changes nothing for 0000:3b:00.0 and 0000:5e:00.0" in said
    assert "options vfio-pci ids=10de:1db1" in said


def test_ids_for_another_device_do_not_help() -> None:
    found = judged(boot(modprobe="softdep nouveau pre: vfio-pci\noptions vfio-pci ids=8086:10d3"), devices=HOST)
    assert [(finding.kind, finding.devices) for finding in found] == [("softdep-without-ids", ("0000:3b:00.0",))]


def test_a_softdep_with_ids_or_with_a_rule_is_fine() -> None:
    softdep = "softdep nouveau pre: vfio-pci\n"
    assert kinds(boot(modprobe=softdep + "options vfio-pci ids=10de:1db1"), devices=HOST) == []
    assert kinds(boot(modprobe=softdep, cmdline="vfio-pci.ids=10de:1db1"), devices=HOST) == []
    rule = 'KERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci"'
    assert kinds(boot(stage(modprobe=softdep, rules=rule)), devices=HOST) == []


def test_in_an_image_without_devices_a_rule_is_enough() -> None:
    softdep, rule = "softdep nouveau pre: vfio-pci\n", 'KERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci"'
    assert kinds(boot(modprobe=softdep, rules=rule)) == []
    assert kinds(boot(modprobe=softdep)) == ["softdep-without-ids"]


def test_a_softdep_among_natives_is_fine() -> None:
    assert kinds(boot(modprobe="softdep nouveau pre: e1000e"), devices=HOST) == []


def test_of_a_built_in_module_that_ids_count_which_the_kernel_takes() -> None:
    line = "vfio-pci.ids=10de:1db1 -- vfio-pci.ids=8086:ffff"
    built_in = boot(cmdline=line, modules={}, builtin=["vfio_pci"])
    (given,) = effective_ids(built_in, built_in.stages[0])
    assert given.value == "10de:1db1"
    loadable = boot(cmdline=line)
    assert [one.value for one in effective_ids(loadable, loadable.stages[0])] == ["8086:ffff"]


def test_other_devices_of_the_native_are_never_added_to_a_list() -> None:
    sound = [device("0000:01:00.1", "10de:10f0", class_code=0x040300), device("0000:00:1f.3", "8086:7ad0", class_code=0x040300)]
    modules = {"snd_hda_intel": ["pci:v*d*sv*sd*bc04sc03i00*"], "vfio_pci_core": [], "vfio_pci": [ANY_VFIO]}
    softdep = "softdep snd_hda_intel pre: vfio-pci\n"
    for before, where in (
        ("options vfio-pci ids=10de:1b81\n", "at /etc/modprobe.d/site.conf:1"),
        ("", "`options vfio-pci ids=` with the ID"),
    ):
        said = sentence("softdep-without-ids", boot(modprobe=before + softdep, modules=modules), devices=sound)
        assert "8086:7ad0" not in said
        assert where in said


def test_a_softdep_of_vfio_pci_on_itself_is_not_about_a_device() -> None:
    assert "softdep-without-ids" not in kinds(boot(modprobe="softdep vfio-pci pre: vfio-pci\n"))


@pytest.mark.parametrize("line", ["softdep nouveau post: vfio-pci", "softdep vfio-pci pre: nouveau"])
def test_a_softdep_that_loads_vfio_pci_after_the_native_is_named_with_the_right_one(line: str) -> None:
    gpu = device("0000:3b:00.0", driver="nouveau")
    said = sentence("softdep-too-late", boot(modprobe=f"options vfio-pci ids=10de:1db1\n{line}\n"), devices=[gpu])
    assert said.endswith("which has 0000:3b:00.0 by then. Write `softdep nouveau pre: vfio-pci`.")
    other = boot(modprobe=f"options vfio-pci ids=8086:10d3\n{line}\n")
    assert "softdep-too-late" not in kinds(other, devices=[gpu])


def test_a_softdep_the_other_way_round_is_told_once() -> None:
    gpu, line = device("0000:3b:00.0", driver="nouveau"), "softdep vfio-pci pre: nouveau\n"
    told = {"softdep-too-late", "softdep-reversed"}
    for options, kind in (("", "softdep-reversed"), ("options vfio-pci ids=10de:1db1\n", "softdep-too-late")):
        found = [one for one in kinds(boot(modprobe=f"{options}{line}"), devices=[gpu]) if one in told]
        assert found == [kind]


@pytest.mark.parametrize("options", ["", "options vfio-pci ids=10de:1db1\n"])
def test_a_softdep_the_other_way_round_is_told_of_devices_that_no_rule_gives_away(options: str) -> None:
    given, left = device("0000:3b:00.0", driver="nouveau"), device("0000:5e:00.0", driver="nouveau")
    rules = 'ACTION=="add", KERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'
    line = f"{options}softdep vfio-pci pre: nouveau\n"
    told = {"softdep-too-late", "softdep-reversed"}
    assert told.isdisjoint(kinds(boot(modprobe=line, rules=rules), devices=[given]))
    kind = "softdep-too-late" if options else "softdep-reversed"
    said = sentence(kind, boot(modprobe=line, rules=rules), devices=[given, left])
    assert "0000:5e:00.0" in said
    assert "0000:3b:00.0" not in said


def test_a_softdep_with_vfio_pci_on_both_sides_is_fine() -> None:
    text = "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci post: vfio-pci\n"
    assert kinds(boot(modprobe=text), devices=[device("0000:3b:00.0", driver="nouveau")]) == []
