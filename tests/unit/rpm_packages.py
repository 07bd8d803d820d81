# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of RPM that rpmbuild has made, laid out as those that distributions have of their kernels' sources, with a small kernel in each.

`tools/run python tests/unit/rpm_packages.py` makes them again; it needs rpmbuild, which Debian has in its package rpm.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import archive, linux

FOLDER = Path(__file__).with_name("files") / "rpm"
VERSION = "6.12.107"
_SECONDS = 600
_ELSEWHERE = "kernel/fork.c"
DRIVER = "drivers/vfio/pci/acme/main.c"


@dataclass(frozen=True)
class Made:
    """``payload`` is rpm's word for how its files are compressed; ``files`` are named as in the package."""

    name: str
    release: str
    payload: str
    files: t.Mapping[str, bytes]
    more: str = ""
    version: str = VERSION

    @property
    def full_name(self) -> str:
        return f"{self.name}-{self.version}-{self.release}"


def _patch(path: str) -> bytes:
    return f"From: somebody\nSubject: x\n\n--- a/{path}\n+++ b/{path}\n@@ -1 +1,2 @@\n int x;\n+int y;\n".encode()


def _tree(name: str, kind: str = "w:xz", files: t.Mapping[str, str] | None = None) -> bytes:
    return archive(linux(VERSION) if files is None else files, name, kind)


def _patches(path: str) -> bytes:
    """As SUSE has them: hundreds in one archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as opened:
        for name, content in {"patches.suse/one": _patch(_ELSEWHERE), "patches.suse/acme-fix.patch": _patch(path)}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


#: By what they are like.
SOURCES: t.Mapping[str, Made] = {
    # Its archive is patched already, and the patch beside it is of other files; the archives before it are no kernels.
    "RHEL": Made(
        "kernel",
        "55.9.1.el10_0",
        "w3.zstdio",
        {
            "kernel-abi-stablelists-6.12.0-55.9.1.el10_0.tar.xz": _tree("kabi", files={"x86_64/list": "x\n"}),
            "linux-6.12.107-55.9.1.el10_0.tar.xz": _tree("linux-6.12.107-55.9.1.el10_0"),
            "patch-6.12-redhat.patch": _patch(_ELSEWHERE),
        },
    ),
    "Fedora": Made(
        "kernel",
        "200.fc42",
        "w2.xzdio",
        {"linux-6.12.107.tar.xz": _tree("linux-6.12.107"), "patch-6.12-redhat.patch": _patch(DRIVER), "linux-kernel-test.patch": b""},
    ),
    "SUSE": Made(
        "kernel-source",
        "160000.5.1",
        "w9.gzdio",
        {"linux-6.12.tar.xz": _tree("linux-6.12"), "patches.suse.tar.bz2": _patches(DRIVER)},
    ),
    "SUSE, patched elsewhere": Made(
        "kernel-source",
        "160000.6.1",
        "w9.bzdio",
        {"linux-6.12.tar.xz": _tree("linux-6.12"), "patches.suse.tar.bz2": _patches(_ELSEWHERE)},
    ),
    "Amazon": Made(
        "kernel6.12",
        "122.189.amzn2023",
        "w.ufdio",
        {"linux-6.12.107.tar": _tree("linux-6.12.107", "w", {**linux(VERSION), "x": "x" * 9000})},
    ),
    "ELRepo": Made(
        "kernel-ml",
        "1.el9.elrepo",
        "w9.gzdio",
        {"config-6.12.107-x86_64": b"CONFIG_X=y\n", "linux-6.12.107.tar.xz": b""},
        more="NoSource: 1\n",
    ),
}
DEVEL = "kernel-devel-6.12.107-200.fc42.x86_64.rpm"
_SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: The Linux kernel
License: GPL-2.0-only
{sources}{more}
%description
The Linux kernel.

%package -n kernel-devel
Summary: Headers

%description -n kernel-devel
Headers.

%install
mkdir -p %{{buildroot}}/usr/src/kernels
echo x >%{{buildroot}}/usr/src/kernels/Makefile

%files -n kernel-devel
/usr/src/kernels
"""


def path_of(kind: str) -> Path:
    made = SOURCES[kind]
    return FOLDER / f"{made.full_name}.{'nosrc' if made.more else 'src'}.rpm"


def make(made: Made, folder: Path, what: str = "-bs") -> None:
    """rpmbuild's files of a package of sources (``-bs``) or of one with headers (``-bb``), in a folder."""
    with tempfile.TemporaryDirectory() as place:
        for name, content in made.files.items():
            (Path(place) / name).write_bytes(content)
        sources = "".join(f"Source{number}: {name}\n" for number, name in enumerate(made.files))
        words = {"name": made.name, "version": made.version, "release": made.release, "sources": sources, "more": made.more}
        spec = Path(place) / "kernel.spec"
        spec.write_text(_SPEC.format(**words), encoding="utf-8")
        settings = {
            "_topdir": place,
            "_sourcedir": place,
            "_builddir": f"{place}/build",
            "_rpmdir": str(folder),
            "_srcrpmdir": str(folder),
            "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
            "_source_payload": made.payload,
            "_buildhost": "localhost",
        }
        words_of_settings = [word for key, value in settings.items() for word in ("--define", f"{key} {value}")]
        (Path(place) / "build").mkdir()
        command = ["rpmbuild", what, "--target", "x86_64", "--nodeps", *words_of_settings, str(spec)]
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one in SOURCES.values():
        make(one, FOLDER)
    make(SOURCES["Fedora"], FOLDER, "-bb")
