# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed to build a module for a kernel, and the package that provides it on the host's distribution."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

TARGET_PREFIX = re.compile(r"^[a-z0-9_]+(?:-[a-z0-9_]+){1,2}-(?=gcc|clang)")
SUSE_RELEASE = re.compile(r"(.+)-([a-z0-9_]+)")


@dataclasses.dataclass(frozen=True)
class Requirement:
    """Something that is missing, as text for a message, and the package to install."""

    what: str
    package: str


def kernel_config(host: Host, release: str) -> str | None:
    """The configuration that a kernel was built with; None if the host does not have it."""
    build = f"/lib/modules/{release}/build"
    places = (f"{build}/include/config/auto.conf", f"{build}/.config", f"/boot/config-{release}", f"/lib/modules/{release}/config")
    return next((text for text in map(host.text_or_none, places) if text), None)


def missing_for_change(host: Host) -> tuple[Requirement, ...]:
    """What is missing for any use of DKMS."""
    return _missing_command(host, "dkms")


def missing_for_build(host: Host) -> tuple[Requirement, ...]:
    """What is missing for a build, whatever the kernel."""
    return _missing_command(host, "make")


def missing_for_kernel(host: Host, release: str) -> tuple[Requirement, ...]:
    """What is missing for a build for this kernel: its headers, or the compiler that it was built with."""
    if not host.is_file(f"/lib/modules/{release}/build/Makefile"):
        return (Requirement(f"the headers of kernel {release}", headers_package(host, release)),)
    compiler = _compiler(kernel_config(host, release) or "")
    there = host.exists(compiler) if "/" in compiler else host.which(compiler) is not None
    if there:
        return ()
    return (Requirement(f"{compiler}, the compiler of kernel {release}", _compiler_package(host, compiler)),)


def headers_package(host: Host, release: str) -> str:
    """The package with a kernel's headers."""
    family = _family(host)
    if family & {"fedora", "rhel", "centos"}:
        return f"kernel-devel-{release}"
    if family & {"suse", "opensuse", "sles"}:
        parts = SUSE_RELEASE.fullmatch(release)
        return f"kernel-{parts[2]}-devel = {parts[1]}" if parts else "kernel-devel"
    if "arch" in family:
        base = host.text_or_none(f"/lib/modules/{release}/pkgbase")
        return f"{base or 'linux'}-headers"
    return f"proxmox-headers-{release}" if release.endswith("-pve") else f"linux-headers-{release}"


def _missing_command(host: Host, name: str) -> tuple[Requirement, ...]:
    return () if host.which(name) is not None else (Requirement(f"the command {name}", name),)


def _compiler(config: str) -> str:
    if re.search(r"^CONFIG_CC_IS_CLANG=y", config, re.MULTILINE):
        return "clang"
    # CONFIG_CC_VERSION_TEXT is the first line of the compiler's --version, its name first; newer kernels write it without quotes.
    match = re.search(r"^CONFIG_CC_VERSION_TEXT=\"?([^\s\"]+)", config, re.MULTILINE)
    return match[1] if match else "gcc"


def _compiler_package(host: Host, compiler: str) -> str:
    name = TARGET_PREFIX.sub("", compiler.rsplit("/", 1)[-1])
    return name if _family(host) & {"debian", "ubuntu"} else re.sub(r"-\d+$", "", name)


def _family(host: Host) -> frozenset[str]:
    """ID and ID_LIKE of os-release(5)."""
    text = host.text_or_none("/etc/os-release") or host.text_or_none("/usr/lib/os-release") or ""
    release = Assignments.parse(text)
    return frozenset(f"{release.get('ID') or ''} {release.get('ID_LIKE') or ''}".split())


def source_package(host: Host, version: str, package: str | None) -> str | None:
    """The package with the source of Linux ``version``, of the distribution's ``package`` version; None if the distribution has none."""
    family = _family(host)
    series = ".".join(version.split(".")[:2])
    if "ubuntu" in family:
        return f"linux-source-{series}.0"
    if "debian" in family:
        return f"linux-source-{series}" + (f" (= {package})" if package else "")
    return "kernel-source" if family & {"suse", "opensuse", "sles"} else None
