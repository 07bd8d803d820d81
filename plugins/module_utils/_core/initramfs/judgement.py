# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a boot image agrees with the policies of its host; facts in, reasons out."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.policy import ImagePolicy
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.installed_modules import InstalledModules
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import owner_of

# A generator may copy a file to another of the directories that its reader looks into; initramfs-tools does so with udev's
# rules.  The first that holds a name hides it in the others.
PLACES: t.Mapping[str, tuple[str, ...]] = {
    "/etc/modprobe.d": ("etc/modprobe.d",),
    "/etc/udev/rules.d": ("etc/udev/rules.d", "run/udev/rules.d", "usr/local/lib/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"),
    "/etc/modules-load.d": ("etc/modules-load.d",),
}
LACKS = "Module {} is not in it."
OPTIONAL_IN_IMAGE = ("/etc/modules-load.d",)


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """A kernel's image as found: ``image`` is None where there is none, or where ``damage`` says why it cannot be read."""

    path: str
    image: Image | None
    damage: str | None
    installed: InstalledModules
    pending: frozenset[str] = frozenset()
    """Modules of the policy that another task of the same play is going to install for this kernel."""
    interrupted: bool = False
    """Whether an earlier rebuild ended before the boot loader had been told of the new image."""


def reasons(facts: ImageFacts, policy: ImagePolicy) -> tuple[str, ...]:
    """Why an image has to be built anew, a sentence each; none when it agrees with the policy."""
    if facts.damage is not None:
        return (facts.damage,)
    found = ["An earlier rebuild was interrupted before the boot loader's hooks had run."] if facts.interrupted else []
    if facts.image is None:
        asked = policy.files or policy.modules
        return (*found, f"There is no image {facts.path}.") if asked else tuple(found)
    found += _file_reasons(facts.image, policy)
    # What is going to be installed lacks as it will once it is: check mode says what the run says.
    lacking = [LACKS.format(name) for name in facts.pending]
    return (*found, *sorted([*_module_reasons(facts.image, facts.installed), *lacking]))


def _file_reasons(image: Image, policy: ImagePolicy) -> t.Iterator[str]:
    expected = dict(policy.files)
    for folder, places in PLACES.items():
        held = _held_files(image, places)
        for path in sorted(path for path in expected if path.rpartition("/")[0] == folder):
            content = held.get(path.rpartition("/")[2])
            if content is None:
                if folder not in OPTIONAL_IN_IMAGE:
                    yield f"{path} is not in it."
            elif hashlib.sha256(content[1]).hexdigest() != expected[path]:
                yield f"It holds another version of {path}."
        for name, (place, content_) in sorted(held.items()):
            if owner_of(content_) is not None and f"{folder}/{name}" not in expected:
                yield f"It still holds {place}, which this host no longer has."


def _held_files(image: Image, places: tuple[str, ...]) -> dict[str, tuple[str, bytes]]:
    held: dict[str, tuple[str, bytes]] = {}
    for place in places:
        for name, content in image.files(place):
            held.setdefault(name, (f"{place}/{name}", content))
    return held


def _module_reasons(image: Image, installed: InstalledModules) -> t.Iterator[str]:
    for name, path in sorted(installed.paths.items()):
        held = image.fingerprints.get(name)
        if held is None:
            yield LACKS.format(name)
        elif not held.is_same(installed.fingerprints[name]):
            yield f"It holds another build of module {name} than {path}."
