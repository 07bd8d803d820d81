# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""modprobe.d and the command line: names of modules that do not exist, and names that never match."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.module_drivers import BUILT_IN_NAMES
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import INITRAMFS_MODULES, named_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import every_ids, in_lines
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import is_pattern, matches
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import IDS, RULE, Finding, listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, ListedModule, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


NO_MODULE = ("off", "null")
"""Names that an alias uses for "no module", since module-init-tools."""
GONE = {"vfio_virqfd": "Linux 6.2 made it a part of vfio"}
"""Modules that older kernels had, and what replaced them."""
OF_NVIDIA = ("nvidia", "nvidia_drm", "nvidia_modeset", "nvidia_peermem", "nvidia_uvm")
OF_GUIDES = ("lbm_nouveau", "nova_core", "nova_drm", "rivatv")
OF_LINUX = ("cirrus", "i2c_nvidia_gpu", "nvidiafb", "rivafb", "snd_hda_codec_hdmi", "ucsi_ccg", "vfio", "vfio_iommu_type1", "vfio_pci_core")
REAL = frozenset((*BUILT_IN_NAMES, *OF_NVIDIA, *OF_GUIDES, *OF_LINUX))
"""Modules that not every kernel has: their names are no mistakes, and lines that keep them out are a precaution."""


def unknown_modules(host: HostPolicy) -> t.Iterator[Finding]:
    """A blacklist, softdep, options, install or alias line for a module that no installed kernel has.

    kmod does not report it (kmod_config_parse() in libkmod-config.c looks no names up).  Only the administrator's files are
    checked: distributions blacklist many modules that a given kernel does not have.
    """
    for _boot, root in host.roots if host.kernels else ():
        aliases, installs = (
            {entry.arguments[0] for entry in root.config.directives if entry.command == command} for command in ("alias", "install")
        )
        for entry in root.config.directives:
            if not _is_judged(entry, host):
                continue
            for word in named_modules(entry.command, _placed(entry)):
                name = normalize_module_name(word)
                takes_synonyms = entry.command != "blacklist"
                is_defined = name in aliases or (name in installs and entry.command != "install")
                if (
                    _is_known(name, entry, host)
                    or name in GONE
                    or _is_precaution(name, entry, host)
                    or (takes_synonyms and (name in host.files.synonyms or is_defined))
                ):
                    continue
                yield _unknown(entry.spelt(word), entry, host)


def _without_comment(entry: Directive) -> tuple[str, ...]:
    """The words of a directive up to a comment behind it, which kmod does not know."""
    return (
        tuple(itertools.takewhile(lambda word: not word.startswith("#"), entry.arguments))
        if entry.command == "softdep"
        else entry.arguments
    )


def _placed(entry: Directive) -> tuple[str, ...]:
    """The words of a directive; of a softdep that lists natives before its `pre:`, without these, which kmod drops."""
    words = _without_comment(entry)
    place = next((number for number, word in enumerate(words) if word in ("pre:", "post:")), 1) if entry.command == "softdep" else 1
    return (*words[:1], *words[place:])


def comments_behind_softdeps(host: HostPolicy) -> t.Iterator[Finding]:
    """kmod takes the words of a comment behind a softdep for modules, which it loads if they exist."""
    for _boot, root in host.roots:
        for entry in root.config.directives:
            own = _without_comment(entry)
            if len(own) < len(entry.arguments) and host.is_site(entry.source.path):
                said = f"{entry.source}: kmod knows no comment behind {_quoted(entry)}, and takes its words for modules."
                yield Finding("comment-behind-softdep", str(entry.source), f"{said} Put the comment into a line of its own.")


def _is_judged(entry: Directive, host: HostPolicy) -> bool:
    if entry.source.line:
        return host.is_site(entry.source.path)
    # On the command line parameters of built-in code look like a module's (printk.time=1); none of them is called ids.
    if entry.command == "options":
        return bool(every_ids(in_lines((entry,))))
    return entry.command == "blacklist" and "-" not in entry.arguments[0]


def _is_known(name: str, entry: Directive, host: HostPolicy) -> bool:
    if name in host.modules or (entry.command == "alias" and name in NO_MODULE):
        return True
    takes_patterns = entry.command in ("softdep", "install") and is_pattern(name)
    return takes_patterns and any(matches(module, name) for module in host.modules)


def _is_precaution(name: str, entry: Directive, host: HostPolicy) -> bool:
    """Whether a line is there for the case that a module is installed, as guides have `blacklist nvidia`."""
    is_own = name in host.vfio_modules or "vfio" in name
    return name in REAL and not is_own and entry.command != "alias" and name == entry.arguments[0]


def _unknown(word: str, entry: Directive, host: HostPolicy) -> Finding:
    source = str(entry.source)
    line = f"{source}: {_quoted(entry)}"
    if entry.command in ("blacklist", "options") and is_pattern(word):
        said = f"{line} has no effect: kmod does not expand wildcards in this name. Write one line for each module."
        return Finding("wildcard-name", source, said)
    meant = host.files.synonyms.get(normalize_module_name(word))
    if meant:
        names = listed(sorted(meant))
        said = f"{line} has no effect: {word} is an alias, and kmod blacklists modules by their own names. Write {names}."
        return Finding("blacklisted-alias", source, said)
    nearest = host.nearest(word)
    advice = _advice(word, nearest)
    where = listed(host.releases)
    effect = "the devices that it matches get no driver from it" if entry.command == "alias" else "it has no effect"
    if entry.command == "softdep" and normalize_module_name(word) != entry.arguments[0]:
        effect = f"kmod ignores {word}"
    return Finding("unknown-module", source, f"{line} names the module {word}, which no installed kernel has ({where}): {effect}. {advice}")


def _advice(word: str, nearest: str | None) -> str:
    """Another name is not suggested for one that is right, and only missing here."""
    if normalize_module_name(word) in REAL:
        return "Install that module for the kernel, or remove the line."
    return f"Did you mean {nearest}?" if nearest else "Check the spelling, or remove it."


def _quoted(entry: Directive) -> str:
    return f"`{entry}`"


def dashes_on_the_command_line(host: HostPolicy) -> t.Iterator[Finding]:
    """`modprobe.blacklist=a-b` and `module_blacklist=a-b`: they are compared with the module's name, which has underscores.

    kmod normalizes `-` in files only (kcmdline_parse_result() in libkmod-config.c); the kernel compares bytes (blacklisted() in
    kernel/module/main.c).
    """
    for boot in host.boots:
        for option, names in (("modprobe.blacklist", boot.cmdline.blacklisted), ("module_blacklist", boot.cmdline.refused)):
            for name in names:
                if "-" in name:
                    said = f"{boot.cmdline_source}: `{option}={name}` never matches, because module names have underscores here. "
                    yield Finding("dash-never-matches", boot.cmdline_source, f"{said}Write {_with_underscores(name, host)}.")


def _with_underscores(name: str, host: HostPolicy) -> str:
    return normalize_module_name(name) if normalize_module_name(name) in host.modules else host.nearest(name) or normalize_module_name(name)


def refused_by_the_kernel_but_unknown(host: HostPolicy) -> t.Iterator[Finding]:
    """`module_blacklist=` with a module that no installed kernel has."""
    for boot in host.boots if host.kernels else ():
        for name in boot.cmdline.refused:
            if "-" not in name and name not in host.modules and (name not in REAL or "vfio" in name):
                nearest = host.nearest(name)
                said = f"{boot.cmdline_source}: no installed kernel has the module in `module_blacklist={name}` ({listed(host.releases)})."
                advice = _advice(name, nearest)
                yield Finding("unknown-module", boot.cmdline_source, f"{said} {advice}")


def blacklisted_built_ins(host: HostPolicy) -> t.Iterator[Finding]:
    """A blacklist of a built-in module: it is not loaded, so it cannot be kept from being loaded."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for boot, root in host.roots:
        kernel = root.kernel
        for entry in root.config.directives:
            name = entry.arguments[0]
            is_site = host.is_site(entry.source.path) or not entry.source.line
            if entry.command == "blacklist" and is_site and name in kernel.builtins and name not in kernel.modules:
                found.setdefault((str(entry.source), entry.spelt(name), str(entry)), []).append(boot.release)
        for name in boot.cmdline.refused:
            if name in kernel.builtins and name not in kernel.modules:
                argument = boot.cmdline.last("module_blacklist") or ""
                found.setdefault((boot.cmdline_source, name, argument), []).append(boot.release)
    for (source, name, line), releases in found.items():
        where = listed(list(dict.fromkeys(releases)))
        said = f"{source}: `{line}` names {name}, which is built into {where}: a blacklist has no effect there."
        advice = (
            "Claim its devices by driver_override and unbind them, or add initcall_blacklist= with its init function to the command line."
        )
        yield Finding("blacklisted-builtin", source, f"{said} {advice}")


def options_of_built_ins(host: HostPolicy) -> t.Iterator[Finding]:
    """Options in a file for a built-in module: kmod does not load it, and the kernel reads its command line only."""
    found: dict[Directive, list[str]] = {}
    for boot, root in host.roots:
        for entry in root.config.directives:
            name, kernel = entry.arguments[0], root.kernel
            if entry.command == "options" and entry.source.line and name in kernel.builtins and name not in kernel.modules:
                is_ids = bool(every_ids(in_lines((entry,))))
                if is_ids or host.is_site(entry.source.path):
                    found.setdefault(entry, []).append(boot.release)
    for entry, releases in found.items():
        source, name = str(entry.source), entry.spelt(entry.arguments[0])
        where, written = listed(list(dict.fromkeys(releases))), " ".join(f"{name}.{option}" for option in entry.arguments[1:])
        said = f"{source}: {_quoted(entry)} has no effect if {name} is built in, as in {where}."
        yield Finding("options-of-builtin", source, f"{said} Put {written} on the kernel's command line.")


def modules_that_are_gone(host: HostPolicy) -> t.Iterator[Finding]:
    """A module that newer kernels do not have, in a list or in modprobe.d: mostly vfio_virqfd, removed in Linux 6.2.

    initramfs generators warn about it or fail.  On an older kernel that has it, it is loaded as a dependency anyway.
    """
    optional = {one.source for one in _listed(host) if one.is_optional}
    named = [(one.source, normalize_module_name(one.name)) for one in _listed(host)]
    for _boot, root in host.roots:
        for entry in root.config.directives:
            words = entry.arguments if entry.command == "softdep" else entry.arguments[:1]
            if host.is_site(entry.source.path):
                named += [(str(entry.source), normalize_module_name(word)) for word in words]
    for source, name in dict.fromkeys(named):
        without = [kernel.release for kernel in host.kernels if not kernel.has(name)]
        if name in GONE and without and source not in optional:
            said = f"{source} names {name}, which {listed(without)} {'does' if len(without) == 1 else 'do'} not have: {GONE[name]}."
            yield Finding("stale-module", source, f"{said} Remove it; a kernel that still has it loads it as a dependency.")


def unknown_modules_in_lists(host: HostPolicy) -> t.Iterator[Finding]:
    """A module in a list that no installed kernel has, neither by name nor by alias: the programs that read the list ignore it."""
    for one in dict.fromkeys(_listed(host)) if host.kernels else ():
        name = normalize_module_name(one.name)
        if name in host.modules or name in GONE or name in host.files.synonyms or one.is_optional or not _is_site(one, host):
            continue
        if ":" in name and any(kernel.aliased(name) for kernel in host.kernels):
            continue
        parts = [part for part in name.split(",") if part]
        are_modules = "," in name and all(part in host.modules or part in GONE for part in parts)
        advice = "Write one module in each line." if are_modules else _advice(one.name, host.nearest(name))
        said = f"{one.source} names the module {one.said}, which no installed kernel has ({listed(host.releases)})."
        yield Finding("unknown-listed-module", one.source, f"{said} {advice}")


def _listed(host: HostPolicy) -> t.Iterator[ListedModule]:
    """The modules in the host's lists, without an image's copies of these."""
    yield from host.files.for_image
    for boot, root in host.roots:
        config = {entry.arguments[0] for entry in root.config.directives if entry.command in ("alias", "install")}
        for work in _lists(root):
            yield from (one for one in work.modules if normalize_module_name(one.name) not in config)
        for stage in boot.stages:
            for work in _lists(stage) if stage is not root else ():
                # Modules on the command line (rd.driver.pre=) are in no file of the host.
                yield from (one for one in work.modules if one.source == boot.cmdline_source)


def _lists(stage: Stage) -> t.Iterator[LoadList]:
    return (work for step in stage.steps for work in step if isinstance(work, LoadList))


def _is_site(one: ListedModule, host: HostPolicy) -> bool:
    path = one.source.rpartition(":")[0] or one.source
    return host.is_site(path) or path.startswith("/proc/") or one.source in {boot.cmdline_source for boot in host.boots}


def modules_listed_too_late(host: HostPolicy) -> t.Iterator[Finding]:
    """A VFIO module in /etc/initramfs-tools/modules, for devices whose native driver is also in the image.

    initramfs-tools loads that list after udev has processed all devices' events (scripts/init-top/udev, then load_modules()
    in init), when the devices are already bound to the native driver.
    """
    for boot, image, _root in host.images:
        for work in _late_lists(image):
            for one in work.modules:
                if normalize_module_name(one.name) in host.vfio_modules:
                    yield from _too_late(one, boot, image, host)


def _late_lists(stage: Stage) -> t.Iterator[LoadList]:
    replayed = False
    for step in stage.steps:
        if replayed:
            yield from (work for work in step if isinstance(work, LoadList))
        replayed = replayed or any(isinstance(work, Coldplug) for work in step)


def _too_late(one: ListedModule, boot: Boot, image: Stage, host: HostPolicy) -> t.Iterator[Finding]:
    module = normalize_module_name(one.name)
    claims = host.claims(boot, image)
    by_rule = {claim.device.address for claim in claims if claim.by == RULE}
    taken: dict[str, list[str]] = {}
    for claim in claims:
        if claim.by == IDS and host.module_of(boot, claim.driver) == module and claim.device.address not in by_rule:
            for native in _early_natives(claim.device, module, image):
                taken.setdefault(native, []).append(claim.device.address)
    for native, addresses in taken.items():
        copied = f", a copy of {INITRAMFS_MODULES}," if "/conf/modules:" in one.source else ""
        said = f"{one.source}{copied} loads {one.said} after udev has loaded {native}, which is in {image.place}, for {listed(addresses)}."
        advice = f"Add `softdep {native} pre: {one.said}` to /etc/modprobe.d, or a driver_override rule, and rebuild the initramfs."
        yield Finding("listed-too-late", one.source, f"{said} {advice}", tuple(addresses))


def _early_natives(device: Device, module: str, image: Stage) -> t.Iterator[str]:
    """The native drivers that udev in the initramfs loads for a device without loading the VFIO module first."""
    for match in image.kernel.natives(device.modalias):
        softdeps = image.config.softdeps(match.module)
        first = {normalize_module_name(word) for word in softdeps[0].arguments[1:]} if softdeps else set()
        is_loaded = match.module in image.kernel.modules and not image.config.blacklisted(match.module)
        if is_loaded and module not in first and not image.config.installs(match.module):
            yield match.module
