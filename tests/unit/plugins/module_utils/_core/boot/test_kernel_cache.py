# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel that is kept is the kernel that was read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import kernel_cache
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import (
    from_cache,
    read_kernel,
    read_kernel_of_image,
    to_cache,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import ImageView
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import kernels
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, Tree, modalias


def machine(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path).kernel(
        DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY, "nvidia-free"], "vfio-pci": [ANY_VFIO]}, builtin=["ahci"], headers=True
    )
    return tree.file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", f"e1000e.alias={E1000E}\0")


def test_everything_comes_back(tmp_path: Path) -> None:
    kernel = Kernel.read(machine(tmp_path).host(), DEBIAN_13)
    assert kernel.aliased("nvidia_free") == (("nvidia-free", "nouveau"),)
    assert from_cache(to_cache(kernel), DEBIAN_13) == kernel


@pytest.mark.parametrize("changed", ["modules.dep", "modules.alias", "modules.builtin", "modules.builtin.modinfo"])
def test_a_kernel_is_parsed_once_and_again_when_one_of_its_lists_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    machine(tmp_path)
    for module in (kernels, kernel_cache):
        monkeypatch.setattr(module, "MODULES", str(tmp_path / "lib/modules"))
    cache = Cache(Host(), True, str(tmp_path / "kept"), 0.0)
    first = read_kernel(Host(), DEBIAN_13, cache)
    assert "nouveau" in first.modules
    (kept,) = (tmp_path / "kept").iterdir()
    kept.write_text(kept.read_text().replace('"nouveau":', '"renamed":'))
    assert "renamed" in read_kernel(Host(), DEBIAN_13, cache).modules
    with (tmp_path / "lib/modules" / DEBIAN_13 / changed).open("a") as file:
        file.write("\n")
    assert "nouveau" in read_kernel(Host(), DEBIAN_13, cache).modules


def test_a_kernel_that_came_back_answers_as_the_one_that_was_read(tmp_path: Path) -> None:
    kernel = Kernel.read(machine(tmp_path).host(), DEBIAN_13)
    again = from_cache(json.loads(json.dumps(to_cache(kernel))), DEBIAN_13)
    for card in (modalias("10de:1db1"), modalias("8086:10d3", class_code=0x020000), modalias("1234:5678")):
        assert again.natives(card) == kernel.natives(card)
        assert again.variants(card) == kernel.variants(card)
    assert again.index.buses["pci"].built_in == kernel.index.buses["pci"].built_in != ()
    assert again.index.buses["pci"].loadable == kernel.index.buses["pci"].loadable != ()


def test_what_an_image_holds_of_its_kernel_is_parsed_once_and_again_when_the_image_has_changed(tmp_path: Path) -> None:
    place = tmp_path / "initrd.img"
    place.write_bytes(b"first")
    cache = Cache(Host(), True, str(tmp_path / "kept"), 0.0)

    def held(aliases: str) -> Kernel:
        texts = {f"lib/modules/{DEBIAN_13}/{name}": text.encode() for name, text in (("modules.dep", ""), ("modules.alias", aliases))}
        view = ImageView(Image(str(place), DEBIAN_13, frozenset(texts), {}, texts, {}, {}))
        return read_kernel_of_image(view, cache)

    assert [match.module for match in held(f"alias {NVIDIA_DISPLAY} nouveau\n").natives(modalias("10de:1db1"))] == ["nouveau"]
    assert [match.module for match in held(f"alias {NVIDIA_DISPLAY} other\n").natives(modalias("10de:1db1"))] == ["nouveau"]
    place.write_bytes(b"the second")
    assert [match.module for match in held(f"alias {NVIDIA_DISPLAY} other\n").natives(modalias("10de:1db1"))] == ["other"]
