# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package in DKMS's tree and in the kernels' module trees.

Read from the trees themselves: the format of ``dkms status`` has changed three times, and it does not show whether the file
in /lib/modules is the one that DKMS built.

    <tree>/<name>/<version>/source -> <source>/<name>-<version>      registered
    <tree>/<name>/<version>/<release>/<arch>/module/<module>.ko[.xz]  built
    <tree>/<name>/kernel-<release>-<arch> -> <version>/<release>/<arch>  installed, if the module tree has the same file
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import digest, read_files
from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import PATH
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import compiler_folder
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, dep_lines
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import FILE_NAME, is_same_file

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Completed
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


# Names in a version's folder that are not kernels: remove_module() in /usr/sbin/dkms
NOT_KERNELS = frozenset(("build", "source", "tarball", "driver_disk", "rpm", "deb"))


@dataclasses.dataclass(frozen=True)
class Build:
    """Modules built for a kernel: file in DKMS's tree by module name."""

    release: str
    arch: str
    modules: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of a package.  ``digest`` is that of its sources, None if there are none."""

    version: str
    registered: bool
    digest: str | None
    builds: t.Mapping[str, Build]
    """By kernel release."""


@dataclasses.dataclass(frozen=True)
class Active:
    """The version that DKMS has installed for a kernel; ``modules`` are the files in the module tree by module name.

    ``sound`` if each of them is the file that DKMS built, and the one that modprobe would load.
    """

    version: str
    release: str
    arch: str
    modules: t.Mapping[str, str]
    sound: bool


@dataclasses.dataclass(frozen=True)
class PackageState:
    """A package on a host: its versions by name, and the active one by kernel release."""

    name: str
    versions: t.Mapping[str, Version]
    active: t.Mapping[str, Active]

    @classmethod
    def read(cls, host: Host, paths: DkmsPaths, name: str) -> PackageState:
        versions = {version: _read_version(host, paths, name, version) for version in _version_names(host, paths, name)}
        active = {}
        for entry in host.names(f"{paths.tree}/{name}"):
            link = host.link(f"{paths.tree}/{name}/{entry}") if entry.startswith("kernel-") else None
            parts = link.split("/")[-3:] if link else []
            if len(parts) == 3 and entry == f"kernel-{parts[1]}-{parts[2]}":
                active[parts[1]] = _read_active(host, paths, versions.get(parts[0]), parts)
        return cls(name, versions, active)


def _version_names(host: Host, paths: DkmsPaths, name: str) -> tuple[str, ...]:
    """Versions in DKMS's tree, and those that have only sources."""
    here = f"{paths.tree}/{name}"
    known = [
        entry for entry in host.names(here) if entry != "original_module" and not entry.startswith(".") and _is_folder(host, here, entry)
    ]
    sources = [folder for folder in host.names(paths.source) if folder.startswith(f"{name}-")]
    return tuple(dict.fromkeys([*known, *(folder[len(name) + 1 :] for folder in sources if _is_source_of(host, paths, folder, name))]))


def _is_folder(host: Host, parent: str, entry: str) -> bool:
    return host.link(f"{parent}/{entry}") is None and host.is_dir(f"{parent}/{entry}")


def _is_source_of(host: Host, paths: DkmsPaths, folder: str, name: str) -> bool:
    # There may be sources of a package whose name begins with this one's.
    path = f"{paths.source}/{folder}/dkms.conf"
    if not host.is_file(path):
        return False
    conf = DkmsConf(host.read_text(path), path)
    try:
        return f"{conf.name}-{conf.version}" == folder and conf.name == name
    except HostError:
        return False


def _read_version(host: Host, paths: DkmsPaths, name: str, version: str) -> Version:
    here, sources = paths.version(name, version), paths.sources(name, version)
    found = digest(read_files(host, sources)) if host.is_file(f"{sources}/dkms.conf") else None
    builds = {}
    for release in host.names(here):
        if release in NOT_KERNELS or release.startswith(".") or not _is_folder(host, here, release):
            continue
        for arch in host.names(f"{here}/{release}"):
            modules = built_modules(host, f"{here}/{release}/{arch}")
            if modules and not arch.startswith("."):
                builds[release] = Build(release, arch, modules)
    return Version(version, host.link(f"{here}/source") is not None, found, builds)


def built_modules(host: Host, folder: str) -> dict[str, str]:
    """The modules that DKMS built in ``<version>/<release>/<arch>``."""
    matches = ((FILE_NAME.fullmatch(name), name) for name in host.names(f"{folder}/module"))
    return {match["name"]: f"{folder}/module/{name}" for match, name in matches if match}


def _read_active(host: Host, paths: DkmsPaths, version: Version | None, parts: t.Sequence[str]) -> Active:
    build = version.builds.get(parts[1]) if version is not None else None
    if build is None:
        return Active(parts[0], parts[1], parts[2], {}, False)
    modules = installed_modules(host, paths, build.release, build.modules)
    sound = len(modules) == len(build.modules) and all(
        host.is_file(path) and is_same_file(host, path, build.modules[module]) for module, path in modules.items()
    )
    return Active(parts[0], parts[1], parts[2], modules, sound)


def installed_modules(host: Host, paths: DkmsPaths, release: str, names: t.Iterable[str]) -> dict[str, str]:
    """The file that modprobe loads for each of these modules: the one that depmod chose."""
    here = f"{paths.install}/{release}"
    known = host.read_text(f"{here}/modules.dep") if host.is_file(f"{here}/modules.dep") else ""
    # Of several of one name the first one counts.
    files = {line.name: line.path for line in reversed(dep_lines(known))}
    found = ((name, files.get(normalize_module_name(name))) for name in names)
    return {name: absolute(here, path) for name, path in found if path is not None}


def absolute(here: str, path: str) -> str:
    """A path of modules.dep, which is relative to the kernel's folder unless the module is elsewhere."""
    return path if path.startswith("/") else f"{here}/{path}"


SECONDS = 300
"""For everything except builds: copying files and, on a slow machine, half a minute of depmod."""
NOT_FOR_KERNEL = frozenset((9, 77))
"""What `dkms build` exits with for a kernel that a package is not for: do_build() of DKMS up to 3.0.10, and since."""


@dataclasses.dataclass(frozen=True)
class DkmsCommand:
    """``dkms`` for a version of a package, with the trees in ``paths``."""

    host: Host
    paths: DkmsPaths
    name: str
    version: str

    def add(self) -> None:
        self._run("add")

    def build(self, release: str, arch: str, seconds: float, jobs: int | None = None) -> Completed:
        """Exit code 0, or one of `NOT_FOR_KERNEL` if the package is not for that kernel.  Raises HostError on any other.

        ``jobs`` is how many compilers it may run at a time; without, DKMS takes as many as there are processors.
        """
        compiler = compiler_folder(self.host, release)
        path = PATH if compiler is None else f"{compiler}:{PATH}"
        bounded = () if jobs is None else ("-j", str(jobs))
        return self._run("build", *_kernel(release, arch), *bounded, seconds=seconds, ok=NOT_FOR_KERNEL | {0}, path=path)

    def install(self, release: str, arch: str) -> None:
        # Without --force DKMS 3.0 keeps a file of the same version without a message, and exits with 0.
        self._run("install", *_kernel(release, arch), "--no-depmod", "--force")

    def uninstall(self, release: str, arch: str) -> None:
        self._run("uninstall", *_kernel(release, arch), "--no-depmod")

    def remove(self) -> None:
        self._run("remove", "--all", "--no-depmod")

    def _run(self, action: str, *arguments: str, seconds: float = SECONDS, ok: t.Container[int] = (0,), path: str = PATH) -> Completed:
        trees = ("--dkmstree", self.paths.tree, "--sourcetree", self.paths.source, "--installtree", self.paths.install)
        argv = ["dkms", action, "-m", self.name, "-v", self.version, *arguments, *trees]
        return self.host.run(argv, seconds, ok=ok, env={"PATH": path})


OF_DEPMOD = re.compile(r"modules\.[a-z.]+\.([0-9]{1,7})\.[0-9]{1,6}\.[0-9]{9,12}", re.ASCII)


def run_depmod(host: Host, release: str) -> None:
    """Run depmod for a kernel, with the kernel's symbols if they are installed."""
    symbols = f"/boot/System.map-{release}"
    known = ("-F", symbols) if host.is_file(symbols) else ()
    for path in depmods_leftovers(host, release):
        host.remove(path)
    host.run(["depmod", "-a", *known, release], SECONDS, env={"PATH": PATH})


def _kernel(release: str, arch: str) -> tuple[str, ...]:
    return ("-k", release, "-a", arch)


def depmods_leftovers(host: Host, release: str) -> tuple[str, ...]:
    """What a depmod that was killed has not renamed any more: `modules.dep.PID.MICROSECONDS.SECONDS` (kmod: tools/depmod.c)."""
    folder = f"{MODULES}/{release}"
    found = ((name, OF_DEPMOD.fullmatch(name)) for name in host.names(folder))
    return tuple(f"{folder}/{name}" for name, match in found if match is not None and not host.start_time(int(match[1])))
