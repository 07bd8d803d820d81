# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of kernel arguments that is killed at any of its steps is finished, or undone without trace, by the next run."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit import cmdline_hosts as hosts
from ansible_collections.vfio.variants.tests.unit.boot_menus import OLD
from ansible_collections.vfio.variants.tests.unit.kill_points import STEPS, killed

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import CmdlineHost

WORDS = ("intel_iommu=on", "iommu=pt")
RECORD = "var/lib/vfio-variants/kernel_cmdline.json"


def made(make: Callable[[Path], CmdlineHost], root: Path, has_words: bool) -> CmdlineHost:
    host = make(root)
    if has_words:
        host.call(*WORDS)
    return host


def without_record(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path != RECORD}


def was_pending(files: dict[str, bytes]) -> bool:
    """Whether the record says that a run has not come to its end."""
    return RECORD in files and json.loads(files[RECORD])["pending"]


CASES = [
    *((hosts.rocky, state, then) for state in ("present", "absent") for then in ("present", "absent")),
    (hosts.debian, "present", "absent"),
    (hosts.opensuse, "absent", "present"),
    (hosts.fedora, "present", "absent"),
    (hosts.arch_unified, "present", "absent"),
    (hosts.u_boot, "absent", "present"),
    (hosts.kernel_install, "present", "absent"),
    (hosts.kernel_install, "absent", "present"),
]


@pytest.mark.sampled(8)
@pytest.mark.parametrize(("make", "state", "then"), CASES)
def test_the_next_run_has_the_same_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], CmdlineHost], state: str, then: str
) -> None:
    wanted = made(make, tmp_path / "wanted", then == "present").files()
    for at in range(1, 60):
        host = made(make, tmp_path / str(at), state == "absent")
        with killed(monkeypatch, at) as hit:
            host.call(*WORDS, state=state)
        if not hit:
            break
        before = host.files()
        predicted = host.call(*WORDS, state=then, check_mode=True)
        assert host.files() == before
        done = host.call(*WORDS, state=then)
        # Trees have no root of their own in what a program writes.
        assert {path: content.replace(str(host.tree.root).encode(), b"") for path, content in without_record(host.files()).items()} == {
            path: content.replace(str(tmp_path / "wanted").encode(), b"") for path, content in without_record(wanted).items()
        }, at
        assert (RECORD in host.files()) is (then == "present")
        assert predicted == done, at
        # In its first steps it has left temporary files alone, or nothing.
        of_arguments = [item for item in done["recovered"] if item["operation"] == "kernel_cmdline"]
        assert bool(of_arguments) is was_pending(before), at
        assert all(item["what"][-1] == f"Its arguments ({', '.join(WORDS)}) are now as this run asks." for item in of_arguments)
        again = host.call(*WORDS, state=then)
        assert (again["changed"], again["recovered"]) == (False, [])
    else:
        raise AssertionError("The run does not come to its end.")
    assert at > len(STEPS)


def test_what_somebody_has_changed_after_the_kill_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = hosts.rocky(tmp_path)
    entry = f"/boot/loader/entries/{hosts.MACHINE}-0-rescue.conf"
    for at in range(1, 60):
        with killed(monkeypatch, at) as hit:
            host.call(*WORDS)
        if hit and WORDS[0] in host.text(entry):
            break
    host.tree.file(entry, host.text(entry).replace("rhgb", "mine"))

    host.call(*WORDS, state="absent")

    assert "mine" in host.text(entry)
    assert WORDS[0] not in host.text(entry)


@pytest.mark.parametrize("make", [hosts.rocky, hosts.fedora, hosts.arch_entries])
def test_after_a_kill_and_a_run_that_adds_them_a_removal_brings_every_byte_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], CmdlineHost]
) -> None:
    for at in range(4, 60, 3):
        host = make(tmp_path / str(at))
        before = host.files()
        with killed(monkeypatch, at) as hit:
            host.call(*WORDS)
        if not hit:
            break
        host.call(*WORDS)
        host.call(*WORDS, state="absent")
        assert host.files() == before, at


def test_a_file_that_grubby_was_killed_in_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = hosts.fedora(tmp_path)
    before = host.text("/etc/kernel/cmdline")
    _killed_in_the_program(host, monkeypatch, "/etc/kernel/cmdline")
    host.call(*WORDS, state="absent")
    assert host.text("/etc/kernel/cmdline") == before


@pytest.mark.parametrize(
    ("make", "torn"),
    [
        (hosts.arch_unified, "/boot/EFI/Linux/arch-linux.efi"),
        (hosts.kernel_install, f"/boot/loader/entries/{hosts.MACHINE}-{OLD}.conf"),
    ],
)
@pytest.mark.parametrize("then", ["present", "absent"])
def test_an_entry_that_its_program_was_killed_in_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], CmdlineHost], torn: str, then: str
) -> None:
    host = make(tmp_path / "host")
    _killed_in_the_program(host, monkeypatch, torn)
    predicted = host.call(*WORDS, state=then, check_mode=True)
    assert host.call(*WORDS, state=then) == predicted
    wanted = made(make, tmp_path / "wanted", then == "present")
    assert host.tree.place(torn).read_bytes() == wanted.tree.place(torn).read_bytes()


def _killed_in_the_program(host: CmdlineHost, monkeypatch: pytest.MonkeyPatch, torn: str) -> None:
    """As all is after it has emptied the file that it writes: before, nothing of it is there."""
    for at in range(1, 60):
        with killed(monkeypatch, at) as hit:
            host.call(*WORDS)
        if (
            hit
            and was_pending(host.files())
            and any(WORDS[0].encode() in content for path, content in host.files().items() if path != RECORD)
        ):
            break
        host.tree.place(RECORD).unlink(missing_ok=True)
    host.tree.file(torn, "")


def test_temporary_files_beside_entries_are_swept_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = hosts.arch_entries(tmp_path)
    with killed(monkeypatch, 6):
        host.call(*WORDS)
    left = "/boot/loader/entries/.vfio-variants-oi41g72m"
    host.tree.file(left, "half")
    assert was_pending(host.files())
    told = unfinished_work(host.tree.host(), Inventory.read(host.tree.host()))
    assert any(left in sentence for work in told for sentence in work.what)
    host.call(*WORDS)
    assert not host.tree.place(left).exists()
