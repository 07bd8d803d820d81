# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every unit test."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import cache
from ansible_collections.vfio.variants.tests.unit import sampling

MEMORY = "/dev/shm"
LEAST = 4 << 30
"""Bytes that have to be free there; all tests together leave a fraction of that."""
FIRST = (
    "test_lockout.py",
    "test_release.py",
    "test_replay.py",
    "test_ordinary_hosts.py",
    "test_recorded_boots.py",
    "test_undo.py",
    "test_tags.py",
    "test_consumer.py",
    "test_environment.py",
    "test_policies.py",
    "test_report.py",
    "test_fleet.py",
    "test_remedies.py",
    "test_whole_host.py",
    "test_repository.py",
    "test_trial.py",
    "test_binding.py",
    "test_reliability.py",
)
"""Files of tests, those that take the most processor time first."""
_made = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--drawn-by", type=int, metavar="NUMBER", help="of tests that take long a sample, by this number; else all of them")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Tests write thousands of small trees, and each change of a host waits for its disk: they are in memory, if there is room."""
    config.addinivalue_line("markers", sampling.ABOUT)
    if config.option.basetemp is None and _has_room():
        config.stash[_made] = config.option.basetemp = tempfile.mkdtemp(prefix="vfio-variants-tests-", dir=MEMORY)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long in one piece comes first: with two processes, a long file at the end leaves one of them with nothing to do."""
    number = config.getoption("--drawn-by", None)
    if number is not None:
        items[:], left = sampling.drawn(items, number)
        config.hook.pytest_deselected(items=left)
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_unconfigure(config: pytest.Config) -> None:
    made = config.stash.get(_made, None)
    if made is not None:
        shutil.rmtree(made, ignore_errors=True)


def _has_room() -> bool:
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return False
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize >= LEAST


@pytest.fixture(autouse=True)
def cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that a test reads is remembered in this machine's own cache, and nothing from there is believed."""
    monkeypatch.setattr(cache, "CACHE_DIRECTORY", str(Path(tmp_path_factory.getbasetemp()) / "cache-of-the-machine"))
