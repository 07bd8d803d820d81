# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts kept from run to run: as long as their file is the same, and never where others could have put them."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import cache as cache_module
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


class Place:
    """A file of this machine and a cache for it."""

    def __init__(self, root: Path) -> None:
        self.file = root / "image"
        self.file.write_bytes(b"one")
        self.kept = root / "kept"

    def cache(self, writable: bool = True, settled: float = 0.0, host: Host | None = None) -> Cache:
        return Cache(host or Host(), writable, str(self.kept), settled)

    def put(self, value: t.Any = "value", kind: str = "image", **options: t.Any) -> None:
        self.cache(**options).put(kind, str(self.file), value)

    def get(self, kind: str = "image") -> t.Any:
        return self.cache(writable=False).get(kind, str(self.file))

    @property
    def entry(self) -> Path:
        (entry,) = self.kept.iterdir()
        return entry


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_was_put_is_there_in_the_next_run(place: Place) -> None:
    place.put({"names": ["a", "\udcff"], "count": 2})
    assert place.get() == {"names": ["a", "\udcff"], "count": 2}


def test_kinds_do_not_mix(place: Place) -> None:
    place.put()
    assert place.get("module") is None


def test_only_its_user_can_look_into_it(place: Place) -> None:
    place.put()
    assert (place.kept.stat().st_mode & 0o777, place.entry.stat().st_mode & 0o777) == (0o700, 0o600)


def test_what_was_put_is_one_file_and_no_leavings(place: Place) -> None:
    place.put("first")
    place.put("second")
    assert (place.get(), len(list(place.kept.iterdir()))) == ("second", 1)


class TestTheFileHasChanged:
    def test_another_size_is_noticed(self, place: Place) -> None:
        place.put()
        place.file.write_bytes(b"longer")
        assert place.get() is None

    def test_another_time_with_the_same_size_is_noticed(self, place: Place) -> None:
        place.put()
        os.utime(place.file, ns=(0, place.file.stat().st_mtime_ns + 1))
        assert place.get() is None

    def test_other_content_with_the_same_size_and_time_is_noticed(self, place: Place) -> None:
        before = place.file.stat()
        place.put()
        place.file.write_bytes(b"two")
        os.utime(place.file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert place.get() is None

    def test_another_file_in_its_place_is_noticed(self, place: Place) -> None:
        place.put()
        before, other = place.file.stat(), place.file.with_name("other")
        other.write_bytes(b"two")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(place.file)
        assert place.get() is None

    def test_a_file_that_is_gone_has_no_facts(self, place: Place) -> None:
        place.put()
        place.file.unlink()
        assert place.get() is None

    def test_a_change_while_it_is_read_is_not_taken_for_what_was_read(self, place: Place) -> None:
        def make() -> str:
            place.file.write_bytes(b"changed")
            return "of the old one"

        assert place.cache().remembered("image", str(place.file), make, str, str) == "of the old one"
        assert place.get() is None

    def test_a_file_that_changed_just_now_may_change_again_unseen(self, place: Place) -> None:
        place.put(settled=60)
        assert place.get() is None

    @pytest.mark.parametrize("before", [None, b"two"])
    def test_a_change_of_a_file_that_it_was_read_with_is_noticed(self, place: Place, before: bytes | None) -> None:
        other = place.file.with_name("other")
        if before is not None:
            other.write_bytes(before)
        place.cache().put("image", str(place.file), "value", [str(other)])
        assert place.cache().get("image", str(place.file), [str(other)]) == "value"
        other.write_bytes(b"more")
        assert place.cache().get("image", str(place.file), [str(other)]) is None
        assert place.cache().get("image", str(place.file)) is None


class TestWhatIsKeptIsNotOurs:
    @pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"7", b'{"about": []}', b"\xff", b"[" * 100_000], ids=repr)
    def test_anything_else_is_ignored_and_replaced(self, place: Place, content: bytes) -> None:
        place.put()
        place.entry.write_bytes(content)
        assert place.get() is None
        place.put("again")
        assert place.get() == "again"

    def test_a_truncated_file_is_ignored(self, place: Place) -> None:
        place.put(list(range(100)))
        place.entry.write_bytes(place.entry.read_bytes()[:-40])
        assert place.get() is None

    def test_another_format_is_ignored(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        place.put()
        monkeypatch.setattr(cache_module, "FORMAT", cache_module.FORMAT + 1)
        assert place.get() is None

    def test_another_files_facts_under_this_name_are_ignored(self, place: Place) -> None:
        place.put()
        kept = json.loads(place.entry.read_text())
        kept["about"][2] = "/boot/other"
        place.entry.write_text(json.dumps(kept))
        assert place.get() is None

    def test_a_value_that_cannot_be_decoded_is_computed_again(self, place: Place) -> None:
        def decode(kept: t.Any) -> str:
            return str(kept["name"])

        place.put({"nom": "x"})
        assert place.cache().remembered("image", str(place.file), lambda: "y", lambda name: {"name": name}, decode) == "y"
        assert place.get() == {"name": "y"}

    def test_a_link_to_a_directory_is_not_followed(self, place: Place, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.kept.symlink_to(tmp_path / "elsewhere")
        place.put()
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_a_link_in_the_place_of_a_file_is_not_followed(self, place: Place, tmp_path: Path) -> None:
        place.put("mine")
        stolen = tmp_path / "stolen"
        name = place.entry.name
        place.entry.rename(stolen)
        (place.kept / name).symlink_to(stolen)
        assert place.get() is None
        place.put("new")
        assert '"mine"' in stolen.read_text()
        assert (place.get(), place.entry.is_symlink()) == ("new", False)

    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
    def test_a_directory_that_others_can_write_to_is_not_used(self, place: Place, mode: int) -> None:
        place.put()
        place.kept.chmod(mode)
        assert place.get() is None
        place.put("second")
        place.kept.chmod(0o700)
        assert place.get() == "value"

    def test_a_directory_of_somebody_else_is_not_used(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        place.put()
        monkeypatch.setattr(os, "geteuid", lambda: place.kept.stat().st_uid + 1)
        assert place.get() is None
        place.put("second")
        monkeypatch.undo()
        assert place.get() == "value"

    def test_a_pipe_makes_nobody_wait(self, place: Place) -> None:
        place.put()
        name = place.entry.name
        place.entry.unlink()
        os.mkfifo(place.kept / name, 0o600)
        assert place.get() is None


class TestNothingIsWritten:
    def test_in_check_mode_what_is_known_is_read_and_nothing_is_put(self, place: Place) -> None:
        place.put("other", writable=False)
        assert not place.kept.exists()
        place.put()
        place.put("other", writable=False)
        assert place.get() == "value"

    def test_into_an_image(self, place: Place, tmp_path: Path) -> None:
        image = tmp_path / "mnt"
        (image / "kept").mkdir(parents=True)
        (image / "kernel").write_bytes(b"one")
        cache = Cache(Host(str(image)), True, str(place.kept), 0.0)
        cache.put("image", "/kernel", "value")
        assert list((image / "kept").iterdir()) == []
        assert cache.get("image", "/kernel") == "value"

    def test_where_the_directory_cannot_be_made(self, place: Place) -> None:
        place.kept.write_bytes(b"a file")
        place.put()
        assert place.get() is None
        Cache(Host(), True, "/proc/vfio-variants", 0.0).put("image", str(place.file), "value")

    def test_for_a_value_that_is_known_already(self, place: Place) -> None:
        place.put("known")

        def make() -> str:
            raise AssertionError("read again")

        assert place.cache().remembered("image", str(place.file), make, str, str) == "known"


def test_images_do_not_mix(place: Place, tmp_path: Path) -> None:
    caches = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        os.link(place.file, tmp_path / name / "kernel")
        caches.append(Cache(Host(str(tmp_path / name)), True, str(place.kept), 0.0))
    caches[0].put("image", "/kernel", "the first one's")
    assert caches[1].get("image", "/kernel") is None


def test_of_entries_without_end_the_newest_are_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MOST", 2)
    for age, kind in ((30, "oldest"), (20, "older"), (10, "newer")):
        place.put(kind=kind)
        (entry,) = place.kept.glob(f"{kind}-*")
        then = entry.stat().st_mtime - age
        os.utime(entry, (then, then))
    place.put(kind="newest")
    assert [place.get(kind) is not None for kind in ("oldest", "older", "newer", "newest")] == [False, False, True, True]
