# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The softdep lines of the strategy `ids`, and what they do to the softdep and install lines of others.

kmod obeys the first softdep line that matches a module and no other (kmod_module_get_softdeps()), taking files by name with
depmod's modules.softdep among them, and no install line of a module that has a softdep (kmod issue 446).
"""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import softdep_words
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.install_command import loads_nothing
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PENDING
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import LONGEST_IDS, parse_ids
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import given_ids

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts

    Configs = t.Mapping[str, ModprobeConfig]


OFFER = "Use the strategy override, which is per device."


def ids_by_module(decisions: t.Iterable[Decision]) -> dict[str, tuple[str, ...]]:
    """The IDs (vendor:device, with the subsystem where the claim names it) of each module that takes them."""
    found: dict[str, set[str]] = {}
    for decision in decisions:
        if decision.strategy == "ids":
            found.setdefault(decision.default.module, set()).add(_id(decision))
    return {module: _without_covered(ids) for module, ids in sorted(found.items())}


def _id(decision: Decision) -> str:
    device = decision.device
    if all(selector.subsystem_vendor is not None and selector.subsystem_device is not None for selector in decision.selectors):
        return f"{device.id}:{device.subsystem_vendor:04x}:{device.subsystem_device:04x}"
    return device.id


def _without_covered(ids: t.Collection[str]) -> tuple[str, ...]:
    """Without the entries with a subsystem that one without covers."""
    return tuple(sorted(entry for entry in ids if entry.count(":") == 1 or entry.rsplit(":", 2)[0] not in ids))


def check_ids(decisions: t.Sequence[Decision], facts: PolicyFacts) -> None:
    """Raises HostError where `ids=` has no effect, or takes more than the claims name."""
    modules_by_device = {decision.device.address: decision for decision in decisions}
    for decision in decisions:
        if decision.strategy == "ids":
            _check_module(decision, facts)
    for module, ids in ids_by_module(decisions).items():
        if len(",".join(ids)) > LONGEST_IDS:
            raise HostError(f"The ids of {module} are longer than the {LONGEST_IDS} characters that the kernel takes.", OFFER)
        for device in facts.inventory.devices:
            entry = next((entry for entry in ids if any(one.matches(device) for one in parse_ids(entry))), None)
            claimed = modules_by_device.get(device.address)
            if entry is not None and not device.is_bridge and (claimed is None or module not in claimed.modules):
                whose = "no claim names it" if claimed is None else f"{claimed.claim.option('driver')} gives it to {claimed.default.module}"
                raise HostError(
                    f"The strategy ids gives every {entry} of this host to {module}, also {device.address}, but {whose}.",
                    OFFER,
                )


def _check_module(decision: Decision, facts: PolicyFacts) -> None:
    option = decision.claim.option("strategy")
    if len(decision.modules) > 1:
        which = ", ".join(f"{choice.module} on {choice.release}" for choice in decision.choices)
        raise HostError(
            f"{option}: the best driver of {decision.device.address} is not the same on every kernel ({which}), "
            "and ids hold for all of them.",
            f"Name the driver, or choose the kernels. {OFFER}",
        )
    module = decision.default.module
    for kernel in facts.kernels:
        if module in kernel.builtins:
            raise HostError(
                f"{option}: {module} is built into kernel {kernel.release}, which reads no options from modprobe.d.",
                f"{OFFER} Or give {module}.ids= on the kernel's command line.",
            )
        if kernel.modules.get(module, PENDING) != PENDING and (kernel.release, module) not in facts.ids_modules:
            raise HostError(f"{option}: {module} of kernel {kernel.release} has no parameter ids.", OFFER)


def check_ids_of_others(decisions: t.Iterable[Decision], facts: PolicyFacts) -> None:
    """Raises HostError where a line of somebody else gives a claimed device to another module, or IDs to one that gets ours.

    Such a module takes the device as soon as it is loaded, which nobody means to depend on; and of one module's several `ids=`
    only the last counts.
    """
    found = {ids.source: ids for config in facts.configs.values() for entries in given_ids(config).values() for ids in entries}
    counting = {entries[-1].source for config in facts.configs.values() for entries in given_ids(config).values()}
    for decision in decisions:
        device, where = decision.device, decision.claim.option("driver")
        for ids in found.values():
            if ids.module in decision.modules:
                if decision.strategy == "ids":
                    raise HostError(
                        f"{ids.source} sets ids={ids.value} for {ids.module}, and of several ids= only the last one counts.",
                        "Claim those devices here as well and remove that line, or use the strategy override.",
                    )
            elif ids.source in counting and any(entry.matches(device) for entry in parse_ids(ids.value)):
                raise HostError(
                    f"{ids.source} gives {device.id} to {ids.module}, and {where} gives {device.address} to {decision.default.module}.",
                    "Remove that line, or the claim.",
                )


@dataclasses.dataclass(frozen=True)
class Softdep:
    """A softdep line: modules to load before and after another."""

    module: str
    pre: tuple[str, ...]
    post: tuple[str, ...]

    def __str__(self) -> str:
        post = f" post: {' '.join(self.post)}" if self.post else ""
        return f"softdep {self.module} pre: {' '.join(self.pre)}{post}"


@dataclasses.dataclass(frozen=True)
class Softdeps:
    """The lines to write, and what to tell the user about them."""

    lines: tuple[Softdep, ...]
    warnings: tuple[str, ...]


def make_softdeps(before: t.Mapping[str, t.Sequence[str]], configs: Configs, our_path: str) -> Softdeps:
    """Lines that load ``before``'s modules before each native one, with what the lines that they displace ask for.

    Raises HostError where another line would come first, or where an install line would lose its effect.
    """
    lines, warnings = [], []
    for native, modules in before.items():
        displaced = _obeyed(native, configs)
        install = next((line for config in configs.values() for line in config.installs(native)), None)
        if install is not None:
            if displaced or not loads_nothing(install, native):
                raise _install_error(native, install, displaced)
            warnings.append(
                f"{install.source} keeps {native} from being loaded, so no softdep is written: it would make kmod ignore that line."
            )
            continue
        first = [directive for directive in displaced if posixpath.basename(directive.source.path) < posixpath.basename(our_path)]
        if any(not set(modules) <= set(_words(directive, "pre:")) for directive in first):
            raise HostError(
                f"{first[0].source} has a softdep for {native} that kmod reads before any of ours, and it obeys only the first.",
                f"Add {' '.join(modules)} to that line's pre:, rename its file so that it sorts after {posixpath.basename(our_path)}, "
                "or use the strategy override.",
            )
        if not first:
            lines.append(_merged(native, modules, displaced))
    return Softdeps(tuple(lines), tuple(warnings))


def _obeyed(native: str, configs: Configs) -> list[Directive]:
    """The line that kmod obeys without us, on each kernel; kernels bring their own modules.softdep."""
    return list(dict.fromkeys(line for config in configs.values() for line in config.softdeps(native)[:1]))


def _words(directive: Directive, wanted: str) -> tuple[str, ...]:
    return tuple(map(normalize_module_name, softdep_words(directive, wanted)))


def _merged(native: str, modules: t.Sequence[str], displaced: t.Sequence[Directive]) -> Softdep:
    pre = [*modules, *(word for directive in displaced for word in _words(directive, "pre:"))]
    post = [word for directive in displaced for word in _words(directive, "post:")]
    return Softdep(native, tuple(dict.fromkeys(pre)), tuple(dict.fromkeys(post)))


def _install_error(native: str, install: Directive, displaced: t.Sequence[Directive]) -> HostError:
    if displaced:
        return HostError(
            f"{install.source} has an install line for {native}, which kmod ignores because of the softdep in {displaced[0].source}.",
            "Remove one of the two, or use the strategy override.",
        )
    return HostError(
        f"{install.source} has an install line for {native}; kmod would ignore it once a softdep for {native} is written.",
        "Remove that line, or use the strategy override.",
    )
