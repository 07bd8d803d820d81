# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the kernel's command line that a comma, a semicolon or quotes join to the word before, and values that nothing knows."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.misspelt_words import FLAGS, READ

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

SEPARATOR = re.compile(r"[,;\s]+")
OF_MODULE = re.compile(r"(?:vfio|vfio[-_]pci|vfio[-_]iommu[-_]type1|pci[-_]stub|kvm|nouveau|nvidia|amdgpu|i915|xe)\.\w+")
INTEL = ("on", "off", "igfx_off", "forcedac", "strict", "sp_off", "sm_on", "sm_off", "tboot_noforce", "intgpu_off")
"""intel_iommu_setup() in drivers/iommu/intel/iommu.c, which compares how a part begins."""
DISPLAYS_OFF = re.compile(r"(?:^|(?<=,))(efifb|simplefb|vesafb)[:=]off(?=,|$)")
VALUES = {
    ("intel_iommu", "pt"): "intel_iommu=on iommu=pt",
    ("amd_iommu", "pt"): "iommu=pt",
    ("iommu", "passthrough"): "iommu=pt",
    **dict.fromkeys((("iommu", "on"), ("iommu", "1"), ("iommu", "yes"), ("iommu", "enable"), ("iommu", "enabled")), "intel_iommu=on"),
}
"""What is written for another word's value."""


def joined_words(host: HostPolicy) -> t.Iterator[Finding]:
    """`intel_iommu=on,iommu=pt`: the kernel divides words at blanks alone, and not inside of quotes (next_arg() in lib/cmdline.c)."""
    for boot in host.boots:
        for argument in boot.cmdline.arguments:
            plain = argument.replace('"', "")
            first, *others = [part for part in SEPARATOR.split(plain) if part] or [""]
            # A text between quotes can be any program's, with words of its own.
            if "=" in first and not is_word(first):
                others = re.split(r"[,;]", plain)[1:]
            lost = [part for part in others if is_word(part)]
            if lost:
                meant = re.sub(rf"[,;\s]+(?={'|'.join(map(re.escape, lost))})", " ", plain)
                said = f"{boot.cmdline_source}: `{argument}` is one word for the kernel, so `{lost[0]}` in it has no effect."
                yield Finding("joined-words", boot.cmdline_source, f"{said} Write `{meant}`, with blanks.")


def is_word(part: str) -> bool:
    """Whether it is a whole argument about drivers or the IOMMU."""
    key, equals, value = part.partition("=")
    if not equals:
        return part in FLAGS
    return bool(value) and (key.replace("-", "_") in READ or OF_MODULE.fullmatch(key) is not None)


def values_of_other_words(host: HostPolicy) -> t.Iterator[Finding]:
    """`intel_iommu=pt`: the value belongs to another word."""
    for boot in host.boots:
        for argument in boot.cmdline.arguments:
            key, _equals, value = argument.replace('"', "").partition("=")
            name = key.replace("-", "_")
            for part in value.split(","):
                meant = VALUES.get((name, part))
                if meant is not None:
                    said = f"{boot.cmdline_source}: the kernel does not know the value {part} in `{argument}`, so it has no effect."
                    may_be_intels = host.files.vendor in ("intel", "other") and boot.cmdline.last("intel_iommu") is None
                    is_needed = meant != "intel_iommu=on" or may_be_intels
                    yield Finding("misspelt-word", boot.cmdline_source, f"{said} {f'Write `{meant}`' if is_needed else 'Remove it'}.")


def displays_that_stay_on(host: HostPolicy) -> t.Iterator[Finding]:
    """`video=efifb=off`, `video=vesafb:off,efifb:off`: a driver's name stands at the beginning, with a colon (video_get_options())."""
    for boot in host.boots:
        for argument in boot.cmdline.arguments:
            key, _equals, value = argument.replace('"', "").partition("=")
            off = DISPLAYS_OFF.findall(value) if key == "video" else []
            lost = [name for name in off if not value.startswith(f"{name}:off")]
            if lost:
                said = f"{boot.cmdline_source}: the kernel takes one driver's name from each `video=`, with a colon behind it, so"
                meant = " ".join(f"video={name}:off" for name in dict.fromkeys(off))
                yield Finding("joined-words", boot.cmdline_source, f"{said} `{argument}` does not switch {lost[0]} off. Write `{meant}`.")
