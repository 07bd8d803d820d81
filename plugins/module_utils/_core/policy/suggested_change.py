# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest change that makes a claimed driver win: each is tried on the facts, and one counts only if the forecast says so."""

from __future__ import annotations

import dataclasses
import types
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, INITRAMFS, KERNEL, ROOT, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.rebuilt_image import rebuilt
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig, SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.rules import lines_for
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage, Winner, Work
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


NOTHING_ELSE: t.Mapping[str, str] = types.MappingProxyType({})
FIRST_FILE = "/etc/modprobe.d/00-vfio.conf"
"""Which is read before most others."""


@dataclasses.dataclass(frozen=True)
class SuggestedChange:
    """A change in words, and the boot that it leads to; ``line`` is what it takes away, with its place."""

    sentence: str
    boot: Boot
    line: str = ""


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
    """Changes from the smallest on: take one line away or add one, rebuild the image, both, and last a policy of our own."""
    removed = list(removals(boot, now))
    additions = list(_softdeps(boot, device, driver if normalize_module_name(driver) == module else module))
    yield from (*removed, *additions)
    image = next((stage for stage in boot.stages if stage.name == INITRAMFS), None)
    rebuild = "" if image is None else f" and rebuild {image.place}"
    if image is not None:
        yield SuggestedChange(f"Rebuild {image.place}: it does not hold what the root's files say.", _rebuilt(boot, module))
        for change in (*removed, *additions):
            yield SuggestedChange(f"{change.sentence[:-1]}{rebuild}.", _rebuilt(change.boot, module))
    for without in (None, *removed):
        start = boot if without is None else without.boot
        first = "" if without is None else f"{without.sentence[:-1]}, and "
        claim = f"claim {device.address} for {driver} with boot_policy"
        sentence = first + (claim if first else claim[0].upper() + claim[1:]) + rebuild + "."
        yield SuggestedChange(sentence, _claimed(_rebuilt(start, module), device, driver, module))


def removals(
    boot: Boot, now: Winner, also: t.Mapping[str, str] = NOTHING_ELSE, spared: t.Sequence[str] = ()
) -> t.Iterator[SuggestedChange]:
    """Without each line that has a part in the outcome, as far as an operator wrote it, or that is among ``also``.

    ``also`` are what lines say, by place; lines of the files ``spared`` stay.
    """
    if any(boot.cmdline_source in str(because) for because in now.because):
        yield from _without_arguments(boot, now)
    lines = _lines(boot)
    for source, fact in {**now.facts, **also}.items():
        if source == boot.cmdline_source or source.startswith(tuple(f"{path}:" for path in spared)):
            continue
        if source in lines:
            yield SuggestedChange(f"Remove {source} ({fact}).", _without_line(boot, source), f"{source}: {fact}")
        elif any(assigned.source == source for assigned in boot.later.driverctl.values()):
            kept = {address: assigned for address, assigned in boot.later.driverctl.items() if assigned.source != source}
            later = dataclasses.replace(boot.later, driverctl=kept)
            yield SuggestedChange(f"Remove {source}.", dataclasses.replace(boot, later=later), f"{source}: {fact}")


def _lines(boot: Boot) -> frozenset[str]:
    """The lines of modprobe.d, of udev's rules and of lists of modules; what an image holds is changed by rebuilding it."""
    found = {str(line.source) for stage in boot.stages for line in stage.config.directives}
    found.update(str(rule) for stage in boot.stages for rule in stage.rules.rules)
    works = (work for stage in boot.stages if stage.name == ROOT for step in stage.steps for work in step)
    return frozenset((*found, *(listed.source for work in works if isinstance(work, LoadList) for listed in work.modules)))


def _softdeps(boot: Boot, device: Device, module: str) -> t.Iterator[SuggestedChange]:
    """Where the driver's `ids=` name the device: have it loaded before the natives.  kmod obeys a module's first softdep line only."""
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
        steps = tuple(tuple(_without_listed(work, source) for work in step) for step in stage.steps)
        return dataclasses.replace(stage, config=config, rules=rules, steps=steps)

    return _with_stages(boot, without)


def _without_listed(work: Work, source: str) -> Work:
    if not isinstance(work, LoadList):
        return work
    return dataclasses.replace(work, modules=tuple(listed for listed in work.modules if listed.source != source))


def _without_arguments(boot: Boot, now: Winner) -> t.Iterator[SuggestedChange]:
    """Without each argument of the command line that is named."""
    said = " ".join(str(because) for because in now.because)
    for argument in boot.cmdline.arguments:
        # kmod reads `modprobe.blacklist=` as a line `blacklist`, and `module.option=` as one of `options`.
        name = argument.partition("=")[0].rpartition(".")[2]
        if name.replace("-", "_") in said.replace("-", "_") and "=" in argument:
            cmdline = Cmdline(tuple(other for other in boot.cmdline.arguments if other != argument))

            def without(stage: Stage, cmdline: Cmdline = cmdline) -> Stage:
                lines = tuple(line for line in stage.config.directives if str(line.source) != boot.cmdline_source)
                return dataclasses.replace(stage, config=ModprobeConfig(lines).with_cmdline(cmdline, boot.cmdline_source))

            changed = dataclasses.replace(_with_stages(boot, without), cmdline=cmdline)
            yield SuggestedChange(
                f"Remove {argument} from the command line ({boot.cmdline_source}).", changed, f"{boot.cmdline_source}: {argument}"
            )


def _rebuilt(boot: Boot, module: str) -> Boot:
    """The boot with its image rebuilt, the claimed module in it."""
    root = boot.stages[-1]
    return _with_stages(boot, lambda stage: rebuilt(stage, root, (module,)) if stage.name == INITRAMFS else stage)


def _claimed(boot: Boot, device: Device, driver: str, module: str) -> Boot:
    """The boot with the rule that boot_policy writes, after all others."""
    lines = tuple(parse("\n".join(lines_for(device, driver, module)), "boot_policy"))

    def claimed(stage: Stage) -> Stage:
        return dataclasses.replace(stage, rules=Rules((*stage.rules.rules, *lines)))

    return _with_stages(boot, claimed)


def _with_stages(boot: Boot, change: t.Callable[[Stage], Stage]) -> Boot:
    return dataclasses.replace(boot, stages=tuple(change(stage) for stage in boot.stages))
