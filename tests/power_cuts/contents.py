# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a converged machine holds: every file that the collection, DKMS, depmod or update-initramfs writes."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.connection import Connection

_TIMEOUT = 600
# A module's signature is made with a key of the machine, which DKMS draws when it builds for the first time; what it signs is compared.
_COMMAND = r"""
set -e
cd /
find etc/modprobe.d etc/udev etc/modules-load.d etc/initramfs-tools etc/dkms etc/dracut.conf.d etc/default lib/modules usr/src \
    \( -type f -o -type l \) ! -path '*/kernel/*' ! -name '*.ko*' -print0 2>/dev/null | sort -z | xargs -0 sha256sum
for module in $(find lib/modules -path '*/updates/*' -name '*.ko*' | sort); do
    echo "$(modinfo -F srcversion /$module) $module"
done
for image in boot/initrd.img-*; do
    lsinitramfs -l /$image | awk -v image="$image" '/^-/ {print $5, image ":" $NF}' | sort -k 2
done
"""


def read(connection: Connection) -> dict[str, str]:
    """A digest, a source version, or a size within an image, by name."""
    text = connection.ask(_COMMAND, _TIMEOUT)
    if text is None:
        raise HostError("The machine does not list its files.")
    found = (line.split(maxsplit=1) for line in text.splitlines())
    return {name: value for value, name in found}


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """The names that are missing, that are too many, or that have other content."""
    return sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
