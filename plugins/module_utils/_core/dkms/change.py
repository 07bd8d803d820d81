# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a plan's steps with DKMS, and undoing them when one fails."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.stale_modules import missing_folders, module_files
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import DkmsCommand, built_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.undo import Rollback, Undo, UndoStep, forget
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import is_same_file

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import StagedBuild
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import PackagePlan
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import Active, PackageState
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


class PackageChange:
    """A plan that is carried out.  `make` undoes everything if it fails, except the removal of older versions at its end."""

    def __init__(
        self,
        host: Host,
        paths: DkmsPaths,
        plan: PackagePlan,
        state: PackageState,
        arch: str,
        staged: StagedBuild,
        modules: t.Collection[str],
    ) -> None:
        """``staged`` has what was built; ``modules`` are all that any version of the package is known to have."""
        self._host = host
        self._paths = paths
        self._plan = plan
        self._state = state
        self._arch = arch
        self._staged = staged
        self._modules = modules
        self._undo = Undo(host, paths, plan.name, arch)
        self._rollback = Rollback(self._undo)
        self._set_aside_count = 0

    def make(self, verify: t.Callable[[], None]) -> None:
        """Take the steps; ``verify`` raises HostError if the result is wrong."""
        try:
            self._replace()
            verify()
            self._undo.synchronize()
        except BaseException as error:
            stuck = self._rollback.undo()
            if stuck and isinstance(error, HostError):
                raise HostError(error.msg, f"Not everything could be undone: {' '.join(stuck)}", error.facts) from error
            raise
        self._rollback.commit(self._plan.removes)
        for version in self._plan.removes:
            remove_version(self._undo, version, self._plan.version)

    def _replace(self) -> None:
        for release in self._plan.module_trees:
            self._rollback.add(UndoStep("depmod", release))
        for active in self._plan.uninstalls:
            self._uninstall(active)
        self._set_aside(module.path for module in self._plan.stale_modules)
        if self._plan.version is not None:
            self._bring_in(self._staged, self._plan.version)
            for release in self._plan.installs:
                self._install(release, self._plan.version)
        self._depmod()

    def _depmod(self) -> None:
        for release in self._plan.module_trees:
            self._undo.take(UndoStep("depmod", release))

    def _uninstall(self, active: Active) -> None:
        version = self._state.versions.get(active.version)
        if version is None or active.release not in version.builds:
            # DKMS has lost what it installed and could only refuse; nothing but the link is left of its records.
            self._set_aside(self._files(active.release, self._modules))
            self._set_aside([f"{self._paths.tree}/{self._plan.name}/kernel-{active.release}-{active.arch}"], self._staged.backup.tree)
            return
        built = version.builds[active.release].modules
        self._restore_conf(active.version)
        dkms = self._dkms(active.version)
        self._set_aside(path for path in self._files(active.release, built) if not self._is_one_of(path, built.values()))
        self._rollback.add(UndoStep("install", active.version, active.release))
        dkms.uninstall(active.release, active.arch)
        # What DKMS put back: a file that it archived before such files were kept from it.
        self._set_aside(self._files(active.release, built))

    def _files(self, release: str, modules: t.Iterable[str]) -> tuple[str, ...]:
        return module_files(self._host, self._paths, self._plan.name, release, modules)

    def _is_one_of(self, path: str, others: t.Iterable[str]) -> bool:
        return self._host.is_file(path) and any(is_same_file(self._host, path, other) for other in others)

    def _set_aside(self, paths: t.Iterable[str], backup: str | None = None) -> None:
        """Move files to where DKMS does not find them."""
        for path in paths:
            # Files of the same name come from several kernels, and twice from one kernel.
            self._set_aside_count += 1
            self._move_away(path, f"{backup or self._staged.backup.modules}/{self._set_aside_count}")

    def _restore_conf(self, version: str) -> None:
        """Write a dkms.conf for a version whose sources are gone: DKMS cannot remove what it installed without one."""
        known, sources = self._state.versions[version], self._paths.sources(self._plan.name, version)
        if not self._host.is_file(f"{sources}/dkms.conf"):
            names = sorted({name for build in known.builds.values() for name in build.modules})
            lines = [f'PACKAGE_NAME="{self._plan.name}"', f'PACKAGE_VERSION="{version}"']
            for index, name in enumerate(names):
                lines += [f'BUILT_MODULE_NAME[{index}]="{name}"', f'DEST_MODULE_LOCATION[{index}]="{self._destination(name)}"']
            self._rollback.add(UndoStep("remove_tree", sources))
            self._host.make_directory(sources)
            self._host.write_atomic(f"{sources}/dkms.conf", "\n".join([*lines, ""]).encode())
        if self._host.link(f"{self._paths.version(self._plan.name, version)}/source") is None:
            self._dkms(version).add()

    def _destination(self, module: str) -> str:
        """The folder in the module tree that a module was installed to."""
        for active in self._state.active.values():
            if module in active.modules:
                return active.modules[module][len(f"{self._paths.install}/{active.release}") :].rsplit("/", 1)[0]
        return "/updates"

    def _bring_in(self, staged: StagedBuild, version: str) -> None:
        """Put the staged sources and builds where DKMS expects them."""
        here, sources = self._paths.version(self._plan.name, version), self._paths.sources(self._plan.name, version)
        if self._plan.replaces_sources:
            self._move_away(here, staged.backup.tree)
            self._move_away(sources, staged.backup.sources)
            self._move(staged.sources, sources)
        if self._plan.replaces_sources or self._plan.register:
            known = self._host.exists(here)
            self._rollback.add(UndoStep("remove", f"{here}/source") if known else UndoStep("forget", here))
            self._dkms(version).add()
        for release in self._plan.builds:
            # There may be an unfinished build of an earlier run, without modules.
            self._host.remove_tree(f"{here}/{release}")
            self._move(staged.built(release), f"{here}/{release}")

    def _move_away(self, path: str, backup: str) -> None:
        if self._host.exists(path) or self._host.link(path) is not None:
            self._host.make_directory(backup)
            self._move(path, f"{backup}/{path.rsplit('/', 1)[1]}")

    def _move(self, source: str, target: str) -> None:
        self._rollback.add(UndoStep("move", target, source))
        self._host.rename(source, target)

    def _install(self, release: str, version: str) -> None:
        dkms = self._dkms(version)
        built = built_modules(self._host, f"{self._paths.version(self._plan.name, version)}/{release}/{self._arch}")
        self._set_aside(self._files(release, built))
        # DKMS makes them before it copies into them, and removes them only with a module that it has copied as a whole.
        for folder in missing_folders(self._host, self._paths, self._plan.name, release):
            self._rollback.add(UndoStep("remove_empty", folder))
        self._rollback.add(UndoStep("uninstall", version, release))
        dkms.install(release, self._arch)

    def _dkms(self, version: str) -> DkmsCommand:
        return DkmsCommand(self._host, self._paths, self._plan.name, version)

    def close(self) -> None:
        """Nothing is set aside any more, so nothing could be undone."""
        self._rollback.close()


def remove_version(undo: Undo, version: str, instead: str | None) -> None:
    """Remove a version that no kernel uses, with its sources; ``instead`` is the version that is installed, for the error."""
    host, here, sources = undo.host, undo.paths.version(undo.name, version), undo.paths.sources(undo.name, version)
    try:
        if host.link(f"{here}/source") is not None and host.is_file(f"{sources}/dkms.conf"):
            DkmsCommand(host, undo.paths, undo.name, version).remove()
        # What DKMS does not find: a version that was never registered, whose sources are gone, or of which it was killed at the end.
        forget(host, here)
        host.remove_tree(sources)
    except HostError as error:
        installed = f"{undo.name} {instead} is installed, but " if instead else ""
        raise HostError(f"{installed}{undo.name} {version} cannot be removed: {error.msg}", error.hint, error.facts) from error
