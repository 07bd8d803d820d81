# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which source exactly an installed kernel was built, and which sources of kernels there are on the host."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import source_advice
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.driver_files import ARCHIVE, DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.rpm_file import MAGIC, NAME, read_rpm
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import end_of_links
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_FILE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import kernel_config

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

SOURCES = "/usr/src"
_PACKAGES = "/var/lib/dpkg/status"
_DEFINED = re.compile(r"^#define LINUX_VERSION_(MAJOR|PATCHLEVEL|SUBLEVEL) (\d+)$", re.MULTILINE)
_CODE = re.compile(r"^#define LINUX_VERSION_CODE (\d+)$", re.MULTILINE)
_PACKAGE_ID = re.compile(r'^#define LINUX_PACKAGE_ID " \w+ ([^" ]+)"', re.MULTILINE)
_CONFIG_HEAD = re.compile(r"^# Linux/\S+ (\d+\.\d+\.\d+)(\S*) Kernel Configuration$", re.MULTILINE)
# 7.3-rc4-amd64, 7.3~rc4-1~exp1, 7.3.0-0.rc4.20.fc45
_CANDIDATE = re.compile(r"[-.~](rc\d+)(?![0-9a-z])")
# Ubuntu's packages for newer hardware have a source of their own: linux-hwe-6.11-source-6.11.0.
_SOURCE = re.compile(r"linux-(?:hwe-[\d.]+-)?source-[\w.+-]+")
_SERIES = re.compile(r"^linux-(?:hwe-[\d.]+-)?source-(\d+\.\d+)(?!\d)")
# Ubuntu's 6.8.0-45-generic is of the package 6.8.0-45.45: the headers do not say that, and Linux' own version is that of many updates.
_UBUNTU = re.compile(r"(\d+\.\d+\.\d+-\d+)-[a-z]")
# A folder of SUSE's kernel-source, or one that rpmbuild has unpacked: both are called after the package's version and release. SUSE's
# sources of one flavour alone, and those without its patches, have a word behind that (kernel-source.spec: src_install_dir).
_STATED = re.compile(r"linux-(\d+(?:\.\d+)+-\d[\w.+~]*(?:-(?=\d*[a-z])[a-z0-9_]+)?)")
# What a kernel's own release has after that: Fedora's and RHEL's the architecture and the flavour, Oracle's and SUSE's the flavour.
_FLAVOUR = re.compile(
    r"(?:\.(?:x86_64|aarch64|ppc64le|s390x|riscv64|loongarch64))?(?:[.+](?:debug|64k)|\+[a-z0-9-]+|-(?=\d*[a-z])[a-z0-9_]+)?"
)


@dataclasses.dataclass(frozen=True)
class KernelIdentity:
    """``version`` is Linux's own, such as 6.12.117 or 7.3.0-rc4; ``package`` that of the distribution's package.  None if not known.

    ``built_from`` is the name of the distribution's source, where there are several.
    """

    release: str
    version: str | None
    package: str | None
    built_from: str | None = None

    @classmethod
    def read(cls, host: Host, release: str) -> KernelIdentity:
        """From the kernel's headers, or what its configuration says: the release of Debian 12 does not tell the version."""
        generated = f"/lib/modules/{release}/build/include/generated"
        text = host.text_or_none(f"{generated}/uapi/linux/version.h") or ""
        package = _PACKAGE_ID.search(host.text_or_none(f"{generated}/package.h") or "")
        head = _CONFIG_HEAD.search(host.text_or_none(f"/boot/config-{release}") or kernel_config(host, release) or "")
        version = _version(text) or (head[1] if head else None)
        said = (release, package[1] if package else "", head[2] if head else "")
        candidate = next((f"-{found[1]}" for found in map(_CANDIDATE.search, said) if found), "")
        named, source = (package[1], None) if package else _of_ubuntu(host, release)
        return cls(release, f"{version}{candidate}" if version else None, named, source)

    @property
    def series(self) -> str:
        return ".".join((self.version or "").split(".")[:2])

    def source_advice(self, host: Host) -> str | None:
        """How the distribution's package with this very kernel's source comes to the host; None if none is known."""
        return source_advice(host, self.release, self.version, self.package, self.built_from) if self.version else None

    def is_of(self, stated: str) -> bool:
        """Whether the kernel is the one, or of one flavour of the one, of a source package with this version and release."""
        return self.release.startswith(stated) and bool(_FLAVOUR.fullmatch(self.release, len(stated)))


def _version(text: str) -> str | None:
    parts = dict(_DEFINED.findall(text))
    if len(parts) == 3:
        return f"{parts['MAJOR']}.{parts['PATCHLEVEL']}.{parts['SUBLEVEL']}"
    code = _CODE.search(text)
    # KERNEL_VERSION() keeps no SUBLEVEL above 255 in it.
    number = int(code[1]) if code and len(code[1]) < 10 else 0
    return f"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}" if number & 0xFF != 0xFF and number else None


@dataclasses.dataclass(frozen=True)
class SourcePlace:
    """A folder, an archive or a package that may be a kernel's source; ``package`` is the version of the package that has it, if known.

    ``stated``: of which version and release its package is, where it says so itself; of SUSE's the one without the count of builds, too.
    """

    path: str
    package: str | None = None
    stated: tuple[str, ...] = ()

    @classmethod
    def read(cls, host: Host, path: str, package: str | None = None) -> SourcePlace:
        """With what it says of itself. Raises HostError for a package that cannot be read."""
        if host.head(path, len(MAGIC)) == MAGIC:
            return cls(path, package, _stated_by(host, path))
        # /usr/src/linux is a link to the folder that SUSE's package has.
        name = end_of_links(path.rstrip("/"), host.link).rpartition("/")[2]
        found = _STATED.fullmatch(ARCHIVE.sub("", name))
        return cls(path, package, (found[1],) if found else ())

    def may_be_of(self, kernel: KernelIdentity) -> bool:
        """False if its name alone says that it is of another series or kernel, so that 150 MB need not be read."""
        if self.stated:
            return any(map(kernel.is_of, self.stated))
        series = _SERIES.match(self.path.rsplit("/", 1)[1])
        return series is None or not ARCHIVE.search(self.path) or series[1] == kernel.series

    @property
    def called(self) -> str:
        return f"{self.path} is of {self.package or ' or '.join(self.stated[:1])}"


def _stated_by(host: Host, path: str) -> tuple[str, ...]:
    package = read_rpm(host, path)
    whole = f"{package.version}-{package.release}"
    # SUSE's kernels are called after version and release without the last number, which counts builds of the same source.
    shorter = re.fullmatch(r"(.+-\d[\d.]*)\.\d+", whole)
    return (whole, shorter[1]) if shorter else (whole,)


def source_places(host: Host) -> tuple[SourcePlace, ...]:
    """What distributions' packages and people put into /usr/src, folders first: they are read faster."""
    folders, archives = [], []
    for name in host.names(SOURCES):
        here = f"{SOURCES}/{name}"
        if name.startswith("kernel") and name.endswith(NAME):
            archives.append(_package(host, here))
        if not name.startswith("linux"):
            continue
        if host.is_dir(here):
            if host.is_file(f"{here}/{DRIVERS}/Makefile"):
                folders.append(SourcePlace.read(host, here, _package_version(host, name)))
            archives += [SourcePlace(f"{here}/{one}", _package_version(host, name)) for one in host.names(here) if ARCHIVE.search(one)]
        elif ARCHIVE.search(name) and host.is_file(here):
            archives.append(SourcePlace.read(host, here, _package_version(host, ARCHIVE.sub("", name))))
    return (*folders, *archives)


def _package(host: Host, path: str) -> SourcePlace:
    try:
        return SourcePlace.read(host, path)
    except HostError:
        # It can be read no better later, when it is asked for a kernel's source.
        return SourcePlace(path)


def _package_version(host: Host, name: str) -> str | None:
    return _installed(host, name).get("Version") if _SOURCE.fullmatch(name) else None


def _of_ubuntu(host: Host, release: str) -> tuple[str | None, str | None]:
    """The version of a kernel's packages, and the name of their source; None for a kernel that is not one of Ubuntu's."""
    abi = _UBUNTU.match(release)
    for name in (f"linux-headers-{release}", f"linux-modules-{release}") if abi else ():
        known = _installed(host, name)
        version = known.get("Version", "")
        if abi and version.startswith(f"{abi[1]}."):
            return version, known.get("Source", "").split(" ")[0] or None
    return None, None


def _installed(host: Host, name: str) -> dict[str, str]:
    """What dpkg has noted of a package, by field; nothing if it does not know it."""
    status = host.read_bytes(_PACKAGES, LARGEST_FILE).decode("utf-8", "replace") if host.is_file(_PACKAGES) else ""
    found = re.search(rf"^Package: {re.escape(name)}\n(?:.+\n)*", status, re.MULTILINE)
    return dict(re.findall(r"^(\w[\w-]*): (.*)$", found[0], re.MULTILINE)) if found else {}
