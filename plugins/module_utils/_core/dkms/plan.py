# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from the DKMS package that a host has to the wanted one.  Pure: facts in, a plan out."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.stale_modules import StaleModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import Active, PackageState, Version
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

PresentLevel = t.Literal["installed", "built"]
BuildLevel = t.Literal["installed", "built", "absent"]
INSTALLED: t.Final = "installed"
BUILT: t.Final = "built"
ABSENT: t.Final = "absent"


@dataclasses.dataclass(frozen=True)
class DesiredState:
    """A version of a package for some kernels.  ``digest`` is that of its desired sources, None for the present ones."""

    name: str
    version: str
    digest: str | None
    kernels: tuple[str, ...]
    level: PresentLevel = INSTALLED
    keep_versions: bool = False


@dataclasses.dataclass(frozen=True)
class PackagePlan:
    """Steps in order; none if everything is as wanted."""

    name: str
    version: str | None
    replaces_sources: bool = False
    """The sources are replaced, and everything that was built from the old ones."""
    register: bool = False
    """The sources exist, but are not registered with DKMS."""
    builds: tuple[str, ...] = ()
    uninstalls: tuple[Active, ...] = ()
    installs: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    """Versions that are removed, with their sources."""
    stale_modules: tuple[StaleModule, ...] = ()
    """Modules that are removed although DKMS no longer lists them."""
    stale_indices: tuple[str, ...] = ()
    """Kernels whose files of depmod name a module that is gone."""
    result: t.Mapping[str, PresentLevel] = dataclasses.field(default_factory=dict)
    """By kernel: whether the package will be installed or built."""
    skipped: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By kernel: why the package is not for it."""

    @property
    def changed(self) -> bool:
        return self.needs_dkms or bool(self.stale_modules or self.stale_indices)

    @property
    def needs_dkms(self) -> bool:
        """Whether there is a step for which DKMS is needed."""
        return bool(self.replaces_sources or self.register or self.builds or self.uninstalls or self.installs or self.removes)

    @property
    def module_trees(self) -> tuple[str, ...]:
        """Kernels whose module trees are changed."""
        gone = (*(active.release for active in self.uninstalls), *(module.release for module in self.stale_modules))
        return tuple(dict.fromkeys((*gone, *self.installs, *self.stale_indices)))

    def without(self, excluded: t.Mapping[str, str]) -> PackagePlan:
        """The plan if DKMS itself refuses some kernels."""
        return dataclasses.replace(
            self,
            builds=tuple(release for release in self.builds if release not in excluded),
            installs=tuple(release for release in self.installs if release not in excluded),
            result={release: level for release, level in self.result.items() if release not in excluded},
            skipped={**self.skipped, **excluded},
        )


def decide(wanted: DesiredState, state: PackageState, installed: t.Container[str], excluded: t.Mapping[str, str]) -> PackagePlan:
    """The steps to the wanted version.

    ``installed`` are the kernels of the host, ``excluded`` those that the package is not for, with the reason.
    Kernels that have the package are updated, too, if the sources from which it was built are removed: no kernel is left
    with a module that cannot be built again.
    """
    here = state.versions.get(wanted.version)
    if wanted.digest is None and (here is None or here.digest is None):
        known = ", ".join(version for version, found in state.versions.items() if found.digest) or "none"
        raise HostError(
            f"version: this host has no sources of {wanted.name} {wanted.version}; it has {known}.", "Set source to the folder with them."
        )
    replaces = wanted.digest is not None and (here is None or here.digest != wanted.digest)
    gone = _gone(wanted, state, replaces)
    result = {release: level for release, level in _levels(wanted, state, gone).items() if release in installed and release not in excluded}
    builds = tuple(release for release in result if replaces or not _is_built(here, release))
    installs = tuple(
        release
        for release, level in result.items()
        if level == INSTALLED and (release in builds or not _is_installed(state, wanted.version, release))
    )
    uninstalls = tuple(active for active in state.active.values() if active.version in gone or active.release in installs)
    return PackagePlan(
        wanted.name,
        wanted.version,
        replaces_sources=replaces,
        register=not replaces and here is not None and not here.registered,
        builds=builds,
        uninstalls=uninstalls,
        installs=installs,
        removes=tuple(version for version in gone if version != wanted.version),
        result=result,
        skipped={release: reason for release, reason in excluded.items() if release in wanted.kernels},
    )


def decide_absence(state: PackageState, version: str | None, stale: tuple[StaleModule, ...] = ()) -> PackagePlan:
    """The steps that remove one version of a package, or all, including modules that DKMS no longer lists."""
    removes = tuple(known for known in state.versions if version in (None, known))
    orphans = [active for active in state.active.values() if version in (None, active.version)]
    return PackagePlan(state.name, None, uninstalls=tuple(orphans), removes=removes, stale_modules=stale)


def _gone(wanted: DesiredState, state: PackageState, replaces: bool) -> tuple[str, ...]:
    """Versions whose present sources are removed."""
    others = () if wanted.keep_versions else tuple(version for version in state.versions if version != wanted.version)
    return (*others, *((wanted.version,) if replaces and wanted.version in state.versions else ()))


def _levels(wanted: DesiredState, state: PackageState, gone: t.Container[str]) -> dict[str, PresentLevel]:
    """The wanted level for each kernel: the requested ones, then those that have what is removed."""
    kept = {active.release for active in state.active.values() if active.version == wanted.version or active.version in gone}
    levels = {release: INSTALLED if release in kept else wanted.level for release in wanted.kernels}
    levels.update({release: INSTALLED for release in kept if state.active[release].version in gone})
    replaced = state.versions.get(wanted.version)
    if replaced is not None and wanted.version in gone:
        for release in replaced.builds:
            levels.setdefault(release, BUILT)
    return levels


def _is_built(here: Version | None, release: str) -> bool:
    return here is not None and release in here.builds


def _is_installed(state: PackageState, version: str, release: str) -> bool:
    active = state.active.get(release)
    return active is not None and active.version == version and active.sound


def as_text(plan: PackagePlan, state: PackageState, digest: str | None) -> tuple[str, str]:
    """The package before and after the plan, one line for each version's sources and each kernel."""
    before = {f"sources of {version.version}": _short(version.digest) for version in state.versions.values() if version.digest}
    before.update(_kernel_lines(state))
    before.update({module.path: f"{module.version}, which DKMS does not list" for module in plan.stale_modules})
    before.update({f"depmod's files of kernel {release}": "name a module that is gone" for release in plan.stale_indices})
    gone = (*plan.removes, *((plan.version,) if plan.replaces_sources else ()))
    lost = {f"sources of {version}" for version in plan.removes}
    lost.update(module.path for module in plan.stale_modules)
    lost.update(f"depmod's files of kernel {release}" for release in plan.stale_indices)
    lost.update(f"kernel {active.release}" for active in plan.uninstalls)
    lost.update(f"kernel {release}" for version in gone if version in state.versions for release in state.versions[version].builds)
    after = {line: text for line, text in before.items() if line not in lost}
    if plan.version is not None:
        after[f"sources of {plan.version}"] = _short(digest) if plan.replaces_sources else before.get(f"sources of {plan.version}", "")
        after.update({f"kernel {release}": f"{plan.version} {level}" for release, level in plan.result.items()})
    return _lines(before), _lines(after)


def _kernel_lines(state: PackageState) -> dict[str, str]:
    lines = {f"kernel {release}": f"{version.version} built" for version in state.versions.values() for release in version.builds}
    for active in state.active.values():
        lines[f"kernel {active.release}"] = f"{active.version} installed" + ("" if active.sound else ", but not as DKMS built it")
    return lines


def _short(digest: str | None) -> str:
    return f"sha256:{digest[:16]}" if digest else ""


def _lines(facts: t.Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in sorted(facts.items()))
