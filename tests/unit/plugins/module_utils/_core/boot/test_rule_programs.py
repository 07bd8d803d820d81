# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of rules that udev finds, and those that it does not."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import rule_programs
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS
from ansible_collections.vfio.variants.tests.unit.test_reported_hosts import GPU, booting
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

RULES = "/etc/udev/rules.d/90-gpu.rules"
ASKED = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{GPU}"'
TAKES = 'ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"'


def absent(tree: Tree, *programs: str) -> list[str]:
    tree.file(RULES, "".join(f'SUBSYSTEM=="pci", RUN+="{program}"\n' for program in programs))
    found = rule_programs.absent(tree.host(), Rules.read(tree.host()))
    return [program for program in programs if program in found]


def test_without_a_path_udev_looks_into_its_own_folder_alone(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/lib/udev/own", "#!/bin/sh\n", 0o755).file("/usr/sbin/modprobe", b"\x7fELF", 0o755)
    given = ("modprobe vfio-pci", "own vfio-pci", "/usr/sbin/modprobe vfio-pci", "bash -c true", "$env{X}", "/opt/x")
    assert absent(tree, *given) == ["modprobe vfio-pci", "bash -c true"]


def test_where_that_folder_cannot_be_seen_or_has_no_program_nothing_is_known(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert absent(tree, "modprobe vfio-pci") == []
    tree.file("/usr/lib/udev/rules.d/60-x.rules").file("/usr/lib/udev/hwdb.bin").file("/usr/lib/udev/hwdb.d/20-x.hwdb")
    assert absent(tree, "modprobe vfio-pci") == []


def test_the_folder_is_the_one_that_udev_s_sources_name() -> None:
    spawn = PROGRAMS.text("systemd-252/src/udev/udev-event.c", "/* allow programs in ", "}")
    assert "!path_is_absolute(argv[0])" in spawn
    assert "path_join(UDEVLIBEXECDIR, argv[0])" in spawn
    assert spawn.partition("programs in ")[2].partition("/ to be")[0] == rule_programs.UDEV_FOLDERS[0]
    manual = PROGRAMS.text("udev-262/usr/share/man/man7/udev.7")
    assert f"the program is expected to live in {rule_programs.UDEV_FOLDERS[0]};" in " ".join(manual.split())


@pytest.mark.parametrize(
    ("program", "winner"),
    [("modprobe vfio-pci", (None, "certain")), ("/sbin/modprobe vfio-pci", ("vfio-pci", "certain"))],
)
def test_a_program_that_udev_does_not_find_loads_nothing(tmp_path: Path, program: str, winner: tuple[str | None, str]) -> None:
    rule = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{GPU}", ATTR{{driver_override}}="vfio-pci", RUN+="{program}"\n'
    tree = booting(tmp_path).file(RULES, rule).file("/usr/sbin/modprobe", b"\x7fELF", 0o755).file("/usr/lib/udev/own", b"\x7fELF", 0o755)
    (device,) = device_info(tree.host(Commands(tree.root)), devices=GPU)["devices"]
    found: dict[str, t.Any] = device["kernels"][DEBIAN_13]
    assert (found["winner"], found["certainty"]) == winner


def endings(tree: Tree, programs: t.Iterable[str]) -> dict[str, bool | str]:
    """Of programs that a rule each asks."""
    tree.file(RULES, "".join(f'PROGRAM=="{program}", ENV{{A}}="1"\n' for program in programs))
    return rule_programs.endings(tree.host(), Rules.read(tree.host()))


def test_it_is_known_how_some_programs_end(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/bin/test", b"\x7fELF", 0o755).file("/usr/bin/true", b"\x7fELF", 0o755).file("/etc/guest")
    tree.file("/usr/lib/udev/own", "#!/bin/sh\n", 0o755)
    given = {
        "/usr/bin/true": True,
        "/usr/bin/test -e /etc/guest": True,
        "/usr/bin/test -e /etc/none": False,
        "/usr/bin/test -e /run/guest": None,
        "/usr/bin/false": False,
        "/usr/bin/true $env{X}": None,
        # Of a folder that is not there, or is filled at boot, nothing is known.
        "/opt/guest/ask": None,
        "/run/ask": None,
        "own": None,
        "gone": False,
    }
    assert endings(tree, given) == {program: well for program, well in given.items() if well is not None}


@pytest.mark.parametrize(
    ("rules", "winner"),
    [
        (f'{ASKED}, IMPORT{{program}}=="/usr/bin/echo GUEST=1"\n{ASKED}, ENV{{GUEST}}=="1", {TAKES}', "vfio-pci"),
        (f'{ASKED}, IMPORT{{program}}=="/usr/bin/echo GUEST=0"\n{ASKED}, ENV{{GUEST}}=="1", {TAKES}', "nouveau"),
        (f'{ASKED}, IMPORT{{program}}=="/usr/bin/echo GUEST=1", {TAKES}', "vfio-pci"),
        (f'{ASKED}, IMPORT{{program}}=="/usr/bin/ask", {TAKES}', "nouveau"),
        (f'{ASKED}, IMPORT{{program}}!="/usr/bin/ask", {TAKES}', "vfio-pci"),
        (f'{ASKED}, PROGRAM=="/usr/bin/ask", {TAKES}', "nouveau"),
        (f'{ASKED}, PROGRAM!="/usr/bin/ask", {TAKES}', "vfio-pci"),
        # The keys of a rule are compared in udev's order, in which a property comes before what a program brings.
        (f'{ASKED}, IMPORT{{program}}=="/usr/bin/echo GUEST=1", ENV{{GUEST}}=="1", {TAKES}', "nouveau"),
    ],
)
def test_a_program_that_is_not_there_or_whose_output_is_known_decides(tmp_path: Path, rules: str, winner: str) -> None:
    tree = booting(tmp_path).file(RULES, rules + "\n")
    for name in ("sh", "ls", "cat", "mkdir", "rm", "echo"):
        tree.file(f"/usr/bin/{name}", b"\x7fELF", 0o755)
    (device,) = device_info(tree.host(Commands(tree.root)), devices=GPU)["devices"]
    found: dict[str, t.Any] = device["kernels"][DEBIAN_13]
    assert (found["winner"], found["certainty"]) == (winner, "certain")


def test_it_is_known_what_some_programs_write(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/guest", "0000:01:00.0\n").file("/etc/two", "a\nb\n").file("/run/guest", "a\n")
    for name in ("echo", "printf", "cat", "sh"):
        tree.file(f"/usr/bin/{name}", b"\x7fELF", 0o755)
    scripts = {"one": "#!/bin/sh\n# why\necho yes\n", "two": "#!/bin/sh\necho a\necho b\n", "other": "#!/usr/bin/python3\necho yes\n"}
    for name, text in {**scripts, "writes": "#!/bin/sh\necho yes >/run/x\n", "asks": "#!/bin/sh\necho $1\n"}.items():
        tree.file(f"/opt/{name}", text, 0o755)
    given = {
        "/usr/bin/echo yes": "yes",
        "/usr/bin/echo -n a b": "a b",
        "/usr/bin/echo -e a": None,
        "/usr/bin/echo $kernel": None,
        "/usr/bin/printf yes": "yes",
        "/usr/bin/printf a b": None,
        "/usr/bin/sh -c 'echo yes'": "yes",
        "/usr/bin/sh -c 'echo yes >/run/x'": None,
        "/usr/bin/sh -c 'echo yes; echo no'": None,
        "/usr/bin/cat /etc/guest": "0000:01:00.0",
        "/usr/bin/cat /etc/two": None,
        "/usr/bin/cat /etc/none": None,
        "/usr/bin/cat /run/guest": None,
        "/opt/one": "yes",
        "/opt/one more": None,
        "/opt/two": None,
        "/opt/other": None,
        "/opt/writes": None,
        "/opt/asks": None,
    }
    assert endings(tree, given) == {program: text for program, text in given.items() if text is not None}


@pytest.mark.parametrize(
    ("keys", "winner"),
    [
        ('PROGRAM=="/usr/bin/echo yes", RESULT=="yes"', "vfio-pci"),
        ('PROGRAM=="/usr/bin/echo yes", RESULT=="y*"', "vfio-pci"),
        ('PROGRAM=="/usr/bin/echo yes", RESULT!="yes"', "nouveau"),
        ('PROGRAM=="/usr/bin/echo yes", RESULT=="no"', "nouveau"),
        ('PROGRAM!="/usr/bin/echo yes"', "nouveau"),
        ('PROGRAM=="/usr/bin/cat /etc/guest", RESULT=="$kernel"', "nouveau"),
        (f'PROGRAM=="/usr/bin/cat /etc/guest", RESULT=="{GPU}"', "vfio-pci"),
    ],
)
def test_a_rule_that_asks_what_a_program_writes_is_decided_by_it(tmp_path: Path, keys: str, winner: str) -> None:
    rule = f'SUBSYSTEM=="pci", KERNEL=="{GPU}", {keys}, ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
    tree = booting(tmp_path).file(RULES, rule).file("/etc/guest", f"{GPU}\n")
    tree.file("/usr/bin/echo", b"\x7fELF", 0o755).file("/usr/bin/cat", b"\x7fELF", 0o755)
    (device,) = device_info(tree.host(Commands(tree.root)), devices=GPU)["devices"]
    found: dict[str, t.Any] = device["kernels"][DEBIAN_13]
    assert (found["winner"], found["certainty"]) == (winner, "certain")


@pytest.mark.parametrize(("path", "winner"), [("/etc/hostname", ("vfio-pci", "certain")), ("/etc/none", ("nouveau", "certain"))])
def test_a_rule_that_asks_test_for_a_file_is_decided_by_the_file(tmp_path: Path, path: str, winner: tuple[str | None, str]) -> None:
    rule = f'SUBSYSTEM=="pci", KERNEL=="{GPU}", PROGRAM=="/usr/bin/test -e {path}", ATTR{{driver_override}}="vfio-pci"'
    tree = booting(tmp_path).file(RULES, f'{rule}, RUN{{builtin}}+="kmod load vfio-pci"\n')
    tree.file("/usr/bin/test", b"\x7fELF", 0o755).file("/etc/hostname", "host\n")
    (device,) = device_info(tree.host(Commands(tree.root)), devices=GPU)["devices"]
    found: dict[str, t.Any] = device["kernels"][DEBIAN_13]
    assert (found["winner"], found["certainty"]) == winner
