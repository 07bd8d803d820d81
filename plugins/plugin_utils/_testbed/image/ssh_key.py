# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key pair that opens every test machine of one cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require, run


@dataclass(frozen=True)
class KeyPair:
    private: Path

    @property
    def public(self) -> str:
        """The line of authorized_keys, without a comment, which would name this machine."""
        return " ".join(self.private.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])

    @classmethod
    def present(cls, cache: Cache) -> KeyPair | None:
        """The cache's pair if it has one."""
        pair = cls(cache.ssh / "id_ed25519")
        return pair if pair.private.is_file() else None

    @classmethod
    def of_cache(cls, cache: Cache) -> KeyPair:
        """The cache's pair, made when it has none."""
        folder = cache.ssh
        with cache.lock("ssh"):
            if not folder.is_dir():
                with cache.building(folder) as partial:
                    partial.chmod(0o700)
                    cls.generate(partial / "id_ed25519")
        return cls(folder / "id_ed25519")

    @classmethod
    def generate(cls, path: Path) -> KeyPair:
        run((require("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", path), timeout=60)
        return cls(path)
