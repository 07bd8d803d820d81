# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache: nothing half-built counts, and of several builders one builds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, default_root, one_of, write_atomic


def build_slowly(root: str, built: str) -> None:
    cache = Cache(Path(root))
    target = cache.images / "one"
    with cache.lock("one"):
        if not target.exists():
            with cache.building(target) as folder:
                (folder / "part").touch()
                time.sleep(0.3)
                with Path(built).open("a", encoding="ascii") as record:
                    record.write("built\n")


def test_a_finished_build_has_its_name(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.building(cache.images / "one") as folder:
        (folder / "file").write_text("x", encoding="ascii")
        assert not (cache.images / "one").exists()
    assert [path.name for path in cache.images.iterdir()] == ["one"]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail() -> None:
        with cache.building(cache.images / "one") as folder:
            (folder / "file").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(cache.images.iterdir()) == []


def test_what_a_killed_builder_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=build_slowly, args=(str(tmp_path), str(tmp_path / "record")))
    process.start()
    images = Cache(tmp_path).images
    deadline = time.monotonic() + 30
    while not list(images.glob(".building-one-*/part")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not (images / "one").exists()
    build_slowly(str(tmp_path), str(tmp_path / "record"))
    assert [path.name for path in images.iterdir()] == ["one"]


def test_what_a_killed_builder_of_something_else_left_is_removed_as_well(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (cache.images / ".building-another-image-x1y2").mkdir(parents=True)
    with cache.lock("one"), cache.building(cache.images / "one"):
        pass
    assert [path.name for path in cache.images.iterdir()] == ["one"]


def test_what_somebody_else_is_building_is_left_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.lock("another"), cache.building(cache.images / "another") as folder:
        with cache.lock("one"), cache.building(cache.images / "one"):
            pass
        assert folder.is_dir()


def test_of_several_builders_one_builds(tmp_path: Path) -> None:
    record = tmp_path / "record"
    context = multiprocessing.get_context("fork")
    builders = [context.Process(target=build_slowly, args=(str(tmp_path), str(record))) for _builder in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert [builder.exitcode for builder in builders] == [0, 0, 0, 0]
    assert record.read_text(encoding="ascii") == "built\n"


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_atomic(path, "one")
    write_atomic(path, "two")
    assert path.read_text(encoding="utf-8") == "two"
    assert list(tmp_path.iterdir()) == [path]


def test_the_cache_lies_where_the_xdg_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "vfio-variants"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/invalid")
    assert default_root() == Path.home() / ".cache/vfio-variants"


def test_so_many_have_a_place_and_the_next_one_waits(tmp_path: Path) -> None:
    cache, got = Cache(tmp_path), []

    def third() -> None:
        with one_of(cache, "place", 2) as number:
            got.append(number)

    waiting = threading.Thread(target=third)
    with one_of(cache, "place", 2) as first:
        with one_of(cache, "place", 2) as second:
            assert (first, second) == (0, 1)
            waiting.start()
            waiting.join(0.5)
            assert got == []
        waiting.join(60)
        assert got == [1]
