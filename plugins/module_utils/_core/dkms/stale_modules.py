# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a package's modules in a kernel's module tree, where DKMS installs to, that DKMS does not remove.

DKMS 3 removes a file only if it recognises its version.  Any other file stays, and DKMS 3.2 regards it as the kernel's own at
the next installation: do_install() archives it below ``original_module``, and do_uninstall() restores it.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import dkms_folder
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import absolute, built_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import dep_lines
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import PackageState
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

OWN = "updates/dkms"
"""DKMS's folder on Debian, Ubuntu and Arch; nothing else uses it anywhere."""
SHARED = ("extra", "updates", "weak-updates")
"""Folders that others install to as well: a file in them is a package's only if its version is one of the package's."""
DESTINATION = re.compile(r"""^[ \t]*DEST_MODULE_LOCATION\[\d+\]=["']?([^"'\s#$]+)""", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class StaleModule:
    """A file of one of the package's modules, for a kernel for which DKMS no longer lists the package."""

    release: str
    path: str
    version: str


def module_files(
    host: Host,
    paths: DkmsPaths,
    package: str,
    release: str,
    modules: t.Iterable[str],
    versions: t.Container[str] | None = None,
) -> tuple[str, ...]:
    """The files of these modules where DKMS installs to, with any suffix, except those of other DKMS packages.

    In folders that others install to as well, only those of the package's ``versions``, or of those in DKMS's tree, and links to them.
    """
    wanted = {normalize_module_name(name) for name in modules} - modules_of_others(host, paths, package, release).keys()
    own = tuple(dict.fromkeys((OWN, destination(host))))
    known = _versions_of(host, paths, package) if versions is None else versions
    found = []
    for folder in dict.fromkeys((*own, *_conf_folders(host, paths, package), *SHARED)):
        here = f"{paths.install}/{release}/{folder}"
        files = [f"{here}/{name}" for name in host.names(here) if module_name(name) in wanted and not host.is_dir(f"{here}/{name}")]
        found += files if folder in own else [path for path in files if _belongs(host, path, known)]
    return tuple(found)


def destination(host: Host) -> str:
    """The folder in a kernel's module tree that DKMS installs to on this host, unless each dkms.conf says it."""
    return dkms_folder(host) or OWN


def missing_folders(host: Host, paths: DkmsPaths, package: str, release: str) -> tuple[str, ...]:
    """Those that DKMS makes when it installs a package for a kernel, the outer ones first."""
    tree = f"{paths.install}/{release}"
    folders = (destination(host), *_conf_folders(host, paths, package))
    parts = (folder.split("/")[:count] for folder in folders for count in range(1, folder.count("/") + 2))
    return tuple(path for path in dict.fromkeys("/".join((tree, *names)) for names in parts) if not host.exists(path))


def _conf_folders(host: Host, paths: DkmsPaths, package: str) -> t.Iterator[str]:
    """DEST_MODULE_LOCATION of the package's versions, which DKMS follows on distributions that it does not know."""
    for version in _versions_of(host, paths, package):
        text = host.text_or_none(f"{paths.sources(package, version)}/dkms.conf") or ""
        for match in DESTINATION.finditer(text):
            folder = match[1].strip("/")
            # The kernel's own modules are there; DKMS archives the one that it replaces, and puts it back.
            if folder and folder.split("/")[0] != "kernel" and ".." not in folder.split("/"):
                yield folder


def _versions_of(host: Host, paths: DkmsPaths, package: str) -> frozenset[str]:
    return frozenset(name for name in host.names(f"{paths.tree}/{package}") if not name.startswith((".", "kernel-")))


def _belongs(host: Host, path: str, versions: t.Container[str]) -> bool:
    """Whether a file in a shared folder is the package's; a link that weak-modules made leads to a file of another kernel's folder."""
    if host.link(path) is not None and not host.exists(path):
        return "/weak-updates/" in path
    return (_version(host, path) or "") in versions


def known_modules(host: Host, paths: DkmsPaths, state: PackageState) -> frozenset[str]:
    """The modules of the versions on the host, from their builds and their dkms.conf."""
    names = {name for version in state.versions.values() for build in version.builds.values() for name in build.modules}
    for version in state.versions:
        path = f"{paths.sources(state.name, version)}/dkms.conf"
        if host.is_file(path):
            names.update(DkmsConf(host.read_text(path), path).modules)
    return frozenset(names)


def read_stale_modules(
    host: Host, paths: DkmsPaths, state: PackageState, modules: t.Collection[str], versions: t.Container[str]
) -> tuple[StaleModule, ...]:
    """Modules of the package, in these versions, for kernels for which DKMS lists none of its versions."""
    releases = (release for release in host.names(paths.install) if release not in state.active and not release.startswith("."))
    files = ((release, path) for release in releases for path in module_files(host, paths, state.name, release, modules, versions))
    found = (StaleModule(release, path, _version(host, path) or "") for release, path in files)
    return tuple(module for module in found if module.version in versions or not host.exists(module.path))


def check_removed(host: Host, paths: DkmsPaths, package: str, release: str, modules: t.Iterable[str]) -> None:
    """Raise HostError if a kernel still has a file of one of these modules in DKMS's folder."""
    left = module_files(host, paths, package, release, modules)
    if left:
        raise HostError(f"{left[0]} still exists although DKMS removed {package} from kernel {release}.", "Remove it manually.")


def read_stale_indices(host: Host, paths: DkmsPaths, modules: t.Collection[str]) -> tuple[str, ...]:
    """The kernels whose files of depmod name a module that is gone: a removal that was killed leaves them behind."""
    releases = (release for release in host.names(paths.install) if not release.startswith("."))
    return tuple(release for release in releases if _forgotten(host, paths, release, modules))


def _forgotten(host: Host, paths: DkmsPaths, release: str, modules: t.Iterable[str]) -> tuple[str, ...]:
    """The modules that depmod's files of a kernel name and whose files are gone: of these, and of those that are not the kernel's own."""
    here = f"{paths.install}/{release}"
    if not host.is_file(f"{here}/modules.dep"):
        return ()
    files = {line.name: line.path for line in dep_lines(host.read_text(f"{here}/modules.dep"))}
    wanted = {normalize_module_name(name) for name in modules}
    checked = {name: path for name, path in files.items() if name in wanted or not path.startswith("kernel/")}
    listed = {name for name, path in checked.items() if not host.exists(absolute(here, path))}
    aliases = host.read_text(f"{here}/modules.alias") if host.is_file(f"{here}/modules.alias") else ""
    named = {line.rpartition(" ")[2] for line in aliases.splitlines() if line.startswith("alias ")}
    return tuple(sorted(listed | (named & wanted - files.keys())))


def check_forgotten(host: Host, paths: DkmsPaths, release: str, modules: t.Iterable[str]) -> None:
    """Raise HostError if depmod's files of a kernel still name a module that is gone."""
    stale = _forgotten(host, paths, release, modules)
    if stale:
        raise HostError(f"depmod's files of kernel {release} still name the module {stale[0]}, which is gone.", f"Run `depmod {release}`.")


def modules_of_others(host: Host, paths: DkmsPaths, package: str, release: str) -> dict[str, str]:
    """The modules of other DKMS packages that are installed for a kernel, by their normalized names, and each one's package."""
    others = (name for name in host.names(paths.tree) if name != package and not name.startswith("."))
    links = ((name, f"{paths.tree}/{name}/{entry}") for name in others for entry in host.names(f"{paths.tree}/{name}"))
    active = (
        (name, link) for name, link in links if link.rsplit("/", 1)[1].startswith(f"kernel-{release}-") and host.link(link) is not None
    )
    return {normalize_module_name(module): name for name, link in active for module in built_modules(host, link)}


def _version(host: Host, path: str) -> str | None:
    """The version in a module's file; None if there is none, or if it is not a module."""
    try:
        return ModuleInfo.read(host, path).version
    except HostError:
        return None
