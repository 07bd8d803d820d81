# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of modules, and files of driverctl, that their readers take otherwise than their author meant."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import WORDS
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.dead_names import GONE
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.ignored_lines import PUT_ASIDE
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.misread_lines import IDENTIFIER
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_values import ADDRESS

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

FOR_IMAGE = "/initramfs-tools/"
LIST_DIRECTORY = "/modules-load.d/"
FULL = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")


def directives_in_lists(host: HostPolicy) -> t.Iterator[Finding]:
    """A line of modprobe.d in a list of modules."""
    for file, number, line in _lines(host):
        words = line.split()
        if is_directive(words):
            source = f"{file.path}:{number}"
            said = f"{source}: `{line.strip()}` is a line for /etc/modprobe.d, and this file is a list of modules: it has no effect."
            yield Finding("directive-in-list", source, f"{said} Move it to a file in /etc/modprobe.d whose name ends in .conf.")


def is_directive(words: t.Sequence[str]) -> bool:
    """Whether the words are a line of modprobe.d."""
    return len(words) > 1 and words[0].lower() in WORDS


def words_after_modules(host: HostPolicy) -> t.Iterator[Finding]:
    """systemd-modules-load takes a whole line as the module's name, with options, comments and further names (modules-load.c)."""
    for file, number, line in _lines(host):
        words = line.split()
        if len(words) < 2 or is_directive(words):
            continue
        source = f"{file.path}:{number}"
        if FOR_IMAGE in file.path:
            yield from _for_image(source, line.split("#", maxsplit=1)[0].split(), host)
            continue
        said = f"{source}: systemd-modules-load takes the whole line `{line.strip()}` as the name of a module, and loads nothing."
        yield Finding("words-after-module", source, f"{said} {_advice(words)}")


def _for_image(source: str, words: t.Sequence[str], host: HostPolicy) -> t.Iterator[Finding]:
    """initramfs-tools gives a whole line to modprobe (load_modules() in scripts/functions): one module, and options of it."""
    modules = [word for word in words[1:] if normalize_module_name(word) in host.modules or normalize_module_name(word) in GONE]
    stray = next((word for word in words[1:] if IDENTIFIER.fullmatch(word)), None)
    if modules:
        said = f"{source}: initramfs-tools loads {words[0]} alone, and gives it {modules[0]} as an option."
        yield Finding("words-after-module", source, f"{said} Write one module in each line.")
    elif stray is not None:
        said = f"{source}: `{stray}` stands alone, so it is not a part of ids=, and has no effect."
        yield Finding("words-after-module", source, f"{said} Write the list of ids= without blanks.")


def _advice(words: t.Sequence[str]) -> str:
    if words[1].startswith(("#", ";")):
        return f"Write `{words[0]}`, and the comment into a line of its own."
    if any("=" in word for word in words[1:]):
        return f"Write `{words[0]}` here, and `options {' '.join(words)}` into a file in /etc/modprobe.d."
    return "Write one module in each line."


def lists_that_are_not_read(host: HostPolicy) -> t.Iterator[Finding]:
    """A file in modules-load.d whose name does not end in .conf."""
    for file in host.files.lists:
        text = (file.text or "").strip()
        if LIST_DIRECTORY not in file.path or file.name.endswith(".conf") or not re.fullmatch(r"[\w.-]+", file.name) or not text:
            continue
        if PUT_ASIDE.search(file.name):
            continue
        if names_a_module(text, host):
            said = f"{file.path}: systemd-modules-load does not read it, because its name does not end in .conf."
            stem = file.path.partition(".conf.")[0] if ".conf." in file.name else posixpath.splitext(file.path)[0]
            yield Finding("no-conf-suffix", file.path, f"{said} Rename it to {stem}.conf, or remove it.")


def names_a_module(text: str, host: HostPolicy) -> bool:
    """Whether a list has a module that could bind to one of the host's devices, or one of VFIO."""
    words = (line.split() for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))
    return any(line and line[0].replace("-", "_") in host.contenders for line in words)


def saved_overrides_that_are_not_read(host: HostPolicy) -> t.Iterator[Finding]:
    """driverctl's rule asks for a file by bus and address, `pci-0000:01:00.0` (05-driverctl.rules)."""
    for file in host.files.saved:
        bus, dash, address = file.name.partition("-")
        named = re.sub(r"\.(?:cfg|conf|rules|txt)$", "", address if dash and bus == "pci" else file.name)
        match = ADDRESS.fullmatch(named)
        if match is None or (dash and bus == "pci" and FULL.fullmatch(address)):
            continue
        domain, number, slot, function = match.groups()
        meant = f"pci-{int(domain or '0', 16):04x}:{int(number, 16):02x}:{int(slot, 16):02x}.{function}"
        said = f"{file.path}: driverctl does not read it, because it looks for a file by the bus and the whole address."
        yield Finding("saved-override-unread", file.path, f"{said} Rename it to {posixpath.dirname(file.path)}/{meant}.")


def _lines(host: HostPolicy) -> t.Iterator[tuple[PolicyFile, int, str]]:
    """The lines of the lists that are read, but for comments."""
    for file in host.lists:
        if LIST_DIRECTORY in file.path and not file.name.endswith(".conf"):
            continue
        for number, line in enumerate((file.text or "").splitlines(), 1):
            if line.strip() and not line.lstrip().startswith(("#", ";")):
                yield file, number, line
