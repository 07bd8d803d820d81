# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DKMS package in the state that a user asks for."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import plan as dkms_plan
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.change import PackageChange
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import (
    ExpectedModule,
    Proof,
    judge_build,
    judge_installation,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import INSTALLED, DesiredState, PackagePlan
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.stale_modules import (
    check_forgotten,
    check_removed,
    known_modules,
    read_remnants,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import DkmsPaths, PackageState, built_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import (
    Requirement,
    kernel_config,
    missing_for_build,
    missing_for_change,
    missing_for_kernel,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import ALL, chosen_releases, installed_releases

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo


@dataclasses.dataclass(frozen=True)
class PackageSource:
    """New sources.  ``files`` gives their contents when they are needed, None while only their digest is here."""

    conf: DkmsConf
    digest: str
    promises: tuple[ExpectedModule, ...] = ()
    files: t.Callable[[], t.Sequence[SourceFile]] | None = None


@dataclasses.dataclass(frozen=True)
class PackageRequest:
    """What a user asks for.  ``kernels`` are releases, ``all`` or ``running``; ``version`` is None for each that is there."""

    name: str
    version: str | None
    level: str = INSTALLED
    kernels: tuple[str, ...] = (ALL,)
    source: PackageSource | None = None
    promises: tuple[ExpectedModule, ...] | None = None
    keep_versions: bool = False
    seconds: float = 1800


class DkmsPackage:
    """A request and the host it is for, as both are when this is made."""

    def __init__(self, host: Host, request: PackageRequest) -> None:
        self._host = host
        self._request = request
        self._places = DkmsPaths.read(host)
        self._arch = host.run(["uname", "-m"], 10).stdout.strip()
        self._state = PackageState.read(host, self._places, request.name)
        self._conf = self._read_conf()
        self._modules = self._known_modules()
        self.plan = self._decide()

    # -- deciding

    def _read_conf(self) -> DkmsConf | None:
        if self._request.source is not None or self._request.version is None:
            return self._request.source.conf if self._request.source is not None else None
        path = f"{self._places.sources(self._request.name, self._request.version)}/dkms.conf"
        return DkmsConf(self._host.read_text(path), path) if self._host.is_file(path) else None

    def _decide(self) -> PackagePlan:
        request = self._request
        if request.level == "absent":
            return self._decide_absence()
        if request.version is None:
            raise HostError(f"version: which version of {request.name} is meant, is not said.", "Set version, or source.")
        installed = installed_releases(self._host)
        excluded = {release: reason for release in installed for reason in (self._exclusion(release),) if reason is not None}
        chosen = chosen_releases(self._host, request.kernels)
        if not chosen:
            raise HostError("kernels: this host has no kernel with its modules and its image.", "Install a kernel, or name one.")
        self._check_excluded(chosen, excluded)
        wanted = request.source.digest if request.source is not None else None
        wish = DesiredState(request.name, request.version, wanted, chosen, request.level, request.keep_versions)
        return dkms_plan.decide(wish, self._state, installed, excluded)

    def _decide_absence(self) -> PackagePlan:
        state = PackageState.read(self._host, self._places, self._request.name)
        remnants = read_remnants(self._host, self._places, state, self._modules, self._versions())
        return dkms_plan.decide_absence(state, self._request.version, remnants)

    def _versions(self) -> frozenset[str]:
        """The versions that shall be absent."""
        if self._request.version is not None:
            return frozenset((self._request.version,))
        known = (*self._state.versions, *(active.version for active in self._state.active.values()))
        try:
            return frozenset((*known, self._conf.version)) if self._conf is not None else frozenset(known)
        except HostError:
            return frozenset(known)  # only running that dkms.conf would tell

    def _exclusion(self, release: str) -> str | None:
        return self._conf.exclusion(release, self._arch, kernel_config(self._host, release)) if self._conf is not None else None

    def _check_excluded(self, chosen: t.Sequence[str], excluded: t.Mapping[str, str]) -> None:
        """A kernel that was asked for by name, and a package that fits no kernel, are no success."""
        refused = [release for release in chosen if release in excluded]
        named = [release for release in refused if release in self._request.kernels]
        if named or (refused and len(refused) == len(chosen)):
            first = (named or refused)[0]
            raise HostError(
                f"{self._request.name} {self._request.version} is not meant for kernel {first}: {excluded[first]}.",
                "Install a kernel that fits, or leave this one out of kernels.",
                {"skipped_kernels": {release: excluded[release] for release in refused}},
            )

    @property
    def needs_files(self) -> bool:
        """Whether the contents of the sources have to come to the host."""
        return self.plan.place

    def missing(self) -> tuple[Requirement, ...]:
        """What the plan needs on the host and is not there."""
        tools = (
            *(missing_for_change(self._host) if self.plan.needs_dkms else ()),
            *(missing_for_build(self._host) if self.plan.builds else ()),
        )
        kernels = (found for release in self.plan.builds for found in missing_for_kernel(self._host, release))
        return tuple(dict.fromkeys((*tools, *kernels)))

    # -- doing

    def check(self) -> None:
        """Raise HostError, before anything is written, when something that the plan needs is missing."""
        lacking = self.missing()
        if lacking:
            packages = " ".join(dict.fromkeys(found.package for found in lacking))
            raise HostError(
                f"This host lacks {', '.join(found.what for found in lacking)}.",
                f"Install {packages}, or name in kernels those that have what a build needs.",
                {"missing_packages": packages.split(" ")},
            )

    def clear(self) -> None:
        """Remove what killed runs left behind."""
        self._proof().clear()

    def build(self, releases: t.Iterable[str]) -> None:
        """Prove that the package builds for these kernels of the plan."""
        proof = self._proof()
        source = self._request.source
        try:
            proof.lay_out(source.files if source is not None and source.files is not None else tuple)
            for release in releases:
                proof.build(release, self._arch, self._request.seconds)
                if proof.excluded(release) is None:
                    judge_build(self._host, release, built_modules(self._host, f"{proof.built(release)}/{self._arch}"), self._promises())
        except BaseException:
            proof.clear()
            raise

    def apply(self) -> dict[str, t.Any]:
        """Carry the plan out, and report what is there then."""
        proof = self._proof()
        if self.plan.builds:
            self.build(self.plan.builds)
            excluded = {release: reason for release in self.plan.builds for reason in (proof.excluded(release),) if reason is not None}
            self.plan = self.plan.without(excluded)
            self._check_excluded(tuple({**self.plan.result, **excluded}), excluded)
        change = PackageChange(self._host, self._places, self.plan, self._state, self._arch, proof, self._modules)
        try:
            change.make(self._verify)
        finally:
            proof.clear()
        if self.plan.version is None:
            self._verify_absence()
        return self.report()

    def _proof(self) -> Proof:
        digest = self._request.source.digest if self._request.source is not None and self.plan.place else None
        return Proof(self._host, self._places, self._request.name, self._request.version or "", digest)

    # -- reporting

    def _promises(self) -> tuple[ExpectedModule, ...]:
        if self._request.promises is not None:
            return self._request.promises
        return self._request.source.promises if self._request.source is not None else ()

    def _known_modules(self) -> frozenset[str]:
        """Every module that the package is known to bring, in any of its versions."""
        told = self._conf.modules if self._conf is not None else ()
        promised = (promise.name for promise in self._promises())
        return frozenset((*told, *promised)) | known_modules(self._host, self._places, self._state)

    def _verify(self) -> None:
        if self.plan.version is not None:
            self.report()
            return
        for active in self.plan.uninstalls:
            version = self._state.versions.get(active.version)
            build = version.builds.get(active.release) if version is not None else None
            check_removed(self._host, self._places, self._request.name, active.release, build.modules if build else self._modules)
        for release in self.plan.module_trees:
            check_forgotten(self._host, self._places, release, self._modules)

    def _verify_absence(self) -> None:
        left = self._decide_absence()
        if left.changed:
            files = (remnant.path for remnant in left.remnants)
            what = ", ".join((*left.removes, *files)) or "every kernel link"
            raise HostError(f"DKMS did not remove {what} of {self._request.name}.", "Run `dkms status`.")

    def report(self) -> dict[str, t.Any]:
        """The package as it now is for each of the plan's kernels.  Raises HostError when it is not as promised."""
        state = PackageState.read(self._host, self._places, self._request.name)
        kernels = {release: self._kernel_report(state, release, level) for release, level in self.plan.result.items()}
        return {**self._frame(), "kernels": kernels, "modules": self._module_report(kernels)}

    def prediction(self) -> dict[str, t.Any]:
        """The same, before the plan is carried out: of the modules only what is promised is known."""
        names = self._promises() or (tuple(ExpectedModule(name) for name in self._conf.modules) if self._conf is not None else ())
        modules = {promise.name: {"aliases": list(promise.aliases)} for promise in names}
        kernels = {release: {"state": level, "modules": modules} for release, level in self.plan.result.items()}
        return {**self._frame(), "kernels": kernels, "modules": self._module_report(kernels)}

    def _frame(self) -> dict[str, t.Any]:
        before, after = dkms_plan.as_text(self.plan, self._state, self._request.source.digest if self._request.source else None)
        header = f"DKMS package {self._request.name}"
        return {
            "name": self._request.name,
            "version": self._request.version,
            "changed": self.plan.changed,
            "skipped_kernels": dict(self.plan.skipped),
            **self._removals(),
            "diff": {"before": before, "after": after, "before_header": header, "after_header": header},
        }

    def _removals(self) -> dict[str, t.Any]:
        if self.plan.version is not None:
            return {"replaced": list(self.plan.removes)}
        return {"removed": list(self.plan.removes), "removed_files": [remnant.path for remnant in self.plan.remnants]}

    def _kernel_report(self, state: PackageState, release: str, level: str) -> dict[str, t.Any]:
        version = state.versions.get(self._request.version or "")
        build = version.builds.get(release) if version is not None else None
        if build is None:
            raise HostError(f"DKMS has not built {self._request.name} {self._request.version} for kernel {release}.", "Run the play again.")
        found = judge_build(self._host, release, build.modules, self._promises())
        paths = dict(build.modules)
        if level == INSTALLED:
            paths = judge_installation(self._host, self._places, release, build.modules, found)
        return {"state": level, "modules": {name: _module_facts(info, paths[name]) for name, info in found.items()}}

    def _module_report(self, kernels: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
        """Name and aliases of each module, as the option pending_modules of other modules takes them."""
        found = {name: facts["aliases"] for kernel in kernels.values() for name, facts in kernel["modules"].items()}
        found.update({promise.name: list(promise.aliases) for promise in self._promises() if promise.name in found})
        return [{"name": name, "aliases": aliases} for name, aliases in sorted(found.items())]


def _module_facts(info: ModuleInfo, path: str) -> dict[str, t.Any]:
    return {
        "path": path,
        "vermagic": info.vermagic,
        "version": info.version,
        "srcversion": info.srcversion,
        "signer": info.signer,
        "aliases": list(info.aliases),
    }
