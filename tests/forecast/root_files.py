# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration's root: as a tree for the collection to read, and as the archive that the guest gets."""

from __future__ import annotations

import os
import shlex
import tempfile
import typing as t
from pathlib import Path, PurePosixPath

import image
import machine
from archive import MERGED, Archive
from configuration import Configuration
from kernel import Kernel, depmod, module_name, read_dependencies

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

_INDICES = (
    *("modules.alias", "modules.alias.bin", "modules.builtin.alias.bin", "modules.builtin.bin", "modules.dep", "modules.dep.bin"),
    *("modules.devname", "modules.softdep", "modules.symbols", "modules.symbols.bin", "modules.weakdep"),
)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=-_.,:/+*")


def cmdline(configuration: Configuration) -> str:
    """What the kernel gets, and /proc/cmdline shows."""
    return " ".join((*machine.CMDLINE, *configuration.cmdline))


def lay_out(configuration: Configuration, kernel: Kernel, root: Path) -> None:
    """All but /sys."""
    _link_tree(kernel.folder / "root", root, _without(configuration, kernel))
    if configuration.missing_modules:
        depmod(root, kernel.release)
    for path, text in configuration.root_files.items():
        _write(root, path, text)
    _write(root, image.kmod_library(kernel), "")
    _write(root, "/proc/cmdline", f"{cmdline(configuration)}\n")
    _write(root, "/proc/sys/kernel/osrelease", f"{kernel.release}\n")
    os.link(kernel.image, root / f"boot/vmlinuz-{kernel.release}")
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


def _link_tree(source: Path, target: Path, without: t.Collection[str]) -> None:
    for folder, folders, files in os.walk(source):
        here = target / Path(folder).relative_to(source)
        here.mkdir(parents=True, exist_ok=True)
        for name in (*files, *(name for name in folders if (Path(folder) / name).is_symlink())):
            place = Path(folder) / name
            if any(str(place).endswith(f"/{path}") for path in without):
                continue
            if place.is_symlink():
                (here / name).symlink_to(place.readlink())
            else:
                os.link(place, here / name)


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
        for name in _INDICES:
            if (root / home / name).is_file():
                made.file(f"/root/{home}/{name}", (root / home / name).read_bytes())


def _copy_links(source: Path, target: Path, without: t.Collection[str]) -> None:
    for path in source.rglob("*"):
        name = str(path.relative_to(source))
        if path.is_file() and name not in without and name not in _INDICES:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(path, target / name)


def _quoted(word: str) -> str:
    return word if _PLAIN.issuperset(word) else "'" + word.replace("'", "'\\''") + "'"
