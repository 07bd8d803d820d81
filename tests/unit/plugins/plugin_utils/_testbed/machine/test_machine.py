# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test machine whose QEMU fails, in the ways in which one can; shell scripts stand in QEMU's place, the rest is real."""

from __future__ import annotations

import json
import shutil
import sys
import typing as t
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.image import TestImage, machines_using
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, silent
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import machine as machines
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.machine import Machine
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import MachineOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.unit.machine_defaults import DEFAULTS

#: In qemu-img's place: makes its last argument.
DISK_TOOL = ("sh", "-c", 'for last; do :; done; touch "$last"', "disk-tool")
TAKEN = "Could not set up host forwarding rule"
#: Debian's 6.12 in QEMU with `-machine q35,pit=off,hpet=off`, with and without an IOMMU that remaps interrupts.
LOST_TIMERS = sorted(Path(__file__).with_name("consoles").glob("lost-timer*.txt"))


@pytest.fixture(name="image")
def fixture_image(tmp_path: Path) -> TestImage:
    path = tmp_path / "cache/images/trixie-0"
    path.mkdir(parents=True)
    image = TestImage(path, "0", "trixie", ("6.12",), "ssh-ed25519 AAAA", 1.0)
    facts = {key: value for key, value in asdict(image).items() if key != "path"}
    (path / "image.json").write_text(json.dumps(facts), encoding="utf-8")
    return image


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path) -> t.Iterator[Machine]:
    machine = Machine(Cache(tmp_path / "cache"), "box")
    yield machine
    machine.kill()


def options(image: TestImage, **changes: t.Any) -> MachineOptions:
    return MachineOptions.from_mapping({**DEFAULTS, **changes}, str(image.path))


def start(machine: Machine, image: TestImage, script: str, timeout: float = 60.0, **changes: t.Any) -> None:
    qemu = Qemu(("sh", "-c", script, "qemu"), DISK_TOOL, "stand-in")
    machine.start(options(image, **changes), image, qemu, "tcg", Progress("box", silent), timeout)


def start_saying(machine: Machine, image: TestImage, script: str, said: list[str]) -> None:
    qemu = Qemu(("sh", "-c", script, "qemu"), DISK_TOOL, "stand-in")
    machine.start(options(image), image, qemu, "tcg", Progress("box", said.append), 3.0)


def interrupted(machine: Machine, image: TestImage) -> dict[str, Process]:
    """A machine whose start ended before it answered: it exists and its processes run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "kill", lambda _: None)
        patch.setattr(Machine, "_failed", lambda *_: KeyboardInterrupt())
        facts = machine.folder / "machine.json"
        with pytest.raises(KeyboardInterrupt):
            start(machine, image, "exec sleep 300", timeout=0.0)
    facts.write_text(json.dumps({"options": json.loads(options(image).to_json()), "image": str(image.path), "port": 1}), encoding="utf-8")
    return machine.processes()


def test_a_qemu_that_fails_is_quoted_and_its_machine_undone(machine: Machine, image: TestImage) -> None:
    with pytest.raises(HostError) as caught:
        start(machine, image, "echo no such device >&2; exit 1")
    assert "--- qemu.log\nno such device" in str(caught.value)
    assert not machine.exists
    assert not (machine.folder / "disk.qcow2").exists()
    assert machines_using(machine.cache, image.path) == []


def test_the_serial_consoles_last_words_are_quoted(machine: Machine, image: TestImage) -> None:
    with pytest.raises(HostError, match="Kernel panic"):
        start(machine, image, "echo Kernel panic > console.log; exit 0")


@pytest.mark.sampled(2)
def test_what_the_console_says_is_shown_while_it_boots(machine: Machine, image: TestImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_TELL_EVERY", 0.0)
    said: list[str] = []
    script = r"printf 'Loading Linux\r\n\033[?7h\033[6n\n' > console.log; exec sleep 300"
    with pytest.raises(HostError, match="did not answer within"):
        start_saying(machine, image, script, said)
    assert any("waiting for ssh; console: Loading Linux (" in line for line in said), said


def test_a_guest_whose_kernel_has_stopped_is_not_waited_for(machine: Machine, image: TestImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_TELL_EVERY", 0.0)
    script = "echo '[    0.02] ---[ end Kernel panic - not syncing: no timer ]---' > console.log; exec sleep 300"
    with pytest.raises(HostError, match="box has stopped") as caught:
        start(machine, image, script, timeout=300.0)
    assert "not syncing: no timer" in str(caught.value)


def test_a_long_line_of_the_console_is_cut_and_an_absent_console_says_nothing(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    assert machines.last_words(console) == ""
    console.write_bytes(b"x" * 9000 + b"\n \x00\xff\n"[:3])
    assert len(machines.last_words(console)) < 200
    console.write_bytes(b"one\n\x1b[0m\x1b[2J\n")
    assert machines.last_words(console) == "one"


def test_an_emulated_function_that_does_not_start_is_named(machine: Machine, image: TestImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(HostError, match="box did not start"):
        start(machine, image, "exec sleep 300", functions=[{"id": "gpu0", "emulate": {"profile": "v100-sxm2-16gb"}}])


def test_a_guest_that_never_answers_is_given_up_and_nothing_runs_on(machine: Machine, image: TestImage) -> None:
    with pytest.raises(HostError, match="did not answer within"):
        start(machine, image, "exec sleep 300", timeout=0.0)
    assert machine.processes() == {}


@pytest.mark.sampled(2)
def test_a_port_that_somebody_took_meanwhile_is_replaced_by_another(machine: Machine, image: TestImage) -> None:
    script = f'echo "$@" >> tries; test $(wc -l < tries) -gt 2 && exec sleep 300; echo "{TAKEN}" >&2; exit 1'
    with pytest.raises(HostError, match="did not answer within"):
        start(machine, image, script, timeout=2.0)
    ports = [line.split("hostfwd=tcp:127.0.0.1:")[1].split("-")[0] for line in (machine.folder / "tries").read_text().splitlines()]
    assert len(ports) == 3


def test_a_machine_for_which_every_port_is_taken_fails(machine: Machine, image: TestImage) -> None:
    with pytest.raises(HostError, match="no free port in 5 tries"):
        start(machine, image, f'echo "{TAKEN}" >&2; exit 1')


@pytest.mark.sampled(2)
@pytest.mark.parametrize("console", LOST_TIMERS, ids=lambda path: path.stem)
def test_a_guest_whose_timer_the_emulation_lost_is_started_again(machine: Machine, image: TestImage, console: Path) -> None:
    script = f"echo x >> tries; test $(wc -l < tries) -gt 2 || cp {console} console.log; exec sleep 300"
    with pytest.raises(HostError, match="did not answer within"):
        start(machine, image, script, timeout=3.0)
    assert (machine.folder / "tries").read_text().split() == ["x"] * 3


def test_a_guest_whose_timer_is_always_lost_is_given_up(machine: Machine, image: TestImage) -> None:
    assert len(LOST_TIMERS) == 2
    with pytest.raises(HostError, match="box got no timer interrupts"):
        start(machine, image, f"echo x >> tries; cp {LOST_TIMERS[0]} console.log; exec sleep 300")
    assert (machine.folder / "tries").read_text().split() == ["x"] * 5


def test_an_interrupted_start_does_not_count_as_started(machine: Machine, image: TestImage) -> None:
    assert sorted(interrupted(machine, image)) == ["qemu", "supervisor"]
    assert machine.running
    assert not machine.started


def test_removing_a_machine_ends_its_processes_and_forgets_it(machine: Machine, image: TestImage) -> None:
    processes = interrupted(machine, image)
    assert machines_using(machine.cache, image.path) == ["box"]
    machine.remove()
    assert not any(process.alive() for process in processes.values())
    assert not machine.folder.exists()


def test_a_disk_is_not_put_over_another_image(machine: Machine, image: TestImage) -> None:
    interrupted(machine, image)
    machine.kill()
    other = MachineOptions.from_mapping(DEFAULTS, "/elsewhere")
    with pytest.raises(HostError, match="belongs to another image"):
        machine.check(other)
    machine.check(options(image, memory="4G"))


def test_a_started_machine_refuses_other_options_and_names_them(machine: Machine, image: TestImage) -> None:
    interrupted(machine, image)
    path = machine.folder / "machine.json"
    path.write_text(json.dumps({**machine.facts(), "boot_id": "b"}), encoding="utf-8")
    machine.check(options(image))
    with pytest.raises(HostError, match="other options: memory, cpus differ"):
        machine.check(options(image, memory="4G", cpus=4))


def test_an_image_is_found_by_its_path_its_key_and_its_name(machine: Machine, image: TestImage) -> None:
    for reference in (str(image.path), "0", "trixie-0"):
        assert TestImage.find(machine.cache, reference) == image


@pytest.mark.parametrize("reference", ["/no/such/folder", "no-such-key"])
def test_an_image_that_is_not_there_is_named(machine: Machine, image: TestImage, reference: str) -> None:
    with pytest.raises(HostError, match=reference):
        TestImage.find(machine.cache, reference)
