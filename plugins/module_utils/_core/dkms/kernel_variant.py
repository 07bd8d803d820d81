# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of one of the kernel's own variants: for each installed kernel, the driver of the source that this kernel was built from."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.driver_files import DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.kernel_identity import KernelIdentity, SourcePlace, source_places
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree, NotLinuxError, read_tree
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest, PackageSource
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_package import (
    RELEASE,
    VERSION,
    VariantForKernel,
    package_files,
    package_name,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_source import variants_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import kconfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import kernel_config
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import (
    VARIANT_SUFFIX,
    Kernel,
    chosen_releases,
    installed_releases,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_source import Variant
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

# Where a distribution's own modules are in a kernel's module tree.
_OWN = "kernel/"


class NoVariantError(Exception):
    """Why there is nothing to build for a kernel.

    ``provided`` if the kernel has the driver itself, ``advises`` if it says what to do, or what else there is.
    """

    def __init__(self, why: str, provided: bool = False, advises: bool = False) -> None:
        super().__init__(why)
        self.provided = provided
        self.advises = advises


def find(host: Host, wanted: KernelVariant, request: PackageRequest, writes: bool) -> PackageSource:
    """The package for the requested kernels, and for those that have it; ``writes`` says whether what is read may be cached."""
    chosen = chosen_releases(host, request.kernels)
    finder = _Finder(host, wanted, request, writes)
    answers = {release: finder.answer(release, release in chosen) for release in installed_releases(host)}
    found = [answer for answer in answers.values() if isinstance(answer, VariantForKernel)]
    refusals = {release: answer for release, answer in answers.items() if isinstance(answer, NoVariantError)}
    skipped = {release: str(why) for release, why in refusals.items()}
    provided = frozenset(release for release, why in refusals.items() if why.provided)
    advised = frozenset(release for release, why in refusals.items() if why.advises)
    if not found:
        return PackageSource(_conf_of_none(wanted), "", skipped=skipped, provided=provided, advised=advised)
    other = {kernel.release: kernel for kernel in found if kernel.module != found[-1].module}
    skipped.update({release: f"its source calls the module {kernel.module}" for release, kernel in other.items()})
    found = [kernel for kernel in found if kernel.release not in other]
    conf, digest, files = package_files(wanted.name, found)
    return PackageSource(
        conf,
        digest,
        files=lambda: files,
        by_kernel={kernel.release: kernel.expected for kernel in found},
        skipped=skipped,
        provided=provided,
        advised=advised,
        origins={kernel.release: kernel.result() for kernel in found},
    )


def _conf_of_none(wanted: KernelVariant) -> DkmsConf:
    name = package_name(wanted.name)
    return DkmsConf(f'PACKAGE_NAME="{name}"\nPACKAGE_VERSION="{VERSION}"\n', f"{name}-{VERSION}/dkms.conf")


class _Finder:
    """Looks for the source of each kernel, and reads each place once."""

    def __init__(self, host: Host, wanted: KernelVariant, request: PackageRequest, writes: bool) -> None:
        self._host = host
        self._wanted = wanted
        self._cache = Cache(host, writes)
        self._package = DkmsPaths.read(host).sources(package_name(wanted.name), VERSION)
        self._trees: dict[str, LinuxTree] = {}
        self._unreadable: dict[str, HostError] = {}
        self._ignores_kconfig = request.ignore_kconfig
        self._named = bool(request.kernel_sources)
        named = tuple(SourcePlace.read(host, place) for place in request.kernel_sources)
        self._places = named if self._named else source_places(host)

    def answer(self, release: str, is_chosen: bool) -> VariantForKernel | NoVariantError:
        """The driver for a kernel, or why there is nothing to build for it."""
        try:
            return self._of(release, is_chosen)
        except NoVariantError as why:
            return why

    def _of(self, release: str, is_chosen: bool) -> VariantForKernel:
        module = self._wanted.name + VARIANT_SUFFIX
        if self._has_itself(release, module):
            raise NoVariantError(f"kernel {release} has {module} itself", provided=True)
        if not RELEASE.fullmatch(release):
            raise NoVariantError(f"the name of kernel {release} has characters that make does not take in a path")
        kernel = KernelIdentity.read(self._host, release)
        kept = VariantForKernel.kept(self._host, self._package, kernel)
        # What was named may have been changed since; /usr/src has what packages bring.
        if kept is not None and not (self._named and is_chosen):
            return kept
        if not is_chosen:
            raise NoVariantError("it was not asked for")
        return self._new(kernel, kept)

    def _has_itself(self, release: str, module: str) -> bool:
        kernel = Kernel.read(self._host, release)
        return module in kernel.builtins or kernel.modules.get(module, "").startswith(_OWN)

    def _new(self, kernel: KernelIdentity, kept: VariantForKernel | None) -> VariantForKernel:
        if kernel.version is None:
            raise NoVariantError(f"neither headers nor a configuration of kernel {kernel.release} say from which version it was built")
        tree = self._tree_of(kernel)
        if tree is None and kept is not None:
            return kept
        if tree is None:
            raise NoVariantError(self._why_none(kernel), advises=True)
        known = variants_of(tree)
        variant = known.get(self._wanted.name)
        if variant is None:
            others = ", ".join(sorted(known)) or "none"
            unread = "".join(f"; {_unread(tree, name)}" for name in tree.left_out if name.startswith(DRIVERS))
            why = f"Linux {tree.version} has no variant {self._wanted.name}; it has {others}{unread}"
            raise NoVariantError(why, advises=bool(known or unread))
        return self._checked(kernel, tree, variant)

    def _checked(self, kernel: KernelIdentity, tree: LinuxTree, variant: Variant) -> VariantForKernel:
        config = kernel_config(self._host, kernel.release)
        if config is None:
            raise NoVariantError(f"there is no configuration of kernel {kernel.release}, neither in its headers nor in /boot")
        options = kconfig.enabled(config)
        if variant.left_out:
            raise NoVariantError(_unread(tree, variant.left_out[0]), advises=True)
        changed = next((name for name in variant.files if name in tree.patched), None)
        if changed is not None:
            raise NoVariantError(
                f"{tree.where} changes {changed} by {tree.patched[changed]} before it is built: "
                "unpack it with `rpmbuild -bp`, and set kernel_sources to the folder",
                advises=True,
            )
        lacking = variant.lacks(options, self._ignores_kconfig)
        if lacking is not None:
            raise NoVariantError(lacking)
        return VariantForKernel.of(variant, tree, kernel, options)

    def _tree_of(self, kernel: KernelIdentity) -> LinuxTree | None:
        for place in self._places:
            if place.may_be_of(kernel) and place.package in (None, kernel.package or place.package):
                tree = self._found(place)
                if tree is not None and _is_of(tree, place, kernel) and tree.has_code:
                    return tree
        return None

    def _found(self, place: SourcePlace) -> LinuxTree | None:
        """None for what lies in /usr/src and cannot be read: another place there may be the kernel's source."""
        if self._named:
            return self._read(place.path)
        if place.path not in self._unreadable:
            try:
                return self._read(place.path)
            except HostError as error:
                self._unreadable[place.path] = error
        return None

    def _read(self, path: str) -> LinuxTree:
        if path not in self._trees:
            if self._host.is_dir(path):
                self._trees[path] = read_tree(self._host, path)
            else:
                self._trees[path] = self._cache.remembered(
                    "linux_tree", path, lambda: read_tree(self._host, path), LinuxTree.encoded, LinuxTree.decoded
                )
        return self._trees[path]

    def _why_none(self, kernel: KernelIdentity) -> str:
        advice = None if self._named else kernel.source_advice(self._host)
        how = f"{advice}, or set kernel_sources" if advice else "set kernel_sources"
        built = f"kernel {kernel.release} was built from Linux {kernel.version}" + (f" ({kernel.package})" if kernel.package else "")
        places = (place for place in self._places if place.may_be_of(kernel) or (self._named and place.stated))
        others = [what for what in (self._what(place, kernel) for place in places) if what is not None]
        return f"{built}, and {'; '.join(others) if others else 'its source is not on this host'}: {how}"

    def _what(self, place: SourcePlace, kernel: KernelIdentity) -> str | None:
        """Why a place is not the kernel's source; None if it never was to be one."""
        tree = self._found(place) if place.package is None and place.may_be_of(kernel) else None
        if tree is not None:
            what = f"is of Linux {tree.version}" if tree.has_code else "has the headers of the source alone"
            return f"{place.path} {what}"
        error = self._unreadable.get(place.path)
        if error is not None:
            return None if isinstance(error, NotLinuxError) else error.msg.rstrip(".")
        return place.called


def _unread(tree: LinuxTree, name: str) -> str:
    """Why a path of a kernel's source was not read, and what to do."""
    return f"in {tree.where}, {name} {tree.left_out[name]}: put what belongs there in its place"


def _is_of(tree: LinuxTree, place: SourcePlace, kernel: KernelIdentity) -> bool:
    if place.package is not None and place.package == kernel.package:
        # Distributions need not say of a kernel which candidate of a release it was built from.
        return str(tree.version).partition("-")[0] == str(kernel.version).partition("-")[0]
    return tree.version == kernel.version
