# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps lead from what a host has to what is wanted."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import DesiredState, PackagePlan, decide, decide_absence
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import Active, Build, PackageState, Version

OLD, NEW = "6.1", "6.12"


def version(number: str = "1.0", digest: str | None = "d1", builds: t.Sequence[str] = (), registered: bool = True) -> Version:
    return Version(number, registered, digest, {release: Build(release, "x86_64", {"gpu": f"/{release}.ko"}) for release in builds})


def has(*versions: Version, active: t.Mapping[str, str] | None = None, sound: bool = True) -> PackageState:
    """A host with these versions; ``active`` says which one each kernel has."""
    links = {release: Active(number, release, "x86_64", {}, sound) for release, number in (active or {}).items()}
    return PackageState("gpu", {found.version: found for found in versions}, links)


def plan(state: PackageState, excluded: t.Mapping[str, str] | None = None, **fields: t.Any) -> PackagePlan:
    desired = DesiredState(**{"name": "gpu", "version": "1.0", "digest": "d1", "kernels": (OLD, NEW), **fields})
    return decide(desired, state, (OLD, NEW), excluded or {})


def test_what_is_right_needs_no_step() -> None:
    assert not plan(has(version(builds=(OLD, NEW)), active={OLD: "1.0", NEW: "1.0"})).changed


def test_a_new_kernel_gets_a_build_from_the_sources_that_are_there() -> None:
    found = plan(has(version(builds=(OLD,)), active={OLD: "1.0"}))
    assert (found.replaces_sources, found.builds, found.installs, found.uninstalls) == (False, (NEW,), (NEW,), ())


def test_other_sources_mean_that_everything_is_built_again() -> None:
    found = plan(has(version(digest="d0", builds=(OLD, NEW)), active={OLD: "1.0", NEW: "1.0"}))
    assert (found.replaces_sources, found.builds, found.installs) == (True, (OLD, NEW), (OLD, NEW))
    assert [active.release for active in found.uninstalls] == [OLD, NEW]


def test_an_installation_that_is_not_sound_is_made_again_without_a_build() -> None:
    found = plan(has(version(builds=(OLD, NEW)), active={OLD: "1.0", NEW: "1.0"}, sound=False))
    assert (found.builds, found.installs) == ((), (OLD, NEW))


def test_a_kernel_that_was_only_built_for_is_built_for_again_when_its_sources_go() -> None:
    found = plan(has(version(digest="d0", builds=(OLD,))), kernels=(NEW,))
    assert dict(found.result) == {NEW: "installed", OLD: "built"}


def test_a_kernel_that_left_the_host_is_not_built_for() -> None:
    state = has(version(digest="d0", builds=(OLD, "5.10")), active={OLD: "1.0", "5.10": "1.0"})
    found = plan(state, kernels=(OLD,))
    assert (found.builds, [active.release for active in found.uninstalls]) == ((OLD,), [OLD, "5.10"])


def test_other_versions_go_with_what_they_installed() -> None:
    found = plan(has(version("0.9", "d0", (OLD,)), active={OLD: "0.9"}), kernels=(NEW,))
    assert (found.removes, dict(found.result)) == (("0.9",), {NEW: "installed", OLD: "installed"})


def test_other_versions_that_stay_leave_only_the_kernels_that_are_wanted() -> None:
    found = plan(has(version("0.9", "d0", (OLD, NEW)), active={OLD: "0.9", NEW: "0.9"}), kernels=(NEW,), keep_versions=True)
    assert (found.removes, dict(found.result), [active.release for active in found.uninstalls]) == ((), {NEW: "installed"}, [NEW])


def test_built_leaves_a_version_that_stays_installed() -> None:
    found = plan(has(version("0.9", "d0", (OLD,)), active={OLD: "0.9"}), kernels=(OLD,), keep_versions=True, level="built")
    assert (dict(found.result), found.uninstalls) == ({OLD: "built"}, ())


def test_built_keeps_an_older_version_from_being_lost() -> None:
    found = plan(has(version("0.9", "d0", (OLD,)), active={OLD: "0.9"}), kernels=(OLD,), level="built")
    assert dict(found.result) == {OLD: "installed"}


def test_sources_that_dkms_does_not_know_are_registered() -> None:
    found = plan(has(version(registered=False)), kernels=(OLD,))
    assert (found.replaces_sources, found.register) == (False, True)


def test_an_excluded_kernel_is_skipped_and_loses_what_it_had_from_other_sources() -> None:
    found = plan(has(version(digest="d0", builds=(OLD,)), active={OLD: "1.0"}), {OLD: "too old"})
    assert (dict(found.skipped), dict(found.result)) == ({OLD: "too old"}, {NEW: "installed"})
    assert [active.release for active in found.uninstalls] == [OLD]


def test_absence_of_what_is_absent_needs_no_step() -> None:
    assert not decide_absence(has(), None).changed


def test_absence_of_one_version_leaves_the_other() -> None:
    found = decide_absence(has(version("1.0", builds=(OLD,)), version("2.0", builds=(NEW,)), active={OLD: "1.0", NEW: "2.0"}), "1.0")
    assert (found.removes, [active.release for active in found.uninstalls]) == (("1.0",), [OLD])
