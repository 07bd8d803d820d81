# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that the policy has for devices, and that nothing loads; lines that keep out less than is meant, or more."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.install_command import loads_nothing
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.dead_names import NO_MODULE
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import DRIVERCTL, IDS, RULE, Finding, listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy, PolicyClaim

PCI_ALIAS = re.compile(r"pci:v([0-9A-Fa-f]{8})d([0-9A-Fa-f]{8})")


def ids_that_nothing_loads(host: HostPolicy) -> t.Iterator[Finding]:
    """`options vfio-pci ids=…`, or `vfio-pci.ids=…`, alone: no device's own alias is vfio-pci's, so that udev loads the native driver."""
    for boot, root in host.roots:
        taken: dict[tuple[str, str, str], list[str]] = {}
        claims = host.claims(boot, root)
        elsewhere = {claim.device.address for claim in claims if claim.by != IDS}
        for claim in claims:
            module = host.module_of(boot, claim.driver)
            native = None if claim.device.address in elsewhere else _native(root, claim)
            if native is not None and module in host.vfio_modules and module not in root.kernel.builtins:
                taken.setdefault((claim.source, module, native), []).append(claim.device.address)
        for (source, module, native), addresses in taken.items():
            # That the module is kept out, or is not there, is a finding of its own.
            is_absent = module not in root.kernel.modules
            if not (is_absent or root.config.blacklisted(module) or _is_loaded(host, boot, module)):
                spelt = module.replace("_", "-") if module == "vfio_pci" else module
                missing = f"nothing loads {spelt} before {native}, which takes {_it(addresses)}"
                said = f"{source} gives {listed(addresses)} to {spelt}, but {missing}."
                advice = f"Add `softdep {native} pre: {spelt}` to a file in /etc/modprobe.d whose name ends in .conf."
                yield Finding("ids-not-loaded", source, f"{said} {advice}", tuple(addresses))


def claimed_modules_that_nothing_loads(host: HostPolicy) -> t.Iterator[Finding]:
    """An override, or `ids=` beside a blacklist, and nothing that loads the module: the devices stay without a driver."""
    for boot, root in host.roots:
        taken: dict[tuple[str, str, str], list[str]] = {}
        claims = host.claims(boot, root)
        saved = {claim.device.address for claim in claims if claim.by == DRIVERCTL}
        for claim in claims:
            module = host.module_of(boot, claim.driver)
            is_ours = module in host.vfio_modules & root.kernel.modules.keys() and module not in root.kernel.builtins
            if is_ours and claim.device.address not in saved and (claim.by == RULE or _is_kept_out(root, claim)):
                taken.setdefault((claim.source, module, claim.by), []).append(claim.device.address)
        for (source, module, by), addresses in taken.items():
            if root.config.blacklisted(module) or root.config.installs(module) or _is_loaded(host, boot, module):
                continue
            spelt = module.replace("_", "-") if module == "vfio_pci" else module
            which = "it has" if len(addresses) == 1 else "they have"
            said = f"{source} gives {listed(addresses)} to {spelt}, but nothing loads {spelt}, so that {which} no driver."
            in_rule = f'`RUN{{builtin}}+="kmod load {spelt}"` to that rule'
            advice = f"Add {in_rule if by == RULE else f'`{spelt}` to a file in /etc/modules-load.d whose name ends in .conf'}."
            yield Finding("nothing-loads", source, f"{said} {advice}", tuple(addresses))


def _is_kept_out(root: Stage, claim: PolicyClaim) -> bool:
    """Whether lines of modprobe.d keep each native driver out, which are modules and would have loaded the claimed one before them."""
    natives = [match.module for match in root.kernel.natives(claim.device.modalias)]
    config = root.config
    return (
        bool(natives)
        and all(
            name in root.kernel.modules
            and (config.blacklisted(name) or any(loads_nothing(line, name) for line in config.installs(name)[:1]))
            for name in natives
        )
        and not config.aliases(claim.device.modalias)
    )


def _it(names: t.Sized) -> str:
    return "it" if len(names) == 1 else "them"


def _native(root: Stage, claim: PolicyClaim) -> str | None:
    """The first module that udev loads for the device."""
    config = root.config
    for match in root.kernel.natives(claim.device.modalias):
        name = match.module
        if not (config.blacklisted(name) or config.installs(name) or config.aliases(claim.device.modalias)) and name in root.kernel.modules:
            return name
    return None


def _is_loaded(host: HostPolicy, boot: Boot, module: str) -> bool:
    """Whether something names the module that can load it, at whatever time, be it in an initramfs that is yet to be built."""
    if any(normalize_module_name(one.name) == module for one in host.files.for_image):
        return True
    if module in boot.cmdline.refused or any(
        "load" in one.acts and (one.modules is None or module in one.modules) for one in boot.all_influences
    ):
        return True
    return any(_loads(stage, module) for stage in boot.stages)


def _loads(stage: Stage, module: str) -> bool:
    lists = (one.name for step in stage.steps for work in step if isinstance(work, LoadList) for one in work.modules)
    words = (
        word
        for entry in stage.config.directives
        if entry.command in ("softdep", "alias", "install", "weakdep")
        for word in " ".join(entry.arguments).replace("/", " ").split()
    )
    commands = (word for rule in stage.rules.rules for key in rule.keys if key.name == "RUN" or key.is_run for word in key.words)
    return any(normalize_module_name(word) == module for words_ in (lists, words, commands) for word in words_)


def claimed_modules_that_an_install_line_keeps_out(host: HostPolicy) -> t.Iterator[Finding]:
    """`install vfio-pci /bin/false` beside devices for vfio-pci: kmod runs the command in place of loading the module."""
    for boot, root in host.roots:
        devices: dict[str, dict[str, None]] = {}
        for claim in host.effective_claims(boot, root):
            devices.setdefault(host.module_of(boot, claim.driver), {})[claim.device.address] = None
        for module in devices.keys() & host.vfio_modules:
            # Beside a softdep of the module's own kmod ignores the line.
            for line in () if root.config.softdeps(module) else root.config.installs(module)[:1]:
                if loads_nothing(line, module):
                    said = f"{line.source}: `{line}` keeps {line.spelt(module)} from being loaded, but the policy assigns"
                    said = f"{said} {listed(tuple(devices[module]))} to it. Remove that line."
                    yield Finding("claimed-not-installed", str(line.source), said, tuple(devices[module]))


def aliases_in_small_letters(host: HostPolicy) -> t.Iterator[Finding]:
    """`alias pci:v000010ded00001db1… vfio-pci`: the kernel writes a modalias with capital letters, and kmod compares each sign."""
    for _boot, root in host.roots:
        for entry in root.config.directives:
            pattern = entry.arguments[0]
            match = PCI_ALIAS.match(pattern) if entry.command == "alias" and host.is_site(entry.source.path) else None
            if match is not None and (match[1], match[2]) != (match[1].upper(), match[2].upper()):
                meant = f"pci:v{match[1].upper()}d{match[2].upper()}{pattern[match.end() :]}"
                said = f"{entry.source}: `{entry}` is for no device, because the numbers of a modalias have capital letters."
                yield Finding("alias-small-letters", str(entry.source), f"{said} Write `alias {meant} {entry.spelt(entry.arguments[1])}`.")


def aliases_to_nothing(host: HostPolicy) -> t.Iterator[Finding]:
    """`alias nouveau off`: udev asks for a device's own alias, and what modules.alias finds by that is not looked up once more."""
    for _boot, root in host.roots:
        for entry in root.config.directives:
            name = entry.arguments[0]
            if entry.command != "alias" or entry.arguments[1] not in NO_MODULE or not host.is_site(entry.source.path):
                continue
            if name in host.contenders and name in root.kernel.modules and not root.config.blacklisted(name):
                said = (
                    f"{entry.source}: `{entry}` keeps {name} only from what asks for it by its name; udev loads it by its devices' aliases."
                )
                yield Finding("alias-to-nothing", str(entry.source), f"{said} Write `blacklist {name}`.")
