# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `dkms_package` should do, and the wanted package once the sources are known."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf, checked
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule, parse_manifest
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import ABSENT, INSTALLED, BuildLevel
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import digest, read_files, unpack
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import ALL, variant_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

PackageOption = t.Literal["present", "installed", "built", "absent"]
"""The option `state`; the first two mean the same."""
RunStep = t.Literal["look", "build", "finish"]
"""Which part of a run one call of the module is: see the module's action plugin."""
CONF, MANIFEST = "dkms.conf", "modules.json"
VARIANT = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
MODULE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclasses.dataclass(frozen=True)
class FolderOnHost:
    """Sources on the managed host."""

    path: str


@dataclasses.dataclass(frozen=True)
class SentSources:
    """Sources on the controller, as the action plugin describes them; ``archive`` is their copy on the host, once it is there.

    ``digest`` and ``conf`` are None if the module was called without its action plugin.
    """

    path: str
    digest: str | None = None
    conf: str | None = None
    manifest: str | None = None
    archive: str | None = None


@dataclasses.dataclass(frozen=True)
class KernelVariant:
    """One of the kernel's own variants."""

    name: str

    def __post_init__(self) -> None:
        meant = variant_name(self.name.lower())
        if not VARIANT.fullmatch(self.name) or meant != self.name:
            like = f"Did you mean {meant}?" if VARIANT.fullmatch(meant) else "Such are mlx5, nvgrace_gpu, qat and virtio."
            raise HostError(
                f"variant: {cut(self.name)!r} cannot be a variant's name, which is that of its module without the ending _vfio_pci.", like
            )


@dataclasses.dataclass(frozen=True)
class PackageRequest:
    """What `dkms_package` should do.  ``kernels`` are releases, ``all`` or ``running``; ``timeout`` is for each build, in seconds.

    ``modules`` None means those in the sources' own manifest.  ``step`` and ``build`` are the part of the run.
    """

    name: str | None = None
    version: str | None = None
    state: PackageOption = "present"
    kernels: tuple[str, ...] = (ALL,)
    source: FolderOnHost | SentSources | KernelVariant | None = None
    modules: tuple[ExpectedModule, ...] | None = None
    keep_versions: bool = False
    timeout: int = 1800
    step: RunStep = "finish"
    build: tuple[str, ...] = ()
    allow_unsupported: bool = False
    kernel_sources: tuple[str, ...] = ()
    """Folders and archives with kernels' sources, () those of /usr/src."""
    ignore_kconfig: bool = False
    """Whether to build a variant for a kernel without an option that its Kconfig depends on."""

    def __post_init__(self) -> None:
        checked_timeout(self.timeout)
        for place in self.kernel_sources:
            if not place.startswith("/"):
                raise HostError(f"kernel_sources: {cut(place)!r} is not an absolute path.", "Give folders or archives on the managed host.")
        if self.level == ABSENT and self.kernels != (ALL,):
            raise HostError("kernels: state=absent removes the package from all kernels.", "Leave kernels out.")
        for module in self.modules or ():
            if not MODULE.fullmatch(module.name):
                raise HostError(f"modules: {shown(module.name)} cannot be a module's name.", "Give it as lsmod does, without .ko.")

    @property
    def level(self) -> BuildLevel:
        return INSTALLED if self.state == "present" else self.state


@dataclasses.dataclass(frozen=True)
class PackageSource:
    """New sources.  ``files`` returns their contents; None while only their digest is known.

    Of a variant of the kernel's own, ``by_kernel`` has what the modules must have for each kernel; ``skipped`` why there is nothing to
    build for others, ``provided`` those of them that have it themselves, ``advised`` those whose reason says what to do; ``origins``
    where each kernel's files are from.
    """

    conf: DkmsConf
    digest: str
    expected: tuple[ExpectedModule, ...] = ()
    files: t.Callable[[], t.Sequence[SourceFile]] | None = None
    by_kernel: t.Mapping[str, tuple[ExpectedModule, ...]] = dataclasses.field(default_factory=dict)
    skipped: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    provided: frozenset[str] = frozenset()
    advised: frozenset[str] = frozenset()
    origins: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no kernel to build for."""
        return bool(self.skipped) and not self.by_kernel


@dataclasses.dataclass(frozen=True)
class WantedPackage:
    """The request once the sources are known.  ``version`` None means every one, ``expected`` None those of the sources' manifest."""

    name: str
    version: str | None
    level: BuildLevel = INSTALLED
    kernels: tuple[str, ...] = (ALL,)
    source: PackageSource | None = None
    expected: tuple[ExpectedModule, ...] | None = None
    keep_versions: bool = False
    timeout: float = 1800


def read_wanted(host: Host, request: PackageRequest, variant: PackageSource | None = None) -> WantedPackage:
    """The requested package; ``variant`` is that of the request's own.  Raises HostError if the request contradicts the sources."""
    source = _source(host, request.source) if variant is None else variant
    name, version = request.name, request.version
    for option, given in (("name", name), ("version", version)):
        if given is not None:
            checked(given, option)
    if source is not None:
        name = _agreed("name", name, lambda: source.conf.name, source)
        # To remove a package is to remove every version, unless one is given.
        if request.level != ABSENT:
            version = _agreed("version", version, lambda: source.conf.version, source)
    if name is None:
        raise HostError("name: without source, the package's name is needed.", "Set name, or source.")
    return WantedPackage(
        name=name,
        version=version,
        level=request.level,
        kernels=request.kernels,
        source=source,
        expected=request.modules,
        keep_versions=request.keep_versions,
        timeout=request.timeout,
    )


def _agreed(option: str, given: str | None, written: t.Callable[[], str], source: PackageSource) -> str:
    try:
        found = written()
    except HostError:
        if given is None:
            raise
        return given  # only running the file would show it; the user knows
    if given not in (None, found):
        raise HostError(
            f"{option}: {cut(given)} was requested, but {source.conf.where} says {found}.", f"Leave {option} out, or change the file."
        )
    return found


def _source(host: Host, source: FolderOnHost | SentSources | KernelVariant | None) -> PackageSource | None:
    if source is None or isinstance(source, KernelVariant):
        return None
    return _source_on_host(host, source.path) if isinstance(source, FolderOnHost) else _source_from_controller(host, source)


def no_folder(path: str) -> HostError:
    """The error for a file in the place of a package's folder."""
    return HostError(f"source: {cut(path)} is a file.", f"Give the folder with the package's {CONF}; an archive has to be unpacked first.")


def _source_on_host(host: Host, folder: str) -> PackageSource:
    if not folder.startswith("/"):
        raise HostError(f"source: {cut(folder)!r} is not an absolute path.", "Give the folder's whole path, or leave remote_src out.")
    if host.is_file(folder):
        raise no_folder(folder)
    if not host.is_file(f"{folder}/{CONF}"):
        raise HostError(f"source: there is no {cut(folder)}/{CONF} on this host.", "Give the folder with the package's dkms.conf.")
    files = read_files(host, folder)
    texts = {file.name: file.content.decode("utf-8", "surrogateescape") for file in files if file.name in (CONF, MANIFEST)}
    return _described(folder, texts[CONF], texts.get(MANIFEST), digest(files), lambda: files)


def _source_from_controller(host: Host, sent: SentSources) -> PackageSource:
    if sent.digest is None or sent.conf is None:
        raise HostError(
            "source: the sources are on the controller, and only the module's action plugin can send them.",
            "Call the module by its full name vfio.variants.dkms_package, or set remote_src.",
        )
    archive = sent.archive
    files = None if archive is None else lambda: unpack(host.read_sent(archive))
    return _described(sent.path, sent.conf, sent.manifest, sent.digest, files)


def _described(
    folder: str, conf: str, manifest: str | None, found: str, files: t.Callable[[], t.Sequence[SourceFile]] | None
) -> PackageSource:
    expected = parse_manifest(manifest, f"{folder}/{MANIFEST}") if manifest is not None else ()
    return PackageSource(DkmsConf(conf, f"{folder}/{CONF}"), found, expected, files)
