# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have configured that would undo a policy, or that a policy would undo.  Errors where it decides the winner."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import every_ids, in_lines, parse_ids
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import natives_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import OtherConfig, PolicyFacts
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Override

NOTHING = ("/bin/false", "/usr/bin/false", "false", "/bin/true", "/usr/bin/true", "true", ":")
"""Commands of `install` lines that mean "do not load"."""


def check(decisions: t.Sequence[Decision], facts: PolicyFacts) -> tuple[str, ...]:
    """Raises HostError for what would make the policy lose; returns what the user should know."""
    warnings: list[str] = []
    modules = {module: decision for decision in decisions for module in decision.modules}
    for module in sorted(modules):
        warnings += _check_module(module, facts.foreign)
    for decision in decisions:
        _check_ids(decision, facts.foreign)
        warnings += _check_rules(decision, facts)
        warnings += _ignored_installs(decision, facts)
        _check_driverctl(decision, facts.foreign)
    return tuple(dict.fromkeys(warnings))


def _check_module(module: str, foreign: OtherConfig) -> t.Iterator[str]:
    """Whether the claimed module may be loaded.  udev's `kmod load` and systemd-modules-load both heed blacklists."""
    for source in foreign.config.blacklisted(module):
        raise HostError(f"{source} blacklists {module}, so nothing would load it at boot.", "Remove that line, or claim another driver.")
    if module in foreign.cmdline.refused:
        raise HostError(
            f"module_blacklist= on the kernel's command line names {module}, so the kernel refuses to load it.",
            "Remove it, or claim another driver.",
        )
    for install in foreign.config.installs(module)[:1]:
        if runs_nothing(install.arguments[1]):
            raise HostError(
                f"{install.source} keeps {module} from being loaded (install {module} {install.arguments[1]}).",
                "Remove that line, or claim another driver.",
            )
        yield f"{install.source} runs a command in place of loading {module}; whether it loads the module cannot be told."


def runs_nothing(command: str) -> bool:
    """Whether an `install` line's command only keeps the module out."""
    return (command.split() or [":"])[0] in NOTHING


def _check_ids(decision: Decision, foreign: OtherConfig) -> None:
    """Another module's ids= takes the card as soon as that module is loaded, which may be before the card's own event.

    Of one module only the last ids= counts, the command line's at the very end.
    """
    device, where = decision.device, decision.claim.option("driver")
    for directive in foreign.config.directives:
        values = [one.value or "" for one in every_ids(in_lines((directive,)))]
        if directive.command != "options" or not values:
            continue
        module = directive.arguments[0]
        if module in decision.modules:
            if decision.strategy == "ids":
                raise HostError(
                    f"{directive.source} sets ids={values[-1]} for {module}, and of several ids= only the last one counts.",
                    "Claim those devices here as well and remove that line, or use the strategy override.",
                )
        elif any(entry.matches(device) for entry in parse_ids(values[-1])):
            raise HostError(
                f"{directive.source} gives {device.id} to {module}, and {where} gives {device.address} to {decision.default.module}.",
                "Remove that line, or the claim.",
            )


def _check_rules(decision: Decision, facts: PolicyFacts) -> t.Iterator[str]:
    for choice in decision.choices:
        found = facts.foreign.rules.overrides(decision.device, choice.release)
        for override in found:
            if override.driver == choice.driver:
                continue
            if override.certain and _has_last_word(override, decision, found, facts):
                raise HostError(
                    f"{override.rule} sets driver_override={override.driver} for {decision.device.address}, "
                    f"and {decision.claim.option('driver')} gives it to {choice.driver}.",
                    "Remove that rule, or the claim.",
                )
            yield _rule_warning(override, decision)


def _has_last_word(override: Override, decision: Decision, found: t.Sequence[Override], facts: PolicyFacts) -> bool:
    """udev writes each override as it comes to the rule, so that the last one stays; ids= cannot win against any."""
    certain = [other for other in found if other.certain]
    if decision.strategy == "ids":
        return override is certain[-1]
    return override is certain[-1] and override.rule.path.rsplit("/", 1)[1] > facts.rules_name


def _rule_warning(override: Override, decision: Decision) -> str:
    address = decision.device.address
    if override.certain:
        return f"{override.rule} sets driver_override={override.driver} for {address}; it is overruled by a later rule."
    return f"{override.rule} may set another driver_override for {address}; whether it does cannot be told from the rule."


def _ignored_installs(decision: Decision, facts: PolicyFacts) -> t.Iterator[str]:
    for native in natives_of(decision, facts):
        installs, softdeps = facts.foreign.config.installs(native), facts.foreign.config.softdeps(native)
        if installs and softdeps:
            yield f"kmod ignores {installs[0].source} (install {native}), because {softdeps[0].source} has a softdep for {native}."


def _check_driverctl(decision: Decision, foreign: OtherConfig) -> None:
    """driverctl's unit runs after the device's event, unbinds whoever has it and binds its own choice."""
    saved = foreign.driverctl.get(decision.device.address)
    if saved is not None and saved not in decision.drivers:
        raise HostError(
            f"/etc/driverctl.d/pci-{decision.device.address} gives the device to {saved} at each boot, "
            f"and {decision.claim.option('driver')} gives it to {decision.default.driver}.",
            f"Run `driverctl --nosave unset-override {decision.device.address}` and remove that file, or drop the claim.",
        )
