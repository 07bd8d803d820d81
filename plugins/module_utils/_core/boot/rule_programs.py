# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs that udev rules run may do to drivers, by what their files say; a name says nothing."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_scripts import LOADS, WRITES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.influence import Act
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

EVENT_DEVICE = "%k"
UDEV_FOLDERS = ("/usr/lib/udev", "/lib/udev")
"""Where udev seeks a program that is named without its path."""
LARGEST = 1 << 18
MOST = 256
DEEPEST = 3
# Where packages put compiled programs.
_PACKAGED = ("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/libexec/", "/bin/", "/sbin/", "/lib/")
_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]")
_OWN = re.compile(r"%k|\$kernel|%p|\$devpath|\$env\{PCI_SLOT_NAME\}|%E\{PCI_SLOT_NAME\}")
_WORD = re.compile(r"/[\w./+-]+")
_MODULE = re.compile(r"[A-Za-z0-9][\w-]*")
_ACTS: t.Mapping[str, Act] = {
    "driver_override": "override",
    "drivers_probe": "bind",
    "drivers_autoprobe": "bind",
    "bind": "bind",
    "unbind": "unbind",
    "new_id": "new_id",
    "remove_id": "new_id",
    "sriov_numvfs": "create",
}
_REMOVES = re.compile(r"/(?:remove|rescan)(?![\w-])")
_UNLOADS = re.compile(r"\b(?:rmmod|modprobe\s+(?:-\w*r\w*|--remove))\b")
Judge = t.Callable[[str, str], t.Sequence[Influence]]
"""What a command line may do; the second argument is its source."""


def judged(tree: FileTree, rules: Rules, kernel: Kernel, judge: Judge | None = None) -> dict[str, tuple[Influence, ...]]:
    """By command line as it stands in the rules."""
    found: dict[str, tuple[Influence, ...]] = {}
    ask = _Programs(tree, kernel).judge if judge is None else judge
    for rule in rules.rules:
        for key in rule.keys:
            if _runs_program(key) and key.value not in found and len(found) < MOST:
                found[key.value] = tuple(ask(key.value, str(rule)))
    return found


def _runs_program(key: Key) -> bool:
    if key.name == "RUN":
        return key.attribute != "builtin"
    return key.name == "PROGRAM" or (key.name == "IMPORT" and key.attribute == "program")


@dataclasses.dataclass(frozen=True)
class _Programs:
    tree: FileTree
    kernel: Kernel

    def judge(self, command: str, source: str) -> t.Iterator[Influence]:
        words = [word.strip("'\"") for word in command.split()]
        program = _place_of(self.tree, words[0]) if words else None
        if program is None:
            return
        texts = [(source, command), *self._texts(program, 0)]
        texts += [one for word in _WORD.findall(command) for one in self._texts(word, 0) if word != words[0]]
        found: dict[str, Influence] = {}
        for place, text in dict(texts).items():
            for one in self._of_text(place, text, command, source):
                found.setdefault(f"{one.source} {one.fact}", one)
        yield from found.values()

    def _texts(self, path: str, depth: int) -> t.Iterator[tuple[str, str]]:
        """A script's path and text, and those of what it runs."""
        status = self.tree.is_file(path) and depth < DEEPEST
        content = self.tree.read_bytes(path)[:LARGEST] if status else b""
        if not content.startswith(b"#!"):
            if content.startswith(b"\x7fELF") and not path.startswith(_PACKAGED):
                yield path, "\x7f"
            return
        text = content.decode("utf-8", "surrogateescape")
        yield path, text
        for word in dict.fromkeys(_WORD.findall(text)[:MOST]):
            if word != path:
                yield from self._texts(word, depth + 1)

    def _of_text(self, place: str, text: str, command: str, source: str) -> t.Iterator[Influence]:
        if text == "\x7f":
            yield Influence(source, f"runs {place}, which no package has brought")
            return
        lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
        body = "\n".join(lines)
        acts = {_ACTS[_last(match)] for match in WRITES.findall(body) if _last(match) in _ACTS}
        if "driverctl" in body and WRITES.search(body):
            acts |= {"override", "unbind", "bind", "load"}
        if _REMOVES.search(body):
            acts.add("remove")
        what = f"runs {place}, which acts on drivers" if place != source else f"runs {command}"
        named = frozenset(_ADDRESS.findall(f"{body}\n{command}"))
        own = frozenset((EVENT_DEVICE,)) if _OWN.search(command) else frozenset()
        of_device = frozenset(acts - {"new_id"})
        if of_device:
            yield Influence(source, what, of_device, (named | own) or None)
        if "new_id" in acts:
            yield Influence(source, what, frozenset(("new_id",)))
        yield from self._of_modules(body, what, source)

    def _of_modules(self, body: str, what: str, source: str) -> t.Iterator[Influence]:
        words = [word for found in LOADS.findall(body) for word in found.split() if not word.startswith("-")]
        if not words and not LOADS.search(body):
            return
        literal = all(_MODULE.fullmatch(word) or word.endswith(".ko") for word in words)
        names = frozenset(normalize_module_name(posixpath.basename(word).partition(".ko")[0]) for word in words)
        act: Act = "refuse" if _UNLOADS.search(body) else "load"
        yield Influence(source, what, frozenset((act,)), None, names if literal and names else None)


def _last(match: str) -> str:
    return match.rpartition("/")[2]


def _place_of(tree: FileTree, word: str) -> str | None:
    """The program's file; None if there is none, so that udev runs nothing."""
    places = [word] if word.startswith("/") else [f"{folder}/{word}" for folder in UDEV_FOLDERS]
    return next((place for place in places if tree.exists(place)), None)
