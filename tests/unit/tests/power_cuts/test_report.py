# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import typing as t
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.tests.faults.report import PAGE
from ansible_collections.vfio.variants.tests.power_cuts import report
from ansible_collections.vfio.variants.tests.power_cuts.command import RECORD
from ansible_collections.vfio.variants.tests.power_cuts.contents import LISTING, differences, wrong_after_cut
from ansible_collections.vfio.variants.tests.power_cuts.converging import FIRST_WRITE, Cut, Undisturbed
from ansible_collections.vfio.variants.tests.power_cuts.playbooks import ROOT
from ansible_collections.vfio.variants.tests.power_cuts.trial import shortened, wrong_owners

CARD = "0000:01:00.0"
UNDISTURBED = Undisturbed("c", [Cut(1, "disk.qcow2", 1.5, "Write", 9)], {}, {}, {CARD: "nouveau"}, {CARD: "vfio-pci"})
RIGHT = {"booted": True, "certain": 3, "right": 3, "unfinished": [], "same": True, "wrong": []}


def row(number: int, task: str, **more: object) -> dict[str, object]:
    of_state = {"code": "c0de", "commit": "abc", "day": "2026-01-02"}
    return {"seed": 1, **of_state, "number": number, "at": float(number), "task": task, **RIGHT, **more}


def test_the_page_shows_the_recorded_cuts() -> None:
    assert report.table(report.rows(RECORD)) in PAGE.read_text(encoding="utf-8")


def test_cuts_are_counted_by_the_task_that_ran() -> None:
    failed = row(3, "role : Write", booted=False, certain=0, right=0, same=False, wrong=["x", "y"])
    found = report.table([row(2, "role : Write", right=2, unfinished=["initramfs"]), row(1, "role : Build"), failed])
    assert found.splitlines()[2:] == [
        "| Build | 1 | 1 | 3 | 3 | 0 | 1 | 0 |",
        "| Write | 2 | 1 | 3 | 2 | 1 | 1 | 1 |",
        "| **all** | 3 | 2 | 6 | 5 | 1 | 2 | 1 |",
        "",
        "3 cuts at 1 state of the collection's code, the oldest first:",
        "",
        report.STATES,
        "|---|---|---|--:|--:|--:|",
        "| `c0de` | `abc` | 2026-01-02 | 1 | 3 | 1 |",
    ]


def test_each_state_of_the_code_is_counted_for_itself() -> None:
    later = {"code": "new", "commit": "def", "day": "2026-02-03"}
    found = report.table([row(1, "a"), row(2, "a", **later), row(3, "a", **{**later, "seed": 2, "commit": "def+", "wrong": ["x"]})])
    assert found.splitlines()[-2:] == ["| `c0de` | `abc` | 2026-01-02 | 1 | 1 | 0 |", "| `new` | `def`, `def+` | 2026-02-03 | 2 | 2 | 1 |"]
    assert "3 cuts at 2 states of the collection's code" in found


def test_rows_are_kept_in_a_file(tmp_path: Path) -> None:
    place = tmp_path / "observed" / "cuts.jsonl"
    assert report.rows(place) == []
    report.add(place, row(1, "a"))
    report.add(place, row(2, "b"))
    assert [found["number"] for found in report.rows(place)] == [1, 2]
    assert report.found(place, {"seed": 1, "code": "c0de", "number": 2, "at": 2.0}) == row(2, "b")
    assert report.found(place, {"seed": 1, "code": "other", "number": 2, "at": 2.0}) is None


OLD = {"/etc/default/grub": "a", "/boot/initrd.img-6.12": "there"}
NEW = {**OLD, "/etc/modprobe.d/policy.conf": "p", "/etc/udev/rules.d/policy.rules": "r"}


@pytest.mark.parametrize("now", [OLD, NEW, {**OLD, "/var/lib/vfio-variants/journal": "there"}])
def test_files_that_are_as_before_or_as_after_are_right(now: dict[str, str]) -> None:
    assert list(wrong_after_cut(OLD, NEW, now, reported=False)) == []


def test_a_part_of_a_step_has_to_be_reported() -> None:
    now = {**OLD, "/etc/modprobe.d/policy.conf": "p"}
    assert list(wrong_after_cut(OLD, NEW, now, reported=True)) == []
    (found,) = wrong_after_cut(OLD, NEW, now, reported=False)
    assert "policy: only 1 of 2 files are new" in found


def test_what_is_left_over_has_to_be_reported() -> None:
    for step, name in (("image", "/boot/initrd.img-6.12.new"), ("policy", "/etc/udev/rules.d/.temporary")):
        now = {**OLD, name: "there"}
        assert list(wrong_after_cut(OLD, NEW, now, reported=True)) == []
        assert list(wrong_after_cut(OLD, NEW, now, reported=False)) == [f"{step}: left over, and nothing is reported: {name}"]


@pytest.mark.parametrize("now", [{**OLD, "/etc/default/grub": "torn"}, {**NEW, "/etc/udev/rules.d/policy.rules": ""}])
def test_a_torn_file_of_the_policy_is_wrong_even_if_something_is_reported(now: dict[str, str]) -> None:
    assert any("neither" in sentence for sentence in wrong_after_cut(OLD, NEW, now, reported=True))


def device(driver: str | None, *outcomes: str | None, certainty: str = "certain") -> dict[str, t.Any]:
    return {"address": CARD, "driver": driver, "next_boot": {"certainty": certainty, "outcomes": list(outcomes)}}


@pytest.mark.parametrize("owner", ["nouveau", "vfio-pci"])
def test_an_old_or_new_owner_that_was_predicted_is_right(owner: str) -> None:
    as_predicted = device(owner, owner)
    assert list(wrong_owners([as_predicted], UNDISTURBED)) == []


def test_an_owner_that_was_not_predicted_is_wrong() -> None:
    assert list(wrong_owners([device("nouveau", "vfio-pci")], UNDISTURBED)) == [f"{CARD} has nouveau, and vfio-pci was predicted"]


def test_an_owner_that_cannot_be_predicted_is_right_if_it_is_the_old_or_the_new_one() -> None:
    assert list(wrong_owners([device("nouveau", certainty="unknown")], UNDISTURBED)) == []
    assert len(list(wrong_owners([device("snd", certainty="unknown")], UNDISTURBED))) == 1


def test_a_card_without_a_driver_is_wrong_even_if_that_was_predicted() -> None:
    assert list(wrong_owners([device(None, None)], UNDISTURBED)) == [f"{CARD} has None; it had nouveau, and is to have vfio-pci"]


def test_the_run_that_nothing_disturbed_is_read_as_it_was_written() -> None:
    assert Undisturbed.from_json(json.dumps(asdict(UNDISTURBED))) == UNDISTURBED


def test_an_error_is_kept_as_one_line_that_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    found = shortened(f"It failed:\n  Its logs are in {tmp_path}/machines/box.", Cache(tmp_path))
    assert found == "It failed: Its logs are in CACHE/machines/box."
    assert len(shortened("x" * 5000, Cache(tmp_path))) == 800


def test_the_playbook_has_the_task_from_which_on_it_writes() -> None:
    assert f"- name: {FIRST_WRITE}\n" in (ROOT / "roles/vfio_drivers/tasks/present.yml").read_text(encoding="utf-8")


def test_a_machine_lists_its_files_links_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("text", encoding="utf-8")
    (tmp_path / "link").symlink_to("folder")
    program = f"import listing; print(listing.json.dumps(listing.states({str(tmp_path)!r}, {str(tmp_path)!r})))"
    found = json.loads(
        subprocess.run([sys.executable, "-c", program], cwd=LISTING.parent, capture_output=True, check=True, timeout=60).stdout
    )
    assert {path: state.split()[0] for path, state in found.items()} == {
        "/folder": "drwxr-xr-x",
        "/folder/file": "-rw-r--r--",
        "/link": "lrwxrwxrwx",
    }
    assert hashlib.sha256(b"text").hexdigest().startswith(found["/folder/file"].split()[1])


def test_a_file_that_is_missing_too_many_or_another_is_a_difference() -> None:
    assert differences({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}) == ["b", "c", "d"]
    assert differences({"a": "1"}, {"a": "1"}) == []
