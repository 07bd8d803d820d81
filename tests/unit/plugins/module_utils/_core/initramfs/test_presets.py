# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A preset is read as mkinitcpio reads it, in its present and in its former form."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.presets import presets
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

UNIFIED = "/efi/EFI/Linux/arch.efi"


@pytest.mark.parametrize(
    ("text", "unified", "options"),
    [
        (f"default_uki={UNIFIED}\ndefault_options='-S autodetect'\n", UNIFIED, ("-S", "autodetect")),
        # process_preset() takes an array as well, and the name that the image had before.
        (f"default_uki={UNIFIED}\ndefault_options=(-S autodetect --splash /x.bmp)\n", UNIFIED, ("-S", "autodetect", "--splash", "/x.bmp")),
        (f"default_efi_image={UNIFIED}\n", UNIFIED, ()),
        (f"default_uki={UNIFIED}\ndefault_efi_image=/other.efi\n", UNIFIED, ()),
        ("default_image=/boot/initramfs-linux.img\n", None, ()),
    ],
)
def test_a_preset_has_an_image_and_options(tmp_path: Path, text: str, unified: str | None, options: tuple[str, ...]) -> None:
    host = Tree(tmp_path).file("/etc/mkinitcpio.d/linux.preset", f"PRESETS=('default')\n{text}").host()
    (found,) = presets(host)
    assert (found.unified, found.options) == (unified, options)
