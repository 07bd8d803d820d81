# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is kept is the image that was read, as far as anybody asks."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import from_cache, read_image, to_cache
from ansible_collections.vfio.variants.tests.unit.images import archive

IMAGE = Image(
    path="/boot/initrd.img",
    release="6.12",
    names=frozenset(("init", "usr/lib/modules/6.12/kernel/gpu.ko", "usr/lib/firmware/nvidia/gsp.bin")),
    links={"lib": "usr/lib", "usr/lib/firmware/latest": "nvidia"},
    texts={"etc/modprobe.d/a.conf": b"# \xff\nblacklist nouveau\n"},
    modules={"gpu": "usr/lib/modules/6.12/kernel/gpu.ko"},
    fingerprints={},
)


def test_all_but_the_names_of_firmware_comes_back() -> None:
    back = from_cache(to_cache(IMAGE), IMAGE.path, IMAGE.release)
    assert back.names == {"init", "usr/lib/modules/6.12/kernel/gpu.ko"}
    assert (back.links, back.texts, back.modules) == ({"lib": "usr/lib"}, IMAGE.texts, IMAGE.modules)


def test_an_image_is_unpacked_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "initrd.img"
    path.write_bytes(archive({"etc/modules": "blacklist nouveau\n"}))
    cache = Cache(Host(), True, str(tmp_path / "kept"), 0.0)
    first = read_image(Host(), str(path), "6.12", cache)
    assert first.texts == {"etc/modules": b"blacklist nouveau\n"}
    (kept,) = (tmp_path / "kept").iterdir()
    kept.write_text(kept.read_text().replace("nouveau", "nvidia0"))
    assert read_image(Host(), str(path), "6.12", cache).texts == {"etc/modules": b"blacklist nvidia0\n"}
    assert read_image(Host(), str(path), "7.3", cache).texts == first.texts
    path.write_bytes(archive({"etc/modules": "vfio-pci\n"}))
    assert read_image(Host(), str(path), "6.12", cache).texts == {"etc/modules": b"vfio-pci\n"}
    assert read_image(Host(), str(path), "6.12", None).texts == {"etc/modules": b"vfio-pci\n"}
