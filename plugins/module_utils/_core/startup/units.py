# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of systemd's units are started at boot: what default.target pulls in, and what that triggers."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit, in_place_of_template

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitFiles, UnitSetting

MOST_UNITS = 4000
# What the targets of systemd pull in where their files cannot be seen (systemd.special(7), bootup(7)).
_STANDARD: t.Mapping[str, tuple[str, ...]] = {
    "graphical.target": ("multi-user.target",),
    "multi-user.target": ("basic.target", "getty.target", "remote-fs.target"),
    "basic.target": ("sysinit.target", "sockets.target", "timers.target", "paths.target", "slices.target"),
    "sysinit.target": ("local-fs.target", "swap.target", "cryptsetup.target", "integritysetup.target", "veritysetup.target"),
    "rescue.target": ("sysinit.target", "rescue.service"),
    "runlevel2.target": ("multi-user.target",),
    "runlevel3.target": ("multi-user.target",),
    "runlevel4.target": ("multi-user.target",),
    "runlevel5.target": ("graphical.target",),
}
# What udev's rules (99-systemd.rules) start for hardware that most hosts have.
_BY_HARDWARE = ("sound.target", "bluetooth.target", "printer.target", "smartcard.target", "usb-gadget.target")
# Passive units that others pull in; where their files cannot be seen, they are taken to be pulled in.
_ON_DEMAND = (
    "network.target",
    "network-online.target",
    "network-pre.target",
    "nss-lookup.target",
    "time-sync.target",
    "machines.target",
    "remote-fs-pre.target",
)
_PULLS = ("Wants", "Requires", "BindsTo", "Upholds", "OnFailure", "OnSuccess", "PropagatesReloadTo")
_ALWAYS = frozenset(("sysinit.target", "basic.target", "shutdown.target"))
DEFAULT = "default.target"
_FALLBACK = "graphical.target"
RESCUE = "rescue.target"


@dataclasses.dataclass(frozen=True)
class Started:
    """A unit that is started, and the file (or file and line) that does so."""

    unit: Unit
    by: str


class StartedUnits:
    """Follows what starts what, from units by name, each with what starts it."""

    def __init__(
        self,
        files: UnitFiles,
        pending: t.Iterable[tuple[str, str]],
        may_start: t.Callable[[Unit], bool],
        without: t.Iterable[str] = (),
    ) -> None:
        self._files = files
        self._may_start = may_start
        self._pending = [*pending]
        self._seen = set(without)
        self.found: dict[str, Started] = {}
        self._run()

    @classmethod
    def at_boot(
        cls, files: UnitFiles, target: str | None, also: t.Sequence[tuple[str, str]], may_start: t.Callable[[Unit], bool]
    ) -> StartedUnits:
        """What a boot starts.  ``target`` is that of `systemd.unit=`, if any; ``also`` are units of the command line, with its source.

        ``may_start`` says whether a unit's conditions can hold.
        """
        default = [(name, name) for name in _first(files, target)]
        return cls(files, [*default, *also, *_roots(files)], may_start)

    @classmethod
    def only(cls, files: UnitFiles, name: str, by: str, may_start: t.Callable[[Unit], bool]) -> tuple[Started, ...]:
        """A unit and what it pulls in, without what every boot starts."""
        return tuple(cls(files, ((name, by),), may_start, _ALWAYS).found.values())

    def _run(self) -> None:
        while self._pending and len(self._seen) < MOST_UNITS:
            name, by = self._pending.pop()
            if name in self._seen:
                continue
            self._seen.add(name)
            unit = self._files.load(name)
            if unit is None:
                self._missing(name, by)
                continue
            self._seen.update(unit.names)
            self.found[unit.name] = Started(unit, by)
            self._pending += self._files.wanted_by(unit.name, *unit.names)
            self._pulls(unit)
            self._triggers(unit, by)

    def _missing(self, name: str, by: str) -> None:
        """A target that is not in the tree can have links and drop-ins all the same; a masked or missing service is not started."""
        beside = self._files.beside(name) if name.endswith(".target") else None
        if beside is not None:
            self._pending += [(one, by) for one in _STANDARD.get(name, ())]
            self._pending += self._files.wanted_by(name)
            self._pulls(Unit(name, (name,), by, beside))

    def _pulls(self, unit: Unit) -> None:
        # An empty setting takes none of these back (config_parse_unit_deps() in load-fragment.c).
        asked = ((setting.source, word) for setting in unit.settings if _is_pull(setting) for word in setting.value.split())
        self._pending += [(in_place_of_template(word.strip("\"'"), unit.name), source) for source, word in asked]

    def _triggers(self, unit: Unit, by: str) -> None:
        """A timer, path or socket starts a service, if its own conditions let it start; what a unit pulls in does not ask them."""
        stem, _dot, kind = unit.name.rpartition(".")
        if kind in ("timer", "path", "socket") and not self._may_start(unit):
            return
        if kind in ("timer", "path"):
            named = unit.last(kind.capitalize(), "Unit")
            self._pending.append((named or f"{stem}.service", unit.path))
        elif kind == "socket":
            named = unit.last("Socket", "Service")
            accepts = unit.is_true("Accept", "Socket")
            self._pending.append((named or (f"{stem}@0.service" if accepts else f"{stem}.service"), unit.path))
        elif kind == "target":
            if unit.name in ("multi-user.target", "graphical.target", "basic.target", "rescue.target"):
                self._pending.append(("sysinit.target", by))
        elif kind == "service" and not unit.is_false("DefaultDependencies", "Unit"):
            self._pending.append(("sysinit.target", by))


def _is_pull(setting: UnitSetting) -> bool:
    return setting.section == "Unit" and setting.key in _PULLS


def _first(files: UnitFiles, target: str | None) -> tuple[str, ...]:
    """What a boot starts with: a target that is masked or missing leaves rescue.target (do_queue_default_job() in core/main.c).

    Where default.target leads to no target, a later systemd takes its own instead.
    """
    asked = target or DEFAULT
    if files.load(asked) is not None:
        return (asked,)
    if asked != DEFAULT:
        return (asked, RESCUE)
    places = files.paths(DEFAULT)
    if places and files.is_mask(places[0]):
        return (RESCUE,)
    linked = files.linked_name(DEFAULT)
    default = linked if linked is not None and linked in _STANDARD else _FALLBACK
    return (default, RESCUE) if places else (default,)


def _roots(files: UnitFiles) -> t.Iterator[tuple[str, str]]:
    """What is started apart from the default target: by devices, mounts and passive targets."""
    for name in sorted(files.names()):
        base, dot, kind = name.rpartition(".")
        if dot and kind in ("wants", "requires", "upholds") and base.endswith((".device", ".mount", ".swap", ".automount")):
            yield from files.wanted_by(base)
    yield from ((name, name) for name in _BY_HARDWARE)
    yield from ((name, name) for name in _ON_DEMAND if files.load(name) is None)
