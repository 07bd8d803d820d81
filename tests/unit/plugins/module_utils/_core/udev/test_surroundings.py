# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules can ask of the command line and of the machine."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.surroundings import Surroundings, lasts


@pytest.mark.parametrize(
    ("line", "wanted", "found"),
    [
        ("quiet gpu=vfio", "gpu", "vfio"),
        ("quiet gpu", "gpu", "1"),
        ("quiet gpu=", "gpu", ""),
        ("gpu=a gpu=b", "gpu", "b"),
        ("gpu=a gpu", "gpu", "a"),
        ("gpu-driver=a", "gpu_driver", "a"),
        ("gpux=a", "gpu", None),
        ("rd.gpu=a", "rd.gpu", None),
    ],
)
def test_a_word_of_the_command_line_is_taken_as_import_cmdline_takes_it(line: str, wanted: str, found: str | None) -> None:
    """proc_cmdline_get_key() in src/basic/proc-cmdline.c."""
    assert Surroundings(cmdline=Cmdline.parse(line)).word(wanted) == found


def test_words_for_the_initramfs_count_there() -> None:
    assert Surroundings(cmdline=Cmdline.parse("rd.gpu=a"), in_initrd=True).word("rd.gpu") == "a"
    assert Surroundings().word("gpu") is None


@pytest.mark.parametrize("path", ["/dev", "/proc/x", "/run/x", "/sys/x", "/tmp/x", "/var/run/x", "x"])
def test_what_is_another_after_a_boot_is_not_looked_at(path: str) -> None:
    assert not lasts(path)
    assert lasts("/etc/x")
