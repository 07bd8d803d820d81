# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a host's configuration, each in words and as the boot that it leads to."""

from __future__ import annotations

import dataclasses
import posixpath
import types
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, ROOT, Coldplug, ListedModule, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_systemd import PROGRAM
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.rebuilt_image import rebuilt
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig, SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.changed_arguments import with_arguments, with_stages
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import DEFAULT_STRATEGY, Decision, DriverChoice
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import make_plan
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage, StageWork, Step, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector

NOTHING_ELSE: t.Mapping[str, str] = types.MappingProxyType({})
FIRST_FILE = "/etc/modprobe.d/00-vfio.conf"
"""Which is read before most others."""
LIST_FILE = "/etc/modules-load.d/vfio.conf"
NO_IOMMU = frozenset(("intel_iommu=off", "amd_iommu=off", "iommu=off"))
NAME_LISTS = ("modprobe.blacklist", "module_blacklist", "rd.driver.blacklist", "blacklist")
"""Arguments of the command line that list modules to keep out."""


@dataclasses.dataclass(frozen=True)
class BootChange:
    """A change in words, and the boot that it leads to; ``line`` is what it takes away, with its place."""

    sentence: str
    boot: Boot
    line: str = ""

    def then(self, step: str, boot: Boot) -> BootChange:
        """This change and another step after it, which leads to ``boot``."""
        return BootChange(f"{self.sentence[:-1]}, then {step}.", boot, self.line)


def removals(boot: Boot, now: Winner, also: t.Mapping[str, str] = NOTHING_ELSE, spared: t.Sequence[str] = ()) -> t.Iterator[BootChange]:
    """Without each line that has a part in the outcome, or that is among ``also``.

    ``also`` are what lines say, by place; lines of the files ``spared`` stay.
    """
    if any(boot.cmdline_source in str(because) for because in now.because):
        yield from _without_arguments(boot, now)
    lines = _lines(boot)
    for source, fact in {**now.facts, **also}.items():
        if source == boot.cmdline_source or source.startswith(tuple(f"{path}:" for path in spared)):
            continue
        if source in lines:
            yield BootChange(f"Remove {source} ({fact}).", _without_line(boot, source), f"{source}: {fact}")
        elif any(assigned.source == source for assigned in boot.later.driverctl.values()):
            kept = {address: assigned for address, assigned in boot.later.driverctl.items() if assigned.source != source}
            later = dataclasses.replace(boot.later, driverctl=kept)
            yield BootChange(f"Remove {source}.", dataclasses.replace(boot, later=later), f"{source}: {fact}")


def in_root(boot: Boot, facts: t.Mapping[str, str]) -> dict[str, str]:
    """The root's lines that an image's copies of them stand for, with what they say: these are what a person edits."""
    images = tuple(f"{stage.place}:" for stage in boot.stages if stage.name == INITRAMFS)
    copied = {_base_line(source): fact for source, fact in facts.items() if images and source.startswith(images)}
    root = boot.stages[-1]
    lines = [str(line.source) for line in root.config.directives] + [str(rule) for rule in root.rules.rules]
    return {line: copied[_base_line(line)] for line in lines if _base_line(line) in copied}


def _base_line(source: str) -> str:
    """The file's name and the line's number: generators move files to other directories."""
    return posixpath.basename(source)


def _lines(boot: Boot) -> frozenset[str]:
    """The lines of modprobe.d, of udev's rules and of lists of modules; what an image holds is changed by rebuilding it."""
    found = {str(line.source) for stage in boot.stages for line in stage.config.directives}
    found.update(str(rule) for stage in boot.stages for rule in stage.rules.rules)
    works = (work for stage in boot.stages if stage.name == ROOT for step in stage.steps for work in step)
    return frozenset((*found, *(listed.source for work in works if isinstance(work, LoadList) for listed in work.modules)))


def _without_line(boot: Boot, source: str) -> Boot:
    def without(stage: Stage) -> Stage:
        config = ModprobeConfig(tuple(line for line in stage.config.directives if str(line.source) != source))
        rules = Rules(tuple(rule for rule in stage.rules.rules if str(rule) != source))
        steps = tuple(tuple(_without_listed(work, source) for work in step) for step in stage.steps)
        return dataclasses.replace(stage, config=config, rules=rules, steps=steps)

    return with_stages(boot, without)


def _without_listed(work: StageWork, source: str) -> StageWork:
    if not isinstance(work, LoadList):
        return work
    return dataclasses.replace(work, modules=tuple(listed for listed in work.modules if listed.source != source))


# -- the command line


def _without_arguments(boot: Boot, now: Winner) -> t.Iterator[BootChange]:
    """Without each argument of the command line that is named."""
    said = " ".join(str(because) for because in now.because)
    for argument in boot.cmdline.arguments:
        # kmod reads `modprobe.blacklist=` as a line `blacklist`, and `module.option=` as one of `options`.
        name = argument.partition("=")[0].rpartition(".")[2]
        if name.replace("-", "_") in said.replace("-", "_") and "=" in argument:
            changed = with_arguments(boot, [other for other in boot.cmdline.arguments if other != argument])
            sentence = f"Remove {argument} from the command line ({boot.cmdline_source})."
            yield BootChange(sentence, changed, f"{boot.cmdline_source}: {argument}")


def without_names(boot: Boot, modules: t.Collection[str]) -> t.Iterator[BootChange]:
    """Without these modules in each list of names on the command line that keeps modules out; the others stay in it."""
    for argument in boot.cmdline.arguments:
        key, _equals, value = argument.partition("=")
        names = [name for name in value.split(",") if name]
        kept = [name for name in names if normalize_module_name(name) not in modules]
        if key in NAME_LISTS and kept and len(kept) < len(names):
            written = f"{key}={','.join(kept)}"
            arguments = [written if other == argument else other for other in boot.cmdline.arguments]
            sentence = f"Replace {argument} by {written} on the command line ({boot.cmdline_source})."
            yield BootChange(sentence, with_arguments(boot, arguments), f"{boot.cmdline_source}: {argument}")


def without_switches(boot: Boot) -> t.Iterator[BootChange]:
    """Without each word that switches the IOMMU off, which keeps every VFIO driver from its devices."""
    for argument in boot.cmdline.arguments:
        if argument.replace("-", "_") in NO_IOMMU:
            changed = with_arguments(boot, [other for other in boot.cmdline.arguments if other != argument])
            sentence = f"Remove {argument} from the command line ({boot.cmdline_source})."
            yield BootChange(sentence, changed, f"{boot.cmdline_source}: {argument}")


# -- additions


def with_softdeps(boot: Boot, natives: t.Sequence[str], module: str) -> BootChange:
    """``module`` is loaded before each of the native modules; what their first softdeps load otherwise is still loaded.

    kmod applies a module's first softdep line only, in the order of the files' names.
    """
    root = boot.stages[-1]
    said: list[str] = []
    directives = root.config.directives
    added: list[Directive] = []
    for native in natives:
        first = next(iter(root.config.softdeps(native)), None)
        words = _with_first(module, () if first is None else first.arguments[1:])
        text = f"`softdep {' '.join((native, *words))}`"
        if first is not None and first.source.path.startswith("/etc/") and first.arguments[0] == native:
            said.append(f"replace {first.source} by {text}")
            replaced = dataclasses.replace(first, arguments=(native, *words))
            directives = tuple(replaced if line is first else line for line in directives)
        else:
            said.append(f"add {text} to {FIRST_FILE}")
            added.append(Directive(SourceLine(FIRST_FILE, len(added) + 1), "softdep", (native, *words)))
    # kmod reads files by their names, and this one in the place of others of its name.
    name = posixpath.basename(FIRST_FILE)
    kept = [line for line in directives if not added or line.source.path == FIRST_FILE or posixpath.basename(line.source.path) != name]
    earlier = [line for line in kept if line.source.path.endswith(".conf") and posixpath.basename(line.source.path) <= name]
    later = [line for line in kept if line not in earlier]
    changed = dataclasses.replace(root, config=ModprobeConfig((*earlier, *added, *later)))
    sentence = ", then ".join(said)
    return BootChange(f"{_capitalized(sentence)}.", dataclasses.replace(boot, stages=(*boot.stages[:-1], changed)))


def _with_first(module: str, words: t.Sequence[str]) -> tuple[str, ...]:
    """The words of a softdep with a module before all others, which is no longer loaded afterwards."""
    kept = tuple(word.strip() for word in words if normalize_module_name(word.strip()) != normalize_module_name(module))
    kept = kept[:-1] if kept[-1:] == ("post:",) else kept
    if "pre:" not in kept:
        return ("pre:", module, *kept)
    place = kept.index("pre:") + 1
    return (*kept[:place], module, *kept[place:])


def with_listed(boot: Boot, module: str) -> BootChange | None:
    """systemd-modules-load loads the module; None for a root that has no coldplug."""
    root = boot.stages[-1]
    if not any(isinstance(work, Coldplug) for step in root.steps for work in step):
        return None
    listed = ListedModule(normalize_module_name(module), f"{LIST_FILE}:1")
    has_list = any(isinstance(work, LoadList) and work.program == PROGRAM for step in root.steps for work in step)
    steps = tuple(_step_with(step, listed, has_list) for step in root.steps)
    changed = dataclasses.replace(root, steps=steps)
    return BootChange(f"Add `{module}` to {LIST_FILE}.", dataclasses.replace(boot, stages=(*boot.stages[:-1], changed)))


def _step_with(step: Step, listed: ListedModule, has_list: bool) -> Step:
    if has_list:
        return tuple(
            dataclasses.replace(work, modules=(*work.modules, listed)) if isinstance(work, LoadList) and work.program == PROGRAM else work
            for work in step
        )
    return (LoadList(PROGRAM, (listed,)), *step) if any(isinstance(work, Coldplug) for work in step) else step


def with_image_rebuilt(boot: Boot, modules: t.Collection[str]) -> Boot:
    """The boot with its image rebuilt, and in it, besides what it has now, ``modules`` and what softdeps of its modules name."""
    root = boot.stages[-1]

    def changed(stage: Stage) -> Stage:
        if stage.name != INITRAMFS:
            return stage
        named = (line for module in stage.kernel.modules for line in root.config.softdeps(module)[:1])
        brought = {normalize_module_name(word) for line in named for word in line.arguments[1:] if not word.endswith(":")}
        return rebuilt(stage, root, (*modules, *brought))

    return with_stages(boot, changed)


def with_claims(boot: Boot, selectors: t.Mapping[Device, Selector], driver: str, module: str, devices: t.Sequence[Device]) -> Boot | None:
    """The boot with the rules that boot_policy writes, in the order of the files' names; None where it refuses to.

    ``devices`` are all of the host.
    """
    root = boot.stages[-1]
    choice = DriverChoice(boot.release, module, driver)
    decisions = [Decision(one, Claim((by,), driver), (by,), DEFAULT_STRATEGY, (choice,)) for one, by in selectors.items()]
    inventory, configs = Inventory(tuple(devices), {}), {boot.release: root.config}
    facts = PolicyFacts(inventory, (root.kernel,), configs, {}, {}, initramfs_tools=False, dracut=False, ids_modules=frozenset())
    try:
        plan = make_plan(PolicyRequest(), decisions, facts)
    except HostError:
        return None
    path = plan.policy.paths.rules
    lines = tuple(parse(plan.policy.files[path], path))
    name = posixpath.basename(path)

    def claimed(stage: Stage) -> Stage:
        before = tuple(rule for rule in stage.rules.rules if posixpath.basename(rule.path) <= name)
        after = tuple(rule for rule in stage.rules.rules if posixpath.basename(rule.path) > name)
        return dataclasses.replace(stage, rules=Rules((*before, *lines, *after)))

    return with_stages(boot, claimed)


def _capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
