# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word that switches a policy off: what a real shell makes of our `install` line, and what is said of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import off_word
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.install_command import loads_nothing
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import every_ids, given_to
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext

LINES = [
    ("root=/dev/sda1 ro quiet", False, False),
    ("root=/dev/sda1 vfio_variants=off quiet", True, True),
    ("vfio_variants=off", True, True),
    ("quiet -- vfio_variants=off", True, True),
    ("vfio-variants=off", True, True),
    ("vfio_variants=on", False, False),
    ("vfio_variants", False, False),
    ("vfio_variants=offline xvfio_variants=off vfio_variants=OFF", False, False),
    ("rd.vfio_variants=off", False, False),
    ("vfio_variants=off vfio_variants=on", True, False),
    ("vfio_variants=on vfio_variants=off", True, True),
    ('"vfio_variants=off"', False, True),
    ('vfio_variants="off"', False, True),
]


def shell_hears(tmp_path: Path, words: str) -> str:
    """What /bin/sh passes to modprobe, when it is given the command as kmod gives it: options in place of $CMDLINE_OPTS."""
    (tmp_path / "cmdline").write_text(f"{words}\n")
    program = tmp_path / "modprobe"
    program.write_text('#!/bin/sh\necho "$*"\n')
    program.chmod(0o755)
    command = off_word.install_command("vfio_pci").replace("$CMDLINE_OPTS", "ids=10de:1db1 disable_vga=1")
    command = command.replace("/proc/cmdline", str(tmp_path / "cmdline")).replace("/sbin/modprobe", str(program))
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@pytest.mark.parametrize(("words", "shell", "udev"), LINES)
def test_a_shell_hears_the_word_as_predicted(tmp_path: Path, words: str, shell: bool, udev: bool) -> None:
    cmdline = Cmdline.parse(words)
    assert shell_hears(tmp_path, words) == f"-q -i vfio_pci ids=10de:1db1 disable_vga=1{' ids=' if shell else ''}"
    assert off_word.is_heard_by_shell(cmdline) is shell
    assert off_word.is_heard_by_udev(cmdline) is udev
    assert (EventContext(cmdline=cmdline).word(off_word.OFF_WORD) == off_word.OFF) is udev or '="' in words or words.startswith('"')


def test_kmod_keeps_the_command_as_it_is_written() -> None:
    text = f"options vfio_pci ids=10de:1db1\ninstall vfio_pci {off_word.install_command('vfio_pci')}\n"
    config = ModprobeConfig.parse(text, "a.conf")
    (line,) = config.installs("vfio-pci")
    assert off_word.is_install_command(line.arguments[1], "vfio_pci")
    assert not off_word.is_install_command(line.arguments[1], "other")
    assert not loads_nothing(line, "vfio_pci")
    assert [one.value for one in every_ids(given_to(config, "vfio_pci"))] == ["10de:1db1"]
    assert [one.value for one in every_ids(given_to(config, "vfio_pci", off_word.WITHOUT_IDS))] == ["10de:1db1", ""]


@pytest.mark.parametrize(
    ("words", "left"),
    [("a vfio_variants=off b", "a b"), ("a vfio-variants=off", "a"), ('a "vfio_variants=off" vfio_variants', "a"), ("a b", "a b")],
)
def test_the_word_is_taken_out_whatever_its_value(words: str, left: str) -> None:
    assert " ".join(off_word.without(Cmdline.parse(words))) == left
