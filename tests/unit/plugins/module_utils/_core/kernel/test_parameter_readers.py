# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules' own readers of parameters take and refuse, from the sources of Linux 6.1, 6.12 and 7.2."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, UNKNOWN, ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read import boots
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import objection_of
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import boot, device
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree, stock_debian

if t.TYPE_CHECKING:
    from pathlib import Path

OWN = ParameterType("")
POSSIBLE = "/sys/devices/system/cpu/possible"


def answer(module: str, name: str, value: str | None, cpus: int | None = None) -> str:
    written = name if value is None else f"{name}={value}"
    found = objection_of(module, OWN, Parameter(name, value, written, SourceLine("a.conf", 1)), cpus)
    return "taken" if found is None else "refused" if found.certain else "open"


@pytest.mark.parametrize("name", ["poll_queues", "write_queues"])
@pytest.mark.parametrize(
    ("value", "cpus", "expected"),
    [
        ("0", None, "taken"),
        ("1", None, "taken"),
        ("2", None, "open"),
        ("16", 16, "taken"),
        ("+4", 8, "taken"),
        ("17", 16, "refused"),
        ("07", 8, "taken"),
        ("08", 8, "refused"),
        ("010", 16, "taken"),
        ("0x2", 8, "refused"),
        ("-1", 8, "refused"),
        ("", 8, "refused"),
        ("two", 8, "refused"),
        (None, 8, "refused"),
    ],
)
def test_nvme_takes_no_more_queues_than_processors_are_possible(name: str, value: str | None, cpus: int | None, expected: str) -> None:
    assert answer("nvme", name, value, cpus) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("2", "taken"), ("1023", "taken"), ("4095", "taken"), ("1", "refused"), ("4096", "refused")]
)
def test_the_depth_of_nvme_s_queues_has_two_ends(value: str, expected: str) -> None:
    assert answer("nvme", "io_queue_depth", value) == expected
    assert answer("nvme", "io_queue_depth", f"0x{int(value):x}") == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("iopolicy", "numa", "taken"),
        ("iopolicy", "round-robin", "taken"),
        ("iopolicy", "numa-like", "taken"),
        ("iopolicy", "my-numa", "refused"),
        ("iopolicy", "queue-depth", "open"),
        ("iopolicy", "best", "refused"),
        ("iopolicy", None, "refused"),
        ("multipath", "N", "taken"),
        ("multipath", "maybe", "refused"),
        ("multipath_always_on", None, "taken"),
    ],
)
def test_what_nvme_core_reads_itself(name: str, value: str | None, expected: str) -> None:
    assert answer("nvme_core", name, value) == expected


def test_what_is_not_known_of_a_reader_stays_open() -> None:
    assert answer("other", "whatever", "1") == "open"


@pytest.mark.parametrize(
    ("cpus", "given", "running", "expected"),
    [
        ("0-7", "", "", 8),
        ("0", "", "", 1),
        ("0-3,8-11,15", "quiet", "", 9),
        ("0-7", "nr_cpus=2", "", None),
        ("0-1", "nr_cpus=2", "nr_cpus=2", 2),
        ("0-7", "isolcpus=managed_irq,2-7", "", None),
        (None, "", "", None),
        ("all", "", "", None),
    ],
)
def test_the_processors_are_those_of_the_running_kernel_unless_the_next_one_is_to_count_otherwise(
    tmp_path: Path, cpus: str | None, given: str, running: str, expected: int | None
) -> None:
    tree: Tree = stock_debian(tmp_path).systemd().cmdline(f"root=/dev/sda1 {running}".strip())
    if cpus is not None:
        tree.file(POSSIBLE, f"{cpus}\n")
    entry = f"menuentry 'Debian' {{\n\tlinux /boot/vmlinuz-{DEBIAN_13} root=/dev/sda1 {given}\n}}\n"
    host = tree.file("/boot/grub/grub.cfg", f'set default="0"\n{entry}').host()
    found = {one.release: one for one in boots(host, Inventory.read(host), read_all(host), DEBIAN_13)}
    assert found[DEBIAN_13].possible_cpus == expected


@pytest.mark.parametrize(("cpus", "expected"), [(16, ("nvme", CERTAIN)), (4, (None, CERTAIN)), (None, ("nvme", UNKNOWN))])
def test_a_server_s_disks_have_an_answer(cpus: int | None, expected: tuple[str | None, str]) -> None:
    disk = device("0000:04:00.0", "144d:a808", class_code=0x010802)
    alias = "pci:v*d*sv*sd*bc01sc08i02*"
    ids = PciId.from_alias(alias)
    assert ids is not None
    facts = ModuleFacts((PciDriver("nvme", (ids,)),), types={"poll_queues": OWN, "io_queue_depth": OWN})
    rules = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load $env{MODALIAS}"\n'}
    made = boot(rules=rules, modules={"nvme": [alias]}, facts={"nvme": facts}, modprobe="options nvme poll_queues=8\n")
    won = forecast([disk], dataclasses.replace(made, possible_cpus=cpus))[disk.address]
    assert (won.driver, won.certainty) == expected
    assert cpus == 16 or any("options nvme poll_queues=8" in str(one) or "poll_queues=" in str(one) for one in won.because)
