# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd-tmpfiles writes into /sys and /proc at boot (tmpfiles.d(5)): each line is bound to the devices that its path names."""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, leads_to_nothing
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import bounds, tokens
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.harmless_programs import HARMLESS

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import InfluencesOf

FOLDERS = ("/etc/{0}", "/usr/local/lib/{0}", "/usr/lib/{0}", "/lib/{0}")
LARGEST = 256 << 10
_WRITE_TYPES = frozenset("wfFcbLC")
_RUN_BY_KERNEL = re.compile(r"/proc/sys/kernel/(?:modprobe|hotplug)|/sys/kernel/uevent_helper")
# udev and kmod read these again.
_CONFIGURES = re.compile(r"/(?:run|etc|lib|usr/lib|usr/local/lib)/(?:udev/rules|modprobe|modules-load|driverctl)\.d/[^/]+$")
_ADDRESS_PART = re.compile(r"[0-9a-fA-F*?\[\]:!.-]*[:*?][0-9a-fA-F*?\[\]:!.-]*")


def files(tree: FileTree, folder: str, suffix: str = ".conf") -> tuple[str, ...]:
    """The files of a `.d` directory by name; of the same names the one in the first directory, unless that is a link to /dev/null."""
    chosen = first_of_name(tree, [pattern.format(folder) for pattern in FOLDERS], suffix)
    return tuple(chosen[name] for name in sorted(chosen) if not leads_to_nothing(tree, chosen[name]))


def read(tree: FileTree, inventory: Inventory | None, judged: InfluencesOf | None = None) -> t.Iterator[Influence]:
    """What the lines of tmpfiles.d do to drivers; ``judged`` judges a program by command and source."""
    for path in files(tree, "tmpfiles.d"):
        content = tree.head(path, LARGEST) or b""
        yield from of_text(content.decode("utf-8", "surrogateescape"), tree.shown(path), inventory, judged)


def of_text(text: str, source: str, inventory: Inventory | None, judged: InfluencesOf | None = None) -> t.Iterator[Influence]:
    """What such lines do, wherever they are from."""
    for number, line in enumerate(text.split("\n"), 1):
        words = _fields(line)
        if len(words) < 2 or words[0][:1] not in _WRITE_TYPES:
            continue
        if words[1].startswith(("/sys/", "/proc/")):
            # Nothing is made there, and what is there keeps its content unless the line writes something (create_file() in tmpfiles.c).
            if not _writes_to_what_is_there(words[0]) or "".join(words[6:]).strip() in ("", "-"):
                continue
            yield from _line(words, f"{source}:{number}", inventory)
            yield from _program(words, f"{source}:{number}", judged)
        elif _CONFIGURES.match(words[1]):
            yield Influence(f"{source}:{number}", f"makes {words[1]}", UNBOUNDED)


def _writes_to_what_is_there(kind: str) -> bool:
    return kind[:1] in "wF" or (kind[:1] == "f" and "+" in kind)


def _fields(line: str) -> list[str]:
    """Type, path, mode, user, group, age, and the rest of the line as the argument."""
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words = list(lexer)
    except ValueError:
        words = line.split()
    return [*words[:6], " ".join(words[6:])] if len(words) > 6 else words


def _line(words: t.Sequence[str], source: str, inventory: Inventory | None) -> t.Iterator[Influence]:
    path, argument = words[1], words[6] if len(words) > 6 else ""
    name = path.rpartition("/")[2]
    acts = frozenset(act for token in tokens.acting(f"> {path}") for act in token.acts)
    if "modules_disabled" in path and argument.strip() != "0":
        yield Influence(source, "makes the kernel refuse every further module", frozenset(("lock",)))
    if any(character in name for character in "*?["):
        named = [one for one in ("driver_override", "unbind", "bind", "new_id", "remove", "rescan", "drivers_probe") if matches(one, name)]
        acts |= frozenset(act for one in named for token in tokens.acting(f"> /sys/bus/{one}") for act in token.acts)
    if not acts:
        return
    text = f"{path} {argument}"
    named_driver = tokens.NAMED_DRIVER.search(path)
    drivers = {argument.strip()} if name == "driver_override" and argument.strip() else {named_driver[1]} if named_driver else None
    yield Influence(
        source, f"writes to {path}", acts, _reached(path, text, acts, inventory), None, None if drivers is None else frozenset(drivers)
    )


def _program(words: t.Sequence[str], source: str, judged: InfluencesOf | None) -> t.Iterator[Influence]:
    """A program that the kernel runs from then on."""
    argument = words[6].strip() if len(words) > 6 else ""
    if _RUN_BY_KERNEL.fullmatch(words[1]) and argument not in HARMLESS:
        if judged is None:
            yield Influence(source, f"has the kernel run {argument}", UNBOUNDED)
        else:
            yield from judged(argument, source)


def _reached(path: str, text: str, acts: frozenset[t.Any], inventory: Inventory | None) -> frozenset[str] | None:
    named = tokens.addresses(text)
    ids = tokens.device_ids(text.partition(" ")[2]) if "new_id" in acts else frozenset()
    patterns = [part for part in path.split("/") if any(character in part for character in "*?[") and _ADDRESS_PART.fullmatch(part)]
    if inventory is not None and patterns and "/devices/" in path:
        named |= bounds.matching(inventory, patterns[-1])
        if not named:
            return frozenset()
    return bounds.reached(inventory, named, frozenset(), ids, acts)
