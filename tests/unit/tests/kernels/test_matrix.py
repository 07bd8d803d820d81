# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of the build matrix whose packages cannot all be had."""

from __future__ import annotations

import json
from pathlib import Path

import kernel_offers
import package as driver_package
import pytest
from build_root import BuildRoot
from counts import Counts
from kernel_offers import Deb
from matrix import PACKAGE, Job, Matrix, Option
from target import Target

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import unavailable
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.tests.unit.archives import DebianArchive, served

CHECK = driver_package.builds_without_warning
NEWEST, OLDER = Target("6.12.117+deb13-powerpc64le", "ppc64el"), Target("6.12.107+deb13-powerpc64le", "ppc64el")
GONE = "linux-headers-6.12.117+deb13-powerpc64le"


class Bench:
    """A matrix with one job, about the newest of two kernels; its packages are gone, and the other's checks have passed before."""

    def __init__(self, place: Path, address: str) -> None:
        self.said: list[str] = []
        self.address = address
        self.cache = Cache(place / "cache")
        self.root = BuildRoot(place / "root")
        known = self.cache.root / "kernels/archive.json"
        known.parent.mkdir(parents=True)
        known.write_text(json.dumps({"debs": [], "unread": [], "asked": kernel_offers.QUESTION}), encoding="utf-8")

    def run(self, *targets: Target) -> int:
        """The status of a run whose job may be about these kernels."""
        deb = Deb(GONE, "1.0", "trixie", "ppc64el", "", f"{self.address}/pool/main/l/linux/{GONE}_1.0_ppc64el.deb", "0" * 64)
        options = [Option(target, self.root, (deb,) if target is NEWEST else ()) for target in targets]
        counts = Counts(self.cache.root / "results", again=False, say=self.said.append)
        for option in options:
            if option.target is OLDER:
                counts.path(OLDER, option.kernel, PACKAGE, CHECK).write_text("built", encoding="utf-8")
        job = Job("6.12.117 of trixie", ("ppc64el", "6.12"), lambda _archive: options, ((PACKAGE, CHECK),))
        Matrix(self.cache, self.cache.root / "mounts", counts).run([job])
        for kind in (("amd64", "6.1"), ("amd64", "6.12"), ("amd64", "7.3"), ("arm64", "6.12")):
            counts.cover(*kind)
        return counts.end(())


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DebianArchive:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(unavailable, "PAUSES", ())
    archive = DebianArchive(tmp_path / "archive")
    archive.folder.mkdir()
    return archive


def test_an_older_kernel_takes_the_place_of_one_that_cannot_be_had(tmp_path: Path, archive: DebianArchive) -> None:
    with served(archive.folder) as address:
        bench = Bench(tmp_path, address)
        assert bench.run(NEWEST, OLDER) == 0
    assert any(line.startswith(f"archive unavailable: {GONE} 1.0 (404") and "; instead: 6.12.107+deb13" in line for line in bench.said)
    assert bench.said[-1] == "1 passed, 0 failed"


def test_a_job_without_any_kernel_that_can_be_had_misses_the_floor(tmp_path: Path, archive: DebianArchive) -> None:
    with served(archive.folder) as address:
        bench = Bench(tmp_path, address)
        assert bench.run(NEWEST) == EXIT_STATUS
    assert any(line.startswith(f"archive unavailable: {GONE} 1.0 (404") and "instead" not in line for line in bench.said)
    assert bench.said[-1] == "0 passed, 0 failed"


def test_what_was_missing_is_named_again_without_asking_for_it_within_the_hour(tmp_path: Path, archive: DebianArchive) -> None:
    with served(archive.folder) as address:
        bench = Bench(tmp_path, address)
        bench.run(NEWEST, OLDER)
    first, bench.said = [line for line in bench.said if "unavailable" in line], []
    # Nothing answers at the address any more.
    assert bench.run(NEWEST, OLDER) == 0
    assert [line for line in bench.said if "unavailable" in line] == first


def test_an_exception_of_ours_is_not_taken_for_the_archives(tmp_path: Path, archive: DebianArchive) -> None:
    """Here nobody has made the directory to mount things below."""
    with served(archive.folder) as address, pytest.raises(FileNotFoundError):
        Bench(tmp_path, address).run(Target("6.12.95+deb12-powerpc64le", "ppc64el"))
