# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel driver package, and what must hold of it on a kernel."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import typing as t
from dataclasses import dataclass
from pathlib import Path

from build_root import BuildRoot, Finished

#: What a build may say on its error stream: Debian's 6.1 headers hold no vmlinux to make BTF from.
_HARMLESS = re.compile(r"Skipping BTF generation for \S+ due to unavailability of vmlinux")
_EXCLUDED = 77


class CheckError(Exception):
    """What does not hold, and what the program said."""


@dataclass(frozen=True)
class Package:
    folder: Path

    @property
    def name(self) -> str:
        return self._setting("PACKAGE_NAME")

    @property
    def version(self) -> str:
        return self._setting("PACKAGE_VERSION")

    @property
    def modules(self) -> dict[str, set[str]]:
        """The modules of the manifest and the aliases each must carry."""
        manifest = json.loads((self.folder / "modules.json").read_text(encoding="utf-8"))
        return {module["name"]: set(module["aliases"]) for module in manifest["modules"]}

    @property
    def sources(self) -> list[Path]:
        return [path for path in sorted(self.folder.iterdir()) if path.suffix in (".c", ".h", ".sh")]

    def digest(self) -> str:
        """Changes when any file of the package, or a check made here, does."""
        checks = sorted(Path(__file__).resolve().parent.glob("*.py"))
        digest = hashlib.sha256()
        for path in (*sorted(self.folder.iterdir()), *checks):
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    def _setting(self, name: str) -> str:
        found = re.search(rf'^{name}="(.*)"$', (self.folder / "dkms.conf").read_text(encoding="utf-8"), re.MULTILINE)
        if found is None:
            raise CheckError(f"dkms.conf sets no {name}")
        return found[1]


def builds_without_warning(package: Package, root: BuildRoot, kernel: str) -> str:
    with _copy(package, root, "/tmp/build") as folder:
        sparse = _sparse_runs(root, kernel)
        flags = ("W=1", *(("C=1",) if sparse else ()))
        done = root.run("make", f"KDIR=/lib/modules/{kernel}/build", *flags, "modules", folder=folder)
        said = [line for line in done.errors.splitlines() if line and not _HARMLESS.fullmatch(line)]
        if done.status or said:
            raise CheckError(f"make {' '.join(flags)} ended with {done.status}:\n{_tail(done)}")
        if sparse and "CHECK" not in done.output:
            raise CheckError(f"sparse was asked for and not run:\n{_tail(done)}")
        for module, aliases in package.modules.items():
            _check_module(root, f"{folder}/{module}.ko", module, aliases, kernel, package.version)
        cleaned = root.run("make", "clean", folder=folder)
        left = {path.name for path in (root.tree / folder.lstrip("/")).iterdir()} - {path.name for path in package.folder.iterdir()}
        if cleaned.status or left:
            raise CheckError(f"make clean ended with {cleaned.status} and left {', '.join(sorted(left)) or 'nothing'}")
    return "W=1 and sparse" if sparse else "W=1; its headers come without what sparse needs"


def installs_with_dkms(package: Package, root: BuildRoot, kernel: str) -> str:
    with _added_to_dkms(package, root) as identity:
        done = root.run("dkms", "install", identity, "-k", kernel)
        if done.status:
            raise CheckError(f"dkms install ended with {done.status}:\n{_tail(done)}\n{_build_log(package, root)}")
        for module, aliases in package.modules.items():
            found = list((root.tree / "lib/modules" / kernel).rglob(f"{module}.ko*"))
            if [path.parent.name for path in found] != ["dkms"]:
                raise CheckError(f"dkms install put {module} at {[str(path) for path in found]}")
            _check_module(root, f"/{found[0].relative_to(root.tree)}", module, aliases, kernel, package.version)
        done = root.run("dkms", "remove", identity, "--all")
        left = [*(root.tree / "lib/modules" / kernel).rglob("updates/dkms/*.ko*"), *(root.tree / "var/lib/dkms" / package.name).rglob("*")]
        if done.status or left:
            raise CheckError(f"dkms remove ended with {done.status} and left {[str(path) for path in left]}:\n{_tail(done)}")
    return root.run("dkms", "--version").output.strip().replace("dkms-", "DKMS ")


def is_refused_by_make(package: Package, root: BuildRoot, kernel: str) -> str:
    with _copy(package, root, "/tmp/build") as folder:
        done = root.run("make", f"KDIR=/lib/modules/{kernel}/build", "modules", folder=folder)
        if done.status == 0 or f"kernel {kernel} has no CONFIG_VFIO_PCI_CORE" not in done.errors:
            raise CheckError(f"make ended with {done.status} and does not say why the kernel is refused:\n{_tail(done)}")
    return "refused, and the reason named"


def is_skipped_by_dkms(package: Package, root: BuildRoot, kernel: str) -> str:
    with _added_to_dkms(package, root) as identity:
        done = root.run("dkms", "install", identity, "-k", kernel)
        if done.status != _EXCLUDED or "BUILD_EXCLUSIVE" not in done.output + done.errors:
            raise CheckError(f"dkms install ended with {done.status}, not {_EXCLUDED}:\n{_tail(done)}")
    return "skipped by BUILD_EXCLUSIVE_CONFIG"


def has_kernel_style(package: Package, root: BuildRoot) -> str:
    with _copy(package, root, "/tmp/build") as folder:
        names = [path.name for path in package.sources]
        done = root.run("perl", "/usr/share/checkpatch/checkpatch.pl", "--no-tree", "--strict", "--terse", "--file", *names, folder=folder)
        if done.status or done.output.strip():
            raise CheckError(f"checkpatch.pl:\n{_tail(done)}")
    return f"checkpatch.pl --strict over {len(names)} files"


def _check_module(root: BuildRoot, path: str, name: str, aliases: set[str], kernel: str, version: str) -> None:
    def field(key: str) -> list[str]:
        done = root.run("modinfo", "-F", key, path)
        if done.status:
            raise CheckError(f"modinfo -F {key} {path}:\n{_tail(done)}")
        return done.output.splitlines()

    if set(field("alias")) != aliases:
        raise CheckError(f"{name} carries the aliases {field('alias')}, and its manifest says {sorted(aliases)}")
    if [line.split()[0] for line in field("vermagic")] != [kernel]:
        raise CheckError(f"{name} was built for {field('vermagic')}, not for {kernel}")
    if field("version") != [version] or field("name") != [name]:
        raise CheckError(f"{path} says that it is {field('name')} version {field('version')}")
    if not any(line.startswith("ids:") for line in field("parm")):
        raise CheckError(f"{name} has no parameter ids, only {field('parm')}")


def _sparse_runs(root: BuildRoot, kernel: str) -> bool:
    """Newer kernels want a script of theirs for sparse that Debian's headers do not hold."""
    common = root.tree / "usr/src" / f"linux-headers-{kernel.rsplit('-', 1)[0]}-common"
    wanted = "checker-valid.sh" in (common / "Makefile").read_text(encoding="utf-8")
    return not wanted or (common / "scripts/checker-valid.sh").exists()


@contextlib.contextmanager
def _copy(package: Package, root: BuildRoot, folder: str) -> t.Iterator[str]:
    """The package in a folder of the tree. What an earlier, killed run left there is removed first."""
    place = root.tree / folder.lstrip("/")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(package.folder, place)
    try:
        yield folder
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def _added_to_dkms(package: Package, root: BuildRoot) -> t.Iterator[str]:
    registry = root.tree / "var/lib/dkms" / package.name
    shutil.rmtree(registry, ignore_errors=True)
    with _copy(package, root, f"/usr/src/{package.name}-{package.version}"):
        try:
            yield f"{package.name}/{package.version}"
        finally:
            shutil.rmtree(registry, ignore_errors=True)
            for updates in (root.tree / "lib/modules").glob("*/updates"):
                shutil.rmtree(updates)


def _build_log(package: Package, root: BuildRoot) -> str:
    log = root.tree / "var/lib/dkms" / package.name / package.version / "build/make.log"
    return log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""


def _tail(done: Finished) -> str:
    return "\n".join((done.output + done.errors).strip().splitlines()[-25:])
