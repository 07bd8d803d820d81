# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root stage: what its init loads, kmod reads and udev does, read from its files."""

from __future__ import annotations

import itertools
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import late_mounts, read_systemd, rule_programs
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, Coldplug, ListedModule, LoadList, Stage, Step
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name
from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import lines_of_lists
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig, SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import systemd_version
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import truth
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules as udev
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import syntax
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory


def with_listed_options(
    config: ModprobeConfig, steps: tuple[Step, ...], kernel: Kernel, inventory: Inventory | None = None
) -> tuple[ModprobeConfig, tuple[str, ...]]:
    """The configuration with the options in the steps' lists, and doubts about modules that may be loaded earlier without them.

    Such lists come after udev has processed the devices' events; what it has loaded by then keeps the options that it had.
    """
    entries = [entry for step in steps for work in step if isinstance(work, LoadList) for entry in work.modules if entry.options]
    before = itertools.takewhile(lambda step: not any(isinstance(work, LoadList) for work in step), steps)
    has_events = any(isinstance(work, Coldplug) for step in before for work in step)
    early = {entry: has_events and _is_loaded_early(entry.name, config, kernel, inventory) for entry in entries}
    directives = tuple(
        Directive(_place(entry.source), "options", (entry.name, *entry.options.split()), f"{entry.said} {entry.options}")
        for entry in entries
        if early[entry] is not True
    )
    doubts = tuple(
        f"{entry.source} gives {entry.name} options, which have no effect if something else loads it first."
        for entry in entries
        if early[entry] is None
    )
    return ModprobeConfig((*config.directives, *directives)), doubts


def _is_loaded_early(module: str, config: ModprobeConfig, kernel: Kernel, inventory: Inventory | None) -> bool | None:
    """Whether udev has loaded a module, for a device of its own or by a softdep, if there is any such device; None if it may have."""
    natives = kernel.index.modules("pci")
    if module in natives:
        others = any(line.command == "alias" and line.arguments[0].startswith(("pci:", "*", "?", "[")) for line in config.directives)
        return None if others or config.blacklisted(module) or config.installs(module) else True
    bringing = [
        line for line in config.directives if line.command == "softdep" and module in map(normalize_module_name, line.arguments[1:])
    ]
    owners = {name for line in bringing for name in kernel.modules if matches(name, line.arguments[0])}
    if not owners:
        return False
    if inventory is None or not inventory.devices or not owners <= natives:
        return None
    loaded = {match.module for modalias in {device.modalias for device in inventory.devices} for match in kernel.natives(modalias)}
    if not owners & loaded:
        return False
    return True if all(config.softdeps(name)[0] in bringing and not config.blacklisted(name) for name in owners & loaded) else None


def _place(source: str) -> SourceLine:
    path, _colon, line = source.rpartition(":")
    return SourceLine(path, int(line)) if line.isdecimal() else SourceLine(source, 0)


_ROOT = re.compile(r"((?:[A-Za-z]+=)+|zfs:|/dev/(?:disk/by-\w+/|mapper/)?)(.+)")
_SUBVOLUME = re.compile(r"(?:.*,)?(subvol=)/?([^,]*)")
INITS = ("/sbin/init", "/usr/sbin/init")
LARGEST_INIT = 64 << 10
ETC_MODULES = "/etc/modules"
SYSVINIT_ORDER = ("/etc/init.d/kmod", "/etc/init.d/udev", "/etc/init.d/checkroot.sh")
DRIVERS_RULES = "80-drivers.rules"
# Only files with one of these words can affect drivers, or start a unit or program that does.
DECIDING = (
    *(b"driver_override", b"drivers_", b"unbind", b"bind}", b"_id}", b"sriov", b"kmod", b"remove}", b"rescan}", b"SYSCTL{"),
    *(b"RUN", b"PROGRAM", b"IMPORT{program}", b"SYSTEMD_WANTS", b"ENV{MODALIAS}=", b"ENV{MODALIAS}:="),
    *(b"ENV{MODALIAS}+", b"ENV{MODALIAS} ", b"ENV{MODALIAS}\t", b'"MODALIAS"', b'IMPORT{parent}="*"'),
)


def read_stage(
    tree: FileTree,
    kernel: Kernel,
    rules: Rules,
    cmdline: Cmdline,
    source: str,
    from_initramfs: tuple[Directive, ...] = (),
    inventory: Inventory | None = None,
) -> Stage:
    """The root stage.  ``rules`` are the same for every kernel; ``from_initramfs`` are lines that the initramfs writes into /run."""
    steps, doubts = _steps(tree, cmdline, source)
    config, unsure = with_listed_options(config_of(tree, kernel.release, cmdline, source), steps, kernel, inventory)
    if any(isinstance(work, Coldplug) for step in steps for work in step):
        doubts += drivers_rules_doubt(tree)
    programs = rule_programs.judged(tree, rules, kernel, inventory, cmdline)
    none = read_systemd.why_no_coldplug(tree, cmdline, source, in_initrd=False) if init_is_systemd(tree) else None
    whole = config.with_more(from_initramfs)
    about = (
        *doubts,
        *late_mounts.doubts(tree),
        *_other_files_doubt(tree, cmdline, source),
        *old_suffix_doubt(tree),
        *udev_version_doubt(tree),
        *unsure,
    )
    absent = rule_programs.absent(tree, rules)
    ends = rule_programs.endings(tree, rules)
    return Stage(ROOT, "/", steps, kernel, whole, rules, about, no_coldplug=none, programs=programs, absent_programs=absent, endings=ends)


def _other_files_doubt(tree: FileTree, cmdline: Cmdline, source: str) -> tuple[str, ...]:
    """A doubt if the boot does not use these files: it mounts another root than the running system, or starts without an /etc.

    systemd.volatile= is of systemd-volatile-root(8).  Names of different kinds, as UUID= and /dev, can be of one root.
    """
    word = cmdline.last("systemd.volatile") or ""
    value = word.partition("=")[2]
    if word and (not value or truth(value)):
        return (f"{source}: {word} boots without what is in /etc; what is loaded then cannot be determined.",)
    now = Cmdline.read(tree)
    for name, named in (("root", _ROOT), ("rootflags", _SUBVOLUME)):
        own, other = (_named(named, one.values(name)) for one in (now, cmdline))
        if own is not None and other is not None and own[0] == other[0] and own[1] != other[1]:
            said = f"{cmdline.last(name)} is not the running system's ({now.last(name)})"
            return (f"{source}: {said}; what another root loads cannot be determined.",)
    return ()


def _named(pattern: re.Pattern[str], values: t.Sequence[str]) -> tuple[str, str] | None:
    """The kind of name that the last value has, and the name."""
    found = pattern.match(values[-1]) if values else None
    return None if found is None else (found[1].lower(), found[2])


def config_of(tree: FileTree, release: str, cmdline: Cmdline, source: str) -> ModprobeConfig:
    """What kmod reads in a stage.  /run is left out: it is empty at the next boot."""
    return ModprobeConfig.read(tree, lasting(modprobe.DIRECTORIES), release, cmdline, source)


def old_suffix_doubt(tree: FileTree) -> tuple[str, ...]:
    """A doubt if there is an `.alias` file, which only older versions of kmod read, and the version cannot be determined."""
    paths = (f"{folder}/{name}" for folder in lasting(modprobe.DIRECTORIES) for name in tree.names(folder))
    path = next((path for path in paths if path.endswith(modprobe.OLD_SUFFIX)), None)
    if path is None or modprobe.reads_old_suffix(tree) is not None:
        return ()
    return (f"{tree.shown(path)}: kmod reads such files up to version 32, and the version of this kmod cannot be determined.",)


def rules_of(tree: FileTree, made_on: FileTree | None = None) -> Rules:
    """The rules that may affect which driver a device is bound to; ``made_on`` is the root that an image was made on."""
    return _rules(tree, _udev_version(tree, made_on), made_on)


def _rules(tree: FileTree, version: int | None, made_on: FileTree | None = None) -> Rules:
    return Rules.read(tree, DECIDING, directories=lasting(udev.DIRECTORIES), version=version, made_on=made_on)


def _udev_version(tree: FileTree, made_on: FileTree | None) -> int | None:
    """systemd's version; an image whose udev is linked with all that it needs has it from its root."""
    found = systemd_version.version(tree)
    return found if found is not None or made_on is None else systemd_version.version(made_on)


def udev_version_doubt(tree: FileTree, made_on: FileTree | None = None) -> tuple[str, ...]:
    """A doubt if versions of udev read a rule differently, and the version is not known."""
    if _udev_version(tree, made_on) is not None:
        return ()
    old, new = (_rules(tree, version).rules for version in syntax.VERSIONS)
    line = next((rule for rules, others in ((old, set(new)), (new, set(old))) for rule in rules if rule not in others), None)
    if line is None:
        return ()
    return (f"{line.path}:{line.line}: versions of udev read this differently, and the version of this udev cannot be determined.",)


def drivers_rules_doubt(tree: FileTree) -> tuple[str, ...]:
    """A doubt if 80-drivers.rules, by which udev loads drivers on every distribution, is nowhere: not even masked, or changed."""
    if any(DRIVERS_RULES in tree.names(folder) for folder in lasting(udev.DIRECTORIES)):
        return ()
    return (f"{tree.shown('/usr/lib/udev/rules.d')} has no {DRIVERS_RULES}: udev does not load drivers, or another rule does it.",)


def lasting(directories: t.Sequence[str]) -> tuple[str, ...]:
    """Those that are not empty after a boot."""
    return tuple(directory for directory in directories if not directory.startswith("/run/"))


def _steps(tree: FileTree, cmdline: Cmdline, source: str) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    given = cmdline.values("init")
    if given and given[-1] not in startup.INITS and not _ends_in_init(tree, given[-1]):
        return ((Coldplug(),),), (f"{source}: init={given[-1]} replaces the host's init; what it loads cannot be determined.",)
    links = _inits(tree)
    if not links and not tree.exists("/usr/lib/systemd/systemd") and not tree.exists("/lib/systemd/systemd"):
        return ((Coldplug(),),), (f"{tree.shown('/')} has no /sbin/init: what this root loads at boot cannot be determined.",)
    if init_is_systemd(tree):
        return read_systemd.steps(tree, cmdline, source, in_initrd=False)
    if all(tree.is_file(path) for path in SYSVINIT_ORDER):
        # kmod's script starts after checkroot.sh, which starts after mountdevsubfs.sh, which starts after udev has settled.
        listed = tuple(_sysvinit_list(tree))
        return ((Coldplug(),), (LoadList("kmod", listed, honours_blacklist=False),)) if listed else ((Coldplug(),),), ()
    return ((Coldplug(),),), (f"{tree.shown(links[0])} is not systemd: what it loads, and when, cannot be determined.",)


def _ends_in_init(tree: FileTree, path: str) -> bool:
    """Whether a script makes way for the host's init, whatever it does before."""
    content = tree.head(path, LARGEST_INIT) or b"" if tree.is_file(path) else b""
    lines = [line.strip() for line in content.decode("utf-8", "surrogateescape").split("\n")]
    commands = [line for line in lines if line and not line.startswith("#")]
    found = re.fullmatch(r"exec\s+(/\S+)(?:\s+\"?\$[@*]\"?)?", commands[-1]) if content.startswith(b"#!") and commands else None
    return found is not None and found[1] in startup.INITS


def _inits(tree: FileTree) -> list[str]:
    return [path for path in INITS if tree.exists(path)]


def init_is_systemd(tree: FileTree) -> bool:
    """Whether the root's init is systemd; one that cannot be seen is taken to be."""
    links = _inits(tree)
    name = tree.link_name(links[0]) if links else "systemd"
    return name == "systemd" or (name is None and systemd_version.version(tree) is not None)


def _sysvinit_list(tree: FileTree) -> t.Iterator[ListedModule]:
    """As modules_files() in Debian's /etc/init.d/kmod; words after a module are options here."""
    chosen = first_of_name(tree, read_systemd.LISTS, ".conf")
    paths = list(chosen.values())
    if not any(_leads_to_etc_modules(tree, path) for path in paths):
        paths.append(ETC_MODULES)
    for path, number, line in lines_of_lists(tree, paths):
        words = line.split(None, 1)
        if words and not re.match(r"#", line) and not words[0].startswith("#"):
            options = words[1].strip() if len(words) > 1 else ""
            yield ListedModule(normalize_module_name(words[0]), f"{tree.shown(path)}:{number}", options, words[0])


def _leads_to_etc_modules(tree: FileTree, path: str) -> bool:
    target = tree.link(path)
    return target is not None and posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) == ETC_MODULES
