# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build root as a host, whose commands run in it."""

from __future__ import annotations

import subprocess
import typing as t

from build_root import BuildRoot


def install_kernel(root: BuildRoot, release: str) -> None:
    """Make one whose headers the root has an installed one: an image, and what depmod reads, both empty."""
    (root.tree / f"boot/vmlinuz-{release}").write_bytes(b"")
    for name in ("modules.dep", "modules.alias", "modules.builtin", "modules.order"):
        (root.tree / "lib/modules" / release / name).write_text("", encoding="utf-8")


class ChrootRunner:
    """Runs a host's commands in its tree. `crossing`: what tells make of a kernel for another architecture."""

    def __init__(self, root: BuildRoot, crossing: t.Mapping[str, str]) -> None:
        self._root = root
        self._crossing = crossing

    def __call__(
        self,
        args: list[str],
        *,
        data: bytes | None,
        binary_data: bool,  # noqa: ARG002 - what a host hands to its runner
        environ_update: dict[str, str] | None,
    ) -> tuple[int, str, str]:
        # It is given paths of this machine.
        inside = "sync" not in args
        words = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", f"--root={self._root.tree}", "--wd=/", "nice")
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **self._crossing, **(environ_update or {})}
        done = subprocess.run((*(words if inside else ()), *args), input=data, env=environment, capture_output=True, check=False)
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
