# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building a package beside DKMS's own tree, so that nothing is touched before it is known to build, and checking what was built.

The build is staged in hidden folders beside the real ones, which DKMS does not look into, on the same file systems: what was
built is then moved into its place, not built again.  A build for a kernel is kept for the next step of the same run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import PREFIX, DkmsPaths, staged_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest, read_files, write_files
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import (
    NOT_FOR_KERNEL,
    DkmsCommand,
    built_modules,
    installed_modules,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import listed
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import is_same_file

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result


LAST_LINES = 30
# scripts/mod/modpost.c, in the forms up to and since Linux 7.3.
UNDEFINED = re.compile(r"ERROR: modpost: (?:\S+ symbol )?[\"'](\w+)[\"'] (?:\[\S+\] )?undefined!")
MOST_NAMES = 5
EXCLUDED = "its dkms.conf says that it is not for this kernel"


class Backup(t.NamedTuple):
    """Folders beside DKMS's tree, the sources and the kernels' module trees, each on the file system of what is moved there."""

    tree: str
    sources: str
    modules: str


@dataclasses.dataclass(frozen=True)
class StagedBuild:
    """A version of a package that is built aside.  ``digest`` is that of the new sources, None when those in place are built."""

    host: Host
    paths: DkmsPaths
    name: str
    version: str
    digest: str | None

    @property
    def _key(self) -> str:
        return PREFIX + hashlib.sha256(f"{self.name}/{self.version}/{self.digest}".encode()).hexdigest()[:16]

    @property
    def _here(self) -> str:
        return f"{self.paths.tree}/{self._key}"

    @property
    def _paths(self) -> DkmsPaths:
        source = self.paths.source if self.digest is None else f"{self.paths.source}/{self._key}"
        return DkmsPaths(f"{self._here}/tree", source, self.paths.install)

    @property
    def sources(self) -> str:
        """The new sources."""
        return self._paths.sources(self.name, self.version)

    @property
    def backup(self) -> Backup:
        """Where the old version is moved in the meantime."""
        return Backup(f"{self._here}/old", f"{self.paths.source}/{self._key}/old", f"{self.paths.install}/{self._key}")

    def built(self, release: str) -> str:
        """The folder of the build for a kernel."""
        return f"{self._paths.version(self.name, self.version)}/{release}"

    def lay_out(self, files: t.Callable[[], t.Sequence[SourceFile]]) -> None:
        """Put the sources where they are to be built, and register them in a DKMS tree of their own."""
        if self.digest is not None and digest(read_files(self.host, self.sources)) != self.digest:
            self.clear()
            found = tuple(files())
            if digest(found) != self.digest:
                raise HostError("The sources changed while they were being read.", "Run the play again.")
            write_files(self.host, found, self.sources)
        self.host.make_directory(f"{self._here}/tree")
        if self.host.link(f"{self._paths.version(self.name, self.version)}/source") is None:
            self._dkms().add()

    def is_built(self, release: str) -> bool:
        """Whether there was a build for a kernel already, be it that it was refused."""
        return self.host.exists(self._mark(release))

    def build(self, release: str, arch: str, seconds: float, jobs: int | None = None) -> None:
        """Build for a kernel; with ``jobs`` beside other builds of the package, by so many compilers.

        Raises HostError with the log's last lines in ``facts``.
        """
        self.host.remove_tree(self.built(release))
        paths = self._paths if jobs is None else dataclasses.replace(self._paths, tree=f"{self._here}/apart/{release}")
        try:
            code = self._run(paths, release, arch, seconds, jobs)
        except HostError as error:
            raise self._failure(paths, release, error) from error
        made = f"{paths.version(self.name, self.version)}/{release}"
        if code not in NOT_FOR_KERNEL and not built_modules(self.host, f"{made}/{arch}"):
            raise HostError(f"DKMS built no module of {self.name} {self.version} for kernel {release}.", "Read the package's dkms.conf.")
        if code not in NOT_FOR_KERNEL and jobs is not None:
            self.host.rename(made, self.built(release))
        self.host.make_directory(f"{self._here}/done")
        self.host.write_atomic(self._mark(release), EXCLUDED.encode() if code in NOT_FOR_KERNEL else b"")

    def _run(self, paths: DkmsPaths, release: str, arch: str, seconds: float, jobs: int | None) -> int:
        dkms = DkmsCommand(self.host, paths, self.name, self.version)
        if jobs is not None:
            self.host.remove_tree(paths.tree)
            self.host.make_directory(paths.tree)
            dkms.add()
        return dkms.build(release, arch, seconds, jobs).rc

    def excluded(self, release: str) -> str | None:
        """Why DKMS refused a kernel, None if it did not."""
        return self.host.text_or_none(self._mark(release)) or None

    def clear(self) -> None:
        """Remove what every staged build has left behind, this one and those of runs that were killed."""
        for folder in staged_folders(self.host, self.paths):
            self.host.remove_tree(folder)

    def _dkms(self) -> DkmsCommand:
        return DkmsCommand(self.host, self._paths, self.name, self.version)

    def _mark(self, release: str) -> str:
        return f"{self._here}/done/{release}"

    def _failure(self, paths: DkmsPaths, release: str, error: HostError) -> HostError:
        place = f"{paths.version(self.name, self.version)}/build/"
        text = self.host.text_or_none(f"{place}make.log") or f"{error.facts.get('stdout', '')}\n{error.facts.get('stderr', '')}"
        lines = text.replace(place, "").strip().splitlines()[-LAST_LINES:]
        reason = _not_exported(text) or next((line.strip() for line in lines if "error:" in line.lower()), error.msg)
        return HostError(
            f"{self.name} {self.version} cannot be built for kernel {release}: {reason}",
            "Nothing was changed on the host. `log` has the last lines of the build's log.",
            {"log": "\n".join(lines), "kernel": release},
        )


def _not_exported(log: str) -> str | None:
    """The sentence on symbols that modpost did not find."""
    names = sorted(set(UNDEFINED.findall(log)))
    if not names:
        return None
    return f"the kernel does not export {listed(names, MOST_NAMES)}, which the driver uses."


@dataclasses.dataclass(frozen=True)
class ExpectedModule:
    """A module that a package must have, and the aliases that the module must have."""

    name: str
    aliases: tuple[str, ...] = ()

    def result(self) -> Result:
        return {"aliases": list(self.aliases)}


def no_module(name: str, release: str, found: t.Iterable[str]) -> HostError:
    """The error for a module that a package does not have, of those that it has."""
    return HostError(
        f"The package has no module {name} for kernel {release}; it has {', '.join(found) or 'none'}.",
        "Check BUILT_MODULE_NAME in its dkms.conf, and the option modules or its modules.json.",
    )


def parse_manifest(text: str, where: str) -> tuple[ExpectedModule, ...]:
    """The modules that a package's modules.json lists: ``{"modules": [{"name": …, "aliases": […]}]}``."""
    try:
        data = json.loads(text)
        modules = [(module["name"], module.get("aliases", [])) for module in data["modules"]]
        if not all(isinstance(part, str) for name, aliases in modules for part in (name, *aliases)):
            raise TypeError("names and aliases must be strings")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HostError(
            f"{where} is not a list of modules: {error}.", 'The format is {"modules": [{"name": "…", "aliases": ["…"]}]}.'
        ) from error
    return tuple(ExpectedModule(name, tuple(aliases)) for name, aliases in modules)


def check_build(host: Host, release: str, modules: t.Mapping[str, str], expected: t.Sequence[ExpectedModule]) -> dict[str, ModuleInfo]:
    """The built modules' information.  Raises HostError if one is for another kernel, or lacks an expected alias."""
    found = {name: ModuleInfo.read(host, path) for name, path in modules.items()}
    for name, info in found.items():
        if not info.fits(release):
            raise HostError(
                f"{modules[name]} is built for '{info.vermagic or 'no kernel'}', not for kernel {release}.",
                f"Check where /lib/modules/{release}/build leads.",
            )
    known = {normalize_module_name(name): info for name, info in found.items()}
    for wanted in expected:
        built = known.get(normalize_module_name(wanted.name))
        if built is None:
            raise no_module(wanted.name, release, found)
        lacking = sorted(set(wanted.aliases) - set(built.aliases))
        if lacking:
            raise HostError(
                f"Module {wanted.name} for kernel {release} lacks the alias {lacking[0]}.",
                f"It has {', '.join(built.aliases) or 'none'}. Check its device table, and modules or the package's modules.json.",
            )
    return found


def check_installation(
    host: Host, paths: DkmsPaths, release: str, modules: t.Mapping[str, str], found: t.Mapping[str, ModuleInfo]
) -> dict[str, str]:
    """The file that the kernel will load for each module.  Raises HostError if it is not as built, or depmod lacks its aliases."""
    installed = installed_modules(host, paths, release, modules)
    for name, built in modules.items():
        path = installed.get(name)
        if path is None or not host.is_file(path):
            raise HostError(
                f"DKMS did not install module {name} for kernel {release}.", "Run the module again with -vvv to see the output of DKMS."
            )
        if not is_same_file(host, path, built):
            raise HostError(
                f"Kernel {release} would load {path}, which is not the module {name} that DKMS built ({built}).",
                "Another package has a module of that name. Remove it, or change depmod's search order in /etc/depmod.d.",
            )
    known = b"\n" + host.read_bytes(f"{paths.install}/{release}/modules.alias")
    for name, info in found.items():
        for alias in info.aliases:
            line = f"\nalias {alias} {normalize_module_name(name)}\n".encode("utf-8", "surrogateescape")
            if line not in known:
                raise HostError(
                    f"{paths.install}/{release}/modules.alias does not have {alias} for module {name}.", f"Run `depmod {release}`."
                )
    return installed
