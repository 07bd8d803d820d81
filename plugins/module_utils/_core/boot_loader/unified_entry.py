# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unified kernel image boots with: its own arguments, those of its addons, and its own initramfs.  (systemd: src/boot/stub.c)"""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles, partition_of
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import MenuItem
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.kernel_image import UnifiedImage
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

ADDON, EXTRA = ".addon.efi", ".extra.d"
# What the stub passes on to the system beside arguments: settings, extensions of the root and of /etc.
COMPANIONS = (".cred", ".raw")
GLOBAL_ADDONS, GLOBAL_CREDENTIALS = "loader/addons", "loader/credentials"
# Only behind the first plus of a path.  (remove_boot_count() in src/boot/util.c)
COUNTER = re.compile(r"^([^+]*)\+\d+(?:-\d+)?(?=\.)")


def item(files: BootFiles, image: UnifiedImage, identity: str, place: str, given: str = "") -> MenuItem:
    """``given`` are arguments that its starter passes; with Secure Boot on, the image's own count."""
    secure = secure_boot(files.host)
    doubts: list[str] = []
    if given.startswith("@"):
        doubts.append(f"{place} is asked for its profile {given.split(maxsplit=1)[0]}, whose arguments are not read.")
    arguments = image.cmdline
    if given and (not image.cmdline or not secure):
        arguments = given
        if secure is None and image.cmdline and given != image.cmdline:
            doubts.append(f"{place} is given other arguments, which it accepts only with Secure Boot off.")
    words = [arguments, *_added(files, image, place, secure, doubts)]
    doubts += _unread(files, image, place)
    return MenuItem(
        title=image.os_release.get("PRETTY_NAME", identity),
        id=identity,
        source=place,
        kernel=place,
        arguments=" ".join(word for word in words if word),
        initrds=(place,) if image.initrd is not None else (),
        release=image.release,
        doubts=tuple(doubts),
    )


def _added(files: BootFiles, image: UnifiedImage, place: str, secure: bool | None, doubts: list[str]) -> t.Iterator[str]:
    """The arguments of its addons."""
    for addon in _addons(files, place):
        added = kernel_image.addon(files.host, addon)
        if added is None:
            doubts.append(f"{addon} may add arguments to those of {place}, and cannot be read.")
        elif not added.release or added.release == image.release:
            yield added.cmdline
            if secure and added.cmdline:
                doubts.append(f"{addon} adds arguments to those of {place}, if its signature is accepted.")
            if added.has_initrd:
                doubts.append(f"{addon} adds an initramfs to that of {place}, which is not read.")


def _unread(files: BootFiles, image: UnifiedImage, place: str) -> t.Iterator[str]:
    """Doubts about what the image boots with besides arguments."""
    for companion in _companions(files, place):
        yield f"{companion} is handed to the system that {place} boots; what it changes is not read."
    if image.profile and image.initrd != kernel_image.initrd_part(files.host, place):
        yield f"{place} has another initramfs for its profile {image.profile}, which is not read."
    counted = f"{place}{EXTRA}"
    if counted != _own_folder(place) and files.names(counted):
        yield f"{counted} is read only by the stub of systemd 254 and older; newer ones read {_own_folder(place)}."


def secure_boot(host: Host) -> bool | None:
    """Whether Secure Boot is on; None if the firmware's variable cannot be read."""
    value = efi_variables.value(host, "SecureBoot", efi_variables.GLOBAL)
    return None if value is None else value[:1] == b"\1"


def _addons(files: BootFiles, place: str) -> tuple[str, ...]:
    """Those of all images first, then the image's own, each by name."""
    folders = (*_beside(place, GLOBAL_ADDONS), _own_folder(place))
    return tuple(f"{folder}/{name}" for folder in folders for name in files.names(folder) if name.lower().endswith(ADDON))


def _companions(files: BootFiles, place: str) -> tuple[str, ...]:
    folders = (*_beside(place, GLOBAL_CREDENTIALS), _own_folder(place))
    return tuple(f"{folder}/{name}" for folder in folders for name in files.names(folder) if name.lower().endswith(COMPANIONS))


def _own_folder(place: str) -> str:
    """The folder of the image's own addons, whose name has no boot counter."""
    return COUNTER.sub(r"\1", place) + EXTRA


def _beside(place: str, folder: str) -> tuple[str, ...]:
    """The folder on the partition of the image."""
    partition = partition_of(place)
    return (posixpath.join(partition, folder),) if partition else ()
