# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules a kernel took with Secure Boot on, as it is kept in the tree: `tests/uefi/run --record` writes it, unit tests read it."""

from __future__ import annotations

import base64
import dataclasses
import json
import typing as t
from pathlib import Path

PLACE = Path(__file__).resolve().parent / "observed/signed.json"
UNSIGNED, VENDOR = "unsigned", "vendor"


@dataclasses.dataclass(frozen=True)
class Signed:
    """``taken``: by name whose signature the module had, and whether the kernel loaded it.

    ``signatures`` are what stands behind the module's file, ``files`` those that tell of keys, by path; ``config`` and ``image`` are the
    kernel's options about signatures, and the beginning of its image, which names who built it.
    """

    release: str
    taken: t.Mapping[str, bool]
    signatures: t.Mapping[str, bytes]
    files: t.Mapping[str, bytes]
    config: str
    image: bytes

    def lay_out(self, root: Path) -> None:
        """The host's files below ``root``, as they were in the guest."""
        paths = {**self.files, f"/boot/config-{self.release}": self.config.encode(), f"/boot/vmlinuz-{self.release}": self.image}
        for path, content in paths.items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def read(place: Path = PLACE) -> Signed:
    """What is kept in the tree."""
    kept = json.loads(place.read_text(encoding="utf-8"))
    for name in ("signatures", "files"):
        kept[name] = {key: base64.b64decode(value) for key, value in kept[name].items()}
    return Signed(**{**kept, "image": base64.b64decode(kept["image"])})


def write(signed: Signed, place: Path = PLACE) -> None:
    """Keep it in the tree."""
    kept: dict[str, t.Any] = dict(vars(signed))
    for name in ("signatures", "files"):
        kept[name] = {key: base64.b64encode(value).decode() for key, value in kept[name].items()}
    kept["image"] = base64.b64encode(signed.image).decode()
    place.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
