# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the build matrix comes to."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from build_root import BuildRoot
from counts import Counts
from package import CheckError, Package
from target import Target

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS, MissingPackage

GONE = MissingPackage("linux-headers-6.12.117+deb13-powerpc64le", "404", "6.12.117-1", "linux")
ENOUGH = [("amd64", "6.1"), ("amd64", "6.12"), ("arm64", "6.12"), ("amd64", "7.3"), ("ppc64el", "6.12")]
PACKAGE = Package(Path(__file__).resolve().parents[4] / "files/kernel/vfio-variants")
TARGET = Target("6.12.107+deb13-amd64")


class Run:
    """Counts, and what they said."""

    def __init__(self, place: Path) -> None:
        self.said: list[str] = []
        self.counts = Counts(place / "known", again=False, say=self.said.append)

    def with_passed(self, *kinds: tuple[str, str]) -> Run:
        for kind in kinds:
            self.counts.succeed(" ".join(kind), "built")
            self.counts.cover(*kind)
        return self


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_all_that_the_floor_wants_is_a_success(run: Run) -> None:
    assert run.with_passed(*ENOUGH).counts.end(()) == 0
    assert run.said[-2:] == ["covered: amd64 6.1, amd64 6.12, amd64 7.3, arm64 6.12, ppc64el 6.12", "5 passed, 0 failed"]


def test_something_missing_beyond_the_floor_is_named_and_still_a_success(run: Run) -> None:
    run.counts.lack([GONE], "6.12.117+deb13-powerpc64le-64k", about=[("ppc64el", "6.12")])
    assert run.with_passed(*ENOUGH).counts.end(()) == 0
    assert "archive unavailable: linux-headers-6.12.117+deb13-powerpc64le 6.12.117-1 (404)" in run.said
    assert not any("failed" in line.lower() for line in run.said[:-1])


def test_a_floor_that_the_archive_does_not_reach_is_its_fault(run: Run) -> None:
    run.counts.lack([GONE], "6.12.117+deb13-powerpc64le", about=[("ppc64el", "6.12")])
    assert run.with_passed(*ENOUGH[:4]).counts.end(()) == EXIT_STATUS
    assert run.said[-2:] == [
        "less than the floor, as the archive is today: no kernel was tested of Linux 6.12 for ppc64el",
        "4 passed, 0 failed",
    ]


def test_a_floor_that_is_missed_while_something_else_is_missing_is_ours(run: Run) -> None:
    run.counts.lack([GONE], "6.12.117+deb13-powerpc64le", about=[("ppc64el", "6.12")])
    assert run.with_passed(("ppc64el", "6.12"), *ENOUGH[:3]).counts.end(()) == 1
    assert "Linux 7 for amd64: FAILED nothing of it was tested, and nothing that it takes was missing" in run.said


def test_a_failure_is_a_failure_whatever_is_missing(run: Run) -> None:
    run.counts.lack([GONE], "6.12.117+deb13-powerpc64le", about=[("ppc64el", "6.12")])
    run.counts.fail("6.12.107+deb13-amd64", "it does not build")
    assert run.with_passed(*ENOUGH[:4]).counts.end(()) == 1
    assert run.said[-1] == "4 passed, 1 failed"


def test_another_kernel_in_the_place_of_a_missing_one_is_named(run: Run) -> None:
    run.counts.lack([GONE], "6.12.117+deb13-powerpc64le", "6.12.107+deb13-powerpc64le")
    assert run.said == [
        "archive unavailable: linux-headers-6.12.117+deb13-powerpc64le 6.12.117-1 (404); instead: 6.12.107+deb13-powerpc64le"
    ]


def test_only_the_kernels_that_were_asked_for_have_to_be_there(run: Run) -> None:
    assert run.with_passed(("amd64", "6.12")).counts.end(["6.12"]) == 0


def test_a_run_without_any_check_has_not_passed(run: Run) -> None:
    assert run.counts.end(["5.15"]) == 1


def does_not_build(_package: Package, _root: BuildRoot, _target: Target) -> str:
    raise CheckError("make ended with 2: implicit declaration of function")


def builds(_package: Package, _root: BuildRoot, _target: Target) -> str:
    return "W=1, -Werror and sparse"


def test_what_does_not_build_has_failed(tmp_path: Path, run: Run) -> None:
    assert not run.counts.run(TARGET, "a kernel", PACKAGE, does_not_build, BuildRoot(tmp_path))
    assert run.counts.failed == 1
    assert not Run(tmp_path).counts.repeat(TARGET, "a kernel", PACKAGE, does_not_build)


def test_what_passed_is_known_until_it_was_not_asked_for_in_weeks(tmp_path: Path, run: Run) -> None:
    assert run.counts.run(TARGET, "a kernel", PACKAGE, builds, BuildRoot(tmp_path))
    assert Run(tmp_path).counts.repeat(TARGET, "a kernel", PACKAGE, builds)
    other = Run(tmp_path).counts
    assert not other.repeat(TARGET, "another kernel", PACKAGE, builds)
    other.forget_old()
    (known,) = (tmp_path / "known").iterdir()
    os.utime(known, (0, time.time() - 30 * 24 * 3600))
    other.forget_old()
    assert not list((tmp_path / "known").iterdir())
