# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy that `boot_policy` would write, as its check mode shows it: over the root, and in the initramfs that would be rebuilt."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.archive import TRAILER
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.reduced_image import DIRECTORY, FILE, archive_member
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import dep_lines

_HEADER = re.compile(r"(/\S+) \(mode ([0-7]{4})[^)]*\)")
_ABSENT = re.compile(r"(/\S+) \(absent\)")
#: What generators copy from the root to every image.
_IN_IMAGE = ("/etc/modprobe.d/", "/etc/udev/rules.d/")
_INDICES = re.compile(r"modules\.(?:alias|dep|softdep|symbols|builtin|order|weakdep)(?:\.bin|\.alias\.bin|\.modinfo)?")


@dataclass(frozen=True)
class PlannedPolicy:
    """``files``: content and mode by path, None for a file that will be gone; ``modules`` are in the image; ``drivers`` by device."""

    files: t.Mapping[str, tuple[str | None, int]] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    drivers: t.Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: t.Mapping[str, t.Any]) -> PlannedPolicy:
        """From what `boot_policy` returned in check mode."""
        files: dict[str, tuple[str | None, int]] = {}
        for one in answer.get("diff") or ():
            header = str(one["after_header"])
            found, gone = _HEADER.fullmatch(header), _ABSENT.fullmatch(header)
            if found:
                files[found[1]] = (str(one["after"]), int(found[2], 8))
            elif gone:
                files[gone[1]] = (None, 0)
            else:
                raise HostError(f"boot_policy names a file in a way that is not understood: {header}.")
        drivers = {str(one["device"]): str(one["driver"]) for one in answer.get("assignments", ())}
        return cls(files, tuple(answer["policy"]["modules"]), drivers)

    @classmethod
    def from_plain(cls, given: t.Mapping[str, t.Any]) -> PlannedPolicy:
        """From what `dataclasses.asdict()` and JSON have made of one."""
        files = {path: (content, mode) for path, (content, mode) in given["files"].items()}
        return cls(files, tuple(given["modules"]), given["drivers"])

    def initramfs(self, root: Path, release: str) -> bytes:
        """An archive to put behind the images: the policy's files, its modules with what they need, and depmod's indices of the root.

        An index that names modules which the image does not have does nothing for these: loading them fails.
        """
        if not self.files:
            return b""
        members = {
            path: (content.encode(), mode)
            for path, (content, mode) in self.files.items()
            if content is not None and path.startswith(_IN_IMAGE)
        }
        folder = root / "usr/lib/modules" / release
        if self.modules:
            for name in (
                *_with_needed(folder, self.modules),
                *(one.name for one in folder.glob("modules.*") if _INDICES.fullmatch(one.name)),
            ):
                members[f"/usr/lib/modules/{release}/{name}"] = ((folder / name).read_bytes(), 0o644)
        return _archive(members)


NO_POLICY = PlannedPolicy()


def _with_needed(folder: Path, modules: t.Sequence[str]) -> list[str]:
    """Their files and those of the modules that they need, from modules.dep."""
    lines = dep_lines((folder / "modules.dep").read_text(encoding="utf-8"))
    needed = {line.name: (line.path, *line.needed.split()) for line in lines}
    return list(dict.fromkeys(path for name in modules for path in needed.get(normalize_module_name(name), ())))


def _archive(members: t.Mapping[str, tuple[bytes, int]]) -> bytes:
    folders = {str(above) for path in members for above in Path(path).parents if str(above) != "/"}
    parts = [archive_member(path.lstrip("/"), DIRECTORY, 0, b"") for path in sorted(folders)]
    parts += [archive_member(path.lstrip("/"), FILE & ~0o777 | mode, 0, content) for path, (content, mode) in sorted(members.items())]
    return b"".join((*parts, archive_member(TRAILER.decode(), 0, 0, b"")))
