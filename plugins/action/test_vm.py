# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of test_vm."""

from __future__ import annotations

import json
import shlex
import typing as t
from pathlib import Path

from ansible.utils.display import Display

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.modules.test_vm import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.action.controller_action import ControllerAction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.image import TestImage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import accelerator, connection, firmware, qemu_program
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.machine import Machine
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import MachineOptions, machine_name


class ActionModule(ControllerAction):
    def argument_spec(self) -> dict[str, t.Any]:
        return argument_spec()

    def work(self, options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        checked_timeout(options["timeout"])
        cache = Cache.at(options["cache"])
        machine = Machine(cache, machine_name(options["name"]))
        with cache.lock(f"machine-{machine.name}"):
            return _STATES[options["state"]](machine, options, check_mode)


def _started(machine: Machine, options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    if not options["image"]:
        raise HostError("image is required to start a test machine.", "Pass the path that test_image returned.")
    image = TestImage.find(machine.cache, options["image"])
    wanted = MachineOptions.from_mapping(options, str(image.path))
    machine.check(wanted)
    say = Display().display
    if machine.started:
        if not check_mode:
            machine.await_answer(Progress(machine.name, say), options["timeout"])
        return {"changed": False, **_facts(machine)}
    if check_mode:
        return {"changed": True}
    qemu = qemu_program.provide(machine.cache, lambda: options["mirror"] or apt_sources.of_this_machine(), say)
    chosen = accelerator.choose(options["accelerator"], machine.cache, qemu, image, say)
    if wanted.firmware != firmware.BIOS:
        qemu = qemu.with_words(_uefi(machine, wanted, image, options["mirror"], say))
    machine.start(wanted, image, qemu, chosen, Progress(machine.name, say), options["timeout"])
    return {"changed": True, **_facts(machine)}


def _uefi(machine: Machine, wanted: MachineOptions, image: TestImage, mirror: str | None, say: Say) -> tuple[str, ...]:
    """QEMU's arguments for the firmware, whose variables are made for a new machine, and when other keys are to be enrolled."""
    partition = image.system_partition
    if partition is None:
        raise HostError(f"firmware: the image {image.path.name} boots by BIOS alone.", "Build it with test_image and firmware=uefi.")
    uefi = firmware.provide(machine.cache, lambda: mirror or apt_sources.of_this_machine(), say)
    store = machine.folder / firmware.STORE
    if (
        not store.exists()
        or not machine.exists
        or {"firmware", "enrolled"} & set(wanted.differences(json.dumps(machine.facts()["options"])))
    ):
        machine.folder.mkdir(parents=True, exist_ok=True)
        uefi.write_variables(store, wanted.firmware == firmware.SECURE_BOOT, owner=[Path(path) for path in wanted.enrolled])
    return (*uefi.words(firmware.STORE), *firmware.partition_words(partition))


def _restarted(machine: Machine, options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    if not machine.started:
        return _started(machine, options, check_mode)
    if not check_mode:
        machine.reboot(Progress(machine.name, Display().display), options["timeout"])
    return {"changed": True, **_facts(machine)}


def _stopped(machine: Machine, _options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    changed = bool(machine.processes())
    if changed and not check_mode:
        machine.power_off(Progress(machine.name, Display().display))
    return {"changed": changed}


def _absent(machine: Machine, _options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    changed = machine.folder.exists()
    if changed and not check_mode:
        machine.remove()
    return {"changed": changed}


_STATES = {"started": _started, "restarted": _restarted, "stopped": _stopped, "absent": _absent}


def _facts(machine: Machine) -> dict[str, t.Any]:
    facts, way = machine.facts(), machine.connection()
    functions = [
        {"id": name, "address": facts["addresses"].get(name), **({"log": str(machine.access_log(name))} if function["emulated"] else {})}
        for function in facts["options"]["functions"]
        for name in (function["id"],)
    ]
    return {
        "address": connection.ADDRESS,
        "port": way.port,
        "user": connection.USER,
        "identity_file": str(way.identity),
        "ssh_args": shlex.join(way.options),
        "ssh_command": way.text,
        "boot_id": facts["boot_id"],
        "boot_seconds": facts["boot_seconds"],
        "accelerator": facts["accelerator"],
        "console": str(machine.console),
        "functions": functions,
    }
