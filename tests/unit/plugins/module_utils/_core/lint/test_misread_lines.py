# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of modprobe.d with characters or words that their author did not mean."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile, PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import MODPROBE_FILE, boot, device
from ansible_collections.vfio.variants.tests.unit.judged import judged

CARD = device()


def told(text: str, path: str = MODPROBE_FILE) -> dict[str, str]:
    """The sentences of each kind about a file in modprobe.d."""
    found = judged(boot(modprobe={path: text}), devices=[CARD], files=PolicyFiles(modprobe=(PolicyFile(path, text),)))
    assert all(finding.source in finding.sentence and "\n" not in finding.sentence for finding in found)
    return {finding.kind: finding.sentence for finding in found}


def test_line_ends_of_another_system_are_the_only_thing_that_is_said_about_a_file() -> None:
    found = told("# mine\r\nblacklist e1000e\r\nblacklist nouveau\r\n")
    assert list(found) == ["line-ends"]
    assert found["line-ends"].startswith(f"{MODPROBE_FILE}:2: line ends in CR LF")
    assert "`e1000e`" in found["line-ends"]


@pytest.mark.parametrize(
    ("line", "kind", "meant"),
    [
        ("\ufeffblacklist nouveau", "unseen-character", "begins with a byte order mark"),
        ("blacklist\u00a0nouveau", "unseen-character", "Write `blacklist nouveau`."),
        ("options vfio-pci ids=\u201c10de:1db1\u201d", "unseen-character", 'Write `options vfio-pci ids="10de:1db1"`.'),
        ("options vfio\u2013pci ids=10de:1db1", "unseen-character", "Write `options vfio-pci ids=10de:1db1`."),
        ("blacklist nouveau nvidia", "words-too-many", "Write `blacklist nouveau` and `blacklist nvidia` in lines of their own."),
        ('blacklist "nouveau"', "quoted-name", "Write `blacklist nouveau`."),
        ("options vfio-pci ids=10de:1db1, 10de:10f0", "stray-id", "Write `options vfio-pci ids=10de:1db1,10de:10f0`"),
        ("options vfio-pci ids=10de:1db1 10de:10f0 disable_vga=1", "stray-id", "ids=10de:1db1,10de:10f0 disable_vga=1`"),
        ("options vfio-pci ids = 10de:1db1", "stray-id", "Write `options vfio-pci ids=10de:1db1`"),
        ('options vfio-pci "ids=10de:1db1" 10de:10f0', "stray-id", "Write `options vfio-pci ids=10de:1db1,10de:10f0`"),
        ('options vfio-pci ids="10de:1db1" 10de:10f0', "stray-id", "Write `options vfio-pci ids=10de:1db1,10de:10f0`"),
        ("options vfio ids=10de:1db1", "option-misplaced", "Write `options vfio-pci ids=10de:1db1`."),
        ('options vfio "ids=10de:1db1"', "option-misplaced", 'Write `options vfio-pci "ids=10de:1db1"`.'),
        ("options vfio-pci.ids=10de:1db1 x", "option-misplaced", "Write `options vfio-pci ids=10de:1db1 x`."),
        ("options vfio-pci id=10de:1db1", "option-misplaced", "Write `ids=10de:1db1`."),
        ('options vfio-pci "id=10de:1db1"', "option-misplaced", "Write `ids=10de:1db1`."),
        ("softdep nouveau pre : vfio-pci", "softdep-misread", "Write `softdep nouveau pre: vfio-pci`."),
        ("softdep nouveau pre:vfio-pci", "softdep-misread", "Write `softdep nouveau pre: vfio-pci`."),
        ("softdep nouveau pre vfio-pci", "softdep-misread", "Write `softdep nouveau pre: vfio-pci`."),
        ("softdep nouveau PRE: vfio-pci", "softdep-misread", "Write `softdep nouveau pre: vfio-pci`."),
        ("softdep nouveau pre: vfio,vfio-pci", "softdep-misread", "Write `softdep nouveau pre: vfio vfio-pci`."),
        ("vfio-pci.ids=10de:1db1", "line-of-another-file", "Write `options vfio-pci ids=10de:1db1`."),
    ],
)
def test_a_line_that_kmod_reads_otherwise_is_named_with_what_is_meant(line: str, kind: str, meant: str) -> None:
    found = told(f"{line}\n")
    assert meant in found[kind]
    # What only follows from it is not said.
    assert not {"unknown-module", "ignored-line", "softdep-without-place"} & found.keys()


@pytest.mark.parametrize(
    "line",
    [
        "options vfio-pci ids=10de:1db1,10de:10f0 disable_vga=1",
        'options vfio-pci "ids=10de:1db1"',
        "options vfio_pci ids=0x10de:0x1db1",
        "options vfio enable_unsafe_noiommu_mode=1",
        "options nouveau config=NvBoost=2 modeset=1",
        "softdep nouveau pre: vfio-pci post: drm",
        "blacklist nouveau # not here",
        "# options vfio-pci ids=10de:1db1, 10de:10f0",
        "install nouveau /bin/sh -c 'exit 0; echo pre : x'",
        "# caf\u00e9 \u2013 \u201cquoted\u201d",
    ],
)
def test_a_line_that_kmod_reads_as_it_is_meant_is_left_alone(line: str) -> None:
    kinds = {"line-ends", "unseen-character", "words-too-many", "quoted-name", "stray-id", "option-misplaced", "softdep-misread"}
    assert not kinds & told(f"{line}\n").keys()
