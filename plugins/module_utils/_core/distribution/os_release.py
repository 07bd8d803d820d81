# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /etc/os-release says about the host (os-release(5))."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


@dataclasses.dataclass(frozen=True)
class Names:
    """``like`` are the words of ID_LIKE, ``variant`` is VARIANT_ID, ``image`` IMAGE_ID, ``ostree`` OSTREE_VERSION.

    Empty where the file does not say.
    """

    id: str
    like: tuple[str, ...]
    variant: str
    version: str = ""
    image: str = ""
    ostree: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """The nearest first, in small letters, which os-release(5) asks for and ``Deepin``, ``FydeOS`` or ``openEuler`` have not."""
        return tuple(name.lower() for name in (self.id, *self.like) if name)


def names(host: Host) -> Names:
    """Empty where there is no such file."""
    text = next((text for text in (host.text_or_none(place) for place in OS_RELEASE) if text is not None), "")
    found = Assignments.parse(text)
    own, *others = (found.get(key) or "" for key in ("ID", "VARIANT_ID", "VERSION_ID", "IMAGE_ID", "OSTREE_VERSION"))
    return Names(own, tuple((found.get("ID_LIKE") or "").split()), *others)
