# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian release as the source of an image: its archives, and which of them gives the kernel."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MAIN = "main"
_BACKPORTS = "-backports"


@dataclass(frozen=True)
class Suite:
    """`trixie`, or `trixie-backports`: a trixie whose packages of some names come from its backports."""

    name: str

    @classmethod
    def named(cls, name: str) -> Suite:
        if not re.fullmatch(r"[a-z]{3,20}(-backports)?", name):
            raise HostError(
                f"suite: {shown(name)} is not the name of a Debian suite.", "Use bookworm, trixie, trixie-backports, forky or the like."
            )
        return cls(name)

    @property
    def base(self) -> str:
        return self.name.removesuffix(_BACKPORTS)

    @property
    def is_backports(self) -> bool:
        return self.name.endswith(_BACKPORTS)

    def sources(self, mirror: str, components: t.Sequence[str] = (MAIN,)) -> str:
        """The sources.list(5) of a system of this suite."""
        suites = (self.base, self.name) if self.is_backports else (self.base,)
        return "".join(f"deb [signed-by={KEYRING}] {mirror} {suite} {' '.join(components)}\n" for suite in suites)

    def security(self, mirror: str) -> str:
        """The archive beside the main one that has newer versions of some packages."""
        return f"deb [signed-by={KEYRING}] {mirror.rstrip('/')}-security {self.base}-security main\n"

    def without_base(self, packages: str) -> str:
        """The apt_preferences(5) by which `packages` come from the backports or not at all; empty for other suites."""
        return f"Package: {packages}\nPin: release n={self.base}\nPin-Priority: -1\n" if self.is_backports else ""

    def preference(self, packages: str) -> str:
        """The apt_preferences(5) that takes `packages` (a pattern) from the backports; empty for other suites."""
        if not self.is_backports:
            return ""
        return f"Package: {packages}\nPin: release n={self.name}\nPin-Priority: 990\n"
