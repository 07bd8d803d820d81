# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration's root: as a tree for the collection to read, and as the archive that the guest gets."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import tempfile
import typing as t
from pathlib import Path, PurePosixPath

import image
import machine
from archive import MERGED, Archive
from configuration import Configuration
from kernel import Kernel, depmod, module_name, read_dependencies

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

INDICES = (
    *("modules.alias", "modules.alias.bin", "modules.builtin.alias.bin", "modules.builtin.bin", "modules.dep", "modules.dep.bin"),
    *("modules.devname", "modules.softdep", "modules.symbols", "modules.symbols.bin", "modules.weakdep"),
)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=-_.,:/+*")


def cmdline(configuration: Configuration) -> str:
    """What the kernel gets, and /proc/cmdline shows."""
    return " ".join((*machine.CMDLINE, *configuration.cmdline))


def lay_out_kernel(configuration: Configuration, kernel: Kernel, root: Path) -> None:
    """What the kernel's package and the distribution bring; of the configuration only which modules are missing."""
    link_tree(kernel.folder / "root", root, _without(configuration, kernel))
    if configuration.missing_modules:
        depmod(root, kernel.release)
    _write(root, image.kmod_library(kernel), "")
    _write(root, "/proc/sys/kernel/osrelease", f"{kernel.release}\n")
    _link(kernel.image, root / f"boot/vmlinuz-{kernel.release}")


def lay_out(configuration: Configuration, kernel: Kernel, root: Path) -> None:
    """What the configuration brings, in a root that has the rest."""
    for path, text in configuration.root_files.items():
        _write(root, path, text)
    _write(root, "/proc/cmdline", f"{cmdline(configuration)}\n")
    (root / f"boot/initrd.img-{kernel.release}").write_bytes(image.make(configuration, kernel))
    _write(root, "/boot/grub/grub.cfg", grub_menu(configuration, kernel.release))


def archive(configuration: Configuration, kernel: Kernel, capture: bool) -> bytes:
    """What the guest gets beside the template of the root."""
    made = Archive()
    missing = sorted(_without(configuration, kernel))
    settings = {
        "release": kernel.release,
        "virtual_functions": str(configuration.virtual_functions),
        "physical_function": machine.PHYSICAL_FUNCTION,
        "missing": " ".join(missing),
        "capture": "yes" if capture else "",
    }
    made.file("/root/forecast/wanted", "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()))
    if missing:
        _add_indices(made, configuration, kernel)
    for path, text in configuration.root_files.items():
        made.file(f"/root{_merged(path)}", text, _mode(text))
    return made.content()


def grub_menu(configuration: Configuration, release: str) -> str:
    """The part of update-grub's file that says what boots."""
    words = " ".join(_quoted(word) for word in cmdline(configuration).split(" "))
    return (
        'set default="0"\n'
        f"menuentry 'Debian GNU/Linux' {{\n\tlinux\t/boot/vmlinuz-{release} {words}\n\tinitrd\t/boot/initrd.img-{release}\n}}\n"
    )


def _without(configuration: Configuration, kernel: Kernel) -> set[str]:
    """Paths of the modules that the configuration's root lacks."""
    by_name = {module_name(path): path for path in read_dependencies(kernel.modules)}
    unknown = [name for name in configuration.missing_modules if name.replace("-", "_") not in by_name]
    if unknown:
        raise HostError(f"missing_modules: the guest's {kernel.release} has no module {unknown[0]!r} anyway.")
    return {by_name[name.replace("-", "_")] for name in configuration.missing_modules}


def link_tree(source: Path, target: Path, without: t.Collection[str] = ()) -> None:
    """The same tree, whose files are those of the source; but for some, by the ends of their paths."""
    left_out = tuple(f"/{path}" for path in without)
    folders = [("", os.scandir(source))]
    target.mkdir(parents=True, exist_ok=True)
    while folders:
        here, entries = folders.pop()
        with entries:
            for entry in entries:
                path, copy = f"{here}/{entry.name}", f"{target}{here}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(copy)
                    folders.append((path, os.scandir(entry.path)))
                elif entry.is_symlink():
                    os.symlink(os.readlink(entry.path), copy)
                elif not path.endswith(left_out):
                    _link(entry.path, copy)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy(source, target)


def _write(root: Path, path: str, text: str) -> None:
    place = root / _merged(path).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    # A link to the template's file, or one of the template's links.
    place.unlink(missing_ok=True)
    place.write_text(text, encoding="utf-8", errors="surrogateescape")
    place.chmod(_mode(text))


def _mode(text: str) -> int:
    return 0o755 if text.startswith("#!") else 0o644


def _merged(path: str) -> str:
    top = PurePosixPath(path).parts[1]
    return f"/usr{path}" if top in MERGED else path


def _add_indices(made: Archive, configuration: Configuration, kernel: Kernel) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        home = kernel.modules.relative_to(kernel.folder / "root")
        _copy_links(kernel.modules, root / home, _without(configuration, kernel))
        depmod(root, kernel.release)
        for name in INDICES:
            if (root / home / name).is_file():
                made.file(f"/root/{home}/{name}", (root / home / name).read_bytes())


def _copy_links(source: Path, target: Path, without: t.Collection[str]) -> None:
    for path in source.rglob("*"):
        name = str(path.relative_to(source))
        if path.is_file() and name not in without and name not in INDICES:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(path, target / name)


def _quoted(word: str) -> str:
    return word if _PLAIN.issuperset(word) else "'" + word.replace("'", "'\\''") + "'"
