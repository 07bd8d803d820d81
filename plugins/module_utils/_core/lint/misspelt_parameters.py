# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of modules that do not exist: the kernel ignores them (unknown_module_param_cb() in kernel/module/main.c)."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import WORDS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.misspelt_words import misspelt

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

OF_VFIO: t.Mapping[str, tuple[str, ...]] = {
    "vfio_pci": ("ids", "nointxmask", "disable_vga", "disable_idle_d3", "enable_sriov", "disable_denylist"),
    "vfio_iommu_type1": ("allow_unsafe_interrupts", "disable_hugepages", "dma_entry_limit"),
    "vfio": ("enable_unsafe_noiommu_mode",),
}
OF_KVM: t.Mapping[str, tuple[str, ...]] = {
    "kvm": ("ignore_msrs", "report_ignored_msrs"),
    "kvm_amd": ("nested",),
    "kvm_intel": ("nested", "emulate_invalid_guest_state", "enable_apicv", "preemption_timer", "unrestricted_guest"),
}
"""Some of what guides give to modules that drive no PCI function, so that their files are not read."""
MOVED = {("kvm", "allow_unsafe_assigned_interrupts"): ("4.12", "vfio_iommu_type1", "allow_unsafe_interrupts")}
"""Parameters that a version of Linux dropped, and what took their place ("KVM: x86: drop legacy device assignment")."""
"""What each kernel's module may have, whether or not its file is read."""
OF_ALL = ("async_probe", "dyndbg")
"""What the kernel takes for any module."""
NEAR = 0.84
NAME = re.compile(r"[A-Za-z_][\w-]*")


def misspelt_parameters(host: HostPolicy) -> t.Iterator[Finding]:
    """A parameter that resembles one of the module's, or is one of another module of VFIO; of VFIO's own, any that does not exist."""
    for boot, root in host.roots:
        for module in root.config.modules_with_options:
            known = _parameters(boot, module)
            if not known or (module in root.kernel.builtins and module not in root.kernel.modules):
                continue
            of_site = [one for one in given_to(root.config, module) if host.is_site(one.source.path) or not one.source.line]
            yield from _misspelt(module, of_site, known)


def _misspelt(module: str, parameters: t.Sequence[Parameter], known: t.Sequence[str]) -> t.Iterator[Finding]:
    with_comments = set[str]()
    for given in parameters:
        name, source = normalize_module_name(given.name), str(given.source)
        if given.name.startswith("#") and given.source.line and source not in with_comments:
            with_comments.add(source)
            said = f"{source}: kmod knows no comment behind `options`, and gives its words to {module}, which ignores them."
            yield Finding("comment-behind-options", source, f"{said} Put the comment into a line of its own.")
        # What is not a name is told as what it is.
        with_comments |= {source} if given.source.line and given.name in WORDS else set()
        is_told = source in with_comments or not NAME.fullmatch(given.name) or (not given.source.line and misspelt(str(given)) is not None)
        if not is_told and name not in known and name not in OF_ALL:
            yield from _unknown(module, given, name, known)


def _parameters(boot: Boot, module: str) -> tuple[str, ...]:
    facts = boot.modules.get(module)
    types = () if facts is None or not facts.types else tuple(facts.types)
    return tuple(dict.fromkeys((*types, *OF_VFIO.get(module, OF_KVM.get(module, ())))))


def _unknown(module: str, given: Parameter, name: str, known: t.Sequence[str]) -> t.Iterator[Finding]:
    source = str(given.source)
    value = "" if given.value is None else f"={given.value}"
    owner = next((other for other, names in OF_VFIO.items() if module in OF_VFIO and name in names), None)
    said = f"{source}: {module} has no parameter {given.name}, so `{given}` has no effect."
    moved = MOVED.get((module, name))
    if moved is not None:
        version, other, meant = moved
        written = f"options {other} {meant}{value}" if given.source.line else f"{other}.{meant}{value}"
        said = f"{source}: {module} has no parameter {given.name} since Linux {version}, so `{given}` has no effect."
        yield Finding("unknown-parameter", source, f"{said} Write `{written}`.")
        return
    if owner is not None:
        written = f"options {owner} {name}{value}" if given.source.line else f"{owner}.{name}{value}"
        yield Finding("unknown-parameter", source, f"{said} It is one of {owner}: write `{written}`.")
        return
    near = next(iter(difflib.get_close_matches(name, known, 1, NEAR)), None)
    if near is not None:
        yield Finding("unknown-parameter", source, f"{said} Write `{near}{value}`.")
    elif module in OF_VFIO:
        has = ", ".join(known)
        yield Finding("unknown-parameter", source, f"{said} It has {has}. Remove it.")
