# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest change that makes a claimed driver win: each is tried on the facts, and one counts only if the forecast says so."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, INITRAMFS, KERNEL
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig, SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.rules import lines_for
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


FIRST_FILE = "/etc/modprobe.d/00-vfio.conf"
"""Which is read before most others."""


@dataclasses.dataclass(frozen=True)
class SuggestedChange:
    """A change in words, and the boot that it leads to."""

    sentence: str
    boot: Boot


def would_change(device: Device, driver: str, devices: t.Sequence[Device], boot: Boot, now: Winner) -> str | None:
    """What makes ``driver`` win for certain, as a sentence; None where it wins already, or where nothing that is known would do."""
    if now.driver == driver and now.certainty == CERTAIN:
        return None
    module = next(iter(Registrar(boot).modules_of(driver)), None)
    if module is None or not any(stage.kernel.has(module) for stage in boot.stages):
        return f"Kernel {boot.release} has no module with a driver {driver}: install or build it for that kernel first."
    if now.stage == KERNEL:
        return f"{now.driver} is built into kernel {boot.release} and has the device before any file is read; move it after the boot."
    for change in _changes(device, driver, module, boot, now):
        after = forecast(devices, change.boot, only=(device,))[device.address]
        if (after.driver, after.certainty) == (driver, CERTAIN):
            return change.sentence
    return None


def _changes(device: Device, driver: str, module: str, boot: Boot, now: Winner) -> t.Iterator[SuggestedChange]:
    """Changes from the smallest on: take one line away or add one, build the image anew, both, and last a policy of our own."""
    removals = list(_removals(boot, now))
    additions = list(_softdeps(boot, device, driver if normalize_module_name(driver) == module else module))
    yield from (*removals, *additions)
    image = next((stage for stage in boot.stages if stage.name == INITRAMFS), None)
    rebuild = "" if image is None else f" and build {image.place} anew"
    if image is not None:
        yield SuggestedChange(f"Build {image.place} anew: it does not hold what the root's files say.", _rebuilt(boot, module))
        for change in (*removals, *additions):
            yield SuggestedChange(f"{change.sentence[:-1]}{rebuild}.", _rebuilt(change.boot, module))
    for without in (None, *removals):
        start = boot if without is None else without.boot
        first = "" if without is None else f"{without.sentence[:-1]}, and "
        claim = f"claim {device.address} for {driver} with boot_policy"
        sentence = first + (claim if first else claim[0].upper() + claim[1:]) + rebuild + "."
        yield SuggestedChange(sentence, _claimed(_rebuilt(start, module), device, driver, module))


def _removals(boot: Boot, now: Winner) -> t.Iterator[SuggestedChange]:
    """Without each line that has a part in the outcome, as far as an operator wrote it."""
    if any(boot.cmdline_source in str(because) for because in now.because):
        yield from _without_arguments(boot, now)
    facts: dict[str, str] = {}
    for because in now.because:
        facts.setdefault(because.source, because.fact)
    for source, fact in facts.items():
        config = any(str(line.source) == source for stage in boot.stages for line in stage.config.directives)
        rule = any(str(line) == source for stage in boot.stages for line in stage.rules.rules)
        if (config or rule) and source != boot.cmdline_source:
            yield SuggestedChange(f"Remove {source} ({fact}).", _without_line(boot, source))
        elif any(assigned.source == source for assigned in boot.later.driverctl.values()):
            kept = {address: assigned for address, assigned in boot.later.driverctl.items() if assigned.source != source}
            later = dataclasses.replace(boot.later, driverctl=kept)
            yield SuggestedChange(f"Remove {source}.", dataclasses.replace(boot, later=later))


def _softdeps(boot: Boot, device: Device, module: str) -> t.Iterator[SuggestedChange]:
    """Where the driver's `ids=` name the device: have it loaded before the natives.  kmod heeds a module's first softdep line only."""
    root = boot.stages[-1]
    natives = [match.module for match in root.kernel.natives(device.modalias) if match.module in root.kernel.modules]
    if not natives or normalize_module_name(module) not in Registrar(boot).with_dynamic_id(root, device):
        return
    softdeps = [(native, "pre:", module) for native in dict.fromkeys(natives)]
    lines = tuple(Directive(SourceLine(FIRST_FILE, number), "softdep", words) for number, words in enumerate(softdeps, 1))
    stages = (*boot.stages[:-1], dataclasses.replace(root, config=ModprobeConfig((*lines, *root.config.directives))))
    said = " and ".join(f"`softdep {' '.join(line.arguments)}`" for line in lines)
    yield SuggestedChange(f"Add {said} to {FIRST_FILE}.", dataclasses.replace(boot, stages=stages))


def _without_line(boot: Boot, source: str) -> Boot:
    def without(stage: Stage) -> Stage:
        config = ModprobeConfig(tuple(line for line in stage.config.directives if str(line.source) != source))
        rules = Rules(tuple(rule for rule in stage.rules.rules if str(rule) != source))
        return dataclasses.replace(stage, config=config, rules=rules)

    return _with_stages(boot, without)


def _without_arguments(boot: Boot, now: Winner) -> t.Iterator[SuggestedChange]:
    """Without each argument of the command line that is named."""
    said = " ".join(str(because) for because in now.because)
    for argument in boot.cmdline.arguments:
        if argument.partition("=")[0].replace("-", "_") in said.replace("-", "_") and "=" in argument:
            cmdline = Cmdline(tuple(other for other in boot.cmdline.arguments if other != argument))

            def without(stage: Stage, cmdline: Cmdline = cmdline) -> Stage:
                lines = tuple(line for line in stage.config.directives if str(line.source) != boot.cmdline_source)
                return dataclasses.replace(stage, config=ModprobeConfig(lines).with_cmdline(cmdline, boot.cmdline_source))

            changed = dataclasses.replace(_with_stages(boot, without), cmdline=cmdline)
            yield SuggestedChange(f"Remove {argument} from the command line ({boot.cmdline_source}).", changed)


def _rebuilt(boot: Boot, module: str) -> Boot:
    """The boot with an image that holds the root's modprobe.d and rules, and the claimed module besides its own."""
    root = boot.stages[-1]

    def rebuilt(stage: Stage) -> Stage:
        if stage.name != INITRAMFS:
            return stage
        names = [name for name in (*root.kernel.dependencies(module), module) if name in root.kernel.modules]
        kernel = dataclasses.replace(
            stage.kernel,
            modules={**stage.kernel.modules, **{name: root.kernel.modules[name] for name in names}},
            needed={**stage.kernel.needed, **{name: root.kernel.needed[name] for name in names if name in root.kernel.needed}},
        )
        own = {posixpath.basename(rule.path) for rule in root.rules.rules}
        kept = tuple(rule for rule in stage.rules.rules if posixpath.basename(rule.path) not in own)
        rules = sorted((*kept, *root.rules.rules), key=lambda rule: posixpath.basename(rule.path))
        return dataclasses.replace(stage, kernel=kernel, config=root.config, rules=Rules(tuple(rules)))

    return _with_stages(boot, rebuilt)


def _claimed(boot: Boot, device: Device, driver: str, module: str) -> Boot:
    """The boot with the rule that boot_policy writes, after all others."""
    lines = tuple(parse("\n".join(lines_for(device, driver, module)), "boot_policy"))

    def claimed(stage: Stage) -> Stage:
        return dataclasses.replace(stage, rules=Rules((*stage.rules.rules, *lines)))

    return _with_stages(boot, claimed)


def _with_stages(boot: Boot, change: t.Callable[[Stage], Stage]) -> Boot:
    return dataclasses.replace(boot, stages=tuple(change(stage) for stage in boot.stages))
