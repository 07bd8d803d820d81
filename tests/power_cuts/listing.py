# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in the machine: prints every file that the collection, DKMS, depmod or update-initramfs writes, by name, as one JSON object.

With the argument ``images``, also what is in the initramfs images, which initramfs-tools' own program unpacks.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile

WRITTEN = (
    *("/etc/modprobe.d", "/etc/modules-load.d", "/etc/udev", "/etc/initramfs-tools", "/etc/dracut.conf.d", "/etc/dkms", "/etc/default"),
    *("/usr/lib/modules", "/usr/src"),
)
#: Their files hold times, and keys that the machine draws.
NAMES_ONLY = ("/boot", "/var/lib/dkms", "/var/lib/vfio-variants", "/var/tmp")
#: Nobody but the package manager writes these, and services have folders of their own in /var/tmp.
PASSED_OVER = ("/usr/lib/modules/*/kernel", "/usr/src/linux-*", "/boot/grub", "/var/tmp/systemd-private-*")


def state_of(path: str) -> str:
    """Permissions, and what is in it."""
    found = os.lstat(path)
    content = b""
    if stat.S_ISLNK(found.st_mode):
        content = os.fsencode(os.readlink(path))
    elif stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            content = file.read()
    return f"{stat.filemode(found.st_mode)} {hashlib.sha256(content).hexdigest()[:24]}"


def states(top: str, below: str = "", names_only: bool = False) -> dict[str, str]:
    """Everything in `top` by its path without `below`."""
    passed = {path for pattern in PASSED_OVER for path in glob.glob(pattern)}
    found = {}
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in passed]
        for path in (os.path.join(folder, name) for name in (*folders, *files)):
            if path not in passed:
                found[path[len(below) :]] = "there" if names_only else state_of(path)
    return found


def images() -> dict[str, str]:
    found = {}
    for image in glob.glob("/boot/initrd.img-*"):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            unpacked = subprocess.run(["unmkinitramfs", image, folder], stderr=subprocess.DEVNULL, check=False).returncode == 0
            found[f"{image} unpacks"] = str(unpacked)
            found.update({f"{image}:{path}": state for path, state in states(folder, folder).items()})
    return found


def main() -> None:
    found = {path: state for place in WRITTEN for path, state in states(place).items()}
    found.update({path: state for place in NAMES_ONLY for path, state in states(place, names_only=True).items()})
    if "images" in sys.argv:
        found.update(images())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
