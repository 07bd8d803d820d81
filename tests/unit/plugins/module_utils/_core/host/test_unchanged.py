# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record counts for one request, one state of the code and one boot, and only if nobody but its owner could have written it."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.keep_facts import UnfitError, UnsettledError, keep
from ansible_collections.vfio.variants.plugins.module_utils._core.host.unchanged import recall, record
from ansible_collections.vfio.variants.tests.unit.trees import Tree

KEY = "a" * 64
OUTCOME = {"reboot_required": False, "report": {"devices": []}, "modules": [], "warnings": ["One."]}


class Kept:
    """A host with one file that was read, and the record about it."""

    def __init__(self, folder: Path) -> None:
        self.tree = Tree(folder / "root").file("/etc/one", "1\n")
        self.directory = folder / "records"
        self.host = self.tree.host()
        with self.host.recorded() as log:
            self.host.text_or_none("/etc/one")
        record(self.host, KEY, keep(self.host, log, settled=0), OUTCOME)

    @property
    def file(self) -> Path:
        (path,) = self.directory.iterdir()
        return path

    def because(self, key: str = KEY) -> str:
        answer = recall(self.host, key)
        assert answer.outcome is None
        return answer.because


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(unchanged, "CACHE_DIRECTORY", str(tmp_path / "records"))
    return Kept(tmp_path)


def test_what_was_recorded_is_recalled(kept: Kept) -> None:
    assert recall(kept.host, KEY).outcome == OUTCOME


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_root_that_is_not_a_directory_has_not_changed(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=rf"^root: \S*/{name} is not a directory\. Give the directory"):
        recall(Host(str(tmp_path / name)), KEY)


def test_the_frequencies_of_processors_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real machine `cpu MHz` of /proc/cpuinfo is another whenever it is read."""
    monkeypatch.setattr(unchanged, "CACHE_DIRECTORY", str(tmp_path / "records"))
    tree = Tree(tmp_path / "root").file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu MHz\t\t: 800.000\n")
    host = tree.host()
    with host.recorded() as log:
        host.text_or_none("/proc/cpuinfo")
        tree.file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu MHz\t\t: 3200.026\n")
    record(host, KEY, keep(host, log, settled=0), OUTCOME)
    tree.file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu MHz\t\t: 2100.113\n")
    assert recall(host, KEY).outcome == OUTCOME


def test_a_record_is_for_its_owner_alone(kept: Kept) -> None:
    assert (kept.directory.stat().st_mode & 0o7777, kept.file.stat().st_mode & 0o7777) == (0o700, 0o600)


def test_another_request_or_other_code_is_another_key(kept: Kept) -> None:
    assert kept.because("b" * 64).startswith("The last run was asked for something else")


def test_another_root_has_another_record(kept: Kept, tmp_path: Path) -> None:
    assert recall(Tree(tmp_path / "other").directory("/").host(), KEY).outcome is None


def test_a_record_that_was_copied_from_another_root_does_not_count(kept: Kept, tmp_path: Path) -> None:
    other = Tree(tmp_path / "other").file("/etc/one", "1\n").host()
    record(other, KEY, keep(other, _log_of(other), settled=0), OUTCOME)
    ours, theirs = sorted(kept.directory.iterdir(), key=lambda path: path.name == unchanged._name(other))
    ours.write_bytes(theirs.read_bytes())
    assert kept.because().startswith("The last run was asked for something else")


def _log_of(host: Host) -> t.Any:
    with host.recorded() as log:
        host.text_or_none("/etc/one")
    return log


@pytest.mark.parametrize("damage", ["a fact", "the outcome", "cut", "empty", "twice"])
def test_a_record_that_was_tampered_with_does_not_count(kept: Kept, damage: str) -> None:
    content = kept.file.read_bytes()
    changed = {
        "a fact": content.replace(b'"/etc/one"', b'"/etc/two"'),
        "the outcome": content.replace(b"One.", b"Two."),
        "cut": content[:-3],
        "empty": b"",
        "twice": content * 2,
    }[damage]
    assert changed != content
    kept.file.write_bytes(changed)
    assert kept.because() == "The record of the last run is damaged."


@pytest.mark.parametrize("body", [b"[]", b"{}", b"1", b'{"about": []}', b"[" * 100_000])
def test_a_record_of_another_format_does_not_count(kept: Kept, body: bytes) -> None:
    kept.file.write_bytes(unchanged._digest(body) + b"\n" + body)
    assert kept.because()


def test_an_answer_that_was_altered_with_its_digest_still_has_to_hold_on_the_host(kept: Kept) -> None:
    kept.tree.file("/etc/one", "2\n")
    digest, _line, body = kept.file.read_bytes().partition(b"\n")
    assert digest == unchanged._digest(body)
    assert kept.because() == "/etc/one is not as it was."


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606, 0o700, 0o4600])
def test_a_record_with_another_mode_does_not_count(kept: Kept, mode: int) -> None:
    kept.file.chmod(mode)
    assert kept.because().startswith("There is no record")


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707, 0o1700])
def test_a_directory_with_another_mode_does_not_count(kept: Kept, mode: int) -> None:
    kept.directory.chmod(mode)
    assert kept.because().startswith("There is no record")


def test_a_record_of_another_user_does_not_count(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    assert kept.because().startswith("There is no record")


def test_a_record_that_is_a_link_or_has_another_name_does_not_count(kept: Kept, tmp_path: Path) -> None:
    os.link(kept.file, tmp_path / "another name")
    assert kept.because().startswith("There is no record")
    (tmp_path / "another name").unlink()
    place = kept.file
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    assert kept.because().startswith("There is no record")


def test_a_fifo_in_the_place_of_a_record_does_not_block(kept: Kept) -> None:
    place = kept.file
    place.unlink()
    os.mkfifo(place, 0o600)
    assert kept.because().startswith("There is no record")


def test_a_deleted_record_costs_time_and_nothing_else(kept: Kept) -> None:
    kept.file.unlink()
    assert kept.because().startswith("There is no record")
    kept.directory.rmdir()
    assert kept.because().startswith("There is no record")


def test_a_directory_of_another_user_gets_no_record(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(HostError, match="belongs to another user"):
        record(kept.host, KEY, keep(kept.host, _log_of(kept.host), settled=0), OUTCOME)


# -- clock and boot


@pytest.mark.parametrize("step", [-1.5, -3600.0, -86400.0 * 400])
def test_once_the_clock_was_put_back_no_time_of_a_file_can_be_relied_on(kept: Kept, step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    assert kept.because() == "The clock was put back since the last run."


def test_a_clock_that_was_put_back_long_ago_is_noticed_although_it_is_later_now(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    real, since_boot = time.time, time.clock_gettime
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    monkeypatch.setattr(time, "clock_gettime", lambda which: since_boot(which) + 7200)
    assert kept.because() == "The clock was put back since the last run."


def test_a_clock_that_was_put_forward_or_only_went_on_makes_no_difference(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    real, since_boot = time.time, time.clock_gettime
    monkeypatch.setattr(time, "time", lambda: real() + 7200)
    assert recall(kept.host, KEY).outcome == OUTCOME
    monkeypatch.setattr(time, "clock_gettime", lambda which: since_boot(which) + 7200)
    assert recall(kept.host, KEY).outcome == OUTCOME


def test_a_record_does_not_outlive_a_boot(kept: Kept) -> None:
    _digest, _line, body = kept.file.read_bytes().partition(b"\n")
    content = json.loads(body)
    assert content["about"][-1] == Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    content["about"][-1] = "00000000-0000-0000-0000-000000000000"
    changed = json.dumps(content).encode()
    kept.file.write_bytes(unchanged._digest(changed) + b"\n" + changed)
    assert "before the last boot" in kept.because()


# -- what can be kept


def kept_after(host: Host, read: t.Callable[[Host], object], settled: float = 0) -> t.Any:
    with host.recorded() as log:
        read(host)
    return keep(host, log, settled)


def test_what_a_command_said_leaves_no_record(tmp_path: Path) -> None:
    host = Host(str(tmp_path), lambda args, **_options: (0, " ".join(args), ""))
    with pytest.raises(UnfitError, match="a command was run"):
        kept_after(host, lambda host: host.run(["ip", "address"], 5))


def test_a_status_that_is_too_young_is_waited_for(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/boot/image", "1")
    with pytest.raises(UnsettledError) as error:
        kept_after(tree.host(), lambda host: host.stat("/boot/image"), settled=60)
    assert 50 < error.value.seconds <= 60


def test_a_young_content_is_kept_and_read_each_time(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/one", "1")
    facts = kept_after(tree.host(), lambda host: host.text_or_none("/etc/one"), settled=60)
    assert (list(facts.contents), facts.known_as) == (["/etc/one"], {})
    assert facts.first_difference(tree.host()) is None
    place = tree.place("/etc/one")
    before = place.stat()
    place.write_text("2", encoding="ascii")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert facts.first_difference(tree.host()) == "/etc/one"


def test_a_content_that_was_written_again_is_the_same_answer(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/one", "1")
    facts = kept_after(tree.host(), lambda host: host.text_or_none("/etc/one"))
    tree.file("/etc/one", "1")
    assert facts.first_difference(tree.host()) is None


def test_what_changes_between_its_reading_and_its_record_leaves_none(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/one", "1")
    host = tree.host()
    with host.recorded() as log:
        host.text_or_none("/etc/one")
    tree.file("/etc/one", "2")
    with pytest.raises(UnfitError, match="changed while it was read"):
        keep(host, log, 0)


def test_files_of_the_kernel_are_read_each_time(tmp_path: Path) -> None:
    host = Host()
    paths = ("/proc/sys/kernel/random/boot_id", "/proc/version")
    facts = kept_after(host, lambda host: [host.text_or_none(path) for path in paths] + [host.stat(paths[1]), host.names("/proc/self/ns")])
    assert facts.known_as == {}
    assert facts.identities == {}
    assert set(paths) <= set(facts.contents)
    assert facts.first_difference(host) is None


NODE = "/dev/vfio/7"


def turned_into_a_directory(place: Path) -> None:
    place.unlink()
    place.mkdir()


CHANGED_NODES: dict[str, t.Callable[[Path], object]] = {
    "its owner": lambda place: os.chown(place, 65534, -1),
    "its group": lambda place: os.chown(place, -1, 65534),
    "its mode": lambda place: place.chmod(0o666),
    "its kind": turned_into_a_directory,
    "that it is there": lambda place: place.unlink(),
}


@pytest.mark.parametrize("change", CHANGED_NODES)
def test_of_a_node_whose_times_say_nothing_owner_and_mode_count(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read or write of a device changes the times of its node."""
    if "owner" in change or "group" in change:
        of_root_alone()
    tree = Tree(tmp_path / "root").file(NODE, mode=0o600)
    mounted(tmp_path, monkeypatch, tree.place("/dev"), "devtmpfs")
    facts = kept_after(tree.host(), lambda host: host.stat(NODE))
    os.utime(tree.place(NODE), (1, 1))
    assert facts.first_difference(tree.host()) is None
    CHANGED_NODES[change](tree.place(NODE))
    assert facts.first_difference(tree.host()) == NODE


def test_a_node_that_is_given_to_another_while_it_is_read_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "root").file(NODE, mode=0o600)
    mounted(tmp_path, monkeypatch, tree.place("/dev"), "devtmpfs")

    def reads_and_gives_away(host: Host) -> None:
        host.stat(NODE)
        tree.place(NODE).chmod(0o666)

    with pytest.raises(UnfitError, match="changed while it was read"):
        kept_after(tree.host(), reads_and_gives_away)


def test_a_file_of_the_kernel_that_never_says_the_same_leaves_no_record() -> None:
    with pytest.raises(UnfitError, match="uuid changed while it was read"):
        kept_after(Host(), lambda host: host.text_or_none("/proc/sys/kernel/random/uuid"))


def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Path, kind: str) -> None:
    """As the kernel says it where a file system of this type is mounted there."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / {place} rw shared:1 - {kind} /dev/b rw\n", encoding="ascii")
    monkeypatch.setattr("ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts.MOUNTS", str(mounts))


def of_root_alone() -> None:
    if os.geteuid() != 0:
        pytest.skip("Only root can give a file to another user.")


def test_what_lies_on_fat_is_read_each_time_because_its_times_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "root").file("/boot/efi/image", "1")
    mounted(tmp_path, monkeypatch, tree.place("/boot/efi"), "vfat")
    facts = kept_after(tree.host(), lambda host: host.stat("/boot/efi/image"))
    assert list(facts.contents) == ["/boot/efi/image"]
    assert facts.known_as == {}


def test_the_mounts_of_this_machine_are_understood() -> None:
    facts = kept_after(Host(), lambda host: [host.text_or_none("/proc/self/mountinfo"), host.names("/sys/class")])
    assert facts.known_as == {}
