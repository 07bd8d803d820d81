# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed kernels of a host: their modules, loadable and built in, and the aliases of these."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import NEAR, HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import text_in
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import index_file
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import BUSES, AliasIndex, AliasMatch, normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


MODULES = "/lib/modules"
ALIASES = "modules.alias"
OSRELEASE = "/proc/sys/kernel/osrelease"
_DEP_LINE = re.compile(r"^((?:[^:\n]*/)?([^/:\n]+?)\.ko(?:\.(?:gz|xz|zst))?):[ \t]*(.*)$", re.MULTILINE)
_BUILTIN_LINE = re.compile(r"^(?:[^\n]*/)?([^/\n]+?)\.ko$", re.MULTILINE)
# Where distributions put the kernel: Debian and most others; ppc64el; arm64; Fedora and rpm-ostree.
IMAGES = ("/boot/vmlinuz-{0}", "/boot/vmlinux-{0}", "/boot/Image-{0}", "/lib/modules/{0}/vmlinuz")
VARIANT_SUFFIX = "_vfio_pci"
"""How the modules of VFIO drivers for certain devices end."""
OF_VFIO = ("vfio", "vfio_pci_core", "vfio_iommu_type1", "vfio_virqfd", "vfio_mdev", "mdev", "iommufd")
"""Modules that guides load beside vfio-pci, and that register no driver of the PCI bus."""
PENDING = ""
"""The path of a module that is not installed yet."""


class DepLine(t.NamedTuple):
    """A line of depmod's `modules.dep`: the module's normalized name, its file and those that it needs, below the kernel's folder."""

    name: str
    path: str
    needed: str


def dep_lines(modules_dep: str) -> list[DepLine]:
    """The modules that depmod has found, in its order."""
    return [DepLine(normalize_module_name(name), path, needed) for path, name, needed in _DEP_LINE.findall(modules_dep)]


def built_in_modules(modules_builtin: str) -> tuple[str, ...]:
    """The normalized names of the modules in `modules.builtin`, in the order in which they were linked."""
    return tuple(normalize_module_name(name) for name in _BUILTIN_LINE.findall(modules_builtin))


@dataclasses.dataclass(frozen=True)
class PendingModule:
    """A module that another task of the same play will install: in check mode it is not there yet.

    ``kernels`` are those for which it is installed then, None for all; those in ``new_for`` have none yet, or one of other sources.
    """

    name: str
    aliases: tuple[str, ...] = ()
    kernels: tuple[str, ...] | None = None
    new_for: tuple[str, ...] = ()
    replaces_loaded: bool = False
    """Whether the running kernel has loaded another version of it than there will be, as far as that is known before it is built."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel's modules.  ``modules`` has paths below /lib/modules/<release> by normalized name; ``builtins`` normalized names."""

    release: str
    modules: t.Mapping[str, str]
    builtins: frozenset[str]
    has_headers: bool
    index: AliasIndex
    needed: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The dependencies of each module, as modules.dep lists them after the colon."""
    absent: frozenset[str] = frozenset()
    """VFIO modules that depmod's files name and that are gone, as after a removal that was cut off; known after `checked()`."""
    replaced: frozenset[str] = frozenset()
    """Loaded modules of which another version will be installed; known after `with_pending()`."""

    @classmethod
    def read(cls, host: FileTree, release: str) -> Kernel:
        """Raises HostError if the kernel's modules are not installed."""
        here = f"{MODULES}/{release}"
        if not host.is_file(f"{here}/modules.dep"):
            raise HostError(
                f"Kernel {release} has no {here}/modules.dep: its modules are not installed.",
                f"Install that kernel's modules, or run `depmod {release}`; this host has {_listed(installed_releases(host))}.",
            )
        listed = dep_lines(host.read_text(f"{here}/modules.dep"))
        modules = {name: path for name, path, _needed in listed}
        needed = {name: files for name, _path, files in listed if files}
        builtins = frozenset(built_in_modules(text_in(host, f"{here}/modules.builtin")))
        index = AliasIndex.parse(alias_text(host, here), text_in(host, f"{here}/modules.builtin.modinfo"))
        return cls(release, modules, builtins, host.is_file(f"{here}/build/Makefile"), index, needed)

    def checked(self, host: FileTree) -> Kernel:
        """The kernel with those of its VFIO modules in ``absent`` whose files do not exist."""
        here = f"{MODULES}/{self.release}"
        paths = {module: self.modules.get(module) for module in self.vfio_modules - self.builtins}
        gone = {
            module
            for module, path in paths.items()
            if path is None or (path != PENDING and not host.is_file(path if path.startswith("/") else f"{here}/{path}"))
        }
        return dataclasses.replace(self, absent=frozenset(gone)) if gone != self.absent else self

    def has(self, module: str) -> bool:
        """Whether the kernel has the module, loadable or built in."""
        return normalize_module_name(module) in self.modules or normalize_module_name(module) in self.builtins

    def dependencies(self, module: str) -> tuple[str, ...]:
        """The modules that kmod inserts before this one, in order: the line in modules.dep, reversed.

        The line includes indirect dependencies.  (kmod_module_parse_depline() in libkmod-module.c)
        """
        paths = self.needed.get(normalize_module_name(module), "").split()
        return tuple(name for path in reversed(paths) for name in (module_name(path),) if name is not None)

    def natives(self, modalias: str) -> tuple[AliasMatch, ...]:
        """The modules that udev loads for a device by its modalias, in that order; built-in ones first.

        The aliases of built-in drivers are known since Linux 6.18 only.
        """
        if modalias not in self._natives:
            self._natives[modalias] = _first_of_each(self.index.matches("pci", modalias))
        return self._natives[modalias]

    def aliased(self, name: str) -> tuple[tuple[str, str], ...]:
        """What kmod finds for a modalias or another name of modules that drive PCI functions: aliases and modules, in depmod's order."""
        bus = name.partition(":")[0]
        if bus not in BUSES:
            return self.index.named(name)
        found = self.natives(name) if bus == "pci" else _first_of_each(self.index.matches(bus, name))
        return tuple((match.alias, match.module) for match in found if match.order >= 0)

    def variants(self, modalias: str) -> tuple[AliasMatch, ...]:
        """VFIO drivers for a device, best first: fewest wildcards, then depmod's order, as libvirt 10 chooses.

        vfio_pci, which matches everything, is the last one.  (libvirt: virPCIDeviceFindBestVFIOVariant() in src/util/virpci.c)
        """
        if modalias not in self._variants:
            found = self.index.matches("vfio_pci", modalias)
            self._variants[modalias] = _first_of_each(sorted(found, key=lambda match: (match.wildcards, match.order)))
        return self._variants[modalias]

    def best_variant(self, modalias: str) -> AliasMatch | None:
        return next(iter(self.variants(modalias)), None)

    def best_present(self, modalias: str, without: t.Container[str] = ()) -> AliasMatch | None:
        """The best VFIO driver whose module exists."""
        found = (match for match in self.variants(modalias) if match.module not in self.absent and match.module not in without)
        return next(found, None)

    @functools.cached_property
    def _natives(self) -> dict[str, tuple[AliasMatch, ...]]:
        """Results by modalias: a forecast asks repeatedly."""
        return {}

    @functools.cached_property
    def _variants(self) -> dict[str, tuple[AliasMatch, ...]]:
        return {}

    @functools.cached_property
    def vfio_modules(self) -> frozenset[str]:
        """vfio_pci and the variant drivers: the modules with a `vfio_pci:` alias, and built-in ones, which have none before Linux 6.18."""
        return self.index.modules("vfio_pci") | {name for name in self.builtins if f"_{name}".endswith(VARIANT_SUFFIX)}

    def with_pending(self, pending: t.Sequence[PendingModule]) -> Kernel:
        """The kernel as it will be when these modules are installed."""
        pending = [module for module in pending if module.kernels is None or self.release in module.kernels]
        if not pending:
            return self
        aliases = {normalize_module_name(module.name): module.aliases for module in pending}
        modules = {**self.modules, **{name: self.modules.get(name, PENDING) for name in aliases}}
        replaced = self.replaced | {normalize_module_name(module.name) for module in pending if module.replaces_loaded}
        index, absent = self.index.replaced(aliases), self.absent - aliases.keys()
        return dataclasses.replace(self, modules=modules, index=index, absent=absent, replaced=replaced)

    def nearest(self, name: str) -> str | None:
        """The module with the most similar name, for "did you mean"."""
        return next(iter(difflib.get_close_matches(normalize_module_name(name), [*self.modules, *self.builtins], 1, NEAR)), None)


def alias_text(host: FileTree, here: str) -> str:
    """depmod's text, or what its index says, which kmod alone reads, where somebody has removed the text."""
    place = f"{here}/{ALIASES}"
    if host.is_file(place) or not host.is_file(f"{place}.bin"):
        return text_in(host, place)
    return index_file.text_of(f"{ALIASES}.bin", host.head(f"{place}.bin", index_file.LARGEST) or b"") or ""


def running_release(host: FileTree) -> str:
    """The release of the running kernel.  Raises HostError if none runs, as in an image."""
    return host.read_text(OSRELEASE).strip()


def installed_releases(host: FileTree) -> tuple[str, ...]:
    """The releases, oldest first, that have modules and either can be booted or are running."""
    running = host.text_or_none(OSRELEASE)
    found = [
        release
        for release in host.names(MODULES)
        if host.is_file(f"{MODULES}/{release}/modules.dep")
        and (release == running or any(host.exists(image.format(release)) for image in IMAGES))
    ]
    return tuple(sorted(found, key=version_key))


def read_all(host: Host, releases: t.Sequence[str] | None = None) -> tuple[Kernel, ...]:
    """These kernels, or all installed ones.  Raises HostError if the modules of one are not installed."""
    return tuple(Kernel.read(host, release).checked(host) for release in (installed_releases(host) if releases is None else releases))


def version_key(release: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key for releases: 6.9 before 6.12, 7.3-rc7 and 7.3~rc7 before 7.3."""
    parts = re.findall(r"\d+|~|[^\d~]+", release.replace("-rc", "~rc"))
    key = [(2, int(part), "") if part.isdigit() else (-1 if part == "~" else 1, 0, part) for part in parts]
    return (*key, (0, 0, ""))


def unknown_module_error(name: str, kernels: t.Sequence[Kernel], option: str, keywords: t.Sequence[str] = ()) -> HostError:
    """The error for a module name that none of these kernels has; ``keywords`` are what the option takes beside modules."""
    candidates = (kernel.nearest(name) for kernel in reversed(kernels))
    nearest = next(iter(difflib.get_close_matches(name.lower(), keywords, 1, NEAR)), None) or next(filter(None, candidates), None)
    where = f" in {_listed([kernel.release for kernel in kernels])}" if kernels else ", as no kernel is installed with its modules"
    is_variant = normalize_module_name(name).endswith(VARIANT_SUFFIX)
    # What one variant is called is like what every other is called, and vfio-pci.
    is_meant = nearest is not None and not (is_variant and f"_{nearest}".endswith(VARIANT_SUFFIX) and not _is_like(name, nearest))
    meant = f"Did you mean {nearest}? " if is_meant else ""
    built = ", or have it built (vfio_drivers_variants, for a variant of the kernel's own)" if is_variant else ""
    return HostError(
        f"{option}: there is no module {cut(name)}{where}.",
        f"{meant}Check the spelling, or install the package that has the module{built}.",
    )


def variant_name(module: str) -> str:
    """What a variant is called in options: its module's name, without the ending that all have."""
    plain = normalize_module_name(module)
    return plain[: -len(VARIANT_SUFFIX)] if plain.endswith(VARIANT_SUFFIX) else plain


def _is_like(name: str, other: str) -> bool:
    """Whether two variants' names are like each other without the ending that all of them have."""
    first, second = (f"_{normalize_module_name(one)}"[: -len(VARIANT_SUFFIX)] for one in (name, other))
    return bool(difflib.get_close_matches(first, [second], 1, NEAR))


def _first_of_each(matches: t.Iterable[AliasMatch]) -> tuple[AliasMatch, ...]:
    seen: dict[str, AliasMatch] = {}
    for match in matches:
        seen.setdefault(match.module, match)
    return tuple(seen.values())


def _listed(releases: t.Sequence[str]) -> str:
    return ", ".join(releases) if releases else "no installed kernel"


ALL = "all"
RUNNING = "running"


def chosen_releases(host: Host, wanted: t.Sequence[str], others: t.Sequence[str] = ()) -> tuple[str, ...]:
    """The releases that ``all``, ``running`` or a list of releases stands for, each once; ``others`` are further words of the option.

    Raises HostError if that names no kernel, or, naming the release, one that is not installed.
    """
    # In an image no kernel runs.
    words = (*others, ALL, *((RUNNING,) if host.is_file(OSRELEASE) else ()))
    if not wanted:
        raise HostError("kernels: the list is empty.", f"Give {', '.join(words)} or releases, or leave kernels out.")
    installed = installed_releases(host)
    named = (item for item in wanted if item != ALL)
    here = running_release(host) if RUNNING in words and ALL not in wanted else RUNNING
    releases = dict.fromkeys(here if item == RUNNING else item for item in named)
    for release in releases:
        if release == RUNNING and RUNNING not in words and ALL not in wanted:
            raise HostError("kernels: no kernel runs in an image.", _allowed(installed, words))
        if release not in installed and release != RUNNING:
            raise _unknown(release, installed, words)
    return installed if ALL in wanted else tuple(releases)


def no_kernel_error(host: Host) -> HostError:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import unmounted

    hint = next(iter(unmounted.said(host)), "Install one.")
    return HostError("kernels: this host has no kernel that is installed with its modules and its image.", hint)


def _allowed(installed: tuple[str, ...], words: t.Sequence[str]) -> str:
    if not installed:
        return "No kernel is installed together with its modules."
    return f"Allowed are {', '.join(words)}, and the installed {', '.join(installed)}."


def _unknown(release: str, installed: tuple[str, ...], words: t.Sequence[str]) -> HostError:
    there = _allowed(installed, words)
    name = cut(release) if release.isprintable() and release.strip() else shown(release)
    meant = difflib.get_close_matches(release.lower(), words, 1, NEAR)
    return HostError(f"kernels: kernel {name} is not installed.", f"Did you mean {meant[0]}? {there}" if meant else there)
