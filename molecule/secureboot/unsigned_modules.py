# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install copies of kernel modules without their signatures where modprobe prefers them: unsigned_modules.py NAME..."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys

MAGIC = b"~Module signature appended~\n"
TRAILER = 12


def unsigned(name: str) -> bytes:
    """The module's file, without what scripts/sign-file has appended."""
    path = subprocess.run(["modinfo", "-F", "filename", name], check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    with lzma.open(path) as file:
        module = file.read()
    if not module.endswith(MAGIC):
        sys.exit(f"{path} is not signed")
    end = len(module) - len(MAGIC)
    return module[: end - TRAILER - int.from_bytes(module[end - 4 : end], "big")]


def install(names: list[str]) -> None:
    """The record comes last, for a run that was cut off."""
    release = os.uname().release
    folder = f"/lib/modules/{release}/updates"
    contents = {name: unsigned(name) for name in names}
    os.makedirs(folder, exist_ok=True)
    for name, content in contents.items():
        with open(f"{folder}/{name}.ko", "wb") as file:
            file.write(content)
    subprocess.run(["depmod", release], check=True, timeout=300)
    with open("/etc/unsigned-modules", "w", encoding="utf-8") as record:
        record.write("".join(f"{folder}/{name}.ko\n" for name in names))


install(sys.argv[1:])
