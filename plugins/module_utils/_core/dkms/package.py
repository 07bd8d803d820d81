# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a DKMS package to the wanted state."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import plan as dkms_plan
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.change import PackageChange
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf, overridden
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.enrolment import exposed, required
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import (
    ExpectedModule,
    StagedBuild,
    check_build,
    check_installation,
    no_module,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package_report import FoundModule, KernelPackage, PackageReport
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import ABSENT, INSTALLED, DesiredState, PackagePlan
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.several_kernels import build_all
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.stale_modules import (
    check_forgotten,
    check_removed,
    known_modules,
    modules_of_others,
    read_stale_indices,
    read_stale_modules,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import PackageState, built_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import untold
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import (
    Requirement,
    kernel_config,
    missing_for_build,
    missing_for_change,
    missing_for_kernel,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import (
    OSRELEASE,
    chosen_releases,
    installed_releases,
    no_kernel_error,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import is_other

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import PresentLevel
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import WantedPackage
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell

_OTHERS = "Install a suitable kernel, or remove this one from kernels."
UNBUILT = "not built yet"
"""In the place of a checksum; differs from all."""


class DkmsPackage:
    """A wanted package on a host, as the host is when this is created."""

    def __init__(self, host: Host, wanted: WantedPackage, tell: Tell = untold) -> None:
        self._host = host
        self._tell = tell
        self._wanted = wanted
        self._paths = DkmsPaths.read(host)
        self._arch = host.machine
        self._state = PackageState.read(host, self._paths, wanted.name)
        self._conf = self._read_conf()
        self._modules = self._known_modules()
        stale = read_stale_indices(host, self._paths, self._modules)
        self.plan = dataclasses.replace(self._decide(), stale_indices=stale)
        self._check_listed()

    # -- deciding

    def _read_conf(self) -> DkmsConf | None:
        wanted, version = self._wanted, self._wanted.version
        conf = wanted.source.conf if wanted.source is not None else None
        if conf is None and version is not None:
            path = f"{self._paths.sources(wanted.name, version)}/dkms.conf"
            conf = DkmsConf(self._host.read_text(path), path) if self._host.is_file(path) else None
        return conf if conf is None or version is None else overridden(self._host, conf, (wanted.name, f"{wanted.name}-{version}"))

    def _decide(self) -> PackagePlan:
        wanted = self._wanted
        if wanted.level == ABSENT:
            return self._decide_absence()
        if wanted.version is None:
            raise HostError(f"version: the version of {wanted.name} is needed.", "Set version, or source.")
        installed = installed_releases(self._host)
        excluded = {release: reason for release in installed for reason in (self._exclusion(release),) if reason is not None}
        chosen = chosen_releases(self._host, wanted.kernels)
        if not chosen:
            raise no_kernel_error(self._host)
        self._check_excluded(chosen, excluded)
        if wanted.source is not None and wanted.source.is_empty:
            return dataclasses.replace(self._decide_absence(), skipped={release: excluded[release] for release in chosen})
        self._check_conf()
        digest = wanted.source.digest if wanted.source is not None else None
        desired = DesiredState(wanted.name, wanted.version, digest, chosen, wanted.level, wanted.keep_versions)
        return dkms_plan.decide(desired, self._state, installed, excluded)

    def _decide_absence(self) -> PackagePlan:
        state = PackageState.read(self._host, self._paths, self._wanted.name)
        stale = read_stale_modules(self._host, self._paths, state, self._modules, self._versions())
        return dkms_plan.decide_absence(state, self._wanted.version, stale)

    def _versions(self) -> frozenset[str]:
        """The versions that should be absent."""
        if self._wanted.version is not None:
            return frozenset((self._wanted.version,))
        known = (*self._state.versions, *(active.version for active in self._state.active.values()))
        try:
            return frozenset((*known, self._conf.version)) if self._conf is not None else frozenset(known)
        except HostError:
            return frozenset(known)  # only running that dkms.conf would show it

    def _exclusion(self, release: str) -> str | None:
        if self._wanted.source is not None and release in self._wanted.source.skipped:
            return self._wanted.source.skipped[release]
        if self._conf is None:
            return None
        conf = self._conf
        if self._wanted.version is not None:
            for_kernel = f"{self._wanted.name}-{self._wanted.version}-{release}"
            conf = overridden(self._host, conf, (for_kernel, f"{for_kernel}-{self._arch}"))
        return conf.exclusion(release, self._arch, kernel_config(self._host, release))

    def _check_conf(self) -> None:
        """It is an error if DKMS refuses the package's dkms.conf, which it does before it builds."""
        fault = self._conf.fault() if self._conf is not None else None
        if self._conf is not None and fault is not None:
            raise HostError(f"{self._conf.where} {fault}, so that DKMS cannot build it.", "Correct it there, as dkms(8) says.")

    def _check_excluded(self, chosen: t.Sequence[str], excluded: t.Mapping[str, str]) -> None:
        """It is an error if a requested kernel is excluded by name, or if all kernels are excluded."""
        provided = self._wanted.source.provided if self._wanted.source is not None else frozenset()
        refused = [release for release in chosen if release in excluded and release not in provided]
        named = [release for release in refused if release in self._wanted.kernels]
        if named or (refused and len(refused) == len(chosen)):
            first = (named or refused)[0]
            raise HostError(
                f"{self._wanted.name} {self._wanted.version} is not for kernel {first}: {excluded[first]}.",
                None if self._wanted.source is not None and first in self._wanted.source.advised else _OTHERS,
                {"skipped_kernels": {release: excluded[release] for release in refused}},
            )

    def _check_listed(self) -> None:
        """An expected module that dkms.conf does not name will not be built, for whatever kernel."""
        if self._conf is None or not self._conf.lists_all:
            return
        for release in self.plan.builds:
            known = set(map(normalize_module_name, self._conf.modules))
            missing = [module.name for module in self._expected(release) if normalize_module_name(module.name) not in known]
            if missing:
                raise no_module(missing[0], release, self._conf.modules)

    @property
    def needs_files(self) -> bool:
        """Whether the contents of the sources must be sent to the host."""
        return self.plan.replaces_sources

    def missing(self) -> tuple[Requirement, ...]:
        """What the plan needs and the host lacks."""
        tools = self._missing_commands()
        kernels = (found for release in self.plan.builds for found in missing_for_kernel(self._host, release))
        return tuple(dict.fromkeys((*tools, *kernels)))

    def _missing_commands(self) -> tuple[Requirement, ...]:
        return (
            *(missing_for_change(self._host) if self.plan.needs_dkms else ()),
            *(missing_for_build(self._host) if self.plan.builds else ()),
        )

    # -- doing

    def check(self) -> None:
        """Raise HostError, before anything is written, if something that the plan needs is missing."""
        lacking = self.missing()
        if lacking:
            packages = list(dict.fromkeys(found.package for found in lacking if found.package))
            unnamed = dict.fromkeys(found.to_install for found in lacking if not found.package)
            commands = {found.package for found in self._missing_commands()}
            others = "" if commands else ", or set kernels to those for which a build is possible"
            raise HostError(
                f"This host lacks {', '.join(found.what for found in lacking)}.",
                f"Install {' and '.join(filter(None, (' '.join(packages), *unnamed)))}{others}.",
                {"missing_packages": packages},
            )

    def _named(self, release: str) -> tuple[str, ...]:
        """The modules that the package will have for a kernel, as far as that is known before it is built, spelt as it does."""
        listed = self._conf.modules if self._conf is not None else ()
        spelt = {normalize_module_name(name): name for name in listed}
        return tuple(spelt.get(normalize_module_name(module.name), module.name) for module in self._expected(release)) or listed

    def clear(self) -> None:
        """Remove what aborted runs left behind."""
        self._staged().clear()

    def build(self, releases: t.Sequence[str]) -> None:
        """Build the package for these kernels of the plan, and check the modules, without installing anything."""
        staged = self._staged()
        source = self._wanted.source
        try:
            staged.lay_out(source.files if source is not None and source.files is not None else tuple)
            left = [release for release in releases if not staged.is_built(release)]
            for release in releases:
                if release not in left:
                    self._check_build(staged, release)
            what = f"{self._wanted.name} {self._wanted.version}"
            build_all(self._host, left, functools.partial(self._build_for, staged), self._tell, what)
        except BaseException:
            staged.clear()
            raise

    def _build_for(self, staged: StagedBuild, release: str, jobs: int | None) -> None:
        staged.build(release, self._arch, self._wanted.timeout, jobs)
        self._check_build(staged, release)

    def _check_build(self, staged: StagedBuild, release: str) -> None:
        if staged.excluded(release) is None:
            built = built_modules(self._host, f"{staged.built(release)}/{self._arch}")
            check_build(self._host, release, built, self._expected(release))

    def apply(self) -> PackageReport:
        """Carry out the plan, and report the result."""
        staged = self._staged()
        if self.plan.builds:
            self.build(self.plan.builds)
            excluded = {release: reason for release in self.plan.builds for reason in (staged.excluded(release),) if reason is not None}
            self.plan = self.plan.without(excluded)
            self._check_excluded(tuple({**self.plan.result, **excluded}), excluded)
        change = PackageChange(self._host, self._paths, self.plan, self._state, self._arch, staged, self._modules)
        try:
            change.make(self._verify)
        finally:
            with uninterrupted():
                staged.clear()
                change.close()
        if self.plan.version is None:
            self._verify_absence()
        return self.report()

    def _staged(self) -> StagedBuild:
        digest = self._wanted.source.digest if self._wanted.source is not None and self.plan.replaces_sources else None
        return StagedBuild(self._host, self._paths, self._wanted.name, self._wanted.version or "", digest)

    # -- reporting

    def _expected(self, release: str | None = None) -> tuple[ExpectedModule, ...]:
        if self._wanted.expected is not None:
            return self._wanted.expected
        source = self._wanted.source
        if source is None:
            return ()
        return source.by_kernel.get(release, source.expected) if release is not None else source.expected

    def _known_modules(self) -> frozenset[str]:
        """Every module that the package is known to have, in any of its versions."""
        listed = self._conf.modules if self._conf is not None else ()
        by_kernel = self._wanted.source.by_kernel.values() if self._wanted.source is not None else ()
        expected = (module.name for modules in (self._expected(), *by_kernel) for module in modules)
        return frozenset((*listed, *expected)) | known_modules(self._host, self._paths, self._state)

    def _verify(self) -> None:
        if self.plan.version is not None:
            self.report()
            for release in self.plan.stale_indices:
                check_forgotten(self._host, self._paths, release, ())
            return
        for active in self.plan.uninstalls:
            version = self._state.versions.get(active.version)
            build = version.builds.get(active.release) if version is not None else None
            check_removed(self._host, self._paths, self._wanted.name, active.release, build.modules if build else self._modules)
        for release in self.plan.module_trees:
            check_forgotten(self._host, self._paths, release, self._modules)

    def _verify_absence(self) -> None:
        left = self._decide_absence()
        if left.changed:
            files = (module.path for module in left.stale_modules)
            what = ", ".join((*left.removes, *files)) or "every kernel link"
            raise HostError(f"DKMS did not remove {what} of {self._wanted.name}.", "Run `dkms status`.")

    def report(self) -> PackageReport:
        """The package as it is now for each of the plan's kernels.  Raises HostError if it is not as expected."""
        state = PackageState.read(self._host, self._paths, self._wanted.name)
        return self._report({release: self._on_kernel(state, release, level) for release, level in self.plan.result.items()})

    def prediction(self) -> PackageReport:
        """The report as it will be: of the modules, only the expected aliases are known."""
        kernels = {release: KernelPackage(level, self._predicted(release)) for release, level in self.plan.result.items()}
        return dataclasses.replace(self._report(kernels, self.missing()), new=self._new())

    def _predicted(self, release: str) -> dict[str, ExpectedModule]:
        aliases = {normalize_module_name(module.name): module.aliases for module in self._expected(release)}
        return {name: ExpectedModule(name, aliases.get(normalize_module_name(name), ())) for name in self._named(release)}

    def _new(self) -> tuple[str, ...]:
        """Kernels that do not have the package's modules yet, or of other sources."""
        active = {release: known.version for release, known in self._state.active.items()}
        is_new = self.plan.replaces_sources
        return tuple(release for release in self.plan.installs if is_new or active.get(release) != self.plan.version)

    def _report(self, kernels: t.Mapping[str, KernelPackage], lacking: tuple[Requirement, ...] = ()) -> PackageReport:
        before, after = dkms_plan.as_text(self.plan, self._state, self._wanted.source.digest if self._wanted.source else None)
        modules = {name: module.aliases for kernel in kernels.values() for name, module in kernel.modules.items()}
        modules.update({module.name: module.aliases for module in self._expected() if module.name in modules})
        release = self._host.text_or_none(OSRELEASE) or ""
        running = kernels.get(release)
        loaded = running.modules if running is not None and running.level == INSTALLED else {}
        old = tuple(name for name, module in loaded.items() if is_other(self._host, name, self._source_of(release, name, module)))
        return PackageReport(
            name=self._wanted.name,
            version=self._wanted.version if self._wanted.level == ABSENT else self.plan.version,
            plan=self.plan,
            kernels=kernels,
            modules=tuple(ExpectedModule(name, aliases) for name, aliases in sorted(modules.items())),
            before=before,
            after=after,
            lacking=lacking,
            rivals=self._rivals(kernels),
            old_in_use=old,
            replaced=tuple(name for name in old if release in self.plan.installs and isinstance(loaded[name], ExpectedModule)),
            enrolment=None if self.plan.version is None else required(self._host, kernels),
            exposed_key=None if self.plan.version is None else exposed(self._host),
            origins={release: origin for release, origin in self._origins().items() if release in kernels},
        )

    def _rivals(self, kernels: t.Mapping[str, KernelPackage]) -> tuple[tuple[str, str], ...]:
        """Modules that another package of DKMS has installed by the same name for one of the kernels, and that package."""
        found: dict[tuple[str, str], None] = {}
        for release in (release for release, kernel in kernels.items() if kernel.level == INSTALLED):
            others = modules_of_others(self._host, self._paths, self._wanted.name, release)
            found.update(
                {
                    (name, others[plain]): None
                    for name in kernels[release].modules
                    for plain in [normalize_module_name(name)]
                    if plain in others
                }
            )
        return tuple(found)

    def _source_of(self, release: str, name: str, module: FoundModule | ExpectedModule) -> str | None:
        """The checksum of the sources of a module for a kernel, None if it has none; UNBUILT if only its build will show it."""
        if isinstance(module, FoundModule):
            return module.info.srcversion
        version = None if self.plan.replaces_sources else self._state.versions.get(self.plan.version or "")
        builds = {} if version is None else version.builds
        # The sources of a package are the same for each kernel, but for those of the kernel's own variants.
        other = None if self._origins() else next(iter(builds.values()), None)
        built = builds.get(release, other)
        path = None if built is None else built.modules.get(name)
        return UNBUILT if path is None else ModuleInfo.read(self._host, path).srcversion

    def _origins(self) -> t.Mapping[str, t.Any]:
        return self._wanted.source.origins if self._wanted.source is not None else {}

    def _on_kernel(self, state: PackageState, release: str, level: PresentLevel) -> KernelPackage:
        version = state.versions.get(self._wanted.version or "")
        build = version.builds.get(release) if version is not None else None
        if build is None:
            raise HostError(f"DKMS has not built {self._wanted.name} {self._wanted.version} for kernel {release}.", "Run the play again.")
        found = check_build(self._host, release, build.modules, self._expected(release))
        files = dict(build.modules)
        if level == INSTALLED:
            files = check_installation(self._host, self._paths, release, build.modules, found)
        return KernelPackage(level, {name: FoundModule(files[name], info) for name, info in found.items()})
