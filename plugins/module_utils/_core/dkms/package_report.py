# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package as it is, or will be, on a host."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import INSTALLED
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import warning_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import PackagePlan, PresentLevel
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovery
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import Requirement
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo


@dataclasses.dataclass(frozen=True)
class FoundModule:
    """A module's file, as the kernel loads it or as DKMS built it, and its information."""

    path: str
    info: ModuleInfo

    @property
    def aliases(self) -> tuple[str, ...]:
        return self.info.aliases

    def result(self) -> Result:
        return {
            "path": self.path,
            "vermagic": self.info.vermagic,
            "version": self.info.version,
            "srcversion": self.info.srcversion,
            "signer": None if self.info.signer is None else self.info.signer.name,
            "aliases": list(self.info.aliases),
        }


@dataclasses.dataclass(frozen=True)
class KernelPackage:
    """The package for one kernel, with its modules by name; those of a prediction are expected ones."""

    level: PresentLevel
    modules: t.Mapping[str, FoundModule | ExpectedModule]

    def result(self) -> Result:
        return {"state": self.level, "modules": {name: module.result() for name, module in self.modules.items()}}


@dataclasses.dataclass(frozen=True)
class PackageReport:
    """The package for each of the plan's kernels.  ``before`` and ``after`` have one line for each version's sources and each kernel."""

    name: str
    version: str | None
    plan: PackagePlan
    kernels: t.Mapping[str, KernelPackage]
    modules: tuple[ExpectedModule, ...]
    """Name and aliases of each module, as the option pending_modules of other modules takes them."""
    before: str
    after: str
    lacking: tuple[Requirement, ...] = ()
    """What the plan needs and the host lacks; only in a prediction."""
    rivals: tuple[tuple[str, str], ...] = ()
    """Modules of which another package of DKMS, which is named, has one by the same name, and has installed it, too."""
    recovery: Recovery | None = None
    old_in_use: tuple[str, ...] = ()
    """Modules of which the running kernel has loaded another version than is installed, or than will be."""
    replaced: tuple[str, ...] = ()
    """Those of them that are still to be installed; only in a prediction."""
    new: tuple[str, ...] = ()
    """Kernels that do not have the modules yet, or of other sources; only in a prediction."""
    origins: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """By kernel, where the files of one of the kernel's own variants are from."""
    enrolment: str | None = None
    """What has to be done before a kernel trusts the key of these modules."""
    exposed_key: str | None = None
    """A warning that others can read that key."""

    def result(self) -> Result:
        result = self._result()
        return result if self.recovery is None else self.recovery.added_to(result)

    def _result(self) -> Result:
        header = f"DKMS package {self.name}"
        return {
            "name": self.name,
            "version": self.version,
            "changed": self.plan.changed,
            "skipped_kernels": dict(self.plan.skipped),
            **self._removals(),
            "diff": {"before": self.before, "after": self.after, "before_header": header, "after_header": header},
            "kernels": {release: kernel.result() for release, kernel in self.kernels.items()},
            "modules": [self._pending(module) for module in self.modules],
            **({"sources": dict(self.origins)} if self.origins else {}),
            **({"mok_enrolment_required": self.enrolment} if self.plan.version is not None else {}),
            **({"old_in_use": list(self.old_in_use)} if self.plan.version is not None else {}),
            **self._warnings(),
        }

    def _pending(self, module: ExpectedModule) -> Result:
        having = [release for release, kernel in self.kernels.items() if kernel.level == INSTALLED and module.name in kernel.modules]
        found: Result = {"name": module.name, "aliases": list(module.aliases), "kernels": having}
        new = [release for release in having if release in self.new]
        if new:
            found["new_for"] = new
        return {**found, "replaces_loaded": True} if module.name in self.replaced else found

    def _removals(self) -> Result:
        if self.plan.version is not None:
            return {"replaced": list(self.plan.removes)}
        return {"removed": list(self.plan.removes), "removed_files": [module.path for module in self.plan.stale_modules]}

    def _warnings(self) -> Result:
        fails = "outside of check mode this would fail unless an earlier task installs"
        lacking = [f"This host lacks {found.what}; {fails} {found.to_install}." for found in self.lacking]
        rivals = [
            f"DKMS's package {other} has a module {name}, too, and a kernel loads one of a name: which of both was built last. "
            f"Remove one of both packages, such as by name={other} and state=absent."
            for name, other in self.rivals
        ]
        old = [warning_of(name) for name in self.old_in_use]
        enrol = [one for one in (self.enrolment, self.exposed_key) if one is not None]
        missing: Result = {"missing_packages": [found.package for found in self.lacking if found.package]} if self.lacking else {}
        said = [*lacking, *rivals, *old, *enrol]
        return {**missing, "warnings": said} if said else missing
