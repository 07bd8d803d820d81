# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is needed of a module's file, read in one pass."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked_bytes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.driver_tables import Tables, read_tables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo, Signer
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.fingerprint import Fingerprint, build_id
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, Kernel, built_in_modules, dep_lines
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import digest_of, module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


class NoModuleError(HostError):
    """The file does not exist, or the kernel would not accept it as a module."""


@dataclasses.dataclass(frozen=True)
class ModuleContent:
    """A module's information and its PCI drivers."""

    info: ModuleInfo
    tables: Tables
    build_id: str | None = None
    digests: tuple[str, ...] = ()
    """What identifies the file as it is, and without its compression, if that differs."""

    @classmethod
    def parse(cls, module: bytes, where: str) -> ModuleContent:
        """Raises NoModuleError, naming the file ``where``, if ``module`` is not a kernel module."""
        try:
            elf = Elf.parse(module)
            info = ModuleInfo.of(elf)
            return cls(info, read_tables(elf, info.aliases), build_id(elf))
        except NotElfError as error:
            raise NoModuleError(f"{where} is not a kernel module: {error}.") from error

    @classmethod
    def of_file(cls, host: Host, content: bytes, where: str) -> ModuleContent:
        """Of a module's file, compressed or not.  Raises NoModuleError, naming the file ``where``."""
        try:
            plain = unpacked_bytes(host, content)
        except CorruptFileError as error:
            raise NoModuleError(f"{where} is not a kernel module: {error.msg}.") from error
        digests = [digest_of((one,)) for one in ((content,) if plain is content else (content, plain))]
        return dataclasses.replace(cls.parse(plain, where), digests=tuple(digests))

    def is_same_build(self, other: ModuleContent) -> bool:
        """Whether both are from one run of the compiler: what was stripped or signed afterwards keeps the linker's build ID."""
        if not {*self.digests}.isdisjoint(other.digests):
            return True
        return self.build_id is not None and self.build_id == other.build_id

    @classmethod
    def read(cls, host: Host, path: str, cache: Cache | None = None) -> ModuleContent:
        """Read a module's file, compressed or not; an unchanged file is read once.  Raises HostError, or NoModuleError."""
        if not host.exists(path):
            raise NoModuleError(f"{path} is missing.")
        return host.once("module", [path], lambda: _read(host, path, cache))

    def to_cache(self) -> dict[str, t.Any]:
        """A representation in JSON."""
        signer = self.info.signer and [self.info.signer.name, *(part.hex() for part in self.info.signer.key)]
        types = {name: [kind.kind, kind.limit] for name, kind in self.info.types.items()}
        info = {**vars(self.info), "signer": signer, "types": types}
        drivers = [
            [driver.name, driver.asynchronous, [list(vars(entry).values()) for entry in driver.ids]] for driver in self.tables.drivers
        ]
        tables = {"drivers": drivers, "synchronous": sorted(self.tables.synchronous), "complete": self.tables.complete}
        return {"info": info, **tables, "build_id": self.build_id, "digests": list(self.digests)}

    @classmethod
    def from_cache(cls, kept: t.Any) -> ModuleContent:
        """Raises TypeError, KeyError or ValueError for a value that `to_cache()` did not write."""
        types = {name: ParameterType(*kind) for name, kind in kept["info"]["types"].items()}
        signer = kept["info"]["signer"] and Signer(kept["info"]["signer"][0], *map(bytes.fromhex, kept["info"]["signer"][1:]))
        info = {**kept["info"], "aliases": tuple(kept["info"]["aliases"]), "signer": signer, "types": types}
        drivers = tuple(PciDriver(name, tuple(PciId(*entry) for entry in ids), asynchronous) for name, asynchronous, ids in kept["drivers"])
        tables = Tables(drivers, frozenset(kept["synchronous"]), kept["complete"])
        return cls(ModuleInfo(**info), tables, kept["build_id"], tuple(kept["digests"]))


def _read(host: Host, path: str, cache: Cache | None) -> ModuleContent:
    if cache is None:
        return _parsed(host, path)
    return cache.remembered("module", path, lambda: _parsed(host, path), ModuleContent.to_cache, ModuleContent.from_cache)


def _parsed(host: Host, path: str) -> ModuleContent:
    return ModuleContent.of_file(host, host.read_large(path), path)


def module_path(kernel: Kernel, name: str) -> str | None:
    """The file of a kernel's module, by normalized name; None if it has none, or not yet."""
    path = kernel.modules.get(name)
    return posixpath.join(MODULES, kernel.release, path) if path else None


def own_name(host: Host, kernel: Kernel, module: str) -> str:
    """The name by which the kernel knows a module once it is loaded: Debian's nvidia_current is nvidia. Without a file, the file's name."""
    path = module_path(kernel, module)
    try:
        return (path and ModuleContent.read(host, path).info.name) or module
    except HostError:
        return module


@dataclasses.dataclass(frozen=True)
class InstalledModules:
    """Path and fingerprint of each module's file, by normalized name.  Those in ``missing`` have no file and are not built in."""

    paths: t.Mapping[str, str]
    fingerprints: t.Mapping[str, Fingerprint]
    missing: tuple[str, ...] = ()

    @classmethod
    def read(cls, host: Host, release: str, names: t.Iterable[str]) -> InstalledModules:
        """These modules of kernel ``release`` and their dependencies.  Raises HostError if its files cannot be read."""
        here = f"{MODULES}/{release}"
        # depmod lists the indirect dependencies of each module too.
        table = _dependencies(host, f"{here}/modules.dep")
        built_in = host.read_text(f"{here}/modules.builtin") if host.is_file(f"{here}/modules.builtin") else ""
        built_ins = frozenset(built_in_modules(built_in))
        wanted = sorted(set(names))
        files = {path for name in wanted for path in table.get(name, ())}
        paths = {name: f"{here}/{path}" for path in sorted(files) for name in (module_name(path),) if name is not None}
        fingerprints = {name: _fingerprint(host, path) for name, path in paths.items()}
        return cls(paths, fingerprints, tuple(name for name in wanted if name not in table and name not in built_ins))


def _fingerprint(host: Host, path: str) -> Fingerprint:
    return host.once("fingerprint", [path], lambda: Fingerprint.of(host, host.read_large(path), path))


def _dependencies(host: Host, path: str) -> t.Mapping[str, tuple[str, ...]]:
    """By a module's name its file and those that it needs."""

    def read() -> t.Mapping[str, tuple[str, ...]]:
        return {line.name: (line.path, *line.needed.split()) for line in dep_lines(host.read_text(path))}

    return host.once("dependencies", [path], read)
