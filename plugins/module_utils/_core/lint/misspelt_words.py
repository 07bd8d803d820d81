# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the kernel's command line that nothing reads, or not this host's initramfs: misspelt, outdated, or another program's."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import ARGUMENT, OFF, OFF_WORD
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.misread_lines import IDENTIFIER

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

READ = (
    *("modprobe.blacklist", "module_blacklist", "initcall_blacklist", "modules_load", "rd.modules_load", "vfio_pci.ids", "pci_stub.ids"),
    *(
        OFF_WORD,
        "pcie_acs_override",
        "intel_iommu",
        "amd_iommu",
        "iommu",
        "rd.driver.pre",
        "rd.driver.post",
        "rd.driver.blacklist",
        "driver_async_probe",
    ),
)
"""Words about drivers that are read; those of a module with `_` or `-`."""
FLAGS = ("nomodeset", "nomodule")
"""Words without a value."""
EXACT = ("modprobe.blacklist", "rd.driver.pre", "rd.driver.post", "rd.driver.blacklist")
"""Of these no program takes a `_` for the dot, or a `-`."""
OUTDATED = {"rdblacklist": "modprobe.blacklist", "rdloaddriver": "rd.driver.pre", "rdinsmodpost": "rd.driver.post"}
"""dracut's words before version 008, which it no longer reads."""
LISTS = ("modprobe.blacklist", "module_blacklist", "rd.driver.blacklist", "rd.driver.pre", "modules_load", "modules-load")
OF_DRACUT = ("rd.driver.pre", "rd.driver.post", "rd.driver.blacklist")
OF_INITRAMFS_TOOLS = "blacklist"
WRONG = {
    "rd.blacklist": "modprobe.blacklist",
    "rd.driver": "rd.driver.pre",
    **{f"nvidia{sign}{name}": f"nvidia-drm.{name}" for sign in (".", ".drm.", "_drm_", "_drm.nvidia.") for name in ("modeset", "fbdev")},
    **dict.fromkeys(("vfio.ids", "vfio.pci.ids", "vfio_pci_ids", "vfio.pci_ids"), "vfio-pci.ids"),
}
IOMMU = {
    "intel_iommu": ("on", "off", "igfx_off", "sm_on"),
    "amd_iommu": ("off", "force_enable", "fullflush"),
    "iommu": ("pt", "nopt", "off"),
}
"""Values that the kernel compares letter by letter."""
NATIVES = frozenset(
    "amdgpu i915 nouveau nova_core nvidia nvidia_drm nvidia_modeset nvidia_uvm nvidiafb radeon snd_hda_intel xe xhci_pci".split()
)
YES, NO = ("1", "on", "true", "y", "yes"), ("0", "off", "no", "n", "false", "disable", "disabled", "none", "blacklist", "blacklisted")
OFF_OPTIONS, ON_OPTIONS = ("off", "disable", "disabled", "blacklist", "blacklisted"), ("enable", "enabled", "on")
"""What is written as if each driver had such a parameter."""
ALONE = {
    "allow_unsafe_interrupts": "vfio_iommu_type1",
    "enable_unsafe_noiommu_mode": "vfio",
    **dict.fromkeys(("disable_vga", "disable_idle_d3", "disable_denylist", "nointxmask"), "vfio-pci"),
}
"""Parameters of VFIO's modules that no other word is called."""
FLAT = {re.sub(r"[-_.]", "", word): word for word in READ}


def misspelt_words(host: HostPolicy) -> t.Iterator[Finding]:
    """Arguments that resemble a word that is read."""
    for boot in host.boots:
        for argument in boot.cmdline.arguments:
            found = misspelt(argument)
            if found is not None:
                why, meant = found
                said = f"{boot.cmdline_source}: {why} `{argument}`, so it has no effect."
                yield Finding("misspelt-word", boot.cmdline_source, f"{said} Write `{meant}`.")


def modules_for_functions(host: HostPolicy) -> t.Iterator[Finding]:
    """`initcall_blacklist=nouveau`: the kernel compares with the functions that start drivers (do_one_initcall() in init/main.c)."""
    for boot in host.boots:
        for value in boot.cmdline.of_kernel.values("initcall_blacklist"):
            for name in value.split(","):
                if normalize_module_name(name) in host.modules and not name.endswith("_init"):
                    said = f"{boot.cmdline_source}: `initcall_blacklist={value}` names functions, and {name} is a module: it has no effect."
                    yield Finding("misspelt-word", boot.cmdline_source, f"{said} Write `modprobe.blacklist={normalize_module_name(name)}`.")


def other_values_of_our_word(host: HostPolicy) -> t.Iterator[Finding]:
    """`vfio_variants=` with another value than `off`, or without one."""
    for boot in host.boots:
        for argument in boot.cmdline.arguments:
            key, _equals, value = argument.replace('"', "").partition("=")
            if key.replace("-", "_") == OFF_WORD and value != OFF:
                said = f"{boot.cmdline_source}: `{argument}` has no effect, as `{ARGUMENT}` alone has one."
                yield Finding("misspelt-word", boot.cmdline_source, f"{said} Write that, or remove it.")


def misspelt(argument: str) -> tuple[str, str] | None:
    """What is wrong with a word, and the one that is meant; None if nothing is, or that is not known."""
    key, equals, value = argument.strip('"').partition("=")
    of_driver = _of_driver(key, value if equals else None)
    if of_driver:
        return "nothing reads", of_driver
    if not equals:
        return _without_value(argument.strip('"'))
    if key in ALONE:
        return "nothing reads", f"{ALONE[key]}.{key}={value}"
    of_module = re.fullmatch(r"([\w-]+)\.blacklist", key)
    if of_module is not None and value.lower() in ("1", "on", "true", "y", "yes") and of_module[1] not in ("modprobe", "module"):
        return "nothing reads", f"modprobe.blacklist={of_module[1].replace('-', '_')}"
    if key.replace("-", "_") in IOMMU and value != value.lower() and value.lower() in IOMMU[key.replace("-", "_")]:
        return "the kernel does not know the value in", f"{key}={value.lower()}"
    if key.replace("-", "_") == "intel_iommu" and value.lower() in ("1", "enable", "enabled", "true", "y", "yes"):
        return "the kernel does not know the value in", f"{key}=on"
    if key in OUTDATED:
        return "no current program reads", f"{OUTDATED[key]}={value}"
    if key.replace("-", "_") == "iommu" and value.lower() in ("intel", "amd", "intel_iommu", "amd_iommu", "true", "y"):
        return "the kernel does not know the value in", "intel_iommu=on"
    name = WRONG.get(key.replace("-", "_"), "") or _meant(key)
    return ("nothing reads", f"{name}={value}") if name else None


def _of_driver(key: str, value: str | None) -> str:
    """`nouveau=off`, `nouveau.off`, `vfio-pci=10de:1db1`, `blacklist.nouveau`: what is meant; empty if it is nothing of that kind."""
    module, dot, option = key.partition(".")
    name, said = normalize_module_name(module), (value or "").lower()
    if module in ("blacklist", "module_blacklist") and normalize_module_name(option) in NATIVES and value is None:
        return f"modprobe.blacklist={normalize_module_name(option)}"
    if name in ("vfio_pci", "pci_stub") and not dot and IDENTIFIER.fullmatch(value or ""):
        return f"{module}.ids={value}"
    if name not in NATIVES or (dot and name == "snd_hda_intel"):
        return ""
    is_off = said in NO if not dot else (option in OFF_OPTIONS and (value is None or said in YES)) or (option in ON_OPTIONS and said in NO)
    return f"modprobe.blacklist={name}" if is_off else ""


def _without_value(argument: str) -> tuple[str, str] | None:
    """A colon in place of the equals sign, or a flag that is misspelt."""
    word, colon, value = argument.partition(":")
    if colon and word.replace("-", "_") in (*READ, *FLAT) and value:
        return "nothing reads", f"{word}={value}"
    if argument.replace("-", "_") == "intel_iommu":
        return "the kernel reads no value in", "intel_iommu=on"
    if argument in LISTS:
        return "nothing stands behind", f"{argument}=MODULE"
    if argument.startswith("nomodeset"):
        # The kernel compares no more of the word (obsolete_checksetup() in init/main.c).
        return None
    near = next(iter(difflib.get_close_matches(argument, FLAGS, 1, 0.85)), None)
    return ("nothing reads", near) if near and near != argument else None


def _meant(key: str) -> str:
    """The word that is meant; empty if it is one that is read, or resembles none."""
    plain = key.replace("-", "_")
    if plain in READ and (plain not in EXACT or key == plain):
        return ""
    flat = re.sub(r"[-_.]", "", key).lower()
    near = next(iter(difflib.get_close_matches(flat, sorted(FLAT), 1, 0.9)), None)
    # A parameter of a module by its whole name is that module's, and a module that does not exist is another finding.
    if near is None or (flat != near and "." in key and "blacklist" not in key and not key.startswith("rd.")):
        single = re.fullmatch(r"(vfio[-_]pci|pci[-_]stub)\.ids?", key, re.IGNORECASE)
        return f"{single[1].lower()}.ids" if single and plain not in ("vfio_pci.ids", "pci_stub.ids") else ""
    return FLAT[near].replace("vfio_pci", "vfio-pci").replace("pci_stub", "pci-stub")


def words_of_another_initramfs(host: HostPolicy) -> t.Iterator[Finding]:
    """`rd.driver.pre=` without dracut, `blacklist=` without initramfs-tools."""
    for boot in host.boots:
        for argument in boot.cmdline.arguments:
            key = argument.strip('"').partition("=")[0]
            value = argument.strip('"').partition("=")[2]
            if key in OF_DRACUT and not host.files.dracut and host.files.initramfs_tools:
                meant = f"modprobe.blacklist={value}" if key.endswith("blacklist") else None
                yield _unread(boot, argument, "dracut", meant)
            elif key == OF_INITRAMFS_TOOLS and host.files.dracut and not host.files.initramfs_tools:
                yield _unread(boot, argument, "initramfs-tools", f"modprobe.blacklist={value}")


def _unread(boot: Boot, argument: str, program: str, meant: str | None) -> Finding:
    said = f"{boot.cmdline_source}: only {program} reads `{argument}`, and this host's initramfs is not made by it: it has no effect."
    advice = f"Write `{meant}`." if meant else "Add the module to /etc/initramfs-tools/modules."
    return Finding("word-of-another-initramfs", boot.cmdline_source, f"{said} {advice}")


def stray_words(host: HostPolicy) -> t.Iterator[Finding]:
    """An ID that stands alone on the command line: after a blank it does not belong to ids=."""
    for boot in host.boots:
        for before, argument in zip(("", *boot.cmdline.arguments), boot.cmdline.arguments):
            if before.partition("=")[0] in LISTS and _belongs(before, argument, host):
                said = f"{boot.cmdline_source}: `{argument}` after `{before}` stands alone, so it belongs to no list, and has no effect."
                yield Finding("stray-id", boot.cmdline_source, f"{said} Write `{before.rstrip(',')},{argument}`, without a blank.")
            elif argument == "=" and _is_read(before):
                said = f"{boot.cmdline_source}: blanks stand around the sign behind `{before}`, so that it has no value, and no effect."
                yield Finding("stray-id", boot.cmdline_source, f"{said} Write `{before}=…`, without blanks.")
            elif IDENTIFIER.fullmatch(argument):
                said = f"{boot.cmdline_source}: `{argument}` after `{before}` stands alone, so it belongs to no list, and has no effect."
                joined = f"{before.rstrip(',=')}{',' if before.partition('=')[2] else '='}{argument}"
                yield Finding("stray-id", boot.cmdline_source, f"{said} Write `{joined}`, without a blank.")


def _belongs(before: str, word: str, host: HostPolicy) -> bool:
    """Whether a word was meant for the list before it: a module after a comma, or a driver that people keep out."""
    name = normalize_module_name(word)
    return (before.endswith(",") and name in host.modules) or (before.partition("=")[2] != "" and name in NATIVES)


def _is_read(word: str) -> bool:
    return word.replace("-", "_") in READ and word not in LISTS
