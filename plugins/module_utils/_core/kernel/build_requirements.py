# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed to build a module for a kernel, and the package that provides it on the host's distribution."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import (
    compiler_package,
    family,
    headers_package,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

# With LLVM=1, Makefile takes them for the linker and binutils; DKMS strips modules with the last one itself.
_LLVM = (("ld.lld", "lld"), ("llvm-ar", "llvm"), ("llvm-nm", "llvm"), ("llvm-objcopy", "llvm"), ("llvm-strip", "llvm"))
TOOLSET = "/opt/rh/gcc-toolset-{major}/root/usr/bin"
RUNNING_CONFIG = "/proc/config.gz"
LARGEST_CONFIG = 1 << 20
_SECONDS = 20
TARGET_PREFIX = re.compile(r"^[a-z0-9_]+(?:-[a-z0-9_]+){1,2}-(?=gcc|clang)")


@dataclasses.dataclass(frozen=True)
class Requirement:
    """Something that is missing, as text for a message, and the package to install, if its name is known.

    ``place`` is what the package brings, by which a person finds one whose name is not known.
    """

    what: str
    package: str | None
    place: str = ""

    @property
    def to_install(self) -> str:
        return self.package or f"the package that brings {self.place}, whose name on this distribution is not known"


def kernel_config(host: Host, release: str, *, is_whole: bool = False) -> str | None:
    """The configuration that a kernel was built with; None if the host does not have it.

    With ``is_whole`` it is one that also says what is not set.
    """
    build = f"/lib/modules/{release}/build"
    places = (f"{build}/include/config/auto.conf", f"{build}/.config", f"/boot/config-{release}", f"/lib/modules/{release}/config")
    return next((text for text in map(host.text_or_none, places[is_whole:]) if text), None) or _running_config(host, release)


def _running_config(host: Host, release: str) -> str | None:
    """What the running kernel has of it (CONFIG_IKCONFIG_PROC): on Arch there is no other without the headers."""
    if not host.is_file(RUNNING_CONFIG) or host.text_or_none(OSRELEASE) != release:
        return None
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked_bytes

    try:
        return unpacked_bytes(host, host.head(RUNNING_CONFIG, LARGEST_CONFIG) or b"").decode("utf-8", "replace").strip() or None
    except CorruptFileError:
        return None


def missing_for_change(host: Host) -> tuple[Requirement, ...]:
    """What is missing for any use of DKMS."""
    return _missing_command(host, "dkms")


def missing_for_build(host: Host) -> tuple[Requirement, ...]:
    """What is missing for a build, whatever the kernel."""
    return _missing_command(host, "make")


def missing_for_kernel(host: Host, release: str) -> tuple[Requirement, ...]:
    """What is missing for a build for this kernel: its headers, or a compiler that takes what the kernel's own took."""
    build = f"/lib/modules/{release}/build"
    if not host.is_file(f"{build}/Makefile"):
        return (Requirement(f"the headers of kernel {release}", headers_package(host, release), build),)
    config = kernel_config(host, release) or ""
    compiler = _compiler(config)
    others = _missing_of_llvm(host, release) if _is_of_clang(config) else ()
    if not _is_there(host, compiler) and compiler_folder(host, release) is None:
        return (Requirement(f"{compiler}, the compiler of kernel {release}", _compiler_package(host, compiler)), *others)
    return (*_missing_version(host, release, config), *others)


def compiler_folder(host: Host, release: str) -> str | None:
    """Where the compiler is that a kernel needs and the system has under another path, as Red Hat's toolsets do; None if it needs none."""
    old = _TooOld.read(host, kernel_config(host, release) or "")
    if old is None:
        return None
    folder = TOOLSET.format(major=old.wanted)
    return folder if host.is_file(f"{folder}/{old.compiler}") else None


@dataclasses.dataclass(frozen=True)
class _TooOld:
    """A compiler of the right name and of an older version than a kernel's, which may not know the options that the kernel was built with.

    ``found`` is 0 where there is none.
    """

    compiler: str
    wanted: int
    found: int

    @classmethod
    def read(cls, host: Host, config: str) -> _TooOld | None:
        compiler = _compiler(config)
        # That of the other compiler is 0.
        version = re.search(r"^CONFIG_(?:GCC|CLANG)_VERSION=([1-9]\d{4,5})$", config, re.MULTILINE)
        if version is None or re.search(r"-\d+$", compiler):
            return None
        wanted, found = int(version[1]) // 10000, _major(host, compiler) if _is_there(host, compiler) else 0
        return cls(compiler, wanted, found) if found is not None and found < wanted else None


def _is_there(host: Host, compiler: str) -> bool:
    return host.exists(compiler) if "/" in compiler else host.which(compiler) is not None


def _major(host: Host, compiler: str) -> int | None:
    try:
        said = host.run([compiler, "-dumpversion"], _SECONDS, env={"LC_ALL": "C"}).stdout
    except HostError:
        return None
    match = re.match(r"(\d{1,3})(?:\.|\s|$)", said)
    return int(match[1]) if match else None


def _missing_version(host: Host, release: str, config: str) -> tuple[Requirement, ...]:
    old = _TooOld.read(host, config)
    if old is None or compiler_folder(host, release) is not None:
        return ()
    here = f"{old.compiler} is version {old.found} here, which may lack options"
    what = f"{old.compiler} {old.wanted}, the compiler of kernel {release} ({here})"
    return (Requirement(what, compiler_package(host, old.compiler, old.wanted)),)


def _missing_of_llvm(host: Host, release: str) -> tuple[Requirement, ...]:
    """DKMS has make use LLVM's programs for a kernel that clang has built (LLVM=1), the linker among them."""
    lacking = [(program, package) for program, package in _LLVM if host.which(program) is None]
    first = {package: program for program, package in reversed(lacking)}
    return tuple(
        Requirement(f"{program}, which a build for kernel {release} takes because the kernel was built by clang", package)
        for package, program in sorted(first.items())
    )


def _missing_command(host: Host, name: str) -> tuple[Requirement, ...]:
    return () if host.which(name) is not None else (Requirement(f"the command {name}", name),)


def _is_of_clang(config: str) -> bool:
    return re.search(r"^CONFIG_CC_IS_CLANG=y", config, re.MULTILINE) is not None


def _compiler(config: str) -> str:
    if _is_of_clang(config):
        return "clang"
    # CONFIG_CC_VERSION_TEXT is the first line of the compiler's --version, its name first; newer kernels write it without quotes.
    match = re.search(r"^CONFIG_CC_VERSION_TEXT=\"?([^\s\"]+)", config, re.MULTILINE)
    return match[1] if match else "gcc"


def _compiler_package(host: Host, compiler: str) -> str:
    name = TARGET_PREFIX.sub("", compiler.rsplit("/", 1)[-1])
    return name if family(host).has_versioned_compilers else re.sub(r"-\d+$", "", name)
