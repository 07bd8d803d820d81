# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian archive and a Python package index, served on the loopback device, from which things can be missing.

What apt and pip say of them is what they say of any other archive; only its packages are small.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import io
import subprocess
import tarfile
import threading
import typing as t
import zipfile
from dataclasses import dataclass
from pathlib import Path


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: t.Any, breaks_off: str, **further: t.Any) -> None:
        self._breaks_off = breaks_off
        super().__init__(*arguments, **further)

    def copyfile(self, source: t.Any, outputfile: t.Any) -> None:
        if self._breaks_off and self.path.endswith(self._breaks_off):
            outputfile.write(source.read(100))
        else:
            super().copyfile(source, outputfile)

    def log_message(self, *_arguments: object) -> None:
        """The test's output is not for this."""


@contextlib.contextmanager
def served(folder: Path, breaks_off: str = "") -> t.Iterator[str]:
    """The folder by http; its address, which ends with the block. Of files named so not all is sent."""
    handler = functools.partial(_Handler, directory=str(folder), breaks_off=breaks_off)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class DebianArchive:
    """Suites are made by `publish`, from the packages that `add` put into the pool; whatever is done to a file later, apt finds out."""

    folder: Path

    def add(
        self, package: str, version: str = "1.0", *, suite: str = "trixie", files: t.Mapping[str, str | bytes] | None = None, **fields: str
    ) -> Path:
        """Build a package and let the suite's index name it; returns the file in the pool."""
        tree = self.folder / "trees" / f"{package}_{version}"
        for path, text in {f"usr/share/{package}": version, **(files or {})}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(text.encode() if isinstance(text, str) else text)
        scripts = {name: fields.pop(name) for name in ("postinst",) if name in fields}
        control = {"Package": package, "Version": version, "Architecture": "amd64", "Maintainer": "nobody <nobody@example>"}
        control |= {name.replace("_", "-").capitalize(): value for name, value in fields.items()}
        (tree / "DEBIAN").mkdir(exist_ok=True)
        (tree / "DEBIAN/control").write_text(
            "".join(f"{name}: {value}\n" for name, value in control.items()) + "Description: for a test\n", encoding="utf-8"
        )
        for name, text in scripts.items():
            (tree / "DEBIAN" / name).write_text(text, encoding="utf-8")
            (tree / "DEBIAN" / name).chmod(0o755)
        deb = self.folder / "pool/main" / package[0] / package / f"{package}_{version.replace(':', '%3a')}_amd64.deb"
        deb.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb), check=True, capture_output=True, timeout=60)
        self._index(suite, control, deb)
        return deb

    def name_again(self, package: str, deb: Path, suite: str = "trixie") -> None:
        """Let the index name a file as it is now, and no other of this package."""
        index = self.folder / "dists" / suite / "main/binary-amd64/Packages"
        stanzas = index.read_text(encoding="utf-8").split("\n\n")
        mine = next(stanza for stanza in stanzas if stanza.startswith(f"Package: {package}\n"))
        index.write_text("\n\n".join(stanza for stanza in stanzas if stanza != mine), encoding="utf-8")
        kept = dict(line.split(": ", 1) for line in mine.splitlines() if not line.startswith(("Filename", "Size", "SHA256")))
        self._index(suite, kept, deb)

    def publish(self, suite: str = "trixie") -> None:
        """Write the suite's Release file over its index as it is now."""
        folder = self.folder / "dists" / suite
        index = folder / "main/binary-amd64/Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        index.touch()
        content = index.read_bytes()
        (folder / "Release").write_text(
            f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n"
            f"Date: Thu, 26 Nov 2026 02:14:46 UTC\n"
            f"SHA256:\n {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-amd64/Packages\n",
            encoding="utf-8",
        )

    def _index(self, suite: str, control: t.Mapping[str, str], deb: Path) -> None:
        content = deb.read_bytes()
        where = f"Filename: {deb.relative_to(self.folder)}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        index = self.folder / "dists" / suite / "main/binary-amd64/Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        with index.open("a", encoding="utf-8") as file:
            file.write("".join(f"{name}: {value}\n" for name, value in control.items()) + where + "\n")


@dataclass(frozen=True)
class PythonIndex:
    """A simple index (PEP 503) below `simple`."""

    folder: Path

    def add(self, name: str, version: str, *, requires: t.Sequence[str] = ()) -> Path:
        """Build a wheel and let the index name it; returns its file."""
        wheel = self._place(name) / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info"
        metadata = "".join(f"Requires-Dist: {one}\n" for one in requires)
        files = {
            f"{name}.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
            records = [f"{path},sha256={_record(text)},{len(text)}\n" for path, text in files.items()]
            archive.writestr(f"{info}/RECORD", "".join(records) + f"{info}/RECORD,,\n")
        self._link(wheel)
        return wheel

    def add_source(self, name: str, version: str, *, backend: str = "", requires: t.Sequence[str] = ()) -> Path:
        """Let the index name an archive of sources that is built by the program `backend`, which requires this."""
        files = {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": f'[build-system]\nrequires = {list(requires)}\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            "backend.py": backend,
        }
        packed = self._place(name) / f"{name}-{version}.tar.gz"
        with tarfile.open(packed, "w:gz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}-{version}/{path}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        self._link(packed)
        return packed

    def _place(self, name: str) -> Path:
        folder = self.folder / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _link(self, file: Path) -> None:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        with (file.parent / "index.html").open("a", encoding="utf-8") as page:
            page.write(f'<a href="{file.name}#sha256={digest}">{file.name}</a>\n')


def _record(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
