# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that an earlier run has compared is not opened while it is the same."""

from __future__ import annotations

import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import SETTLED
from ansible_collections.vfio.variants.tests.unit.images import module
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.image_machine import (
    OPTIONS,
    OURS,
    VFIO,
    Machine,
)


@pytest.fixture(params=["initramfs-tools", "dracut"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(tmp_path, request.param).has_policy()


class Opened:
    """Hears which files Python opens, while there is a list for them: a hook cannot be taken away."""

    def __init__(self) -> None:
        self._paths: list[str] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, details: tuple[t.Any, ...]) -> None:
        if self._paths is not None and event == "open":
            self._paths.append(str(details[0]))

    def times(self, work: t.Callable[[], object], name: str) -> int:
        """How often the file is opened by ``work``."""
        paths: list[str] = []
        self._paths = paths
        work()
        self._paths = None
        return sum(path.endswith(name) for path in paths)


def test_an_image_that_the_cache_knows_is_not_opened(machine: Machine) -> None:
    machine.has_image(machine.content())
    time.sleep(SETTLED + 0.1)
    image, opened = Path(machine.image).name, Opened()

    assert opened.times(machine.reasons, image) > 0
    assert opened.times(machine.sync, image) > 0, "check mode has written to the cache"
    assert opened.times(machine.sync, image) == 0
    assert opened.times(machine.reasons, image) == 0

    # What the image is compared with is read each time.
    machine.tree.file(OURS.modprobe, f"{OPTIONS}options vfio-pci disable_vga=1\n")
    assert machine.reasons() == (f"It contains another version of {OURS.modprobe}.",)
    machine.tree.file(OURS.modprobe, OPTIONS).file(f"/lib/modules/{machine.release}/{VFIO}", module("another build"))
    assert len(machine.reasons()) == 1


def test_an_image_that_was_replaced_by_one_of_the_same_size_is_opened(machine: Machine) -> None:
    machine.has_image(machine.content())
    time.sleep(SETTLED + 0.1)
    machine.sync()
    assert machine.reasons() == ()
    before = machine.booted

    machine.has_image(bytes(len(before)))
    assert Opened().times(machine.reasons, Path(machine.image).name) > 0
    assert machine.reasons() != ()
