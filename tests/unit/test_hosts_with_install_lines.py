# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with commands of `install` lines, as kmod 30 and 34 and Debian's shell carried them out, and the kernel took the parameters."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    BOTH,
    CARD,
    CONF,
    IDS,
    NATIVE,
    NEITHER,
    Drawn,
    Truth,
    compare,
    said,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

if t.TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {f"/usr/{place}": "\x7fELF" for place in "sbin/modprobe bin/sh bin/ls bin/cat bin/mkdir bin/rm bin/true bin/false".split()}


def line(command: str, truth: Truth, text: str = "") -> Drawn:
    """For nouveau, on a host with programs, of which /usr/bin and /usr/sbin have no others."""
    return said(f"install nouveau {command}\n{text}", truth, **IDS, **PROGRAMS)


HOSTS: dict[str, Drawn] = {
    # Groups, as Debian's lines for sound had them, and shells.
    "a group after the module": line("/sbin/modprobe -i nouveau && { /sbin/modprobe -q vfio-pci ; : ; }", NATIVE),
    "a group before the module": line("{ /sbin/modprobe -q vfio-pci ; : ; } && /sbin/modprobe -i nouveau", BOTH),
    "a group by itself": line("{ /sbin/modprobe -i nouveau; }", NATIVE),
    "a shell in brackets that ends": line("( exit 1 ) || /sbin/modprobe -i nouveau", NATIVE),
    "a group that ends": line("{ exit 1; } || /sbin/modprobe -i nouveau", NEITHER),
    "a shell in double quotes": line('/bin/sh -c "/sbin/modprobe -i nouveau $CMDLINE_OPTS"', NATIVE),
    # Words of modprobe.
    "it waits": line("/sbin/modprobe -w 100 -i nouveau", NATIVE),
    "a long option cut short": line("/sbin/modprobe --ignore nouveau", NATIVE),
    "the module from the environment": line("/sbin/modprobe -i $MODPROBE_MODULE", NATIVE),
    "a separator first": line("; /sbin/modprobe -i nouveau", NEITHER),
    # Programs that are not there.
    "a program that is misspelt": line("/bin/flase", NEITHER),
    "a missing program, or the module": line("/usr/bin/card.sh || /sbin/modprobe -i nouveau", NATIVE),
    "a missing program, then the module": line("/usr/bin/card.sh; /sbin/modprobe -i nouveau", NATIVE),
    "a missing program, and the module": line("/usr/bin/card.sh && /sbin/modprobe -i nouveau", NEITHER),
    "a missing program in place of the shell": line("exec /usr/bin/card.sh || /sbin/modprobe -i nouveau", NEITHER),
    "the program of another path": line("/usr/bin/modprobe -i nouveau || /sbin/modprobe vfio-pci", BOTH),
    # Parameters.
    "a parameter": line("/sbin/modprobe -i nouveau modeset=1", NATIVE),
    "a parameter that the module does not have": line("/sbin/modprobe -i nouveau vfio-pci", NATIVE),
    "a parameter of the wrong type": line("/sbin/modprobe -i nouveau modeset=abc", NEITHER),
    "a parameter of the wrong type, or another module": line("/sbin/modprobe -i nouveau modeset=abc || /sbin/modprobe vfio-pci", BOTH),
    "other IDs, of which the last count": line("/sbin/modprobe vfio-pci ids=8086:10d3; /sbin/modprobe -i nouveau", NATIVE),
    "the same IDs": Drawn(BOTH, {CONF: "install nouveau modprobe vfio-pci ids=10de:1db1 && modprobe -i nouveau\n"}),
    "a wrong parameter of another module": line("/sbin/modprobe vfio-pci disable_denylist=maybe; /sbin/modprobe -i nouveau", NATIVE),
    "its options, handed to another module": line(
        "/sbin/modprobe vfio-pci $CMDLINE_OPTS; /sbin/modprobe -i nouveau", NATIVE, "options nouveau ids=8086:10d3\n"
    ),
    "its options, handed on to itself": line("/sbin/modprobe -i nouveau $CMDLINE_OPTS", NEITHER, "options nouveau modeset=x\n"),
}


@pytest.mark.parametrize(
    "command", ["/usr/bin/prepare-card || /sbin/modprobe -i nouveau", "/usr/sbin/prepare-card && /sbin/modprobe -i nouveau"]
)
def test_a_tree_without_a_shell_does_not_show_that_a_program_is_missing(tmp_path: Path, command: str) -> None:
    some = {path: text for path, text in PROGRAMS.items() if path != "/usr/bin/sh"}
    host = said(f"install nouveau {command}\n", NEITHER, **IDS, **some)
    (device,) = device_info(host.tree(tmp_path).host(Commands(tmp_path)), devices=CARD)["devices"]
    found = device["kernels"][DEBIAN_13]
    assert found["certainty"] == "unknown"
    assert {None, "nouveau"} <= {*found["outcomes"]}


@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_those_of_kmod(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
