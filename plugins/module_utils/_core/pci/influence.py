# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs or is read at boot, is not simulated, and may act on a PCI device's driver: noticed, with a bound on what it can touch.

A bound device changes only if it is unbound or removed, or if its driver's module goes; loading a module, writing an override or adding
an ID touches only devices that are unbound then.  So an influence makes `unknown` exactly the answers that its acts can reach.
"""

from __future__ import annotations

import dataclasses
import typing as t

Act = t.Literal["load", "refuse", "override", "unbind", "bind", "new_id", "remove", "rescan", "create", "lock", "replay"]
"""What can be done to a device's driver.

``load``: a module is loaded (``modules``).  ``refuse``: a module is removed, or no longer loadable.  ``override``: driver_override is
written.  ``unbind``, ``bind`` (also drivers_probe), ``new_id`` (also remove_id), ``remove`` (also reset): sysfs attributes.
``rescan``: what was removed comes back, and pci_bus_add_devices() leaves alone what is there.
``create``: virtual functions appear or go.  ``lock``: from then on no module is loaded, or no device is offered to drivers.
``replay``: events of devices come again, or others than at a boot; what they do is udev's rules' (see `forecast/replays.py`).
"""
ACTS: t.Final[frozenset[Act]] = frozenset(t.get_args(Act)) - {"replay"}
"""What somebody may do of whom nothing is known."""
TAKES_AWAY: t.Final[frozenset[Act]] = frozenset(("unbind", "remove", "refuse"))
"""What can change a device that is bound."""

EVENT_DEVICE: t.Final = "%k"
"""Among an influence's addresses: the device whose event runs the program."""
ANOTHER: t.Final = "another driver"
"""An entry of a forecast's outcomes: the owner may be a driver that cannot be named."""


@dataclasses.dataclass(frozen=True)
class Influence:
    """Something that may act on drivers in the stage, or after the boot, that it belongs to; when exactly is not known.

    ``source`` is a file and line; ``fact`` says in a clause what it may do: "runs /usr/local/sbin/x, which writes to driver_override".
    """

    source: str
    fact: str
    acts: frozenset[Act] = ACTS
    addresses: frozenset[str] | None = None
    """The addresses of the only devices that it can touch; None if that is not bounded."""
    modules: frozenset[str] | None = None
    """Normalized names of the only modules that it can load or remove, without what these depend on; None if not bounded."""
    drivers: frozenset[str] | None = None
    """The only drivers that it can name in an override, a bind or a new_id; None if not bounded."""
    by_modprobe: bool = False
    """Whether it loads its modules by `modprobe` alone, so with their softdeps and `install` lines, never past these."""

    def __str__(self) -> str:
        return f"{self.source} {self.fact}; the effect cannot be determined."

    def about(self, address: str) -> bool:
        """Whether it can touch the device at this address."""
        return self.addresses is None or address in self.addresses

    def only(self, *acts: Act) -> Influence:
        """That part of it."""
        return dataclasses.replace(self, acts=frozenset(acts))


InfluencesOf = t.Callable[[str, str], t.Sequence[Influence]]
"""What running a command line, or starting a unit by its name, may do; the second argument is where it is asked for."""
