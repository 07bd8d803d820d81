# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy: the files that decide which driver wins the next boot, and who may change them."""

from __future__ import annotations

import dataclasses
import hashlib
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState, needed

DEFAULT_NAME = "vfio-variants"
# The name becomes part of file names that modprobe, udev and the generators' run-parts all accept.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
HEADER = "# Managed by the vfio.variants collection"
_OWNER = re.compile(rb"^" + HEADER.encode() + rb" \(policy ([a-z0-9_-]+)\)", re.MULTILINE)
OWNER_WITHIN = 400
_MODULES = re.compile(r"^# modules:(.*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class PolicyPaths:
    """Where the files of the policy ``name`` lie."""

    name: str

    @property
    def softdeps(self) -> str:
        """Sorted before all others: kmod obeys only the first softdep line that names a module, and depmod's own
        modules.softdep takes its turn among the files by that name (libkmod-config.c, libkmod-module.c)."""
        return f"/etc/modprobe.d/00-{self.name}.conf"

    @property
    def modprobe(self) -> str:
        return f"/etc/modprobe.d/{self.name}.conf"

    @property
    def rules(self) -> str:
        return f"/etc/udev/rules.d/70-{self.name}.rules"

    @property
    def early(self) -> str:
        return f"/etc/modules-load.d/{self.name}.conf"

    @property
    def hook(self) -> str:
        return f"/etc/initramfs-tools/hooks/{self.name}"

    @property
    def dracut(self) -> str:
        return f"/etc/dracut.conf.d/{self.name}.conf"

    @property
    def mkinitcpio(self) -> str:
        """Read after all others, which may set what this one adds to."""
        return f"/etc/mkinitcpio.conf.d/zz-{self.name}.conf"

    @property
    def limits(self) -> str:
        """Read after all others of its folder, the last line about an account wins (pam_limits)."""
        return f"/etc/security/limits.d/zz-{self.name}.conf"

    @property
    def all(self) -> tuple[str, ...]:
        return (self.softdeps, self.modprobe, self.rules, self.early, self.hook, self.dracut, self.mkinitcpio, self.limits)

    def mode(self, path: str) -> int:
        return 0o755 if path == self.hook else 0o644

    def hidden_by(self, path: str) -> tuple[str, ...]:
        """Files of the system that a file at ``path`` would hide: those of its name in the directories that come later."""
        folder, name = posixpath.split(path)
        kind = {"/etc/modprobe.d": "modprobe.d", "/etc/udev/rules.d": "udev/rules.d", "/etc/modules-load.d": "modules-load.d"}.get(folder)
        return () if kind is None else tuple(f"{parent}/{kind}/{name}" for parent in ("/run", "/usr/local/lib", "/usr/lib", "/lib"))


@dataclasses.dataclass(frozen=True)
class Policy:
    """The files that should exist, with their content, and the modules (normalized names) that must be in the initramfs.

    A path of the policy that ``files`` does not hold must be absent.
    """

    name: str
    files: t.Mapping[str, str]
    modules: frozenset[str]

    @property
    def paths(self) -> PolicyPaths:
        return PolicyPaths(self.name)

    def result(self) -> dict[str, t.Any]:
        """As `boot_policy` returns it and `initramfs` takes it: each path's SHA-256, None where no file may be."""
        digests = {path: hashlib.sha256(content.encode()).hexdigest() for path, content in self.files.items()}
        return {"files": {path: digests.get(path) for path in self.paths.all}, "modules": sorted(self.modules)}

    def changes(self, existing: t.Mapping[str, FileState | None]) -> tuple[FileChange, ...]:
        """What to write and remove, given what is there.  Raises HostError where a file of somebody else is in the way."""
        for path in self.paths.all:
            self._refuse_foreign(path, existing.get(path))
        return tuple(FileChange(path, existing.get(path), self._wanted(path)) for path in self.paths.all)

    def steps(self, existing: t.Mapping[str, FileState | None]) -> tuple[FileChange, ...]:
        """The changes in an order of which each beginning is safe: whenever it stops, each device gets its old driver or its new one.

        A device that is given to a driver by two means gets it all the same, so what is new is added before what is old is taken out:
        rules and options hold both in between.  A blacklist that is no longer wanted goes before the rules that give its devices to
        another driver, and a new one comes after them.  Images get the modules before the rules that ask for them.
        """
        paths = self.paths
        changes = {change.path: change for change in self.changes(existing)}
        both = {path: _with_old_lines(changes[path]) for path in (paths.rules, paths.modprobe)}
        hooks = [changes[paths.hook], changes[paths.dracut], changes[paths.mkinitcpio]]
        return needed(
            (
                *(change for change in hooks if change.after is not None),
                FileChange(paths.rules, existing.get(paths.rules), both[paths.rules]),
                FileChange(paths.modprobe, existing.get(paths.modprobe), both[paths.modprobe]),
                changes[paths.softdeps],
                changes[paths.early],
                changes[paths.limits],
                FileChange(paths.modprobe, both[paths.modprobe], changes[paths.modprobe].after),
                FileChange(paths.rules, both[paths.rules], changes[paths.rules].after),
                *(change for change in hooks if change.after is None),
            )
        )

    def content(self, path: str) -> bytes | None:
        """What a file of the policy holds, None where there is none."""
        content = self.files.get(path)
        return None if content is None else content.encode()

    def _wanted(self, path: str) -> FileState | None:
        content = self.content(path)
        return None if content is None else FileState(content, self.paths.mode(path))

    def _refuse_foreign(self, path: str, state: FileState | None) -> None:
        if state is None:
            return
        owner = owner_of(state.content)
        if owner == self.name:
            return
        whose = "has not been written by this collection" if owner is None else f"belongs to the policy {owner}"
        raise HostError(
            f"{path} {whose}, so it is neither overwritten nor removed.", "Move it away, or choose another name for this policy."
        )


def _with_old_lines(change: FileChange) -> FileState | None:
    """The new file with the old one's lines before its own, which win; of the lines that blacklist a module, only those of both."""
    if change.before is None and change.after is None:
        return None
    old, new = _lines(change.before), _lines(change.after)
    head = [line for line in new or old if line.startswith("#")]
    body = [line for line in (*(line for line in old if line not in new), *new) if not line.startswith("#")]
    kept = [line for line in body if not line.startswith("blacklist ") or (line in old and line in new)]
    mode = (change.after or change.before or FileState(b"")).mode
    return FileState("".join([*head, *kept]).encode("utf-8", "surrogateescape"), mode) if kept else None


def _lines(state: FileState | None) -> list[str]:
    return [] if state is None else state.content.decode("utf-8", "surrogateescape").splitlines(keepends=True)


def absent(name: str) -> Policy:
    """The policy that leaves nothing behind."""
    return Policy(name, {}, frozenset())


def check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise HostError(
            f"name: '{cut(name)}' cannot name a policy.",
            "Use up to 64 lower-case letters, digits, dashes and underscores, a letter or digit first.",
        )
    return name


def header(name: str) -> str:
    """The first lines of each file; the same in every run."""
    return (
        f"{HEADER} (policy {name}): changes are overwritten.\n"
        f"# To remove it, run the module vfio.variants.boot_policy with state=absent and name={name}.\n"
    )


def owner_of(content: bytes) -> str | None:
    """The name of the policy that a file belongs to, None when it is not ours."""
    found = _OWNER.search(content[:OWNER_WITHIN])
    return None if found is None else found[1].decode()


def modules_line(modules: t.Iterable[str]) -> str:
    """The line by which a hook tells readers which modules it packs."""
    return f"# modules: {' '.join(sorted(modules))}\n"


def modules_in(content: str) -> tuple[str, ...]:
    """The modules that a hook or a configuration of a generator of ours packs."""
    found = _MODULES.search(content)
    return () if found is None else tuple(found[1].split())
