# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of the kernel's binding over a small root tree: it follows pci_match_device() and stands in for no real boot.

The real kernel is asked in the Molecule scenarios; the model is here for what a real one cannot be made to do on demand:
refuse a probe, hang in remove(), lose a module.
"""

from __future__ import annotations

import errno
import os
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.attribute_writer import WriteError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.tests.unit.trees import Tree

DEVICES = "/sys/bus/pci/devices"
PROBING = 0.1
"""How long an asynchronous driver probes a device."""


class ModelKernel(Host):
    """A host whose sysfs answers: ``natives`` are the drivers that take a device by its ID, ``loadable`` the modules and their drivers."""

    def __init__(self, tree: Tree, natives: t.Mapping[str, str], loadable: t.Mapping[str, t.Sequence[str]]) -> None:
        super().__init__(str(tree.root), self._run)
        self.tree = tree
        self.natives = natives
        self.loadable = loadable
        self.refusing: set[str] = set()
        self.hanging: set[str] = set()
        self.asynchronous: set[str] = set()
        """Drivers whose probes end after the write that began them has returned."""
        self.blacklisted: set[str] = set()
        self._probing: dict[str, tuple[float, str]] = {}
        self.log: list[str] = []

    def link_name(self, path: str) -> str | None:
        for address, (end, driver) in list(self._probing.items()):
            if time.monotonic() >= end:
                del self._probing[address]
                self._hold(address, driver)
        return super().link_name(path)

    def owner(self, address: str) -> str | None:
        return self.link_name(f"{DEVICES}/{address}/driver")

    def override(self, address: str) -> str | None:
        text = self.text_or_none(f"{DEVICES}/{address}/driver_override")
        return None if text == "(null)" else text

    def _run(self, args: list[str], **_unused: t.Any) -> tuple[int, str, str]:
        command = args[3:] if args[0] == "timeout" or args[0].endswith("/timeout") else args
        while command and command[0].startswith("-"):
            command = command[1:]
        self.log.append(" ".join(command))
        names = [word for word in command[1:] if not word.startswith("-")]
        for name in names:
            if name.startswith("pci:"):
                # modprobe honours blacklists for what an alias names only when it is told to (modprobe(8)).
                kept_out = self.blacklisted if "--use-blacklist" in command else set()
                for driver in set(self.natives.values()) - kept_out:
                    self.tree.module(driver, [driver])
            elif name in self.loadable:
                self.tree.module(name, self.loadable[name])
            else:
                return 1, "", f"modprobe: FATAL: Module {name} not found."
        return 0, "", ""

    def write_attributes(self, writes: t.Sequence[tuple[str, str]], timeout: float) -> None:
        done = 0
        try:
            for path, value in writes:
                self.write_attribute(path, value, timeout)
                done += 1
        except HostError as error:
            refused = WriteError(error.msg, error.hint, error.facts)
            refused.done = done
            raise refused from error

    def write_attribute(self, path: str, value: str, timeout: float) -> None:
        value = value.strip()
        self.log.append(f"{path[len('/sys/bus/pci/') :]} <- {value}")
        *_parents, where, attribute = path.split("/")
        if attribute == "driver_override":
            self.tree.file(path, (value or "(null)") + "\n")
        elif attribute == "unbind":
            self._unbind(where, value, timeout)
        elif attribute == "bind":
            if not self._bind(value, where):
                raise HostError(f"The kernel refused '{value}' for {path}: No such device.", facts={"errno": errno.ENODEV})
        elif attribute == "drivers_probe" and self.owner(value) is None:
            for driver in self.names("/sys/bus/pci/drivers"):
                if self._bind(value, driver):
                    break

    def _unbind(self, driver: str, address: str, timeout: float) -> None:
        if driver in self.hanging:
            raise HostError(f"The kernel did not finish within {timeout:g} s.", facts={"errno": errno.ETIMEDOUT})
        os.unlink(self.path(f"{DEVICES}/{address}/driver"))

    def _bind(self, address: str, driver: str) -> bool:
        override = self.override(address)
        matches = override == driver if override else self.natives.get(address) == driver
        if not matches or driver in self.refusing or not self.is_dir(f"/sys/bus/pci/drivers/{driver}"):
            return False
        if driver in self.asynchronous:
            self._probing[address] = (time.monotonic() + PROBING, driver)
        else:
            self._hold(address, driver)
        return True

    def _hold(self, address: str, driver: str) -> None:
        os.symlink(f"../../drivers/{driver}", self.path(f"{DEVICES}/{address}/driver"))
