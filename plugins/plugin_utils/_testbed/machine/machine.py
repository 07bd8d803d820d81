# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test machine: its folder in the cache, its processes, and its way from one state to another."""

from __future__ import annotations

import json
import re
import shutil
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.image import TestImage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.ssh_key import KeyPair
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.deadline import Deadline
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import command_line, processes
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.connection import Connection, free_port
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.control import Control, addresses
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import MachineOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function

_PORT_TAKEN = "Could not set up host forwarding rule"
_TRIES = 5
#: How Linux ends when the emulated timer's interrupts do not arrive in time, before it has looked at any disk. On an overloaded machine
#: that happens now and then: a fault of the emulation, which says nothing about the guest.
_LOST_TIMER = ("timer doesn't work through Interrupt-remapped IO-APIC", "IO-APIC + timer doesn't work!")
_SETTLE_SECONDS = 120
#: Native drivers may bind long after ssh answers.
_READY = f"udevadm settle --timeout={_SETTLE_SECONDS}; cat /proc/sys/kernel/random/boot_id"
_POWER_OFF_PATIENCE = 90.0
_TELL_EVERY = 15.0
_CONSOLE_BYTES = 4096
# ECMA-48: what a boot loader and a login send to move the cursor and to choose colours.
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_c])")
#: Linux says this where it will not reboot by itself after a panic.
_STOPPED = "end Kernel panic"


class _PortTakenError(Exception):
    """Somebody took the port between our looking and QEMU's binding."""


class _LostTimerError(HostError):
    """The emulation lost the timer's interrupts, so that the guest's kernel stopped."""


@dataclass(frozen=True)
class Machine:
    cache: Cache
    name: str

    @property
    def folder(self) -> Path:
        return self.cache.machines / self.name

    @property
    def console(self) -> Path:
        return self.folder / command_line.CONSOLE

    @property
    def exists(self) -> bool:
        return self._description.is_file()

    @property
    def _description(self) -> Path:
        return self.folder / "machine.json"

    def access_log(self, function: str) -> Path:
        return processes.access_log(self.folder, function)

    def processes(self) -> dict[str, Process]:
        """Those of our processes that run, by name."""
        return processes.running(self.folder)

    @property
    def running(self) -> bool:
        return "qemu" in self.processes()

    @property
    def started(self) -> bool:
        """Whether it runs and answered once; a start that was interrupted leaves a machine that only runs."""
        return self.exists and self.running and "boot_id" in self.facts()

    def check(self, options: MachineOptions) -> None:
        """HostError when the machine is there and is not what `options` describe."""
        if not self.exists:
            return
        different = options.differences(json.dumps(self.facts()["options"]))
        if self.started and different:
            raise HostError(
                f"The test machine {self.name} runs with other options: {', '.join(different)} differ.",
                "Stop it first (state=stopped keeps its disk, state=absent removes it).",
            )
        if "image" in different:
            raise HostError(f"The disk of the test machine {self.name} belongs to another image.", "Remove it first: state=absent.")

    def facts(self) -> dict[str, t.Any]:
        """What the machine was last started with."""
        facts: dict[str, t.Any] = json.loads(self._description.read_text(encoding="utf-8"))
        return facts

    def connection(self) -> Connection:
        return Connection(self.facts()["port"], KeyPair.of_cache(self.cache).private, self.folder / "known_hosts")

    def start(self, options: MachineOptions, image: TestImage, qemu: Qemu, accelerator: str, progress: Progress, timeout: float) -> None:
        """Start it and wait until it answers; undone when it does not within `timeout` seconds."""
        self.kill()
        fresh = not self.exists
        port = None if fresh else int(self.facts()["port"])
        self._prepare(options, image, qemu)
        try:
            for _attempt in range(_TRIES):
                port = free_port(port)
                try:
                    return self._boot(options, image, qemu, accelerator, port, progress, timeout)
                except _PortTakenError:
                    port, failure = None, HostError(f"The test machine {self.name} found no free port in {_TRIES} tries.")
                except _LostTimerError as error:
                    failure = error
                    progress(f"{error} Starting it again")
                    self.kill()
                    self._prepare(options, image, qemu)
            raise failure
        except BaseException:
            self.kill()
            if fresh:
                self._description.unlink(missing_ok=True)
                (self.folder / command_line.DISK).unlink(missing_ok=True)
            raise

    def reboot(self, progress: Progress, timeout: float) -> None:
        """Let the guest reboot itself and wait until its next boot answers."""
        connection, began = self.connection(), time.monotonic()
        before = connection.ask("cat /proc/sys/kernel/random/boot_id", 60)
        if before is None:
            raise HostError(f"The test machine {self.name} does not answer, so it cannot be asked to reboot.", self._look_at())
        progress("rebooting")
        connection.ask("systemctl --no-block reboot", 60)
        boot = self._await_boot(connection, progress, timeout, before.strip())
        self._write({**self.facts(), "boot_id": boot, "boot_seconds": round(time.monotonic() - began, 1), "addresses": self._addresses()})

    def await_answer(self, progress: Progress, timeout: float) -> None:
        """Wait until it answers, and take notice when it was rebooted by others since it was last seen."""
        facts = self.facts()
        boot = self._await_boot(self.connection(), progress, timeout, before="")
        if boot != facts["boot_id"]:
            self._write({**facts, "boot_id": boot, "addresses": self._addresses()})

    def power_off(self, progress: Progress) -> None:
        """Let the guest shut down, and end it when it takes too long."""
        qemu = self.processes().get("qemu")
        if qemu is not None and self.connection().ask("systemctl --no-block poweroff", 20) is not None:
            progress("shutting down")
            qemu.wait(_POWER_OFF_PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End every process of the machine at once."""
        processes.end(self.folder)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def _prepare(self, options: MachineOptions, image: TestImage, qemu: Qemu) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        disk = self.folder / command_line.DISK
        if not self.exists:
            disk.unlink(missing_ok=True)
            qemu.create_overlay(disk, image.disk)
            for function in options.functions:
                self._create_disk(function)
        emulated = {function.id: function.emulated for function in options.functions if function.emulated is not None}
        processes.prepare(self.folder, emulated)

    def _create_disk(self, function: Function) -> None:
        """Empty, and as sparse as the file system allows."""
        if function.size:
            with (self.folder / command_line.disk_name(function.id)).open("wb") as file:
                file.truncate(function.size)

    def _boot(
        self, options: MachineOptions, image: TestImage, qemu: Qemu, accelerator: str, port: int, progress: Progress, timeout: float
    ) -> None:
        connection = Connection.prepare(port, KeyPair.of_cache(self.cache).private, self.folder / "known_hosts", image.host_key)
        facts = {"options": json.loads(options.to_json()), "image": str(image.path), "port": port, "accelerator": accelerator}
        self._write(facts)
        began = time.monotonic()
        self._launch(options, qemu, accelerator, port)
        progress(f"booting {image.suite} with {accelerator}, console {self.console}")
        boot = self._await_boot(connection, progress, timeout, before="")
        self._write({**facts, "boot_id": boot, "boot_seconds": round(time.monotonic() - began, 1), "addresses": self._addresses()})

    def _launch(self, options: MachineOptions, qemu: Qemu, accelerator: str, port: int) -> None:
        functions = [function.id for function in options.functions if function.emulated is not None]
        if not processes.start(self.folder, functions, qemu, command_line.arguments(options, accelerator, port)):
            raise self._failed("did not start")

    def _await_boot(self, connection: Connection, progress: Progress, timeout: float, before: str) -> str:
        """The boot_id of the boot that answers and is not `before`."""
        deadline = Deadline(timeout)
        told = time.monotonic()
        while not deadline.passed():
            if not self.running:
                raise self._failed("ended during its boot")
            if self._lost_its_timer():
                raise _LostTimerError(
                    f"The test machine {self.name} got no timer interrupts, which is the emulation's fault.", self._look_at()
                )
            if connection.answers():
                answer = connection.ask(_READY, max(_SETTLE_SECONDS, timeout))
                if answer and answer.strip() != before:
                    return answer.strip()
            if time.monotonic() > told + _TELL_EVERY:
                told = time.monotonic()
                said = last_words(self.console)
                if _STOPPED in said:
                    raise self._failed("has stopped")
                progress(f"waiting for ssh; console: {said}" if said else "waiting for ssh")
            time.sleep(0.25)
        raise self._failed(f"did not answer within {deadline.seconds:.0f} s")

    def _lost_its_timer(self) -> bool:
        text = _tail(self.console)
        return any(words in text for words in _LOST_TIMER)

    def _addresses(self) -> dict[str, str]:
        with Control(self.folder / command_line.CONTROL_SOCKET) as control:
            return addresses(control.ask("query-pci"))

    def _failed(self, what: str) -> Exception:
        texts = {name: _tail(self.folder / name) for name in (processes.SUPERVISOR_LOG, processes.QEMU_LOG, command_line.CONSOLE)}
        errors = {path.name: _tail(path) for path in processes.error_logs(self.folder)}
        if _PORT_TAKEN in texts[processes.QEMU_LOG]:
            return _PortTakenError()
        shown = "".join(f"\n--- {name}\n{text}" for name, text in {**errors, **texts}.items() if text)
        return HostError(f"The test machine {self.name} {what}.{shown}\n", self._look_at())

    def _look_at(self) -> str:
        return f"Its logs are in {self.folder}."

    def _write(self, facts: t.Mapping[str, t.Any]) -> None:
        write_atomic(self._description, json.dumps(facts, indent=1))


def last_words(console: Path) -> str:
    """The last line of the serial console that has something to read, without what moves a terminal's cursor."""
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - _CONSOLE_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    lines = ("".join(one for one in _CONTROL.sub("", line) if one.isprintable()).strip() for line in text.splitlines())
    return cut(next((line for line in reversed(list(lines)) if line), ""))


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-20:])
    except FileNotFoundError:
        return ""
