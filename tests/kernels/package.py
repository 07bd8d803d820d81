# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel driver package, and what must hold of it on a kernel."""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import re
import shutil
import typing as t
from dataclasses import dataclass
from pathlib import Path

from build_root import BuildRoot, Finished
from target import Target

#: What a build may say on its error stream: some headers hold no vmlinux to make BTF from.
_HARMLESS = re.compile(r"Skipping BTF generation for \S+ due to unavailability of vmlinux")
#: What modpost says of a symbol that the kernel lacks: up to 7.2, and from 7.3 on.
_UNRESOLVED = re.compile(r"""WARNING: modpost: (?:\S+ symbol )?["'](\w+)["'] (?:\[\S+\] )?(?:undefined!|has no CRC!)""")
_CUT_SHORT = re.compile(r"WARNING: modpost: suppressed \d+ unresolved symbol warnings because there were too many\)?")
#: What each switch has a driver take from iommufd, where the kernel has it.
_IOMMUFD = {
    "VARIANT_HAVE_BIND_IOMMUFD": ("bind", "unbind", "attach_ioas"),
    "VARIANT_HAVE_DETACH_IOAS": ("detach_ioas",),
    "VARIANT_HAVE_PASID_ATTACH_IOAS": ("pasid_attach_ioas", "pasid_detach_ioas"),
}
#: What sparse has not learned yet of the C that the newest kernels are written in. After an error it keeps its warnings to itself.
_FOR_SPARSE = "#define __typeof_unqual__ __typeof__\n#define _Static_assert(...)\n"
_SPARSE_HEADER = "/usr/share/for-sparse.h"
_CHECKED = ("W=1", "C=1", f"CF=-include {_SPARSE_HEADER}")
#: The code of the checks, as this program began with it.
_CHECKS = b"".join(Path(__file__).with_name(name).read_bytes() for name in ("configurations.py", "imitation.py", "package.py", "target.py"))
#: A driver of somebody else's, with all that the guide promises.
_MADE = "made_vfio_pci"
_MADE_IDS = ("10ee:9048", "10ee:9049:10EE:0007", "10ee:914f:ffffffff:ffffffff:020000:ffff00", "10ee:9150:10ee:0007:030001")
_MADE_PARTS = Path(__file__).with_name("made_driver")
_SWITCH = re.compile(r"\bVARIANT_HAVE_\w+")
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
        """Its own sources: what it shares with another package is a link."""
        return [path for path in sorted(self.folder.iterdir()) if path.suffix in (".c", ".h", ".sh") and not path.is_symlink()]

    @property
    def switches(self) -> frozenset[str]:
        """What the compatibility header and the drivers choose by."""
        return switches_in("".join((self.folder / name).read_text(encoding="utf-8") for name in ("variant_compat.h", "probe-kernel.sh")))

    def digest(self) -> str:
        """Changes when any file of the package, or a check made here, does."""
        digest = hashlib.sha256(_CHECKS)
        for path in sorted(path for path in self.folder.iterdir() if path.is_file()):
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    def _setting(self, name: str) -> str:
        found = re.search(rf'^{name}="(.*)"$', (self.folder / "dkms.conf").read_text(encoding="utf-8"), re.MULTILINE)
        if found is None:
            raise CheckError(f"dkms.conf sets no {name}")
        return found[1]


def builds_without_warning(package: Package, root: BuildRoot, target: Target) -> str:
    expected = target.imitated.symbols if target.imitated else frozenset()
    with _copy(package, root, "/tmp/build") as folder:
        _make(root, folder, target, "-Werror", expected)
        for module, aliases in package.modules.items():
            _check_module(root, f"{folder}/{module}.ko", module, aliases, target, package.version)
        _check_switches(package, root, folder, target)
        cleaned = root.run("make", "clean", folder=folder)
        left = {path.name for path in (root.tree / folder.lstrip("/")).iterdir()} - {path.name for path in package.folder.iterdir()}
        if cleaned.status or left:
            raise CheckError(f"make clean ended with {cleaned.status} and left {', '.join(sorted(left)) or 'nothing'}")
    return "W=1, -Werror and sparse"


def probes_its_headers(package: Package, root: BuildRoot, target: Target) -> str:
    """The switches of the compatibility header that are on for this kernel, a space between them, and how many those are."""
    include = target.common(root) / "include"
    with _copy(package, root, "/tmp/build") as folder:
        done = root.run("sh", f"{folder}/probe-kernel.sh", f"/{include.relative_to(root.tree)}")
    if done.status or not done.output.endswith("-DVARIANT_PROBED\n"):
        raise CheckError(f"probe-kernel.sh ended with {done.status}:\n{_tail(done)}")
    found = frozenset(word.removeprefix("-D") for word in done.output.split()[:-1])
    if target.imitated and found != target.imitated.switches:
        raise CheckError(f"the imitated headers turn on {sorted(found)}, and Linux {target.name} has {sorted(target.imitated.switches)}")
    return " ".join((f"{len(found)} of {len(package.switches)} switches", *sorted(found)))


def _check_switches(package: Package, root: BuildRoot, folder: str, target: Target) -> None:
    """What the compiler was told is what the headers' text says, where no macro wraps their declarations."""
    told = root.tree / folder.lstrip("/")
    switches = frozenset().union(*(switches_in(path.read_text(encoding="utf-8")) for path in told.glob(".*_vfio_pci.o.cmd")))
    include = target.common(root) / "include"
    done = root.run("sh", f"{folder}/probe-kernel.sh", f"/{include.relative_to(root.tree)}")
    if done.status or switches != switches_in(done.output):
        raise CheckError(f"the compiler finds {sorted(switches)} in the headers, and their text has {sorted(switches_in(done.output))}")


def switches_in(text: str) -> frozenset[str]:
    """The switches that a source or the result of a check names."""
    return frozenset(_SWITCH.findall(text))


def takes_iommufd(package: Package, root: BuildRoot, target: Target) -> str:
    """No kernel of Debian's has iommufd, so the compiler is told that this one does.

    Of kernels that know nothing of iommufd there is nothing to say.
    """
    switches = switches_in(probes_its_headers(package, root, target))
    wanted = {f"vfio_iommufd_physical_{name}" for switch in switches for name in _IOMMUFD.get(switch, ())}
    if not wanted:
        return ""
    expected = frozenset(wanted) | (target.imitated.symbols if target.imitated else frozenset())
    with _copy(package, root, "/tmp/build") as folder:
        _make(root, folder, target, "-Werror -DCONFIG_IOMMUFD=1", expected)
        for module in package.modules:
            listed = root.run("nm", "--undefined-only", "--format=posix", f"{folder}/{module}.ko")
            taken = {line.split()[0] for line in listed.output.splitlines() if line.startswith("vfio_iommufd_")}
            if listed.status or taken != wanted:
                raise CheckError(f"{module} takes {sorted(taken)} and not {sorted(wanted)}:\n{_tail(listed)}")
    return f"{len(wanted)} functions of iommufd"


def _make(root: BuildRoot, folder: str, target: Target, flags: str, expected: frozenset[str]) -> None:
    """Build, with sparse; no warning is harmless, but for symbols that the kernel is known not to export."""
    _let_sparse_run(root, target)
    words = (*target.make, f"KCFLAGS={flags}", *(("KBUILD_MODPOST_WARN=1",) if expected else ()), *_CHECKED, "modules")
    done = root.run("make", *words, folder=folder)
    unresolved = frozenset(_UNRESOLVED.findall(done.errors))
    known = (_HARMLESS, _UNRESOLVED, _CUT_SHORT) if expected else (_HARMLESS,)
    said = [line for line in done.errors.splitlines() if line and not any(pattern.fullmatch(line) for pattern in known)]
    if done.status or said:
        raise CheckError(f"make {' '.join(words)} ended with {done.status}:\n{_tail(done)}")
    if not unresolved <= expected or (unresolved != expected and not _CUT_SHORT.search(done.errors)):
        raise CheckError(f"make {' '.join(words)}: the kernel lacks {sorted(unresolved)}, and should lack {sorted(expected)}")
    if "CHECK" not in done.output:
        raise CheckError(f"sparse was asked for and not run:\n{_tail(done)}")


def installs_with_dkms(package: Package, root: BuildRoot, target: Target) -> str:
    kernel = target.release
    with _added_to_dkms(package, root) as identity:
        done = root.run("dkms", "install", identity, "-k", kernel)
        if done.status:
            raise CheckError(f"dkms install ended with {done.status}:\n{_tail(done)}\n{_build_log(package, root)}")
        for module, aliases in package.modules.items():
            found = list((root.tree / "lib/modules" / kernel).rglob(f"{module}.ko*"))
            if [path.parent.name for path in found] != ["dkms"]:
                raise CheckError(f"dkms install put {module} at {[str(path) for path in found]}")
            _check_module(root, f"/{found[0].relative_to(root.tree)}", module, aliases, target, package.version)
        done = root.run("dkms", "remove", identity, "--all")
        left = [*(root.tree / "lib/modules" / kernel).rglob("updates/dkms/*.ko*"), *(root.tree / "var/lib/dkms" / package.name).rglob("*")]
        if done.status or left:
            raise CheckError(f"dkms remove ended with {done.status} and left {[str(path) for path in left]}:\n{_tail(done)}")
    return root.run("dkms", "--version").output.strip().replace("dkms-", "DKMS ")


def makes_other_drivers(package: Package, root: BuildRoot, target: Target) -> str:
    """What new-variant makes of IDs of each form builds as it is described: of two files, with a parameter and an operation of its own."""
    made = "/tmp/made"
    place = root.tree / made.lstrip("/")
    shutil.rmtree(place, ignore_errors=True)
    with _copy(package, root, "/tmp/build") as folder:
        done = root.run("sh", f"{folder}/new-variant", _MADE, *_MADE_IDS, made)
        if done.status:
            raise CheckError(f"new-variant ended with {done.status}:\n{_tail(done)}")
        source = place / f"{_MADE}.c"
        own = source.read_text(encoding="utf-8").replace("\tVARIANT_CORE_OPS\n", "\tVARIANT_CORE_OPS\n\t.read\t\t\t= made_read,\n")
        operations = "/* All others are the core's"
        read = (_MADE_PARTS / "read.c").read_text(encoding="utf-8")
        (place / "main.c").write_text(own.replace(operations, read + operations), encoding="utf-8")
        source.unlink()
        for name in ("made.h", "made_command.c"):
            shutil.copy(_MADE_PARTS / name, place)
        (place / "objects.mk").write_text(f"{_MADE}-y := main.o made_command.o\n", encoding="utf-8")
        _make(root, made, target, "-Werror", frozenset())
        other = Package(place)
        _check_module(root, f"{made}/{_MADE}.ko", _MADE, other.modules[_MADE], target, other.version)
    shutil.rmtree(place)
    return f"a driver of two files for {len(_MADE_IDS)} IDs"


def is_refused_by_make(package: Package, root: BuildRoot, target: Target) -> str:
    with _copy(package, root, "/tmp/build") as folder:
        done = root.run("make", *target.make, "modules", folder=folder)
        if done.status == 0 or f"kernel {target.release} has no CONFIG_VFIO_PCI_CORE" not in done.errors:
            raise CheckError(f"make ended with {done.status} and does not say why the kernel is refused:\n{_tail(done)}")
    return "refused, and the reason named"


def is_skipped_by_dkms(package: Package, root: BuildRoot, target: Target) -> str:
    with _added_to_dkms(package, root) as identity:
        done = root.run("dkms", "install", identity, "-k", target.release)
        if done.status != _EXCLUDED or "BUILD_EXCLUSIVE" not in done.output + done.errors:
            raise CheckError(f"dkms install ended with {done.status}, not {_EXCLUDED}:\n{_tail(done)}")
    return "skipped by BUILD_EXCLUSIVE_CONFIG"


def has_kernel_style(package: Package, root: BuildRoot, _target: Target) -> str:
    with _copy(package, root, "/tmp/build") as folder:
        names = [path.name for path in package.sources]
        done = root.run("perl", "/usr/share/checkpatch/checkpatch.pl", "--no-tree", "--strict", "--terse", "--file", *names, folder=folder)
        if done.status or done.output.strip():
            raise CheckError(f"checkpatch.pl:\n{_tail(done)}")
    return f"checkpatch.pl --strict over {len(names)} file{'s' if len(names) > 1 else ''}"


def _check_module(root: BuildRoot, path: str, name: str, aliases: set[str], target: Target, version: str) -> None:
    def field(key: str) -> list[str]:
        done = root.run("modinfo", "-F", key, path)
        if done.status:
            raise CheckError(f"modinfo -F {key} {path}:\n{_tail(done)}")
        return done.output.splitlines()

    if set(field("alias")) != aliases:
        raise CheckError(f"{name} carries the aliases {field('alias')}, and its manifest says {sorted(aliases)}")
    if [line.split()[0] for line in field("vermagic")] != [target.release]:
        raise CheckError(f"{name} was built for {field('vermagic')}, not for {target.release}")
    if field("version") != [version] or field("name") != [name]:
        raise CheckError(f"{path} says that it is {field('name')} version {field('version')}")
    lacking = {"ids", "enable_sriov", *_options_of_devices(root, target)} - {line.partition(":")[0] for line in field("parm")}
    if lacking:
        raise CheckError(f"{name} has no parameter {', '.join(sorted(lacking))}, only {field('parm')}")
    _check_machine(root, path, target)


def _options_of_devices(root: BuildRoot, target: Target) -> t.Iterator[str]:
    """Of vfio-pci's those that are each driver's own since v7.2, with any configuration: members of the structure of a device."""
    header = (target.common(root) / "include/linux/vfio_pci_core.h").read_text(encoding="utf-8")
    if re.search(r"\tbool\t+nointxmask:1;", header):
        yield from ("nointxmask", "disable_idle_d3")


def _check_machine(root: BuildRoot, path: str, target: Target) -> None:
    """The machine that a module is for, and the compiler that has built it."""
    content = (root.tree / path.lstrip("/")).read_bytes()
    if path.endswith(".xz"):
        content = lzma.decompress(content)
    machine = int.from_bytes(content[18:20], "little")
    if content[:4] != b"\x7fELF" or machine != target.machine:
        raise CheckError(f"{path} is for ELF machine {machine}, not {target.machine}")
    if (b"clang version" in content, b"GCC: (" in content) != (target.clang, not target.clang):
        raise CheckError(f"{path} was not built by {'clang' if target.clang else 'gcc'}, or not by that alone")


def _let_sparse_run(root: BuildRoot, target: Target) -> None:
    """Newer kernels ask a script of theirs whether sparse is good enough. Debian's headers come without it, and so without sparse."""
    (root.tree / _SPARSE_HEADER.lstrip("/")).write_text(_FOR_SPARSE, encoding="utf-8")
    common = target.common(root)
    script = common / "scripts/checker-valid.sh"
    if script.name in (common / "Makefile").read_text(encoding="utf-8") and not script.exists():
        script.write_text("#!/bin/sh\necho 1\n", encoding="utf-8")
        script.chmod(0o755)


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
