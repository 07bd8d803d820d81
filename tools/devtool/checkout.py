# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout, and the places where tools find it as an Ansible collection."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtool.console import say
from devtool.process import capture

COLLECTION = Path("ansible_collections/vfio/variants")


@dataclass(frozen=True)
class Checkout:
    """A working copy of the repository, and the cache that belongs to it."""

    root: Path
    cache: Path

    @classmethod
    def here(cls) -> Checkout:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(root=Path(__file__).resolve().parents[2], cache=Path(base).absolute() / "vfio-variants")

    @property
    def place(self) -> Path:
        """The cache of this one checkout: two checkouts on a machine do not meet."""
        return self.cache / "checkouts" / hashlib.sha256(str(self.root).encode()).hexdigest()[:12]

    @property
    def tree(self) -> Path:
        """The folder to put on a collections path."""
        return self.place / "linked"

    @property
    def linked(self) -> Path:
        """The checkout under the name that Ansible needs: a link, so that an edit takes effect at once."""
        return self.tree / COLLECTION

    def files(self) -> list[str]:
        """What git knows: tracked, or new and not ignored; without what is deleted but not yet committed."""
        listing = capture(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"], cwd=self.root)
        return sorted(name for name in listing.split("\0") if name and os.path.lexists(self.root / name))

    def link(self) -> None:
        if self.linked.is_symlink() and self.linked.readlink() == self.root:
            return
        self.linked.parent.mkdir(parents=True, exist_ok=True)
        new = self.linked.with_name("variants.new")
        new.unlink(missing_ok=True)
        new.symlink_to(self.root)
        new.replace(self.linked)

    @contextmanager
    def copied(self, purpose: str) -> Iterator[Path]:
        """A fresh copy of the collection, as a real folder: ansible-test and the collection builder accept no link.

        Whoever else wants a copy for the same purpose waits until this one is done with.
        """
        base = self.place / "copied" / purpose
        base.mkdir(parents=True, exist_ok=True)
        with (base / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another run of {purpose}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            target = base / COLLECTION
            shutil.rmtree(target, ignore_errors=True)
            for name in self.files():
                destination = target / name
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, destination, follow_symlinks=False)
            yield target
