# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DKMS and depmod as they work on their trees, for hosts that are only a directory.

What DKMS 3.0.10 and 3.2.2 do, as run for real: exit codes 3, 10 and 77, what lies where after each action, that a failed build
leaves its log, which files it takes for its own, and which it archives.  A "compiler" turns ``<module>.c`` into a module whose
aliases are the file's lines; a line ``#error`` fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

ARCH = os.uname().machine


class ModelDkms:
    """Runs ``dkms`` and ``depmod`` on a tree.  ``calls`` are the commands; ``failing`` are those that shall fail.

    With ``archives`` it keeps a file that lies where a module is to be installed and puts it back later, as DKMS 3.2 does;
    Debian's 3.0 does not.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.archives = True
        self.refuses_with = 77
        """What it exits with for a kernel that a package is not for."""
        self.folder = "updates/dkms"
        """Where it installs to: what a distribution has is fixed in DKMS."""
        self.calls: list[str] = []
        self.failing: list[str] = []
        for name in ("dkms", "make", "gcc"):
            tree.file(f"/usr/sbin/{name}", mode=0o755)

    @property
    def host(self) -> Host:
        return self.tree.host(self)

    def __call__(
        self,
        args: list[str],
        *,
        data: bytes | None,  # noqa: ARG002 - what a host hands to its runner
        binary_data: bool,  # noqa: ARG002
        environ_update: dict[str, str] | None,  # noqa: ARG002
    ) -> tuple[int, str, str]:
        command = args[3:]  # behind timeout and its options
        self.calls.append(" ".join(word for word in command[:2] if not word.startswith("-")))
        if self.calls[-1] in self.failing:
            self.failing.remove(self.calls[-1])
            return 1, "", f"{self.calls[-1]}: it is meant to fail"
        if command[0] == "depmod":
            return self._depmod(command[-1])
        if command[0] == "sync":
            return 0, "", ""
        if command[0] == "ln":
            target, link = command[-2:]
            os.symlink(target, link)
            return 0, "", ""
        options = dict(zip(command, command[1:]))
        return _Action(self.tree, options, self).run(command[1])

    def _depmod(self, release: str) -> tuple[int, str, str]:
        here = self.tree.place(f"/lib/modules/{release}")
        dep, alias = "", ""
        for path in sorted(
            here.rglob("*.ko"), key=lambda path: ("weak-updates" not in path.parts, not {"updates", "extra"} & set(path.parts))
        ):
            dep += f"{path.relative_to(here)}:\n"
            if path.stat().st_size > 4:
                info = ModuleInfo.parse(path.read_bytes(), str(path))
                alias += "".join(f"alias {pattern} {path.stem.replace('-', '_')}\n" for pattern in info.aliases)
        # As the real one does it, which leaves the first of the two behind if it is killed between them.
        for name, text in (("modules.dep", dep), ("modules.alias", alias)):
            new = here / f"{name}.{os.getpid()}.532177.1796086161"
            new.write_text(text)
            new.rename(here / name)
        return 0, "", ""


class _Action:
    def __init__(self, tree: Tree, options: t.Mapping[str, str], dkms: ModelDkms) -> None:
        self._archives, self._folder, self._refuses_with = dkms.archives, dkms.folder, dkms.refuses_with
        self._name, self._version = options["-m"], options["-v"]
        self._release = options.get("-k", "")
        self._package = tree.place(f"{options['--dkmstree']}/{self._name}")
        self._here = self._package / self._version
        self._source = tree.place(f"{options['--sourcetree']}/{self._name}-{self._version}")
        self._modules = tree.place(f"{options['--installtree']}/{self._release}")
        self._tree = tree

    def run(self, action: str) -> tuple[int, str, str]:
        return {"add": self._add, "build": self._build, "install": self._install, "uninstall": self._uninstall, "remove": self._remove}[
            action
        ]()

    @property
    def _built(self) -> Path:
        return self._here / self._release / ARCH / "module"

    @property
    def _link(self) -> Path:
        return self._package / f"kernel-{self._release}-{ARCH}"

    def _own_name(self, place: Path) -> str:
        """A place as the host itself calls it."""
        return f"/{place.relative_to(self._tree.root)}"

    def _add(self) -> tuple[int, str, str]:
        if (self._here / "source").is_symlink():
            return 3, "", "Error! DKMS tree already contains it"
        if not self._source.is_dir():
            return 2, "", "Error! Could not find module source directory."
        (self._here / "build").mkdir(parents=True)
        (self._here / "source").symlink_to(self._own_name(self._source))
        return 0, "", ""

    def _build(self) -> tuple[int, str, str]:
        if not (self._here / "source").is_symlink():
            return 3, "", "Error! not in the DKMS tree"
        conf = (self._source / "dkms.conf").read_text()
        if "DKMS_SAYS_NO" in conf:
            return self._refuses_with, "", "Error! BUILD_EXCLUSIVE"
        shutil.rmtree(self._here / "build", ignore_errors=True)
        modules = {}
        for name, text in self._sources(conf):
            if "#error" in text:
                (self._here / "build").mkdir()
                (self._here / "build" / "make.log").write_text(
                    f"DKMS make.log\n{self._own_name(self._here)}/build/{name}.c:1: error: #error\n"
                )
                return 10, "", "Error! Bad return status for module build"
            aliases, source = re.findall(r"^\w*pci:\S+", text, re.MULTILINE), hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            modules[name] = module_file(self._release, aliases, version=self._version, text=text, srcversion=source)
        self._built.mkdir(parents=True)
        for name, content in modules.items():
            (self._built / f"{name}.ko").write_bytes(content)
        return 0, "", ""

    def _sources(self, conf: str) -> list[tuple[str, str]]:
        """Each module with what is compiled for it: a file of its name, or all that its own folder has."""
        read = Assignments.parse(conf, {"kernelver": self._release})
        folder = read.get("BUILT_MODULE_LOCATION")
        if folder is None:
            return [(name, (self._source / f"{name}.c").read_text()) for name in DkmsConf(conf, "dkms.conf").modules]
        return [(read.get("BUILT_MODULE_NAME") or "", "".join(path.read_text() for path in sorted((self._source / folder).glob("*.c"))))]

    def _install(self) -> tuple[int, str, str]:
        if not self._built.is_dir():
            return 10, "", "it would have to be built first"
        place = self._modules / self._folder
        for path in self._built.glob("*.ko"):
            if self._archives and not self._link.is_symlink():
                self._archive(path.stem)
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place / path.name)
        if self._link.is_symlink():
            self._link.unlink()
        self._link.symlink_to(f"{self._version}/{self._release}/{ARCH}")
        return 0, "", ""

    def _uninstall(self) -> tuple[int, str, str]:
        if not (self._here / "source" / "..").exists() and not self._source.is_dir():
            return 4, "", "Error! it is broken"
        if self._link.is_symlink() and os.readlink(self._link).startswith(f"{self._version}/"):
            for path in self._built.glob("*.ko"):
                self._delete(path)
                self._restore(path.stem)
            shutil.rmtree(self._archive_folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                self._archive_folder.parent.rmdir()
                self._archive_folder.parent.parent.rmdir()
            self._link.unlink()
        return 0, "", ""

    @property
    def _archive_folder(self) -> Path:
        return self._package / "original_module" / self._release / ARCH

    def _archive(self, module: str) -> None:
        """do_install(): the first file of that name where DKMS looks, or the only one in the kernel's tree."""
        folders = ("extra", "updates", "updates/dkms")
        found = [path for folder in folders for path in sorted((self._modules / folder).glob(f"{module}.ko*"))]
        anywhere = list(self._modules.rglob(f"{module}.ko*"))
        for original in (found or (anywhere if len(anywhere) == 1 else []))[:1]:
            self._archive_folder.mkdir(parents=True, exist_ok=True)
            (self._archive_folder / f"{original.name}.origin").write_text(self._own_name(original))
            shutil.move(original, self._archive_folder / original.name)

    def _restore(self, module: str) -> None:
        """do_uninstall(): whatever was archived goes back to where it came from."""
        for note in self._archive_folder.glob(f"{module}.ko*.origin"):
            original = self._tree.place(note.read_text())
            original.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(note.with_suffix(""), original)

    def _delete(self, built: Path) -> None:
        """find_actual_dest_module_location(): a file of another version is not recognised, and stays."""
        place = self._modules / self._folder
        if (place / built.name).exists() and _version(place / built.name) == _version(built):
            for path in place.glob(f"{built.name}*"):
                path.unlink()
            with contextlib.suppress(OSError):
                for folder in (place, *tuple(place.relative_to(self._modules).parents)[:-1]):
                    (self._modules / folder).rmdir()

    def _remove(self) -> tuple[int, str, str]:
        shutil.rmtree(self._here)
        if not list(self._package.iterdir()):
            self._package.rmdir()
        return 0, "", ""


def _version(module: Path) -> str | None:
    try:
        return ModuleInfo.parse(module.read_bytes(), str(module)).version
    except HostError:
        return None


def two_kernels(root: Path) -> ModelDkms:
    """A host with DKMS and the headers of its two kernels."""
    tree = Tree(root)
    for release in (DEBIAN_12, DEBIAN_13):
        tree.kernel(release, {"nouveau": []}, headers=True, running=release == DEBIAN_12)
        tree.file(f"/lib/modules/{release}/kernel/drivers/nouveau.ko", b"")
        tree.file(f"/usr/src/linux-headers-{release}/include/config/auto.conf", "CONFIG_VFIO_PCI_CORE=m\nCONFIG_CC_VERSION_TEXT=gcc 12\n")
    return ModelDkms(tree)
